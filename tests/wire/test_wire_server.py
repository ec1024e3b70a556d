import asyncio
import gc
import os
import socket
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_doubles import BOUND_S, LOOPS, ExpectedError, echo, run, serving, until

from farthing.wire import Reply, ServerLimits, serve

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
PATIENT = ServerLimits(head_bytes_most=2000, body_bytes_most=1_000_000)


@pytest.fixture(params=sorted(LOOPS))
def loop(request):
    return request.param


def ask(*sends, handler=echo, limits=PATIENT, loop="uvloop", refuse=None):
    """What a client reads that sends `sends` and waits for the server to close."""

    async def main():
        options = {"refuse": refuse} if refuse else {}
        async with serving(handler, limits, **options) as (_, connect):
            client = await connect()
            for data in sends:
                client.send(data)
            return await client.rest()

    return run(main, loop)


CLOSE = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def test_a_whole_reply_has_a_length_and_its_headers(loop):
    async def handler(request):
        assert request.peer == "127.0.0.1"
        return Reply(status=201, headers=[(b"x-a", b"1"), (b"x-a", b"2")], body=b"hi")

    assert ask(CLOSE, handler=handler, loop=loop) == (
        b"HTTP/1.1 201 Created\r\nx-a: 1\r\nx-a: 2\r\ncontent-length: 2\r\n"
        b"connection: close\r\n\r\nhi"
    )


def test_a_connection_serves_one_request_after_another(loop):
    async def main():
        async with serving(echo) as (server, connect):
            client = await connect()
            for number in range(5):
                client.send(b"POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nb" % number)
                status, headers, body = await client.reply()
                assert (status, body) == (200, b"POST /%d b" % number)
                assert "connection" not in headers
            assert server.connections == 1

    run(main, loop)


def test_pipelined_requests_are_answered_in_order(loop):
    async def slow_first(request):
        for _ in range(10 if request.path == "/0" else 0):
            await asyncio.sleep(0)
        return Reply(status=200, body=request.path.encode())

    async def main():
        async with serving(slow_first) as (_, connect):
            client = await connect()
            client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(50)))
            for number in range(50):
                assert (await client.reply())[2] == b"/%d" % number

    run(main, loop)


def test_thousands_of_pipelined_requests_are_read_no_faster_than_answered():
    entered = []
    waits = []

    async def handler(request):
        entered.append(request)
        gate = asyncio.get_running_loop().create_future()
        waits.append(gate)
        await gate
        return Reply(status=204)

    async def main():
        limits = ServerLimits(pipeline_bytes_most=1000)
        async with serving(handler, limits) as (server, connect):
            client = await connect()
            client.send(GET * 100_000)
            for _ in range(5):
                await until(lambda: waits)
                waits.pop().set_result(None)
            await until(lambda: waits)
            assert len(entered) == 6
            (inbound,) = server._inbound
            assert inbound._held_bytes < 300_000  # one read past the bound
            assert not inbound._transport.is_reading()

    run(main)


def test_a_long_pipeline_is_held_stopped_and_gone_on_with(loop):
    async def main():
        async with serving(echo, ServerLimits(pipeline_bytes_most=1000)) as (_, connect):
            client = await connect()
            count = 20_000
            client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(count)))
            for number in range(count):
                assert (await client.reply())[2] == b"GET /%d " % number

    run(main, loop)


def test_a_body_may_come_in_chunks_and_in_pieces(loop):
    async def main():
        async with serving(echo) as (_, connect):
            client = await connect()
            request = b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            for byte in request + b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n":
                client.send(bytes([byte]))
                await client.writer.drain()
                await asyncio.sleep(0)
            assert (await client.reply())[2] == b"POST /c abcdef"

    run(main, loop)


def test_a_reply_to_head_keeps_the_length_and_leaves_out_the_body():
    head = b"HEAD /h HTTP/1.1\r\nHost: x\r\n\r\n"
    assert ask(head + CLOSE).startswith(
        b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nHTTP/1.1 200 OK"
    )


def test_a_reply_to_head_may_declare_the_length_of_the_body_it_would_have():
    async def handler(request):
        del request
        return Reply(status=200, headers=[(b"content-length", b"77")])

    head = b"HEAD /h HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert b"content-length: 77\r\n" in ask(head, handler=handler)
    assert b"content-length: 0\r\n" in ask(CLOSE, handler=handler)


