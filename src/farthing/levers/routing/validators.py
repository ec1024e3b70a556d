"""Validators: what an answer can be checked for without another answer beside it."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Final, cast

import msgspec

from farthing.codecs import Said
from farthing.evidence import parses
from farthing.evidence.schema import schema as schema_judge

__all__ = ["VALIDATORS", "passed_by"]

# What each says of an answer that passes; a `verify` step names them.
VALIDATORS: Final = MappingProxyType(
    {
        "said": "it is not empty",
        "whole": "no limit on output cut it off",
        "accepted": "the provider does not mark it as a refusal",
        "json": "it is well-formed JSON",
        "schema": "it keeps to the JSON schema that the request asks for",
        "calls": "it calls a tool",
    }
)


def passed_by(text: str, said: Said, schema: object) -> frozenset[str]:
    """The validators that an answer passes; `schema` is the request's, None where it has none."""
    passed: set[str] = set()
    if text.strip() or said.calls:
        passed.add("said")
    if not said.is_cut:
        passed.add("whole")
    if not said.is_refusal:
        passed.add("accepted")
    if said.calls:
        passed.add("calls")
    if parses("json")(text, "").score:
        passed.add("json")
        if isinstance(schema, dict) and _keeps(cast("dict[str, Any]", schema), text):
            passed.add("schema")
    return frozenset(passed)


def _keeps(schema: dict[str, Any], text: str) -> bool:
    try:
        return bool(schema_judge(schema)(text, "").score)
    except (ValueError, msgspec.MsgspecError):
        return False
