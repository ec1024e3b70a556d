"""What the guards know of a language: function words, operators, synonyms, opposites, numbers.

The words stand in `lexicon/LANGUAGE.toml`, so that a domain can be read and mended by people. A
text in a language without a lexicon is compared word by word: nothing is dropped as a function
word, so only the very same words match.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from farthing.levers.cache.semantic.spelling import one_spelling
from farthing.levers.cache.semantic.wordpiece import is_known_word

__all__ = ["LEXICON_VERSION", "Lexicon", "language_of", "lexicon_for", "stem"]

LEXICON_VERSION = "2026-11-26"
_LANGUAGES = ("en", "es", "fr", "de")
_VOWEL = re.compile(r"[aeiouy]")
_WORD = re.compile(r"[^\W\d_]+")
# Words that only look inflected.
_WHOLE_WORDS = (
    "jane bleed heed reed greed creed shed sled shred embed hundred sacred naked wicked kindred "
    "thing nothing something anything everything during morning evening string spring king "
    "ring sing bring need feed seed speed weed wing sting ceiling news bus gas plus this his "
    "as is was has us yes always address access business process class pass loss less press "
    "express series species status bonus campus virus corpus analysis basis diabetes paris "
    "texas wales perhaps parking red bed used based wednesday united breed indeed exceed "
    "succeed proceed sibling darling lens sms dns aws ios gps https tls ssl os js css"
)
_WHOLE = frozenset(_WHOLE_WORDS.split())

_DERIVED_MIN = 7
_BASE_MIN = 4
_DERIVED = (
    ("ily", "y"),
    ("ically", "ic"),
    ("ly", ""),
    ("ly", "le"),
    ("ment", ""),
    ("ance", ""),
    ("ance", "e"),
    ("ness", ""),
)
# Words that have left behind what they were made from.
_NOT_DERIVED = frozenset(
    [
        "hardly",
        "lately",
        "nearly",
        "barely",
        "scarcely",
        "likely",
        "unlikely",
        "shortly",
        "friendly",
        "costly",
        "directly",
        "deadly",
        "presently",
        "namely",
        "roughly",
        "mostly",
        "partly",
        "homely",
        "lonely",
        "lively",
        "elderly",
        "family",
        "assembly",
        "monthly",
        "weekly",
        "yearly",
        "hourly",
        "quarterly",
        "nightly",
        "fortnightly",
        "butterfly",
        "apartment",
        "department",
        "compartment",
        "statement",
        "document",
        "moment",
        "element",
        "comment",
        "cement",
        "segment",
        "environment",
        "government",
        "basement",
        "parliament",
        "experiment",
        "supplement",
        "implement",
        "requirement",
        "instrument",
        "fragment",
        "pavement",
        "tournament",
        "ornament",
        "monument",
        "allowance",
        "finance",
        "advance",
        "romance",
        "balance",
        "distance",
        "instance",
        "substance",
        "circumstance",
        "appliance",
        "entrance",
        "witness",
        "business",
        "harness",
        "wilderness",
        "fitness",
        "assistance",
        "importance",
        "apartment",
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexicon:
    """One language. Phrases are tuples of words as `stem` leaves them.

    `frames` names the phrases that stand around a question and say nothing of it. `facts` are
    things that one looks up; `openers` are phrases at the beginning of a text; `on_screen` names what is done where it is found. `spoken` has every
    word of the phrases and of the function words as written.
    """

    language: str
    stop: frozenset[str]
    filler: frozenset[str]
    operators: frozenset[str]
    frames: frozenset[str]
    phrases: Mapping[tuple[str, ...], str]
    opposites: frozenset[frozenset[str]]
    irregular: Mapping[str, str]
    numbers: Mapping[str, str]
    scales: Mapping[str, str]
    ordinals: Mapping[str, str]
    fractions: Mapping[str, str]
    counting: frozenset[str]  # all words of the four above
    openers: Mapping[tuple[str, ...], str]
    opener_lengths: Mapping[str, tuple[int, ...]]
    facts: frozenset[str]
    on_screen: frozenset[str]
    spoken: frozenset[str]
    phrase_lengths: Mapping[str, tuple[int, ...]]  # by first word; the longest first

    def root(self, word: str) -> str:
        """The form under which `word` is compared: irregular forms first, then the stem."""
        return _root(word, self.language, self.irregular)


def stem(word: str) -> str:
    """An English word without plural, -ing, -ed and the silent e: the same for its forms."""
    if len(word) <= 3 or word in _WHOLE:
        return word
    for ending, instead in (("ies", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("s", "")):
        rest = word[: -len(ending)] + instead
        if not word.endswith(ending) or len(rest) < 3 or not _VOWEL.search(rest):
            continue
        if ending == "s" and word.endswith(("ss", "us", "is")):
            continue
        return _bare(rest)
    return _bare(word)


def _bare(rest: str) -> str:
    if rest.endswith("e") and len(rest) > 3:
        rest = rest[:-1]
    steady = "aeiouszf" if len(rest) > 4 else "aeiouszfl"  # fill is not file
    if len(rest) > 3 and rest[-1] == rest[-2] and rest[-1] not in steady:
        rest = rest[:-1]
    return rest


def _root(word: str, language: str, irregular: Mapping[str, str]) -> str:
    found = irregular.get(word) or irregular.get(word.removesuffix("s")) or word
    return _bare_form(found) if language == "en" else found


@functools.lru_cache(maxsize=16_384)  # most words of a question are common ones
def _bare_form(word: str) -> str:
    return stem(_underived(one_spelling(word)))


def _underived(word: str) -> str:
    """The word that `word` is made from, for endings that keep its meaning: safely, investment."""
    if len(word) < _DERIVED_MIN or word in _NOT_DERIVED:
        return word
    bare = word.removesuffix("s") if word.endswith(("ments", "ances")) else word
    for ending, instead in _DERIVED:
        if bare.endswith(ending) and bare not in _NOT_DERIVED:
            base = bare[: -len(ending)] + instead
            if len(base) >= _BASE_MIN and is_known_word(base):
                return base
    return word


@functools.cache
def lexicon_for(language: str) -> Lexicon:
    """The lexicon of a language code; an empty one where there is none."""
    if language not in _LANGUAGES:
        return _built(language, {})
    folder = resources.files("farthing.levers.cache.semantic").joinpath("lexicon")
    return _built(language, tomllib.loads(folder.joinpath(f"{language}.toml").read_text("utf-8")))


def _built(language: str, said: Mapping[str, Any]) -> Lexicon:
    irregular: dict[str, str] = dict(_pairs(said.get("irregular", {}).get("pairs", "")))
    root = functools.partial(_root, language=language, irregular=irregular)
    phrases: dict[tuple[str, ...], str] = {}
    for section, prefix in (("operators", "!"), ("frames", "="), ("same", "=")):
        for name, wordings in said.get(section, {}).items():
            for wording in wordings:
                words = tuple(map(root, str(wording).split()))
                phrases.setdefault(words, f"{prefix}{name}")
    for name, wordings in said.get("several", {}).items():
        named_words = " ".join(
            word if word[0] == "=" else phrases.get((root(word),), root(word))
            for word in name.split()
        )
        for wording in wordings:
            phrases.setdefault(tuple(map(root, str(wording).split())), named_words)
    openers = {
        tuple(map(root, str(wording).split())): f"={name}"
        for name, wordings in said.get("openers", {}).items()
        for wording in wordings
    }
    numbers = said.get("numbers", {})
    counting = {word for pairs in numbers.values() for word, _ in _pairs(pairs)}

    def named(word: str) -> str:
        bare = root(word)
        return phrases.get((bare,), bare)

    return Lexicon(
        language=language,
        stop=frozenset(root(word) for word in said.get("stop", "").split())
        | frozenset(said.get("stop", "").split()),
        filler=frozenset(said.get("filler", "").split()),
        operators=frozenset(f"!{name}" for name in said.get("operators", {})),
        frames=frozenset(f"={name}" for name in (*said.get("frames", {}), "opener")),
        phrases=phrases,
        opposites=frozenset(
            frozenset(map(named, pair))
            for pair in _pairs(said.get("opposites", {}).get("pairs", ""))
        ),
        irregular=irregular,
        numbers=dict(_pairs(numbers.get("words", ""))),
        scales=dict(_pairs(numbers.get("scales", ""))),
        ordinals=dict(_pairs(numbers.get("ordinals", ""))),
        fractions=dict(_pairs(numbers.get("fractions", ""))),
        openers=openers,
        opener_lengths=_lengths(openers),
        facts=frozenset(map(named, said.get("facts", "").split())),
        on_screen=frozenset(map(named, said.get("on_screen", "").split())),
        spoken=frozenset(_spoken(said)),
        counting=frozenset(counting),
        phrase_lengths=_lengths(phrases),
    )


def _spoken(said: Mapping[str, Any]) -> Iterable[str]:
    yield from f"{said.get('stop', '')} {said.get('filler', '')}".split()
    for section in ("operators", "frames", "same", "several", "openers"):
        for wordings in said.get(section, {}).values():
            for wording in wordings:
                yield from str(wording).split()
    for form, word in _pairs(said.get("irregular", {}).get("pairs", "")):
        yield from (form, word)


def _lengths(phrases: Iterable[tuple[str, ...]]) -> Mapping[str, tuple[int, ...]]:
    found: dict[str, set[int]] = {}
    for phrase in phrases:
        found.setdefault(phrase[0], set()).add(len(phrase))
    return {first: tuple(sorted(lengths, reverse=True)) for first, lengths in found.items()}


def _pairs(text: str) -> Iterable[tuple[str, str]]:
    for part in text.split(";"):
        words = part.split()
        if len(words) == 2:
            yield words[0], words[1]


@functools.cache
def _detectors() -> Mapping[str, tuple[str, ...]]:
    """The languages that each function word tells of."""
    folder = resources.files("farthing.levers.cache.semantic").joinpath("lexicon")
    found: dict[str, tuple[str, ...]] = {}
    for language in _LANGUAGES:
        said = tomllib.loads(folder.joinpath(f"{language}.toml").read_text("utf-8"))
        for word in dict.fromkeys(said["detect"].split()):
            found[word] = (*found.get(word, ()), language)
    return found


def language_of(text: str) -> str:
    """`en`, `es`, `fr`, `de`, or `und` where the function words do not tell.

    Without function words, text whose words the English vocabulary mostly knows is English.
    """
    words = _WORD.findall(text.lower())
    telling = _detectors()
    counts: dict[str, int] = dict.fromkeys(_LANGUAGES, 0)
    for word in words:
        for name in telling.get(word, ()):
            counts[name] += 1
    best = max(counts, key=counts.__getitem__)
    rivals = sorted(counts.values())
    if counts[best] > 0 and counts[best] > rivals[-2]:
        return best
    is_plain = all(character.isascii() for character in text if character.isalpha())
    known = sum(map(is_known_word, words))
    if is_plain and counts["en"] == counts[best] and 5 * known >= 3 * len(words) > 0:
        return "en"
    return "und"
