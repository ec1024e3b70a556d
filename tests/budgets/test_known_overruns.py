"""How other gateways' budgets were overrun, each as a test that ours is not.

Source: the issue trackers of LiteLLM, Bifrost, MLflow, Envoy AI gateway, cognee, gbrain, dario and
Busbar's changelog, as read in November 2026.
"""

import pytest
from budget_samples import DAY_US, HOUR_US, NOON_US, SECOND_US, a_budget, an_entry

from farthing.budgets import BudgetSettings, Purse, Refused, Reservation, Window
from farthing.call import Attribution
from farthing.ledger import StoreError
from farthing.ledger.store import Batch
from farthing.money import Money


def test_reading_and_then_adding_leaves_no_gap_for_a_second_caller(a_desk):
    # litellm#34732, membrane/api-gateway#3210, librefang#3616, any-llm#836: check, then act
    first, second = a_desk(a_budget()), a_desk(a_budget(), run="worker-1")
    assert isinstance(first.reserve(600), Reservation)
    refused = second.reserve(600)
    assert isinstance(refused, Refused)
    assert first.account().committed + first.account().leased <= Money(1_000)


def test_an_average_is_not_reserved_but_the_worst_case(a_desk):
    # askalf/dario#1378, garrytan/gbrain#4365: $5.135 on a cap of $5
    desk = a_desk(a_budget())
    held = [desk.reserve(250) for _ in range(4)]
    assert all(isinstance(reservation, Reservation) for reservation in held)
    assert isinstance(desk.reserve(1), Refused)
    for reservation in held:
        desk.settle(reservation, 250)
    assert desk.sums() == (1_000, 0)


def test_the_first_request_of_an_unknown_user_is_limited(a_desk):
    # litellm#40095
    desk = a_desk(a_budget(scope="user=*", nanodollars=100))
    assert isinstance(desk.reserve(101, Attribution(user="never-seen")), Refused)
    assert isinstance(desk.reserve(101), Refused)  # nobody said who
    assert isinstance(desk.reserve(100, Attribution(user="never-seen")), Reservation)


def test_exactly_the_limit_is_allowed_and_a_nanodollar_more_is_not(a_desk):
    # litellm PR 27020: `>=` refused the first request
    desk = a_desk(a_budget())
    assert isinstance(desk.reserve(1_001), Refused)
    reservation = desk.reserve(1_000)
    assert isinstance(reservation, Reservation)
    desk.settle(reservation, 1_000)
    refused = desk.reserve(1)
    assert (refused.code, refused.shortfall) == ("budget_exceeded", Money(1))
    assert isinstance(desk.reserve(0), Reservation)  # what costs nothing exceeds nothing


def test_a_restart_keeps_what_the_window_has_spent(a_desk):
    # litellm PR 30684: counters came back empty
    desk = a_desk(a_budget())
    desk.settle(desk.reserve(700), 700)
    desk.die()
    again = a_desk(a_budget(), run="worker-0-again")
    refused = again.reserve(301)
    assert (refused.code, refused.spent) == ("budget_exceeded", Money(700))
    assert isinstance(again.reserve(300), Reservation)


def test_a_store_that_fails_at_start_admits_nobody(tmp_path, a_desk):
    # busbar: a store error at boot started with empty counters
    (tmp_path / "ledger.sqlite").write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreError):
        a_desk(a_budget())
    purse = Purse([a_budget()])
    wait = purse.reserve(Attribution(), "gpt-4o", Money(1), NOON_US)
    assert not isinstance(wait, Reservation)
    refused = wait.busy(NOON_US, "the disk is gone.")
    assert (refused.code, refused.detail) == ("budget_busy", "the disk is gone.")


def test_a_call_that_straddles_the_window_settles_in_its_own(a_desk, clock):
    # busbar: it rewound the live window's cell
    desk = a_desk(a_budget())
    straddling = desk.reserve(600)
    clock.at_us += DAY_US
    today = desk.reserve(900)
    desk.settle(straddling, 500)
    desk.settle(today, 800)
    yesterday, now = desk.store.accounts(0)
    assert [a.committed.nanodollars for a in (yesterday, now)] == [500, 800]
    assert (yesterday.span.id, now.span.id) == ("day 2026-09-01", "day 2026-09-02")
    assert straddling.charges == (yesterday.id,)


