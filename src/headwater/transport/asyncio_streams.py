"""Streams for event loops that call back (asyncio's interface: asyncio, uvloop): they call when the epoll has news.

    receive, nothing there ──▶ a future of the loop's ──▶ the epoll's callback reads the socket and sets it
    receive, bytes are there ──▶ the same future, set in the loop's next turn: a flood leaves turns for the others

A read is that future and nothing else: no task, no protocol, no buffer between the socket and who reads, so that a
reader that stops stops the server. 2,000 streams at once cost 61 us of CPU a chunk; over anyio's streams they cost 140
(`anyio_streams` says how that is measured). A future whose waiting was cancelled may have been set in the same turn:
`keep` gives it to the next `receive`.

Names no event loop: whatever has the interface will do.
"""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Any, Protocol

from anyio import BrokenResourceError

from ..protocol.transport import FOREVER, ReadDeadline
from . import epoll
from .epoll import END_EVENTS, READ_EVENTS, EpollPoller, EpollSocket
from .happy_eyeballs import HostCache
from .sockets import Address, Socket

if TYPE_CHECKING:
    from .epoll import SecureSocket

    class Future(Protocol):
        """What the loop's `create_future` gives."""

        def done(self) -> bool:
            """Whether it has its result, or was cancelled."""
            ...

        def set_result(self, result: Any) -> None:
            """Wake who awaits it."""
            ...

        def set_exception(self, exception: BaseException) -> None:
            """Wake who awaits it, with a failure."""
            ...

        def __await__(self) -> Generator[Any, Any, Any]: ...

    class Timer(Protocol):
        """What the loop's `call_at` gives."""

        def cancel(self) -> None:
            """Call off what was to be called."""
            ...

    class EventLoop(Protocol):
        """The part of asyncio's interface that is used here."""

        def create_future(self) -> Future:
            """Something to wait for."""
            ...

        def time(self) -> float:
            """The loop's clock, in seconds."""
            ...

        def call_soon(self, callback: Callable[..., object], *args: Any) -> object:
            """Call in the loop's next turn."""
            ...

        def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> Timer:
            """Call later."""
            ...

        def add_reader(self, fd: int, callback: Callable[..., object], *args: Any) -> None:
            """Call whenever there is something to read."""
            ...

        def remove_reader(self, fd: int) -> bool:
            """Stop to call for this descriptor."""
            ...


