"""Peers with scripted bytes over real loopback sockets, and a loop to run them on."""

import asyncio
import contextlib
import socket

import uvloop

from farthing.wire import Client, Origin, Reply, ServerLimits, plain_refusal, serve

BOUND_S = 20.0
LOOPS = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


def run(main, loop="uvloop"):
    """Run `main()` to its end, within a bound; nothing may be left running after it."""

    async def bounded():
        complaints = []
        asyncio.get_running_loop().set_exception_handler(lambda _, c: complaints.append(c))
        async with asyncio.timeout(BOUND_S):
            result = await main()
        return result, complaints

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        result, complaints = runner.run(bounded())
    unexpected = [c for c in complaints if not isinstance(c.get("exception"), ExpectedError)]
    assert unexpected == [], "\n".join(map(str, unexpected))
    return result


class ExpectedError(Exception):
    """Raised by handlers on purpose; reports of it are no failure."""


async def until(holds):
    """Let the loop turn until `holds()`; bounded by the run."""
    while not holds():
        await asyncio.sleep(0)


def bound_socket():
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    return sock


class FakeClient:
    """A raw connection to our server."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    def send(self, data):
        self.writer.write(data)

    async def reply(self):
        """One reply with a length or in chunks: (status, headers, body)."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head[:-4].split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        if headers.get("transfer-encoding") == "chunked":
            body = await self._chunks()
        else:
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return int(first.split(" ")[1]), headers, body

    async def _chunks(self):
        body = b""
        while size := int(await self.reader.readline(), 16):
            body += await self.reader.readexactly(size)
            assert await self.reader.readexactly(2) == b"\r\n"
        assert await self.reader.readexactly(2) == b"\r\n"
        return body

    async def rest(self):
        """All that comes until the server ends the connection, however it does."""
        data = b""
        with contextlib.suppress(ConnectionError):
            while piece := await self.reader.read(65536):
                data += piece
        return data

    def reset(self):
        """Go away at once, with a reset."""
        self.writer.transport.abort()

    async def close(self):
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


@contextlib.asynccontextmanager
async def serving(handler, limits=None, refuse=plain_refusal, tls=None):
    """Our server on a loopback port: (server, connect)."""
    sock = bound_socket()
    address = sock.getsockname()
    server = await serve(handler, sock, limits or ServerLimits(), refuse=refuse, tls=tls)
    opened = []

    async def connect(**options):
        client = FakeClient(*await asyncio.open_connection(*address, **options))
        opened.append(client)
        return client

    connect.port = address[1]
    try:
        yield server, connect
    finally:
        for client in opened:
            client.reset()
        await server.drain(0.0)
        assert server.in_flight == 0
        assert server.connections == 0


class FakeServer:
    """An upstream whose every connection is one run of `script(reader, writer)`."""

    def __init__(self, script):
        self.script = script
        self.accepted = 0
        self.open = 0
        self.tasks = set()

    async def __call__(self, reader, writer):
        self.accepted += 1
        self.open += 1
        task = asyncio.current_task()
        self.tasks.add(task)
        try:
            await self.script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        except RuntimeError as error:  # uvloop's word for writing to a closed connection
            assert "handler is closed" in str(error)
        finally:
            self.open -= 1
            self.tasks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def upstream(script, limits=None, tls=None, client_tls=None, host="127.0.0.1"):
    """A fake upstream and a client for it: (client, origin, fake)."""
    fake = FakeServer(script)
    listener = await asyncio.start_server(fake, host, 0, ssl=tls)
    port = listener.sockets[0].getsockname()[1]
    scheme = "https" if tls else "http"
    client = Client(limits, tls=client_tls) if limits else Client(tls=client_tls)
    try:
        yield client, Origin.parse(f"{scheme}://{'localhost' if tls else host}:{port}"), fake
    finally:
        client.close()
        listener.close()
        for task in tuple(fake.tasks):
            task.cancel()
        await until(lambda: not fake.tasks)


async def read_request(reader):
    """One request with a Content-Length or no body, as bytes (head, body)."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    return head, await reader.readexactly(length)


def answering(*answers):
    """A script that answers one request after the other with the given bytes, then closes."""

    async def script(reader, writer):
        for answer in answers:
            await read_request(reader)
            writer.write(answer)
            await writer.drain()

    return script


def keeping(answer):
    """A script that answers every request alike and keeps the connection open."""

    async def script(reader, writer):
        while True:
            await read_request(reader)
            writer.write(answer)
            await writer.drain()

    return script


async def echo(request):
    """A handler that says what it was asked."""
    return Reply(status=200, body=f"{request.method} {request.target} ".encode() + request.body)
