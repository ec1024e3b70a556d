import pytest

from farthing.limits import Gauge, Limits, TooMany, anthropic_headers, openai_headers, retry_headers
from farthing.limits.headers import go_duration

NOON_US = 1_794_571_200_000_000  # 2026-11-13T12:00:00Z
LIMITS = Limits(requests=Gauge(60, 59, 1_000_000), tokens=Gauge(150_000, 149_984, 360_000_500))


def test_openai_callers_read_the_limits_as_openai_writes_them():
    assert dict(openai_headers(LIMITS)) == {
        b"x-ratelimit-limit-requests": b"60",
        b"x-ratelimit-remaining-requests": b"59",
        b"x-ratelimit-reset-requests": b"1s",
        b"x-ratelimit-limit-tokens": b"150000",
        b"x-ratelimit-remaining-tokens": b"149984",
        b"x-ratelimit-reset-tokens": b"6m0.001s",
    }


def test_anthropic_callers_read_the_limits_as_anthropic_writes_them():
    assert dict(anthropic_headers(LIMITS, NOON_US)) == {
        b"anthropic-ratelimit-requests-limit": b"60",
        b"anthropic-ratelimit-requests-remaining": b"59",
        b"anthropic-ratelimit-requests-reset": b"2026-11-13T12:00:01Z",
        b"anthropic-ratelimit-tokens-limit": b"150000",
        b"anthropic-ratelimit-tokens-remaining": b"149984",
        b"anthropic-ratelimit-tokens-reset": b"2026-11-13T12:06:01Z",
    }


def test_limits_that_are_not_set_have_no_headers():
    assert openai_headers(Limits()) == []
    assert anthropic_headers(Limits(requests=Gauge(1, 0, 5)), NOON_US)[0][1] == b"1"


@pytest.mark.parametrize(
    ("length_us", "written"),
    [
        (0, "0s"),
        (1, "1ms"),
        (12_000, "12ms"),
        (999_001, "1s"),
        (1_500_000, "1.5s"),
        (360_000_000, "6m0s"),
        (3_723_000_000, "1h2m3s"),
    ],
)
def test_a_length_of_time_is_written_as_go_writes_it_and_rounded_up(length_us, written):
    assert go_duration(length_us) == written


def test_a_refusal_says_when_to_come_back_and_never_too_early():
    refused = TooMany(what="requests", limit=60, asked=1, remaining=0, wait_us=1_000_001)
    assert retry_headers(refused) == [(b"retry-after", b"2"), (b"retry-after-ms", b"1001")]


def test_what_never_fits_is_not_to_be_retried():
    refused = TooMany(what="tokens", limit=10, asked=11, remaining=10, is_never=True)
    assert retry_headers(refused) == [(b"x-should-retry", b"false")]


def test_a_full_house_asks_for_a_second_of_patience():
    refused = TooMany(what="concurrency", limit=2, asked=1, remaining=0)
    assert retry_headers(refused) == [(b"retry-after", b"1"), (b"retry-after-ms", b"1000")]
