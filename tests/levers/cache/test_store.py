"""Answers that are stored together lie there as if they had come one after the other."""

from __future__ import annotations

import threading

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from farthing.levers.cache import Purge, SqliteAnswers
from farthing.levers.cache.store import Kept
from farthing.levers.cache.writer import Keep, Writer

TABLES = ("entries", "aliases", "marks")


def kept(number, plain=0, *, marks=(), started_us=5, payload=b"x"):
    return Kept(
        key=bytes([number]) * 32,
        plain_key=bytes([plain]) * 32 if plain else b"",
        tenant=b"tenant",
        feature="faq",
        started_us=started_us,
        created_us=10,
        expires_us=1_000,
        payload=payload,
        marks=tuple(bytes([mark]) * 16 for mark in marks),
    )


ANSWERS = st.builds(
    kept,
    st.integers(1, 4),
    st.integers(0, 9),
    marks=st.lists(st.integers(1, 5), max_size=3),
    started_us=st.sampled_from([1, 5, 9]),
    payload=st.binary(min_size=1, max_size=3),
)


def stored(answers):
    return {table: sorted(answers.connection.execute(f"SELECT * FROM {table}")) for table in TABLES}


@settings(max_examples=60)
@given(groups=st.lists(st.lists(ANSWERS, min_size=1, max_size=6), max_size=4), purged=st.booleans())
def test_together_or_one_by_one_the_same_is_stored(tmp_path_factory, groups, purged):
    folder = tmp_path_factory.mktemp("answers")
    found = []
    for name in ("one", "all"):
        answers = SqliteAnswers(folder / name)
        with answers.transaction():
            if purged:
                answers.purge(Purge(at_us=5, mark=bytes([1]) * 16))
            for group in groups:
                if name == "all":
                    answers.keep_all(group)
                else:
                    for one in group:
                        answers.keep(one)
        found.append(stored(answers))
        answers.close()
    assert found[0] == found[1]


def test_more_rows_than_a_statement_takes_are_stored(tmp_path):
    answers = SqliteAnswers(tmp_path / "cache.sqlite")
    many = [
        msgspec.structs.replace(kept(1, marks=(1, 2, 3)), key=number.to_bytes(32, "big"))
        for number in range(1_100)
    ]
    with answers.transaction():
        answers.keep_all(many)
    assert len(stored(answers)["entries"]) == 1_100
    assert len(stored(answers)["marks"]) == 3_300
    answers.close()


def test_an_alias_or_its_answer_is_found_in_one_go(tmp_path):
    answers = SqliteAnswers(tmp_path / "cache.sqlite")
    with answers.transaction():
        answers.keep_all([kept(1, 7, payload=b"one"), kept(2, payload=b"two")])
    one, two, alias, none = (bytes([number]) * 32 for number in (1, 2, 7, 9))
    assert answers.find(two, 10, plain_key=alias) == (two, b"two")  # the very answer goes first
    assert answers.find(none, 10, plain_key=alias) == (one, b"one")
    assert answers.find(none, 10) is None
    assert answers.find(one, 1_000, plain_key=alias) is None  # expired
    answers.close()


def test_writes_and_answers_are_written_in_the_order_in_which_they_came(tmp_path):
    path = tmp_path / "cache.sqlite"
    writer = Writer(path)
    seen = []

    def look(answers):
        seen.append(len(stored(answers)["entries"]))

    for number in (1, 2):
        writer.put(Keep(lambda number=number: kept(number)))
    writer.put(look)
    writer.put(Keep(lambda: kept(3)))
    writer.put(look)
    writer.flush()
    assert seen == [2, 3]
    writer.close()


def test_who_waits_for_what_is_written_does_not_wait_for_more_to_come(tmp_path):
    """`flush` and `close` come back although nothing else is put."""
    writer = Writer(tmp_path / "cache.sqlite")
    written = threading.Event()
    writer.put(lambda _: written.set())
    writer.flush()
    assert written.is_set()
    writer.put(Keep(lambda: kept(1)))
    writer.close()
    answers = SqliteAnswers(tmp_path / "cache.sqlite")
    assert len(stored(answers)["entries"]) == 1
    answers.close()


def test_a_write_that_fails_ends_none_that_come_after_it(tmp_path, caplog):
    writer = Writer(tmp_path / "cache.sqlite")
    writer.put(lambda _: 1 / 0)
    writer.flush()
    assert "were not stored; calls go on" in caplog.text
    writer.put(Keep(lambda: kept(1)))
    writer.close()
    answers = SqliteAnswers(tmp_path / "cache.sqlite")
    assert len(stored(answers)["entries"]) == 1
    answers.close()
