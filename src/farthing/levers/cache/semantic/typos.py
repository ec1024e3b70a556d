"""Slips in the words that questions are made of: `teh` is `the`, `usualy` is `usually`.

Words that carry a question's matter are compared as they are written (`slips.py` sees there what is
a slip of what); these here would not be found on the other side, as they are left out or said in
another word. Only a word that is not English becomes another, and only where a single word of the
lexicon is one slip away.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from farthing.levers.cache.semantic.lexicon import lexicon_for
from farthing.levers.cache.semantic.slips import is_english

__all__ = ["mended"]

_LENGTH_MIN: Final = 5
# Too short, or too far from the word that was meant, for the rule.
_COMMON: Final[Mapping[str, str]] = MappingProxyType(
    {
        "teh": "the", "hte": "the", "adn": "and", "taht": "that", "thsi": "this",
        "hwo": "how", "waht": "what", "wht": "what", "wat": "what", "whta": "what",
        "whre": "where", "wher": "where", "whne": "when", "cna": "can",
        "wiht": "with", "wih": "with", "frm": "from", "yuo": "you",
        "u": "you", "ur": "your", "yuor": "your", "yoru": "your", "abt": "about",
        "hav": "have", "hvae": "have",
        "wnat": "want", "thier": "their",
        "thru": "through", "tho": "though", "cuz": "because", "coz": "because",
        "becuase": "because", "becasue": "because", "beacuse": "because", "tmrw": "tomorrow",
        "tmr": "tomorrow", "tomorow": "tomorrow", "tommorow": "tomorrow", "tommorrow": "tomorrow",
        "tonite": "tonight", "nite": "night", "recieve": "receive", "recieved": "received",
        "recieving": "receiving", "recieves": "receives", "reciept": "receipt",
        "reciepts": "receipts", "recipt": "receipt", "mony": "money", "acount": "account",
        "acct": "account", "accnt": "account", "adress": "address", "addres": "address",
        "pasword": "password", "passwrod": "password", "passowrd": "password", "pw": "password",
        "emial": "email", "emal": "email", "mesage": "message",
        "mesages": "messages", "seperate": "separate", "seperately": "separately",
        "definately": "definitely", "occured": "occurred", "untill": "until", "wich": "which",
        "whcih": "which", "freind": "friend", "buisness": "business", "calender": "calendar",
        "goverment": "government", "enviroment": "environment", "libary": "library",
        "neccessary": "necessary", "necesary": "necessary", "maintainance": "maintenance",
        "lisence": "license", "payed": "paid", "ticekt": "ticket",
        "nubmer": "number", "numer": "number", "bussiness": "business", "chnage": "change",
        "chagne": "change", "cancle": "cancel", "cancell": "cancel", "canel": "cancel",
        "dissapear": "disappear", "dissapeared": "disappeared", "thnaks": "thanks",
        "thansk": "thanks", "pleae": "please", "plase": "please",
    }
)  # fmt: skip


@functools.lru_cache(maxsize=16_384)
def mended(word: str) -> str:
    """A lower-case word of an English text as it was meant."""
    common = _COMMON.get(word)
    if common is not None:
        return common
    if len(word) < _LENGTH_MIN or not word.isascii() or is_english(word):
        return word
    meant = {right for rest in _shortened(word) for right in _by_rest().get(rest, ())}
    meant = {right for right in meant if right[0] == word[0] and _is_one_slip(word, right)}
    is_one = len({lexicon_for("en").root(right) for right in meant}) == 1  # usual, usually
    return max(meant, key=len) if is_one else word


@functools.cache
def _by_rest() -> Mapping[str, tuple[str, ...]]:
    """Words of the lexicon by what is left of them without one of their letters."""
    found: dict[str, list[str]] = {}
    for word in lexicon_for("en").spoken:
        if len(word) >= _LENGTH_MIN:
            for rest in _shortened(word):
                found.setdefault(rest, []).append(word)
    return {rest: tuple(words) for rest, words in found.items()}


def _shortened(word: str) -> Iterable[str]:
    yield word
    for at in range(1, len(word)):
        yield word[:at] + word[at + 1 :]


def _is_one_slip(one: str, other: str) -> bool:
    """Whether two words differ by one letter more, less or other, or by two exchanged."""
    if abs(len(one) - len(other)) > 1:
        return False
    short, long = sorted((one, other), key=len)
    start = next((at for at, letter in enumerate(short) if letter != long[at]), len(short))
    if len(short) < len(long):
        return short[start:] == long[start + 1 :]
    swapped = short[start : start + 2] == long[start : start + 2][::-1]
    return short[start + 1 :] == long[start + 1 :] or (
        swapped and short[start + 2 :] == long[start + 2 :]
    )
