import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farthing.wire.intake import Intake
from farthing.wire.known import KnownHeads
from farthing.wire.limits import ServerLimits

GET = b"GET /a?b=c HTTP/1.1\r\nHost: x\r\nX-One:  1 \r\nEmpty:\r\n\r\n"
POST = b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;ext=1\r\nhello\r\n1\r\n!\r\n0\r\nTrailer: t\r\n\r\n"
)
SMALL = ServerLimits(head_bytes_most=1000, headers_most=5, body_bytes_most=10)


def read(*parts, limits=SMALL):
    intake = Intake(limits, "1.2.3.4", KnownHeads())
    for part in parts:
        assert intake.feed(part) == b""
        if intake.refusal:
            break
    return intake


def seen(intake):
    return [(r.method, r.target, r.headers, r.body) for r in intake.requests]


WHOLE = seen(read(GET + POST + CHUNKED + GET))


def test_requests_are_read_with_lower_case_names_and_bodies():
    assert WHOLE[0] == (
        "GET",
        "/a?b=c",
        [(b"host", b"x"), (b"x-one", b"1 "), (b"empty", b"")],
        b"",
    )
    assert WHOLE[1][3] == b"hello"
    assert WHOLE[2][3] == b"hello!"
    assert len(WHOLE) == 4


def test_a_header_is_found_by_name_and_stripped():
    request = read(GET).requests[0]
    assert request.header(b"x-one") == b"1"
    assert request.header(b"none") is None
    assert request.path == "/a"
    assert request.peer == "1.2.3.4"


@pytest.mark.parametrize("cut", range(1, len(GET + POST + CHUNKED + GET)))
def test_where_the_bytes_are_cut_changes_nothing(cut):
    data = GET + POST + CHUNKED + GET
    assert seen(read(data[:cut], data[cut:])) == WHOLE


def test_bytes_one_by_one_change_nothing():
    data = GET + POST + CHUNKED + GET
    assert seen(read(*(data[i : i + 1] for i in range(len(data))))) == WHOLE


def test_a_trailer_never_becomes_a_header():
    assert b"trailer" not in read(CHUNKED).requests[0].named
    assert all(name != b"trailer" for name, _ in read(CHUNKED + GET).requests[1].headers)


