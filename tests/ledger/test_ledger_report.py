import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_samples import DAY_US, NOON_US, a_folder, an_attempt, an_entry, many_entries

from farthing.call import Attribution, Conversation
from farthing.ledger import (
    DIMENSIONS,
    CallStatus,
    Ledger,
    LedgerSettings,
    LeverMove,
    ReportQuery,
    SqliteStore,
)
from farthing.ledger.measure import Distinct
from farthing.ledger.report import build_report
from farthing.ledger.store import Batch
from farthing.money import Money

ALL_DIMENSIONS = [*DIMENSIONS, "tag:team", "tag:a.b", "tag:it's"]


@pytest.fixture
def store():
    with contextlib.closing(SqliteStore(Path(":memory:"))) as made:
        yield made


def reported(store, *entries, **query):
    store.post(Batch(entries=entries))
    return build_report([store], ReportQuery(**query))


@settings(max_examples=40)
@given(many_entries, st.lists(st.sampled_from(ALL_DIMENSIONS), max_size=3, unique=True))
def test_every_total_equals_the_sum_of_its_lines_to_the_nanodollar(entries, by):  # L4
    store = SqliteStore(Path(":memory:"))
    report = reported(store, *entries, by=tuple(by))
    store.close()
    attempts = [attempt for entry in entries for attempt in entry.attempts]
    cost = sum(a.cost.nanodollars for a in attempts if a.cost is not None)
    assert report.total == Money(cost)
    assert sum(row.cost.nanodollars for row in report.rows) == cost
    calls = [entry for entry in entries if not entry.corrects]
    assert report.calls == sum(row.calls for row in report.rows) == len(calls)
    assert report.corrections == len(entries) - len(calls)
    assert report.attempts == sum(row.attempts for row in report.rows) == len(attempts)
    assert sum(report.statuses.values()) == len(calls)
    assert report.unpriced.attempts == sum(entry.unpriced for entry in entries)
    tokens = sum(a.usage.prompt_tokens for a in attempts)
    assert sum(row.usage.prompt_tokens for row in report.rows) == tokens
    assert sum(m.nanodollars for m in report.multipliers.by_environment.values()) == cost


@settings(max_examples=40)
@given(many_entries)
def test_baseline_less_savings_plus_spending_is_the_total(entries):
    store = SqliteStore(Path(":memory:"))
    report = reported(store, *entries)
    store.close()
    saved = sum(move.saved.nanodollars for move in report.levers)
    spent = sum(move.spent.nanodollars for move in report.levers)
    assert report.baseline.nanodollars - saved + spent == report.total.nanodollars
    assert report.saved.nanodollars == saved - spent


@settings(max_examples=15)
@given(many_entries, st.sampled_from(ALL_DIMENSIONS))
def test_what_is_missing_is_a_bucket_that_one_can_ask_for(entries, name):  # L4
    store = SqliteStore(Path(":memory:"))
    report = reported(store, *entries, by=(name,))
    for row in report.rows:
        ((_, value),) = row.dimensions.items()
        again = build_report([store], ReportQuery(where={name: value}))
        assert (again.total, again.calls, again.attempts) == (row.cost, row.calls, row.attempts)
    store.close()


def test_two_sources_report_like_one():
    entries = [
        an_entry(
            f"call-{number}",
            started_us=NOON_US + number * DAY_US // 4,
            attribution=Attribution(session=f"s{number % 3}", trace=f"t{number % 2}"),
            conversation=Conversation(turn=number % 2, last_turn="ab"),
        )
        for number in range(12)
    ]
    with a_folder() as name:
        store = SqliteStore(Path(name) / "ledger.sqlite")
        with contextlib.closing(store):
            whole = reported(store, *entries, by=("session",)).document()
            ledger = Ledger(Path(name), LedgerSettings(), store)
            ledger._archive.seal(NOON_US - NOON_US % DAY_US + DAY_US)
            assert ledger.report(ReportQuery(by=("session",))).document() == whole


def test_the_unattributed_sum_is_what_lacks_an_attribution_that_was_asked_for(store):
    some = an_entry("a", attribution=Attribution(feature="search", user="ann"))
    nobody = an_entry("b", attribution=Attribution(feature="search"))
    nothing = an_entry("c", attribution=Attribution())
    report = reported(store, some, nobody, nothing, by=("model",))
    assert report.unattributed == Money(5_000)
    by_user = build_report([store], ReportQuery(by=("user", "model")))
    assert by_user.unattributed == Money(10_000)
    assert {row.dimensions["user"] for row in by_user.rows} == {"ann", "unattributed"}


