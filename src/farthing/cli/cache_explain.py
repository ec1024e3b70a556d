"""`farthing cache explain`: what the guards read in a question, and why another matches or not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final, cast

import click

from farthing.cli.cache_near import logged
from farthing.cli.cache_store import opened, stored_texts
from farthing.cli.output import console, print_json
from farthing.config import Config, load_config
from farthing.levers.cache import cache_file
from farthing.levers.cache.semantic.corpus import Pair
from farthing.levers.cache.semantic.embedder import load_embedder
from farthing.levers.cache.semantic.evaluation import Compared, score_pairs
from farthing.levers.cache.semantic.signature import Signature, sign
from farthing.levers.cache.semantic.volatility import volatility_of

__all__ = ["explain"]

_SHOWN: Final = 5
_LOGGED_MAX: Final = 5_000


@click.command()
@click.argument("question")
@click.argument("stored", required=False)
@click.option(
    "--embedder", "name", default="minilm", show_default=True, help="minilm, or none (no vectors)."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def explain(
    config_path: str | None, question: str, stored: str | None, *, name: str, as_json: bool
) -> None:
    """Say how QUESTION is read, and whether the answer to STORED would be served to it.

    Without STORED: what the running cache holds near it, and how it went when it was asked.
    """
    document: dict[str, Any] = {"question": _read(question)}
    if stored is not None:
        (compared,) = score_pairs([Pair(stored, question, is_same=True)], load_embedder(name))
        document["stored"] = _read(stored)
        document["decision"] = _decision(compared)
    else:
        document |= _in_store(load_config(config_path, os.environ), question, name)
    if as_json:
        print_json(document)
        return
    _print(document)


def _print(document: dict[str, Any]) -> None:
    out = console()
    for title in ("question", "stored"):
        for part, value in document.get(title, {}).items():
            if part == "text":
                out.print(f"{title}: {value}", markup=False)
            elif value:
                told = ", ".join(cast("list[str]", value)) if isinstance(value, list) else value
                out.print(f"  {part:<12}{told}", markup=False)
    for row in document.get("near", ()):
        verdict = "could be served" if row["serves"] else row["reason"]
        out.print(f"near  {row['cosine']:.3f}  {row['text']}  ({verdict})", markup=False)
    for row in document.get("asked", ()):
        told = row["verdict"] or row["reason"]
        out.print(f"asked {row['at']}  {row['result']}: {told}", markup=False)
    if "decision" in document:
        decision = document["decision"]
        verdict = "would be served (uncertified)" if decision["serves"] else "would not be served"
        out.print(f"The stored answer {verdict}: {decision['reason']}", markup=False)
        for finding in decision["findings"]:
            out.print(
                f"  {finding['kind']:<6}{finding['guard']}: {finding['detail']}", markup=False
            )


def _in_store(config: Config, question: str, name: str) -> dict[str, Any]:
    """What is stored near the question, in any space, and its own logged look-ups; empty if none."""
    embedder = load_embedder(name)
    if config.cache.store == "memory" or not cache_file(Path(config.ledger.data_dir)).exists():
        return {}
    with opened(config) as (answers, vault):
        asked = logged(config, answers, vault, ("1",), _LOGGED_MAX)
        texts = stored_texts(answers, vault, embedder.identity if embedder else "")
    own = [row for row in asked if row["question"] == question][:_SHOWN]
    if embedder is None or not texts:
        return {"near": [], "asked": own}
    (vector,) = embedder.embed([question])
    ranked = sorted(texts, key=lambda one: -float(one[1] @ vector))[:_SHOWN]
    pairs = [Pair(text, question, is_same=True) for text, _ in ranked]
    compared = zip(ranked, score_pairs(pairs, embedder), strict=True)
    found = [{"text": text} | _decision(one) for (text, _), one in compared]
    return {"near": found, "asked": own}


def _read(text: str) -> dict[str, Any]:
    signature: Signature = sign(text)
    return {
        "text": signature.plain,
        "language": signature.language,
        "asks": signature.asks,
        "volatility": volatility_of(text),
        "words": [word.lstrip("=") for word in signature.content],
        "names": sorted(signature.names),
        "amounts": [amount.lstrip("#@") for amount in signature.quantities],
        "exact": [part.lstrip("“") for part in signature.exact],
        "operators": [operator.lstrip("!") for operator in signature.operators],
    }


def _decision(compared: Compared) -> dict[str, Any]:
    return {
        "serves": compared.is_served,
        "reason": compared.reason,
        "cosine": compared.cosine,
        "findings": [
            {"guard": one.guard, "detail": one.detail, "kind": one.kind}
            for one in compared.comparison.findings
        ],
    }
