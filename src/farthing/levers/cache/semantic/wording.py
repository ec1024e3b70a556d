"""Wording: a text as a row of tokens in one form, with amounts, names and exact parts recognised.

Read left to right: exact parts (code, quotes, addresses, identifiers), amounts and times, words.
Words lose contractions and inflection; phrases and synonyms become one word each (`lexicon.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from farthing.levers.cache.semantic.amounts import amounts
from farthing.levers.cache.semantic.lexicon import Lexicon
from farthing.levers.cache.semantic.quantity import (
    CURRENCY,
    MAGNITUDE,
    clock_time,
    quantity,
    unit_of,
)
from farthing.levers.cache.semantic.rewording import reworded
from farthing.levers.cache.semantic.symbols import ACCENTS, alone, other, written
from farthing.levers.cache.semantic.token import Kind, Token
from farthing.levers.cache.semantic.typos import mended

__all__ = ["plain_text", "read_tokens"]

_OTHER_CURRENCIES = "₽₩₺₿₪฿₫₦₱₴₸¢"
_DOLLARS: Mapping[str, str] = MappingProxyType(
    {"us$": "usd", "a$": "aud", "au$": "aud", "c$": "cad", "ca$": "cad"}
)
_NUMBER = r"\d+(?:[.,]\d+)*"
_LETTERS = rf"[^\W\d_](?:[^\W\d_]|[{ACCENTS}])*"
_SCAN = re.compile(
    rf"""
    (?P<exact>`[^`]+`|"[^"]+"|«[^»]+»|(?<!\w)'[^']+'(?!\w)|https?://\S+|www\.\S+
        |(?<![\w.+-])[\w.+-]{{1,64}}@[\w-]{{1,63}}\.[\w.-]*\w|(?<!\S)--?[a-zA-Z][\w-]*(?:=\S+)?|(?<!\w)[#@][A-Za-z]\w*
        |\w+(?:[_/\\]\w+)+|\w+\(\)|(?<![\w%\\])[%\\][a-z]\w*(?:\\\w+)*)
    |(?P<date>\d{{4}}-\d{{2}}-\d{{2}}|\d{{1,2}}[/.]\d{{1,2}}[/.]\d{{2,4}})
    |(?P<time>\d{{1,2}}(?::\d{{2}})?\s?(?:[ap]\.?m\b\.?|o'?clock\b)|\d{{1,2}}:\d{{2}}(?!\d))
    |(?P<currency>(?<!\w)[a-z]{{1,3}}\$(?!\s?\d))
    |(?P<money>(?:(?<![\w.])-)?(?:(?<!\w)[a-z]{{1,3}}(?=\$))?[{CURRENCY}]\s?{_NUMBER}(?:\s?(?:k|m|mn|bn)\b)?)
    |(?P<ordinal>\d+(?:st|nd|rd|th)\b)
    |(?P<version>v?\d+(?:\.\d+){{2,}})
    |(?P<code>(?=[\w-]{{0,80}}\d)(?=[\w-]{{0,80}}[^\W\d_])[^\W_]+(?:-?\w+)*)
    |(?P<number>(?<![\w.])-?(?:{_NUMBER}|\.\d+)|{_NUMBER})
    |(?P<word>{_LETTERS}(?:'{_LETTERS})*)
    |(?P<alone>(?<!\S)(?![?!.]+$)[^\w\s]+?(?=[?!.]*$|\s)|(?<!\S)[.!/~\\:;?]+(?=\w))
    |(?P<mark>(?<=\d)!(?!\w)|->|=>|[%{CURRENCY}{_OTHER_CURRENCIES}+*/=<>&°→]|\#(?!\d)|\bvs\b)
    |(?P<other>[^\w\s.,;:?!'"()-]|_)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_DOTTED = re.compile(r"\b(?:U\.S\.A?\.?|U\.K\.?|E\.U\.?|U\.N\.)")
_NUMBER_UNIT = re.compile(rf"({_NUMBER})-?([^\W\d_]+)", re.IGNORECASE)
_NUMBER_PART = re.compile(_NUMBER)
_HALF = re.compile(r"([ap])\.?m", re.IGNORECASE)
_CONTRACTIONS: Mapping[str, str] = MappingProxyType(
    {
        "can't": "can not", "cannot": "can not", "cant": "can not", "won't": "will not",
        "wont": "will not", "shan't": "shall not", "dont": "do not", "doesnt": "does not",
        "didnt": "did not", "isnt": "is not", "arent": "are not", "wasnt": "was not",
        "havent": "have not", "hasnt": "has not", "couldnt": "could not", "wouldnt": "would not",
        "shouldnt": "should not", "ain't": "is not", "whats": "what is", "wheres": "where is",
        "hows": "how is", "whos": "who is", "im": "i am", "ive": "i have", "id": "id",
        "let's": "let us", "unable": "not able", "gonna": "going to", "wanna": "want to",
        "gotta": "got to", "y'all": "you", "d'you": "do you", "dyou": "do you",
    }
)  # fmt: skip
_ENDINGS = (
    ("n't", "not"),
    ("'ll", "will"),
    ("'re", "are"),
    ("'ve", "have"),
    ("'m", "am"),
    ("'d", "would"),
)
_PARTICLES = frozenset(["up", "down", "on", "off", "in", "out", "back", "away"])
_BEHIND_PARTICLES = frozenset(
    [
        "in",
        "on",
        "at",
        "for",
        "from",
        "with",
        "when",
        "if",
        "after",
        "before",
        "using",
        "via",
        "again",
    ]
)
_OPENER_LATEST = 3  # words before it
_GREETING_TIMES = frozenset(["morning", "afternoon", "evening"])
_AFTER_TIMES = frozenset(["after", "or", "and", "is", "was", "of", "to", "for"])
_SOMEONE = frozenset(["someone", "somebody", "anyone", "anybody"])
_IS = frozenset(
    [
        "what",
        "where",
        "who",
        "how",
        "when",
        "why",
        "which",
        "that",
        "it",
        "there",
        "here",
        "he",
        "she",
    ]
)


def plain_text(text: str) -> str:
    """The text in one way of writing (`symbols.written`); case is kept."""
    return written(text)


def read_tokens(plain: str, lexicon: Lexicon) -> tuple[Token, ...]:
    """The tokens of a plain text in order; punctuation is gone."""
    if "." in plain:
        plain = _DOTTED.sub(lambda match: match.group().replace(".", ""), plain)
    has_case = any(map(str.islower, plain))
    found: list[Token] = []
    for match in _SCAN.finditer(plain):
        kind = match.lastgroup or "word"
        raw = match.group()
        if kind == "word" and has_case and not raw.islower() and _is_capital(plain, match):
            found += _capital(raw, lexicon)
        else:
            found += _READERS[kind](raw, lexicon)
    classified = _classified(_phrased(amounts(found, lexicon), lexicon), lexicon)
    return reworded(classified, lexicon) if lexicon.language == "en" else tuple(classified)


def _is_capital(plain: str, match: re.Match[str]) -> bool:
    """Whether a word is written as a name: a capital within a sentence, or two in one word."""
    word = match.group()
    if word in {"I", "I'm", "I'd", "I'll", "I've"} or not any(map(str.isupper, word)):
        return False
    before = plain[: match.start()].rstrip(" '\"(")
    starts = not before or before[-1] in ".!?:;\n-,"
    return not starts or sum(map(str.isupper, word)) >= 2


def _capital(raw: str, lexicon: Lexicon) -> list[Token]:
    """A word written as a name; `US` is the country."""
    lower = "usa" if raw == "US" else raw.lower()
    if (
        lexicon.language == "en"
        and lexicon.phrases.get((lexicon.root(mended(lower)),), "=")[0] == "!"
    ):
        lower = mended(lower)  # Mondy
    found = _word_without_case(lower, lexicon)
    found[-1] = found[-1]._replace(is_capital=True)
    return found


def _exact(raw: str, lexicon: Lexicon) -> list[Token]:
    del lexicon
    return [Token(f"“{raw.strip('`')}", raw, "exact")]