def test_a_straddling_stream_goes_on_from_its_own_windows_money(a_desk, clock):
    desk = a_desk(a_budget())
    stream = desk.reserve(600)
    clock.at_us += DAY_US
    assert isinstance(desk.reserve(1_000), Reservation)  # today's budget is whole
    assert desk.extend(stream, 400) is None
    assert isinstance(desk.extend(stream, 1), Refused)  # yesterday's is spent


def test_a_sum_beyond_64_bits_never_reads_as_free(a_desk):
    # busbar: the total turned over to a negative sum
    desk = a_desk(a_budget())
    reservation = desk.reserve(10)
    for number in range(3):
        desk.post([an_entry(f"huge-{number}", 2**62, reservation.charges)])
    assert desk.account().committed == Money(2**63 - 1)
    assert isinstance(a_desk(a_budget(), run="other").reserve(1), Refused)


def test_an_entry_beyond_64_bits_is_set_aside_and_charges_nothing(a_desk):
    desk = a_desk(a_budget())
    reservation = desk.reserve(10)
    desk.post([an_entry("huge", 2**64, reservation.charges)])
    assert desk.sums()[0] == 0
    assert desk.ledger.damages() == 1


def test_refunds_that_race_give_back_once(a_desk):
    # litellm PR 29493, #33923; busbar: a refund on an error gave back more than was taken
    desk = a_desk(a_budget())
    reservation = desk.reserve(400)
    other = desk.reserve(400)
    for _ in range(3):
        reservation.abandon()
        reservation.settle(Money(100))
    assert desk.purse.overruns == 0
    assert isinstance(desk.reserve(601), Refused)
    assert isinstance(desk.reserve(600), Reservation)
    assert other.held == Money(400)


def test_a_failed_call_leaves_no_phantom_behind(a_desk):
    # litellm PR 29493: reservations that nobody released refused good calls
    desk = a_desk(a_budget())
    for _ in range(50):
        desk.reserve(900).abandon()
    assert isinstance(desk.reserve(1_000), Reservation)


def test_two_drainers_posts_count_once(a_desk):
    # busbar: concurrent flushes counted twice, and wrote sums instead of differences
    desk = a_desk(a_budget())
    entry = desk.settle(desk.reserve(300), 300)
    desk.post([entry])
    desk.post([entry, an_entry("other", 5, entry.charges)])
    assert desk.sums()[0] == 305


def test_replicas_share_one_budget(a_desk):
    # bifrost#3547: each replica had the whole budget
    workers = [a_desk(a_budget(), run=f"worker-{n}") for n in range(4)]
    held = [worker.reserve(300) for worker in workers]
    assert [isinstance(given, Reservation) for given in held] == [True, True, False, False]
    workers[0].give_back()  # what it leased beyond its call, because others wait for it
    workers[0].clock.at_us += SECOND_US // 10
    assert isinstance(workers[2].reserve(300), Reservation)
    assert workers[3].reserve(300).code == "budget_busy"


def test_shadow_never_refuses_and_records_what_it_would_have(a_desk):
    desk = a_desk(a_budget(mode="shadow", nanodollars=100))
    first = desk.reserve(90)
    assert first.overlooked == ()
    desk.settle(first, 90)
    desk.tend(desk.purse.asks([], desk.clock.now_us()))
    second = desk.reserve(20)
    (would_be,) = second.overlooked
    assert (would_be.code, would_be.shortfall) == ("budget_exceeded", Money(10))
    assert desk.purse.overlooked == {"team": 1}
    desk.settle(second, 20)
    assert desk.sums()[0] == 110
    assert [threshold for threshold, *_ in desk.events()] == [50, 80, 100]
    assert desk.events("overrun") == []  # nobody promised that it would hold


def test_a_budget_that_only_notifies_lets_calls_pass(a_desk):
    desk = a_desk(a_budget(at_limit="notify", nanodollars=100))
    desk.settle(desk.reserve(500), 500)
    assert isinstance(desk.reserve(500), Reservation)


