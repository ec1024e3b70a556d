from farthing.config import BreakerSettings
from farthing.gateway.breaker import Breaker, BreakerState

SECOND = 1_000_000


def opened(at_us=0):
    breaker = Breaker(BreakerSettings(failures=3, open_s=10))
    for _ in range(3):
        breaker.failed(at_us)
    return breaker


def test_a_new_breaker_lets_calls_pass():
    assert Breaker(BreakerSettings()).admits(0)


def test_failures_in_a_row_open_it():
    assert opened().state is BreakerState.OPEN
    assert not opened().admits(9 * SECOND)


def test_a_success_between_failures_starts_the_count_again():
    breaker = Breaker(BreakerSettings(failures=2))
    breaker.failed(0)
    breaker.succeeded()
    breaker.failed(0)
    assert breaker.admits(0)


def test_after_its_time_one_probe_passes_and_no_second_one():
    breaker = opened()
    assert breaker.admits(10 * SECOND)
    assert not breaker.admits(11 * SECOND)


def test_a_probe_that_succeeds_closes_it():
    breaker = opened()
    breaker.admits(10 * SECOND)
    breaker.succeeded()
    assert breaker.state is BreakerState.CLOSED
    assert breaker.admits(10 * SECOND)


def test_a_probe_that_fails_opens_it_for_the_whole_time_again():
    breaker = opened()
    breaker.admits(10 * SECOND)
    breaker.failed(12 * SECOND)
    assert not breaker.admits(21 * SECOND)
    assert breaker.admits(22 * SECOND)


def test_a_probe_that_never_reports_back_does_not_keep_it_open_for_ever():
    breaker = opened()
    breaker.admits(10 * SECOND)
    assert breaker.admits(20 * SECOND)
