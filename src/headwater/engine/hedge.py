"""A second attempt beside a slow first one: whichever is first to deliver is the call, and the other is cancelled.

    first    ──▶ A ·····················································✗ cancelled: its socket is closed
                 │← hedge_after →│
    second                       └──▶ B ········ its first event ═══▶ the caller
             └──────────────────── one read ──────────────────────────┘

Each attempt has a driver of its own. Both begin and end inside the read in which the caller waits for the first event:
no task outlives it. The winner is then the call's driver, as if there had been no other. The clocks of both began with
the first. The second asks the next provider of the list, and without one the same; what either fails with lets it turn
to the providers that are left, none of which is asked twice. If one fails the other is waited for, and if both do, the
first one's error is raised with the attempts of both.

Why it pays: a tail is mostly bad luck of one request, and asking again draws anew. Where one call in ten takes ten
times as long, a second attempt after the ninth decile leaves one in a hundred that does, for a tenth more requests
(`python -m benchmarks.hedging`; the idea is Dean and Barroso's, "The Tail at Scale", CACM 56(2), 2013).

What a hedge costs is bounded three times: by `HedgeBudget` (one call in eleven), by the `RetryBudget` of the provider
that is asked, and by the deadline. A request that must not be sent twice, a queued job above all, is never hedged:
where the first comes to one the second is cancelled, and a second that comes to one withdraws. A result that is saved
to a file has one attempt as well.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
from anyio import CancelScope, create_task_group, move_on_after
from anyio.lowlevel import checkpoint
from msgspec.structs import replace

from ..errors import Attempt
from ..protocol.flow import END, Request
from ..protocol.transport import RACE
from .deadlines import Deadlines
from .driver import CallDriver
from .engine import Engine
from .event_loop import is_cancellation
from .facts import CallRequest
from .load import Files


class _WithdrawnError(Exception):
    """The second attempt has come to a request that must not be made twice."""


class Racer:
    """One of the attempts: `event` is what its driver delivered, `failure` why it did not; neither, where it was
    cancelled. `began` and `ended` are moments on the event loop's clock; `sent`: whether it came to a request."""

    __slots__ = ("began", "driver", "ended", "event", "failure", "over", "scope", "sent")

    def __init__(self, driver: CallDriver) -> None:
        self.driver = driver
        self.began = self.ended = 0.0
        self.scope = CancelScope()
        self.event: Any = None
        self.failure: BaseException | None = None
        self.over = self.sent = False

    def attempts(self, *, won: bool) -> list[Attempt]:
        """What it tried, and what of that was given up because the other was first."""
        driver = self.driver
        requester = driver.requester
        tries = requester.attempts
        if won or self.failure is not None or not self.sent:
            return tries
        began = requester.deadlines.began
        ended = self.ended - began
        if tries and tries[-1].error is None:  # it was answered, by the Hub or in the same moment
            last = tries[-1]
            return [*tries[:-1], replace(last, seconds=ended - last.started, cancelled=True)]
        started = max([self.began - began, *(attempt.started + attempt.seconds for attempt in tries)])
        name, status = driver.plan.provider, requester.status or None
        return [*tries, Attempt(name, len(tries) + 1, started, ended - started, status=status, cancelled=True)]


