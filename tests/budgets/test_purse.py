"""Reserving, extending and settling in memory."""

import pytest
from budget_samples import DAY_US, NOBODY, NOON_US, SECOND_US, a_budget

from farthing.budgets import Purse, Reservation, Wait
from farthing.call import Attribution
from farthing.errors import ConfigError
from farthing.money import Money


def test_without_budgets_every_call_passes_and_charges_nothing():
    reservation = Purse().reserve(NOBODY, "gpt-4o", Money(10**12), NOON_US)
    assert isinstance(reservation, Reservation)
    assert reservation.charges == ()
    assert reservation.extend(Money(10**12), NOON_US) is None


def test_a_call_is_charged_to_each_budget_it_falls_in(a_desk):
    desk = a_desk(
        a_budget("wide"),
        a_budget("tenants", scope="tenant=*", window="month"),
        a_budget("elsewhere", scope="feature=search"),
    )
    reservation = desk.reserve(10, Attribution(tenant="acme", feature="support"))
    assert reservation.charges == (
        "wide/day 2026-09-01/all",
        "tenants/month 2026-09/tenant=acme",
    )


def test_settling_below_what_was_held_frees_the_rest(a_desk):
    desk = a_desk(a_budget())
    reservation = desk.reserve(1_000)
    reservation.settle(Money(300))
    assert reservation.is_ended
    assert reservation.held == Money(0)
    assert isinstance(desk.reserve(700), Reservation)


def test_a_reservation_that_has_ended_cant_be_extended(a_desk):
    desk = a_desk(a_budget())
    reservation = desk.reserve(10)
    reservation.abandon()
    with pytest.raises(ValueError, match="has ended"):
        reservation.extend(Money(1), desk.clock.now_us())


def test_a_call_that_holds_nothing_yet_can_hold_more_however_late(a_desk, clock):
    desk = a_desk(a_budget())
    reservation = desk.reserve(0)
    for _ in range(4):
        clock.at_us += 31 * SECOND_US
        desk.tidy()
    assert desk.extend(reservation, 400) is None
    desk.settle(reservation, 300)
    assert desk.sums()[0] == 300


def test_two_budgets_of_one_name_are_refused():
    with pytest.raises(ConfigError, match="Two budgets are named"):
        Purse([a_budget(), a_budget(window="hour")])


def test_budgets_can_be_replaced_while_calls_run(a_desk):
    desk = a_desk(a_budget("old"))
    running = desk.reserve(100)
    desk.purse.replace_budgets([a_budget("new")])
    assert desk.reserve(100).charges == ("new/day 2026-09-01/all",)
    desk.settle(running, 100)
    assert desk.sums("old")[0] == 100


def test_a_new_span_begins_with_its_first_call(a_desk, clock):
    desk = a_desk(a_budget())
    desk.settle(desk.reserve(1_000), 1_000)
    clock.at_us += DAY_US
    assert isinstance(desk.reserve(1_000), Reservation)


def test_what_is_remembered_of_calls_is_bounded():
    purse = Purse([a_budget(scope="user=*", mode="shadow")])
    for number in range(10_050):
        reservation = purse.reserve(Attribution(user=f"u{number}"), "m", Money(0), NOON_US)
        reservation.abandon()
    assert len(purse._matches) <= 10_000


def test_a_hungry_purse_says_so_once():
    calls = []
    purse = Purse([a_budget(mode="shadow")], on_hungry=lambda: calls.append(1))
    for _ in range(5):
        purse.reserve(NOBODY, "m", Money(10), NOON_US)
    assert len(calls) == 1


def test_waiting_calls_are_asked_for_together(a_desk):
    desk = a_desk(a_budget(nanodollars=10**6))
    now_us = desk.clock.now_us()
    waits = [desk.purse.reserve(NOBODY, "m", Money(n), now_us) for n in (30, 10, 20)]
    assert all(isinstance(wait, Wait) for wait in waits)
    (ask,) = desk.purse.asks(waits, now_us)
    assert (ask.least, ask.need) == (Money(10), Money(60))
    assert ask.want > ask.need


def test_a_stream_over_a_shadow_budget_is_counted_once(a_desk):
    desk = a_desk(a_budget(mode="shadow", nanodollars=100))
    desk.settle(desk.reserve(90), 90)
    desk.tend(desk.purse.asks([], desk.clock.now_us()))
    stream = desk.reserve(5)
    assert stream.overlooked == ()
    for _ in range(3):
        assert desk.extend(stream, 50) is None
    assert len(stream.overlooked) == 1
    assert desk.purse.overlooked == {"team": 1}
