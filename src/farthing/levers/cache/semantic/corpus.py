"""Files for `farthing cache eval`: pairs, conversation pairs, labelled questions.

Read are JSON lines, CSV and TSV (gzip and zstd too) of `{"a", "b", "same"}`, where a and b are texts or
lists of messages, or under the names that published sets give them (`question1`, `sentence1`, `text1`;
`is_duplicate`, `label` of 0 and 1); of `{"text", "intent" | "category" | "label"}`; and CLINC's JSON
of splits. A line that can't be read is counted with its number, and the rest goes on.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from farthing.compression import unpacked
from farthing.errors import CallerError

__all__ = ["Corpus", "Labelled", "Pair", "clusters", "read_corpus"]

_LABELS = ("intent", "category", "label", "answer", "cluster")
_SIDES = (
    ("a", "b"),
    ("question1", "question2"),
    ("sentence1", "sentence2"),
    ("text1", "text2"),
    ("q1", "q2"),
    ("query1", "query2"),
)
_SAME = ("same", "same_answer", "is_duplicate", "duplicate", "label", "gold_label")
_WORDS = {
    **dict.fromkeys(("1", "1.0", "true", "yes"), True),
    **dict.fromkeys(("0", "0.0", "false", "no"), False),
}
_TABLES = {".csv": ",", ".tsv": "\t"}
_OUT_OF_SCOPE = "oos"
_BAD_LINES_KEPT = 20


@dataclass(frozen=True, slots=True)
class Pair:
    """Two questions, what stood before each, and whether one answer serves both."""

    first: str
    second: str
    is_same: bool
    first_context: str = ""
    second_context: str = ""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A question and the label of its answer."""

    text: str
    answer: str


@dataclass(slots=True)
class Corpus:
    """What was read, and the lines that could not be: (file:line, why)."""

    pairs: list[Pair] = field(default_factory=list[Pair])
    labelled: list[Labelled] = field(default_factory=list[Labelled])
    bad_lines: int = 0
    bad_samples: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def refuse(self, place: str, why: str) -> None:
        """Count a line that can't be used."""
        self.bad_lines += 1
        if len(self.bad_samples) < _BAD_LINES_KEPT:
            self.bad_samples.append((place, why))


def read_corpus(path: Path) -> Corpus:
    """Everything readable in a file, or in the files of a folder.

    Raises:
        CallerError: there is nothing in it to compare.
    """
    corpus = Corpus()
    files = sorted(path.rglob("*.*")) if path.is_dir() else [path]
    for file in files:
        if file.is_file() and _suffix(file) in {".jsonl", ".json", *_TABLES}:
            _read_file(file, corpus)
    if not corpus.pairs and not corpus.labelled:
        told = "".join(f"\n  {place}: {why}" for place, why in corpus.bad_samples[:5])
        raise CallerError(
            f"{path} holds no pairs and no labelled questions ({corpus.bad_lines} bad lines). Wanted "
            f'are lines of {{"a", "b", "same"}} or of {{"text", "intent"}}.{told}'
        )
    return corpus


def _suffix(file: Path) -> str:
    return Path(file.stem).suffix if file.suffix in (".gz", ".zst") else file.suffix


def _read_file(file: Path, corpus: Corpus) -> None:
    data = file.read_bytes()
    try:
        data = unpacked(data)
    except ValueError as error:
        raise CallerError(
            f"{file} can't be unpacked: {error}.\nNothing was done.\nPack it again."
        ) from error
    text = data.decode("utf-8-sig", errors="replace")
    rows: Iterable[tuple[int, Any]]
    if (delimiter := _TABLES.get(_suffix(file))) is not None:
        rows = _table_rows(text, delimiter, file)
    else:
        rows = _json_rows(text, file, corpus)
    for number, row in rows:
        _take(row, f"{file.name}:{number}", corpus)


def _table_rows(text: str, delimiter: str, file: Path) -> Iterator[tuple[int, Any]]:
    """The rows under the header's names, each with the number of the line on which it ends."""
    is_bare = delimiter == "\t" and any(line.count('"') % 2 for line in text.split("\n"))
    quoting = csv.QUOTE_NONE if is_bare else csv.QUOTE_MINIMAL  # else a quote swallows lines
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting)
    try:
        for row in rows:
            yield rows.line_num, row
    except csv.Error as error:
        raise CallerError(
            f"{file.name} can't be read as a table behind line {rows.line_num}: {error}.\nNothing was "
            "done.\nMend the next line, or write the file as JSON lines."
        ) from error