def test_a_budget_that_is_off_charges_nothing(a_desk):
    desk = a_desk(a_budget(mode="off"))
    assert desk.reserve(10**9).charges == ()


def test_an_amount_edited_in_mid_window_keeps_what_was_spent(a_desk):
    desk = a_desk(a_budget(nanodollars=1_000))
    desk.settle(desk.reserve(600), 600)
    raised = a_budget(nanodollars=2_000)
    desk.store.configure([raised], desk.clock.now_us())
    desk.purse.replace_budgets([raised])
    desk.clock.at_us += 2 * SECOND_US
    assert isinstance(desk.reserve(1_400), Reservation)
    assert isinstance(desk.reserve(1), Refused)


def test_an_amount_lowered_below_what_was_spent_refuses_and_tells_its_thresholds(a_desk):
    desk = a_desk(a_budget(nanodollars=1_000))
    desk.settle(desk.reserve(400), 400)
    assert desk.events() == []
    lowered = a_budget(nanodollars=300)
    desk.store.configure([lowered], desk.clock.now_us())
    desk.clock.at_us += 2 * SECOND_US
    desk.tend(desk.purse.close())
    refused = desk.reserve(1)
    assert (refused.code, refused.limit, refused.shortfall) == (
        "budget_exceeded",
        Money(300),
        Money(101),
    )
    assert [threshold for threshold, *_ in desk.events()] == [50, 80, 100]


def test_a_window_edited_in_mid_window_carries_nothing_over(a_desk):
    # busbar: a yearly sum was carried onto the monthly window
    yearly = a_desk(a_budget(window="year", nanodollars=5_000))
    yearly.settle(yearly.reserve(4_000), 4_000)
    monthly = a_desk(a_budget(window="month", nanodollars=500), run="worker-1")
    assert isinstance(monthly.reserve(500), Reservation)
    assert [a.committed.nanodollars for a in monthly.store.accounts(NOON_US)] == [4_000, 0]


@pytest.mark.parametrize("window", ["", "monthly", "1 month", "eternity", "-1d"])
def test_an_unknown_window_refuses_to_start(window):
    # busbar: an unknown period became a cap for life
    with pytest.raises(ValueError, match="is no window"):
        BudgetSettings(name="team", scope="all", amount_usd="1", window=window)


def test_rotating_a_key_keeps_one_account(a_desk):
    # busbar: two keys of one tenant metered apart
    desk = a_desk(a_budget(scope="tenant=*"))
    desk.settle(desk.reserve(700, Attribution(tenant="acme", tags={"key": "old"})), 700)
    assert isinstance(desk.reserve(301, Attribution(tenant="acme", tags={"key": "new"})), Refused)


def test_a_crossing_seen_by_a_backfill_is_told(a_desk):
    # mlflow#26054: the webhook never fired
    desk = a_desk(a_budget())
    reservation = desk.reserve(10)
    desk.ledger.post(Batch(entries=[an_entry("backfilled", 990, reservation.charges)]))
    assert [threshold for threshold, *_ in desk.events()] == [50, 80]


def test_alerts_compare_with_the_budget_and_not_with_something_smaller(a_desk):
    # bifrost#5770: "99 % used" at $0.40 of $15
    desk = a_desk(a_budget(nanodollars=15_000_000_000))
    desk.settle(desk.reserve(1_000_000_000), 400_000_000)
    assert desk.events() == []


def test_a_surprise_of_the_provider_is_booked_told_and_not_hidden(a_desk):
    desk = a_desk(a_budget(nanodollars=1_000))
    desk.settle(desk.reserve(900), 1_200)
    assert desk.purse.overruns == 1
    assert desk.sums() == (1_200, 0)
    assert desk.events("overrun") == [(0, 1_200, 1_000, "day 2026-09-01")]
    assert isinstance(desk.reserve(1), Refused)


def test_a_surprise_within_the_limit_is_no_overrun_of_the_budget(a_desk):
    desk = a_desk(a_budget(nanodollars=1_000))
    desk.settle(desk.reserve(100), 300)
    assert desk.events("overrun") == []
    assert isinstance(desk.reserve(700), Reservation)
    assert isinstance(desk.reserve(1), Refused)


