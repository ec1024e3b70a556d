"""SDK clients without a socket: an httpx transport that hands requests to an engine in process.

The official SDKs talk through httpx (or its successor httpx2) and take a transport of one's own.
The engine runs on an event loop in a thread; these adapters carry requests there and bodies back.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import importlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Protocol

from farthing.errors import CallerError
from farthing.wire import Reply, Request

__all__ = ["Engine", "async_transport", "httpx_of", "transport"]

_CLOSED = "Farthing was closed while the call ran; what it had cost by then is in the ledger"


class Engine(Protocol):
    """Where requests are carried; from any thread."""

    def handle(self, request: Request) -> concurrent.futures.Future[Reply]:
        """Serve one request."""
        ...

    def submit(
        self, work: Callable[[], Coroutine[Any, Any, Any]]
    ) -> concurrent.futures.Future[Any]:
        """Run a coroutine on the engine's loop.

        Raises:
            CallerError: the engine is closed.
        """
        ...


def httpx_of(client_class: type) -> Any:
    """The httpx module that an SDK's client class is built on."""
    names = [base.__module__.partition(".")[0] for base in client_class.__mro__]
    return importlib.import_module(next(name for name in names if name.startswith("httpx")))


def transport(httpx: Any, engine: Engine) -> Any:
    """A synchronous transport of the module `httpx`."""

    class _Body(httpx.SyncByteStream):
        def __init__(self, chunks: AsyncIterator[bytes], timeout_s: float | None) -> None:
            self._chunks = chunks
            self._timeout_s = timeout_s

        def __iter__(self) -> Iterator[bytes]:
            while True:
                chunk = _wait(httpx, engine.submit(lambda: _next(self._chunks)), self._timeout_s)
                if chunk is None:
                    return
                yield chunk

        def close(self) -> None:
            with contextlib.suppress(CallerError):  # closed with the engine
                engine.submit(lambda: _close(self._chunks)).result()

    class _Transport(httpx.BaseTransport):
        def handle_request(self, request: Any) -> Any:
            timeout_s = _timeout_s(request)
            reply: Reply = _wait(httpx, engine.handle(_read(request, request.read())), timeout_s)
            body = reply.body
            if isinstance(body, bytes):
                return _response(httpx, request, reply, content=body)
            return _response(httpx, request, reply, stream=_Body(body, timeout_s))

    return _Transport()


def async_transport(httpx: Any, engine: Engine) -> Any:
    """An asynchronous transport of the module `httpx`; callers may live on any event loop."""

    class _Body(httpx.AsyncByteStream):
        def __init__(self, chunks: AsyncIterator[bytes], timeout_s: float | None) -> None:
            self._chunks = chunks
            self._timeout_s = timeout_s

        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                waited = _wait_async(
                    httpx, engine.submit(lambda: _next(self._chunks)), self._timeout_s
                )
                chunk = await waited
                if chunk is None:
                    return
                yield chunk

        async def aclose(self) -> None:
            with contextlib.suppress(CallerError):  # closed with the engine
                await asyncio.wrap_future(engine.submit(lambda: _close(self._chunks)))

    class _Transport(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: Any) -> Any:
            timeout_s = _timeout_s(request)
            sent = engine.handle(_read(request, await request.aread()))
            reply: Reply = await _wait_async(httpx, sent, timeout_s)
            body = reply.body
            if isinstance(body, bytes):
                return _response(httpx, request, reply, content=body)
            return _response(httpx, request, reply, stream=_Body(body, timeout_s))

    return _Transport()


async def _next(chunks: AsyncIterator[bytes]) -> bytes | None:
    return await anext(chunks, None)


async def _close(chunks: Any) -> None:
    await chunks.aclose()


def _wait(httpx: Any, future: concurrent.futures.Future[Any], timeout_s: float | None) -> Any:
    try:
        return future.result(timeout_s)
    except concurrent.futures.TimeoutError as error:
        future.cancel()
        raise httpx.ReadTimeout(f"no answer within {timeout_s} s") from error
    except concurrent.futures.CancelledError as error:
        raise httpx.ReadError(_CLOSED) from error
    except BaseException:  # edge: an interrupted caller must not leave the call running
        future.cancel()
        raise


async def _wait_async(
    httpx: Any, future: concurrent.futures.Future[Any], timeout_s: float | None
) -> Any:
    try:
        return await asyncio.wait_for(asyncio.wrap_future(future), timeout_s)
    except TimeoutError as error:
        raise httpx.ReadTimeout(f"no answer within {timeout_s} s") from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():  # it is the caller that was cancelled
            raise
        raise httpx.ReadError(_CLOSED) from error


def _timeout_s(request: Any) -> float | None:
    """The read time-out the SDK asks for."""
    return request.extensions.get("timeout", {}).get("read")


def _read(request: Any, body: bytes) -> Request:
    headers = [(name.lower(), value) for name, value in request.headers.raw]
    return Request(
        method=request.method,
        target=request.url.raw_path.decode("ascii"),
        headers=headers,
        body=body,
        peer="",
        is_kept_alive=True,
        is_http_10=False,
        named=dict(headers),
    )


def _response(httpx: Any, request: Any, reply: Reply, **body: Any) -> Any:
    return httpx.Response(reply.status, headers=list(reply.headers), request=request, **body)
