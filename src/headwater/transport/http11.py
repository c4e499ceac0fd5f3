"""One HTTP/1.1 connection, and the answer that is being read from it.

A connection knows its socket and one exchange at a time. Which connection serves a request, and what becomes of it
afterwards, is its owner's affair (`ConnectionOwner`, the pool):

    ask ──▶ Answer ──▶ read whole ──▶ on_reusable    nothing is left over: another request may follow
                   └─▶ left, lost, or not to be used again ──▶ on_lost    exactly one of the two, once

A request that cannot be sent to its end may have been answered all the same, by a server that refuses it early: the
answer is waited for, `EARLY_RESPONSE_SECONDS` long.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from anyio import CancelScope, create_task_group, current_time, move_on_after
from anyio.lowlevel import checkpoint

from ..errors import ConnectionLostError, HeadwaterError, InputError, InvalidParameterError
from ..protocol.transport import FOREVER, ReadDeadline, TransportRequest
from .response_parser import ResponseParser
from .sockets import BROKEN
from .tls import OTHER_SIDE, refused_afterwards

if TYPE_CHECKING:
    from .anyio_streams import ByteStream

T = TypeVar("T")

SEND_BYTES = 64 * 1024
"""Bytes that are sent at once."""
EARLY_RESPONSE_SECONDS = 1.0
"""Seconds in which an answer is still waited for after the request could not be sent."""


def request_head(request: TransportRequest) -> bytes:
    """The request's head, with Host and the body's length."""
    body, head = request.body, request.head
    length = len(body) if isinstance(body, bytes) else request.length
    if head is None or head.url is not request.url or head.headers is not request.headers:
        start = _written(request)
    elif not (start := head.written):
        start = head.written = _written(request)
    if length is None:
        return start + b"Transfer-Encoding: chunked\r\n\r\n"
    if length or request.method in ("POST", "PUT", "PATCH"):
        return b"%bContent-Length: %d\r\n\r\n" % (start, length)
    return start + b"\r\n"


def _written(request: TransportRequest) -> bytes:
    """The head but for the body's length and the empty line. Raises `InvalidParameterError` for what cannot be sent."""
    lines = [f"{request.method} {request.url.target} HTTP/1.1", f"Host: {request.url.authority}"]
    lines += [f"{name}: {value}" for name, value in request.headers]
    text = "\r\n".join([*lines, ""])
    if text.count("\n") != len(lines) or text.count("\r") != len(lines) or "\0" in text:
        raise InvalidParameterError("a header has a line break or a NUL in it, which cannot be sent")
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:  # holds the text, and so the credential
        raise InvalidParameterError("a header has characters beyond latin-1, which cannot be sent") from None


async def within(seconds: float, wait: Callable[[], Awaitable[T]]) -> T:
    """What this wait gives; raises `ReadDeadline` where that takes longer."""
    with move_on_after(seconds):
        return await wait()
    raise ReadDeadline


class Upload:
    """One large body on its way out; `body` is what the answer's head brought along."""

    def __init__(self, connection: Connection, request: TransportRequest) -> None:
        self._connection = connection
        self._request = request
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
            if self.whole:
                raise ReadDeadline
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
            await self._connection.stream.send(memoryview(request_head(self._request)))
            if isinstance(self._request.body, bytes):
                await self._send(self._request.body)
            else:
                await self._send_pieces(self._request.body, self._request.length)
            self.whole = True
            if self._request.read_timeout is not None:
                scope.deadline = current_time() + self._request.read_timeout
        except BROKEN as error:
            self._broken = error
            scope.deadline = current_time() + EARLY_RESPONSE_SECONDS
        except Exception as error:  # noqa: BLE001 - the caller's iterator may raise anything, and gets it back
            self._failure = error
            scope.cancel()

    async def _send_pieces(self, body: AsyncIterable[bytes], length: int | None) -> None:
        sent, pieces = 0, aiter(body)
        try:
            async for item in pieces:
                sent += len(item)
                if length is not None and sent > length:
                    raise InputError(f"the body is longer than the {length} bytes that were announced")
                if item:
                    await self._send(item if length is not None else b"%x\r\n%b\r\n" % (len(item), item))
        finally:
            if isinstance(pieces, AsyncGenerator):  # also one that httpx's request made of its bytes
                await pieces.aclose()
        if length is None:
            await self._send(b"0\r\n\r\n")
        elif sent < length:
            raise InputError(f"the body ended after {sent} of the {length} bytes that were announced")

    async def _send(self, data: bytes) -> None:
        stream, parser, view = self._connection.stream, self._connection.parser, memoryview(data)
        for start in range(0, len(data), SEND_BYTES):
            await checkpoint()
            # An answer that is there is read first: a send that fails may take it along.
            while stream.readable() and not parser.head_done:
                await checkpoint()
            await stream.send(view[start : start + SEND_BYTES])


