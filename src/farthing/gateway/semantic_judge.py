"""Whether two answers tell the same: by equality, numbers and JSON, else by a model in both orders.

The cheap judge says nothing where words differ in a longer text. A judging model is believed that
two answers are the same only if it says so in both orders.
"""

from __future__ import annotations

from typing import Final

from farthing.call import Endpoint
from farthing.codecs import shown
from farthing.evidence import fields, normalised, numeric, parses
from farthing.levers.cache import Stored, TenantKeys

__all__ = ["answer_mark", "cheap_verdict", "judge_question", "said_of"]

_SHORT_CHARS: Final = 48  # a label, a number, a name: what differs there is another answer
_QUESTION: Final = """Two people asked nearly the same. Would each be served as well by the other's answer?
Facts, figures, names, instructions and their conditions must agree; wording and length may differ.

<question_1>
{first[0]}
</question_1>
<answer_1>
{first[1]}
</answer_1>
<question_2>
{second[0]}
</question_2>
<answer_2>
{second[1]}
</answer_2>

Reply with one word: SAME if either answer may be given to both, DIFFERENT if not.
"""
_is_json = parses("json")
_fields = fields()
_number = numeric()


def said_of(endpoint: Endpoint, stored: Stored) -> str:
    """What a stored answer says; empty where it can't be read."""
    return shown(endpoint, stored.body, is_stream=stored.is_stream).text


def answer_mark(keys: TenantKeys, said: str) -> bytes:
    """What stands for what an answer says, within its tenant: the same where form alone differs."""
    return keys.mark("answer", " ".join(said.split()).casefold())


def cheap_verdict(one: str, other: str) -> bool | None:
    """Whether two answers tell the same; None where this judge can't tell."""
    if not one or not other:
        return None
    if normalised(one, other).score == 1:
        return True
    if one.lstrip()[:1] in "{[" and _is_json(one, "").score == _is_json(other, "").score == 1:
        return _fields(one, other).score == 1
    if len(one) > _SHORT_CHARS or len(other) > _SHORT_CHARS:
        return None
    is_number = any(c.isdigit() for c in one) and len(one.split()) == len(other.split()) == 1
    return is_number and _number(one, other).score == 1


def judge_question(first: tuple[str, str], second: tuple[str, str]) -> str:
    """What a model is asked about two (question, answer) pairs."""
    return _QUESTION.format(first=first, second=second)
