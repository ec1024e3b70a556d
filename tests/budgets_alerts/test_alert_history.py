import msgspec
import pytest
from alert_doubles import DAY_US, HOUR_US, MINUTE_US, NOON_US, usd

from farthing.budgets import BudgetSettings, Window, account_id
from farthing.budgets.account import Account
from farthing.budgets.alerts import Books, LedgerHistory
from farthing.budgets.standing import Standing
from farthing.budgets.standings import AccountStandings
from farthing.call import Attempt, AttemptStatus, Attribution, Endpoint, Pricing
from farthing.ledger import CallStatus, Entry, Ledger, SqliteStore, StoreError, StoreState
from farthing.ledger.layout import Layout
from farthing.ledger.store import Batch

MONTH = Window.parse("month").at(NOON_US)


def an_entry(number, at_us, cost, *, model="gpt-4o", attempts=1, **whom):
    tries = tuple(
        Attempt(
            number=place + 1,
            provider="openai",
            model=model,
            status=AttemptStatus.OK,
            pricing=Pricing.CARD,
            cost=usd(cost),
            started_us=at_us,
        )
        for place in range(attempts)
    )
    return Entry(
        call_id=f"call_{number:03d}",
        endpoint=Endpoint.OPENAI_CHAT,
        model=model,
        is_streamed=False,
        status=CallStatus.OK,
        started_us=at_us,
        attribution=Attribution(**whom),
        attempts=tries,
    )


ENTRIES = [
    an_entry(1, NOON_US - 1, "1", tenant="acme", feature="answer"),
    an_entry(2, NOON_US - HOUR_US, "2", tenant="acme", feature="answer", model="gpt-4o-mini"),
    an_entry(3, NOON_US - HOUR_US - 1, "4", tenant="acme", feature="triage", attempts=2),
    an_entry(4, NOON_US - 5 * HOUR_US, "8", tenant="acme", feature=""),
    an_entry(5, NOON_US - MINUTE_US, "100", tenant="zeta", feature="answer"),
    an_entry(6, NOON_US - 40 * DAY_US, "50", tenant="acme", feature="answer"),
    an_entry(7, NOON_US - MINUTE_US, "16", tenant="gpt-*", model="claude-x"),
]


def standing(scope, key):
    return Standing(
        budget="b",
        scope=scope,
        key=key,
        window=MONTH.id,
        start_us=MONTH.start_us,
        end_us=MONTH.end_us,
        limit=usd("100"),
        spent=usd("19"),
    )


@pytest.fixture
def store(tmp_path):
    made = SqliteStore(Layout(tmp_path).store)
    made.post(Batch(entries=ENTRIES))
    yield made
    made.close()


@pytest.fixture
def history(store):
    return LedgerHistory(lambda: [store])


