"""`farthing cache explain`: what the guards read in a question, and why another matches or not."""

from __future__ import annotations

from typing import Any, cast

import click

from farthing.cli.output import console, print_json
from farthing.levers.cache.semantic.corpus import Pair
from farthing.levers.cache.semantic.embedder import load_embedder
from farthing.levers.cache.semantic.evaluation import Compared, score_pairs
from farthing.levers.cache.semantic.signature import Signature, sign
from farthing.levers.cache.semantic.volatility import volatility_of

__all__ = ["explain"]


@click.command()
@click.argument("question")
@click.argument("stored", required=False)
@click.option(
    "--embedder", "name", default="minilm", show_default=True, help="minilm, or none (no vectors)."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def explain(question: str, stored: str | None, *, name: str, as_json: bool) -> None:
    """Say how QUESTION is read, and whether the answer to STORED would be served to it."""
    document: dict[str, Any] = {"question": _read(question)}
    if stored is not None:
        (compared,) = score_pairs([Pair(stored, question, is_same=True)], load_embedder(name))
        document["stored"] = _read(stored)
        document["decision"] = _decision(compared)
    if as_json:
        print_json(document)
        return
    out = console()
    for title in ("question", "stored"):
        if title in document:
            out.print(f"{title}: {document[title]['text']}", markup=False)
            for part, value in document[title].items():
                if part != "text" and value:
                    told = (
                        ", ".join(cast("list[str]", value))
                        if isinstance(value, list)
                        else str(value)
                    )
                    out.print(f"  {part:<12}{told}", markup=False)
    if stored is not None:
        decision = document["decision"]
        verdict = "would be served (uncertified)" if decision["serves"] else "would not be served"
        out.print(f"The stored answer {verdict}: {decision['reason']}", markup=False)
        for finding in decision["findings"]:
            out.print(
                f"  {finding['kind']:<6}{finding['guard']}: {finding['detail']}", markup=False
            )


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
