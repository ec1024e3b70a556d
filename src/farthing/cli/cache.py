"""`farthing cache`: answers that are given again."""

from __future__ import annotations

import importlib
from types import MappingProxyType

import click

__all__ = ["cache"]

# Further commands -> "module:attribute"; imported on use.
_FURTHER: MappingProxyType[str, str] = MappingProxyType(
    {
        "economics": "farthing.cli.cache_economics:economics",
        "eval": "farthing.cli.cache_eval:evaluate",
        "explain": "farthing.cli.cache_explain:explain",
        "label": "farthing.cli.cache_label:label",
    }
)


class _Group(click.Group):
    """A group whose further commands are found when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_FURTHER})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _FURTHER:
            return super().get_command(ctx, cmd_name)
        module, attribute = _FURTHER[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(cls=_Group)
def cache() -> None:
    """Answers that are given again: what they save, and how they are made to go."""
