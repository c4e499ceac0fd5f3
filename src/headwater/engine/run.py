"""One call: pulls its flow forward, step by step, and hands over what comes of it.

Nothing runs between pulls: no task, no channel, and no cancel scope is held while the caller has control. A run is
read by one task at a time. Leaving it in any way closes its socket; what it holds is released within `GRACE` seconds.
"""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
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
from ..events import Job, Submitted
from ..flow import END, Cached, Emit, Fetch, Load, OnCancel, Reply, Send, Sleep, Step, Stream
from ..refusals import redacted
from ..tasks.output import Output
from .deadlines import FOREVER
from .exchange import Engine, Exchange
from .facts import UNPREPARED, Facts, Outcome, Plan, Timings
from .fetching import Download, fetch, load
from .saving import SavedFile
from .streaming import Events

E = TypeVar("E")
R = TypeVar("R")

GRACE: Final = 2.0
"""Seconds that releasing a run may take: telling the provider to cancel, closing a connection."""
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
        self._waiting: deque[Any] = deque()  # events that no stream keeps: of a job, and a first one looked at
        self._events: Events | None = None
        self._failure: HeadwaterError | None = None
        self._on_cancel: OnCancel | None = None
        self._result: Any = None
        self._first_at: float | None = None
        self._ended_at: float | None = None
        self._download: Download | None = None
        self._file: SavedFile | None = None
        self.job: Job | None = None
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
    def status(self) -> int:
        """The newest answer's HTTP status; 0 before there is one."""
        return self._exchange.status

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
        if self._events is None or not self._events.count:
            return None
        return cast("R", self._events.fold.result())

    # -- reading it

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> E:
        event = None if self._events is None or self._waiting else self._events.take()
        if event is None:
            event = await self._pull()
            if event is END:
                raise StopAsyncIteration
        return event if self._show is None else self._show(event)

    async def result(self) -> R:
        """Read to the end and return what the plain call returns; events not yet handed over are not any more."""
        while await self._pull() is not END:
            if self._events is not None:
                while self._events.take() is not None:
                    pass
        if self._state == "closed":
            raise ClosedError("the run was left before its end, so it has no result; see .partial")
        return cast("R", self._value())

    async def save(self, path: str | os.PathLike[str], *, each: Callable[[E], object] | None = None) -> Path:
        """Read to the end with the result written to a file, and return its path.

        A result that is downloaded goes straight to the disk, however large: the file is written beside its place and
        renamed when it is whole. Events that come meanwhile go to `each`, in the event loop's thread.

        Raises `InputError` where the file cannot be written, and `InvalidParameterError` for a result that is no
        image, sound or video.
        """
        async with SavedFile(path) as file:
            self._file = file
            try:
                async for event in self:
                    if each is not None:
                        each(event)
            except BaseException:
                await self.close()
                raise
            finally:
                self._file = None
            return await file.keep(await self.result())

    async def drain(self) -> list[E]:
        """At least one event, and all others that are there already; [] at the end."""
        event = await self._pull()
        if event is END:
            return []
        events = [event, *self._waiting]
        self._waiting.clear()
        while self._events is not None and (event := self._events.take()) is not None:
            events.append(event)
        return events if self._show is None else [self._show(event) for event in events]

    async def start(self) -> Self:
        """Wait until there is an event to hand over, or the end; an early failure is raised here."""
        event = await self._pull()
        if event is not END:
            self._waiting.appendleft(event)
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

    async def _pull(self) -> Any:
        """Advance until there is an event to hand over; END when the run is over."""
        if self._busy:
            raise CallError("this run is being read by another task; a run has one reader at a time")
        self._busy = True
        try:
            while True:
                if self._waiting:
                    return self._waiting.popleft()
                if self._state == "open":
                    if (event := await self._go_on()) is not None:
                        return event
                elif self._state == "new":
                    await self._begin()
                elif self._failure is not None:
                    raise self._failure
                else:
                    return END
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

    async def _begin(self) -> None:
        self._state = "open"
        began = current_time()
        self._plan = plan = await self._prepare()
        self._exchange.begin(plan, began)
        self._advance(plan.flow.send, None)

    async def _go_on(self) -> Any:
        """One step of the flow, or one reading of its stream; an event, where that gave one."""
        events, step = self._events, self._step
        if events is not None:
            event = events.take()
            if event is None:
                await (self._conclude(events) if events.over else self._read(events))
            return event
        value: Any
        try:
            if type(step) is Stream:
                self._events, first = await self._exchange.open(step)
                self._note_event()
                return first
            if type(step) is Fetch:
                self._download = self._download or Download(self._exchange, step, self._file)
                if (progress := await self._download.more()) is not None:
                    self._note_event()
                    return progress
                value, self._download = await self._download.media(), None
            else:
                value = await self._perform(step)
        except HeadwaterError as error:
            self._download = None
            self._advance(self._plan.flow.throw, error)
            return None
        if type(value) is Reply and len(value.body) > LARGE:
            await self._advance_aside(value)
        else:
            self._advance(self._plan.flow.send, value)
        return None

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
            self._waiting.append(step.event)
            self._note_event()
            if type(step.event) is Submitted:
                self.job = step.event.job
        elif type(step) is OnCancel:
            self._on_cancel = step if step.request else None
        elif type(step) is Load:
            return await load(self._exchange, step)
        elif type(step) is Fetch:
            return await fetch(self._exchange, step)
        elif type(step) is Sleep:
            await self._exchange.sleep(step.seconds)
        elif type(step) is Cached:
            return await self._exchange.cached(step, self._perform)
        return None

    # -- its stream

    async def _read(self, events: Events) -> None:
        """Wait for the next event, and keep it waiting; the clock of its silence runs meanwhile, and only then."""
        deadlines = self._exchange.deadlines
        limit = min(deadlines.total, current_time() + deadlines.idle)
        event = None
        with CancelScope(deadline=limit):
            while event is None and not events.over:
                await events.more()
                event = events.take()
        if event is not None:
            self._waiting.append(event)
        elif not events.over:
            raise deadlines.passed("idle", current_time())

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
        if error is not None and not isinstance(error, TransportError):
            return error
        if events.ended or (error is None and events.whole):
            return None
        return self._cut(error)

    def _cut(self, cause: HeadwaterError | None) -> IncompleteStreamError:
        events = self._events.count if self._events else 0
        error = IncompleteStreamError(
            f"{self._plan.provider}'s stream stopped before its end, after {events} events"
            + (f": {cause.message}" if cause else "")
        )
        error.__cause__ = cause
        return error

    def _note_event(self) -> None:
        if self._first_at is None:
            self._first_at = current_time()
            self._exchange.deadlines.first = FOREVER  # it has come: what a job's polls take is the total's affair

    # -- ending it

    def _value(self) -> Any:
        if self._result is None and self._events is not None:
            self._result = self._events.fold.result()
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
        if self._events is not None:
            error.partial = self._events.fold.result()
            error.events_received = self._events.count
        self._exchange.describe(error, self._ended_at)
        await self._release("truncated" if isinstance(error, IncompleteStreamError) else "error")

    async def _release(self, outcome: Outcome) -> None:
        """Give back what the run holds; say how it was left."""
        left = outcome == "cancelled" or isinstance(self._failure, InferenceTimeoutError)
        self.outcome = "detached" if left and self.job is not None else outcome
        events, step, download = self._events, self._on_cancel, self._download
        self._on_cancel = self._download = None
        if events is None and step is None and download is None:
            return
        with CancelScope(shield=True, deadline=current_time() + GRACE):
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
