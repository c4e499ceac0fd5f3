"""A second attempt beside a slow first one: whichever is first to deliver is the call, and the other is cancelled.

    first    ──▶ A ·····················································✗ cancelled: its socket is closed
                 │← hedge_after →│
    second                       └──▶ B ········ its first event ═══▶ the caller
             └──────────────────── one pull ──────────────────────────┘

Both attempts are runs of their own and begin and end inside the pull in which the caller waits for the first event:
no task outlives it. The caller's run then takes the winner's state over, as if it had made that attempt itself. The
clocks of both began with the first. The second asks the next provider of the list, and without one the same; what
either fails with lets it turn to the providers that are left, none of which is asked twice. If one fails the other is
waited for, and if both do, the first one's error is raised with the attempts of both.

What a hedge costs is bounded three times: by `Hedges` (one call in eleven), by the retry quota of the provider that
is asked, and by the deadline. A request that must not be sent twice, a queued job above all, is never hedged: where
the first comes to one the second is cancelled, and a second that comes to one withdraws. A result that is saved to a
file has one attempt as well.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Final

import anyio
from anyio import CancelScope, create_task_group, move_on_after
from msgspec.structs import replace

from ..errors import Attempt, ClosedError
from ..protocol.flow import END, Send, Stream
from .deadlines import Deadlines
from .driver import Pulled
from .engine import Engine

_KNOWN: Final = ("_ended_at", "_exchange", "_first_at", "_plan", "_turn", "job")
_HELD: Final = (
    *("_download", "_events", "_failure", "_on_cancel", "_released", "_result", "_state", "_step", "_waiting"),
    "outcome",
)
"""What a run has of its attempt; one that was left in the meantime takes over only what is known."""


class _WithdrawnError(Exception):
    """The second attempt has come to a request that must not be made twice."""


class Hedged(Pulled):
    """A run that may race two attempts for its first event."""

    _race: Race | None = None

    def _begin(self) -> Coroutine[Any, Any, None]:
        if self._hedge_after is None or self._file is not None:
            return self._begin_once()
        return self._begin_twice(self._hedge_after)

    async def _begin_twice(self, after: float) -> None:
        self._state = "open"
        self._race = race = Race(self)
        try:
            await race.run(after)
        finally:
            self._race = None
            self._take_over(race)
            event = race.chosen.event
            if event is not None and event is not END and not race.left:  # also where it is cancelled at that moment
                self._waiting.insert(0, event)
        if race.left:
            raise ClosedError("the run was left while its first event was waited for")
        if race.chosen.failure is not None:
            raise race.chosen.failure
        if race.chosen.event is END and self.outcome == "complete":
            self._hand_over()

    def _take_over(self, race: Race) -> None:
        """Be the attempt that was chosen, with what is known of both."""
        for name in _KNOWN if race.left else _KNOWN + _HELD:
            setattr(self, name, getattr(race.chosen, name))
        self._hedged = race.second is not None and race.second.sent
        self._exchange.attempts = race.attempts()
        if self._failure is not None:
            self._failure.attempts = tuple(self._exchange.attempts)
        self._attach()

    async def _let_go(self) -> None:
        if self._race is not None:
            self._race.leave()
        await super()._let_go()


class Racer(Pulled):
    """One of the attempts: `event` is what it delivered, `failure` why it did not; neither, where it was cancelled."""

    def __init__(self, run: Pulled, race: Race) -> None:
        engine = run._exchange.engine
        limits, turns, pace = run._timeout, run._turns, run._exchange.pace
        super().__init__(engine, run._task, run._prepare, timeout=limits, turns=turns, pace=pace)
        self._files = run._files
        self._among = race
        self._began = self._ended = 0.0
        self.scope = CancelScope()
        self.event: Any = None
        self.failure: Exception | None = None
        self.over = False
        self.sent = False

    async def go(self) -> None:
        """Deliver, fail, or be cancelled."""
        self._began = self._exchange.now()
        try:
            with self.scope:
                self.event = await self._pull()
        except _WithdrawnError:
            pass
        except Exception as error:  # noqa: BLE001 - the run raises it, and no task group
            self.failure = error
        finally:
            self.over, self._ended = True, self._exchange.now()
            self._among.ended(self)

    def _goes_on(self) -> bool:
        """Once it is cancelled the race is over."""
        return False

    async def _go_on(self) -> Any:
        step = self._step
        if isinstance(step, Send | Stream):
            if not step.request.resend:
                self._among.buys(self)
            self.sent = True
        return await super()._go_on()

    def tries(self) -> list[Attempt]:
        """What it tried, and what of that was given up because the other was first."""
        tries, exchange = self._exchange.attempts, self._exchange
        if self is self._among.chosen or self.failure is not None or not self.sent:
            return tries
        began = exchange.deadlines.began
        ended = self._ended - began
        if tries and tries[-1].error is None:  # it was answered, by the Hub or in the same moment
            last = tries[-1]
            return [*tries[:-1], replace(last, seconds=ended - last.started, cancelled=True)]
        started = max([self._began - began, *(attempt.started + attempt.seconds for attempt in tries)])
        name, status = self._plan.provider, exchange.status or None
        return [*tries, Attempt(name, len(tries) + 1, started, ended - started, status=status, cancelled=True)]


class Race:
    """Two attempts at one call. `chosen`: the one whose event, or failure, is the call's."""

    def __init__(self, run: Pulled) -> None:
        self.first = self.chosen = Racer(run, self)
        self.first._exchange.start(run._timeout)
        self.second: Racer | None = None
        self.left = False
        self._run = run
        self._bought = False
        self._decided = anyio.Event()
        self._scope = CancelScope()

    async def run(self, after: float) -> None:
        """Until one of them has delivered, or both have failed; afterwards nothing of the other is left."""
        self._engine.hedges.called()
        try:
            with self._scope:
                async with create_task_group() as group:
                    group.start_soon(self.first.go)
                    with move_on_after(after):
                        await self._decided.wait()
                    if self._starts_second():
                        assert self.second is not None
                        group.start_soon(self.second.go)
                    await self._decided.wait()
                    group.cancel_scope.cancel()
        finally:
            for racer in (self.first, self.second):
                if racer is not None and (racer is not self.chosen or self.left):
                    await racer.close()
        self._judge()

    def leave(self) -> None:
        """Give both up: the run is left."""
        self.left = True
        self._scope.cancel()

    def ended(self, racer: Racer) -> None:
        """One of them has delivered, has failed or was cancelled."""
        if racer.event is not None and self.chosen.event is None:
            self.chosen = racer
            self._decided.set()
        elif self.first.over and (self.second is None or self.second.over):
            self._decided.set()
        elif racer is self.second and racer.failure is None:
            self._give_back(racer)

    def buys(self, racer: Racer) -> None:
        """One of them is about to send what must not be sent twice: the first may, and the second is given up."""
        if racer is self.second or self._decided.is_set():
            raise _WithdrawnError
        self._bought = True
        if self.second is not None:
            self.second.scope.cancel()

    def attempts(self) -> list[Attempt]:
        """Those of both, as they began."""
        second = [] if self.second is None else self.second.tries()
        return sorted([*self.first.tries(), *second], key=lambda attempt: attempt.started)

    def _give_back(self, racer: Racer) -> None:
        """The first may turn to the provider that the second asked in vain."""
        turns, turn = self._run._turns, racer._turn
        if turns is not None and turn is not None and turn is not self.first._turn:
            turns.back(turn)

    @property
    def _engine(self) -> Engine:
        return self._run._exchange.engine

    def _starts_second(self) -> bool:
        """Whether there is to be a second attempt; it is made, and paid for."""
        if self._decided.is_set() or self._bought or not self._engine.hedges.take():
            return False
        turns = self._run._turns
        turn = (turns.next(resort=False) if turns is not None else None) or self.first._turn
        if not self._engine.quota(turn.name if turn else self.first._plan.provider).take():
            return False
        self.second = second = Racer(self._run, self)
        second._turn = turn
        second._hedged = True
        second._exchange.now = self.first._exchange.now
        second._exchange.deadlines = Deadlines(self._run._timeout, self.first._exchange.deadlines.began)
        return True

    def _judge(self) -> None:
        """A first provider that is late again and again is no better than one that fails."""
        turns, turn, second = self._run._turns, self.first._turn, self.second
        if turns is None or turn is None or second is None or self.chosen is self.first or self.first.failure:
            return
        if second._turn is not None and second._turn.index != turn.index:
            turns.late(turn)
