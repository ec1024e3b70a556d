import contextlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_samples import DAY_US, NOON_US, an_attempt, an_entry, many_entries

from farthing.ledger import CallStatus, ReportQuery, SqliteStore
from farthing.ledger.measure import Latencies, latencies
from farthing.ledger.report import build_report
from farthing.ledger.rollup import are_kept, parts
from farthing.ledger.store import Batch
from farthing.money import Money

HOUR_US = 3_600_000_000
COVERED = ["feature", "tenant", "environment", "model", "endpoint", "status"]
COVERED += ["provider", "model_sent", "model_served", "pricing", "day", "hour"]
bounds = st.none() | st.integers(NOON_US - 3 * DAY_US, NOON_US + DAY_US)


class RowsOnly:
    """A store as one sees it who knows nothing of roll-ups."""

    def __init__(self, store):
        self._store = store

    def query(self, sql, parameters=()):
        return self._store.query(sql, parameters)


@pytest.fixture
def store():
    with contextlib.closing(SqliteStore(Path(":memory:"))) as made:
        yield made


def both(store, query):
    """The report from roll-ups, and the same from rows alone."""
    return (
        build_report([store], query).document(),
        build_report([RowsOnly(store)], query).document(),
    )


@settings(max_examples=60)
@given(
    many_entries,
    st.integers(0, 8),
    st.lists(st.sampled_from(COVERED), max_size=3, unique=True),
    bounds,
    bounds,
)
def test_a_report_says_the_same_from_rollups_as_from_rows(
    entries, cut, by, since_us, until_us
):  # L4
    with contextlib.closing(SqliteStore(Path(":memory:"))) as store:
        store.post(Batch(entries=entries[:cut]))
        store.post(Batch(entries=entries[cut:]))
        store.post(Batch(entries=entries))  # known already: nothing counts twice
        rolled, read = both(store, ReportQuery(by=tuple(by), since_us=since_us, until_us=until_us))
        assert rolled == read


@settings(max_examples=25)
@given(many_entries, st.sampled_from(COVERED))
def test_a_filtered_report_says_the_same_from_rollups(entries, name):
    with contextlib.closing(SqliteStore(Path(":memory:"))) as store:
        store.post(Batch(entries=entries))
        for row in build_report([store], ReportQuery(by=(name,))).rows:
            rolled, read = both(store, ReportQuery(where=dict(row.dimensions)))
            assert rolled == read


@settings(max_examples=25)
@given(many_entries, bounds, bounds)
def test_rollups_follow_when_rows_are_sealed(entries, one_us, other_us):
    since_us, until_us = sorted((one_us or 0, other_us or NOON_US))
    with contextlib.closing(SqliteStore(Path(":memory:"))) as store:
        store.post(Batch(entries=entries))
        store.seal(None, since_us, until_us)
        rolled, read = both(store, ReportQuery(by=("feature", "hour")))
        assert rolled == read


def test_only_the_edges_of_a_question_are_read_from_rows(store):
    query = ReportQuery(by=("feature",), since_us=HOUR_US + 1, until_us=4 * HOUR_US + 5)
    found = [(p.query.since_us, p.query.until_us, p.is_rolled) for p in parts(store, query)]
    assert found == [
        (2 * HOUR_US, 4 * HOUR_US, True),
        (HOUR_US + 1, 2 * HOUR_US, False),
        (4 * HOUR_US, 4 * HOUR_US + 5, False),
    ]


@pytest.mark.parametrize(
    "query",
    [
        ReportQuery(by=("user",)),
        ReportQuery(where={"tag:team": "a"}),
        ReportQuery(since_us=HOUR_US + 1, until_us=2 * HOUR_US - 1),
    ],
    ids=["a dimension without roll-ups", "a filter without", "less than an hour"],
)
def test_what_rollups_do_not_know_is_read_from_rows(store, query):
    assert [part.is_rolled for part in parts(store, query)] == [False]


def test_a_report_over_rollups_reads_no_more_lines_than_hours_and_kinds_of_calls(store):
    store.post(Batch(entries=[an_entry(f"call-{n}") for n in range(50)]))
    assert list(store.query("SELECT COUNT(*), SUM(sum_0) FROM rollups")) == [(1, 50)]


@pytest.mark.parametrize("batches", [1, 2], ids=["in one batch", "in two"])
def test_sums_that_no_number_holds_give_up_the_rollups_and_keep_the_entries(store, batches):  # L6
    vast = [an_entry(name, attempts=(an_attempt(cost=2**62),)) for name in ("a", "b")]
    if batches == 1:
        store.post(Batch(entries=vast))
    else:
        store.post(Batch(entries=vast[:1]))
        store.post(Batch(entries=vast[1:]))
    assert not are_kept(store)
    store.post(Batch(entries=[an_entry("c")]))
    assert list(store.query("SELECT COUNT(*) FROM entries")) == [(3,)]
    assert list(store.query("SELECT COUNT(*) FROM rollups")) == [(0,)]
    report = build_report([store], ReportQuery(by=("feature",), until_us=NOON_US))
    assert report.total == Money(0)


@pytest.mark.parametrize(
    ("took_us", "told_ms"),
    [(999, 0), (999_999, 999), (1_004_999, 1_005), (12_345_678, 12_350), (123_456_789, 123_500)],
)
def test_latencies_are_exact_below_a_second_and_to_half_a_percent_above(store, took_us, told_ms):
    store.post(Batch(entries=[an_entry(duration_us=took_us)]))
    assert latencies([store], ReportQuery())[()].percentile_ms(50) == told_ms
    assert abs(told_ms - took_us / 1000) <= max(1, 0.005 * told_ms)


def test_calls_that_failed_have_no_part_in_latencies(store):
    failed = an_entry(duration_us=5, status=CallStatus.ERROR)
    store.post(Batch(entries=[failed, msgspec.structs.replace(failed, call_id="b")]))
    assert latencies([store], ReportQuery()) == {}
    assert Latencies().percentile_ms(50) is None
