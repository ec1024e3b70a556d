"""`farthing demo`: see it work, with simulated providers and no key."""

from __future__ import annotations

import shutil
import signal
import sys
import time
from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from farthing.cli.report import print_report
from farthing.demo import WRITTEN_BY, DemoOptions, run_demo
from farthing.errors import CallerError
from farthing.ledger import Ledger, Report, ReportQuery

__all__ = ["demo"]

_INTERRUPTED = 130  # as shells tell an end by Ctrl-C
_POSTED_S = 10.0


@click.command()
@click.option("--tickets", default=120, show_default=True, type=click.IntRange(1, 100_000))
@click.option("--seed", default=7, show_default=True, help="Same seed, same traffic.")
@click.option("--dir", "directory", default=".demo", show_default=True, type=click.Path())
@click.option("--semantic", is_flag=True, help="Then questions in other words (extra `semantic`).")
@click.option("--stay/--leave", default=None, help="Keep the gateway up [default: on a terminal].")
def demo(tickets: int, seed: int, directory: str, *, semantic: bool, stay: bool | None) -> None:
    """Play a support product's traffic through the gateway, then print the report."""
    folder = Path(directory)
    _clear(folder)
    options = DemoOptions(directory=folder, tickets=tickets, seed=seed, is_semantic=semantic)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both ends stop our processes
    try:
        _play(options, is_staying=sys.stdin.isatty() if stay is None else stay)
    except KeyboardInterrupt:
        click.echo(
            f"\nInterrupted: the simulator and the gateway have ended. {folder} keeps what was "
            "recorded.",
            err=True,
        )
        sys.exit(_INTERRUPTED)


def _play(options: DemoOptions, *, is_staying: bool) -> None:
    folder = options.directory
    bar = Progress(
        TextColumn("tickets"), BarColumn(), MofNCompleteColumn(), disable=not sys.stdout.isatty()
    )
    task = bar.add_task("tickets", total=options.tickets)
    with run_demo(options, _say, lambda: bar.advance(task)) as result:
        bar.start()
        bar.stop()
        calls = sum(result.answers.values())
        failed = calls - result.answers.get(200, 0)
        _say(f"{calls} calls made, {failed} of them failed\n")
        print_report(_posted(folder, calls))
        if is_staying:
            _say(f"\nLook at    {result.address}/metrics and {result.address}/healthz")
            _say(f"           {result.address}/api/calls/{result.call_id}")
        else:
            _say("\nThe gateway ends here; --stay keeps it up to look at.")
        _say(f"Then try   farthing --config {folder}/farthing.toml calls --top 5 --by cost")
        _say(f"           farthing --config {folder}/farthing.toml calls show {result.call_id}")
        if is_staying and sys.stdin.isatty():
            click.pause("The gateway stays up for you; press a key to end it.")
        elif is_staying:
            _say("The gateway stays up for you; end it by Ctrl-C or SIGTERM.")
            signal.pause()


def _clear(folder: Path) -> None:
    """Remove what an earlier demo left in its folder; never what somebody else did.

    Raises:
        CallerError: the folder holds a configuration or a ledger that no demo wrote.
    """
    config = folder / "farthing.toml"
    is_ours = config.exists() and config.read_text().startswith(WRITTEN_BY)
    if not is_ours and (config.exists() or (folder / "ledger").exists()):
        raise CallerError(
            f"{folder} holds a farthing.toml or a ledger that no demo wrote.\n"
            "Nothing was started and nothing was changed.\nName another folder with --dir."
        )
    shutil.rmtree(folder / "ledger", ignore_errors=True)


def _say(text: str) -> None:
    click.echo(text)


def _posted(folder: Path, calls: int) -> Report:
    """The report once the drainer has posted all calls; what there is if it takes too long."""
    query = ReportQuery(by=("feature", "model"))
    with Ledger.open(folder / "ledger") as ledger:
        end_s = time.monotonic() + _POSTED_S
        while (found := ledger.report(query)).calls < calls and time.monotonic() < end_s:
            time.sleep(0.05)
    return found
