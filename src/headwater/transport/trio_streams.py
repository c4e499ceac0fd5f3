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
import ssl
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Protocol

import trio
from anyio import BrokenResourceError
from anyio.lowlevel import checkpoint
from trio.lowlevel import Abort, Task, current_task, notify_closing, reschedule, wait_task_rescheduled

from ..protocol.transport import FOREVER, ReadDeadline
from . import epoll
from .epoll import EpollPoller, EpollSocket
from .happy_eyeballs import HostCache
from .sockets import Address, Socket

if TYPE_CHECKING:
    from .epoll import SecureSocket


class Watched(Protocol):
    """What a leader looks at each time that the epoll has had news."""

    closed: bool
    may_read: bool
    until: float

    def read_now(self) -> bytes | None:
        """What has come, None where nothing has."""
        ...


class Sleeper(Protocol):
    """Who leads or follows. `delivered`: what a follower is woken with."""

    @property
    def socket(self) -> Watched:
        """What it waits for."""
        ...

    delivered: bytes | Exception | None


class TrioSockets:
    """The sockets of one event loop."""

    def __init__(self) -> None:
        self.poller = EpollPoller(self._set_alarm)
        self.hosts = HostCache()
        self._followers: dict[Sleeper, Task] = {}
        self._leader: Sleeper | None = None
        self._scope: trio.CancelScope | None = None

    async def connect(self, address: Address, seconds: float | None = None) -> socket.socket:
        """A connected socket; raises `OSError`, of which `TimeoutError` is one."""
        return await epoll.connect(self, address, seconds)

    async def secure(self, raw: Socket, context: ssl.SSLContext, hostname: str) -> SecureSocket:
        """The socket with TLS; raises `OSError`."""
        return await epoll.secure(self, raw, context, hostname)

    def attach(self, raw: Socket) -> TrioStream:
        """A connected socket as a stream."""
        return TrioStream(self, raw)

    def wakeup(self) -> TrioWakeup:
        """A wait for what others read."""
        return TrioWakeup(self)

    def follow(self, stream: Sleeper) -> bool:
        """Whether this stream becomes a follower, whose task is to sleep next: somebody else leads."""
        if self._leader is None or self._leader is stream:
            return False
        self._followers[stream] = current_task()
        return True

    async def lead(self, stream: Sleeper) -> bytes:
        """Watch the epoll for all, until this stream's own bytes come, b"" at its end; raises `BROKEN`, `ReadDeadline`.

        Whichever of these ends the lead, and cancellation too, it is handed to a follower.
        """
        self._leader = stream
        try:
            return await self._lead(stream)
        finally:
            self._hand_over()

    async def _lead(self, stream: Sleeper) -> bytes:
        poller, own = self.poller, stream.socket
        while not own.closed:
            try:
                if poller.alarm_at == FOREVER:  # a scope costs as much as waiting does: 30 of trio's functions
                    self._scope = None
                    await trio.lowlevel.wait_readable(poller.epoll.fileno())
                else:
                    with trio.CancelScope(deadline=poller.alarm_at) as self._scope:
                        await trio.lowlevel.wait_readable(poller.epoll.fileno())
            except trio.ClosedResourceError:
                continue
            poller.poll()
            if own.may_read and (data := own.read_now()) is not None:
                return data
            if poller.alarm_at != FOREVER and (now := trio.current_time()) >= poller.alarm_at:
                poller.expire(now)
                if now >= own.until:
                    raise ReadDeadline
        return b""

    def is_follower(self, stream: Sleeper) -> bool:
        """Whether this stream's task sleeps until its bytes are delivered."""
        return stream in self._followers

    def wake_follower(self, stream: Sleeper, delivered: bytes | Exception | None) -> None:
        """Wake a follower's task with what has come, or with its failure; None: it is the leader now."""
        stream.delivered = delivered
        reschedule(self._followers.pop(stream))

    def leave(self, stream: Sleeper) -> None:
        """Take a follower out: its task was cancelled."""
        self._followers.pop(stream, None)

    def wake(self, stream: Sleeper) -> None:
        """Wake who waits for a stream that is closed."""
        if stream in self._followers:
            self.wake_follower(stream, b"")
        elif stream is self._leader:
            notify_closing(self.poller.epoll.fileno())

    def _hand_over(self) -> None:
        self._scope = self._leader = None
        for stream in self._followers:
            self._leader = stream
            self.wake_follower(stream, None)
            return

    def _set_alarm(self, moment: float) -> None:
        if self._scope is not None:
            self._scope.deadline = moment
        elif self._leader is not None:  # it waits without an alarm, and is to wait anew with this one
            notify_closing(self.poller.epoll.fileno())

    async def readable(self, raw: Socket) -> None:
        """Wait until there is something to read."""
        await trio.lowlevel.wait_readable(raw)

    async def writable(self, raw: Socket, seconds: float | None = None) -> None:
        """Wait until something can be sent, or a connection is made; raises `TimeoutError` after so many seconds."""
        with trio.CancelScope(deadline=FOREVER if seconds is None else trio.current_time() + seconds):
            await trio.lowlevel.wait_writable(raw)
            return
        raise TimeoutError

    def end(self) -> None:
        """No stream is left."""
        self.poller.close()

    def disown(self) -> None:
        """In a forked child: let go of the parent's epoll."""
        self.poller.disown()


