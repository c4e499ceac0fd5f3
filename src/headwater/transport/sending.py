"""The sending half of an exchange: a request's head, and bodies that are too large for one send.

While a large body goes out, the answer is read at the same time: a server may refuse before it has read
everything, and close, and its reason would be lost. Refuses headers with line breaks in them, and bodies of
another length than was said.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable
from typing import TYPE_CHECKING

from anyio import CancelScope, create_task_group, current_time
from anyio.lowlevel import checkpoint

from ..errors import ConnectionLostError, HeadwaterError, InputError, InvalidParameterError
from ..wire import Outgoing
from .streams import BROKEN

if TYPE_CHECKING:
    from .connection import Connection

PIECE = 64 * 1024
"""Bytes that are sent at once."""
LAST_WORDS = 1.0
"""Seconds in which an answer is still waited for after the request could not be sent."""


def request_head(outgoing: Outgoing) -> bytes:
    """The request's head, with Host and the body's length."""
    body = outgoing.body
    length = len(body) if isinstance(body, bytes) else outgoing.length
    lines = [f"{outgoing.method} {outgoing.url.target} HTTP/1.1\r\nHost: {outgoing.url.authority}"]
    lines += [f"{name}: {value}" for name, value in outgoing.headers]
    if length is None:
        lines.append("Transfer-Encoding: chunked\r\n\r\n")
    elif length or outgoing.method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {length}\r\n\r\n")
    else:
        lines.append("\r\n")
    text = "\r\n".join(lines)
    breaks = len(lines) + (2 if lines[-1] != "\r\n" else 1)
    if text.count("\n") != breaks or text.count("\r") != breaks or "\0" in text:
        raise InvalidParameterError("a header has a line break or a NUL in it, which cannot be sent")
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:  # holds the text, and so the credential
        raise InvalidParameterError("a header has characters beyond latin-1, which cannot be sent") from None


class Upload:
    """One large body on its way out; `body` is what the answer's head brought along."""

    def __init__(self, connection: Connection, outgoing: Outgoing) -> None:
        self._connection = connection
        self._outgoing = outgoing
        self._failure: Exception | None = None
        self._broken: Exception | None = None
        self.body = b""
        self.whole = False

    async def run(self) -> bytes:
        """Send, and read the answer's head; what came of its body with it."""
        async with create_task_group() as group:
            group.start_soon(self._write, group.cancel_scope)
            await self._read(group.cancel_scope)
        if self._failure is not None:
            raise self._failure
        if not self._connection.parser.head_done:
            raise ConnectionLostError("the server closed the connection while the request was sent") from self._broken
        return self.body

    async def _read(self, scope: CancelScope) -> None:
        try:
            self.body = await self._connection.head()
        except HeadwaterError as error:
            self._failure = self._failure or error
            scope.cancel()
        else:
            if self._connection.parser.status >= 400:  # refused: what is not sent yet need not be
                scope.cancel()

    async def _write(self, scope: CancelScope) -> None:
        try:
            await self._connection.stream.send(memoryview(request_head(self._outgoing)))
            if isinstance(self._outgoing.body, bytes):
                await self._send(self._outgoing.body)
            else:
                await self._send_pieces(self._outgoing.body, self._outgoing.length)
            self.whole = True
        except BROKEN as error:
            self._broken = error
            scope.deadline = current_time() + LAST_WORDS
        except Exception as error:  # noqa: BLE001 - the caller's iterator may raise anything, and gets it back
            self._failure = error
            scope.cancel()

    async def _send_pieces(self, body: AsyncIterable[bytes], length: int | None) -> None:
        sent = 0
        try:
            async for item in body:
                sent += len(item)
                if length is not None and sent > length:
                    raise InputError(f"the body is longer than the {length} bytes that were announced")
                if item:
                    await self._send(item if length is not None else b"%x\r\n%b\r\n" % (len(item), item))
        finally:
            if isinstance(body, AsyncGenerator):
                await body.aclose()
        if length is None:
            await self._send(b"0\r\n\r\n")
        elif sent < length:
            raise InputError(f"the body ended after {sent} of the {length} bytes that were announced")

    async def _send(self, data: bytes) -> None:
        stream, parser, view = self._connection.stream, self._connection.parser, memoryview(data)
        for start in range(0, len(data), PIECE):
            await checkpoint()
            # An answer that is there is read first: a send that fails may take it along.
            while stream.readable() and not parser.head_done:
                await checkpoint()
            await stream.send(view[start : start + PIECE])
