"""One epoll for all streams of an event loop, one alarm for their read deadlines, and what a socket is on every loop.

An event loop's own way of waiting for a socket costs system calls each time (trio), or an object or two for each
stream, and uvloop's tells nobody when a connection was reset; a timer for each would cost more than its stream. So:

- A socket is registered once, edge-triggered, for as long as it lives. The event loop watches one descriptor, the
  epoll's, and whoever is told of it (`poll`) tells every stream that has news.
- Edge-triggered news come once. `may_read` remembers them until a read has found the socket empty: one that would
  block, or a short one of a plain socket whose peer has not closed. TLS may hold back whole records: only would-block
  counts there.
- A read deadline is a number on the stream (`until`) and one alarm for all, at the soonest of them. Setting one costs a
  comparison; a deadline that moves on leaves its alarm, which looks at all streams when it rings and sets the next,
  at least `ALARM_GRAIN_SECONDS` later.

Who watches the epoll, and how a reader is woken, is the event loop's affair: `asyncio_streams` and `trio_streams` have
an `EpollPoller`, and each of their streams an `EpollSocket`. It is worth half the cost of a chunk: the figures are in
`anyio_streams`. Knows no HTTP.
"""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from anyio import BrokenResourceError
from anyio.lowlevel import current_token

from ..protocol.transport import FOREVER
from .sockets import (
    READ_BYTES,
    WOULD_BLOCK,
    Address,
    BrokenAfterError,
    Socket,
    finish_connect,
    prober,
    read_available,
    shut,
    start_connect,
)

ALARM_GRAIN_SECONDS: Final = 0.01
"""Seconds by which silence may be noticed late, so that many streams are not looked at one after the other."""
NEWS_AT_ONCE: Final = 32
"""Sockets that are read in one turn of the event loop. The tasks that wait for them run in the next turn, and whoever
takes their results after that: with hundreds in one turn as many results would wait, long enough for the collector to
look at each (it did three times as often in a map of 512 at once), and nobody else would have a turn meanwhile."""
READ_EVENTS: Final = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
END_EVENTS: Final = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR


if TYPE_CHECKING:
    from .tunnelled_tls import TunnelledTls

    SecureSocket: TypeAlias = ssl.SSLSocket | TunnelledTls

    class Watcher(Protocol):
        """Who is told what comes of a socket."""

        def event(self, events: int) -> None:
            """The epoll: something has come."""
            ...

        def expire(self, now: float) -> float:
            """End a wait that has lasted until its moment; the moment of one that goes on, else `FOREVER`."""
            ...

    class Wakeup(Protocol):
        """One task's wait for news that come on a socket which it shares with others: whoever reads it wakes the task.

        `until`: the moment past which it does not wait.
        """

        until: float

        async def wait(self) -> None:
            """Sleep until it is woken, by what is read from now on; raises `ReadDeadline`. Cancelled, it loses
            nothing."""
            ...

        def wake(self) -> None:
            """There is news; nothing where nobody waits."""
            ...

        def expire(self, now: float) -> float:
            """End a wait that has lasted until its moment; the moment of one that goes on, else `FOREVER`."""
            ...

    class Waits(Protocol):
        """How an event loop waits for a socket that is no stream yet."""

        async def readable(self, raw: Socket) -> None:
            """Wait until there is something to read."""
            ...

        async def writable(self, raw: Socket, seconds: float | None = None) -> None:
            """Wait until something can be sent, or a connection is made; raises `TimeoutError` after so many
            seconds."""
            ...


async def connect(waits: Waits, address: Address, seconds: float | None = None) -> socket.socket:
    """A connected socket; raises `OSError`, of which `TimeoutError` is one."""
    raw, connected = start_connect(address)
    try:
        if not connected:
            await waits.writable(raw, seconds)
            finish_connect(raw)
    except BaseException:
        raw.close()
        raise
    return raw