def _date(raw: str, lexicon: Lexicon) -> list[Token]:
    del lexicon
    return [Token(f"@{raw}", raw, "quantity")]


def _time(raw: str, lexicon: Lexicon) -> list[Token]:
    del lexicon
    numbers = [int(part) for part in re.findall(r"\d+", raw)]
    half = _HALF.search(raw)
    minute = numbers[1] if len(numbers) > 1 else 0
    text = clock_time(numbers[0], minute, half.group(1).lower() if half else None)
    return [Token(text, raw, "quantity")]


def _money(raw: str, lexicon: Lexicon) -> list[Token]:
    """An amount behind its symbol; US$5 is $5, and A$5 another."""
    del lexicon
    sign, raw = raw[: raw.startswith("-")], raw.removeprefix("-")
    digits = _NUMBER_PART.search(raw)
    assert digits is not None  # noqa: S101 - the pattern has one
    magnitude = raw[digits.end() :].strip().lower() or None
    symbol = raw[: digits.start()].strip().lower()
    unit = _DOLLARS.get(symbol, symbol[-1])
    text = quantity(sign + digits.group(), unit, magnitude)
    is_known = len(symbol) == 1 or symbol in _DOLLARS
    return [Token(text if is_known else f"{text} {symbol}", raw, "quantity")]


