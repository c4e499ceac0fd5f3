"""Streams for trio on Linux: one epoll for all of an event loop's sockets, polled by whoever waits.

    a stream waits ──▶ nobody polls: it does, for all ──▶ its own bytes came: it hands polling on, and goes
                  └──▶ somebody does: it sleeps until its bytes are brought, or polling is handed to it

trio waits for each socket anew each time, at the price of two system calls and of a cancel scope for the deadline;
here a socket is registered once, and no task exists but those that wait. The only file that imports trio.
"""

from __future__ import annotations

import select
import socket
import ssl
from typing import Any, Final

import trio
from anyio import BrokenResourceError
from anyio.lowlevel import checkpoint, checkpoint_if_cancelled
from trio.lowlevel import Abort, Task, current_task, notify_closing, reschedule, wait_task_rescheduled

from ..wire import FOREVER, Silence
from .sockets import READ, WOULD_BLOCK, Sockets, readable, shut, take

_EVENTS: Final = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
_ENDS: Final = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR


class PolledSockets(Sockets):
    """The sockets of one event loop."""

    def __init__(self) -> None:
        super().__init__()
        self._epoll = select.epoll()
        self._by_descriptor: dict[int, PolledStream] = {}
        self._sleeping: dict[PolledStream, Task] = {}
        self._leader: PolledStream | None = None
        self._scope: trio.CancelScope | None = None

    def attach(self, raw: socket.socket) -> PolledStream:
        """A connected socket as a stream."""
        stream = PolledStream(self, raw)
        descriptor = raw.fileno()
        self._epoll.register(descriptor, _EVENTS)
        self._by_descriptor[descriptor] = stream
        self.streams.add(stream)
        return stream

    def detach(self, stream: PolledStream, descriptor: int) -> None:
        """Forget a stream before its socket is closed; whoever waits for it is woken."""
        del self._by_descriptor[descriptor]
        self._epoll.unregister(descriptor)
        self.streams.discard(stream)
        if stream in self._sleeping:
            self._wake(stream, b"")
        elif stream is self._leader:
            notify_closing(self._epoll.fileno())

    async def wait(self, stream: PolledStream) -> bytes:
        """Wait for this stream's bytes, b"" at its end; raises `BROKEN`, `Silence`."""
        while self._leader is not None and self._leader is not stream:
            self._sleeping[stream] = current_task()
            await wait_task_rescheduled(stream.abort)
            brought, stream.brought = stream.brought, None
            if isinstance(brought, bytes):
                return brought
            if brought is not None:
                raise brought
        self._leader = stream
        try:
            return await self._lead(stream)
        finally:
            self._hand_over()

    async def _lead(self, stream: PolledStream) -> bytes:
        while not stream.closed:
            with trio.CancelScope(deadline=self.alarm_at) as self._scope:
                try:
                    await trio.lowlevel.wait_readable(self._epoll.fileno())
                except trio.ClosedResourceError:
                    continue
            self._poll()
            if stream.came and (data := stream.taken()) is not None:
                return data
            now = trio.current_time()
            if now >= self.alarm_at:
                self.look(now)
                if now >= stream.until:
                    raise Silence
        return b""

    def _poll(self) -> None:
        """Bring what has come to those who sleep for it."""
        for descriptor, events in self._epoll.poll(0):
            stream = self._by_descriptor.get(descriptor)
            if stream is None:
                continue
            stream.came = True
            stream.ended = stream.ended or bool(events & _ENDS)
            if stream in self._sleeping:
                try:
                    data = stream.taken()
                except BrokenResourceError as error:
                    self._wake(stream, error)
                else:
                    if data is not None:
                        self._wake(stream, data)

    def _wake(self, stream: PolledStream, brought: bytes | Exception | None) -> None:
        stream.brought = brought
        reschedule(self._sleeping.pop(stream))

    def _hand_over(self) -> None:
        self._scope = self._leader = None
        for stream in self._sleeping:
            self._leader = stream
            self._wake(stream, None)
            return

    def sleeps(self, stream: PolledStream) -> bool:
        """Whether its bytes are brought to it."""
        return stream in self._sleeping

    def forget(self, stream: PolledStream) -> None:
        """Whoever slept was cancelled."""
        self._sleeping.pop(stream, None)

    def silence(self, stream: PolledStream) -> None:
        """Whoever sleeps has waited for long enough."""
        self._wake(stream, Silence())

    def _set_alarm(self, moment: float) -> None:
        if self._scope is not None:
            self._scope.deadline = moment

    def end(self) -> None:
        """No stream is left."""
        self._epoll.close()

    async def readable(self, raw: socket.socket) -> None:
        """Wait until there is something to read."""
        await trio.lowlevel.wait_readable(raw)

    async def writable(self, raw: socket.socket, seconds: float | None = None) -> None:
        """Wait until something can be sent, or a connection is made; raises `TimeoutError` after so many seconds."""
        with trio.CancelScope(deadline=FOREVER if seconds is None else trio.current_time() + seconds):
            await trio.lowlevel.wait_writable(raw)
            return
        raise TimeoutError


