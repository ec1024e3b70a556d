"""`farthing cache eval`: what a semantic cache would serve of these questions, and how often wrongly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from farthing.cli.number import Number
from farthing.cli.output import console, print_json, table
from farthing.errors import CallerError
from farthing.levers.cache.semantic.corpus import Corpus, clusters, read_corpus
from farthing.levers.cache.semantic.embedder import Embedder, load_embedder
from farthing.levers.cache.semantic.evaluation import (
    evaluate_pairs,
    evaluate_stream,
    score_pairs,
)

__all__ = ["evaluate"]

_STREAM_LENGTH = 5000
_SEEDS = 5
_POLICIES = ("ours", "best_global_threshold", "guards_only")
_TRAPS_SHOWN = 20


@click.command("eval")
@click.argument("pairs", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--delta",
    "deltas",
    type=Number(0, 0.5, min_open=True),
    multiple=True,
    help="Allowed share of wrong answers among those served; may be repeated.  [default: 0.01]",
)
@click.option(
    "--stream", "length", type=click.IntRange(1), help="Simulate streams of this many questions."
)
@click.option("--seeds", type=click.IntRange(1), help="How many streams.  [default: 5]")
@click.option(
    "--embedder", "name", default="minilm", show_default=True, help="minilm, or none (no vectors)."
)
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def evaluate(
    pairs: Path,
    *,
    deltas: tuple[float, ...],
    length: int | None,
    seeds: int | None,
    name: str,
    threads: int,
    as_json: bool,
) -> None:
    """Try the semantic cache on PAIRS: question pairs, conversation pairs or labelled questions.

    PAIRS is a file or a folder of {"a", "b", "same"} lines, or of {"text", "intent"} lines; JSON lines,
    CSV or TSV. Published sets of question pairs are read under the names that they use.
    Pairs are compared one by one, as if "a" had been answered and "b" were asked. Streams begin
    with an empty cache: ours starts in shadow, pays for its labels, and serves what it certified.
    """
    corpus = read_corpus(pairs)
    embedder = load_embedder(name, threads=threads)
    allowed = deltas or (0.01,)
    document = _document(corpus, embedder, allowed)
    if length is not None or seeds is not None or not corpus.pairs:
        document["stream"] = _stream(
            corpus, embedder, allowed, length or _STREAM_LENGTH, seeds or _SEEDS
        )
        if not corpus.pairs:
            document = {**_headline(document["stream"]), **document}
    document["bad_lines"] = corpus.bad_lines
    document["embedder"] = None if embedder is None else embedder.identity
    if as_json:
        print_json(document)
    else:
        _print(document, corpus)


def _document(
    corpus: Corpus, embedder: Embedder | None, deltas: tuple[float, ...]
) -> dict[str, Any]:
    if not corpus.pairs:
        return {}
    compared = score_pairs(corpus.pairs, embedder)
    document = evaluate_pairs(compared, deltas[0])
    wrong = [one for one in compared if one.is_served and not one.pair.is_same]
    document["wrong"] = [
        {"a": one.pair.first, "b": one.pair.second, "cosine": one.cosine}
        for one in wrong[:_TRAPS_SHOWN]
    ]
    return document


def _stream(
    corpus: Corpus, embedder: Embedder | None, deltas: tuple[float, ...], length: int, seeds: int
) -> dict[str, Any]:
    if embedder is None:
        raise CallerError(
            "A stream needs an embedder: without one only the same text is served. Nothing was "
            "simulated. Leave out --embedder none."
        )
    questions = corpus.labelled or clusters(corpus.pairs)
    if not questions:
        raise CallerError(
            "There are only conversation pairs here, which a stream can't be made from. Leave out "
            "--stream and --seeds."
        )
    return evaluate_stream(questions, embedder, deltas=deltas, length=length, seeds=seeds)


def _headline(stream: dict[str, Any]) -> dict[str, Any]:
    """The keys of a pairs document from a stream alone: those of its first delta."""
    row = stream["deltas"][0]
    return {
        "delta": row["delta"],
        "ours": row["ours"],
        "best_global_threshold": row["best_global_threshold"],
        "guards_only": row["guards_only"],
        "auc": stream["auc"],
    }


def _print(document: dict[str, Any], corpus: Corpus) -> None:
    out = console()
    if corpus.pairs:
        made = table(
            f"{document['pairs']} pairs, delta {document['delta']:.1%}",
            *("policy", "cosine from", "true pairs hit", "traps accepted", "wrong / hits"),
            *("precision", "error among served, 95 % bound"),
        )
        for policy in _POLICIES:
            made.add_row(policy.replace("_", " "), *_pair_cells(document[policy]))
        for half, row in document["halves"].items():
            made.add_row(f"ours, half {half}", *_pair_cells(row))
        out.print(made)
        auc = document["auc"]
        out.print(f"AUC of the cosine: {'none' if auc is None else f'{auc:.3f}'}", markup=False)
        out.print(
            f"A certificate for delta {document['delta']:.1%} takes {document['labels_needed']} labels "
            "without an error (estimate: more with errors).",
            markup=False,
        )
        for wrong in document["wrong"]:
            out.print(f"wrong: {wrong['a']} | {wrong['b']}", markup=False)
    if "stream" in document:
        _print_stream(document["stream"])
    if corpus.bad_lines:
        out.print(f"{corpus.bad_lines} lines could not be read:", markup=False)
        for place, why in corpus.bad_samples:
            out.print(f"  {place}: {why}", markup=False)


def _pair_cells(row: dict[str, Any]) -> tuple[str, ...]:
    threshold = row.get("threshold")
    return (
        "" if threshold is None else f"{threshold:.3f}",
        f"{row['hit_rate']:.1%}",
        f"{row['trap_acceptance']:.1%}",
        f"{row['wrong_hits']} / {row['hits']}",
        _share(row["precision"]),
        f"{row['served_error_upper95']:.2%}",
    )


def _print_stream(stream: dict[str, Any]) -> None:
    made = table(
        f"Streams of {stream['lookups']} questions, {stream['seeds']} orders",
        *("delta", "policy", "served", "wrong among served", "orders within delta", "remark"),
        numeric=2,
    )
    for row in stream["deltas"]:
        best, proven = row["best_global_threshold"], row["certified_threshold"]
        kept = row["vetoes_stand"]
        at = best["threshold"]
        told = "no threshold holds" if at is None else f"cosine {at:.2f}, by hindsight"
        made.add_row(
            f"{row['delta']:.1%}",
            *("ours", *_rates_told(row["ours"])),
            f"{row['verdict']}; {row['labels']} labels",
        )
        for name, other in (("every veto stands", kept), ("one threshold, proven alike", proven)):
            certified = f"certified in {other['seeds_certified']} of {stream['seeds']} runs"
            made.add_row("", name, *_rates_told(other), certified)
        made.add_row("", "one threshold", *_rates_told({**best, "seeds_held": None}), told)
    console().print(made)


def _rates_told(row: dict[str, Any]) -> tuple[str, str, str]:
    wrong = 1 - (row["precision"] if row["precision"] is not None else 1)
    held = row["seeds_held"]
    return f"{row['hit_rate']:.1%}", f"{wrong:.2%}", "" if held is None else f"{held:.0%}"


def _share(value: float | None) -> str:
    return "none served" if value is None else f"{value:.1%}"
