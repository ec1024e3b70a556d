"""The root command: finds each subcommand's module only when it is asked for."""

from __future__ import annotations

import difflib
import importlib
import sys
from types import MappingProxyType

import click

from farthing import __version__
from farthing.errors import FarthingError

__all__ = ["main"]

# command -> "module:attribute"; imported on use, so that `farthing --help` stays quick.
_COMMANDS = MappingProxyType(
    {
        "budget": "farthing.cli.budget:budget",
        "cache": "farthing.cli.cache:cache",
        "calls": "farthing.cli.calls:calls",
        "demo": "farthing.cli.demo:demo",
        "evidence": "farthing.cli.evidence:evidence",
        "export": "farthing.cli.export:export",
        "keys": "farthing.cli.keys:keys",
        "models": "farthing.cli.models:models",
        "price": "farthing.cli.price:price",
        "report": "farthing.cli.report:report",
        "reprice": "farthing.cli.reprice:reprice",
        "route": "farthing.cli.route:route",
        "sim": "farthing.cli.sim:sim",
        "up": "farthing.cli.up:up",
        "why": "farthing.cli.route_serving:why",
    }
)


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module, attribute = _COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS:
            near = difflib.get_close_matches(args[0], _COMMANDS, n=1)
            advice = f"Did you mean {near[0]}?" if near else "`farthing --help` lists them."
            raise click.UsageError(f"There is no command {args[0]!r}. {advice}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="farthing")
@click.option(
    "--config",
    "config_path",
    type=click.Path(dir_okay=False),
    envvar="FARTHING_CONFIG",
    help="Configuration file [default: farthing.toml in this folder, where there is one].",
)
@click.pass_context
def cli(ctx: click.Context, config_path: str | None) -> None:
    """Keep an LLM bill honest: a gateway, a ledger and the reports over it."""
    ctx.obj = config_path


def main() -> None:
    """Run the command line; exit 0 on success, 1 on a failed gate, 2 on bad use."""
    try:
        cli(prog_name="farthing")
    except FarthingError as error:
        click.echo(f"farthing: {error}", err=True)
        sys.exit(2)
    except OSError as error:
        if error.filename is None:
            raise
        click.echo(
            f"farthing: {error.filename}: {error.strerror}.\n"
            "The command ended there; what it had written before stands.\n"
            "Name another file or folder, or mend its permissions.",
            err=True,
        )
        sys.exit(2)
