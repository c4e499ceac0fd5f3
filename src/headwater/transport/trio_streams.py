"""Streams for trio: the leader/follower pattern, in which one of those who wait watches the epoll for all.

    receive ──▶ there is no leader: it leads, and waits for the epoll
           └──▶ there is one: it follows, asleep until the leader delivers its bytes, or it becomes the leader

trio calls nobody back, and waiting for a descriptor costs it two system calls each time: 2,000 tasks that each wait for
their own socket cost 138 us of CPU a chunk, and 78 as one leader with 1,999 followers (`anyio_streams` says how that is
measured). No task exists but those of the callers.

There is a leader whenever somebody waits. The lead ends in three ways, and each hands it to a follower, if there is one
(`_hand_over`, in a `finally`): the leader's own bytes have come, or its end; its read deadline has passed; it was
cancelled, or its stream closed or broken. The follower is woken with nothing delivered, and finds itself the leader
already: whoever calls `receive` in between follows. Were it cancelled in that moment, it would lead for the one step in
which trio raises, and hand the lead on. The only file that imports trio.
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
from .epoll import EpollPoller, EpollStream


class TrioPoller(EpollPoller):
    """The sockets of one event loop."""

    def __init__(self) -> None:
        super().__init__()
        self._followers: dict[TrioStream, Task] = {}
        self._leader: TrioStream | None = None
        self._scope: trio.CancelScope | None = None

    def attach(self, raw: socket.socket) -> TrioStream:
        """A connected socket as a stream."""
        return TrioStream(self, raw)

    def follow(self, stream: TrioStream) -> bool:
        """Whether this stream becomes a follower, whose task is to sleep next: somebody else leads."""
        if self._leader is None or self._leader is stream:
            return False
        self._followers[stream] = current_task()
        return True

    async def lead(self, stream: TrioStream) -> bytes:
        """Watch the epoll for all, until this stream's own bytes come, b"" at its end; raises `BROKEN`, `ReadDeadline`.

        Whichever of these ends the lead, and cancellation too, it is handed to a follower.
        """
        self._leader = stream
        try:
            return await self._lead(stream)
        finally:
            self._hand_over()

    async def _lead(self, stream: TrioStream) -> bytes:
        while not stream.closed:
            with trio.CancelScope(deadline=self.alarm_at) as self._scope:
                try:
                    await trio.lowlevel.wait_readable(self.epoll.fileno())
                except trio.ClosedResourceError:
                    continue
            self.poll()
            if stream.may_read and (data := stream.read_now()) is not None:
                return data
            now = trio.current_time()
            if now >= self.alarm_at:
                self.expire(now)
                if now >= stream.until:
                    raise ReadDeadline
        return b""

    def is_follower(self, stream: TrioStream) -> bool:
        """Whether this stream's task sleeps until its bytes are delivered."""
        return stream in self._followers

    def wake_follower(self, stream: TrioStream, delivered: bytes | Exception | None) -> None:
        """Wake a follower's task with what has come, or with its failure; None: it is the leader now."""
        stream.delivered = delivered
        reschedule(self._followers.pop(stream))

    def leave(self, stream: TrioStream) -> None:
        """Take a follower out: its task was cancelled."""
        self._followers.pop(stream, None)

    def close(self, stream: TrioStream) -> None:
        """Wake who waits for a stream that is closed."""
        if stream in self._followers:
            self.wake_follower(stream, b"")
        elif stream is self._leader:
            notify_closing(self.epoll.fileno())

    def _hand_over(self) -> None:
        self._scope = self._leader = None
        for stream in self._followers:
            self._leader = stream
            self.wake_follower(stream, None)
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


class TrioStream(EpollStream):
    """A connected socket (a `ByteStream`). `delivered`: what a follower is woken with: bytes, a failure, or None where
    it is the leader now."""

    __slots__ = ("_drains", "_kept", "delivered")
    poller: TrioPoller

    def __init__(self, sockets: TrioPoller, raw: socket.socket) -> None:
        super().__init__(sockets, raw)
        self.delivered: bytes | Exception | None = None
        self._kept: bytes | None = None
        self._drains = False

    async def receive(self) -> bytes:
        """What has come since, b"" after the peer's last word; raises `BROKEN`, `ReadDeadline`."""
        if self._kept is not None:
            kept, self._kept = self._kept, None
            return kept
        if self.may_read:
            data = self.read_now()
            if data is not None:
                self._kept = data
                await checkpoint()  # which may be where it is cancelled
                self._kept = None
                return data
        while self.poller.follow(self):
            await wait_task_rescheduled(self.abort)
            delivered, self.delivered = self.delivered, None
            if isinstance(delivered, bytes):
                return delivered
            if delivered is not None:
                raise delivered
        return await self.poller.lead(self)

    def keep(self, waiting: Awaitable[bytes]) -> None:
        """A `receive` whose waiting was cancelled has kept what had come for it."""

    def event(self, events: int) -> None:
        """The epoll: something has come; it is delivered to whoever sleeps for it."""
        super().event(events)
        if self.poller.is_follower(self):
            try:
                delivered: bytes | Exception | None = self.read_now()
            except BrokenResourceError as error:
                delivered = error
            if delivered is not None:
                self.poller.wake_follower(self, delivered)

    def expire(self, now: float) -> float:
        """End a wait that has lasted until its moment; the moment of one that goes on, else `FOREVER`."""
        if now < self.until:
            return self.until
        if self.poller.is_follower(self):  # else it polls, and sees for itself, or does not wait
            self.poller.wake_follower(self, ReadDeadline())
        return FOREVER

    def abort(self, _: Any) -> Abort:
        """trio: whoever sleeps is cancelled."""
        self.poller.leave(self)
        return Abort.SUCCEEDED

    async def _drain(self) -> None:
        self._drains = True
        try:
            await self.poller.writable(self.raw)
        except trio.ClosedResourceError as error:
            raise BrokenResourceError from error
        finally:
            self._drains = False

    def _wake_all(self) -> None:
        self.poller.close(self)
        if self._drains:
            notify_closing(self.raw)
