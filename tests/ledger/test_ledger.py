import pytest
from ledger_samples import DAY_US, NOON_US, FixedClock, StoredCard, an_attempt, an_entry

from farthing.call import Attribution
from farthing.errors import CallerError
from farthing.ledger import (
    CallStatus,
    Drainer,
    Journal,
    Ledger,
    LedgerMissing,
    LedgerSettings,
    Order,
    QueryError,
    ReportQuery,
    instant_us,
)
from farthing.ledger.row import entry_of, rows_of


@pytest.fixture
def ledger(tmp_path):
    journal = Journal.open(tmp_path, "w", clock=FixedClock())
    journal.note_card(StoredCard())
    journal.settle(an_entry("cheap", attempts=(an_attempt(cost=1),), duration_us=900_000))
    journal.settle(an_entry("dear", attempts=(an_attempt(cost=9),), duration_us=100_000))
    late = an_entry("late", started_us=NOON_US + 5, attribution=Attribution(feature="chat"))
    journal.settle(late)
    tried = (an_attempt(1, provider="anthropic", cost=2), an_attempt(2, cost=3))
    journal.settle(an_entry("tried", started_us=NOON_US - 12 * DAY_US, attempts=tried))
    journal.close()
    with Ledger.open(tmp_path, clock=FixedClock()) as made:
        yield made


def ids(entries):
    return [entry.call_id for entry in entries]


def test_opening_drains_the_journals_first(ledger):
    assert ledger.drained.posted == 4
    assert ledger.report().calls == 4


def test_opening_leaves_draining_to_whoever_does_it(tmp_path, ledger):
    with Drainer(tmp_path), Ledger.open(tmp_path) as second:
        assert second.drained is None
        assert second.report().calls == 4


def test_a_call_is_found_as_soon_as_it_has_ended(tmp_path, ledger):
    journal = Journal.open(tmp_path, "v", clock=FixedClock())
    with Drainer(tmp_path) as drainer:
        journal.settle(an_entry("posted"))
        drainer.drain()
        ended = an_entry("ended", charges=())
        journal.intend(an_entry("ended", status=CallStatus.INTERRUPTED, duration_us=1))
        journal.intend(an_entry("running", status=CallStatus.INTERRUPTED))
        journal.settle(ended)
        assert ledger.call("ended") == entry_of(rows_of(ended))
        assert ledger.call("posted").call_id == "posted"
        assert ledger.call("running") is None
        assert ledger.call("nobody") is None
        assert drainer.drain().posted == 1
    journal.close()


def test_a_folder_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(LedgerMissing, match="Nothing was made"):
        Ledger.open(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (Order.COST, ["late", "dear", "tried"]),
        (Order.LATENCY, ["cheap", "late", "tried"]),
        (Order.TOKENS, ["tried", "cheap", "dear"]),
        (Order.TIME, ["late", "cheap", "dear"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("is_sealed", [False, True], ids=["store", "store and archive"])
def test_the_foremost_calls_are_found_wherever_they_lie(ledger, by, expected, is_sealed):
    if is_sealed:
        assert ledger.seal(NOON_US).days == ("2026-08-20",)
    assert ids(ledger.calls(3, by)) == expected


def test_calls_are_found_by_what_they_were_and_by_what_an_attempt_was(ledger):
    assert ids(ledger.calls(9, query=ReportQuery(where={"feature": "chat"}))) == ["late"]
    assert ids(ledger.calls(9, query=ReportQuery(where={"provider": "anthropic"}))) == ["tried"]


def test_entries_come_whole_and_oldest_first(ledger):
    assert ids(ledger.entries()) == ["tried", "cheap", "dear", "late"]
    (found,) = ledger.entries(ReportQuery(where={"provider": "anthropic"}))
    assert len(found.attempts) == 2
    recent = ReportQuery(since_us=NOON_US, until_us=NOON_US + 1)
    assert ids(ledger.entries(recent)) == ["cheap", "dear"]


def test_entries_left_half_read_hold_nothing_up(tmp_path, ledger):
    half = ledger.entries()
    assert next(half).call_id == "tried"
    assert ledger.report().calls == 4
    ledger.close()
    half.close()
    with Ledger.open(tmp_path, clock=FixedClock()) as again:
        assert again.report().calls == 4


def test_a_call_leads_to_its_card_and_an_unknown_one_to_nothing(ledger):
    card_id = ledger.call("dear").attempts[0].card_id
    assert ledger.card(card_id) == b'{"rates":[1,2]}'
    assert ledger.call("unknown") is None


def test_an_unknown_dimension_is_refused(ledger):
    with pytest.raises(QueryError):
        ledger.report(ReportQuery(by=("colour",)))


def test_settings_have_safe_defaults():
    assert LedgerSettings().retention_days == 0


@pytest.mark.parametrize(
    ("text", "expected_us"),
    [
        ("7d", NOON_US - 7 * DAY_US),
        ("12h", NOON_US - DAY_US // 2),
        ("30m", NOON_US - DAY_US // 48),
        ("2026-09-01", NOON_US - DAY_US // 2),
        ("2026-09-01T12:00Z", NOON_US),
        ("2026-09-01T14:00:00.000001+02:00", NOON_US + 1),
    ],
)
def test_instants_are_spans_ago_or_dates(text, expected_us):
    assert instant_us(text, NOON_US) == expected_us


@pytest.mark.parametrize("text", ["yesterday", "d", "", "7w"])
def test_an_instant_that_is_none_is_told(text):
    with pytest.raises(CallerError, match="is no instant"):
        instant_us(text, NOON_US)
