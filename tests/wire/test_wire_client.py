import asyncio
import gc
import math
import os
import random
import socket
import struct
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_doubles import LOOPS, answering, keeping, read_request, run, serving, until, upstream

from farthing.errors import ConfigError, FarthingError
from farthing.wire import (
    BadHeader,
    BadResponse,
    Client,
    ClientLimits,
    ConnectFailed,
    ConnectTimeout,
    Disconnected,
    FirstByteTimeout,
    IdleTimeout,
    Origin,
    PoolExhausted,
    Reply,
    Timeouts,
    TotalTimeout,
    WireError,
    request_head,
    trust,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1 \r\n\r\nok"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;e=1\r\nhello\r\n1\r\n!\r\n0\r\nTrailer: t\r\n\r\n"
)
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nuntil the end"
QUICK = Timeouts(connect_s=5.0, first_byte_s=0.05, idle_s=0.05, total_s=5.0)
MOST = 100_000_000


@pytest.fixture(params=sorted(LOOPS))
def loop(request):
    return request.param


async def get(client, origin, timeouts=None, method="GET", body=b""):
    options = (timeouts,) if timeouts else ()
    return await client.send(origin, method, "/x", [(b"a", b"b")], body, *options)


async def no_tasks_but_this():
    await until(lambda: len(asyncio.all_tasks()) <= 1)


def exchange(script, method="GET", body=b"", limits=None, timeouts=None, loop="uvloop"):
    """What one request to `script` brings: (response, body read, connections open after it)."""

    async def main():
        async with upstream(script, limits) as (client, origin, _):
            response = await get(client, origin, timeouts, method, body)
            whole = await response.read(MOST)
            await asyncio.sleep(0)
            return response, whole, client.idle_connections(origin)

    return run(main, loop)


# What is sent.


def test_a_request_goes_out_as_one_block_with_its_framing(loop):
    seen = []

    async def script(reader, writer):
        seen.append(await reader.read(65536))
        writer.write(OK)
        await reader.read()

    async def main():
        async with upstream(script) as (client, origin, _):
            headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
            response = await client.send(origin, "POST", "/v1/x?y=1", headers, b"{}")
            assert await response.read(2) == b"ok"
            return origin.port

    port = run(main, loop)
    assert seen == [
        b"POST /v1/x?y=1 HTTP/1.1\r\nhost: 127.0.0.1:%d\r\ncontent-type: application/json\r\n"
        b"content-length: 2\r\n\r\n{}" % port
    ]


def test_a_head_made_before_serves_many_requests():
    seen = []

    async def script(reader, writer):
        for _ in range(2):
            seen.append((await read_request(reader))[0])
            writer.write(OK)
        await reader.read()

    async def main():
        async with upstream(script) as (client, origin, _):
            head = request_head(origin, "POST", "/x", [(b"a", b"b"), (b"host", b"evil")])
            for body in (b"", b"four"):
                await (await client.send_head(origin, head, body, Timeouts())).read(2)

    run(main)
    assert seen[0].endswith(b"\r\na: b\r\ncontent-length: 0\r\n\r\n")
    assert seen[1].endswith(b"\r\na: b\r\ncontent-length: 4\r\n\r\n")
    assert b"evil" not in seen[0]


def test_a_large_body_arrives_whole(loop):
    body = random.Random(1).randbytes(8_000_000)

    async def script(reader, writer):
        _, got = await read_request(reader)
        writer.write(OK if got == body else b"HTTP/1.1 400 No\r\nContent-Length: 2\r\n\r\nno")
        await reader.read()

    response, _, idle = exchange(script, "POST", body, loop=loop)
    assert response.status == 200
    assert idle == 1