def _ordinal(raw: str, lexicon: Lexicon) -> list[Token]:
    del lexicon
    return [Token(f"#{int(raw[:-2])} th", raw, "quantity")]


def _code(raw: str, lexicon: Lexicon) -> list[Token]:
    """`10GB` and `2-year` are amounts, `10k` a number; `P60` and `AB-123` are identifiers."""
    lower = raw.lower()
    found = _NUMBER_UNIT.fullmatch(lower)
    if found is not None and unit_of(found.group(2)):
        return [Token(quantity(found.group(1), found.group(2)), lower, "quantity")]
    if found is not None and found.group(2) in MAGNITUDE:
        return [Token(quantity(found.group(1), None, found.group(2)), lower, "quantity")]
    if (lower,) in lexicon.phrases:
        return [Token(lower, lower, "word")]
    head, *rest = lower.split("-")
    if head.isdigit() and rest and all(part.isalpha() for part in rest):
        return [Token(f"#{head}", head, "quantity"), *(_word_token(part) for part in rest)]
    return [Token(f"“{lower}", lower, "exact")]


def _number(raw: str, lexicon: Lexicon) -> list[Token]:
    del lexicon
    return [Token(quantity(raw), raw, "quantity")]


def _mark(raw: str, lexicon: Lexicon) -> list[Token]:
    del lexicon
    return [] if raw == "&" else [Token(raw.lower(), raw, "mark")]


def _word(raw: str, lexicon: Lexicon) -> list[Token]:
    """A word without its contraction: `don't` is two words, `Anna's` one and a mark of owning."""
    lower = raw.lower()
    return _word_without_case(mended(lower) if lexicon.language == "en" else lower, lexicon)


def _word_without_case(lower: str, lexicon: Lexicon) -> list[Token]:
    if lexicon.language != "en":
        return [_word_token(part) for part in lower.split("'") if part]
    if lower in _CONTRACTIONS:
        return [_word_token(part) for part in _CONTRACTIONS[lower].split()]
    if "'" not in lower:
        return [_word_token(lower)]
    return _contracted(lower)


def _contracted(lower: str) -> list[Token]:
    for ending, instead in _ENDINGS:
        if lower.endswith(ending):
            return [_word_token(lower.removesuffix(ending)), _word_token(instead)]
    if not lower.endswith("'s"):
        return [_word_token(lower.replace("'", ""))]
    owner = lower[:-2]
    if owner in _SOMEONE:
        return [_word_token("their")]
    if owner in _IS:
        return [_word_token(owner), _word_token("is")]
    return [Token(owner, owner, "word", is_owner=True)]


def _word_token(lower: str) -> Token:
    return Token(lower, lower, "word")


_READERS: Mapping[str, Callable[[str, Lexicon], list[Token]]] = MappingProxyType(
    {
        "exact": _exact,
        "date": _date,
        "time": _time,
        "currency": _mark,
        "money": _money,
        "ordinal": _ordinal,
        "version": _exact,
        "code": _code,
        "number": _number,
        "word": _word,
        "alone": alone,
        "mark": _mark,
        "other": other,
    }
)


def _root(token: Token, lexicon: Lexicon) -> str:
    """What phrases are looked up by; a bare number can be part of one (`2 factor`)."""
    if token.kind == "word":
        return lexicon.root(token.raw)
    return token.raw if token.text == f"#{token.raw}" else "\0"


