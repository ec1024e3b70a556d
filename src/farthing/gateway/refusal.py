"""Our own refusals and failures, said in the caller's protocol and marked non-retriable."""

from __future__ import annotations

from typing import Any

from farthing.codecs import BadRequest, Codec, Problem
from farthing.errors import CallerError, FarthingError
from farthing.gateway.inbound import Outcome

__all__ = ["HeldBack", "refusal"]

# The providers' error types by status, so that SDKs raise the class their users expect.
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "invalid_request_error",
    413: "request_too_large",
    415: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
_OTHER_KINDS = ("invalid_request_error", "api_error")


class HeldBack(CallerError):
    """A call that a rule of the operator's holds back, with its arithmetic.

    `details` go into the error's body, `headers` beside it; `is_retriable`: SDKs may try again by
    themselves, after the wait that the headers name.
    """

    status = 429

    @property
    def details(self) -> dict[str, Any]:
        """Further members of the error."""
        return {}

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Further headers of the answer."""
        return []

    @property
    def is_retriable(self) -> bool:
        """Whether trying again soon is of use."""
        return False


def refusal(codec: Codec, error: FarthingError) -> Outcome:
    """The answer that tells `error`; SDKs do not retry it."""
    problem = Problem(
        status=error.status,
        kind=_KINDS.get(error.status, _OTHER_KINDS[error.status >= 500]),
        code=error.code,
        message=str(error),
        param=error.problem.param if isinstance(error, BadRequest) else None,
        details=error.details if isinstance(error, HeldBack) else {},
    )
    headers = [(b"content-type", b"application/json")]
    if isinstance(error, HeldBack):
        headers += error.headers
    if not (isinstance(error, HeldBack) and error.is_retriable):
        headers.append((b"x-should-retry", b"false"))
    return Outcome(status=error.status, headers=headers, body=codec.write_error(problem))
