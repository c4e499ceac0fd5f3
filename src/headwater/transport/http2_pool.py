"""A pool whose servers may choose HTTP/2: the same rules, with many requests on each connection.

    Http2Pool ──▶ Http2Origin (one a scheme, host and port) ──▶ Http2Connection, with the streams that the server takes
              └─▶ Pool, for what is spoken in HTTP/1.1

The server chooses as TLS begins (ALPN). The first request to an origin connects, and those that come meanwhile wait for
what the server says: either they share that connection, or each has one of its own, from the `Pool`. Over plain http
nobody can be asked: HTTP/1.1 is spoken, but where the caller knows that the server takes HTTP/2 (`prior_knowledge`).

Where all streams that a server takes are in use, a further connection is made for those who wait, as long as the
limits let it: `max_connections` counts connections here. Who finds neither waits for its turn, first come first served;
a place that comes free is handed over, and who is cancelled with it in the hand hands it on.

A request goes out a second time where the server has said that it did not look at it (a stream that it refused, or one
after the last that its GOAWAY names), and where a kept connection was closed before anything came, as in HTTP/1.1.
"""

from __future__ import annotations

import copy
import math
import ssl
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Final

from anyio import CancelScope, current_time

from ..errors import ConnectionLostError, HeadwaterError, InferenceTimeoutError
from ..protocol.transport import TransportRequest, TransportResponse
from .connect import ConnectTarget, connect_timed_out, dial
from .http2 import Http2Connection, Http2Pending, NotProcessedError
from .pool import LoopConnections, Pool
from .tunnelled_tls import TunnelledTls

if TYPE_CHECKING:
    from .epoll import EpollSocket, Wakeup

MOST_SENDS: Final = 4
"""How often one request is sent by the pool itself, to servers that do not look at it."""


class Turn:
    """Somebody who waits. `connection`: with a place for a stream on it, handed over; `dials`: leave to connect;
    `failure`: of the connection that was waited for; `over_http11`: the server has chosen HTTP/1.1."""

    __slots__ = ("connection", "dials", "failure", "news", "over_http11")

    def __init__(self, news: Wakeup) -> None:
        self.news = news
        self.connection: Http2Connection | None = None
        self.failure: HeadwaterError | None = None
        self.dials = self.over_http11 = False

    def given(self) -> bool:
        """Whether the wait is over."""
        return self.dials or self.over_http11 or self.connection is not None or self.failure is not None