UNREAD_BODY_STATUSES = frozenset({404, 405, 413, 501})
"""Refusals that a server may send without reading the request's body."""


if TYPE_CHECKING:

    class ConnectionOwner(Protocol):
        """What a connection belongs to: it hears of the end of every answer, and lends the event loop that the
        connection was made in."""

        def on_reusable(self, connection: Connection) -> None:
            """Take the connection back: its answer was read whole, and another request may follow."""
            ...

        def on_lost(self, connection: Connection) -> None:
            """Close the connection: its answer was left or lost, or nothing may follow it."""
            ...

        def call_threadsafe(self, call: Callable[[], object]) -> None:
            """Have the connection's event loop make this call soon; from any thread, and from finalizers."""
            ...


class Connection:
    """A socket, its parser and its owner. `peer`: whom it leads to, for people; `idle_since`: when it became idle, on
    `time.monotonic`'s clock; `pid`: the process that made it."""

    __slots__ = ("_sent_whole", "closed", "idle_since", "owner", "parser", "peer", "pending", "pid", "stream")

    def __init__(self, stream: ByteStream, owner: ConnectionOwner, peer: str = OTHER_SIDE) -> None:
        self.stream = stream
        self.owner = owner
        self.peer = peer
        self.parser = ResponseParser()
        self.pid = os.getpid()
        self.closed = False
        self.idle_since = 0.0
        self._sent_whole = True
        self.pending = False  # whether a request was sent whose answer may be waited for again

    async def ask(self, request: TransportRequest) -> Answer:
        """Send a request, and wait for the answer's head."""
        self.parser.expect(request.method)
        self.stream.wait_until(FOREVER)
        self.pending = False
        body = request.body
        if isinstance(body, bytes) and len(body) <= SEND_BYTES:
            try:
                await self.stream.send(memoryview(request_head(request) + body))
            except BROKEN as error:
                piece = await self._early_response(error)
            else:
                self.pending = request.kept
                seconds = request.read_timeout
                piece = await self.head() if seconds is None else await within(seconds, self.head)
            # Some servers refuse a path before they read the body, and would take it for the next request.
            self._sent_whole = not (body and self.parser.status in UNREAD_BODY_STATUSES)
        else:
            upload = Upload(self, request)
            piece = await upload.run()
            self._sent_whole = upload.whole
        return Answer(self, piece)

    async def go_on(self) -> Answer:
        """Wait again for the head of a `pending` request's answer."""
        self._sent_whole = True
        return Answer(self, await self.head())

    async def head(self) -> bytes:
        """Read until an answer's head is whole; what came of its body with it."""
        parser = self.parser
        while True:
            waiting = self.stream.receive()
            try:
                piece = self.take(await waiting)
            except BROKEN as error:
                raise refused_afterwards(error, self.peer) or self.lost() from error
            except BaseException as error:
                if self.pending and not isinstance(error, Exception):
                    self.stream.keep(waiting)
                raise
            if parser.head_done:
                return piece
            if parser.failure is not None:
                raise parser.failure

    def take(self, data: bytes) -> bytes:
        """Body bytes from one read of the socket; b"" where it had none."""
        if data:
            return self.parser.feed(data)
        if not self.closed and self.parser.end():  # one that was closed on this side has no end
            return b""
        raise self.lost()

    def is_reusable(self) -> bool:
        """Whether another request may follow the answer that was just read whole."""
        return self._sent_whole and self.parser.reusable and not self.parser.surplus

    def close(self) -> None:
        """Close at once, in the event loop's own thread. Idempotent."""
        if not self.closed:
            self.closed = True
            self.stream.close()
            self.parser.close()

    def disown(self) -> None:
        """In a forked child: it is the parent's."""
        self.closed = True
        self.stream.disown()

    def is_ours(self) -> bool:
        """Whether it is still open, and was made by this process, not by the parent that it was forked from."""
        return not self.closed and self.pid == os.getpid()

    async def _early_response(self, cause: Exception) -> bytes:
        with move_on_after(EARLY_RESPONSE_SECONDS):
            return await self.head()
        raise self.lost() from cause

    def lost(self) -> ConnectionLostError:
        """The error for a connection that the peer, or the network, has ended."""
        if self.parser.head_done:
            return ConnectionLostError("the connection was lost in the middle of the answer")
        return ConnectionLostError("the connection was lost before the answer")