class TrioWakeup:
    """One task's wait for news that come on a socket which it shares with others (a `Wakeup`).

    Whoever leads has the epoll tell the watcher of that socket, which reads it and wakes whom its news are for. Who
    waits leads or follows as a stream does: to the leader it looks like a socket with nothing to read, which is
    `closed` once the wait is over.
    """

    __slots__ = ("_sockets", "closed", "delivered", "may_read", "until")

    def __init__(self, sockets: TrioSockets) -> None:
        self.until = FOREVER
        self.closed = self.may_read = False
        self.delivered: bytes | Exception | None = None
        self._sockets = sockets

    @property
    def socket(self) -> Watched:
        """Itself."""
        return self

    def read_now(self) -> bytes | None:
        """Nothing: whoever reads the socket puts it elsewhere."""
        return None

    async def wait(self) -> None:
        """Sleep until it is woken; raises `ReadDeadline`."""
        self.closed = False
        while self._sockets.follow(self):
            await wait_task_rescheduled(self._abort)
            delivered, self.delivered = self.delivered, None
            if isinstance(delivered, Exception):
                raise delivered
            if delivered is not None:
                return
        await self._sockets.lead(self)

    def wake(self) -> None:
        """There is news."""
        self.closed = True
        self._sockets.wake(self)

    def expire(self, now: float) -> float:
        """End a wait that has lasted until its moment; the moment of one that goes on, else `FOREVER`."""
        if now < self.until:
            return self.until
        if self._sockets.is_follower(self):
            self._sockets.wake_follower(self, ReadDeadline())
        return FOREVER

    def _abort(self, _: Any) -> Abort:
        self._sockets.leave(self)
        return Abort.SUCCEEDED


class TrioStream:
    """A connected socket (a `ByteStream`). What is the same on every loop is its `socket`'s. `delivered`: what a
    follower is woken with: bytes, a failure, or None where it is the leader now."""

    __slots__ = (
        "_drains",
        "_kept",
        "_sockets",
        "delivered",
        "socket",
        "stale",
        "wait_until",
    )

    def __init__(self, sockets: TrioSockets, raw: Socket) -> None:
        self.socket = own = EpollSocket(sockets.poller, raw)
        self.wait_until, self.stale = own.wait_until, own.stale  # which every request asks
        self._sockets = sockets
        self.delivered: bytes | Exception | None = None
        self._kept: bytes | None = None
        self._drains = False
        sockets.poller.add(self, raw.fileno())

    async def receive(self) -> bytes:
        """What has come since, b"" after the peer's last word; raises `BROKEN`, `ReadDeadline`."""
        if self._kept is not None:
            kept, self._kept = self._kept, None
            return kept
        if self.socket.may_read:
            data = self.socket.read_now()
            if data is not None:
                self._kept = data
                await checkpoint()  # which may be where it is cancelled
                self._kept = None
                return data
        while self._sockets.follow(self):
            await wait_task_rescheduled(self.abort)
            delivered, self.delivered = self.delivered, None
            if isinstance(delivered, bytes):
                return delivered
            if delivered is not None:
                raise delivered
        return await self._sockets.lead(self)

    def keep(self, waiting: Awaitable[bytes]) -> None:
        """A `receive` whose waiting was cancelled has kept what had come for it."""

    def event(self, events: int) -> None:
        """The epoll: something has come; it is delivered to whoever sleeps for it."""
        self.socket.note(events)
        if self._sockets.is_follower(self):
            try:
                delivered: bytes | Exception | None = self.socket.read_now()
            except BrokenResourceError as error:
                delivered = error
            if delivered is not None:
                self._sockets.wake_follower(self, delivered)

    def expire(self, now: float) -> float:
        """End a wait that has lasted until its moment; the moment of one that goes on, else `FOREVER`."""
        if now < self.socket.until:
            return self.socket.until
        if self._sockets.is_follower(self):  # else it polls, and sees for itself, or does not wait
            self._sockets.wake_follower(self, ReadDeadline())
        return FOREVER

    def abort(self, _: Any) -> Abort:
        """trio: whoever sleeps is cancelled."""
        self._sockets.leave(self)
        return Abort.SUCCEEDED

    def send(self, data: memoryview) -> Awaitable[None]:
        """Send everything; it may stop in the middle when cancelled. Raises `BROKEN`."""
        return self.socket.send(data, self._drain)

    async def _drain(self) -> None:
        self._drains = True
        try:
            await self._sockets.writable(self.socket.raw)
        except trio.ClosedResourceError as error:
            raise BrokenResourceError from error
        finally:
            self._drains = False

    def readable(self) -> bool:
        """Whether something has come, an end included."""
        return self.socket.readable()

    def shut(self) -> None:
        """Tell the peer that it is over, from any thread; `close` must still come."""
        self.socket.shut()

    def disown(self) -> None:
        """In a forked child: close its copy of the parent's socket, of which the peer hears nothing."""
        self.socket.disown()

    def close(self) -> None:
        """Close at once, in the event loop's own thread; whoever waits is woken."""
        if not self.socket.leave():
            return
        self._sockets.wake(self)
        if self._drains:
            notify_closing(self.socket.raw)
        self.socket.raw.close()
