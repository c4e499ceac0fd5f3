"""A stream for event loops that call back (asyncio's interface: asyncio, uvloop), without anyio in between.

The stream is itself the protocol that the loop calls. Reading never stops between two exchanges, so that an idle
connection's end is known when it happens; it is paused only while more lies unread than a consumer should hold.
Names no event loop: whatever has the interface will do.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from typing import Any

from anyio import BrokenResourceError
from anyio.lowlevel import checkpoint_if_cancelled

from ..wire import FOREVER, Silence
from .loops import EventLoop, Future, Timer, Wires
from .streams import readable, shut

UNREAD = 128 * 1024
"""Bytes that may lie unread before the loop is told to read no more; one read more may come on top."""
UNBOUNDED = 1e6
"""Seconds for a handshake, in place of the loop's own limit: whoever dials has a bound."""


class NativeStream:
    """A connected socket (`streams.Stream`)."""

    __slots__ = (
        "_drained",
        "_full",
        "_loop",
        "_lost",
        "_over",
        "_paused",
        "_raw",
        "_reader",
        "_secure",
        "_timer",
        "_unread",
        "_waiting",
        "_wires",
        "until",
    )

    keeps_time = True

    def __init__(self, loop: EventLoop, raw: socket.socket, *, secure: bool) -> None:
        self._loop = loop
        self._raw = raw
        self._secure = secure
        self._wires: Wires
        self._unread: list[bytes] = []
        self._waiting = 0  # bytes in `_unread`
        self._paused = False  # reading
        self._full = False  # the loop keeps bytes that are still to be sent
        self._over = False  # nothing more will come
        self._lost: Exception | None = None
        self._reader: Future | None = None
        self._drained: Future | None = None
        self._timer: Timer | None = None
        self.until = FOREVER

    # -- what the loop calls

    def connection_made(self, transport: Wires) -> None:
        """The socket is connected, and TLS set up."""
        self._wires = transport
        transport.set_write_buffer_limits(1)  # with 0, asyncio's TLS pauses when there is nothing to send

    def data_received(self, data: bytes) -> None:
        """Something has come."""
        reader = self._reader
        if reader is not None:
            self._reader = None
            if not reader.done():
                reader.set_result(data)
                return
        self._unread.append(data)
        self._waiting += len(data)
        if self._waiting > UNREAD and not self._paused and not self._over:
            self._paused = True
            self._wires.pause_reading()

    def eof_received(self) -> None:
        """The peer has said its last word: the loop closes the socket."""
        self._end()

    def connection_lost(self, error: Exception | None) -> None:
        """The socket is closed, by whomever."""
        # A peer that closes without TLS's own farewell has ended all the same: HTTP says whether that is an end.
        if not isinstance(error, ssl.SSLError):
            self._lost = error
        self._end()
        self._rest()
        self.resume_writing()

    def pause_writing(self) -> None:
        """Not everything could be sent at once."""
        self._full = True

    def resume_writing(self) -> None:
        """Everything is sent, or never will be."""
        self._full = False
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    def _end(self) -> None:
        self._over = True
        reader, self._reader = self._reader, None
        if reader is not None and not reader.done():
            reader.set_result(b"")

    # -- what a connection calls

    async def receive(self) -> bytes:
        """What has come since, b"" after the peer's last word; raises `BROKEN`."""
        if self._loop.time() >= self.until:  # though something has come: comments without end are silence too
            raise Silence
        unread = self._unread
        if unread:
            return self._take(unread)
        if not self._over:
            self._reader = reader = self._loop.create_future()
            if self.until != FOREVER and (self._timer is None or self._timer.when() > self.until):
                self._watch()
            data: bytes | None = await reader
            if data:
                return data
            if data is None:
                raise Silence
        if self._lost is not None:
            raise BrokenResourceError from self._lost
        return b""

    def _take(self, unread: list[bytes]) -> bytes:
        data = unread[0] if len(unread) == 1 else b"".join(unread)
        unread.clear()
        self._waiting = 0
        if self._paused:
            self._paused = False
            if not self._over:
                self._wires.resume_reading()
        return data

    def _watch(self) -> None:
        # One timer watches over many reads: when it fires it looks at `until` as that is then, and mostly goes on.
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self.until, self._look)

    def _look(self) -> None:
        self._timer = None
        reader = self._reader
        if reader is None or reader.done() or self.until == FOREVER:
            return
        if self._loop.time() < self.until:
            self._watch()
        else:
            self._reader = None
            reader.set_result(None)

    def _rest(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    async def send(self, data: memoryview) -> None:
        """Send everything; it may stop in the middle when cancelled. Raises `BROKEN`."""
        await checkpoint_if_cancelled()
        if not self._secure:
            # An error here comes to who sends. One that the loop met would cost us what the peer has said before.
            with suppress(BlockingIOError, InterruptedError):
                data = data[self._raw.send(data) :]
        if data:
            await self._send_all(data)

    async def _send_all(self, data: memoryview) -> None:
        if self._over:
            raise BrokenResourceError from self._lost
        self._wires.write(data)
        if self._full:
            self._drained = drained = self._loop.create_future()
            await drained
            if self._over:
                raise BrokenResourceError from self._lost

    def readable(self) -> bool:
        """Whether something has come, an end included."""
        # What has come while the loop had no turn is in the socket only.
        return bool(self._unread) or self._over or readable(self._raw)

    stale = readable

    def close(self) -> None:
        """Close at once, in the event loop's own thread."""
        self._over = True
        self._rest()
        self._unread.clear()
        self.shut()
        self._wires.abort()

    def shut(self) -> None:
        """Tell the peer that it is over, from any thread."""
        shut(self._raw)


async def connect(loop: EventLoop, family: int, address: Any) -> socket.socket:
    """A connected TCP socket; raises `OSError`."""
    raw = socket.socket(family, socket.SOCK_STREAM)
    try:
        raw.setblocking(False)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(raw, address)
    except BaseException:
        raw.close()
        raise
    return raw


async def attach(loop: EventLoop, raw: socket.socket, context: ssl.SSLContext | None, hostname: str) -> NativeStream:
    """Give a connected socket to its loop, and set up TLS where there is a context; it is closed when that fails."""
    stream = NativeStream(loop, raw, secure=context is not None)
    options: dict[str, Any] = {"sock": raw}
    if context is not None:
        options |= {"ssl": context, "server_hostname": hostname, "ssl_handshake_timeout": UNBOUNDED}
    try:
        await loop.create_connection(lambda: stream, **options)
    except BaseException:
        shut(raw)  # the loop closes it in a later turn; the peer hears of it now
        raise
    return stream
