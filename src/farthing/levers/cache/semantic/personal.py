"""Whether a question tells who asks it: then what was answered to it is for that one alone.

Looked for are addresses of mail, numbers long enough to be somebody's (telephone, card, account),
account and passport numbers (IBAN, two letters and six digits), references to one's own order,
booking, case or policy, and how people name themselves: in a sentence, below their text, with a
title. Any other name is not recognised: nothing tells a person's from a product's. Dates and times
are no such numbers. What is taken for personal and is not costs hits between users, nothing else.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["is_personal"]

_DATES: Final = re.compile(r"\b\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?)?\b")
_TELLS: Final = re.compile(
    r"""
    (?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}\.[\w-]                                      # an address of mail
    | (?<!\w)\+?\(?\d(?:[ ().\-/]{0,2}\d){8,}                   # nine digits or more
    | \b[A-Z]{2}\d{2}(?:\ ?[A-Z0-9]){11,30}\b                   # IBAN
    | (?i:\bmy\ (?:(?:full|first|last|user|maiden)\ ?)?
        (?:name|address|password|passcode|pin|birthday|birthdate|phone|e-?mail|mobile|passport
          |iban|ssn)\ (?:number\ |code\ |address\ )?(?:is|was)\b)
    | (?i:\b(?:i\ am|i'm|this\ is)\ )(?-i:(?:[A-Z][a-z]+\ ){1,2}(?:from|and|with|calling|at)\b)
    | (?i:\b(?:regards|thanks|thank\ you|cheers|sincerely|wishes|yours)\b[ ,.!]*[\n,.!-]\s*)
      (?-i:[A-Z][a-z]+(?:[ -][A-Z][a-z]+|\ [A-Z]\.?){0,2}\s*\.?\s*\Z)  # signed below
    | \b(?:Mr|Mrs|Ms|Miss)\b\.?\ [A-Z][a-z]
    | \b[A-Z]{1,3}\d{6,9}[A-Z]?\b                              # passport, insurance number
    | (?i:\b(?:order|ticket|case|claim|account|booking|reservation|reference|ref|invoice|customer
        |policy|tracking|member|membership|confirmation|application)
        (?:\ ?(?:number|no\.?|nr\.?|id|code|reference|ref))?\s?(?:is\ )?[:\#]?\s?
        (?=(?:[A-Z-]{0,4}\d){4})[A-Z0-9-]+\b)
    | (?i:\bborn\ (?:on|in)\b)
    """,
    re.VERBOSE,
)


def is_personal(text: str) -> bool:
    """Whether a text says something that points to one person."""
    return _TELLS.search(_DATES.sub(" ", text)) is not None