@pytest.mark.parametrize("status", [204, 304])
def test_some_statuses_have_no_body_and_no_length(status):
    async def handler(request):
        del request
        return Reply(status=status, body=b"ignored")

    answer = ask(CLOSE, handler=handler)
    assert answer.endswith(b"connection: close\r\n\r\n")
    assert b"content-length" not in answer


def test_the_wire_writes_the_framing_headers_itself():
    async def handler(request):
        del request
        headers = [(b"content-length", b"9"), (b"transfer-encoding", b"chunked")]
        return Reply(status=200, headers=[*headers, (b"connection", b"close")], body=b"x")

    assert ask(GET, handler=handler) == (
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\nx"
    )


@pytest.mark.parametrize("sign", [b"\r", b"\n", b"\0", b"\r\nset-cookie: a=b"])
@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_header_that_would_forge_another_is_not_sent(sign, is_streamed):
    async def body():
        yield b"never"

    async def handler(request):
        del request
        headers = [(b"x-user", b"a" + sign)]
        return Reply(status=200, headers=headers, body=body() if is_streamed else b"never")

    async def main():
        complaints = []
        asyncio.get_running_loop().set_exception_handler(lambda _, c: complaints.append(c))
        async with serving(handler) as (_, connect):
            client = await connect()
            client.send(CLOSE)
            answer = await client.rest()
        assert answer.startswith(b"HTTP/1.1 500 ")
        assert b"set-cookie" not in answer
        assert b"never" not in answer
        assert len(complaints) == 1

    run(main)


# Streams.


def test_a_stream_goes_out_chunk_by_chunk_and_the_connection_is_kept(loop):
    async def body():
        yield b"one"
        yield b""
        await asyncio.sleep(0)
        yield b"two" * 100_000

    async def handler(request):
        del request
        return Reply(status=200, headers=[(b"content-type", b"text/event-stream")], body=body())

    async def main():
        async with serving(handler) as (_, connect):
            client = await connect()
            for _ in range(2):
                client.send(GET)
                _, headers, got = await client.reply()
                assert headers["transfer-encoding"] == "chunked"
                assert got == b"one" + b"two" * 100_000

    run(main, loop)


def test_head_and_first_chunk_leave_in_one_write():
    gate = asyncio.Event()

    async def body():
        yield b"first"
        await gate.wait()

    async def handler(request):
        del request
        return Reply(status=200, body=body())

    async def main():
        async with serving(handler) as (_, connect):
            client = await connect()
            client.send(GET)
            assert (await client.reader.read(65536)).endswith(b"\r\n\r\n5\r\nfirst\r\n")
            gate.set()
            assert await client.reader.readexactly(5) == b"0\r\n\r\n"

    run(main)


def test_an_empty_stream_is_a_whole_reply():
    async def body():
        return
        yield b""

    async def handler(request):
        del request
        return Reply(status=200, body=body())

    assert ask(CLOSE, handler=handler).endswith(b"\r\n\r\n0\r\n\r\n")


