"""The default transport: an HTTP/1.1 connection pool.

    Pool ──▶ LoopConnections (one an event loop) ──▶ Origin (one a scheme, host and port) ──▶ Connection

One pool serves any number of event loops, one after another or in several threads; a connection never leaves
the loop that it was made in. No HTTP/2 (`http2_pool`), no redirects, and no retries but one: a request that met a kept
connection just as the server closed it.

The rules of an origin:

- `active` counts the slots in use: requests that connect, wait or are being read. Who finds none free waits. A slot
  that comes free while somebody waits is handed over, first come first served, without being counted as free: nobody
  who comes later can take it. A waiter that is cancelled with the slot in its hand hands it on.
- Of the idle connections the one that became idle last is taken: the others age, and are closed once they are
  `idle_seconds` old. One that something has come for is stale: the server has closed it, or has said what nobody
  asked for.

Nothing needs closing: idle connections end with their event loop, or with the pool.

    the event loop ends ──▶ its asynchronous generators are closed ──▶ `LoopConnections.end` closes every connection
    the pool is lost    ──▶ `__del__` has every loop `retire`: idle connections close now, the others after their answer
    the process forks   ──▶ the child disowns all: it closes its copies, and the parent's peers hear nothing
"""

from __future__ import annotations

import math
import os
import time
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Callable, Hashable, Sized
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from anyio import Event
from anyio.lowlevel import current_token

from ..errors import ConnectionLostError
from ..protocol.transport import TransportRequest
from .connect import ConnectTarget, dial, sockets_of
from .http11 import Answer, Connection
from .tls import Trust

if TYPE_CHECKING:
    import ssl

    from .anyio_streams import ByteStream
    from .asyncio_streams import AsyncioSockets
    from .proxy import Proxy
    from .trio_streams import TrioSockets

_live_loops: set[LoopConnections] = set()
"""Every event loop's part of every pool, until that loop has ended: none may be left to the collector, which would
find its generator unfinished; nor, in a forked child, what the parent has open."""


class PoolLimits(msgspec.Struct, frozen=True):
    """A pool's limits: `max_connections` and `max_idle` at each origin; an idle connection is kept `idle_seconds`."""

    max_connections: float
    max_idle: int
    idle_seconds: float


class PoolCounts(msgspec.Struct, frozen=True):
    """What a pool has now, in all event loops together: the `loops` that it serves, the requests that have a slot
    (`active`) and those that wait for one (`waiting`), the connections (`open`) and those of them that nobody uses
    (`idle`)."""

    loops: int
    active: int
    waiting: int
    open: int
    idle: int


if TYPE_CHECKING:

    class OpenConnection(Protocol):
        """What ends with its event loop."""

        def close(self) -> None:
            """Close at once, in the event loop's own thread. Idempotent."""
            ...

        def disown(self) -> None:
            """In a forked child: it is the parent's."""
            ...

    class OriginConnections(Protocol):
        """The connections to one origin, whatever is spoken there: slots in use, who waits for one, what is idle."""

        @property
        def active(self) -> int:
            """How many requests have a slot."""
            ...

        @property
        def idle(self) -> Sized:
            """The connections that nobody uses."""
            ...

        @property
        def waiters(self) -> Sized:
            """Who waits for a slot."""
            ...

        def trim(self) -> None:
            """Close what has been idle for too long, or is too much."""
            ...

        def close_idle(self) -> None:
            """Close every idle connection."""
            ...