def head(*lines, first=b"POST / HTTP/1.1"):
    return b"\r\n".join([first, b"Host: x", *lines, b"", b""])


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(
            head(b"Content-Length: 3", b"Transfer-Encoding: chunked"), 400, id="length and chunked"
        ),
        pytest.param(
            head(b"Transfer-Encoding: chunked", b"Content-Length: 3"), 400, id="chunked and length"
        ),
        pytest.param(head(b"Content-Length: 3", b"Content-Length: 4"), 400, id="two lengths"),
        pytest.param(head(b"Content-Length: 3", b"Content-Length: 3"), 400, id="the same twice"),
        pytest.param(head(b"Content-Length: 3, 3"), 400, id="a list of lengths"),
        pytest.param(head(b"Content-Length: +3"), 400, id="signed length"),
        pytest.param(head(b"Content-Length: -3"), 400, id="negative length"),
        pytest.param(head(b"Content-Length: 0x3"), 400, id="hexadecimal length"),
        pytest.param(head(b"Content-Length:"), 400, id="empty length"),
        pytest.param(head(b"Content-Length: " + b"9" * 30), 400, id="overflowing length"),
        pytest.param(head(b"Transfer-Encoding: identity"), 501, id="identity coding"),
        pytest.param(head(b"Transfer-Encoding: xchunked"), 501, id="unknown coding"),
        pytest.param(head(b"Transfer-Encoding: chunked, gzip"), 400, id="chunked not last"),
        pytest.param(head(b"Transfer-Encoding: gzip, chunked"), 501, id="gzip coding"),
        pytest.param(
            head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
            400,
            id="two codings",
        ),
        pytest.param(head(b"Transfer-Encoding: \x0bchunked"), 400, id="control in coding"),
        pytest.param(head(b"Transfer-Encoding:\r\n chunked"), 400, id="folded coding"),
        pytest.param(head(b"A: b\r\n c"), 400, id="folded header"),
        pytest.param(head(b"A : b"), 400, id="space before the colon"),
        pytest.param(head(b": b"), 400, id="no name"),
        pytest.param(head(b"A: b\0c"), 400, id="nul in a value"),
        pytest.param(head(b"A: b\rc"), 400, id="bare cr in a value"),
        pytest.param(head(b"A\xff: b"), 400, id="bad byte in a name"),
        pytest.param(b"GET / HTTP/1.1\nHost: x\n\n", 400, id="bare line feeds"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", 400, id="no host"),
        pytest.param(head(b"Host: y"), 400, id="two hosts"),
        pytest.param(head(first=b"GET /a b HTTP/1.1"), 400, id="space in the target"),
        pytest.param(head(first=b"GET /\x01 HTTP/1.1"), 400, id="control in the target"),
        pytest.param(head(first=b"GET /\xe4 HTTP/1.1"), 400, id="raw utf-8 in the target"),
        pytest.param(head(first=b"get / HTTP/1.1"), 400, id="lower-case method"),
        pytest.param(head(first=b"GET / HTTP/3.7"), 400, id="no such version"),
        pytest.param(head(first=b"GET / HTTP/2.0"), 505, id="version 2"),
        pytest.param(head(first=b"GET /"), 505, id="version 0.9"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, id="http2 preface"),
        pytest.param(head(first=b"CONNECT a:80 HTTP/1.1"), 501, id="connect"),
        pytest.param(
            b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, id="chunked 1.0"
        ),
        pytest.param(head(b"Content-Length: 11"), 413, id="declared too long"),
        pytest.param(
            head(b"Transfer-Encoding: chunked") + b"a\r\nhello", 0, id="a chunk not whole yet"
        ),
        pytest.param(
            head(b"Transfer-Encoding: chunked") + b"6\r\nhello!\r\n5\r\nworld",
            413,
            id="chunks too long",
        ),
        pytest.param(
            head(b"Transfer-Encoding: chunked") + b"5 \r\n", 400, id="space in chunk size"
        ),
        pytest.param(head(b"Transfer-Encoding: chunked") + b"-1\r\n", 400, id="negative chunk"),
        pytest.param(
            head(b"Transfer-Encoding: chunked") + b"1\r\nab\r\n", 400, id="chunk overlong"
        ),
        pytest.param(head(b"Transfer-Encoding: chunked") + b"1\nab", 400, id="chunk size with lf"),
        pytest.param(head(*[b"A: b"] * 5), 431, id="too many headers"),
        pytest.param(head(b"A: " + b"b" * 1000), 431, id="header too long"),
        pytest.param(head(first=b"GET /" + b"a" * 1000 + b" HTTP/1.1"), 431, id="target too long"),
        pytest.param(b"GET / HTTP/1.1\r\nA: " + b"b" * 40000, 431, id="head without end"),
        pytest.param(
            head(b"Transfer-Encoding: chunked") + b"0\r\nT: " + b"t" * 40000,
            431,
            id="endless trailer",
        ),
        pytest.param(
            head(b"Transfer-Encoding: chunked") + b"1;" + b"e" * 40000, 431, id="endless extension"
        ),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00", 400, id="tls hello"),
    ],
)
def test_what_is_ambiguous_or_too_large_is_refused(data, status):
    intake = Intake(SMALL, "", KnownHeads())
    while data and intake.refusal is None:
        data = intake.feed(data[:30000]) + data[30000:]
    assert not intake.requests
    assert (intake.refusal[0] if intake.refusal else 0) == status


