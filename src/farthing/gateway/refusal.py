"""Our own refusals and failures, said in the caller's protocol and marked non-retriable."""

from __future__ import annotations

from farthing.codecs import BadRequest, Codec, Problem
from farthing.errors import FarthingError
from farthing.gateway.inbound import Outcome

__all__ = ["refusal"]

# The providers' error types by status, so that SDKs raise the class their users expect.
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def refusal(codec: Codec, error: FarthingError) -> Outcome:
    """The answer that tells `error`; SDKs do not retry it."""
    problem = Problem(
        status=error.status,
        kind=_KINDS.get(error.status, "api_error"),
        code=error.code,
        message=str(error),
        param=error.problem.param if isinstance(error, BadRequest) else None,
    )
    return Outcome(
        status=error.status,
        headers=[(b"content-type", b"application/json"), (b"x-should-retry", b"false")],
        body=codec.write_error(problem),
    )