class Answer:
    """An answer whose head has arrived (a `TransportResponse`); its slot is free once it is whole or closed.

    `kept`: a cancelled `receive` loses nothing, and may be followed by another; whoever sets this closes the answer.
    """

    __slots__ = ("__weakref__", "_connection", "_failure", "_piece", "headers", "kept", "status", "surplus")

    def __init__(self, connection: Connection, piece: bytes) -> None:
        parser = connection.parser
        self.status = parser.status
        self.headers = parser.headers
        self.surplus = self.kept = False
        self._failure: HeadwaterError | None = None
        self._piece = piece
        self._connection: Connection | None = connection
        if parser.complete or parser.failure is not None:
            self._settle(connection)

    def at_once(self) -> bytes | None:
        """All of the body, where it came with the head; None for any other, and after a failure."""
        if self._connection is not None or self._failure is not None:
            return None
        piece, self._piece = self._piece, b""
        return piece

    async def receive(self) -> bytes:
        """The next piece of the body, b"" at its end; the connection is back in its pool by then.

        Raises `ConnectionLostError`, `ProtocolError`, `ResponseTooLargeError`. A cancelled `receive` closes
        the connection, unless the answer is `kept`.
        """
        if self._piece:
            piece, self._piece = self._piece, b""
            return piece
        while (connection := self._connection) is not None:
            waiting = connection.stream.receive()
            try:
                piece = connection.take(await waiting)
            except BROKEN as error:
                self._failure = connection.lost()
                self._abandon()
                raise self._failure from error
            except BaseException as error:
                if self.kept and not isinstance(error, Exception):
                    connection.stream.keep(waiting)
                    raise
                self._failure = error if isinstance(error, HeadwaterError) else closed_early()
                self._abandon()
                raise
            parser = connection.parser
            if parser.complete or parser.failure is not None:
                self._settle(connection)
            if piece:
                return piece
        if self._failure is not None:
            raise self._failure
        return b""

    def ready(self) -> bool:
        """Whether `receive` would return without waiting."""
        return self._connection is None or bool(self._piece)

    def wait_until(self, moment: float) -> bool:
        """Let no `receive` wait past this moment (seconds on the event loop's clock): `ReadDeadline`."""
        connection = self._connection
        if connection is None:
            return True  # nothing is waited for any more
        return connection.stream.wait_until(moment)

    async def aclose(self) -> None:
        """Give up: the connection is closed at once. Idempotent."""
        if self._connection is not None:
            self._failure = closed_early()
            self._piece = b""
            self._abandon()

    def drop(self) -> None:
        """Give up from any thread or finalizer: the socket is shut now, and closed by its event loop."""
        # No pool is touched here: a finalizer may run in the middle of any of its operations.
        connection = self._connection
        if connection is not None and connection.is_ours():
            connection.stream.shut()
            connection.owner.call_threadsafe(self._abandon)

    def _settle(self, connection: Connection) -> None:
        parser = connection.parser
        self.surplus = parser.surplus
        self._connection = None
        if parser.complete and connection.is_reusable():
            connection.owner.on_reusable(connection)
            return
        if not parser.complete:
            self._failure = parser.failure
        connection.owner.on_lost(connection)

    def _abandon(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.owner.on_lost(connection)

    def __del__(self) -> None:
        connection = self._connection
        if connection is not None and connection.is_ours():
            warnings.warn("an answer was neither read whole nor closed", ResourceWarning, stacklevel=1, source=self)
            self.drop()


def closed_early() -> ConnectionLostError:
    """What reading an answer raises once it has been given up."""
    return ConnectionLostError("the answer was closed before its end")
