"""Known heads: what was parsed before needs no parsing, and nothing else changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.wire.intake import Intake
from farthing.wire.known import KnownHeads
from farthing.wire.limits import ServerLimits

LIMITS = ServerLimits(body_bytes_most=100)


def post(body, *lines, first=b"POST /p HTTP/1.1", length=None):
    counted = b"Content-Length: " + (b"%d" % len(body) if length is None else length)
    return b"\r\n".join((first, b"Host: x", *lines, counted, b"Accept: y", b"", body))


def taken(known, data):
    """The requests and the refusal that one connection makes of the data."""
    intake = Intake(LIMITS, "peer", known)
    while data and intake.refusal is None:
        data = intake.feed(data)
    return list(intake.requests), intake.refusal


def facts(result):
    requests, refusal = result
    return [
        (r.method, r.target, r.headers, r.named, r.body, r.peer, r.is_kept_alive, r.is_http_10)
        for r in requests
    ], refusal


def test_a_head_that_came_before_shares_what_its_reader_kept():
    known = KnownHeads()
    (first,), _ = taken(known, post(b"one"))
    first.memo["derived"] = 1
    (second,), _ = taken(known, post(b"longer body"))
    assert second.body == b"longer body"
    assert second.memo == {"derived": 1}
    assert second.headers == [(b"host", b"x"), (b"accept", b"y")]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(post(b"one", b"X: 1"), id="another header"),
        pytest.param(post(b"one", first=b"POST /q HTTP/1.1"), id="another target"),
        pytest.param(post(b"one").replace(b"Host: x", b"Host: z"), id="another host"),
        pytest.param(post(b"one").replace(b"Content-L", b"content-l"), id="another spelling"),
    ],
)
def test_a_head_that_differs_in_any_byte_is_another(other):
    known = KnownHeads()
    (first,), _ = taken(known, post(b"one"))
    first.memo["derived"] = 1
    (second,), _ = taken(known, other)
    assert second.memo == {}


ODD = [
    pytest.param(post(b"ab", length=b"+2"), id="signed length"),
    pytest.param(post(b"ab", length=b"2 "), id="length and a blank"),
    pytest.param(post(b"ab", length=b"2, 2"), id="two lengths in one"),
    pytest.param(post(b"ab", length=b""), id="empty length"),
    pytest.param(post(b"ab", b"Content-Length: 3"), id="two lengths"),
    pytest.param(post(b"ab", b"Transfer-Encoding: chunked"), id="length and chunks"),
    pytest.param(post(b"ab", b"Transfer-Encoding : chunked"), id="blank before the colon"),
    pytest.param(post(b"ab", b"Connection: close"), id="not kept alive"),
    pytest.param(post(b"ab", b"Expect: 100-continue"), id="expect"),
    pytest.param(post(b"ab", b"Connection: upgrade", b"Upgrade: h2c"), id="upgrade"),
    pytest.param(post(b"ab", first=b"POST /p HTTP/1.0"), id="old version"),
    pytest.param(post(b"ab", b"X: a\nContent-Length: 9"), id="bare line feed"),
    pytest.param(post(b"x" * 101), id="body too large"),
    pytest.param(post(b"ab") + post(b"cd"), id="pipelined"),
    pytest.param(post(b"abcd", length=b"3"), id="a byte too many"),
]


@pytest.mark.parametrize("data", ODD)
def test_what_is_not_plain_is_judged_the_same_each_time(data):
    known = KnownHeads()
    first = facts(taken(KnownHeads(), data))
    taken(known, post(b"ab"))
    assert facts(taken(known, data)) == first
    assert facts(taken(known, data)) == first


@pytest.mark.parametrize("data", ODD[:8])
def test_no_refused_head_is_ever_known(data):
    known = KnownHeads()
    before = facts(taken(known, data))
    (_, refusal) = before
    seen = known.look(data)
    assert refusal is None or seen is None or known.request(seen, "") is None


@given(st.lists(st.tuples(st.binary(max_size=50), st.booleans(), st.integers(1, 80)), max_size=8))
def test_a_connection_reads_the_same_requests_whether_their_heads_are_known_or_not(parts):
    known = KnownHeads()
    for body, has_more, cut in parts:
        lines = (b"X-More: 1",) if has_more else ()
        data = post(body, *lines)
        plain, shared = Intake(LIMITS, "", KnownHeads()), Intake(LIMITS, "", known)
        for piece in (data[:cut], data[cut:]):
            plain.feed(piece)
            shared.feed(piece)
        assert facts((plain.requests, plain.refusal)) == facts((shared.requests, shared.refusal))


def test_the_heads_known_are_bounded():
    known = KnownHeads()
    for number in range(3000):
        taken(known, post(b"", b"X: %d" % number))
    assert len(known._heads) <= 1024