def hours(history, scope, key, since_us=0):
    found = history.hours(standing(scope, key), since_us, NOON_US)
    return [cost // 10**9 for cost in found]


def test_hours_are_counted_back_from_now_and_begin_with_the_first_that_was_spent_in(history):
    assert hours(history, "tenant=*", "tenant=acme", NOON_US - DAY_US) == [8, 0, 0, 8, 3]
    assert hours(history, "tenant=*", "tenant=nobody") == []


def test_the_hours_are_whole_hours_from_the_first_to_now(history):
    found = hours(history, "tenant=*", "tenant=acme")
    assert len(found) == 40 * 24
    assert (found[0], sum(found)) == (50, 69)


@pytest.mark.parametrize(
    ("scope", "key", "spent"),
    [
        ("all", "all", 135),
        ("tenant=acme", "tenant=acme", 19),
        ("tenant=* model=gpt-*", "tenant=acme model=gpt-*", 19),
        ("model=gpt-4o-*", "model=gpt-4o-*", 2),
        ("model=*", "model=gpt-4o", 117),
        ("tenant=*", "tenant=gpt-*", 16),  # a tenant whose name is a pattern is that tenant only
        ("feature=*", "feature=unattributed", 24),
        ("model=nothing-*", "model=nothing-*", 0),
    ],
)
def test_an_accounts_calls_are_those_its_scope_and_key_say(history, scope, key, spent):
    assert sum(hours(history, scope, key, NOON_US - DAY_US)) == spent


def test_drivers_are_the_dearest_features_models_and_calls_since_the_window_began(history):
    found = history.drivers(standing("tenant=*", "tenant=acme"), MONTH.start_us, NOON_US, 2)
    assert found.calls == 4
    assert [(d.name, str(d.cost), d.calls) for d in found.features] == [
        ("triage", "8.00", 1), ("unattributed", "8.00", 1),
    ]  # fmt: skip
    assert [(d.name, str(d.cost), d.calls) for d in found.models] == [
        ("gpt-4o", "17.00", 3), ("gpt-4o-mini", "2.00", 1),
    ]  # fmt: skip
    assert [(c.call_id, str(c.cost)) for c in found.top_calls] == [
        ("call_003", "8.00"), ("call_004", "8.00"),
    ]  # fmt: skip


def test_sealed_days_count_as_well(tmp_path):
    pytest.importorskip("duckdb", reason="the extra `archive` is not installed")
    store = SqliteStore(Layout(tmp_path).store)
    store.post(Batch(entries=ENTRIES))
    store.close()
    with Ledger.open(tmp_path) as ledger:
        assert ledger.seal(NOON_US + 8 * DAY_US).days
        history = LedgerHistory(ledger.sources)
        found = history.hours(
            standing("tenant=* model=gpt-*", "tenant=acme model=gpt-*"), 0, NOON_US
        )
        assert sum(found) == 69 * 10**9
        drivers = history.drivers(standing("tenant=*", "tenant=acme"), MONTH.start_us, NOON_US, 3)
        assert drivers.calls == 4
        assert sum(d.cost.nanodollars for d in drivers.features) == 19 * 10**9


class Accounts:
    def __init__(self, *accounts):
        self.found = list(accounts)

    def accounts(self, now_us, budget=""):
        return [
            a for a in self.found if a.span.counts_until_us > now_us and budget in ("", a.budget)
        ]


def an_account(span, key="tenant=acme", committed="1", leased="0", budget="b", limit="100"):
    return Account(
        id=account_id(budget, key, span),
        budget=budget,
        key=key,
        span=span,
        limit=usd(limit),
        committed=usd(committed),
        leased=usd(leased),
    )


def settings(**changes):
    return BudgetSettings(
        **({"name": "b", "scope": "tenant=*", "amount_usd": "100", "window": "month"} | changes)
    )


def test_a_calendar_account_is_a_standing():
    standings = AccountStandings(Accounts(an_account(MONTH, leased="2.5")), [settings()])
    (found,) = standings.open(NOON_US)
    assert (found.scope, found.window) == ("tenant=*", "month 2026-11")
    assert (str(found.spent), str(found.reserved)) == ("1.00", "2.50")
    assert standings.find("b", "tenant=acme", MONTH.id, NOON_US) == found
    assert standings.find("b", "tenant=acme", "month 2026-10", NOON_US) is None


def test_the_buckets_of_a_rolling_window_are_one_standing():
    day = Window.parse("24h")
    spans = [day.at(NOON_US - back * HOUR_US) for back in (0, 5, 23, 30)]
    accounts = Accounts(*(an_account(span, committed="2", leased="1") for span in spans))
    standings = AccountStandings(accounts, [settings(window="24h")])
    (found,) = standings.open(NOON_US)
    assert (found.window, found.is_rolling, found.has_end) == ("24h", True, False)
    assert (str(found.spent), str(found.reserved)) == ("6.00", "3.00")
    assert found.end_us - found.start_us == DAY_US
    then = standings.find("b", "tenant=acme", spans[1].id, NOON_US - 5 * HOUR_US)
    assert str(then.spent) == "4.00"  # the bucket of 30 hours ago had just left, the last not begun


def test_an_account_whose_budget_was_never_opened_is_left_out_and_a_removed_budget_is_read_by_key():
    accounts = Accounts(an_account(MONTH, limit="-1"), an_account(MONTH, budget="gone"))
    (found,) = AccountStandings(accounts, [settings()]).open(NOON_US)
    assert (found.budget, found.scope) == ("gone", "tenant=acme")


def test_an_alert_carries_status_and_drivers(history):
    from alert_doubles import an_event

    standings = AccountStandings(Accounts(an_account(MONTH, committed="19")), [settings()])
    books = Books(standings, history, dashboard_url="https://ops.example")
    alert = books.alert(an_event(80, budget="b", window=MONTH.id), NOON_US)
    assert str(alert.status.burn_hour) == "3.00"
    assert alert.drivers.calls == 4
    assert alert.link.startswith("https://ops.example/budgets/b?")
    unknown = books.alert(an_event(80, budget="b", window="month 2020-01"), NOON_US)
    assert (unknown.status, unknown.drivers.calls) == (None, 0)


def test_a_store_that_is_away_costs_the_details_and_not_the_alert():
    from alert_doubles import an_event

    class Away:
        def accounts(self, *_):
            raise StoreError(StoreState.LOCKED, "The store is locked.\nWait.")

    books = Books(AccountStandings(Away(), []), LedgerHistory(list))
    alert = books.alert(an_event(), NOON_US)
    assert alert.detail == "Details are missing: The store is locked."
    assert msgspec.structs.asdict(alert)["status"] is None
