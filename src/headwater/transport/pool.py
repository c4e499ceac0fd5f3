"""The default transport: an HTTP/1.1 connection pool.

One pool serves any number of event loops, one after another or in several threads; a connection never leaves
the loop that it was made in. Nothing needs closing: idle connections end with their loop, or with the pool.
No proxies, no HTTP/2, no redirects, and no retries but one: a request that met a kept connection just as the
server closed it.
"""

from __future__ import annotations

import math
import os
import time
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from anyio import Event
from anyio.lowlevel import current_token

from ..errors import ConnectionLostError
from ..protocol.transport import Outgoing
from .connect import dial, sockets_of
from .http11 import Answer, Connection

if TYPE_CHECKING:
    from .asyncio_streams import NativeSockets
    from .trio_streams import PolledSockets

if TYPE_CHECKING:
    import ssl


_alive: set[Loop] = set()
"""Every event loop's part of every pool, until that loop has ended: none may be left to the collector, which would
find its generator unfinished; nor, in a forked child, what the parent has open."""


class Limits(NamedTuple):
    """`connections` and `idle`: per origin; `seconds`: how long an idle connection is kept."""

    connections: float
    idle: int
    seconds: float


class Origin:
    """One scheme, host and port: its idle connections, newest last, and its slots in use."""

    __slots__ = ("active", "idle", "loop", "waiters")

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.active = 0
        self.idle: deque[Connection] = deque()
        self.waiters: OrderedDict[Event, None] = OrderedDict()

    def enter(self) -> bool:
        """Take a slot if one is free."""
        # While somebody waits, every slot is taken: `_pass_on` hands slots over without freeing them.
        if self.active >= self.loop.limits.connections:
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
        while self.idle:
            connection = self.idle.pop()
            if connection.since >= self._oldest() and not connection.stream.stale():
                connection.served = True
                return connection
            self.loop.close(connection)
        return None

    def release(self, connection: Connection, spent: bool) -> None:
        """An answer was read whole: give its slot and its connection back."""
        if spent or self.loop.retired:
            self.loop.close(connection)
        else:
            connection.since = time.monotonic()
            self.idle.append(connection)
            self.trim()
        self._pass_on()

    def leave(self, connection: Connection | None) -> None:
        """Give a slot back; the connection is of no more use."""
        if connection is not None:
            self.loop.close(connection)
        self._pass_on()

    def trim(self) -> None:
        """Close what has been idle for too long, or is too much."""
        idle, oldest = self.idle, self._oldest()
        while idle and (idle[0].since < oldest or len(idle) > self.loop.limits.idle):
            self.loop.close(idle.popleft())

    def close_idle(self) -> None:
        """Close every idle connection."""
        while self.idle:
            self.loop.close(self.idle.pop())

    def _oldest(self) -> float:
        return time.monotonic() - self.loop.limits.seconds

    def _pass_on(self) -> None:
        if self.waiters:
            turn, _ = self.waiters.popitem(last=False)
            turn.set()
        else:
            self.active -= 1


class Loop:
    """A pool's part in one event loop. When the loop ends, so does every connection made in it.

    `native`: the event loop's own token, and `sockets` what waits for sockets in it. `registry`: where the pool finds
    this object, until the loop has ended.
    """

    __slots__ = ("_ended", "_registry", "_watch", "limits", "native", "open", "origins", "pid", "retired", "sockets")

    def __init__(
        self, native: Any, sockets: NativeSockets | PolledSockets | None, limits: Limits, registry: dict[object, Loop]
    ) -> None:
        self.native = native
        self.sockets = sockets
        self.limits = limits
        self.pid = os.getpid()
        self.origins: dict[tuple[object, ...], Origin] = {}
        self.open: set[Connection] = set()
        self.retired = False
        self._ended = False
        self._registry = registry
        # asyncio.run, trio.run and anyio.run close the asynchronous generators that were begun and not ended.
        self._watch = _until_the_loop_ends(self)
        with suppress(StopIteration):
            self._watch.__anext__().send(None)
        _alive.add(self)

    def origin(self, key: tuple[object, ...]) -> Origin:
        """This origin's connections."""
        origin = self.origins.get(key)
        if origin is None:
            self.sweep()
            origin = self.origins[key] = Origin(self)
        return origin

    def sweep(self) -> None:
        """Let go of what is too old, at every origin; called when something new is made."""
        for key, origin in list(self.origins.items()):
            origin.trim()
            if not (origin.active or origin.idle):
                del self.origins[key]

    def close(self, connection: Connection) -> None:
        """Close a connection at once."""
        self.open.discard(connection)
        connection.close()
        self._end_if_done()

    def close_idle(self) -> None:
        """Close every idle connection."""
        for origin in list(self.origins.values()):
            origin.close_idle()

    def retire(self) -> None:
        """The pool is gone: nothing is kept any more, and the last answer's end is this object's."""
        self.retired = True
        self.close_idle()
        self._end_if_done()

    def bury(self, call: Callable[[], object]) -> None:
        """Have this done by the event loop soon; from any thread, and from finalizers."""
        schedule = getattr(self.native, "call_soon_threadsafe", None) or self.native.run_sync_soon
        try:
            schedule(call)
        except RuntimeError:  # it has ended
            self.forget()

    def end(self) -> None:
        """The event loop ends: close everything."""
        self._ended = self.retired = True
        self._registry.pop(self.native, None)
        while self.open:
            self.close(next(iter(self.open)))
        if self.sockets is not None:
            self.sockets.end()
        self.forget()

    def disown(self) -> None:
        """In a forked child: let go of what is the parent's, whose sockets and epoll go on."""
        self._ended = self.retired = True
        self._registry.pop(self.native, None)
        for connection in self.open:
            connection.disown()
        self.open.clear()
        if self.sockets is not None:
            self.sockets.disown()

    def forget(self) -> None:
        """Leave the rest to the collector."""
        _alive.discard(self)

    def _end_if_done(self) -> None:
        if self.retired and not self._ended and not self.open:
            self._ended = True
            with suppress(StopIteration):
                self._watch.aclose().send(None)


