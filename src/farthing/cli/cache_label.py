"""`farthing cache label`: labels of look-ups, and what they prove."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from farthing.cli.cache_store import opened
from farthing.cli.number import Number
from farthing.cli.output import console, print_json, table
from farthing.clock import SystemClock
from farthing.config import load_config
from farthing.errors import CallerError
from farthing.levers.cache.semantic.calibration import Judged, calibrated
from farthing.levers.cache.semantic.certificate import Certifier, Stamp
from farthing.levers.cache.semantic_tables import SemanticTables, WordingRow

__all__ = ["label"]

_THRESHOLDS = (0.98, 0.95, 0.92, 0.9, 0.87, 0.85, 0.8, 0.75, 0.7)


class _Label(msgspec.Struct, frozen=True):
    """One look-up that was judged: the score it had, and whether the answers were the same.

    `person` is a person's word, where the pair was drawn for one.
    """

    score: float
    same: bool
    propensity: float = 1.0
    person: bool | None = None

    @property
    def judged(self) -> Judged:
        """The judge's word and the person's."""
        return Judged(not self.same, None if self.person is None else not self.person)


@click.command()
@click.argument("labels", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--approve", type=int, metavar="ID", help="The two questions have one answer.")
@click.option(
    "--reject", type=int, metavar="ID", help="They have not; never serve one for the other."
)
@click.option("--add", nargs=2, type=(float, click.Choice(["same", "different"])),
              metavar="SCORE same|different", help="Append a label to the file first.")  # fmt: skip
@click.option("--delta", type=Number(0, 0.5, min_open=True), default=0.01, show_default=True,
              help="Allowed share of wrong answers among those served.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def label(
    config_path: str | None,
    labels: Path | None,
    *,
    approve: int | None,
    reject: int | None,
    add: tuple[float, str] | None,
    delta: float,
    as_json: bool,
) -> None:
    """Approve or reject a pair that `cache near` lists, or say what a file of LABELS proves.

    LABELS has lines of {"score", "same", "propensity"?, "person"?}, in the order they came, all from
    one embedder, one version of the guards and one model. "person" is a person's word (true: the
    same) on pairs drawn at random; from 200 of them on the judge's errors are allowed for.
    """
    if approve is not None or reject is not None:
        _say(config_path, approve, reject, as_json=as_json)
        return
    if labels is None:
        raise click.UsageError("Give --approve ID or --reject ID (see `cache near`), or a file.")
    if add is not None:
        line = json.dumps({"score": add[0], "same": add[1] == "same"})
        with labels.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    read = _read(labels)
    document = _proven(read, delta)
    if as_json:
        print_json(document)
    else:
        _print(document)


def _proven(read: Sequence[_Label], delta: float) -> dict[str, Any]:
    """What the labels prove, band by band."""
    floor = min((one.propensity for one in read), default=1.0)
    spoken = [one.judged for one in read if one.person is not None]
    found = calibrated(spoken)
    certifier = Certifier(
        stamp=Stamp(embedder="", guards="", scorer="", model=""),
        delta=delta,
        thresholds=_THRESHOLDS,
        shadow_sampling=floor,
        judge=None if found is None else found.judge,
        share=1.0 if found is None else found.share,
    )
    for one in read:
        is_wrong = not one.same or one.person is False
        certifier.observe(one.score, is_wrong=is_wrong, propensity=one.propensity, is_serving=False)
    return {
        "delta": delta,
        "labels": len(read),
        "certified_from": certifier.threshold,
        "labels_needed": certifier.labels_needed,
        "judge_corrected": found is not None,
        "judge_words": len(spoken),
        "bands": [
            {
                "threshold": band.threshold,
                "labels": band.labels,
                "wrong": band.wrong,
                "upper95": band.upper95,
                "certified": band.is_certified,
            }
            for band in certifier.report()
        ],
    }


def _say(
    config_path: str | None, approve: int | None, reject: int | None, *, as_json: bool
) -> None:
    said = [
        _told(config_path, number, is_same=is_same)
        for number, is_same in ((approve, True), (reject, False))
        if number is not None
    ]
    if as_json:
        print_json(said)
        return
    for one in said:
        click.echo(one["told"])


def _told(config_path: str | None, number: int, *, is_same: bool) -> dict[str, Any]:
    """Note a person's word on a logged pair; workers follow within a second.

    Raises:
        CallerError: there is no such look-up, or nothing was near it.
    """
    config = load_config(config_path, os.environ)
    now_us = SystemClock().now_us()
    with opened(config) as (answers, _):
        tables = SemanticTables(answers)
        found = tables.asked("id = ?", (number,), 1)
        if not found or found[0].entry is None:
            raise CallerError(
                f"There is no look-up {number} that was near a stored question. Nothing was "
                "changed. `farthing cache near` lists them."
            )
        (row,) = found
        assert row.entry is not None  # noqa: S101 - looked at above
        with answers.transaction():
            if is_same:
                tables.reunite(row.key, row.entry)
                tables.approve(
                    WordingRow(0, row.key, row.entry, "person", None), row.tenant, now_us
                )
            else:
                tables.part(row.key, row.entry, row.tenant, now_us)
            tables.tell_verdict(row.call_id, "same" if is_same else "different", "person")
            tables.relabel(row.call_id, is_wrong=not is_same)
    did = "may have the stored answer" if is_same else "never gets the stored answer"
    return {"id": number, "same": is_same, "told": f"That question {did}, from the next second on."}


def _read(path: Path) -> list[_Label]:
    if not path.exists():
        raise CallerError(
            f"There is no file {path}. Nothing was read. Add a first label with --add."
        )
    found: list[_Label] = []
    faults: list[str] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            one = msgspec.json.decode(line, type=_Label)
        except msgspec.DecodeError as error:
            faults.append(f"line {number}: {error}")
            continue
        if not 0 < one.propensity <= 1:
            faults.append(f"line {number}: propensity {one.propensity} is not in (0, 1]")
        else:
            found.append(one)
    if faults:
        told = "\n  ".join(faults[:10])
        raise CallerError(f"{path} has {len(faults)} bad lines; nothing was concluded:\n  {told}")
    return found


def _print(document: dict[str, Any]) -> None:
    out = console()
    made = table(
        f"{document['labels']} labels, delta {document['delta']:.1%}",
        *("score from", "labels", "wrong", "95 % bound", "certified"),
        numeric=0,
    )
    for band in document["bands"]:
        made.add_row(
            f"{band['threshold']:.2f}",
            str(band["labels"]),
            str(band["wrong"]),
            f"{band['upper95']:.2%}",
            "yes" if band["certified"] else "no",
        )
    out.print(made)
    start = document["certified_from"]
    told = (
        "Nothing is certified yet" if start is None else f"Scores from {start:.2f} on are certified"
    )
    if document["judge_corrected"]:
        judge = f"The judge's errors are allowed for by {document['judge_words']} words of people"
    else:
        judge = "By the judge's word: its own errors are not corrected for"
    if not document["labels_needed"]:
        out.print(f"{told}. {judge}; it tells too little for any number of labels.", markup=False)
        return
    out.print(
        f"{told}. {judge}. A band takes {document['labels_needed']} labels without an error, more with errors.",
        markup=False,
    )
