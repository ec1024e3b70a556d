"""What can go wrong, sorted by whose fault it is.

    FarthingError
    ├── CallerError     the request, the command or the file is wrong    (HTTP 4xx)
    ├── ProviderError   an upstream provider failed                      (HTTP 502, 504)
    ├── ConfigError     farthing.toml or the environment is wrong        (exit code 2)
    └── FarthingBug     an invariant does not hold; please report it     (HTTP 500)

Each carries a stable `code` and the HTTP status that fits. Texts say what happened, what was
kept and what to do. Packages derive their own errors from these, beside the code that raises them.
"""

from __future__ import annotations

__all__ = ["CallerError", "ConfigError", "FarthingBug", "FarthingError", "ProviderError"]


class FarthingError(Exception):
    """An error with a stable `code` and the HTTP `status` that fits it."""

    code = "farthing_error"
    status = 500


class CallerError(FarthingError):
    """The caller can mend this: a bad request, an unknown model, a bad file."""

    code = "bad_request"
    status = 400


class ProviderError(FarthingError):
    """A provider failed, or could not be reached in time."""

    code = "provider_error"
    status = 502


class ConfigError(FarthingError):
    """The configuration is wrong; all faults found are listed together."""

    code = "config_error"
    status = 500


class FarthingBug(FarthingError):
    """An invariant of ours does not hold."""

    code = "farthing_bug"
    status = 500
