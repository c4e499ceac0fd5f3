"""How a run advances: its flow step by step, its stream reading by reading.

Nothing runs between pulls: no task, no channel, and no cancel scope is held while the caller has control. What the
caller sees of a run is `run`'s, and how it ends `leaving`'s.

A pull that is cancelled leaves the run where it stood, so that the next one goes on: a stream that has begun, a wait,
a question after a job's state, a download. Where a request was on its way, which would have to be made again and paid
for twice, the run is closed, and so is it where its transport cannot be read on; that is a `ClosedError`, never an end.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Coroutine
from typing import Any, Final

import anyio
import anyio.to_thread
from anyio import get_cancelled_exc_class
from msgspec.structs import replace

from ..errors import (
    CallError,
    ClosedError,
    DecodeError,
    ForkedClientError,
    HeadwaterError,
    InferenceTimeoutError,
    ProviderError,
    TransportError,
)
from ..events import Submitted
from ..flow import END, Cached, Emit, Fetch, Load, Loaded, OnCancel, Reply, Send, Sleep, Step, Stream
from ..media import Media
from ..refusals import instead
from ..wire import FOREVER, Silence
from .deadlines import Deadlines
from .facts import NO_FLOW, Plan
from .fetching import Download, fetch, load
from .files import Files, is_file
from .leaving import Held, process
from .refused import besides, cut
from .retry import PATIENCE, is_worth_another_provider
from .streaming import Events

LARGE: Final = 1024 * 1024
"""A reply or an input of more bytes is worked on in a worker thread."""
UNREADABLE: Final = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)


async def none_other(_: int) -> Plan:
    """What prepares a turn to another provider, once there is none."""
    raise CallError("a stream that has begun goes to no other provider")


class Pulled(Held):
    """The moving half of a run."""

    async def _pull(self) -> Any:
        """Advance until there is an event to hand over; END when the run is over."""
        if self._busy:
            raise CallError("this run is being read by another task; a run has one reader at a time")
        if self._state == "new":
            self._process = process()
        elif self._state == "open" and self._process is not process():
            raise ForkedClientError(
                "this stream belongs to the process that was forked; start one of this process's own"
            )
        self._busy = True
        try:
            while True:
                try:
                    events = self._events
                    if events is None or self._waiting or self._state != "open":
                        event = await self._next()
                    elif (event := events.take()) is None:
                        event = await (self._conclude(events) if events.over else self._read(events))
                    if event is not None:
                        return event
                except HeadwaterError as error:
                    if self._state == "closed":  # by somebody else, meanwhile
                        raise self._was_left() from error
                    if self._state in {"failed", "done"}:
                        raise
                    if not self._goes_elsewhere(error):
                        await self._fail(error)
                        raise
        except HeadwaterError:
            raise
        except BaseException as error:
            if not (isinstance(error, get_cancelled_exc_class()) and self._goes_on()):
                self._state = "closed"
                await self._release("cancelled")
            raise
        finally:
            self._busy = False

    def _goes_on(self) -> bool:
        """Whether a pull that was cancelled can be made again."""
        step, events = self._step, self._events
        if self._state != "open" or self._aside:
            return self._state == "new"
        if events is not None:
            return events.lasts or events.over
        if isinstance(step, Send | Stream):
            asks = isinstance(step, Send) and step.request.method == "GET"
            return asks or self._exchange.resumes()
        return isinstance(step, Sleep | Fetch | Cached) or (isinstance(step, Load) and not is_file(step))

    async def _next(self) -> Any:
        """Advance by a step outside of a stream; an event, where that gave one."""
        if self._waiting:
            return self._waiting.pop(0)
        if self._state == "open":
            return await self._go_on()
        if self._state == "new":
            return await self._begin()
        if self._failure is not None:
            raise self._failure
        if self._state == "closed":
            raise self._was_left()
        return END

    def _was_left(self) -> ClosedError:
        return ClosedError("the run was left before its end, so there is no more of it; see .partial")

    def _begin(self) -> Coroutine[Any, Any, None]:
        """Begin: a hedged run does it in its own way."""
        return self._begin_once()

    async def _begin_once(self) -> None:
        exchange, turns = self._exchange, self._turns
        exchange.start(self._timeout)  # before there is a plan: preparing takes time, and may fail
        self._state, self._aside = "open", False
        if turns is not None and self._turn is None:
            self._turn = turns.next()
        turn = self._turn
        try:
            plan = await exchange.within(self._prepare(turn.index if turn else 0))
        except HeadwaterError:
            self._plan = Plan(task=self._task, provider=turn.name if turn else "", timeout=self._timeout)
            exchange.begin(self._plan)
            raise
        except BaseException:
            self._state = "new"
            raise
        if turns is not None and turns.more:
            plan = replace(plan, retries=replace(plan.retries, longest=min(plan.retries.longest, PATIENCE)))
        self._plan = plan
        exchange.begin(plan)
        self._advance(plan.flow.send, None)

    def _goes_elsewhere(self, error: HeadwaterError) -> bool:
        """Turn to the next provider of the caller's list, if nothing was handed over yet and another may do better."""
        turns, turn, exchange = self._turns, self._turn, self._exchange
        if turns is None or turn is None:
            return False
        turns.failed(turn, error, begun=self._first_at is not None)
        if self._first_at is not None:
            return False
        exchange.note(error)
        left = exchange.deadlines.whole - exchange.now()
        if not is_worth_another_provider(error, left) or self._may_have_bought(error):
            return False
        following = turns.next()
        if following is None:
            return False
        if not isinstance(error, CallError) and not exchange.engine.quota(following.name).take(error):
            return False  # nothing of a call that was not sent has to be paid for
        self._turn = following
        exchange.deadlines = Deadlines(self._timeout, exchange.deadlines.began, exchange.now())
        self._state, self._step, self._events, self._on_cancel = "new", None, None, None
        return True

    def _may_have_bought(self, error: HeadwaterError) -> bool:
        """Whether what failed is a job that the provider may have taken, which another one would be paid for again."""
        step = self._step
        lost = isinstance(error, TransportError) and error.sent
        late = isinstance(error, InferenceTimeoutError) and error.phase != "connect"
        return isinstance(step, Send) and not step.request.resend and (lost or late)

    async def _go_on(self) -> Any:
        """One step of the flow; an event, where that gave one."""
        step = self._step
        value: Any
        try:
            if type(step) is Stream:
                self._events, first = await self._exchange.open(step)
                self._note_event()
                # It is the flow's last step, and nobody else is asked any more: what that took would be kept, and
                # looked at by the collector, for as long as the stream lasts.
                self._plan.flow.close()
                self._plan.flow, self._step, self._prepare = NO_FLOW, None, none_other
                self._files = None
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
        except DecodeError as error:
            raise self._refused_instead(value) or error from None
        except HeadwaterError:  # some of ours are ValueErrors, too
            raise
        except UNREADABLE as error:
            raise self._refused_instead(value) or self._unreadable(error) from error

    async def _advance_aside(self, value: Reply | Loaded) -> None:
        """The same in a worker thread: decoding a large reply or encoding a large input would hold up all others."""

        def go() -> tuple[Step | None, Any]:
            try:
                return self._plan.flow.send(value), None
            except StopIteration as stop:
                return None, stop.value

        self._aside = True  # cancelled here, nobody knows how far the flow has come
        try:
            work = anyio.to_thread.run_sync(go, abandon_on_cancel=True)
            self._step, result = await self._exchange.before_end(work)
            self._aside = False
        except DecodeError as error:
            raise self._refused_instead(value) or error from None
        except HeadwaterError:  # some of ours are ValueErrors, too
            raise
        except UNREADABLE as error:
            raise self._unreadable(error) from error
        if self._step is None:
            self._result = result
            self._finish()

    def _refused_instead(self, value: Any) -> ProviderError | None:
        """The refusal that an answer is in which the flow found nothing of its task's."""
        if isinstance(value, Media):
            value = Reply(status=self._exchange.status, headers=self._exchange.headers, body=bytes(value[:LARGE]))
        if type(value) is not Reply or (error := instead(value.body)) is None:
            return None
        error.headers = value.headers
        return error

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
            return await self._load(step)
        elif type(step) is Fetch:
            return await fetch(self._exchange, step)
        elif type(step) is Sleep:
            await self._exchange.sleep(step.seconds)
        elif type(step) is Cached:
            return await self._exchange.cached(step, self._perform)
        return None

    async def _load(self, step: Load) -> Loaded:
        if not is_file(step):
            return await load(self._exchange, step)
        self._files = self._files or Files()
        return await self._files.load(self._exchange, step)

    # -- its stream

    async def _read(self, events: Events) -> Any:
        """Read the stream's next event; None at its end. The clock of its silence runs meanwhile, and only then."""
        exchange = self._exchange
        now, deadlines = exchange.now, exchange.deadlines
        begun, event = now(), None
        if begun >= deadlines.total:  # though more is there already, as it always is in a flood
            raise deadlines.passed("total", begun)
        until = min(deadlines.total, begun + deadlines.idle - self._silent)
        moment, watched = until, deadlines.alive != FOREVER
        try:
            while event is None and not events.over:
                if watched:
                    moment = min(until, now() + deadlines.alive)
                if not events.wait_until(moment):
                    event = await events.within(moment, once=watched)
                else:
                    try:
                        event = events.feed(await events.receive())
                    except HeadwaterError as error:
                        events.stop(error)
                if event is None and not events.over and now() >= until:  # comments without end are silence, too
                    raise Silence
        except Silence:
            raise deadlines.passed("alive" if moment < until else "idle", now()) from None
        except BaseException:
            self._silent += now() - begun
            raise
        if self._silent:
            self._silent = 0.0
        return event

    async def _conclude(self, events: Events) -> None:
        """Everything that came was handed over: settle how it ended."""
        error = self._wrong_end(events)
        if error is None:
            await events.drain()
            error = cut(self._plan, events, events.failure) if events.failure is not None else None
        if error is not None:
            raise error
        self._finish()
        if events.strays:
            warnings.warn(f"the answer is whole{besides(self._plan, events)}", stacklevel=2)

    def _wrong_end(self, events: Events) -> HeadwaterError | None:
        error = events.failure
        if error is not None and not isinstance(error, TransportError):
            return error
        if (events.ended or error is None) and events.whole:
            return None
        return cut(self._plan, events, error)

    def _note_event(self) -> None:
        if self._first_at is None:
            self._first_at = self._exchange.now()
            self._exchange.deadlines.first = FOREVER  # it has come: what a job's polls take is the total's affair
