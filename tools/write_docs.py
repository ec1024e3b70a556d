"""Writes the generated pages: docs/configuration.md, docs/cli.md and docs/api.md.

python tools/write_docs.py            write them
python tools/write_docs.py --check    exit 1 if one is stale
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path

import click

import farthing
from farthing.cli.root import cli
from farthing.config import write_reference

DOCS = Path(__file__).parent.parent / "docs"


def write_cli() -> str:
    """The help of every command, as the command line prints it."""
    lines = ["# Command line", "", "Generated from the commands by `make docs`.", ""]
    for path, command in sorted(_commands(cli, ("farthing",))):
        with click.Context(command, info_name=" ".join(path), max_content_width=96) as context:
            lines += [f"## {' '.join(path)}", "", "```", command.get_help(context), "```", ""]
    return "\n".join(lines)


def _commands(
    command: click.Command, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None:
                yield from _commands(found, (*path, name))


def write_api() -> str:
    """What each package exports, with the first line of its documentation."""
    lines = ["# Public names", "", "Generated from the packages' `__all__` by `make docs`."]
    for info in sorted(pkgutil.iter_modules(farthing.__path__), key=lambda info: info.name):
        if info.name.startswith("_"):
            continue
        module = importlib.import_module(f"farthing.{info.name}")
        lines += [
            "",
            f"## farthing.{info.name}",
            "",
            _first(module),
            "",
            "| name | what it is |",
            "|---|---|",
        ]
        lines += [
            f"| `{name}` | {_about(getattr(module, name))} |" for name in sorted(module.__all__)
        ]
    return "\n".join(lines) + "\n"


def _about(value: object) -> str:
    described = inspect.isclass(value) or inspect.isroutine(value) or inspect.ismodule(value)
    return _first(value) if described else f"a constant of type `{type(value).__name__}`"


def _first(value: object) -> str:
    text = inspect.getdoc(value) or ""
    return text.split("\n\n", maxsplit=1)[0].replace("\n", " ").replace("|", "or")


def pages() -> dict[Path, str]:
    """The generated pages and what they must say."""
    return {
        DOCS / "configuration.md": write_reference(),
        DOCS / "cli.md": write_cli(),
        DOCS / "api.md": write_api(),
    }


def main(arguments: list[str]) -> int:
    """Write the pages, or check them."""
    stale = [p for p, text in pages().items() if not p.exists() or p.read_text() != text]
    if "--check" in arguments:
        for page in stale:
            print(f"{page.name} is stale: run `make docs`")
        return 1 if stale else 0
    for page in stale:
        page.write_text(pages()[page])
        print(f"wrote docs/{page.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
