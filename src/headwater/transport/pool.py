"""The default transport: an HTTP/1.1 connection pool.

One pool serves any number of event loops, one after another or in several threads; a connection never leaves
the loop that it was made in. Nothing needs closing: idle connections end with their loop, or with the pool.
No proxies, no HTTP/2, no redirects, and no retries but one: a request that met a kept connection just as the
server closed it.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from anyio.lowlevel import current_token

from ..errors import ConnectionLostError
from ..wire import Outgoing
from .connection import Answer, Connection
from .dialing import dial, sockets_of
from .origin import Limits, Loop, Origin

if TYPE_CHECKING:
    import ssl


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
