"""What a run holds, what is known of it, and how it is left: by its end, by a failure, or early.

Leaving early tells the provider, within `GRACE` seconds, and says whether it heard. Nothing advances here.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, TypeAlias

from anyio import CancelScope, Event

from ..errors import HeadwaterError, IncompleteStreamError, InferenceTimeoutError, ProviderError
from ..events import Job
from ..flow import OnCancel, Step
from ..refusals import redacted
from ..tasks.output import Output
from .deadlines import DEFAULT, Timeout
from .exchange import Exchange
from .facts import UNPREPARED, Facts, Outcome, Plan
from .fetching import Download
from .files import Files
from .health import Turn, Turns
from .pacing import Pace
from .saving import SavedFile
from .sharing import Engine
from .streaming import Events

GRACE: Final = 2.0
"""Seconds that releasing a run may take: telling the provider to cancel, closing a connection."""

_HERE: Final = [object()]
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _HERE.__setitem__(0, object()))


def process() -> object:
    """This process, as opposed to the one that it was forked from."""
    return _HERE[0]


State: TypeAlias = Literal["new", "open", "done", "failed", "closed"]


class Held:
    """A run's state. `prepare(index)` gives the plan for the caller's provider of that place in the list; `turns` is
    who else may be asked, `hedge_after` the seconds after which a second attempt is worth its price, and `pace` what
    holds the attempts back (default: the engine's). `elements` are what is handed over, at its end, of a result that
    came in one."""

    # What most runs never have is the class's, so that beginning a call costs less.
    _turn: Turn | None = None
    _hedged = False
    _plan = UNPREPARED
    _state: State = "new"
    _busy = False
    _aside = False
    _process: object = None
    _silent = 0.0
    _step: Step | None = None
    _events: Events | None = None
    _failure: HeadwaterError | None = None
    _on_cancel: OnCancel | None = None
    _result: Any = None
    _first_at: float | None = None
    _ended_at: float | None = None
    _download: Download | None = None
    _file: SavedFile | None = None
    _released: Event | None = None
    job: Job | None = None
    outcome: Outcome | None = None

    def __init__(
        self,
        engine: Engine,
        task: str,
        prepare: Callable[[int], Awaitable[Plan]],
        show: Callable[[Any], Any] | None = None,
        *,
        timeout: Timeout = DEFAULT,
        turns: Turns | None = None,
        hedge_after: float | None = None,
        pace: Pace | None = None,
        elements: Callable[[Any], list[Any]] | None = None,
    ) -> None:
        self._elements = elements
        self._prepare = prepare
        self._show = show
        self._timeout = timeout
        self._turns = turns
        self._hedge_after = hedge_after
        self._files = None if turns is None and hedge_after is None else Files()
        self._task = task
        self._exchange = Exchange(engine, pace)
        self._waiting: list[Any] = []  # events that no stream keeps: of a job, and a first one looked at

    @property
    def facts(self) -> Facts:
        """What is known of the call, as a value that outlives the run."""
        exchange, plan = self._exchange, self._plan
        return Facts(
            plan.provider,
            plan.model,
            exchange.request_id,
            tuple(exchange.attempts),
            exchange.headers,
            exchange.timings(self._first_at, self._ended_at),
            self._hedged,
        )

    # -- ending it

    async def close(self) -> None:
        """Leave the run: its socket is closed, and its job cancelled. Idempotent.

        In a forked child it does nothing: the run goes on in the parent.
        """
        if self._state == "open" and self._process is not process():
            return
        if self._state in {"new", "open"}:
            if self._first_at is not None:
                self._worked()
            self._state = "closed"
            await self._release("cancelled")
        elif self._released is not None and not self._released.is_set():
            await self._released.wait()

    aclose = close

    def _value(self) -> Any:
        if self._result is None and self._events is not None:
            self._result = self._events.fold.result()
            self._attach()
        return self._result

    def _finish(self) -> None:
        self._state = "done"
        self._on_cancel = None
        self._ended_at = self._exchange.now()
        self.outcome = "complete"
        self._worked()
        self._attach()
        self._hand_over()

    def _hand_over(self) -> None:
        """Have the parts of a result that came in one be the last events. One that goes to a file is not all here."""
        if self._elements is None or self._events is not None or self._file is not None:
            return
        parts = self._elements(self._result)
        self._waiting += parts
        if parts and self._first_at is None:
            self._first_at = self._ended_at

    def _worked(self) -> None:
        if self._turns is not None and self._turn is not None:
            self._turns.worked(self._turn, stay=not self._hedged)

    def _attach(self) -> None:
        if isinstance(self._result, Output):
            vars(self._result)["_facts"] = self.facts

    async def _fail(self, error: HeadwaterError) -> None:
        self._state = "failed"
        self._failure = redacted(error, self._plan.credentials.redact)
        self._ended_at = self._exchange.now()
        if self._events is not None:
            error.partial = self._events.fold.result()
            error.events_received = self._events.count
        self._exchange.describe(error, self._ended_at)
        await self._release("truncated" if isinstance(error, IncompleteStreamError) else "error")

    async def _release(self, outcome: Outcome) -> None:
        """Give back what the run holds; say how it was left. Whoever comes second waits for whoever was first: Ctrl-C
        ends the reading of a run, and its `with` block closes it."""
        if self._released is not None:
            await self._released.wait()
            return
        self._released = Event()
        left = outcome == "cancelled" or isinstance(self._failure, InferenceTimeoutError)
        self.outcome = "detached" if left and self.job is not None else outcome
        try:
            await self._let_go()
        finally:
            self._released.set()

    async def _let_go(self) -> None:
        events, step, download = self._events or self._exchange.opened, self._on_cancel, self._download
        self._on_cancel = self._download = None
        if events is None and step is None and download is None:
            return
        with CancelScope(shield=True, deadline=self._exchange.now() + GRACE):
            if events is not None:
                await events.close()
            if download is not None:
                await download.close()
            if step is not None and step.request is not None:
                self.outcome = "unknown"
                self.outcome = await self._tell(step)

    async def _tell(self, step: OnCancel) -> Outcome:
        assert step.request is not None
        try:
            await self._exchange.once(step.request)
        except ProviderError:
            return "detached"
        except (HeadwaterError, InferenceTimeoutError):
            return "unknown"
        return "cancelled"