class Http2Origin:
    """One scheme, host and port: its connections, and who waits for a place on one.

    `dials`: how many connections are being made. `most_streams`: what the server has said that it takes on one, None
    until it has.
    """

    __slots__ = ("_newest", "connections", "dials", "loop", "most_streams", "waiters")

    def __init__(self, loop: LoopConnections) -> None:
        self.loop = loop
        self.connections: list[Http2Connection] = []
        self.waiters: OrderedDict[Turn, None] = OrderedDict()
        self.dials = 0
        self.most_streams: int | None = None
        self._newest: Http2Connection | None = None

    @property
    def active(self) -> int:
        """The requests that have a place, or are about to."""
        return self.dials + sum(len(each.streams) + each.reserved for each in self.connections)

    @property
    def idle(self) -> list[Http2Connection]:
        """The connections that nobody uses."""
        return [each for each in self.connections if each.is_idle()]

    # -- who comes

    def enter(self) -> Http2Connection | None:
        """Take a place for a stream, if one is free."""
        connection = None if self.waiters else self._with_room()
        if connection is not None:
            connection.reserved += 1
        return connection

    def is_open(self) -> bool:
        """Whether there is a connection on which streams may begin, now or later."""
        return any(not each.closing for each in self.connections)

    def awaits_server(self) -> bool:
        """Whether who waits does so for the server: for a connection that is being made, or where it takes no streams
        at all for now. Where those that are ending are as many as there may be, it is for one's turn."""
        if self.is_open():
            return not self.active
        return bool(self.dials or not self.connections)

    async def wait(self, seconds: float | None, *, first: bool) -> Turn:
        """Wait for one's turn, before the others if `first`; no longer than so many seconds for a connection to be
        made, or for a server that takes no streams: `TimeoutError`."""
        assert self.loop.sockets is not None
        turn = Turn(self.loop.sockets.wakeup())
        self.waiters[turn] = None
        if first:
            self.waiters.move_to_end(turn, last=False)
        deadline = math.inf
        try:
            while not turn.given():
                if not self.awaits_server():
                    deadline = math.inf
                elif seconds is not None:
                    deadline = min(deadline, current_time() + seconds)
                with CancelScope(deadline=deadline) as scope:
                    await turn.news.wait()
                if scope.cancelled_caught and not turn.given() and self.awaits_server():
                    raise TimeoutError
        except BaseException:
            self._give_back(turn)
            raise
        return turn

    def _give_back(self, turn: Turn) -> None:
        self.waiters.pop(turn, None)
        if turn.connection is not None:
            turn.connection.reserved -= 1
            self.on_room(turn.connection)
        elif turn.dials:
            self.on_dialed(None)

    def may_dial(self) -> bool:
        """Whether one more connection is wanted, and allowed."""
        if self.dials + len(self.connections) >= self.loop.limits.max_connections:
            return False
        if self.most_streams is None and (self.dials or self.is_open()):
            return False  # what the first says decides how many are needed
        if any(not each.closing and each.is_idle() for each in self.connections):
            return False  # its server takes no streams at all for now: nor would it on another
        coming = self.dials + sum(not each.settled and not each.closing for each in self.connections)
        return len(self.waiters) >= coming * (self.most_streams or 1)

    def _with_room(self) -> Http2Connection | None:
        if self._newest is not None and self._newest.has_room() and not self._newest.is_idle():
            return self._newest
        oldest = time.monotonic() - self.loop.limits.idle_seconds
        for connection in list(self.connections):
            if connection.is_idle():
                if connection.idle_since < oldest:
                    self.loop.close(connection)
                else:
                    connection.refresh()
            if connection.has_room():
                self._newest = connection
                return connection
        self._forget_closed()
        return None

    # -- what becomes of connections

    def on_dialed(self, connection: Http2Connection | None, failure: HeadwaterError | None = None) -> None:
        """A connection was made, or was not: those who wait hear of it. A failure is everybody's where no other
        connection is open, but for one that came of a limit of whoever dialed."""
        self.dials -= 1
        if connection is not None:
            self.connections.append(connection)
        elif failure is not None:
            if not self.is_open() and not self.dials:
                for turn in list(self.waiters):
                    self._hand(turn, failure=copy.copy(failure))
            return  # where others are open, those who wait have them
        self._serve()

    def on_http11(self) -> None:
        """The server has chosen HTTP/1.1: nobody waits for a stream."""
        self.dials -= 1
        for turn in list(self.waiters):
            self._hand(turn, over_http11=True)

    def on_room(self, connection: Http2Connection) -> None:
        """A stream has ended, or the server takes more of them."""
        if connection.settled and not connection.closing:
            self.most_streams = max(1, connection.most)
        if connection.is_idle():
            connection.idle_since = time.monotonic()
        if self.waiters:
            self._serve()
        if connection.is_idle() and not connection.closed:
            if connection.closing or self.loop.retired:
                self.loop.close(connection)
            self.trim()

    def on_closed(self, connection: Http2Connection) -> None:
        """A connection is over."""
        self.loop.close(connection)
        self._let_go()

    def call_threadsafe(self, call: Callable[[], object]) -> None:
        """Have the event loop make this call soon; from any thread, and from finalizers."""
        self.loop.call_threadsafe(call)

    def _forget_closed(self) -> None:
        self.connections[:] = [each for each in self.connections if not each.closed]
        if self._newest is not None and self._newest.closed:
            self._newest = None

    def _serve(self) -> None:
        """Hand over what is free, in the order in which they came."""
        while self.waiters and (connection := self._with_room()) is not None:
            if not self.waiters:  # what came in as it was looked at has served them
                return
            connection.reserved += 1
            self._hand(next(iter(self.waiters)), connection=connection)
        while self.waiters and self.may_dial():
            self.dials += 1
            self._hand(next(iter(self.waiters)), dials=True)
        if self.awaits_server():
            for turn in self.waiters:
                turn.news.wake()  # from now on they wait no longer than for a connection

    def _hand(
        self,
        turn: Turn,
        *,
        connection: Http2Connection | None = None,
        dials: bool = False,
        over_http11: bool = False,
        failure: HeadwaterError | None = None,
    ) -> None:
        del self.waiters[turn]
        turn.connection, turn.dials, turn.over_http11, turn.failure = connection, dials, over_http11, failure
        turn.news.wake()

    def trim(self) -> None:
        """Close what has been idle for too long, or is too much."""
        idle = self.idle
        oldest = time.monotonic() - self.loop.limits.idle_seconds
        for number, connection in enumerate(idle):
            if connection.idle_since < oldest or len(idle) - number > self.loop.limits.max_idle:
                self.loop.close(connection)
        self._let_go()

    def close_idle(self) -> None:
        """Close every idle connection."""
        for connection in self.idle:
            self.loop.close(connection)
        self._let_go()

    def _let_go(self) -> None:
        """Forget what is closed: somebody may have waited for it, where its server took no streams."""
        self._forget_closed()
        if self.waiters:
            self._serve()


