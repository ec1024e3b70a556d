"""The bare floor: our server and our client with nothing between them.

Question: what does a proxied request cost before the gateway does anything for it? Accepts a
request, sends its bytes to one upstream, returns the answer's bytes.

    python bench/wire_floor.py --listen 8080 --upstream http://127.0.0.1:9000
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING

from farthing.wire import (
    Client,
    ClientLimits,
    Origin,
    Reply,
    Request,
    ServerLimits,
    Timeouts,
    WireError,
    new_event_loop,
    serve,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

# What ends at a hop, and what the wire writes itself.
_HOP_BY_HOP = frozenset(
    b"connection content-length host keep-alive proxy-connection te trailer transfer-encoding "
    b"upgrade".split()
)
_ANSWER_BYTES_MOST = 64 * 1024 * 1024


def _forwarder(client: Client, origin: Origin) -> Callable[[Request], Awaitable[Reply]]:
    timeouts = Timeouts()

    async def forward(request: Request) -> Reply:
        headers = [h for h in request.headers if h[0] not in _HOP_BY_HOP]
        target = origin.prefix + request.target
        try:
            answer = await client.send(
                origin, request.method, target, headers, request.body, timeouts
            )
            kept = [h for h in answer.headers if h[0] not in _HOP_BY_HOP]
            if (answer.header(b"content-type") or b"").startswith(b"text/event-stream"):
                return Reply(status=answer.status, headers=kept, body=answer)
            body = await answer.read(_ANSWER_BYTES_MOST)
            return Reply(status=answer.status, headers=kept, body=body)
        except WireError as error:
            return Reply(status=error.status, body=str(error).encode())

    return forward


async def _run(port: int, upstream: str) -> None:
    client = Client(ClientLimits(connections_most=1024, idle_most=1024))
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    server = await serve(
        _forwarder(client, Origin.parse(upstream)), sock, ServerLimits(body_bytes_most=256 << 20)
    )
    print(f"pid {os.getpid()}, 127.0.0.1:{sock.getsockname()[1]} -> {upstream}", file=sys.stderr)
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    await stop.wait()
    await server.drain(1.0)
    client.close()


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--listen", type=int, required=True, metavar="PORT")
    parser.add_argument("--upstream", required=True, metavar="URL")
    chosen = parser.parse_args()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_run(chosen.listen, chosen.upstream))


if __name__ == "__main__":
    main()