def test_what_has_no_price_is_a_line_of_its_own(store):  # L5
    report = reported(store, an_entry("a", attempts=(an_attempt(1), an_attempt(2, cost=None))))
    assert report.total == Money(5_000)
    unpriced = report.document()["unpriced"]
    assert unpriced == {"attempts": 1, "input_tokens": 120, "output_tokens": 30}


def test_regenerations_are_questions_answered_again(store):
    whom = Attribution(session="s")
    turn = Conversation(turn=1, last_turn="ab")
    asked = [
        an_entry("a", attribution=whom, conversation=turn),
        an_entry("b", attribution=whom, conversation=turn),
        an_entry("c", attribution=whom, conversation=turn, status=CallStatus.ERROR),
        an_entry("d", attribution=whom, conversation=Conversation(turn=2, last_turn="cd")),
        an_entry("e", conversation=turn),
    ]
    multipliers = reported(store, *asked).multipliers
    assert multipliers.regenerations == Distinct(3, 2)
    assert multipliers.regenerations.ratio == 1.5
    assert multipliers.turns == Distinct(2, 1)
    assert multipliers.steps.ratio is None


def test_second_answers_are_no_turns_and_no_steps_of_the_call_they_are_for(store):
    whom = Attribution(session="s", trace="t")
    aside = Attribution(session="s", trace="t", tags={"farthing-for": "a", "team": "x"})
    asked = [
        an_entry("a", attribution=whom, conversation=Conversation(turn=1, last_turn="ab")),
        an_entry("b", attribution=aside, conversation=Conversation()),
    ]
    report = reported(store, *asked)
    assert report.multipliers.turns == Distinct(1, 1)
    assert report.multipliers.steps == Distinct(1, 1)
    assert report.total == Money(10_000)


def test_latencies_are_exact_percentiles_of_answered_calls(store):
    calls = [an_entry(f"call-{ms}", duration_us=ms * 1000 + 999) for ms in range(1, 101)]
    failed = an_entry("failed", duration_us=9_000_000, status=CallStatus.ERROR)
    untimed = an_entry("untimed", duration_us=0)
    report = reported(store, *calls, failed, untimed, by=("feature",))
    assert (report.p50_ms, report.p95_ms) == (50, 95)
    assert (report.rows[0].p50_ms, report.rows[0].p95_ms) == (50, 95)


def test_levers_have_lines_and_what_they_do_not_account_for_has_one_too(store):
    move = LeverMove(lever="cache", saved=Money(70), spent=Money(20))
    kept = an_entry("a", attempts=(an_attempt(cost=50),), baseline=Money(100), moves=(move,))
    report = reported(store, kept)
    assert [m.lever for m in report.levers] == ["cache"]
    retried = an_entry("b", attempts=(an_attempt(1), an_attempt(2)), baseline=Money(5_000))
    cheap = an_entry("c", attempts=(an_attempt(cost=1),), baseline=Money(11_001))
    again = reported(store, retried)
    assert again.levers[-1] == LeverMove(lever="unexplained", saved=Money(0), spent=Money(5_000))
    last = reported(store, cheap)
    assert last.levers[-1] == LeverMove(lever="unexplained", saved=Money(6_000), spent=Money(0))


def test_rows_are_ordered_by_cost(store):
    dear = an_entry("a", attempts=(an_attempt(cost=9),), attribution=Attribution(feature="dear"))
    cheap = an_entry("b", attempts=(an_attempt(cost=1),), attribution=Attribution(feature="cheap"))
    document = reported(store, cheap, dear, by=("feature", "day")).document()
    assert [(row["feature"], row["day"]) for row in document["rows"]] == [
        ("dear", "2026-09-01"),
        ("cheap", "2026-09-01"),
    ]
    assert document["rows"][0]["input_tokens"] == 120
    assert document["rows"][0]["cost_per_call_usd"] == "0.000000009"


def test_an_empty_ledger_has_an_empty_report(store):
    document = reported(store).document()
    assert (document["total_usd"], document["calls"], document["rows"]) == ("0.00", 0, [])
    assert document["cost_per_call_usd"] is document["unattributed_share"] is None