class Http2Pool:
    """A `Transport` over HTTP/2 where the server chooses it, and over its `Pool` where not.

    `prior_knowledge`: whether plain http is HTTP/2 as well, as the caller knows of the server. It needs a system with
    epoll.
    """

    def __init__(self, pool: Pool, *, prior_knowledge: bool = False) -> None:
        self._pool = pool
        self._trust = pool.trust.offering_http2()
        self._prior_knowledge = prior_knowledge
        self._speak_http11: set[Hashable] = set()
        self.proxy = pool.proxy
        self.dials = pool.dials

    async def send(self, request: TransportRequest) -> TransportResponse:
        """Send a request; the answer once its head is there (see `Transport.send`)."""
        if request.pending is not None:
            return await self._go_on(request)
        loop = self._pool.connections(request)
        if not self._may_choose(request):
            return await self._pool.send(request)
        for number in range(1, MOST_SENDS + 1):
            connection = await self._place(loop, request)
            if connection is None:
                break
            was_kept, reads = connection.asked > 0, connection.reads
            may_go_again = number < MOST_SENDS and isinstance(request.body, bytes)
            try:
                return await connection.ask(request)
            except NotProcessedError as error:
                if error.over_http11:
                    self._speak_http11.add(_key(request))
                if not (may_go_again and error.again):
                    raise
            except ConnectionLostError:
                unheard = was_kept and connection.closed and connection.reads == reads
                if not (may_go_again and unheard and request.resend):
                    raise
        return await self._pool.send(request)

    async def _go_on(self, request: TransportRequest) -> TransportResponse:
        pending = request.pending
        if not isinstance(pending, Http2Pending):
            return await self._pool.send(request)
        request.pending = None
        return await pending.go_on(request)

    async def aclose(self) -> None:
        """Close every idle connection: this event loop's now, others' in their own time."""
        await self._pool.aclose()

    def _may_choose(self, request: TransportRequest) -> bool:
        """Whether the server of this request may be spoken to in HTTP/2."""
        proxy = self.proxy
        if proxy is not None and proxy.forwards(request.url):
            return False
        return request.url.scheme == "https" or self._prior_knowledge

    def _origin(self, loop: LoopConnections, request: TransportRequest) -> Http2Origin:
        key = _key(request)
        origin = loop.others.get(key)
        if origin is None:
            loop.sweep()
            origin = loop.others[key] = Http2Origin(loop)
        assert isinstance(origin, Http2Origin)
        return origin

    async def _place(self, loop: LoopConnections, request: TransportRequest) -> Http2Connection | None:
        """A connection with a place for this request; None where HTTP/1.1 is spoken."""
        first = False
        while _key(request) not in self._speak_http11:
            connection = await self._turn(self._origin(loop, request), request, first=first)
            if connection is None or connection.has_place():
                return connection
            first = True
        return None

    async def _turn(self, origin: Http2Origin, request: TransportRequest, *, first: bool) -> Http2Connection | None:
        connection = origin.enter()
        if connection is not None:
            return connection
        if origin.may_dial():
            origin.dials += 1
            return await self._connect(origin, request)
        try:
            turn = await origin.wait(request.connect_timeout, first=first)
        except TimeoutError:
            assert request.connect_timeout is not None
            late = connect_timed_out(self._target(request), request.connect_timeout)
            if origin.is_open():
                late.args = (f"{late}: its server takes no requests on the HTTP/2 connection that is open",)
            raise late from None
        if turn.failure is not None:
            raise turn.failure
        if turn.dials:
            return await self._connect(origin, request)
        return turn.connection

    def _target(self, request: TransportRequest) -> ConnectTarget:
        return ConnectTarget(
            request.url,
            self._trust,
            proxy_trust=self._pool.trust,
            address=request.address,
            proxy=self.proxy,
            http2=True,
        )

    async def _connect(self, origin: Http2Origin, request: TransportRequest) -> Http2Connection | None:
        loop = origin.loop
        try:
            stream = await dial(loop.sockets, self._target(request), request.connect_timeout)
        except BaseException as error:
            theirs = isinstance(error, HeadwaterError) and not isinstance(error, InferenceTimeoutError)
            origin.on_dialed(None, error if isinstance(error, HeadwaterError) and theirs else None)
            raise
        assert loop.sockets is not None
        own: EpollSocket = stream.socket  # type: ignore[attr-defined]  # without epoll nobody comes here
        raw = own.raw
        if isinstance(raw, ssl.SSLSocket | TunnelledTls) and raw.selected_alpn_protocol() != "h2":
            self._speak_http11.add(_key(request))
            self._pool.keep(stream, loop, request)
            origin.on_http11()
            return None
        connection = Http2Connection(own, loop.sockets.wakeup, origin)
        connection.reserved += 1
        loop.open.add(connection)
        connection.refresh()  # what came with a handshake within another one, no epoll tells
        origin.on_dialed(connection)
        return connection


def _key(request: TransportRequest) -> Hashable:
    return request.url.origin, request.address