async def secure(waits: Waits, raw: Socket, context: ssl.SSLContext, hostname: str) -> SecureSocket:
    """The socket with TLS, which may be within the TLS that it has; it is closed where that fails. Raises `OSError`, of
    which `ssl.SSLError` is one."""
    try:
        wrapped = _wrapped(raw, context, hostname.rstrip("."))  # no certificate has the dot that ends a whole name
    except BaseException:
        raw.close()
        raise
    try:
        while True:
            try:
                wrapped.do_handshake()
            except ssl.SSLWantReadError:
                await waits.readable(wrapped)
            except ssl.SSLWantWriteError:
                await waits.writable(wrapped)
            else:
                return wrapped
    except BaseException:
        shut(wrapped)
        wrapped.close()
        raise


def _wrapped(raw: Socket, context: ssl.SSLContext, hostname: str) -> SecureSocket:
    if isinstance(raw, ssl.SSLSocket):
        from .tunnelled_tls import TunnelledTls

        return TunnelledTls(raw, context, hostname)
    assert isinstance(raw, socket.socket)  # there are no more than two
    return context.wrap_socket(raw, server_hostname=hostname, do_handshake_on_connect=False, suppress_ragged_eofs=False)


class EpollPoller:
    """Tells the streams of one event loop what has come. `set_alarm` has the loop call `expire` at a moment of its
    clock."""

    def __init__(self, set_alarm: Callable[[float], object]) -> None:
        self.epoll = select.epoll()
        self.alarm_at = FOREVER
        self.watchers: dict[int, Watcher] = {}
        # Of anyio's; asked for by way of its module it looks each time for the event loop that runs.
        self.checkpoint_if_cancelled = current_token().backend_class.checkpoint_if_cancelled
        self._set_alarm = set_alarm

    def add(self, watcher: Watcher, descriptor: int, events: int = READ_EVENTS) -> None:
        """Tell it what comes."""
        self.epoll.register(descriptor, events)
        self.watchers[descriptor] = watcher

    def replace(self, watcher: Watcher, descriptor: int) -> None:
        """Tell it from now on, in place of who was told before."""
        self.watchers[descriptor] = watcher

    def ask_again(self, descriptor: int, events: int = READ_EVENTS) -> None:
        """Have the epoll tell what there is already, as if it came now; with `EPOLLOUT`, also when more can be sent."""
        self.epoll.modify(descriptor, events)

    def remove(self, descriptor: int) -> None:
        """Stop to tell what comes: the socket is about to be closed."""
        if not self.epoll.closed:  # else its event loop has ended
            del self.watchers[descriptor]
            self.epoll.unregister(descriptor)

    def poll(self, most: int = NEWS_AT_ONCE) -> None:
        """Tell those for whom something has come, so many of them (-1: all), without waiting."""
        try:
            news = self.epoll.poll(0, most)
        except ValueError:  # it is closed: this is a forked child, and an event loop of its parent's
            return
        for descriptor, events in news:
            watcher = self.watchers.get(descriptor)
            if watcher is not None:
                watcher.event(events)

    def watch(self, moment: float) -> None:
        """See to it that a stream that waits past this moment is told."""
        if moment < self.alarm_at:
            self.alarm_at = moment
            self._set_alarm(moment)

    def expire(self, now: float) -> None:
        """The alarm: end the waits whose moment has come, and set it again for the others."""
        self.poll(-1)  # what has come is not late
        soonest = min([watcher.expire(now) for watcher in list(self.watchers.values())], default=FOREVER)
        self.alarm_at = FOREVER
        if soonest < FOREVER:
            self.watch(max(soonest, now + ALARM_GRAIN_SECONDS))

    def close(self) -> None:
        """No stream is left."""
        self.epoll.close()

    def disown(self) -> None:
        """In a forked child: close its copy of the parent's epoll, which goes on."""
        self.watchers.clear()
        self.epoll.close()


