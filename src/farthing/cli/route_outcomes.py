"""`farthing route outcomes`: what the gateway's own comparisons showed, as outcomes to compile from."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import msgspec

from farthing.call import UNATTRIBUTED, AttemptStatus
from farthing.cli.ledger_folder import ledger_settings, open_ledger, query_options, read_query
from farthing.cli.output import console, print_json
from farthing.errors import CallerError
from farthing.evidence import REPEATS, Compared, EvidenceStore, is_kept
from farthing.ledger import Entry
from farthing.levers.routing.serving import read_choice

__all__ = ["outcomes"]


@click.command()
@click.option("--out", type=click.Path(dir_okay=False), required=True, help="File to write.")
@query_options
@click.pass_obj
def outcomes(
    config_path: str | None,
    *,
    out: str,
    since: str | None,
    until: str | None,
    where: Sequence[str],
    data_dir: str | None,
    as_json: bool,
) -> None:
    """Write what the gateway's comparisons showed as OUTCOMES, for `route compile`.

    Each is a call with the two models that answered it, and what the judge made of both. Answers
    of votes are left out: a model that was taken where others agreed looks better than it is. Where
    features are compared at different shares, all are thinned to the least of these, so that the
    classes stand as they do in the traffic. Prompts and answers are not in it.
    """
    compared = _compared(Path(ledger_settings(config_path, data_dir).data_dir))
    least = min((one.evidence.probability for one in compared), default=1.0)
    kept = [one for one in compared if is_kept(one.evidence, least)]
    wanted = {call for one in kept for call in (one.candidate_call, one.reference_call)}
    with open_ledger(config_path, data_dir) as ledger:
        query = read_query("", since, until, where)
        entries = {e.call_id: e for e in ledger.entries(query) if e.call_id in wanted}
    lines = _lines(kept, entries)
    if not lines:
        raise CallerError(
            "No comparison of two models' answers lies in this ledger.\nNothing was written.\n"
            'Gather them first: [evidence] mode = "on" with a candidate (docs/evidence.md).'
        )
    text = b"".join(msgspec.json.encode(line) + b"\n" for line in lines.values())
    _write(Path(out), text)
    models = sorted({model for line in lines.values() for model in line["outcomes"]})
    thinned = len(compared) - len(kept)
    if as_json:
        counts = {"calls": len(lines), "comparisons": len(compared), "thinned": thinned}
        print_json({**counts, "models": models})
        return
    console().print(
        f"{len(lines):,} calls from {len(compared):,} comparisons, of {', '.join(models)}."
    )
    if thinned:
        console().print(f"{thinned:,} were left out, so that all are sampled alike ({least:g}).")


def _compared(folder: Path) -> list[Compared]:
    if not folder.is_dir():
        return []
    store = EvidenceStore(folder)
    found = [
        one
        for lever, scope in store.scopes()
        if lever != REPEATS
        for one in store.comparisons(lever, scope)
    ]
    store.close()
    return found


def _lines(kept: Sequence[Compared], entries: dict[str, Entry]) -> dict[str, dict[str, Any]]:
    """One line a call; what is compared again of a model adds nothing to its first."""
    found: dict[str, dict[str, Any]] = {}
    for one in kept:
        proof = one.evidence
        lever = entries.get(one.candidate_call)
        reference = entries.get(one.reference_call)
        if lever is None or reference is None or lever.call_id == reference.call_id:
            continue  # one model's answer is not there
        if _is_chosen(lever):
            continue
        (model, told), (other, known) = _answered(lever), _answered(reference)
        if model == other:
            continue
        line = found.setdefault(
            proof.call,
            {
                "id": proof.call,
                "task": None if proof.feature == UNATTRIBUTED else proof.feature,
                "outcomes": {},
            },
        )
        line["outcomes"].setdefault(model, {"score": proof.score, **told})
        line["outcomes"].setdefault(other, {"score": proof.reference, **known})
    return found


def _is_chosen(entry: Entry) -> bool:
    """Whether what was asked decided who answered: a vote's answers are no sample of a model's."""
    choice = read_choice(entry.detail)
    return choice is not None and (len(choice.asked) > 1 or bool(choice.scores))


def _answered(entry: Entry) -> tuple[str, dict[str, Any]]:
    """The model that answered a call, by the name it was asked for, and what that alone took."""
    choice = read_choice(entry.detail)
    model = entry.model if choice is None else choice.served
    good = [one for one in entry.attempts if one.status is AttemptStatus.OK]
    own = [one for one in good if one.model == model] or good or list(entry.attempts)
    if not own:
        return model, {}
    last = own[-1]
    told: dict[str, Any] = {}
    if last.cost is not None:
        told["cost_usd"] = Decimal(str(last.cost))
    return model, told


def _write(path: Path, text: bytes) -> None:
    try:
        path.write_bytes(text)
    except OSError as error:
        raise CallerError(
            f"{path} can't be written: {error.strerror or error}.\nNothing was kept.\n"
            "Name a file that you may write to."
        ) from error