class AsyncioSockets:
    """The sockets of one event loop."""

    def __init__(self, loop: EventLoop) -> None:
        self.poller = EpollPoller(self._set_alarm)
        self.hosts = HostCache()
        self.loop = loop
        self._timer: Timer | None = None
        loop.add_reader(self.poller.epoll.fileno(), self.poller.poll)

    async def connect(self, address: Address, seconds: float | None = None) -> socket.socket:
        """A connected socket; raises `OSError`, of which `TimeoutError` is one."""
        return await epoll.connect(self, address, seconds)

    async def secure(self, raw: Socket, context: ssl.SSLContext, hostname: str) -> SecureSocket:
        """The socket with TLS; raises `OSError`."""
        return await epoll.secure(self, raw, context, hostname)

    def attach(self, raw: Socket) -> AsyncioStream:
        """A connected socket as a stream."""
        return AsyncioStream(self, raw)

    def wakeup(self) -> AsyncioWakeup:
        """A wait for what others read."""
        return AsyncioWakeup(self.loop)

    async def readable(self, raw: Socket) -> None:
        """Wait until there is something to read."""
        await self._once(raw, select.EPOLLIN, None)

    async def writable(self, raw: Socket, seconds: float | None = None) -> None:
        """Wait until something can be sent, or a connection is made; raises `TimeoutError` after so many seconds."""
        await self._once(raw, select.EPOLLOUT, seconds)

    async def _once(self, raw: Socket, events: int, seconds: float | None) -> None:
        # The loop's own timer: a cancel scope of anyio's costs as much as all the rest of connecting.
        loop, descriptor = self.loop, raw.fileno()
        ready = loop.create_future()
        timer = None if seconds is None else loop.call_at(loop.time() + seconds, _late, ready)
        self.poller.add(_Once(ready), descriptor, events | select.EPOLLONESHOT)
        try:
            await ready
        finally:
            self.poller.remove(descriptor)
            if timer is not None:
                timer.cancel()

    def _set_alarm(self, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_at(moment, self._alarm)

    def _alarm(self) -> None:
        self._timer = None
        self.poller.expire(self.loop.time())

    def end(self) -> None:
        """No stream is left."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self.poller.epoll.closed:
            self.loop.remove_reader(self.poller.epoll.fileno())
        self.poller.close()

    def disown(self) -> None:
        """In a forked child: let go of the parent's epoll."""
        self.poller.disown()


class _Once:
    """Whoever waits for a socket that is no stream yet."""

    def __init__(self, ready: Future) -> None:
        self._ready = ready

    def event(self, events: int) -> None:
        """The epoll: it is so."""
        _wake(self._ready)

    def expire(self, now: float) -> float:
        """Nothing: the wait has a timer of its own."""
        return FOREVER


class AsyncioWakeup:
    """One task's wait for news that come on a socket which it shares with others (a `Wakeup`)."""

    __slots__ = ("_loop", "_waiting", "until")

    def __init__(self, loop: EventLoop) -> None:
        self.until = FOREVER
        self._loop = loop
        self._waiting: Future | None = None

    async def wait(self) -> None:
        """Sleep until it is woken; raises `ReadDeadline`."""
        self._waiting = self._loop.create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None

    def wake(self) -> None:
        """There is news."""
        if self._waiting is not None:
            _wake(self._waiting)

    def expire(self, now: float) -> float:
        """End a wait that has lasted until its moment; the moment of one that goes on, else `FOREVER`."""
        waiting = self._waiting
        if waiting is None or waiting.done():
            return FOREVER
        if now < self.until:
            return self.until
        waiting.set_exception(ReadDeadline())
        return FOREVER


class AsyncioStream:
    """A connected socket (a `ByteStream`). What is the same on every loop is its `socket`'s."""

    __slots__ = (
        "_drained",
        "_kept",
        "_loop",
        "_reader",
        "socket",
        "stale",
        "wait_until",
    )

    def __init__(self, sockets: AsyncioSockets, raw: Socket) -> None:
        self.socket = own = EpollSocket(sockets.poller, raw)
        self.wait_until, self.stale = own.wait_until, own.stale  # which every request asks
        self._loop = sockets.loop
        self._reader: Future | None = None
        self._drained: Future | None = None
        self._kept: Future | None = None
        sockets.poller.add(self, raw.fileno())

    def receive(self) -> Awaitable[bytes]:
        """What has come since, b"" after the peer's last word; raises `BROKEN`, `ReadDeadline`."""
        if self._kept is not None:
            kept, self._kept = self._kept, None
            return kept
        reader = self._loop.create_future()
        if self.socket.closed:
            reader.set_result(b"")
        elif not self.socket.may_read:
            self._reader = reader
        else:
            # What is there already comes a turn of the loop later, or a flood would leave no turn for anybody else.
            self._fill(reader, lambda data: self._loop.call_soon(self._give, reader, data))
        return reader

    def keep(self, waiting: Any) -> None:
        """A `receive` whose waiting was cancelled: what had come for it is there for the next one."""
        if waiting.done() and not waiting.cancelled():
            self._kept = waiting

    def _give(self, reader: Future, data: bytes) -> None:
        if reader.done():  # cancelled meanwhile
            self._kept = reader = self._loop.create_future()
        reader.set_result(data)

    def event(self, events: int) -> None:
        """The epoll: something has come, or can be sent."""
        if events & ~select.EPOLLOUT:
            self.socket.note(events)
            reader, self._reader = self._reader, None
            if reader is not None and not reader.done():
                self._fill(reader, reader.set_result)
        if self._drained is not None and events & (select.EPOLLOUT | END_EVENTS):
            _wake(self._drained)

    def _fill(self, reader: Future, give: Callable[[bytes], object]) -> None:
        try:
            data = self.socket.read_now()
        except BrokenResourceError as error:
            reader.set_exception(error)
        else:
            if data is None:
                self._reader = reader
            else:
                give(data)

    def expire(self, now: float) -> float:
        """End a wait that has lasted until its moment; the moment of one that goes on, else `FOREVER`."""
        reader = self._reader
        if reader is None or reader.done():
            return FOREVER
        if now < self.socket.until:
            return self.socket.until
        self._reader = None
        reader.set_exception(ReadDeadline())
        return FOREVER

    def send(self, data: memoryview) -> Awaitable[None]:
        """Send everything; it may stop in the middle when cancelled. Raises `BROKEN`."""
        return self.socket.send(data, self._drain)

    async def _drain(self) -> None:
        poll, descriptor = self.socket.poller.epoll, self.socket.raw.fileno()
        self._drained = self._loop.create_future()
        poll.modify(descriptor, READ_EVENTS | select.EPOLLOUT)
        try:
            await self._drained
        finally:
            self._drained = None
            if not self.socket.closed:
                poll.modify(descriptor, READ_EVENTS)

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
        for waiting in (self._reader, self._drained):
            if waiting is not None:
                _wake(waiting, b"")
        self._reader = None
        self.socket.raw.close()


def _wake(waiting: Future, data: bytes = b"") -> None:
    if not waiting.done():
        waiting.set_result(data)


def _late(waiting: Future) -> None:
    if not waiting.done():
        waiting.set_exception(TimeoutError())