def test_a_stream_to_an_old_client_ends_with_the_connection():
    async def body():
        yield b"one"
        yield b"two"

    async def handler(request):
        del request
        return Reply(status=200, body=body())

    request = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    assert ask(request, handler=handler) == (b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nonetwo")


def test_an_old_client_that_asks_is_kept():
    request = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    answer = ask(request, request + CLOSE)
    assert answer.count(b"connection: keep-alive\r\n") == 2


@pytest.mark.parametrize("method", [b"HEAD", b"GET"])
def test_a_stream_nobody_reads_is_closed_unread(method):
    closed = []

    class Body:
        def __aiter__(self):
            return self

        async def __anext__(self):
            raise AssertionError("not to be read")

        async def aclose(self):
            closed.append(True)

    async def handler(request):
        del request
        return Reply(status=200 if method == b"HEAD" else 204, body=Body())

    answer = ask(CLOSE.replace(b"GET", method), handler=handler)
    assert answer.endswith(b"connection: close\r\n\r\n")
    assert closed == [True]


def broken_after(count):
    async def body():
        for _ in range(count):
            yield b"data"
        raise ExpectedError

    async def handler(request):
        del request
        return Reply(status=200, body=body())

    return handler


def test_a_stream_that_breaks_never_looks_complete(loop):
    answer = ask(GET, handler=broken_after(2), loop=loop)
    assert b"0\r\n\r\n" not in answer
    assert answer.count(b"HTTP/1.1") <= 1


def test_a_stream_that_breaks_before_its_first_byte_is_a_500():
    answer = ask(CLOSE, handler=broken_after(0))
    assert answer.startswith(b"HTTP/1.1 500 ")


def test_a_handler_that_fails_is_answered_with_500_and_reported(loop):
    async def handler(request):
        del request
        raise ExpectedError("the key is sk-secret")

    def refuse(status, reason, target):
        return Reply(status=status, body=f"{{{reason}|{target}}}".encode())

    answer = ask(GET + CLOSE, handler=handler, loop=loop, refuse=refuse)
    assert answer.count(b"HTTP/1.1 500 ") == 2
    assert b"{the server failed to handle this request|/a}" in answer
    assert b"sk-secret" not in answer


def test_a_refuse_hook_that_fails_costs_only_its_own_connection():
    def refuse(status, reason, target):
        raise ExpectedError

    async def handler(request):
        if request.path == "/a":
            raise ExpectedError
        return Reply(status=200, body=b"fine")

    async def main():
        async with serving(handler, refuse=refuse) as (_, connect):
            client = await connect()
            client.send(GET)
            assert await client.rest() == b""
            other = await connect()
            other.send(CLOSE)
            assert (await other.rest()).endswith(b"fine")

    run(main)


# Refusals.


def test_a_body_too_long_is_refused_before_it_is_read(loop):
    async def main():
        async with serving(echo, PATIENT) as (_, connect):
            client = await connect()
            client.send(b"POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000001\r\n\r\n")
            status, headers, body = await client.reply()
            assert status == 413
            assert headers["connection"] == "close"
            assert b"1000001" in body
            client.send(b"z" * 1_000_001)  # the refusal is there to be read all the same
            assert await client.rest() == b""

    run(main, loop)


def test_chunks_are_refused_as_they_pass_the_limit():
    async def main():
        async with serving(echo, PATIENT) as (_, connect):
            client = await connect()
            client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            chunk = b"10000\r\n" + b"c" * 0x10000 + b"\r\n"
            client.send(chunk * 16)
            assert (await client.reply())[0] == 413

    run(main)


def test_a_refusal_waits_for_the_replies_before_it(loop):
    answer = ask(GET + GET + b"garbage\r\n\r\n", loop=loop)
    first, second, third = answer.split(b"HTTP/1.1 ")[1:]
    assert first.startswith(b"200")
    assert second.startswith(b"200")
    assert third.startswith(b"400")


def test_an_expectant_client_is_told_to_go_on(loop):
    async def main():
        async with serving(echo) as (_, connect):
            client = await connect()
            expectant = (
                b"POST /e HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
            )
            client.send(GET + expectant)
            assert (await client.reply())[2] == b"GET /a "
            assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.send(b"ok")
            assert (await client.reply())[2] == b"POST /e ok"

    run(main, loop)


def test_an_expectant_client_with_too_long_a_body_is_refused_at_once():
    request = (
        b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9999999\r\n\r\n"
    )

    async def main():
        async with serving(echo, PATIENT) as (_, connect):
            client = await connect()
            client.send(request)
            assert (await client.reply())[0] == 413

    run(main)


QUICK = ServerLimits(head_s=0.05, body_s=0.05, idle_s=0.05, linger_s=0.05, write_stall_s=0.1)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(b"", b"", id="nothing"),
        pytest.param(b"GET / HTT", b"408", id="part of a head"),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc",
            b"408",
            id="part of a body",
        ),
    ],
)
def test_a_client_that_does_not_go_on_is_let_go(sent, status, loop):
    assert ask(sent, limits=QUICK, loop=loop)[9:12] == status


def test_a_client_that_drips_is_let_go():
    async def main():
        limits = ServerLimits(head_s=0.1, idle_s=5.0)
        async with serving(echo, limits) as (_, connect):
            client = await connect()

            async def drip():
                while True:
                    client.send(b"a")
                    await asyncio.sleep(0.01)

            client.send(b"GET / HTTP/1.1\r\nX: ")
            dripping = asyncio.create_task(drip())
            assert (await client.reply())[0] == 408
            dripping.cancel()

    run(main)


def test_a_body_that_arrives_steadily_has_the_time_it_needs():
    limits = ServerLimits(body_s=0.05, body_bytes_per_s_least=1000)

    async def main():
        async with serving(echo, limits) as (_, connect):
            client = await connect()
            client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
            for _ in range(10):
                client.send(b"b" * 100)
                await asyncio.sleep(0.02)
            assert (await client.reply())[0] == 200

    run(main)


