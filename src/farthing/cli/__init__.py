"""The command line: `farthing COMMAND`. Words and pictures only; the arithmetic lives below."""

from farthing.cli.root import main

__all__ = ["main"]