@pytest.mark.parametrize(
    ("method", "target", "header"),
    [
        ("GET", "/a b", (b"a", b"b")),
        ("GET", "/a\r\nX: y", (b"a", b"b")),
        ("GET", "/ä", (b"a", b"b")),
        ("GET X", "/a", (b"a", b"b")),
        ("GET", "/a", (b"a", b"b\r\nc: d")),
        ("GET", "/a", (b"a\n", b"b")),
        ("GET", "/a", (b"a", b"b\0")),
        ("GET", "/a", (b"Content-Length", b"3")),
    ],
)
def test_what_would_forge_a_line_is_not_sent(method, target, header):
    async def main():
        async with upstream(keeping(OK)) as (client, origin, fake):
            with pytest.raises(BadHeader):
                await client.send(origin, method, target, [header])
            assert fake.accepted == 0
            assert client.connections(origin) == 0

    run(main)


# What comes back.


def test_status_headers_and_body_are_read(loop):
    response, body, idle = exchange(keeping(OK), loop=loop)
    assert response.status == 200
    assert response.headers == [(b"content-length", b"2"), (b"x-a", b"1 ")]
    assert response.header(b"x-a") == b"1"
    assert response.header(b"none") is None
    assert body == b"ok"
    assert idle == 1


def test_a_chunked_answer_leaves_the_connection_usable_and_its_trailer_out():
    response, body, idle = exchange(keeping(CHUNKED))
    assert body == b"hello!"
    assert response.header(b"trailer") is None
    assert idle == 1


def test_an_answer_without_a_length_ends_with_its_connection(loop):
    _, body, idle = exchange(answering(UNTIL_CLOSE), loop=loop)
    assert body == b"until the end"
    assert idle == 0


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ],
)
def test_answers_without_a_body_are_whole_with_their_head(method, answer, loop):
    async def main():
        async with upstream(keeping(answer)) as (client, origin, fake):
            for _ in range(3):
                response = await get(client, origin, method=method)
                assert response.is_whole
                assert await response.read(0) == b""
            assert fake.accepted == 1

    run(main, loop)


def test_informational_answers_are_skipped():
    answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + OK
    response, body, idle = exchange(keeping(answer))
    assert (response.status, body, idle) == (200, b"ok", 1)
    assert response.header(b"link") is None


@pytest.mark.parametrize("answer", [OK, CHUNKED, b"HTTP/1.1 100 C\r\n\r\n" + OK], ids="lci")
def test_where_an_answer_is_cut_changes_nothing(answer):
    async def main():
        cut = 0

        async def script(reader, writer):
            nonlocal cut
            while True:
                await read_request(reader)
                writer.write(answer[:cut])
                await writer.drain()
                await asyncio.sleep(0)
                writer.write(answer[cut:])
                cut += 1

        async with upstream(script) as (client, origin, fake):
            for _ in range(len(answer)):
                body = await (await get(client, origin)).read(6)
                assert body == (b"hello!" if answer is CHUNKED else b"ok")
            assert fake.accepted == 1

    run(main)


def test_requests_are_not_held_back_by_the_kernel(loop):
    async def main():
        async with upstream(keeping(OK)) as (client, origin, _):
            await (await get(client, origin)).read(6)
            (connection,) = client._pools[origin.key]._idle
            fileno = connection._transport.get_extra_info("socket").fileno()
            with socket.socket(fileno=os.dup(fileno)) as sock:
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0

    run(main, loop)


def test_chunks_are_handed_on_as_they_arrive(loop):
    async def main():
        gates = [asyncio.Event() for _ in range(3)]

        async def script(reader, writer):
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for gate in gates:
                await gate.wait()
                writer.write(b"4\r\ndata\r\n")
            writer.write(b"0\r\n\r\n")
            await reader.read()

        async with upstream(script) as (client, origin, _):
            response = await get(client, origin)
            assert response.status == 200
            gates[0].set()
            got = []
            async for chunk in response:
                got.append(chunk)
                if len(got) < 3:
                    gates[len(got)].set()
            assert got == [b"data"] * 3
            assert client.idle_connections(origin) == 1

    run(main, loop)


