"""WordPiece: text to the token numbers of an uncased BERT vocabulary.

The vocabulary also serves as a dictionary of common English words.

`vocabulary.txt` is the vocabulary of bert-base-uncased, Apache-2.0 (see NOTICE), sha256
07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterator, Mapping
from importlib import resources

__all__ = ["VOCABULARY_SHA256", "is_known_word", "token_ids"]

VOCABULARY_SHA256 = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
_UNKNOWN, _START, _END = 100, 101, 102
_WORD_CHARACTERS_MAX = 100


@functools.cache
def _vocabulary() -> Mapping[str, int]:
    source = resources.files("farthing.levers.cache.semantic").joinpath("vocabulary.txt")
    words = source.read_text(encoding="utf-8").split("\n")
    return {word: number for number, word in enumerate(words) if word}


def is_known_word(word: str) -> bool:
    """Whether the vocabulary has this lower-case word as a whole: it is common, and no slip."""
    return word in _vocabulary()


def token_ids(text: str, tokens_max: int) -> list[int]:
    """The token numbers of `text` with start and end marks; at most `tokens_max` of them."""
    found: list[int] = [_START]
    for word in _words(text):
        found += _pieces(word)
        if len(found) >= tokens_max:
            break
    return [*found[: tokens_max - 1], _END]


def _words(text: str) -> Iterator[str]:
    """Lower-case words without accents; each punctuation mark and CJK character by itself."""
    plain = unicodedata.normalize("NFD", text.lower())
    kept: list[str] = []
    for character in plain:
        category = unicodedata.category(character)
        if category == "Mn" or (category in {"Cc", "Cf"} and not character.isspace()):
            continue
        if _stands_alone(character, category):
            kept.append(f" {character} ")
        else:
            kept.append(character)
    yield from "".join(kept).split()


def _stands_alone(character: str, category: str) -> bool:
    code = ord(character)
    is_ascii_mark = 33 <= code <= 126 and not character.isalnum()
    is_cjk = 0x4E00 <= code <= 0x9FFF or 0x3400 <= code <= 0x4DBF or 0xF900 <= code <= 0xFAFF
    return is_ascii_mark or category.startswith("P") or is_cjk


@functools.lru_cache(maxsize=32_768)
def _pieces(word: str) -> tuple[int, ...]:
    """The longest pieces from the left; one unknown mark where a rest has no piece."""
    vocabulary = _vocabulary()
    if len(word) > _WORD_CHARACTERS_MAX:
        return (_UNKNOWN,)
    found: list[int] = []
    start = 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = word[start:end] if start == 0 else f"##{word[start:end]}"
            number = vocabulary.get(piece)
            if number is not None:
                break
        else:
            return (_UNKNOWN,)
        found.append(number)
        start = end
    return tuple(found)
