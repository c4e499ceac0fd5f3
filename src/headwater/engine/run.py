"""One call: pulls its flow forward, step by step, and hands over what comes of it.

Nothing runs between pulls: no task, no channel, and no cancel scope is held while the caller has control. A run is
read by one task at a time. Leaving it in any way closes its socket; what it holds is released within `GRACE` seconds.
"""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Final, Generic, Literal, Self, TypeAlias, TypeVar, cast

import anyio
import anyio.to_thread
from anyio import CancelScope, current_time

from ..errors import (
    Attempt,
    CallError,
    ClosedError,
    DecodeError,
    HeadwaterError,
    IncompleteStreamError,
    InferenceTimeoutError,
    ProviderError,
    TransportError,
)
from ..flow import Cached, Emit, Fold, OnCancel, Reply, Send, Sleep, Step, Stream
from ..refusals import redacted
from ..tasks.output import Output
from .deadlines import FOREVER
from .exchange import Engine, Exchange
from .facts import UNPREPARED, Facts, Outcome, Plan, Timings
from .streaming import Events

E = TypeVar("E")
R = TypeVar("R")

GRACE: Final = 2.0
"""Seconds that releasing a run may take: telling the provider to cancel, closing a connection."""
KEEP: Final = 512
"""Events handed over and not yet folded; more are folded as they go, so that memory follows the text alone."""
LARGE: Final = 1024 * 1024
"""A reply of more bytes is decoded in a worker thread."""
UNREADABLE: Final = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)

State: TypeAlias = Literal["new", "open", "done", "failed", "closed"]