def test_all_budgets_must_pass_and_a_refusal_by_one_holds_nothing_on_the_others(a_desk):
    desk = a_desk(a_budget("wide", 1_000), a_budget("narrow", 100))
    refused = desk.reserve(101)
    assert refused.budget == "narrow"
    for _ in range(5):
        desk.reserve(101)
    assert isinstance(desk.reserve(100), Reservation)
    assert desk.sums("wide")[0] == 0


def test_a_refused_storm_does_not_ask_the_store_each_time(a_desk):
    # topoteretes/cognee#4321: 1.6 million retries
    desk = a_desk(a_budget())
    desk.settle(desk.reserve(1_000), 1_000)
    assert desk.reserve(1).code == "budget_exceeded"
    given = [
        desk.purse.reserve(Attribution(), "gpt-4o", Money(1), desk.clock.now_us())
        for _ in range(100)
    ]
    assert all(isinstance(refused, Refused) for refused in given)


def test_what_others_hold_is_busy_and_what_is_spent_is_exceeded(a_desk):
    desk, other = a_desk(a_budget()), a_desk(a_budget(), run="worker-1")
    held = other.reserve(700)
    busy = desk.reserve(600)
    assert (busy.code, busy.reserved >= Money(700)) == ("budget_busy", True)
    other.settle(held, 700)
    other.tend(other.purse.close())
    desk.clock.at_us += 2 * SECOND_US
    exceeded = desk.reserve(600)
    assert (exceeded.code, exceeded.spent, exceeded.reserved, exceeded.needed) == (
        "budget_exceeded",
        Money(700),
        Money(0),
        Money(600),
    )
    assert exceeded.shortfall == Money(300)
    assert exceeded.resets_at == "2026-09-02T00:00:00Z"


def test_a_rolling_window_frees_what_is_past_and_nothing_sooner(a_desk, clock):
    # wso2#2936: a cost limit as a refilling rate never triggered; envoy#1754: it never decreased
    desk = a_desk(a_budget(window="24h"))
    desk.settle(desk.reserve(1_000), 1_000)
    clock.at_us += 24 * HOUR_US - SECOND_US
    refused = desk.reserve(1)
    assert (refused.code, refused.spent) == ("budget_exceeded", Money(1_000))
    bucket_us = Window.parse("24h").at(NOON_US).counts_until_us
    assert refused.resets_us == bucket_us
    clock.at_us = bucket_us
    assert isinstance(desk.reserve(1_000), Reservation)


def test_a_dead_workers_lease_returns_only_after_its_calls_are_booked(a_desk):
    dead, living = a_desk(a_budget()), a_desk(a_budget(), run="worker-1")
    running = dead.reserve(800)
    interrupted = an_entry("cut-short", 800, running.charges)  # its intent, at what it had reserved
    assert living.reserve(800).code == "budget_busy"
    dead.post([interrupted])
    dead.die()
    living.clock.at_us += 2 * SECOND_US
    assert living.reserve(800).code == "budget_exceeded"
    assert isinstance(living.reserve(200), Reservation)
    assert living.sums()[0] == 800


def test_downgrade_throttle_and_block_are_told_and_the_hardest_wins(a_desk):
    soft = a_budget("soft", 100, at_limit="downgrade", downgrade_to="gpt-4o-mini")
    refused = a_desk(soft).reserve(101)
    assert (refused.action, refused.downgrade_to) == ("downgrade", "gpt-4o-mini")
    slow = a_budget("slow", 100, at_limit="throttle")
    hard = a_budget("hard", 100)
    assert a_desk(soft, slow, run="worker-1").reserve(101).action == "throttle"
    assert a_desk(soft, slow, hard, run="worker-2").reserve(101).action == "block"


def test_unpriced_calls_are_charged_nothing_but_settle_like_others(a_desk):
    desk = a_desk(a_budget())
    desk.settle(desk.reserve(500), None)
    assert desk.sums()[0] == 0
    assert isinstance(desk.reserve(1_000), Reservation)