class Origin:
    """One scheme, host and port: its idle connections, newest last, and its slots in use."""

    __slots__ = ("active", "idle", "loop", "waiters")

    def __init__(self, loop: LoopConnections) -> None:
        self.loop = loop
        self.active = 0
        self.idle: deque[Connection] = deque()
        self.waiters: OrderedDict[Event, None] = OrderedDict()

    def enter(self) -> bool:
        """Take a slot if one is free."""
        # While somebody waits, every slot is taken: `_pass_on` hands slots over without freeing them.
        if self.active >= self.loop.limits.max_connections:
            return False
        self.active += 1
        return True

    async def wait(self) -> None:
        """Take a slot when one is handed over."""
        turn = Event()
        self.waiters[turn] = None
        try:
            await turn.wait()
        except BaseException:
            if turn.is_set():
                self._pass_on()
            else:
                del self.waiters[turn]
            raise

    def take(self) -> Connection | None:
        """The connection that became idle last, if it is still good."""
        oldest = self._oldest()
        while self.idle:
            connection = self.idle.pop()
            if connection.idle_since >= oldest and not connection.stream.stale():
                return connection
            self.loop.close(connection)
        return None

    def on_reusable(self, connection: Connection) -> None:
        """Take the slot and the connection back: an answer was read whole, and another request may follow."""
        if self.loop.retired:
            self.loop.close(connection)
        else:
            connection.idle_since = time.monotonic()
            self.idle.append(connection)
            if len(self.idle) > 1 or self.loop.limits.max_idle < 1:
                self.trim()
        if self.waiters:
            self._pass_on()
        else:
            self.active -= 1

    def on_lost(self, connection: Connection | None) -> None:
        """Take the slot back, and close the connection, where there is one."""
        if connection is not None:
            self.loop.close(connection)
        self._pass_on()

    def call_threadsafe(self, call: Callable[[], object]) -> None:
        """Have the event loop make this call soon; from any thread, and from finalizers."""
        self.loop.call_threadsafe(call)

    def trim(self) -> None:
        """Close what has been idle for too long, or is too much."""
        idle, oldest = self.idle, self._oldest()
        while idle and (idle[0].idle_since < oldest or len(idle) > self.loop.limits.max_idle):
            self.loop.close(idle.popleft())

    def close_idle(self) -> None:
        """Close every idle connection."""
        while self.idle:
            self.loop.close(self.idle.pop())

    def _oldest(self) -> float:
        return time.monotonic() - self.loop.limits.idle_seconds

    def _pass_on(self) -> None:
        if self.waiters:
            turn, _ = self.waiters.popitem(last=False)
            turn.set()
        else:
            self.active -= 1


class LoopConnections:
    """A pool's part in one event loop. When the loop ends, so does every connection made in it.

    Nobody tells a library that an event loop ends, but asyncio.run, trio.run and anyio.run close, as their last act,
    the asynchronous generators that were begun in them and have not ended. So this object begins one and leaves it
    waiting at its `yield`: the loop closes it, and its `finally` calls `end`. It needs no task, no signal and nothing
    of the caller. Two things follow. The generator must not be collected unfinished, or the loop would be asked to
    close it in the middle of anything: `_live_loops` holds this object until its generator has ended. And a pool that
    is lost before its loop closes the generator itself, once its last connection is closed (`_end_if_done`). A loop
    that ends in another way (`loop.close()` alone) leaves its connections to the collector (`discard`).

    `token`: the event loop's own; `sockets`: what waits for sockets in it; `others`: the origins whose connections are
    of another kind than HTTP/1.1's. `registry`: where the pool finds this
    object, until the loop has ended.
    """

    __slots__ = (
        "_end_of_loop",
        "_ended",
        "_registry",
        "limits",
        "open",
        "origins",
        "others",
        "pid",
        "retired",
        "sockets",
        "token",
    )

    def __init__(
        self,
        token: Any,
        sockets: AsyncioSockets | TrioSockets | None,
        limits: PoolLimits,
        registry: dict[object, LoopConnections],
    ) -> None:
        self.token = token
        self.sockets = sockets
        self.limits = limits
        self.pid = os.getpid()
        self.origins: dict[Hashable, Origin] = {}
        self.others: dict[Hashable, OriginConnections] = {}
        self.open: set[OpenConnection] = set()
        self.retired = False
        self._ended = False
        self._registry = registry
        self._end_of_loop = _end_with_loop(self)
        with suppress(StopIteration):
            self._end_of_loop.__anext__().send(None)
        _live_loops.add(self)

    def origin(self, key: Hashable) -> Origin:
        """This origin's connections."""
        origin = self.origins.get(key)
        if origin is None:
            self.sweep()
            origin = self.origins[key] = Origin(self)
        return origin

    def sweep(self) -> None:
        """Let go of what is too old, at every origin; called when something new is made."""
        for origins in (self.origins, self.others):
            for key, origin in list(origins.items()):
                origin.trim()
                if not (origin.active or origin.idle):
                    del origins[key]

    def close(self, connection: OpenConnection) -> None:
        """Close a connection at once."""
        self.open.discard(connection)
        connection.close()
        self._end_if_done()

    def close_idle(self) -> None:
        """Close every idle connection."""
        for origin in [*self.origins.values(), *self.others.values()]:
            origin.close_idle()

    def retire(self) -> None:
        """The pool is gone: nothing is kept any more, and the last answer's end is this object's."""
        self.retired = True
        self.close_idle()
        self._end_if_done()

    def call_threadsafe(self, call: Callable[[], object]) -> None:
        """Have the event loop make this call soon; from any thread, and from finalizers."""
        schedule = getattr(self.token, "call_soon_threadsafe", None) or self.token.run_sync_soon
        try:
            schedule(call)
        except RuntimeError:  # it has ended
            self.discard()

    def end(self) -> None:
        """The event loop ends: close everything."""
        self._ended = self.retired = True
        self._registry.pop(self.token, None)
        while self.open:
            self.close(next(iter(self.open)))
        if self.sockets is not None:
            self.sockets.end()
        self.discard()

    def disown(self) -> None:
        """In a forked child: let go of what is the parent's, whose sockets and epoll go on."""
        self._ended = self.retired = True
        self._registry.pop(self.token, None)
        for connection in self.open:
            connection.disown()
        self.open.clear()
        if self.sockets is not None:
            self.sockets.disown()

    def discard(self) -> None:
        """Leave the rest to the collector."""
        _live_loops.discard(self)

    def _end_if_done(self) -> None:
        if self.retired and not self._ended and not self.open:
            self._ended = True
            with suppress(StopIteration):
                self._end_of_loop.aclose().send(None)