def test_an_idle_connection_is_closed_without_a_word():
    async def main():
        async with serving(echo, QUICK) as (server, connect):
            client = await connect()
            client.send(GET)
            assert (await client.reply())[0] == 200
            assert await client.rest() == b""
            await until(lambda: server.connections == 0)

    run(main)


def test_a_client_that_never_closes_after_a_refusal_is_cut_off():
    async def main():
        async with serving(echo, QUICK) as (server, connect):
            client = await connect()
            client.send(b"garbage\r\n\r\n")
            assert (await client.reply())[0] == 400
            await until(lambda: server.connections == 0)

    run(main)


# Clients that go away.


@pytest.mark.parametrize("how", ["close", "reset", "half-close"])
@pytest.mark.parametrize("when", ["before the reply", "before the first chunk", "after it"])
def test_work_for_a_client_that_is_gone_is_cancelled(how, when, loop):
    ended = []

    async def body(started):
        try:
            if when == "after it":
                yield b"first"
            started.set()
            await asyncio.get_running_loop().create_future()
            yield b"never"
        finally:
            ended.append("stream")

    async def main():
        started = asyncio.Event()

        async def handler(request):
            del request
            if when != "before the reply":
                return Reply(status=200, body=body(started))
            try:
                started.set()
                await asyncio.get_running_loop().create_future()
            finally:
                ended.append("handler")

        async with serving(handler) as (server, connect):
            client = await connect()
            client.send(GET)
            await started.wait()
            if when == "after it":
                await client.reader.readuntil(b"first\r\n")
            assert server.in_flight == 1
            if how == "half-close":
                client.writer.write_eof()
            elif how == "reset":
                client.reset()
            else:
                await client.close()
            await until(lambda: server.in_flight == 0 and server.connections == 0)
        assert ended == ["handler" if when == "before the reply" else "stream"]

    run(main, loop)


def test_what_a_handler_shields_goes_on_after_the_client_has_gone():
    async def main():
        started, settled = asyncio.Event(), asyncio.Event()

        async def settle():
            await asyncio.sleep(0)
            settled.set()

        async def handler(request):
            del request
            try:
                started.set()
                await asyncio.get_running_loop().create_future()
            finally:
                await asyncio.shield(settle())

        async with serving(handler) as (_, connect):
            client = await connect()
            client.send(GET)
            await started.wait()
            client.reset()
            await settled.wait()

    run(main)


def test_a_handler_that_will_not_be_cancelled_still_ends_its_connection_cleanly():
    async def main():
        started = asyncio.Event()

        async def handler(request):
            del request
            started.set()
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                return Reply(status=200, body=b"too late")

        async with serving(handler) as (server, connect):
            client = await connect()
            client.send(GET)
            await started.wait()
            client.reset()
            await until(lambda: server.in_flight == 0)

    run(main)


def test_a_handler_that_cancels_itself_cuts_its_connection(loop):
    async def handler(request):
        del request
        raise asyncio.CancelledError

    assert ask(GET, handler=handler, loop=loop) == b""


# Back-pressure.


def test_a_slow_reader_bounds_how_much_is_pulled_from_a_stream(loop):
    """200 MB for a client that reads nothing: only what the buffers hold is ever produced."""
    chunk = b"x" * 100_000
    pulled = 0

    async def body():
        nonlocal pulled
        for _ in range(2000):
            pulled += len(chunk)
            yield chunk

    async def handler(request):
        del request
        return Reply(status=200, body=body())

    async def main():
        async with serving(handler) as (server, connect):
            client = await connect(limit=4096)
            client.send(GET)
            head = await client.reader.readuntil(b"\r\n\r\n")
            assert b"chunked" in head
            before = -1
            while before != pulled:  # until nothing more is pulled over many turns of the loop
                before = pulled
                for _ in range(200):
                    await asyncio.sleep(0)
            held = sum(inbound._transport.get_write_buffer_size() for inbound in server._inbound)
            assert held < 400_000
            assert pulled < 20_000_000  # what the kernel's socket buffers take
            taken = 0
            while taken < 30_000_000:
                taken += len(await client.reader.read(1 << 20))
            assert pulled > before

    run(main, loop)


