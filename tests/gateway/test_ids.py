from hypothesis import given
from hypothesis import strategies as st

from farthing.gateway.ids import CallIds


@given(st.binary(min_size=8, max_size=8), st.integers(0, 2**50), st.integers(1000, 10**6))
def test_ids_of_later_milliseconds_sort_later(random_bytes, now_us, later_us):
    ids = CallIds(random_bytes)
    assert ids.make(now_us) < ids.make(now_us + later_us)


def test_ids_never_repeat_within_a_process():
    ids = CallIds(b"\x01" * 8)
    assert len({ids.make(5) for _ in range(10_000)}) == 10_000


def test_ids_of_two_processes_differ():
    assert CallIds(b"\x01" * 8).make(5) != CallIds(b"\x02" * 8).make(5)
