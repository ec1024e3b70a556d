"""Looks whether the workers can import an embedder that the user supplies; a process of its own.

It looks where the workers will: they start as this does, and their supervisor may not. What the
module loads is gone with the process. What is wrong is told on standard output; what the module
itself prints goes to standard error. The supervisor runs it.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Final

from farthing.errors import ConfigError
from farthing.levers.cache.semantic_extra import check_embedder

__all__ = ["main"]

_FAULT: Final = 2


def main(arguments: list[str]) -> int:
    """The exit status: 0 where the embedder `arguments` name may be one."""
    name, setting = arguments
    try:
        with contextlib.redirect_stdout(sys.stderr):
            check_embedder(name, setting)
    except ConfigError as error:
        print(error)  # noqa: T201 - this is how the parent hears of it
        return _FAULT
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
