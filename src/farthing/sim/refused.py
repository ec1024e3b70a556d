"""Refused: a request the provider answers with an error, in terms both protocols can say."""

from __future__ import annotations

from farthing.errors import CallerError

__all__ = ["Refused"]


class Refused(CallerError):
    """An error answer. `kind`, `code` and `param` are the OpenAI fields; Anthropic has `kind`."""

    code = "sim_refused"

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.http_status = status
        self.message = message
        self.kind = kind
        self.error_code = code
        self.param = param