class EpollSocket:
    """A stream's connected socket, and what is known of it.

    `may_read`: there may be something to read; `peer_closed`: and nothing after it; `closed`: by this side. `until`:
    the moment past which no read may wait.
    """

    __slots__ = ("_failure", "_probe", "closed", "may_read", "peer_closed", "poller", "raw", "until")

    def __init__(self, poller: EpollPoller, raw: Socket) -> None:
        self.poller = poller
        self.raw = raw
        self._probe: Callable[[int], object] | None = None
        self._failure: BaseException | None = None
        """What has broken the connection, and is told once all that had come before is read."""
        self.may_read = not isinstance(raw, socket.socket) and raw.pending() > 0  # it came behind the handshake
        self.peer_closed = self.closed = False
        self.until = FOREVER

    def note(self, events: int) -> None:
        """The epoll: something has come."""
        self.may_read = True
        if events & END_EVENTS:
            self.peer_closed = True

    def read_now(self) -> bytes | None:
        """What has come, b"" at the end, None where nothing has; raises `BrokenResourceError`."""
        try:
            data = read_available(self.raw)
        except WOULD_BLOCK:
            self.may_read = False
            return None
        except BrokenAfterError as broken:
            self._failure = broken.__cause__
            return broken.data
        except OSError as error:
            raise BrokenResourceError from (self._failure or error)
        if 0 < len(data) < READ_BYTES and not self.peer_closed and type(self.raw) is socket.socket:
            self.may_read = False  # a short read has emptied the socket, and the epoll tells of what comes now
        elif not data and self._failure is not None:
            raise BrokenResourceError from self._failure
        return data

    def wait_until(self, moment: float) -> bool:
        """Let no read wait past this moment."""
        self.until = moment
        if moment < self.poller.alarm_at:
            self.poller.watch(moment)
        return True

    async def send(self, data: memoryview, drain: Callable[[], Awaitable[None]]) -> None:
        """Send everything; `drain` waits until more can be sent. It may stop in the middle when cancelled. Raises
        `BROKEN`."""
        await self.poller.checkpoint_if_cancelled()
        sent, whole = 0, len(data)
        while sent < whole:
            try:
                # An error here comes to who sends. One that is met in reading comes after what the peer said before.
                sent += self.raw.send(data[sent:] if sent else data)
            except WOULD_BLOCK:
                await drain()
            except OSError as error:
                # The system tells of a reset once, and of an end to who reads next; a broken pipe had its end before.
                if type(self.raw) is socket.socket and not isinstance(error, BrokenPipeError):
                    self._failure = error
                raise

    def send_now(self, data: bytearray) -> int:
        """Send of this what goes without waiting, and say how much; raises `OSError` for a connection that is broken.

        What was not sent comes first the next time: TLS may have taken it in already.
        """
        sent = 0
        with suppress(*WOULD_BLOCK):
            while sent < len(data):
                sent += self.raw.send(data[sent : sent + READ_BYTES])
        return sent

    def readable(self) -> bool:
        """Whether something has come, an end included."""
        # What has come while the loop had no turn is in the socket only.
        if self.may_read or self.closed:
            return True
        probe = self._probe  # made once: to make it costs as much as to ask
        if probe is None:
            probe = self._probe = prober(self.raw.fileno())
        return bool(probe(0))

    def stale(self) -> bool:
        """Whether anything has come at all; only for a stream that is not being read."""
        if not self.peer_closed and self.readable():
            try:
                read_available(self.raw)
                self.peer_closed = True
            except WOULD_BLOCK:  # TLS has words of its own, which are none of the peer's
                self.may_read = False
            except OSError:
                self.peer_closed = True
        return self.peer_closed

    def leave(self) -> bool:
        """End it, but for closing the descriptor; False where that was done before. Who waits is to be woken next."""
        if self.closed:
            return False
        self.closed = True
        descriptor = self.raw.fileno()
        shut(self.raw)
        self.poller.remove(descriptor)
        return True

    def disown(self) -> None:
        """In a forked child: close its copy of the parent's socket, of which the peer hears nothing."""
        self.closed = True
        self.raw.close()

    def shut(self) -> None:
        """Tell the peer that it is over, from any thread."""
        shut(self.raw)
