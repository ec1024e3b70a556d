from hypothesis import given, settings
from hypothesis import strategies as st

from farthing.limits import Bucket

MINUTE_US = 60_000_000

rates = st.integers(1, 100_000)
asks = st.lists(st.tuples(st.integers(0, 5_000_000), st.integers(1, 50)), min_size=1, max_size=60)


def passed(bucket, calls):
    """What passes of `calls` (gap before it in microseconds, units): instants and units."""
    now_us, found = 0, []
    for gap_us, units in calls:
        now_us += gap_us
        if bucket.fits(units) and bucket.take(units, now_us) == 0:
            found.append((now_us, units))
    return found


@settings(max_examples=150)
@given(per_minute=rates, burst=st.integers(1, 60), calls=asks)
def test_no_span_of_time_passes_more_than_its_rate_and_the_burst(per_minute, burst, calls):  # R1
    found = passed(Bucket(per_minute, burst, 0), calls)
    for first, (since_us, _) in enumerate(found):
        units = 0
        for until_us, taken in found[first:]:
            units += taken
            assert units * MINUTE_US <= burst * MINUTE_US + per_minute * (until_us - since_us)


@settings(max_examples=150)
@given(per_minute=rates, burst=st.integers(1, 60), units=st.integers(1, 60), spent=asks)
def test_the_wait_it_tells_is_exact(per_minute, burst, units, spent):
    bucket = Bucket(per_minute, burst, 0)
    passed(bucket, spent)
    now_us = sum(gap_us for gap_us, _ in spent)
    if not bucket.fits(units):
        return
    wait_us = bucket.wait_us(units, now_us)
    if wait_us:
        assert bucket.wait_us(units, now_us + wait_us - 1) > 0
    assert bucket.take(units, now_us + wait_us) == 0


@settings(max_examples=100)
@given(
    per_minute=rates, burst=st.integers(1, 60), gaps=st.lists(st.integers(0, 9_999), max_size=50)
)
def test_asking_often_changes_nothing(per_minute, burst, gaps):
    often, once = Bucket(per_minute, burst, 0), Bucket(per_minute, burst, 0)
    often.take(burst, 0)
    once.take(burst, 0)
    now_us = 0
    for gap_us in gaps:
        now_us += gap_us
        often.remaining(now_us)
    assert often.full_in_us(now_us) == once.full_in_us(now_us)


@settings(max_examples=100)
@given(per_minute=rates, burst=st.integers(1, 60), workers=st.integers(1, 8), calls=asks)
def test_workers_together_keep_the_rate_and_a_burst_of_at_most_one_unit_more_each(
    per_minute, burst, workers, calls
):
    buckets = [Bucket(per_minute, burst, 0, share=workers) for _ in range(workers)]
    ones = [(gap_us, 1) for gap_us, _ in calls for _ in range(3)]
    found = sorted(item for bucket in buckets for item in passed(bucket, ones))
    length_us = found[-1][0] - found[0][0]
    most = (burst + workers - 1) * MINUTE_US + per_minute * length_us
    assert sum(units for _, units in found) * MINUTE_US <= most


def test_an_excess_is_a_debt_that_is_paid_before_anything_passes():
    bucket = Bucket(60, 10, 0)
    bucket.take(10, 0)
    bucket.correct(5, 0)  # the call used five more than it asked for
    assert bucket.remaining(0) == 0
    assert bucket.wait_us(1, 0) == 6_000_000
    bucket.correct(-2, 0)
    assert bucket.wait_us(1, 0) == 4_000_000


def test_what_is_given_back_never_exceeds_the_burst():
    bucket = Bucket(60, 10, 0)
    bucket.correct(-100, 0)
    assert bucket.remaining(0) == 10


def test_a_call_larger_than_a_workers_part_passes_when_that_part_is_full():
    bucket = Bucket(60, 100, 0, share=4)
    assert bucket.fits(100)
    assert bucket.take(100, 0) == 0
    assert bucket.wait_us(1, 0) == 76 * 4 * 1_000_000
    assert not bucket.fits(101)


def test_a_clock_that_goes_back_refills_nothing():
    bucket = Bucket(60, 10, 1_000_000_000)
    bucket.take(10, 1_000_000_000)
    assert bucket.remaining(0) == 0
    assert bucket.remaining(1_001_000_000) == 1