class PendingAnswer:
    """A request that was sent over this connection, and whose answer nobody waits for at the moment."""

    __slots__ = ("_left", "connection", "origin")

    def __init__(self, origin: Origin, connection: Connection) -> None:
        self.origin = origin
        self.connection = connection
        self._left = False

    def close(self) -> None:
        """Give it up. Idempotent."""
        if not self._left:
            self._left = True
            self.origin.on_lost(self.connection)

    def drop(self) -> None:
        """Give it up from any thread or finalizer: the socket is shut now, and closed by its event loop."""
        if not self._left and self.connection.is_ours():
            self.connection.stream.shut()
            self.origin.call_threadsafe(self.close)


def _leave(request: TransportRequest, origin: Origin, connection: Connection | None, error: BaseException) -> None:
    """Take the slot back, unless the answer may still be waited for."""
    if connection is not None and connection.pending and not isinstance(error, Exception):
        request.pending = PendingAnswer(origin, connection)
    else:
        origin.on_lost(connection)


def _disown_all() -> None:
    for loop in list(_live_loops):
        loop.disown()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown_all)


async def _end_with_loop(loop: LoopConnections) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        loop.end()


class Pool:
    """A `Transport` that keeps connections for later requests.

    `max_connections`: per origin, None for no limit; who finds none free waits for its turn. `max_idle`: how
    many unused ones an origin keeps, for `idle_timeout` seconds. `ssl_context`: in place of the shared one,
    which verifies against the system's certificates; or a `Trust`. `proxy`: what its connections go through; requests
    that the proxy is to read are given to `ProxiedPool`. Making a pool does nothing yet.
    """

    def __init__(
        self,
        *,
        max_connections: int | None = None,
        max_idle: int = 1000,
        idle_timeout: float = 60.0,
        ssl_context: ssl.SSLContext | Trust | None = None,
        proxy: Proxy | None = None,
    ) -> None:
        self._loops: dict[object, LoopConnections] = {}
        self._limits = PoolLimits(max_connections or math.inf, max_idle, idle_timeout)
        self.trust = ssl_context if isinstance(ssl_context, Trust) else Trust(None, ssl_context)
        self.proxy = proxy
        self.dials = proxy is None or proxy.wants_address
        """Whether it connects to `TransportRequest.address` where there is one: not where a proxy looks hosts up."""

    async def send(self, request: TransportRequest) -> Answer:
        """Send a request; the answer once its head is there (see `Transport.send`)."""
        if request.pending is not None:
            return await self._go_on(request)
        loop = self._loops.get(request.loop or current_token().native_token) or self._begin()
        address = request.address
        origin = loop.origin(request.url.origin if address is None else (request.url.origin, address))
        if not origin.enter():
            await origin.wait()
        connection = None
        try:
            connection = origin.take()
            if connection is not None:
                try:
                    return await connection.ask(request)
                except ConnectionLostError:
                    if connection.parser.heard or not request.resend or not isinstance(request.body, bytes):
                        raise
                    loop.close(connection)
            connection = None
            connection = await self._connect(origin, request)
            return await connection.ask(request)
        except BaseException as error:
            _leave(request, origin, connection, error)
            raise

    def connections(self, request: TransportRequest) -> LoopConnections:
        """Its part in the running event loop."""
        return self._loops.get(request.loop or current_token().native_token) or self._begin()

    def keep(self, stream: ByteStream, loop: LoopConnections, request: TransportRequest) -> None:
        """Take an idle connection to this request's origin that somebody else has made."""
        address = request.address
        origin = loop.origin(request.url.origin if address is None else (request.url.origin, address))
        connection = Connection(stream, origin)
        connection.idle_since = time.monotonic()
        loop.open.add(connection)
        origin.idle.append(connection)

    async def _go_on(self, request: TransportRequest) -> Answer:
        """Wait again for an answer; by its connection, whichever pool that is of."""
        pending, request.pending = request.pending, None
        assert isinstance(pending, PendingAnswer)
        try:
            return await pending.connection.go_on()
        except BaseException as error:
            _leave(request, pending.origin, pending.connection, error)
            raise

    def counts(self) -> PoolCounts:
        """How much it has to do, and how many connections for that; event loops that have ended do not count."""
        loops = list(self._loops.values())
        origins = [origin for loop in loops for origin in [*list(loop.origins.values()), *list(loop.others.values())]]
        return PoolCounts(
            loops=len(loops),
            active=sum(origin.active for origin in origins),
            waiting=sum(len(origin.waiters) for origin in origins),
            open=sum(len(loop.open) for loop in loops),
            idle=sum(len(origin.idle) for origin in origins),
        )

    async def aclose(self) -> None:
        """Close every idle connection: this event loop's now, others' in their own time."""
        token = current_token().native_token
        for loop in list(self._loops.values()):
            if loop.token is token:
                loop.close_idle()
            elif loop.pid == os.getpid():
                loop.call_threadsafe(loop.close_idle)

    async def _connect(self, origin: Origin, request: TransportRequest) -> Connection:
        loop = origin.loop
        loop.sweep()
        target = ConnectTarget(
            request.url, self.trust, proxy_trust=self.trust, address=request.address, proxy=self.proxy
        )
        stream = await dial(loop.sockets, target, request.connect_timeout)
        connection = Connection(stream, origin, target.peer)
        loop.open.add(connection)
        return connection

    def _begin(self) -> LoopConnections:
        for loop in list(self._loops.values()):
            self._forget_if_dead(loop)
        token = current_token().native_token
        loop = self._loops[token] = LoopConnections(token, sockets_of(token), self._limits, self._loops)
        return loop

    def _forget_if_dead(self, loop: LoopConnections) -> None:
        if loop.pid != os.getpid():  # the parent's: never to be touched here
            self._loops.pop(loop.token, None)
        elif getattr(loop.token, "is_closed", bool)():  # ended without closing its asynchronous generators
            self._loops.pop(loop.token, None)
            loop.discard()

    def __del__(self) -> None:
        for loop in list(self._loops.values()):
            if loop.pid == os.getpid():
                loop.call_threadsafe(loop.retire)