class Hedge:
    """A race of two drivers for a call's first event. `winner`: the one whose event, or failure, is the call's.
    `left`: whether both were given up."""

    def __init__(self, engine: Engine, request: CallRequest, driver: CallDriver) -> None:
        driver.files = driver.files or Files()  # which both read
        self.winner = driver
        self.running = False
        self.left = False
        self._engine = engine
        self._request = request
        self._second: Racer | None = None
        self._bought = False

    async def run(self) -> None:
        """Until one of them has delivered, or both have failed; afterwards nothing of the other is left.

        Raises what both have failed with. The event that was delivered is the winner's next one.
        """
        self.running = True
        self._first = self._chosen = Racer(self.winner)
        self._decided, self._scope = anyio.Event(), CancelScope()
        self.winner.requester.start(self._request.timeout)
        if self.winner.requester.watch is not None:
            self.winner.requester.watch.begin()
        try:
            await self._race()
        except BaseException as error:
            self._conclude()
            if not (is_cancellation(error) and self.winner.can_resume()):
                await self.winner.abandon(error)
            raise
        self._conclude()
        if self._chosen.failure is not None and not self.left:
            raise self._chosen.failure

    async def _race(self) -> None:
        assert self._request.hedge_after is not None
        self._engine.hedge_budget.called()
        entered = RACE.set(self)
        try:
            with self._scope:
                async with create_task_group() as group:
                    group.start_soon(self._go, self._first)
                    await checkpoint()  # on a busy machine the time may pass before the first has begun
                    with move_on_after(self._request.hedge_after):
                        await self._decided.wait()
                    if (second := self._starts_second()) is not None:
                        group.start_soon(self._go, second)
                    await self._decided.wait()
                    group.cancel_scope.cancel()
        finally:
            RACE.reset(entered)
            for racer in (self._first, self._second):
                if racer is not None and (racer is not self._chosen or self.left):
                    await racer.driver.close()
        self._judge()

    async def _go(self, racer: Racer) -> None:
        """Deliver, fail, or be cancelled."""
        driver = racer.driver
        driver.on_request = partial(self._on_request, racer)
        racer.began = driver.requester.now()
        try:
            with racer.scope:
                racer.event = await driver.next_event()
        except _WithdrawnError:
            pass
        except BaseException as error:  # the run raises it, and no task group
            if is_cancellation(error):
                raise
            racer.failure = error
        finally:
            racer.over, racer.ended = True, driver.requester.now()
            self._on_end(racer)

    def _conclude(self) -> None:
        """Let the winner be the call's driver, with what is known of both."""
        chosen, second = self._chosen, self._second
        self.winner = driver = chosen.driver
        for racer in (self._first, second):
            if racer is not None:
                racer.driver.on_request = None
        driver.tell_of_hedge(self._attempts(), second is not None and second.sent)
        if chosen.event is not None and chosen.event is not END and not self.left:  # also where it is just cancelled
            driver.put_back(chosen.event)

    def leave(self) -> None:
        """Give both up: the call is left, and is the one of them that is still under way."""
        self.left = True
        if not self.running:
            return
        if self._chosen.over and self._second is not None and not self._second.over:
            self._chosen = self._second
        self.winner = self._chosen.driver
        self._scope.cancel()

    def _on_end(self, racer: Racer) -> None:
        """Decide the race, if this attempt's delivery, failure or cancellation does."""
        ends_all = racer.failure is not None and not isinstance(racer.failure, Exception)
        if (racer.event is not None or ends_all) and not self._decided.is_set():
            self._chosen = racer
            self._decided.set()
        elif self._first.over and (self._second is None or self._second.over):
            self._decided.set()
        elif racer is self._second and racer.failure is None:
            self._give_back(racer)

    def _on_request(self, racer: Racer, request: Request) -> None:
        if not request.resend:
            self._on_unrepeatable_request(racer)
        racer.sent = True

    def _on_unrepeatable_request(self, racer: Racer) -> None:
        """Let the first send what must not be sent twice, and give the second up."""
        if racer is self._second or self._decided.is_set():
            raise _WithdrawnError
        self._bought = True
        if self._second is not None:
            self._second.scope.cancel()

    def _attempts(self) -> list[Attempt]:
        """The attempts of both, as they began."""
        racers = [racer for racer in (self._first, self._second) if racer is not None]
        attempts = [attempt for racer in racers for attempt in racer.attempts(won=racer is self._chosen)]
        return sorted(attempts, key=lambda attempt: attempt.started)

    def _give_back(self, racer: Racer) -> None:
        """The first may turn to the provider that the second asked in vain."""
        failover, candidate = self._request.failover, racer.driver.candidate
        if failover is not None and candidate is not None and candidate is not self._first.driver.candidate:
            failover.back(candidate)

    def _starts_second(self) -> Racer | None:
        """The second attempt, paid for, if there is to be one."""
        if self._decided.is_set() or self._bought or not self._engine.hedge_budget.take():
            return None
        failover, first = self._request.failover, self._first.driver
        candidate = (failover.next(resort=False) if failover is not None else None) or first.candidate
        if not self._engine.retry_budget(candidate.name if candidate else first.plan.provider).take():
            return None
        driver = CallDriver(self._engine, self._request, first.files)
        driver.candidate, driver.hedged = candidate, True
        driver.requester.now = first.requester.now
        driver.requester.deadlines = Deadlines(self._request.timeout, first.requester.deadlines.began)
        if first.requester.watch is not None:
            driver.requester.watch = first.requester.watch.beside()
            first.requester.watch.hedge(candidate.name if candidate else first.plan.provider, first.requester.elapsed)
        self._second = racer = Racer(driver)
        return racer

    def _judge(self) -> None:
        """Let a first provider that is late again and again be no better than one that fails."""
        failover, candidate, second = self._request.failover, self._first.driver.candidate, self._second
        if failover is None or candidate is None or second is None:
            return
        if self._chosen is self._first or self._first.failure is not None:
            return
        other = second.driver.candidate
        if other is not None and other.index != candidate.index:
            open_for, watch = failover.late(candidate), self._first.driver.requester.watch
            if open_for and watch is not None:
                watch.move_breaker(candidate.name, "open", open_for, self._first.driver.requester.elapsed)