class PolledStream:
    """A connected socket (`streams.Stream`).

    `came`: there may be something to read; `ended`: and nothing after it. `brought`: what whoever sleeps is woken
    with: bytes, a failure, or None where it is to poll for all.
    """

    __slots__ = ("_raw", "_sending", "_sockets", "brought", "came", "closed", "ended", "until")

    def __init__(self, sockets: PolledSockets, raw: socket.socket) -> None:
        self._sockets = sockets
        self._raw = raw
        self._sending = False
        self.came = self.ended = self.closed = False
        self.brought: bytes | Exception | None = None
        self.until = FOREVER

    async def receive(self) -> bytes:
        """What has come since, b"" after the peer's last word; raises `BROKEN`, `Silence`."""
        if self.came:
            data = self.taken()
            if data is not None:
                await checkpoint()
                return data
        return await self._sockets.wait(self)

    def taken(self) -> bytes | None:
        """What has come, None where nothing has; raises `BrokenResourceError`."""
        try:
            data = take(self._raw)
        except WOULD_BLOCK:
            self.came = False
            return None
        except OSError as error:
            raise BrokenResourceError from error
        if 0 < len(data) < READ and not self.ended and not isinstance(self._raw, ssl.SSLSocket):
            self.came = False  # a short read has emptied the socket, and the epoll tells of what comes now
        return data

    def abort(self, _: Any) -> Abort:
        """trio: whoever sleeps is cancelled."""
        self._sockets.forget(self)
        return Abort.SUCCEEDED

    def wait_until(self, moment: float) -> bool:
        """Let no `receive` wait past this moment."""
        self.until = moment
        if moment < self._sockets.alarm_at:
            self._sockets.watch(moment)
        return True

    def look(self, now: float) -> float:
        """End a wait that has lasted until its moment; the moment of one that goes on, else `FOREVER`."""
        if not self._sockets.sleeps(self):
            return FOREVER if now >= self.until else self.until  # it polls, and sees for itself, or does not wait
        if now < self.until:
            return self.until
        self._sockets.silence(self)
        return FOREVER

    async def send(self, data: memoryview) -> None:
        """Send everything; it may stop in the middle when cancelled. Raises `BROKEN`."""
        await checkpoint_if_cancelled()
        while data:
            try:
                data = data[self._raw.send(data) :]
            except WOULD_BLOCK:
                await self._drain()

    async def _drain(self) -> None:
        self._sending = True
        try:
            await self._sockets.writable(self._raw)
        except trio.ClosedResourceError as error:
            raise BrokenResourceError from error
        finally:
            self._sending = False

    def readable(self) -> bool:
        """Whether something has come, an end included."""
        return self.came or readable(self._raw)

    def stale(self) -> bool:
        """Whether anything has come at all; only for a stream that is not being read."""
        try:
            take(self._raw)
        except WOULD_BLOCK:
            self.came = False
            return False
        except OSError:
            pass
        return True

    def close(self) -> None:
        """Close at once, in the event loop's own thread."""
        if not self.closed:
            self.closed = True
            shut(self._raw)
            self._sockets.detach(self, self._raw.fileno())
            if self._sending:
                notify_closing(self._raw)
            self._raw.close()

    def shut(self) -> None:
        """Tell the peer that it is over, from any thread."""
        shut(self._raw)
