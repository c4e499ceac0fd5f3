"""How a run advances: its flow step by step, its stream reading by reading.

Nothing runs between pulls: no task, no channel, and no cancel scope is held while the caller has control. What the
caller sees of a run is `run`'s, and how it ends `leaving`'s.

A pull that is cancelled leaves the run where it stood, so that the next one goes on: a stream that has begun, a wait,
a question after a job's state, a download. Where a request was on its way, which would have to be made again and paid
for twice, the run is closed, and so is it where its transport cannot be read on; that is a `ClosedError`, never an end.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Literal, TypeAlias

import anyio
import anyio.to_thread
from anyio import CancelScope, Event, get_cancelled_exc_class
from msgspec.structs import replace

from ..errors import (
    CallError,
    ClosedError,
    DecodeError,
    ForkedClientError,
    HeadwaterError,
    IncompleteStreamError,
    InferenceTimeoutError,
    ProviderError,
    TransportError,
)
from ..media.media import Media
from ..protocol.events import Job, Submitted
from ..protocol.flow import END, Cached, Emit, Fetch, Load, Loaded, OnCancel, Reply, Send, Sleep, Step, Stream
from ..protocol.transport import FOREVER, Silence
from ..responses.refusal import instead, redacted
from ..tasks.output import Output
from .deadlines import DEFAULT, Deadlines, Timeout
from .download import Download, fetch
from .engine import Engine
from .facts import NO_FLOW, UNPREPARED, Facts, Outcome, Plan
from .failover import Turn, Turns
from .failures import besides, cut
from .load import Files, is_file, load
from .requester import Exchange
from .retry import PATIENCE, is_worth_another_provider
from .save import SavedFile
from .stream import Events
from .throttle import Pace

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
