"""Whether a question tells who asks it: then what was answered to it is for that one alone.

Looked for are addresses of mail, numbers long enough to be somebody's (telephone, card, account,
order), account numbers (IBAN), and sentences in which people name themselves. Names of people as
such are not recognised. Dates and times are no such numbers.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["is_personal"]

_DATES: Final = re.compile(r"\b\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?)?\b")
_TELLS: Final = re.compile(
    r"""
    [\w.+-]+@[\w-]+\.[\w-]                                      # an address of mail
    | (?<!\w)\+?\(?\d(?:[ ().\-/]{0,2}\d){8,}                   # nine digits or more
    | \b[A-Z]{2}\d{2}(?:\ ?[A-Z0-9]){11,30}\b                   # IBAN
    | (?i:\bmy\ (?:(?:full|first|last|user|maiden)\ ?)?
        (?:name|address|password|passcode|pin|birthday|birthdate|phone|e-?mail|mobile|passport
          |iban|ssn)\ (?:number\ |code\ |address\ )?(?:is|was)\b)
    | (?i:\b(?:i\ am|i'm|this\ is)\ )(?-i:(?:[A-Z][a-z]+\ ){1,2}(?:from|and|with|calling|at)\b)
    | (?i:\bborn\ (?:on|in)\b)
    """,
    re.VERBOSE,
)


def is_personal(text: str) -> bool:
    """Whether a text says something that points to one person."""
    return _TELLS.search(_DATES.sub(" ", text)) is not None