def test_a_reader_that_takes_nothing_is_cut_off(loop):
    ended = []

    async def body():
        try:
            while True:
                yield b"x" * 1_000_000
        finally:
            ended.append(True)

    async def handler(request):
        return Reply(status=200, body=body() if request.path == "/a" else b"x" * 50_000_000)

    async def main():
        limits = ServerLimits(write_stall_s=0.1)
        async with serving(handler, limits) as (server, connect):
            for path in (b"/a", b"/whole"):
                client = await connect(limit=4096)
                client.send(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path)
                await until(lambda: server.in_flight == 1)
                while server.in_flight:
                    await asyncio.sleep(0.01)
        assert ended == [True]

    run(main, loop)


def test_a_large_whole_reply_arrives_whole(loop):
    large = os.urandom(5_000_000)

    async def handler(request):
        del request
        return Reply(status=200, body=large)

    assert ask(CLOSE, handler=handler, loop=loop).endswith(b"\r\n\r\n" + large)


# Draining.


def test_draining_closes_the_idle_lets_the_busy_finish_and_accepts_no_more(loop):
    async def main():
        gate = asyncio.Event()
        started = asyncio.Event()

        async def handler(request):
            if request.path == "/slow":
                started.set()
                await gate.wait()
            return Reply(status=200, body=b"done")

        async with serving(handler) as (server, connect):
            idle, busy = await connect(), await connect()
            idle.send(GET)
            await idle.reply()
            busy.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            await started.wait()
            draining = asyncio.create_task(server.drain(BOUND_S))
            assert await idle.rest() == b""
            with pytest.raises(OSError):  # noqa: PT011 - refused or reset, as the system likes
                await connect()
            gate.set()
            _, headers, body = await busy.reply()
            assert headers["connection"] == "close"
            assert body == b"done"
            assert await draining == 0
            assert server.connections == 0

    run(main, loop)


def test_what_outlasts_the_grace_is_aborted_and_counted(loop):
    ended = []

    async def main():
        started = asyncio.Event()

        async def handler(request):
            del request
            try:
                started.set()
                await asyncio.get_running_loop().create_future()
            finally:
                ended.append(True)

        async with serving(handler) as (server, connect):
            client = await connect()
            client.send(GET)
            await started.wait()
            assert await server.drain(0.05) == 1
            assert await client.rest() == b""
            assert ended == [True]
            assert server.in_flight == 0

    run(main, loop)


def test_a_request_that_is_arriving_while_draining_is_still_served():
    async def main():
        async with serving(echo) as (server, connect):
            client = await connect()
            client.send(b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na")
            await until(lambda: server.connections == 1)
            await until(lambda: all(c._intake.is_mid_body for c in server._inbound))
            draining = asyncio.create_task(server.drain(BOUND_S))
            await until(lambda: server.is_draining)
            client.send(b"b")
            _, headers, body = await client.reply()
            assert body == b"POST /p ab"
            assert headers["connection"] == "close"
            await draining

    run(main)


# Sockets.


def test_replies_are_not_held_back_by_the_kernel(loop):
    async def main():
        async with serving(echo) as (server, connect):
            client = await connect()
            await until(lambda: server.connections == 1)
            for inbound in server._inbound:
                fileno = inbound._transport.get_extra_info("socket").fileno()
                sock = socket.socket(fileno=os.dup(fileno))
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
                sock.close()
            await client.close()

    run(main, loop)


def test_a_unix_socket_serves_alike(loop):
    async def main():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "s.sock"
            sock = socket.socket(socket.AF_UNIX)
            sock.bind(str(path))

            async def handler(request):
                assert request.peer == ""
                return Reply(status=200, body=b"unix")

            server = await serve(handler, sock)
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(CLOSE)
            assert (await reader.read()).endswith(b"unix")
            writer.close()
            await writer.wait_closed()
            await server.drain(1.0)

    run(main, loop)


def test_connections_that_come_and_go_leave_nothing_behind():
    async def main():
        async with serving(echo) as (server, connect):
            for _ in range(50):
                client = await connect()
                client.send(GET)
                await client.reply()
                await client.close()
            await until(lambda: server.connections == 0)

    def left():
        gc.collect()
        return sum(type(o).__name__ in {"Inbound", "Intake"} for o in gc.get_objects())

    before = left()
    run(main)
    assert left() <= before


@settings(max_examples=60)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.sampled_from([GET, b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"]),
        ),
        max_size=6,
    )
)
def test_whatever_a_client_sends_it_is_answered_or_let_go(parts):
    limits = ServerLimits(head_s=0.02, body_s=0.02, idle_s=0.02, linger_s=0.02)
    answer = ask(*parts, limits=limits)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 ")
