"""Gives clients what was recorded: chunk by chunk, as it ended, and nothing else.

The n-th request of a form gets the n-th answer to it. An answer that its client left, or waited for in vain, has
nothing more to give: whoever reads on waits for as long as he likes. Where answers take no time, the seconds that they
took count against the call's deadlines all the same, so that one that was over then is over, and at once.

A call and its hedge are a race, in which time decides who wins. Where answers take no time, the winner of the recording
waits until the other one has begun: what comes of the race is what came of it then.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

import anyio
from anyio import current_time
from anyio.lowlevel import checkpoint

from .. import errors
from ..auth.secret import Secret
from ..engine.requester import ROUNDED_SECONDS
from ..errors import ConnectionLostError, HeadwaterError
from ..protocol.transport import FOREVER, RACE, Lapse, ReadDeadline, TransportRequest
from .cassette_format import CassetteError, RecordedExchange, ReplayMoment
from .request_form import RequestForm, difference, form_of, whole_body
from .scrubber import Scrubber, secrets_now

RACE_SECONDS: Final = 1.0
"""How much longer than in the recording the other one of a race is waited for."""
_LOOK_SECONDS: Final = 0.002


class Player:
    """A transport that answers from these exchanges. `times`: by how much the recorded times are multiplied; 0 for no
    time at all. `ignore`: members of JSON that do not count."""

    def __init__(self, exchanges: Sequence[RecordedExchange], times: float, ignore: Iterable[str], name: str) -> None:
        self.is_open = True
        self.times = times
        self._name = name
        self._ignore = tuple(ignore)
        self._lock = threading.Lock()
        self._scrubber: tuple[frozenset[Secret], Scrubber] = frozenset(), Scrubber(())
        self._exchanges = exchanges
        self._begun: set[int] = set()
        self._left: dict[str, list[RecordedExchange]] = defaultdict(list)
        for exchange in exchanges:
            self._left[exchange.form.key(self._ignore)].append(exchange)

    @property
    def unplayed(self) -> list[RequestForm]:
        """The requests that nobody has made."""
        with self._lock:
            return [exchange.form for exchange in self._exchanges if id(exchange) not in self._begun]

    def has_begun(self, exchange: RecordedExchange) -> bool:
        """Whether its request was made."""
        return id(exchange) in self._begun

    async def send(self, request: TransportRequest) -> ReplayedAnswer:
        """The recorded answer. Raises what was raised then, and `CassetteError` for a request that was not recorded."""
        if isinstance(request.pending, _PendingReplay):
            pending, request.pending = request.pending, None
            return await self._head(request, pending.exchange, pending.clock)
        return await self.play(request, self.pick(request, await whole_body(request)))

    def pick(self, request: TransportRequest, body: bytes) -> RecordedExchange:
        """The exchange that this request is answered from."""
        if not self.is_open:
            raise CassetteError(f"{self._name} is closed: a client that was made inside its block replays nothing more")
        form = form_of(request, body, self._scrubber_of(request, body))
        key = form.key(self._ignore)
        with self._lock:
            left = self._left.get(key)
            if left:
                exchange = left.pop(0)
                self._begun.add(id(exchange))
                return exchange
        raise CassetteError(self._mismatch(form, key))

    def _scrubber_of(self, request: TransportRequest, body: bytes) -> Scrubber:
        """The one of the request before, where no secret has come or gone since: to make one takes a while."""
        secrets = frozenset(secrets_now(request, body))
        known, scrubber = self._scrubber
        if known != secrets:
            scrubber = Scrubber(secrets)
            self._scrubber = secrets, scrubber
        return scrubber

    def _mismatch(self, form: RequestForm, key: str) -> str:
        asked = f"{form.method} {form.url}"
        if key in self._left:
            count = sum(exchange.form.key(self._ignore) == key for exchange in self._exchanges)
            return f"{self._name}: {asked} was recorded {count} times, and is asked once more"
        forms = [exchange.form for exchange in self._exchanges]
        shown = difference(form, self.unplayed or forms) or "it has no requests at all"
        return f"{self._name} has no such request: {asked}\n{shown}"

    async def play(self, request: TransportRequest, exchange: RecordedExchange) -> ReplayedAnswer:
        """The answer of this exchange."""
        return await self._head(request, exchange, ReplayClock(self, current_time(), request.lapse))

    async def _head(self, request: TransportRequest, exchange: RecordedExchange, clock: ReplayClock) -> ReplayedAnswer:
        try:
            if exchange.head is not None:
                await clock.wait(exchange.head)
            elif exchange.error is not None:
                await clock.wait(exchange.ended)
                raise error_of(exchange.error)
            else:
                await checkpoint()
                if clock.lapse_to(exchange.ended, silent=0.0):
                    raise ReadDeadline
                await anyio.sleep_forever()
        except BaseException as error:
            if request.kept and not isinstance(error, Exception):
                request.pending = _PendingReplay(exchange, clock)
            raise
        return ReplayedAnswer(exchange, clock)

    async def aclose(self) -> None:
        """There is nothing to close."""


class _PendingReplay:
    """A request that was made, and whose answer nobody waits for at the moment."""

    def __init__(self, exchange: RecordedExchange, clock: ReplayClock) -> None:
        self.exchange = exchange
        self.clock = clock

    def close(self) -> None:
        """There is nothing to give up."""

    def drop(self) -> None:
        """There is nothing to give up."""


class ReplayClock:
    """When the moments of one exchange come. `lapse`: who is told of seconds that are not waited for."""

    def __init__(self, player: Player, began: float, lapse: Lapse | None) -> None:
        self._player = player
        self._began = began
        self.takes_time = player.times > 0
        self._lapse = None if self.takes_time else lapse
        self._reached = 0.0

    def lapse_to(self, moment: ReplayMoment, *, silent: float | None = None) -> bool:
        """Have the recording's seconds passed until a moment; whether a deadline of the call's is over then."""
        seconds, self._reached = moment.at - self._reached, moment.at
        return self._lapse is not None and self._lapse(seconds, silent=silent)

    async def wait(self, moment: ReplayMoment, until: float = FOREVER) -> None:
        """Wait for a moment of the recording. Raises `ReadDeadline` where `until` comes first."""
        await checkpoint()
        due = self._began + moment.at * self._player.times
        if self.takes_time and due > current_time():
            await anyio.sleep_until(min(due, until))
            if due > until:
                raise ReadDeadline
        self.lapse_to(moment)
        if moment.after and RACE.get() is not None:
            limit = self._began + moment.at + RACE_SECONDS
            while current_time() < limit and not all(map(self._player.has_begun, moment.after)):  # noqa: ASYNC110
                await anyio.sleep(_LOOK_SECONDS)


class ReplayedAnswer:
    """A recorded answer; it is read like one of the pool's."""

    def __init__(self, exchange: RecordedExchange, clock: ReplayClock) -> None:
        self.status = exchange.status
        self.headers = dict(exchange.headers)
        self.surplus = False
        self.kept = False
        self._exchange = exchange
        self._clock = clock
        self._next = 0
        self._is_closed = self._is_over = False
        self._until = FOREVER

    async def receive(self) -> bytes:
        """The next piece, b"" at the end; raises what was raised there."""
        try:
            return await self._receive()
        except BaseException as error:
            if not isinstance(error, Exception) and not self.kept:
                self._is_closed = True
            raise

    async def _receive(self) -> bytes:
        exchange = self._exchange
        if self._is_closed:
            raise ConnectionLostError("the answer was closed before its end")
        if self._next < len(exchange.pieces):
            piece = exchange.pieces[self._next]
            await self._clock.wait(piece.moment, self._until)
            self._next += 1
            return piece.data
        if exchange.end not in {"left", "stall"}:
            await self._clock.wait(exchange.ended, self._until)
            self._is_over = True
            if exchange.error is not None:
                raise error_of(exchange.error)
            self.surplus = exchange.surplus
            return b""
        await self._silence()
        raise ReadDeadline

    async def _silence(self) -> None:
        """Wait until the caller's patience is over; at once where the recording's was no longer."""
        await checkpoint()
        exchange, left = self._exchange, self._until - current_time()
        is_late = exchange.end == "stall" and self._clock.lapse_to(exchange.ended, silent=exchange.silence)
        if self._clock.takes_time or (not is_late and exchange.silence + ROUNDED_SECONDS < left):
            await anyio.sleep(max(0.0, left))

    def ready(self) -> bool:
        """Whether it has ended."""
        return self._is_over

    def wait_until(self, moment: float) -> bool:
        """Let no `receive` wait past this moment."""
        self._until = moment
        return True

    async def aclose(self) -> None:
        """Give up."""
        self._is_closed = True
        await checkpoint()

    def drop(self) -> None:
        """Give up, from any thread."""
        self._is_closed = True


def error_of(recorded: dict[str, Any]) -> HeadwaterError:
    """The error that was recorded."""
    kind = getattr(errors, recorded["error"], None)
    if not (isinstance(kind, type) and issubclass(kind, HeadwaterError)):
        kind = HeadwaterError
    error = kind(recorded["message"])
    vars(error).update({name: value for name, value in recorded.items() if name not in {"error", "message"}})
    return error
