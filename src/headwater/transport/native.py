"""Streams for event loops that call back (asyncio's interface: asyncio, uvloop), without a transport in between.

Reading never stops between two exchanges, so that an idle connection's end is known when it happens; it is paused
only while more lies unread than a consumer should hold. Names no event loop: whatever has the interface will do.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Awaitable
from typing import Any, Final

from anyio import BrokenResourceError
from anyio.lowlevel import checkpoint_if_cancelled

from ..wire import FOREVER, Silence
from .loops import EventLoop, Future, Timer
from .sockets import WOULD_BLOCK, Sockets, readable, shut, take

UNREAD: Final = 128 * 1024
"""Bytes that may lie unread before no more is read; one read more may come on top."""


class NativeSockets(Sockets):
    """The sockets of one event loop."""

    def __init__(self, loop: EventLoop) -> None:
        super().__init__()
        self.loop = loop
        self._timer: Timer | None = None

    def attach(self, raw: socket.socket) -> NativeStream:
        """A connected socket as a stream."""
        return NativeStream(self, raw)

    async def readable(self, raw: socket.socket) -> None:
        """Wait until there is something to read."""
        ready, descriptor = self.loop.create_future(), raw.fileno()
        self.loop.add_reader(descriptor, wake, ready)
        try:
            await ready
        finally:
            self.loop.remove_reader(descriptor)

    async def writable(self, raw: socket.socket, seconds: float | None = None) -> None:
        """Wait until something can be sent, or a connection is made; raises `TimeoutError` after so many seconds."""
        # The loop's own timer: a cancel scope of anyio's costs as much as all the rest of connecting.
        loop, descriptor = self.loop, raw.fileno()
        ready = loop.create_future()
        loop.add_writer(descriptor, wake, ready)
        timer = None if seconds is None else loop.call_at(loop.time() + seconds, _late, ready)
        try:
            await ready
        finally:
            loop.remove_writer(descriptor)
            if timer is not None:
                timer.cancel()

    def _set_alarm(self, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_at(moment, self._alarm)

    def _alarm(self) -> None:
        self._timer = None
        self.look(self.loop.time())

    def end(self) -> None:
        """No stream is left."""
        self.alarm_at = FOREVER
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class NativeStream:
    """A connected socket (`streams.Stream`)."""

    __slots__ = ("_drained", "_lost", "_over", "_paused", "_raw", "_reader", "_sockets", "_unread", "_until")

    def __init__(self, sockets: NativeSockets, raw: socket.socket) -> None:
        self._sockets = sockets
        self._raw = raw
        self._unread = b""
        self._paused = False  # reading
        self._over = False  # nothing more will come
        self._lost: Exception | None = None
        self._reader: Future | None = None
        self._drained: Future | None = None
        self._until = FOREVER
        sockets.streams.add(self)
        sockets.loop.add_reader(raw.fileno(), self._read)

    def _read(self) -> None:
        """The loop: there is something to read."""
        try:
            data = take(self._raw)
        except WOULD_BLOCK:
            return
        except OSError as error:
            self._lost = error
            self._end()
            return
        if not data:
            self._end()
            return
        reader = self._reader
        if reader is not None:
            self._reader = None
            if not reader.done():
                reader.set_result(data)
                return
        self._unread = self._unread + data if self._unread else data
        if len(self._unread) > UNREAD:
            self._paused = True
            self._sockets.loop.remove_reader(self._raw.fileno())

    def _end(self) -> None:
        """The peer has said its last word: what was read stays, and the socket is closed."""
        if self._raw.fileno() >= 0:
            if not self._over and not self._paused:
                self._sockets.loop.remove_reader(self._raw.fileno())
            shut(self._raw)
            if self._drained is not None:
                self._sockets.loop.remove_writer(self._raw.fileno())
            self._raw.close()
        self._over = True
        self._sockets.streams.discard(self)
        reader, self._reader = self._reader, None
        if reader is not None and not reader.done():
            self._tell_end(reader)
        drained, self._drained = self._drained, None
        if drained is not None:
            wake(drained)

    def _tell_end(self, reader: Future) -> None:
        if self._lost is None:
            reader.set_result(b"")
        else:
            error = BrokenResourceError()
            error.__cause__ = self._lost
            reader.set_exception(error)

    # -- what a connection calls

    def receive(self) -> Awaitable[bytes]:
        """What has come since, b"" after the peer's last word; raises `BROKEN`, `Silence`."""
        reader = self._sockets.loop.create_future()
        if self._unread:
            reader.set_result(self._unread)
            self._unread = b""
            if self._paused:
                self._paused = False
                if not self._over:
                    self._sockets.loop.add_reader(self._raw.fileno(), self._read)
        elif self._over:
            self._tell_end(reader)
        else:
            self._reader = reader
        return reader

    def wait_until(self, moment: float) -> bool:
        """Let no `receive` wait past this moment."""
        self._until = moment
        if moment < self._sockets.alarm_at:
            self._sockets.watch(moment)
        return True

    def look(self, now: float) -> float:
        """End a wait that has lasted until its moment; the moment of one that goes on, else `FOREVER`."""
        reader = self._reader
        if reader is None or reader.done():
            return FOREVER
        if now < self._until:
            return self._until
        self._reader = None
        reader.set_exception(Silence())
        return FOREVER

    async def send(self, data: memoryview) -> None:
        """Send everything; it may stop in the middle when cancelled. Raises `BROKEN`."""
        await checkpoint_if_cancelled()
        while data:
            try:
                # An error here comes to who sends. One that is met in reading comes after what the peer said before.
                data = data[self._raw.send(data) :]
            except WOULD_BLOCK:
                await self._drain()

    async def _drain(self) -> None:
        loop, descriptor = self._sockets.loop, self._raw.fileno()
        self._drained = drained = loop.create_future()
        loop.add_writer(descriptor, wake, drained)
        try:
            await drained
        finally:
            if self._drained is not None:  # else it has ended
                self._drained = None
                loop.remove_writer(descriptor)

    def readable(self) -> bool:
        """Whether something has come, an end included."""
        # What has come while the loop had no turn is in the socket only.
        return bool(self._unread) or self._over or readable(self._raw)

    def stale(self) -> bool:
        """Whether anything has come at all; only for a stream that is not being read."""
        if self._unread or self._over:
            return True
        if not readable(self._raw):
            return False
        self._read()  # TLS has words of its own, which are none of the peer's
        return bool(self._unread) or self._over or not isinstance(self._raw, ssl.SSLSocket)

    def close(self) -> None:
        """Close at once, in the event loop's own thread."""
        self._unread = b""
        self._end()

    def shut(self) -> None:
        """Tell the peer that it is over, from any thread."""
        shut(self._raw)


def wake(waiting: Future, *_: Any) -> None:
    """What is waited for is there."""
    if not waiting.done():
        waiting.set_result(None)


def _late(waiting: Future) -> None:
    if not waiting.done():
        waiting.set_exception(TimeoutError())
