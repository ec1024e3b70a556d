from random import Random

import pytest

from farthing.config import RetrySettings
from farthing.gateway.retry import is_provider_fault, retry_after_s, wait_s

SETTINGS = RetrySettings(backoff_s=1.0, wait_s_max=8.0)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([(b"retry-after", b"3")], 3.0),
        ([(b"retry-after", b"0.25")], 0.25),
        ([(b"retry-after-ms", b"1500"), (b"retry-after", b"9")], 1.5),
        ([(b"retry-after", b"Thu, 01 Jan 1970 00:01:40 GMT")], 40.0),
        ([(b"retry-after", b"Thu, 01 Jan 1970 00:00:10 GMT")], 0.0),
        ([(b"retry-after", b"-5")], 0.0),
        ([(b"retry-after", b"soon")], None),
        ([(b"retry-after-ms", b"soon")], None),
        ([], None),
    ],
)
def test_retry_after_is_read_in_every_form(headers, seconds):
    assert retry_after_s(headers, now_s=60.0) == seconds


def test_the_providers_wait_is_kept_to_the_letter():
    assert wait_s(SETTINGS, 1, 2.5, Random(1)) == 2.5


def test_a_wait_longer_than_the_limit_goes_to_the_client():
    assert wait_s(SETTINGS, 1, 30.0, Random(1)) is None


def test_the_backoff_doubles_up_to_its_limit_less_a_quarter_of_jitter():
    for retry, doubled in ((1, 1.0), (2, 2.0), (3, 4.0), (9, 8.0)):
        wait = wait_s(SETTINGS, retry, None, Random(retry))
        assert 0.75 * doubled <= wait <= doubled


@pytest.mark.parametrize(
    ("status", "fault"), [(500, True), (529, True), (503, True), (400, False), (429, False)]
)
def test_only_5xx_speak_against_a_provider(status, fault):
    assert is_provider_fault(status) is fault