def _disown_all() -> None:
    for loop in list(_alive):
        loop.disown()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown_all)


async def _until_the_loop_ends(loop: Loop) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        loop.end()


class Pool:
    """Keeps connections for later requests (`wire.Transport`).

    `max_connections`: per origin, None for no limit; who finds none free waits for its turn. `max_idle`: how
    many unused ones an origin keeps, for `idle_timeout` seconds. `ssl_context`: in place of the shared one,
    which verifies against the system's certificates. Making a pool does nothing yet.
    """

    dials = True
    """It connects by itself, to `Outgoing.address` where there is one."""

    def __init__(
        self,
        *,
        max_connections: int | None = None,
        max_idle: int = 1000,
        idle_timeout: float = 60.0,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._loops: dict[object, Loop] = {}
        self._limits = Limits(max_connections or math.inf, max_idle, idle_timeout)
        self._ssl_context = ssl_context

    async def send(self, outgoing: Outgoing) -> Answer:
        """Send a request; the answer once its head is there (see `wire.Transport.send`)."""
        loop = self._loops.get(outgoing.loop or current_token().native_token) or self._begin()
        address = outgoing.address
        origin = loop.origin(outgoing.url[:3] if address is None else (*outgoing.url[:3], address))
        if not origin.enter():
            await origin.wait()
        connection = None
        try:
            connection = origin.take()
            if connection is not None:
                try:
                    return await connection.ask(outgoing)
                except ConnectionLostError:
                    if connection.parser.heard or not outgoing.resend or not isinstance(outgoing.body, bytes):
                        raise
                    loop.close(connection)
            connection = None
            connection = await self._connect(origin, outgoing)
            return await connection.ask(outgoing)
        except BaseException:
            origin.leave(connection)
            raise

    async def aclose(self) -> None:
        """Close every idle connection: this event loop's now, others' in their own time."""
        native = current_token().native_token
        for loop in list(self._loops.values()):
            if loop.native is native:
                loop.close_idle()
            elif loop.pid == os.getpid():
                loop.bury(loop.close_idle)

    async def _connect(self, origin: Origin, outgoing: Outgoing) -> Connection:
        loop = origin.loop
        loop.sweep()
        stream = await dial(loop.sockets, outgoing.url, outgoing.connect_timeout, self._ssl_context, outgoing.address)
        connection = Connection(stream, origin)
        loop.open.add(connection)
        return connection

    def _begin(self) -> Loop:
        for loop in list(self._loops.values()):
            self._forget_if_dead(loop)
        native = current_token().native_token
        loop = self._loops[native] = Loop(native, sockets_of(native), self._limits, self._loops)
        return loop

    def _forget_if_dead(self, loop: Loop) -> None:
        if loop.pid != os.getpid():  # the parent's: never to be touched here
            self._loops.pop(loop.native, None)
        elif getattr(loop.native, "is_closed", bool)():  # ended without closing its asynchronous generators
            self._loops.pop(loop.native, None)
            loop.forget()

    def __del__(self) -> None:
        for loop in list(self._loops.values()):
            if loop.pid == os.getpid():
                loop.bury(loop.retire)