def _joined(tokens: Sequence[Token], lexicon: Lexicon) -> Sequence[Token]:
    """Verbs with the particle that stands behind their object beside them: turn the light off."""
    found = list(tokens)
    for at in range(len(found) - 1, 1, -1):
        if found[at].raw not in _PARTICLES or (
            at + 1 < len(found) and found[at + 1].raw not in _BEHIND_PARTICLES
        ):
            continue
        if (_root(found[at - 1], lexicon), found[at].raw) in lexicon.phrases:
            continue  # it belongs there: money back
        for verb in range(at - 2, max(at - 6, -1), -1):
            if (_root(found[verb], lexicon), found[at].raw) in lexicon.phrases:
                found.insert(verb + 1, found.pop(at))
                break
    return found


def _phrased(tokens: Sequence[Token], lexicon: Lexicon) -> list[Token]:
    """The longest phrase from each place on becomes its one name."""
    tokens = _joined(tokens, lexicon)
    roots = [_root(token, lexicon) for token in tokens]
    found: list[Token] = []
    index = 0
    while index < len(tokens):
        name, length = None, 0
        if roots[index] in lexicon.phrase_lengths:
            name, length = _phrase_at(tokens, roots, index, lexicon)
        if name is None and index < _OPENER_LATEST and roots[index] in lexicon.opener_lengths:
            name, length = _opener_at(found, roots, index, lexicon)
        if name is None:
            token = tokens[index]
            is_other = token.kind == "word" and token.text != roots[index]
            found.append(token._replace(text=roots[index]) if is_other else token)
            index += 1
            continue
        raw = " ".join(token.raw for token in tokens[index : index + length])
        index = min(index + length, len(tokens))
        is_owner = tokens[index - 1].is_owner
        for part in name.split():
            said = raw if part[0] in "=!" else part
            found.append(Token(part, said, _kind_of(part), is_owner=is_owner))
    return found


def _kind_of(name: str) -> Kind:
    return "operator" if name[0] == "!" else "word"


def _phrase_at(
    tokens: Sequence[Token], roots: Sequence[str], index: int, lexicon: Lexicon
) -> tuple[str | None, int]:
    for length in lexicon.phrase_lengths[roots[index]]:
        name = lexicon.phrases.get(tuple(roots[index : index + length]))
        if name is not None:
            is_in_name = length == 1 and name[0] == "=" and _is_in_name(tokens, index)
            return (None, 0) if is_in_name else (name, length)
    return None, 0


def _is_in_name(tokens: Sequence[Token], index: int) -> bool:
    """Whether a word is part of a longer name: Baker Street is not Baker Road."""
    if not tokens[index].is_capital:
        return False
    is_last = index + 1 == len(tokens)
    return (index > 0 and tokens[index - 1].is_capital) or (
        not is_last and tokens[index + 1].is_capital
    )


def _opener_at(
    found: Sequence[Token], roots: Sequence[str], index: int, lexicon: Lexicon
) -> tuple[str | None, int]:
    """A phrase that a text begins with, behind greetings at most."""
    if all(token.raw in lexicon.filler or token.text in lexicon.frames for token in found):
        for length in lexicon.opener_lengths[roots[index]]:
            name = lexicon.openers.get(tuple(roots[index : index + length]))
            if name is not None:
                return name, length
    return None, 0


def _classified(tokens: Sequence[Token], lexicon: Lexicon) -> list[Token]:
    """Words told apart as names, function words and fillers."""
    found: list[Token] = []
    for index, token in enumerate(tokens):
        kind = token.kind
        if token.raw == "over" and "!above" in lexicon.operators and _is_bound(tokens, index):
            found.append(Token("!above", token.raw, "operator"))
            continue
        if kind == "word":
            if token.raw in lexicon.stop or token.text in lexicon.stop:
                kind = "stop"
            elif token.is_capital:
                kind = "name"
            elif token.raw in lexicon.filler or token.text in lexicon.frames:
                kind = "filler"
            elif index == 0 and token.raw in _GREETING_TIMES and len(tokens) > 1:
                kind = "filler" if tokens[1].raw not in _AFTER_TIMES else kind
        found.append(token if kind == token.kind else token._replace(kind=kind))
    return found


def _is_bound(tokens: Sequence[Token], index: int) -> bool:
    return index + 1 < len(tokens) and tokens[index + 1].kind == "quantity"