class AsyncRun(Generic[E, R]):
    """A call under way: a context manager, and an iterator of its events.

    `async for event in run` hands over events as they come; `await run.result()` reads to the end and returns what the
    plain call returns. `run.partial` is what came so far. Leaving the `async with` before the end cancels the call at
    the far side.
    """

    def __init__(
        self,
        engine: Engine,
        task: str,
        prepare: Callable[[], Awaitable[Plan]],
        show: Callable[[Any], E] | None = None,
    ) -> None:
        self._prepare = prepare
        self._show = show
        self._task = task
        self._plan = UNPREPARED
        self._exchange = Exchange(engine)
        self._state: State = "new"
        self._busy = False
        self._step: Step | None = None
        self._log: list[Any] = []
        self._next = 0  # the first event of the log that was not handed over
        self._unfolded = 0  # the first event of the log that the fold has not seen
        self._count = 0
        self._events: Events | None = None
        self._fold: Fold[Any, Any] | None = None
        self._failure: HeadwaterError | None = None
        self._on_cancel: OnCancel | None = None
        self._result: Any = None
        self._first_at: float | None = None
        self._ended_at: float | None = None
        self.outcome: Outcome | None = None

    # -- what is known about it

    @property
    def provider(self) -> str:
        """The provider that was asked."""
        return self._plan.provider

    @property
    def model(self) -> str | None:
        """The model, as the caller named it."""
        return self._plan.model

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Every try so far."""
        return tuple(self._exchange.attempts)

    @property
    def headers(self) -> dict[str, str]:
        """The newest answer's headers, by lower-case name."""
        return self._exchange.headers

    @property
    def request_id(self) -> str | None:
        """The server's name for the newest request."""
        return self._exchange.request_id

    @property
    def timings(self) -> Timings:
        """Seconds from the call's start to what has happened so far."""
        return self._exchange.timings(self._first_at, self._ended_at)

    @property
    def bytes(self) -> int:
        """Decoded bytes received for the newest answer."""
        return self._exchange.size if self._events is None else self._events.size

    @property
    def facts(self) -> Facts:
        """All of the above, as a value that outlives the run."""
        exchange, plan = self._exchange, self._plan
        return Facts(
            plan.provider,
            plan.model,
            exchange.request_id,
            tuple(exchange.attempts),
            exchange.headers,
            self.timings,
        )

    @property
    def partial(self) -> R | None:
        """What has come so far, folded as the result would be; None before the first event of a stream."""
        if self._state == "done":
            return cast("R", self._value())
        if self._fold is None or not self._count:
            return None
        return cast("R", self._fold_log().result())

    # -- reading it

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> E:
        if self._next >= len(self._log) and not await self._pull():
            raise StopAsyncIteration
        event: E = self._log[self._next]
        self._next += 1
        return event if self._show is None else self._show(event)

    async def result(self) -> R:
        """Read to the end and return what the plain call returns; events not yet handed over are not any more."""
        while True:
            self._next = len(self._log)
            if not await self._pull():
                break
        if self._state == "closed":
            raise ClosedError("the run was left before its end, so it has no result; see .partial")
        return cast("R", self._value())

    async def drain(self) -> list[E]:
        """At least one event, and all others that are there already; [] at the end."""
        if self._next >= len(self._log) and not await self._pull():
            return []
        events: list[E] = self._log[self._next :]
        self._next = len(self._log)
        return events if self._show is None else [self._show(event) for event in events]

    async def start(self) -> Self:
        """Wait until there is an event to hand over, or the end; an early failure is raised here."""
        if self._next >= len(self._log):
            await self._pull()
        return self

    async def close(self) -> None:
        """Leave the run: its socket is closed, and its job cancelled. Idempotent."""
        if self._state in {"new", "open"}:
            self._state = "closed"
            await self._release("cancelled")

    aclose = close

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        events = getattr(self, "_events", None)
        if events is not None and self._state == "open" and not events.over:
            events.incoming.drop()
            warnings.warn(
                f"a stream of {self._task} was dropped before its end; use it as a context manager",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )

    # -- pulling it

    async def _pull(self) -> bool:
        """Advance until there is an event to hand over (True) or the run is over (False)."""
        if self._busy:
            raise CallError("this run is being read by another task; a run has one reader at a time")
        self._busy = True
        try:
            while self._next >= len(self._log):
                if self._state == "open":
                    await self._go_on()
                elif self._state == "new":
                    await self._begin()
                elif self._failure is not None:
                    raise self._failure
                else:
                    return False
        except HeadwaterError as error:
            if self._state in {"new", "open"}:
                await self._fail(error)
            raise
        except BaseException:
            self._state = "closed"
            await self._release("cancelled")
            raise
        finally:
            self._busy = False
        return True

    async def _begin(self) -> None:
        self._state = "open"
        began = current_time()
        self._plan = plan = await self._prepare()
        self._exchange.begin(plan, began)
        self._advance(plan.flow.send, None)

    async def _go_on(self) -> None:
        if self._events is not None:
            await (self._conclude(self._events) if self._events.over else self._read(self._events))
            return
        step = self._step
        try:
            if type(step) is Stream:
                self._fold = step.fold()
                self._take(await self._open(step))
                return
            value = await self._perform(step)
        except HeadwaterError as error:
            self._advance(self._plan.flow.throw, error)
            return
        if type(value) is Reply and len(value.body) > LARGE:
            await self._advance_aside(value)
        else:
            self._advance(self._plan.flow.send, value)

    def _advance(self, go: Callable[[Any], Step], value: Any) -> None:
        try:
            self._step = go(value)
        except StopIteration as stop:
            self._result = stop.value
            self._finish()
        except UNREADABLE as error:
            raise self._unreadable(error) from error

    async def _advance_aside(self, reply: Reply) -> None:
        """The same in a worker thread: decoding a large reply would hold up everybody else."""

        def go() -> tuple[Step | None, Any]:
            try:
                return self._plan.flow.send(reply), None
            except StopIteration as stop:
                return None, stop.value

        try:
            self._step, result = await anyio.to_thread.run_sync(go, abandon_on_cancel=True)
        except UNREADABLE as error:
            raise self._unreadable(error) from error
        if self._step is None:
            self._result = result
            self._finish()

    def _unreadable(self, error: Exception) -> DecodeError:
        return DecodeError(
            f"{self._plan.provider}'s answer to {self._task} is not what it answers with ({type(error).__name__})"
        )

    async def _perform(self, step: Step | None) -> Any:
        if type(step) is Send:
            return await self._exchange.send(step.request)
        if type(step) is Emit:
            self._log.append(step.event)
            self._note_event()
        elif type(step) is OnCancel:
            self._on_cancel = step if step.request else None
        elif type(step) is Sleep:
            await self._exchange.sleep(step.seconds)
        elif type(step) is Cached:
            return await self._exchange.cached(step, self._perform)
        return None

    # -- its stream

    async def _open(self, step: Stream[Any, Any]) -> Events:
        self._events = await self._exchange.open(step)
        return self._events

    async def _read(self, events: Events) -> None:
        deadlines = self._exchange.deadlines
        limit = min(deadlines.total, current_time() + deadlines.idle)
        if limit == FOREVER:
            await events.more()
        else:
            with CancelScope(deadline=limit):
                await events.more()
            if not events.fresh and not events.over:
                raise deadlines.passed("idle", current_time())
        self._take(events)

    def _take(self, events: Events) -> None:
        """Move what was decoded into the log."""
        if len(self._log) > KEEP:
            self._fold_log()
            self._log.clear()
            self._next = self._unfolded = 0
        self._log += events.fresh
        self._count += len(events.fresh)
        events.fresh.clear()
        self._note_event()

    async def _conclude(self, events: Events) -> None:
        """Everything that came was handed over: settle how it ended."""
        error = self._wrong_end(events)
        if error is None:
            await events.drain()
            error = self._cut(events.failure) if events.failure is not None else None
        if error is not None:
            raise error
        self._finish()

    def _wrong_end(self, events: Events) -> HeadwaterError | None:
        error = events.failure
        if events.ended:
            return None
        if error is None and not events.pending and (events.closed_is_whole or self._fold_log().complete()):
            return None
        if error is not None and not isinstance(error, TransportError):
            return error
        return self._cut(error)

    def _cut(self, cause: HeadwaterError | None) -> IncompleteStreamError:
        error = IncompleteStreamError(
            f"{self._plan.provider}'s stream stopped before its end, after {self._count} events"
            + (f": {cause.message}" if cause else "")
        )
        error.__cause__ = cause
        return error

    def _fold_log(self) -> Fold[Any, Any]:
        """The fold, with every event of the log in it."""
        assert self._fold is not None
        for event in self._log[self._unfolded :]:
            self._fold.add(event)
        self._unfolded = len(self._log)
        return self._fold

    def _note_event(self) -> None:
        if self._first_at is None:
            self._first_at = current_time()
            self._exchange.deadlines.first = FOREVER  # it has come: what a job's polls take is the total's affair

    # -- ending it

    def _value(self) -> Any:
        if self._result is None and self._fold is not None:
            self._result = self._fold_log().result()
            self._attach()
        return self._result

    def _finish(self) -> None:
        self._state = "done"
        self._on_cancel = None
        self._ended_at = current_time()
        self.outcome = "complete"
        self._attach()

    def _attach(self) -> None:
        if isinstance(self._result, Output):
            self._result.__dict__["_facts"] = self.facts

    async def _fail(self, error: HeadwaterError) -> None:
        if self._state == "failed":
            return
        self._state = "failed"
        self._failure = redacted(error, self._plan.credentials.redact)
        self._ended_at = current_time()
        if self._count:
            error.partial = self._fold_log().result()
            error.events_received = self._count
        self._exchange.describe(error, self._ended_at)
        await self._release("truncated" if isinstance(error, IncompleteStreamError) else "error")

    async def _release(self, outcome: Outcome) -> None:
        """Give back what the run holds; say how it was left."""
        self.outcome = outcome
        events, step = self._events, self._on_cancel
        self._on_cancel = None
        if events is None and step is None:
            return
        with CancelScope(shield=True, deadline=current_time() + GRACE):
            if events is not None:
                await events.close()
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