def test_a_refusal_names_the_target_so_that_it_can_be_answered_in_its_protocol():
    refusal = read(head(b"Content-Length: 11", first=b"POST /v1/messages HTTP/1.1")).refusal
    assert refusal == (
        413,
        "the request's body of 11 bytes is larger than the 10 bytes allowed",
        "/v1/messages",
    )


def test_what_came_before_a_malformed_request_is_still_served():
    intake = read(GET + b"garbage\r\n\r\n")
    assert [r.target for r in intake.requests] == ["/a?b=c"]
    assert intake.refusal is not None


@pytest.mark.parametrize(
    ("version", "connection", "is_kept"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: close\r\n", False),
        (b"1.1", b"Connection: keep-alive\r\n", True),
        (b"1.0", b"", False),
        (b"1.0", b"Connection: keep-alive\r\n", True),
    ],
)
def test_the_client_decides_whether_the_connection_is_kept(version, connection, is_kept):
    request = read(b"GET / HTTP/" + version + b"\r\nHost: x\r\n" + connection + b"\r\n").requests[0]
    assert request.is_kept_alive is is_kept
    assert request.is_http_10 is (version == b"1.0")


def test_a_proxy_form_target_is_read_as_its_path():
    assert read(head(first=b"GET http://x:1/p?q HTTP/1.1")).requests[0].target == "/p?q"
    assert read(head(first=b"OPTIONS * HTTP/1.1")).requests[0].target == "*"


def test_an_offer_to_upgrade_is_declined_and_the_request_served():
    offer = (
        b"POST /u HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAM\r\nContent-Length: 5\r\n\r\nhel"
    )
    intake = read(GET + offer, b"lo" + GET)
    assert [r.target for r in intake.requests] == ["/a?b=c", "/u", "/a?b=c"]
    assert intake.requests[1].body == b"hello"
    assert b"upgrade" not in intake.requests[1].named


def test_a_large_read_gives_back_what_follows_the_first_slice_of_requests():
    data = GET * 2000
    intake = Intake(ServerLimits(), "", KnownHeads())
    count = 0
    while data:
        data = intake.feed(data)
        assert len(intake.requests) < 1000
        count += len(intake.requests)
        intake.requests.clear()
    assert count == 2000


def test_a_large_body_arrives_whole_however_it_is_cut():
    body = bytes(range(256)) * 4096
    data = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    intake = Intake(ServerLimits(), "", KnownHeads())
    for start in range(0, len(data), 100_000):
        assert intake.feed(data[start : start + 100_000]) == b""
    assert intake.requests[0].body == body


def test_expect_is_noted_until_the_body_comes():
    waiting = head(b"Expect: 100-Continue", b"Content-Length: 2")
    intake = read(waiting)
    assert intake.wants_continue
    assert intake.is_mid_body
    intake.feed(b"ab")
    assert not intake.wants_continue
    assert intake.requests[0].body == b"ab"


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=60), max_size=8))
def test_random_bytes_end_in_requests_or_a_refusal_never_in_a_crash(parts):
    intake = read(*parts)
    assert intake.refusal is None or 400 <= intake.refusal[0] <= 505


FRAGMENTS = [
    b"GET / HTTP/1.1\r\n", b"POST /p HTTP/1.1\r\n", b"Host: x\r\n", b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n", b"\r\n", b"abc", b"3\r\nabc\r\n", b"0\r\n\r\n", b"\n", b"\r",
    b": ", b" ", b"\0", b"Connection: upgrade\r\n", b"Upgrade: h2c\r\n", b"Expect: 100-continue\r\n",
]  # fmt: skip


@settings(max_examples=400)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=30), st.integers(1, 50))
def test_shuffled_fragments_read_alike_whole_and_cut(fragments, size):
    data = b"".join(fragments)
    whole = read(data)
    cut = read(*(data[i : i + size] for i in range(0, len(data), size)))
    assert seen(cut) == seen(whole)
    assert (cut.refusal is None) == (whole.refusal is None)
