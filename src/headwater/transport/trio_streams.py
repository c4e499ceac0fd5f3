"""Streams for trio: whoever waits polls the epoll, one for all.

    a stream waits ──▶ nobody polls: it does, for all ──▶ its own bytes came: it hands polling on, and goes
                  └──▶ somebody does: it sleeps until its bytes are brought, or polling is handed to it

So no task exists but those that wait. The only file that imports trio.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable
from typing import Any

import trio
from anyio import BrokenResourceError
from anyio.lowlevel import checkpoint
from trio.lowlevel import Abort, Task, current_task, notify_closing, reschedule, wait_task_rescheduled

from ..protocol.transport import FOREVER, ReadDeadline
from .epoll import Sockets, SocketStream


class PolledSockets(Sockets):
    """The sockets of one event loop."""

    def __init__(self) -> None:
        super().__init__()
        self._sleeping: dict[PolledStream, Task] = {}
        self._leader: PolledStream | None = None
        self._scope: trio.CancelScope | None = None

    def attach(self, raw: socket.socket) -> PolledStream:
        """A connected socket as a stream."""
        return PolledStream(self, raw)

    def sleep(self, stream: PolledStream) -> bool:
        """Whether this stream is to sleep until its bytes are brought: somebody else polls."""
        if self._leader is None or self._leader is stream:
            return False
        self._sleeping[stream] = current_task()
        return True

    async def lead(self, stream: PolledStream) -> bytes:
        """Poll for all, until this stream's own bytes come, b"" at its end; raises `BROKEN`, `ReadDeadline`."""
        self._leader = stream
        try:
            return await self._lead(stream)
        finally:
            self._hand_over()

    async def _lead(self, stream: PolledStream) -> bytes:
        while not stream.closed:
            with trio.CancelScope(deadline=self.alarm_at) as self._scope:
                try:
                    await trio.lowlevel.wait_readable(self.epoll.fileno())
                except trio.ClosedResourceError:
                    continue
            self.poll()
            if stream.came and (data := stream.taken()) is not None:
                return data
            now = trio.current_time()
            if now >= self.alarm_at:
                self.look(now)
                if now >= stream.until:
                    raise ReadDeadline
        return b""

    def sleeps(self, stream: PolledStream) -> bool:
        """Whether its bytes are to be brought to it."""
        return stream in self._sleeping

    def wake(self, stream: PolledStream, brought: bytes | Exception | None) -> None:
        """Bring it what has come, or its failure; None: it is to poll."""
        stream.brought = brought
        reschedule(self._sleeping.pop(stream))

    def forget(self, stream: PolledStream) -> None:
        """Whoever slept was cancelled."""
        self._sleeping.pop(stream, None)

    def close(self, stream: PolledStream) -> None:
        """Wake who waits for a stream that is closed."""
        if stream in self._sleeping:
            self.wake(stream, b"")
        elif stream is self._leader:
            notify_closing(self.epoll.fileno())

    def _hand_over(self) -> None:
        self._scope = self._leader = None
        for stream in self._sleeping:
            self._leader = stream
            self.wake(stream, None)
            return

    def _set_alarm(self, moment: float) -> None:
        if self._scope is not None:
            self._scope.deadline = moment

    async def readable(self, raw: socket.socket) -> None:
        """Wait until there is something to read."""
        await trio.lowlevel.wait_readable(raw)

    async def writable(self, raw: socket.socket, seconds: float | None = None) -> None:
        """Wait until something can be sent, or a connection is made; raises `TimeoutError` after so many seconds."""
        with trio.CancelScope(deadline=FOREVER if seconds is None else trio.current_time() + seconds):
            await trio.lowlevel.wait_writable(raw)
            return
        raise TimeoutError


class PolledStream(SocketStream):
    """A connected socket (`streams.Stream`). `brought`: what whoever sleeps is woken with: bytes, a failure, or None
    where it is to poll for all."""

    __slots__ = ("_drains", "_kept", "brought")
    _sockets: PolledSockets

    def __init__(self, sockets: PolledSockets, raw: socket.socket) -> None:
        super().__init__(sockets, raw)
        self.brought: bytes | Exception | None = None
        self._kept: bytes | None = None
        self._drains = False

    async def receive(self) -> bytes:
        """What has come since, b"" after the peer's last word; raises `BROKEN`, `ReadDeadline`."""
        if self._kept is not None:
            kept, self._kept = self._kept, None
            return kept
        if self.came:
            data = self.taken()
            if data is not None:
                self._kept = data
                await checkpoint()  # which may be where it is cancelled
                self._kept = None
                return data
        while self._sockets.sleep(self):
            await wait_task_rescheduled(self.abort)
            brought, self.brought = self.brought, None
            if isinstance(brought, bytes):
                return brought
            if brought is not None:
                raise brought
        return await self._sockets.lead(self)

    def keep(self, waiting: Awaitable[bytes]) -> None:
        """A `receive` whose waiting was cancelled has kept what had come for it."""

    def event(self, events: int) -> None:
        """The epoll: something has come; it is brought to whoever sleeps for it."""
        super().event(events)
        if self._sockets.sleeps(self):
            try:
                brought: bytes | Exception | None = self.taken()
            except BrokenResourceError as error:
                brought = error
            if brought is not None:
                self._sockets.wake(self, brought)

    def look(self, now: float) -> float:
        """End a wait that has lasted until its moment; the moment of one that goes on, else `FOREVER`."""
        if now < self.until:
            return self.until
        if self._sockets.sleeps(self):  # else it polls, and sees for itself, or does not wait
            self._sockets.wake(self, ReadDeadline())
        return FOREVER

    def abort(self, _: Any) -> Abort:
        """trio: whoever sleeps is cancelled."""
        self._sockets.forget(self)
        return Abort.SUCCEEDED

    async def _drain(self) -> None:
        self._drains = True
        try:
            await self._sockets.writable(self._raw)
        except trio.ClosedResourceError as error:
            raise BrokenResourceError from error
        finally:
            self._drains = False

    def _wake_all(self) -> None:
        self._sockets.close(self)
        if self._drains:
            notify_closing(self._raw)