def test_an_answer_may_come_before_the_body_was_taken(loop):
    """A 413 by a server that then closes without reading: it is delivered, not the reset."""
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig"

    async def script(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(refusal)
        await writer.drain()

    async def main():
        async with upstream(script) as (client, origin, _):
            response = await get(client, origin, method="POST", body=b"x" * 50_000_000)
            assert response.status == 413
            assert await response.read(3) == b"big"
            await until(lambda: client.connections(origin) == 0)

    run(main, loop)


def test_an_answer_longer_than_the_limit_is_refused():
    async def main():
        long = b"HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n" + b"x" * 500_000
        chunked = (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            + (b"1000\r\n" + b"c" * 4096 + b"\r\n") * 200
        )
        for answer in (long, chunked, OK):
            async with upstream(keeping(answer)) as (client, origin, _):
                response = await get(client, origin)
                with pytest.raises(BadResponse, match="longer than the 1 bytes"):
                    await response.read(1)

    run(main)


# Misbehaving upstreams.


def raw(data, *, then="close"):
    async def script(reader, writer):
        await read_request(reader)
        writer.write(data)
        await writer.drain()
        if then == "hang":
            await reader.read()
        elif then == "half-close":
            writer.write_eof()
            await reader.read()
        elif then == "reset":
            sock = writer.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    return script


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
MISBEHAVING = [
    pytest.param(raw(b""), Disconnected, id="closes without an answer"),
    pytest.param(raw(b"", then="half-close"), Disconnected, id="half-closes"),
    pytest.param(raw(b"", then="reset"), Disconnected, id="resets"),
    pytest.param(raw(b"", then="hang"), FirstByteTimeout, id="never answers"),
    pytest.param(raw(b"SSH-2.0-x\r\n"), BadResponse, id="garbage"),
    pytest.param(raw(b"\x15\x03\x01\x00\x02\x02\x28"), BadResponse, id="tls alert"),
    pytest.param(raw(b"HTTP/2 200 OK\r\n\r\n"), BadResponse, id="http 2"),
    pytest.param(raw(b"HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n"), BadResponse, id="999"),
    pytest.param(raw(b"HTTP/1.1 101 X\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n"), BadResponse, id="101"),
    pytest.param(raw(b"HTTP/1.1 200 OK\r\nA: b", then="hang"), FirstByteTimeout, id="half a head"),
    pytest.param(raw(b"HTTP/1.1 200 OK\r\nA: b"), Disconnected, id="closes within its head"),
    pytest.param(raw(b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n"), BadResponse, id="folded header"),
    pytest.param(raw(b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n"), BadResponse, id="space in a name"),
    pytest.param(raw(b"HTTP/1.1 200 OK\nA: b\n\n"), BadResponse, id="bare line feeds"),
    pytest.param(raw(b"HTTP/1.1 200 OK\r\nA: " + b"b" * 300_000), BadResponse, id="endless head"),
    pytest.param(raw(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 300 + b"\r\n"), BadResponse, id="many headers"),
    pytest.param(raw(b"HTTP/1.1 100 C\r\n\r\n" * 10_000), BadResponse, id="endless informational"),
    pytest.param(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na"), BadResponse, id="two lengths"),
    pytest.param(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"), BadResponse, id="length and chunked"),
    pytest.param(raw(HEAD + b"short"), Disconnected, id="short body"),
    pytest.param(raw(HEAD + b"short", then="reset"), Disconnected, id="short body and reset"),
    pytest.param(raw(HEAD + b"short", then="half-close"), Disconnected, id="short body and half-close"),
    pytest.param(raw(HEAD, then="hang"), IdleTimeout, id="head only"),
    pytest.param(raw(HEAD + b"short", then="hang"), IdleTimeout, id="stalls within the body"),
    pytest.param(raw(UNTIL_CLOSE, then="reset"), Disconnected, id="reset is no end"),
    pytest.param(raw(CHUNKED[:-5]), Disconnected, id="no last chunk"),
    pytest.param(raw(CHUNKED.replace(b"5;", b"z;")), BadResponse, id="bad chunk size"),
    pytest.param(raw(CHUNKED.replace(b"hello", b"hell")), BadResponse, id="short chunk"),
    pytest.param(raw(CHUNKED[:-2] + b"T: " + b"t" * 300_000), BadResponse, id="endless trailer"),
]  # fmt: skip


@pytest.mark.parametrize(("script", "expected"), MISBEHAVING)
def test_a_misbehaving_upstream_ends_in_its_error_and_leaves_nothing(script, expected, loop):
    async def main():
        async with upstream(script) as (client, origin, _):
            with pytest.raises(expected) as caught:
                await (await get(client, origin, QUICK)).read(MOST)
            assert type(caught.value) is expected
            assert caught.value.may_have_run
            assert caught.value.code == expected.code
            assert str(caught.value).count(". ") >= 2  # what happened, what was kept, what to do
            await until(lambda: client.connections(origin) == 0)

    run(main, loop)


def test_a_disconnection_says_how_much_had_come():
    async def main():
        async with upstream(raw(HEAD + b"short")) as (client, origin, _):
            response = await get(client, origin)
            got = [await anext(response)]
            with pytest.raises(Disconnected) as caught:
                await anext(response)
            assert got == [b"short"]
            assert caught.value.bytes_received == len(HEAD) + 5
            assert not caught.value.reused
            with pytest.raises(Disconnected):
                await anext(response)

    run(main)


@pytest.mark.parametrize(
    "extra", [b"x", b"HTTP", OK, b"HTTP/1.1 200 OK\r\n"], ids=["junk", "begun", "whole", "line"]
)
def test_bytes_beyond_an_answer_cost_the_connection_but_not_the_answer(extra, loop):
    response, body, idle = exchange(raw(OK + extra, then="hang"), loop=loop)
    assert (response.status, body, idle) == (200, b"ok", 0)


def test_bytes_on_an_idle_connection_cost_it(loop):
    async def main():
        gate = asyncio.Event()

        async def script(reader, writer):
            await read_request(reader)
            writer.write(OK)
            await gate.wait()
            writer.write(OK)
            await reader.read()

        async with upstream(script) as (client, origin, fake):
            await (await get(client, origin)).read(2)
            assert client.idle_connections(origin) == 1
            gate.set()
            await until(lambda: client.connections(origin) == 0)
            assert (await (await get(client, origin)).read(2)) == b"ok"
            assert fake.accepted == 2

    run(main, loop)


def test_an_answer_before_any_request_is_not_taken_for_one():
    async def main():
        async def script(reader, writer):
            writer.write(OK)
            await writer.drain()
            await reader.read()

        async with upstream(script) as (client, origin, _):
            try:
                response = await get(client, origin, QUICK)
                assert await response.read(2) == b"ok"  # in the kernel's hands they look alike
            except WireError:
                pass
            await until(lambda: client.idle_connections(origin) == 0 or True)

    run(main)


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
               b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"],
    ids=["close", "http 1.0"],
)  # fmt: skip
def test_an_upstream_that_wants_to_close_is_not_asked_again(answer):
    response, body, idle = exchange(raw(answer, then="hang"))
    assert (response.status, body, idle) == (200, b"ok", 0)


# Time-outs.


def test_total_time_bounds_an_answer_that_drips(loop):
    async def script(reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b"x")
            await asyncio.sleep(0.01)

    async def main():
        async with upstream(script) as (client, origin, _):
            timeouts = Timeouts(idle_s=5.0, total_s=0.1)
            with pytest.raises(TotalTimeout, match=r"longer than 0\.1 s"):
                await (await get(client, origin, timeouts)).read(MOST)
            assert client.connections(origin) == 0

    run(main, loop)


def test_a_slow_consumer_is_no_idle_upstream(loop):
    """While we do not read, the silence is ours."""
    size = 30_000_000

    async def script(reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        writer.write(b"x" * size)
        await reader.read()

    async def main():
        async with upstream(script) as (client, origin, _):
            response = await get(client, origin, Timeouts(idle_s=0.1))
            await asyncio.sleep(0.3)
            assert sum([len(chunk) async for chunk in response]) == size
            assert client.idle_connections(origin) == 1

    run(main, loop)


def test_time_outs_of_one_exchange_do_not_outlive_it():
    async def script(reader, writer):
        await read_request(reader)
        writer.write(OK)
        await read_request(reader)
        await asyncio.sleep(0.1)
        writer.write(OK)
        await reader.read()

    async def main():
        async with upstream(script) as (client, origin, fake):
            await (await get(client, origin, QUICK)).read(2)
            await (await get(client, origin, Timeouts())).read(2)
            assert fake.accepted == 1

    run(main)


def test_no_connection_in_time_is_an_error_of_its_own(loop):
    async def main():
        full = socket.socket()
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = []
        for _ in range(4):  # a full backlog drops what comes
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
            fillers.append(filler)
        client = Client()
        origin = Origin.parse(f"http://127.0.0.1:{full.getsockname()[1]}")
        with pytest.raises(ConnectTimeout) as caught:
            await get(client, origin, Timeouts(connect_s=0.05))
        assert not caught.value.may_have_run
        assert client.connections(origin) == 0
        for sock in [full, *fillers]:
            sock.close()

    run(main, loop)


# The pool.


def test_the_connection_used_last_is_used_first(loop):
    async def main():
        served = []

        async def script(reader, writer):
            number = len(served)
            served.append(0)
            while True:
                await read_request(reader)
                served[number] += 1
                writer.write(OK)

        async with upstream(script) as (client, origin, _):
            both = await asyncio.gather(get(client, origin), get(client, origin))
            for response in both:
                await response.read(2)
            for _ in range(5):
                await (await get(client, origin)).read(2)
        assert sorted(served) == [1, 6]

    run(main, loop)


def test_no_more_connections_than_allowed_and_the_rest_wait_in_line(loop):
    async def main():
        busy = most = 0

        async def script(reader, writer):
            nonlocal busy, most
            while True:
                await read_request(reader)
                busy += 1
                most = max(most, busy)
                await asyncio.sleep(0)
                writer.write(OK)
                busy -= 1

        async with upstream(script, ClientLimits(connections_most=3)) as (client, origin, fake):

            async def one():
                return await (await get(client, origin)).read(2)

            assert await asyncio.gather(*(one() for _ in range(60))) == [b"ok"] * 60
            assert most <= 3
            assert fake.accepted == 3
            assert client.connections(origin) == 3

    run(main, loop)


def test_a_full_line_refuses_and_a_long_wait_times_out():
    async def main():
        limits = ClientLimits(connections_most=1, queue_most=1)
        async with upstream(raw(b"", then="hang"), limits) as (client, origin, fake):
            holding = asyncio.create_task(get(client, origin))
            await until(lambda: fake.accepted == 1)
            waiting = asyncio.create_task(get(client, origin, Timeouts(connect_s=0.1)))
            await asyncio.sleep(0)
            with pytest.raises(PoolExhausted) as refused:
                await get(client, origin)
            assert not refused.value.may_have_run
            with pytest.raises(ConnectTimeout):
                await waiting
            holding.cancel()
            await asyncio.gather(holding, return_exceptions=True)
            assert client.connections(origin) == 0

    run(main)


def test_when_a_connection_dies_the_next_in_line_makes_its_own(loop):
    async def main():
        async with upstream(answering(OK), ClientLimits(connections_most=1)) as (client, origin, _):

            async def one():
                return await (await get(client, origin)).read(2)

            results = await asyncio.gather(*(one() for _ in range(20)), return_exceptions=True)
            assert set(map(str, results)) <= {str(b"ok")} | {
                str(r) for r in results if isinstance(r, Disconnected)
            }
            assert results.count(b"ok") >= 1
            await until(lambda: client.connections(origin) == 0)

    run(main, loop)


def test_a_connection_closed_while_idle_is_not_used_again(loop):
    async def main():
        async with upstream(answering(OK)) as (client, origin, fake):
            for _ in range(5):
                assert await (await get(client, origin)).read(2) == b"ok"
                await until(lambda: client.connections(origin) == 0)
            assert fake.accepted == 5

    run(main, loop)


def test_a_reused_connection_that_dies_says_so(loop):
    async def main():
        async def script(reader, writer):
            await read_request(reader)
            writer.write(OK)
            await read_request(reader)

        async with upstream(script) as (client, origin, _):
            await (await get(client, origin)).read(2)
            with pytest.raises(Disconnected) as caught:
                await get(client, origin)
            assert caught.value.reused
            assert caught.value.bytes_received == 0
            assert caught.value.may_have_run
            assert "the connection had been idle" in str(caught.value)

    run(main, loop)


def test_a_reused_connection_that_dies_within_an_answer_is_not_called_idle(loop):
    async def main():
        async def script(reader, writer):
            await read_request(reader)
            writer.write(OK)
            await read_request(reader)
            writer.write(HEAD + b"short")

        async with upstream(script) as (client, origin, _):
            await (await get(client, origin)).read(2)
            with pytest.raises(Disconnected) as caught:
                await (await get(client, origin)).read(MOST)
            assert caught.value.bytes_received > 0
            assert "idle" not in str(caught.value)

    run(main, loop)


def test_idle_connections_are_dropped_in_time_and_beyond_their_number(loop):
    async def main():
        limits = ClientLimits(idle_most=2, idle_s=0.05)
        async with upstream(keeping(OK), limits) as (client, origin, fake):
            responses = await asyncio.gather(*(get(client, origin) for _ in range(5)))
            for response in responses:
                await response.read(2)
            assert client.idle_connections(origin) == 2
            await until(lambda: client.connections(origin) == 0)
            await until(lambda: fake.open == 0)

    run(main, loop)


def test_closing_an_answer_early_drops_its_connection(loop):
    async def main():
        async with upstream(raw(HEAD + b"short", then="hang")) as (client, origin, fake):
            response = await get(client, origin)
            reading = asyncio.create_task(response.read(MOST))
            await asyncio.sleep(0)
            response.close()
            with pytest.raises(Disconnected):
                await reading
            assert client.connections(origin) == 0
            await until(lambda: fake.open == 0)
            response.close()

    run(main, loop)


def test_closing_a_whole_answer_keeps_its_connection():
    async def main():
        async with upstream(keeping(OK)) as (client, origin, _):
            response = await get(client, origin)
            await response.aclose()
            assert client.idle_connections(origin) == 1

    run(main)


def test_closing_the_client_fails_what_is_under_way(loop):
    async def main():
        async with upstream(raw(b"", then="hang"), ClientLimits(connections_most=1)) as (
            client, origin, fake,
        ):  # fmt: skip
            tasks = [asyncio.create_task(get(client, origin)) for _ in range(3)]
            await until(lambda: fake.accepted == 1)
            client.close()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(r, WireError) for r in results)

    run(main, loop)


# Back-pressure.


def test_a_slow_consumer_bounds_how_much_is_held_of_200_mb(loop):
    size = 200_000_000
    block = b"x" * 1_000_000
    sent = 0

    async def main():
        async def script(reader, writer):
            nonlocal sent
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            while sent < size:
                writer.write(block)
                sent += len(block)
                await writer.drain()
            await reader.read()

        async with upstream(script) as (client, origin, _):
            response = await get(client, origin)
            before = -1
            while before != sent:  # until the sender is stuck over many turns of the loop
                before = sent
                for _ in range(200):
                    await asyncio.sleep(0)
            assert response.bytes_held < 1_000_000
            assert sent < 30_000_000  # what the kernel's socket buffers take
            got = most = 0
            async for chunk in response:
                got += len(chunk)
                most = max(most, len(chunk))
            assert got == size
            assert most < 1_000_000
            assert client.idle_connections(origin) == 1

    run(main, loop)


def test_many_tiny_chunks_are_held_as_few():
    async def main():
        count = 40_000
        answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * count

        async with upstream(raw(answer, then="hang")) as (client, origin, _):
            response = await get(client, origin)
            await until(lambda: response.bytes_held == count)
            assert len(response.chunks) <= 65
            response.close()

    run(main)


# Cancellation.


@pytest.mark.parametrize("seed", range(6))
def test_a_storm_of_cancellations_leaks_no_connection_and_no_timer(seed, loop):
    chance = random.Random(seed)

    async def main():
        async def script(reader, writer):
            while True:
                await read_request(reader)
                for part in (CHUNKED[:30], CHUNKED[30:60], CHUNKED[60:]):
                    writer.write(part)
                    for _ in range(chance.randrange(4)):
                        await asyncio.sleep(0)

        limits = ClientLimits(connections_most=5, idle_most=3)
        async with upstream(script, limits) as (client, origin, fake):

            async def one():
                response = await get(client, origin)
                try:
                    assert await response.read(6) == b"hello!"
                finally:
                    response.close()

            tasks = []
            for _ in range(150):
                tasks.append(asyncio.create_task(one()))
                for _ in range(chance.randrange(3)):
                    await asyncio.sleep(0)
                if chance.random() < 0.6:
                    chance.choice(tasks).cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            wrong = [
                r for r in results
                if r is not None and not isinstance(r, asyncio.CancelledError)
            ]  # fmt: skip
            assert wrong == []
            assert client.connections(origin) == client.idle_connections(origin)
            await until(lambda: fake.open == client.connections(origin))
            assert await (await get(client, origin)).read(6) == b"hello!"
            client.close()
            assert client.connections(origin) == 0

    run(main, loop)


def test_an_exchange_leaves_no_object_behind():
    async def main():
        async with upstream(answering(OK)) as (client, origin, _):
            for _ in range(30):
                await (await get(client, origin)).read(2)
                await until(lambda: client.connections(origin) == 0)

    def left():
        gc.collect()
        return sum(type(o).__name__ in {"Outbound", "Response"} for o in gc.get_objects())

    before = left()
    run(main)
    assert left() <= before


# Where to.


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port", "prefix", "key", "host_line"),
    [
        ("https://api.openai.com/v1", "https", "api.openai.com", 443, "/v1",
         "https://api.openai.com", b"host: api.openai.com\r\n"),
        ("http://LOCALHOST:8000/", "http", "localhost", 8000, "",
         "http://localhost:8000", b"host: localhost:8000\r\n"),
        ("http://[::1]:80/a/", "http", "::1", 80, "/a", "http://[::1]", b"host: [::1]\r\n"),
        ("http+unix:///run/x.sock", "http+unix", "localhost", 0, "",
         "http+unix:///run/x.sock", b"host: localhost\r\n"),
    ],
)  # fmt: skip
def test_an_origin_is_read_from_a_base_url(url, scheme, host, port, prefix, key, host_line):
    origin = Origin.parse(url)
    assert (origin.scheme, origin.host, origin.port) == (scheme, host, port)
    assert (origin.prefix, origin.key, origin.host_line) == (prefix, key, host_line)


@pytest.mark.parametrize(
    "url",
    ["", "api.openai.com", "ftp://x", "http://", "http://x:0", "http://x:99999", "http://x?y",
     "http://x/#f", "http://user:sk-secret@x", "http+unix://host/p", "http+unix:", "http://a b",
     "http://[::1"],
)  # fmt: skip
def test_what_is_no_base_url_is_refused_without_repeating_secrets(url):
    with pytest.raises(ConfigError) as caught:
        Origin.parse(url)
    assert "sk-secret" not in str(caught.value)


def test_an_upstream_that_is_not_there_is_an_error_of_its_own(loop):
    async def main():
        client = Client()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            origin = Origin.parse(f"http://127.0.0.1:{free.getsockname()[1]}")
        for unreachable in (origin, Origin.parse("http+unix:///nowhere/x.sock"),
                            Origin.parse("http://no-such-host.invalid")):  # fmt: skip
            with pytest.raises(ConnectFailed) as caught:
                await get(client, unreachable)
            assert not caught.value.may_have_run
            assert caught.value.status == 502
            assert client.connections(unreachable) == 0

    run(main, loop)


def test_a_unix_socket_is_an_origin_too(loop, tmp_path):
    async def main():
        path = str(tmp_path / "u.sock")
        finished = asyncio.Event()

        async def script(reader, writer):
            await read_request(reader)
            writer.write(OK)
            await reader.read()
            writer.close()
            finished.set()

        listener = await asyncio.start_unix_server(script, path)
        client = Client()
        origin = Origin.parse(f"http+unix://{path}")
        assert await (await get(client, origin)).read(2) == b"ok"
        client.close()
        await finished.wait()
        listener.close()

    run(main, loop)


# TLS.


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A certificate authority of our own and a server certificate for localhost."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)

    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test CA",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign")  # fmt: skip
    openssl("req", "-x509", *new, "-keyout", "server.key", "-out", "server.pem",
            "-CA", "ca.pem", "-CAkey", "ca.key", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost",
            "-addext", "basicConstraints=critical,CA:FALSE",
            "-addext", "authorityKeyIdentifier=keyid")  # fmt: skip
    return folder


def server_tls(authority):
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "server.pem", authority / "server.key")
    return context


def test_a_trusted_certificate_connects_both_our_ends_and_keeps_the_connection(authority, loop):
    async def handler(request):
        return Reply(status=200, body=request.body * 2)

    async def main():
        async with serving(handler, tls=server_tls(authority)) as (server, connect):
            client = Client(tls=trust(authority / "ca.pem"))
            origin = Origin.parse(f"https://localhost:{connect.port}")
            for size in (1, 1000, 3_000_000):
                response = await get(client, origin, method="POST", body=b"b" * size)
                assert await response.read(MOST) == b"b" * size * 2
            assert server.connections == 1
            client.close()
            await until(lambda: server.connections == 0)

    run(main, loop)


@pytest.mark.parametrize("case", ["unknown authority", "another name", "no tls"])
def test_what_cannot_be_trusted_is_not_spoken_to(authority, case, loop):
    async def main():
        tls = None if case == "no tls" else server_tls(authority)
        own = None if case == "unknown authority" else trust(authority / "ca.pem")

        async def plain(reader, writer):
            await reader.read(1)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        async with upstream(plain, tls=tls, client_tls=own) as (client, origin, _):
            host = "127.0.0.1" if case == "another name" else "localhost"
            origin = Origin.parse(f"https://{host}:{origin.port}")
            with pytest.raises(ConnectFailed) as caught:
                await get(client, origin)
            assert not caught.value.may_have_run
            assert client.connections(origin) == 0

    run(main, loop)


def test_a_tls_handshake_that_hangs_is_a_connect_timeout(authority, loop):
    async def script(reader, writer):
        del writer
        await reader.read()

    async def main():
        async with upstream(script) as (client, origin, _):
            origin = Origin.parse(f"https://localhost:{origin.port}")
            with pytest.raises(ConnectTimeout):
                await get(client, origin, Timeouts(connect_s=0.1))
            assert client.connections(origin) == 0

    run(main, loop)


def test_an_authority_file_that_cannot_be_read_is_a_config_error(tmp_path):
    with pytest.raises(ConfigError, match="certificate authorities"):
        trust(tmp_path / "none.pem")


# Anything at all.


@settings(max_examples=80)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=30),
            st.sampled_from([OK, CHUNKED, HEAD, b"HTTP/1.1 100 C\r\n\r\n", b"0\r\n\r\n", b"5\r\n"]),
        ),
        max_size=5,
    ),
    st.sampled_from(["close", "hang", "half-close"]),
)
def test_whatever_an_upstream_sends_has_a_defined_outcome(parts, then):
    async def main():
        timeouts = Timeouts(first_byte_s=0.03, idle_s=0.03)
        async with upstream(raw(b"".join(parts), then=then)) as (client, origin, _):
            try:
                await (await get(client, origin, timeouts)).read(MOST)
            except FarthingError as error:
                assert isinstance(error, WireError)
            assert client.connections(origin) == client.idle_connections(origin)

    run(main)


def test_infinity_is_no_bound():
    timeouts = Timeouts(connect_s=5.0, first_byte_s=math.inf, idle_s=math.inf, total_s=math.inf)
    response, body, _ = exchange(keeping(OK), timeouts=timeouts)
    assert (response.status, body) == (200, b"ok")
