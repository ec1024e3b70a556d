import pytest
from alert_doubles import HOUR_US, MINUTE_US, NOON_US, an_event, usd

from farthing.budgets.alerts import Backoff, DeliveryState
from farthing.budgets.alerts.event import message_id


def to(*targets):
    return lambda _event: targets


def test_an_event_is_noted_once_per_budget_key_window_kind_and_threshold(box):
    assert box.outbox.add(an_event(80))
    assert not box.outbox.add(an_event(80, spent=usd("99")))
    assert box.outbox.add(an_event(100))
    assert box.outbox.add(an_event(80, key="tenant=zeta"))
    assert box.outbox.add(an_event(80, window="month 2026-12"))
    assert box.outbox.add(an_event(80, kind="forecast"))


def test_each_target_gets_each_event_and_gets_it_once(box):
    box.outbox.add(an_event(50))
    box.outbox.add(an_event(80))
    box.outbox.spread(to("a", "b"))
    claimed = box.outbox.claim(NOON_US)
    assert sorted((d.target, d.event.threshold) for d in claimed) == [
        ("a", 50), ("a", 80), ("b", 50), ("b", 80),
    ]  # fmt: skip
    for delivery in claimed:
        box.outbox.mark_sent(delivery, NOON_US)
    assert box.outbox.spread(to("a", "b", "c")) == 0
    assert box.outbox.claim(NOON_US + HOUR_US) == []
    assert box.states() == {50: "sent", 80: "sent"}


def test_nobody_else_gets_what_is_claimed_and_a_dead_senders_claim_runs_out(box):  # O1
    box.outbox.add(an_event())
    box.outbox.spread(to("a"))
    (first,) = box.outbox.claim(NOON_US)
    assert box.opened().claim(NOON_US + MINUTE_US) == []
    (again,) = box.opened().claim(NOON_US + 5 * MINUTE_US)  # the first sender died
    assert (again.message_id, again.tries) == (first.message_id, 2)


def test_a_sender_whose_claim_ran_out_changes_nothing(box):
    box.outbox.add(an_event())
    box.outbox.spread(to("a"))
    (late,) = box.outbox.claim(NOON_US)
    (other,) = box.outbox.claim(NOON_US + HOUR_US)
    box.outbox.mark_failed(late, "too late", None)
    assert box.outbox.dead_letters() == []
    box.outbox.mark_sent(other, NOON_US + HOUR_US)
    assert box.states() == {80: "sent"}


def test_a_failed_try_is_due_again_when_it_is_said_to_be(box):
    box.outbox.add(an_event())
    box.outbox.spread(to("a"))
    (delivery,) = box.outbox.claim(NOON_US)
    box.outbox.mark_failed(delivery, "503", NOON_US + MINUTE_US)
    assert box.outbox.next_due_us() == NOON_US + MINUTE_US
    assert box.outbox.claim(NOON_US + MINUTE_US - 1) == []
    (again,) = box.outbox.claim(NOON_US + MINUTE_US)
    assert (again.tries, again.last_error) == (2, "503")
    assert box.states() == {80: "new"}


def test_dead_letters_are_kept_and_can_be_retried_by_hand(box):  # O3
    box.outbox.add(an_event())
    box.outbox.spread(to("a", "b"))
    first, second = box.outbox.claim(NOON_US)
    box.outbox.mark_failed(first, "410 Gone", None)
    box.outbox.mark_sent(second, NOON_US)
    assert box.states() == {80: "dead"}
    (dead,) = box.outbox.dead_letters()
    assert (dead.target, dead.state, dead.last_error) == ("a", DeliveryState.DEAD, "410 Gone")
    assert box.outbox.retry(NOON_US + HOUR_US, "b") == 0
    assert box.outbox.retry(NOON_US + HOUR_US) == 1
    (again,) = box.outbox.claim(NOON_US + HOUR_US)
    assert (again.target, again.tries) == ("a", 1)
    box.outbox.mark_sent(again, NOON_US + HOUR_US)
    assert box.states() == {80: "sent"}


def test_an_event_that_nobody_is_to_hear_of_is_kept_and_says_so(box):
    box.outbox.add(an_event())
    box.outbox.spread(to())
    assert box.states() == {80: "muted"}
    assert [event.threshold for event in box.outbox.muted()] == [80]
    assert box.outbox.spread(to("a")) == 0


def test_what_is_postponed_loses_no_try(box):
    box.outbox.add(an_event())
    box.outbox.spread(to("a"))
    (delivery,) = box.outbox.claim(NOON_US)
    box.outbox.postpone(delivery, NOON_US + MINUTE_US)
    (again,) = box.outbox.claim(NOON_US + MINUTE_US)
    assert again.tries == 1


def test_an_events_own_words_stay_with_it(box):
    box.outbox.add(an_event(0, kind="anomaly", detail="12 equal calls"))
    box.outbox.spread(to("a"))
    (delivery,) = box.outbox.claim(NOON_US)
    assert delivery.event.detail == "12 equal calls"


def test_a_message_id_is_stable_and_tells_events_and_targets_apart():
    ids = {message_id(event, target) for event in (an_event(50), an_event(80)) for target in "ab"}
    assert len(ids) == 4
    assert message_id(an_event(50, spent=usd("1"), id=9), "a") in ids
    assert all(one.replace("_", "").isalnum() for one in ids)  # no full stop: it is signed


def test_waits_grow_threefold_up_to_a_cap_and_then_it_is_enough():
    backoff = Backoff(first_s=30, wait_s_most=600, tries_most=6, seed=7)
    waits_s = [(backoff.next_try_us("m", tries, 0) or 0) / 1e6 for tries in range(1, 6)]
    for wait_s, full_s in zip(waits_s, [30, 90, 270, 600, 600], strict=True):
        assert full_s / 2 <= wait_s <= full_s
    assert backoff.next_try_us("m", 6, 0) is None


def test_jitter_is_the_same_for_a_seed_and_differs_between_messages():
    waits = {
        (seed, name): Backoff(seed=seed).next_try_us(name, 1, 0) for seed in (1, 2) for name in "ab"
    }
    assert len(set(waits.values())) == 4
    assert Backoff(seed=1).next_try_us("a", 1, 0) == waits[1, "a"]


@pytest.mark.parametrize(("asked_s", "wait_s"), [(3600, 3600), (1, 15), (10**9, 86_400), (-5, 15)])
def test_what_the_receiver_asks_for_is_heeded_up_to_a_day(asked_s, wait_s):
    found_us = Backoff(first_s=30).next_try_us("m", 1, 0, retry_after_s=asked_s)
    assert wait_s * 10**6 <= found_us <= max(wait_s, 30) * 10**6
