"""How a run advances: its flow step by step, its stream reading by reading.

Nothing runs between pulls: no task, no channel, and no cancel scope is held while the caller has control. What the
caller sees of a run is `run`'s, and how it ends `leaving`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import anyio
import anyio.to_thread

from ..errors import CallError, DecodeError, HeadwaterError, IncompleteStreamError, TransportError
from ..events import Submitted
from ..flow import END, Cached, Emit, Fetch, Load, Loaded, OnCancel, Reply, Send, Sleep, Step, Stream
from ..wire import FOREVER, Silence
from .fetching import Download, fetch, load
from .leaving import Held
from .retry import is_worth_another_provider
from .streaming import Events

LARGE: Final = 1024 * 1024
"""A reply or an input of more bytes is worked on in a worker thread."""
UNREADABLE: Final = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)


class Pulled(Held):
    """The moving half of a run."""

    async def _pull(self) -> Any:
        """Advance until there is an event to hand over; END when the run is over."""
        if self._busy:
            raise CallError("this run is being read by another task; a run has one reader at a time")
        self._busy = True
        try:
            while True:
                try:
                    return await self._next()
                except HeadwaterError as error:
                    if self._state in {"failed", "closed", "done"}:
                        raise
                    if not self._goes_elsewhere(error):
                        await self._fail(error)
                        raise
        except HeadwaterError:
            raise
        except BaseException:
            self._state = "closed"
            await self._release("cancelled")
            raise
        finally:
            self._busy = False

    async def _next(self) -> Any:
        while True:
            if self._waiting:
                return self._waiting.popleft()
            if self._state == "open":
                events = self._events
                event = await (self._go_on() if events is None else self._read(events))
                if event is not None:
                    return event
            elif self._state == "new":
                await self._begin()
            elif self._failure is not None:
                raise self._failure
            else:
                return END

    async def _begin(self) -> None:
        if not self._turn:
            self._exchange.start()  # before there is a plan: preparing may fail, and what follows keeps these clocks
        self._state = "open"
        self._plan = plan = await self._prepare(self._turn)
        self._exchange.begin(plan)
        self._advance(plan.flow.send, None)

    def _goes_elsewhere(self, error: HeadwaterError) -> bool:
        """Turn to the next provider of the caller's list, if nothing was handed over yet and another may do better."""
        if self._first_at is not None or self._turn + 1 >= self._turns or not is_worth_another_provider(error):
            return False
        self._exchange.note(error)
        self._turn += 1
        self._state, self._step, self._events, self._on_cancel = "new", None, None, None
        return True

    async def _go_on(self) -> Any:
        """One step of the flow; an event, where that gave one."""
        step = self._step
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
        if (type(value) is Reply and len(value.body) > LARGE) or (type(value) is Loaded and len(value.data) > LARGE):
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

    async def _advance_aside(self, value: Reply | Loaded) -> None:
        """The same in a worker thread: decoding a large reply or encoding a large input would hold up all others."""

        def go() -> tuple[Step | None, Any]:
            try:
                return self._plan.flow.send(value), None
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

    async def _read(self, events: Events) -> Any:
        """The stream's next event; None at its end. The clock of its silence runs while it is waited for, and only
        then."""
        event = events.take()
        if event is None and not events.over:
            deadlines = self._exchange.deadlines
            try:
                event = await events.next(min(deadlines.total, self._exchange.now() + deadlines.idle))
            except Silence:
                raise deadlines.passed("idle", self._exchange.now()) from None
        elif event is None:
            await self._conclude(events)
        return event

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
            self._first_at = self._exchange.now()
            self._exchange.deadlines.first = FOREVER  # it has come: what a job's polls take is the total's affair
