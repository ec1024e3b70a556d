import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from farthing.limits import Limiter, LimitSettings, Permit, TooMany

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US


def limiter(workers=1, **limits):
    return Limiter([LimitSettings(**limits)], workers=workers)


def test_requests_pass_up_to_the_burst_and_then_at_the_rate():
    held = limiter(requests_per_minute=60, requests_burst=3)
    admitted = [isinstance(held.admit("k", 0, 0), Permit) for _ in range(5)]
    assert admitted == [True, True, True, False, False]
    assert isinstance(held.admit("k", 0, SECOND_US), Permit)
    refused = held.admit("k", 0, SECOND_US)
    assert (refused.what, refused.wait_us) == ("requests", SECOND_US)


def test_a_refused_call_takes_nothing_from_any_limit():  # R4
    held = limiter(requests_per_minute=60, tokens_per_minute=1000, concurrency=5)
    before = held.limits("k", 0)
    assert isinstance(held.admit("k", 5000, 0), TooMany)
    assert held.limits("k", 0) == before
    assert isinstance(held.admit("k", 1000, 0), Permit)


def test_running_calls_are_bounded_and_a_permit_ends_once():  # R3
    held = limiter(concurrency=2)
    first, second = held.admit("k", 0, 0), held.admit("k", 0, 0)
    assert held.admit("k", 0, 0).what == "concurrency"
    first.release(0)
    first.settle(0, 0)
    first.release(0)
    assert isinstance(held.admit("k", 0, 0), Permit)
    assert held.admit("k", 0, 0).what == "concurrency"
    second.release(0)


def test_tokens_a_call_did_not_use_come_back_and_those_beyond_are_owed():  # R2
    held = limiter(tokens_per_minute=600)
    held.admit("k", 600, 0).settle(100, 0)
    assert held.limits("k", 0).tokens.remaining == 500
    held.admit("k", 500, 0).settle(1100, 0)
    refused = held.admit("k", 1, 0)
    assert refused.wait_us == pytest.approx(60.1 * SECOND_US, abs=1)


def test_a_call_that_never_fits_is_told_so():
    refused = limiter(tokens_per_minute=1000).admit("k", 1001, 0)
    assert refused.is_never
    assert "never fits" in str(refused)
    assert "Nothing was sent and nothing was charged." in str(refused)


def test_the_first_rule_that_matches_counts_and_no_rule_limits_nothing():
    held = Limiter(
        [
            LimitSettings(key="key_vip*"),
            LimitSettings(tenant="acme", requests_per_minute=2),
        ]
    )
    assert all(isinstance(held.admit("key_vip1", 9, 0, tenant="acme"), Permit) for _ in range(50))
    assert all(isinstance(held.admit("key_x", 9, 0, tenant="zeta"), Permit) for _ in range(50))
    found = [isinstance(held.admit("key_y", 9, 0, tenant="acme"), Permit) for _ in range(3)]
    assert found == [True, True, False]


def test_keys_do_not_share_a_limit():
    held = limiter(requests_per_minute=1)
    assert isinstance(held.admit("a", 0, 0), Permit)
    assert isinstance(held.admit("b", 0, 0), Permit)
    assert isinstance(held.admit("a", 0, 0), TooMany)


def test_memory_is_bounded_and_keys_with_running_calls_are_not_forgotten():
    held = Limiter([LimitSettings(concurrency=1)], keys_most=10)
    permit = held.admit("busy", 0, 0)
    for number in range(100):
        held.admit(f"k{number}", 0, 0).release(0)
    assert len(held._keys) <= 11
    assert held.admit("busy", 0, 0).what == "concurrency"
    permit.release(0)
    assert isinstance(held.admit("busy", 0, 0), Permit)


class OneKey(RuleBasedStateMachine):
    """Two workers, one key: every limit holds at every step."""

    def __init__(self):
        super().__init__()
        rules = [
            LimitSettings(
                requests_per_minute=120, requests_burst=7, tokens_per_minute=900, concurrency=6
            )
        ]
        self.workers = [Limiter(rules, workers=2) for _ in range(2)]
        self.now_us = 0
        self.permits = []
        self.admitted = []  # instant, worker

    @rule(gap_us=st.integers(0, 3 * SECOND_US))
    def time_passes(self, gap_us):
        self.now_us += gap_us

    @rule(worker=st.integers(0, 1), tokens=st.integers(0, 900))
    def a_call_comes(self, worker, tokens):
        found = self.workers[worker].admit("k", tokens, self.now_us)
        if isinstance(found, Permit):
            self.permits.append(found)
            self.admitted.append(self.now_us)

    @rule(used=st.integers(0, 1500))
    def a_call_ends(self, used):
        if self.permits:
            self.permits.pop().settle(used, self.now_us)

    @invariant()
    def no_more_requests_than_the_rate_and_the_burst(self):
        for first, since_us in enumerate(self.admitted):
            for count, until_us in enumerate(self.admitted[first:], 1):
                assert count * MINUTE_US <= (7 + 1) * MINUTE_US + 120 * (until_us - since_us)

    @invariant()
    def no_more_running_than_the_limit(self):
        assert len(self.permits) <= 6


OneKey.TestCase.settings = settings(max_examples=25, stateful_step_count=30)
TestOneKey = OneKey.TestCase