def _json_rows(text: str, file: Path, corpus: Corpus) -> Iterator[tuple[int, Any]]:
    """JSON lines; or one document: a list of rows, or lists of [text, label] by split."""
    if _suffix(file) == ".json":
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            document = None
        if document is not None:
            yield from enumerate(_members(document), 1)
            return
    for number, line in enumerate(text.split("\n"), 1):  # texts may hold other line breaks
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except (ValueError, RecursionError) as error:
            corpus.refuse(f"{file.name}:{number}", f"no JSON: {error}")


def _members(document: Any) -> Iterator[Any]:
    if isinstance(document, list):
        yield from cast("list[Any]", document)
    elif isinstance(document, dict):
        for split in cast("dict[str, Any]", document).values():
            if isinstance(split, list):
                yield from cast("list[Any]", split)


def _take(row: Any, place: str, corpus: Corpus) -> None:
    if isinstance(row, list) and len(cast("list[Any]", row)) == 2:
        text, label = cast("list[Any]", row)
        row = {"text": text, "label": label}
    if not isinstance(row, dict):
        corpus.refuse(place, "not an object")
        return
    said = cast("dict[str, Any]", row)
    sides = next((names for names in _SIDES if said.keys() >= set(names)), None)
    if sides is not None:
        _take_pair(said, sides, place, corpus)
        return
    label = next((said[name] for name in _LABELS if isinstance(said.get(name), str)), None)
    text = said.get("text")
    if not isinstance(text, str) or not _is_text(text) or label is None:
        corpus.refuse(place, 'neither {"a", "b", "same"} nor {"text", "intent"}')
        return
    # What is out of scope is alike in nothing: each such question is its own answer.
    answer = f"{_OUT_OF_SCOPE}:{text}" if label == _OUT_OF_SCOPE else label
    corpus.labelled.append(Labelled(text, answer))


def _take_pair(row: Mapping[str, Any], sides: tuple[str, str], place: str, corpus: Corpus) -> None:
    same = _truth(next((row[name] for name in _SAME if row.get(name) is not None), None))
    first, second = _split(row[sides[0]]), _split(row[sides[1]])
    if same is None or first is None or second is None:
        why = f'"{sides[0]}" and "{sides[1]}" are texts or messages, "same" is true or false'
        corpus.refuse(place, why)
        return
    corpus.pairs.append(Pair(first[1], second[1], same, first[0], second[0]))


def _truth(told: Any) -> bool | None:
    """True or false, as files write it; None where it is neither."""
    return told if isinstance(told, bool) else _WORDS.get(str(told).strip().lower())


def _split(side: Any) -> tuple[str, str] | None:
    """What stands before the last user text, in one form; and that text."""
    if isinstance(side, str):
        return ("", side) if _is_text(side) else None
    if not isinstance(side, list) or not side:
        return None
    messages = cast("list[Any]", side)
    last = messages[-1]
    if not isinstance(last, dict) or not isinstance(
        cast("dict[str, Any]", last).get("content"), str
    ):
        return None
    before = json.dumps(messages[:-1], sort_keys=True) if messages[:-1] else ""
    said = str(cast("dict[str, Any]", last)["content"])
    return (before, said) if _is_text(said) else None


def _is_text(text: str) -> bool:
    """Whether there is something to compare; JSON may hold half of a surrogate pair."""
    return bool(text.strip()) and not any("\ud800" <= character <= "\udfff" for character in text)


def clusters(pairs: Sequence[Pair]) -> list[Labelled]:
    """The distinct texts of first-turn pairs, those that share an answer under one label."""
    parent: dict[str, str] = {}

    def root(text: str) -> str:
        while parent[text] != text:
            parent[text] = parent[parent[text]]
            text = parent[text]
        return text

    for pair in pairs:
        if pair.first_context or pair.second_context:
            continue
        for text in (pair.first, pair.second):
            parent.setdefault(text, text)
        if pair.is_same:
            parent[root(pair.first)] = root(pair.second)
    return [Labelled(text, root(text)) for text in parent]
