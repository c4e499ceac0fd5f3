"""The connections of one origin in one event loop, and those who wait for one.

Everything here takes constant time, happens in the event loop's own thread, and never waits but in `wait`.
Slots are handed on in the order in which they were asked for; who is cancelled while being handed one passes
it on.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from anyio import Event

from .connection import Connection

if TYPE_CHECKING:
    from .native import NativeSockets
    from .polling import PolledSockets

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
