"""HTTP/2 in front of a server of HTTP/1.1: each stream is one request to it, on a connection of its own.

What the server sends is passed on as it comes: heads, 1xx too, and pieces of the body. A connection that is cut, or
says what is not HTTP, becomes RST_STREAM; a stream that the client leaves closes its connection.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import httptools

from .http2_server import ServedStream

PROTOCOL_ERROR, INTERNAL_ERROR = 1, 2
DROPPED = {"connection", "keep-alive", "transfer-encoding"}


def gateway_to(port: int) -> Callable[[ServedStream], Awaitable[None]]:
    """What an `Http2Server` answers with: what the server at this port does."""

    async def answer(stream: ServedStream) -> None:
        reader, writer = await _connected(port)
        passing = asyncio.ensure_future(_Passing(stream).run(reader, writer))
        leaving = asyncio.ensure_future(stream.gone())
        try:
            await asyncio.wait([passing, leaving], return_when=asyncio.FIRST_COMPLETED)
            if passing.done():
                passing.result()
        finally:
            writer.transport.abort()  # before anything is waited for, which may be cancelled
            writer.close()
            for task in (passing, leaving):
                task.cancel()
            await asyncio.gather(passing, leaving, return_exceptions=True)

    return answer


async def _connected(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection; one that nobody waits for any more is closed."""
    connecting = asyncio.ensure_future(asyncio.open_connection("127.0.0.1", port))
    try:
        return await asyncio.shield(connecting)
    except asyncio.CancelledError:
        connecting.add_done_callback(_close)
        raise


def _close(connecting: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]) -> None:
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result()[1].close()


class _Passing:
    def __init__(self, stream: ServedStream) -> None:
        self._stream = stream
        self._fields: list[tuple[str, str]] = []
        self._waiting: list[bytes] = []
        self._complete = self._headed = False
        self._parser = httptools.HttpResponseParser(self)

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stream, headers = self._stream, self._stream.headers
        body = await stream.request()
        lines = [f"{headers[':method']} {headers[':path']} HTTP/1.1", f"host: {headers[':authority']}"]
        lines += [f"{name}: {value}" for name, value in headers.items() if name[:1] != ":"]
        with contextlib.suppress(OSError):
            writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
            await writer.drain()
        try:
            while not self._complete and (data := await reader.read(65536)):
                self._parser.feed_data(data)
                pieces, self._waiting = self._waiting, []
                for piece in pieces:
                    await stream.data(piece)
            framed = self._complete or (self._headed and not self._has_length())
        except httptools.HttpParserError:
            stream.reset(PROTOCOL_ERROR)
        except OSError:
            stream.reset(INTERNAL_ERROR)
        else:
            if framed:
                await stream.data(b"", ended=True)
            else:
                stream.reset(INTERNAL_ERROR)

    def _has_length(self) -> bool:
        return any(name in ("content-length", "transfer-encoding") for name, _ in self._fields)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        self._stream.head(*(field for field in self._fields if field[0] not in DROPPED), status=status)
        self._headed = status >= 200
        if not self._headed:
            self._fields.clear()

    def on_body(self, data: bytes) -> None:
        self._waiting.append(data)

    def on_message_complete(self) -> None:
        self._complete = self._headed
