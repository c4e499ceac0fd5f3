"""Drives one call: its flow step by step, its stream reading by reading, and to its end, whatever that is.

    new ──▶ open ──▶ done       the flow has returned: there is a result
     ▲        ├────▶ failed     an error that nobody else can mend
     │        └────▶ closed     left by the caller, or cancelled where it could not stand still
     └─ a failure before the first event, where another provider may do better; a cancelled preparation

Nothing runs between two reads: no task, no channel, and no cancel scope is held while the caller has control.

A read that is cancelled leaves the call where it stood, so that the next one goes on: a stream that has begun, a wait,
a question after a job's state, a download. The answer to a question that is under way is waited for on, where the
transport can; else it is asked again, a few times. Where a request was on its way that would have to be paid for twice,
the call is closed, and so is it where its transport cannot be read on: that is a `ClosedError`, and never an
end.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from anyio import CancelScope, Event
from msgspec import MsgspecError
from msgspec.structs import replace

from ..errors import (
    Attempt,
    CallError,
    ClosedError,
    DecodeError,
    ForkedClientError,
    HeadwaterError,
    IncompleteStreamError,
    InferenceTimeoutError,
    ProviderError,
    TransportError,
    no_end,
)
from ..protocol.flow import (
    END,
    Cached,
    Emit,
    End,
    Fetch,
    Flow,
    Load,
    Loaded,
    OnCancel,
    PassOver,
    Recall,
    Recalled,
    Remember,
    Replay,
    Reply,
    Request,
    Send,
    Sleep,
    Step,
    Stream,
    TrustOrigin,
)
from ..protocol.lazy import lazy_modules
from ..protocol.transport import FOREVER, ReadDeadline
from ..protocol.url import parse_url
from ..responses.refusal import error_in_place_of_answer
from .deadlines import Deadlines
from .engine import IN_THREAD_BYTES, Engine
from .event_loop import is_cancellation
from .facts import NO_FLOW, UNPREPARED, CallRequest, Destination, Facts, Outcome, Plan, Timings
from .failover import Candidate
from .requester import Requester, WaitsForModel
from .retry import LONGEST_WAIT_BEFORE_FAILOVER_SECONDS, is_worth_another_provider

if TYPE_CHECKING:
    from ..auth import redaction  # noqa: TC004 - loaded when it is used, below
    from ..cost.meter import CallMeter
    from ..cost.price import Cost
    from ..media import media, source  # noqa: TC004 - loaded when it is used, below
    from ..protocol.events import EndpointState, Job, JobEvent
    from . import download, failures, load  # noqa: TC004 - loaded when it is used, below
    from .observer import CallOutcome
    from .save import SavedFile
    from .stream import Events
    from .watch import Watch
else:
    globals().update(lazy_modules("headwater.auth", "redaction"))
    globals().update(lazy_modules("headwater.media", "media source"))
    globals().update(lazy_modules(__package__, "download failures load"))

RELEASE_SECONDS: Final = 2.0
"""Seconds that releasing a run may take: telling the provider to cancel, closing a connection."""

_HERE: Final = [object()]
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _HERE.__setitem__(0, object()))


def process() -> object:
    """This process, as opposed to the one that it was forked from."""
    return _HERE[0]


CallState: TypeAlias = 'Literal["new", "open", "done", "failed", "closed"]'

MISREADINGS: Final = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError, MsgspecError)
"""What a flow raises that meets an answer of another shape than it reads. Before 0.23 msgspec's are no ValueErrors."""


def nowhere(_: int) -> Destination:
    """The destination of a stream that has begun: it goes to no other provider."""
    raise CallError("a stream that has begun goes to no other provider")


BEGUN: Final = CallRequest(task="", destination=nowhere)
"""In place of the request of a stream that has begun."""


class CallDriver:
    """Drives one call. `events` is its stream, once that is open, and `waiting` the events that no stream keeps: those
    of a job, a first one that was looked at, the elements of a result that came in one.

    `on_request` is called before each request, and ends the call by raising; while it is set a read that is cancelled
    ends the call. `file` is where the result is to be saved; `files` are the open files among the call's inputs.
    """

    # What most calls never have is the class's, so that beginning one costs less.
    state: CallState = "new"
    busy = False
    events: Events | None = None
    candidate: Candidate | None = None
    plan = UNPREPARED
    hedged = False
    submitted: Job | None = None
    outcome: Outcome | None = None
    first_at: float | None = None
    file: SavedFile | None = None
    on_request: Callable[[Request], None] | None = None
    meter: CallMeter | None = None
    cost: Cost | None = None
    _ended_at: float | None = None
    _is_in_thread = False
    _process: object = None
    _silent = 0.0
    _step: Step | None = None
    _failure: HeadwaterError | None = None
    _on_cancel: OnCancel | None = None
    _then: Callable[[Any], Flow[Any] | Remember | None] | None = None
    _rejoin: Callable[[Any], Flow[Any] | None] | None = None
    _result: Any = None
    _download: download.Download | None = None
    _released: Event | None = None

    def __init__(
        self, engine: Engine, request: CallRequest, files: load.Files | None = None, watch: Watch | None = None
    ) -> None:
        self.failover = request.failover
        self._request = request
        self._timeout = request.timeout
        self._elements = request.elements
        self.files = files
        self.requester = Requester(engine, request.throttle, watch)
        if request.meter is not None:
            self.meter = request.meter
        if request.tells_of_loading:
            self.requester.tells_of_loading = True
        self.waiting: list[Any] = []

    @property
    def facts(self) -> Facts:
        """What is known of the call, as a value that outlives it."""
        requester, plan = self.requester, self.plan
        return Facts(
            plan.provider,
            plan.model,
            requester.request_id,
            tuple(requester.attempts),
            requester.headers,
            requester.timings(self.first_at, self._ended_at),
            self.hedged,
            self.cost,
            plan.cached,
        )

    @property
    def job(self) -> Job | None:
        """The job that the provider has taken, as it can be taken up again from here on."""
        told: Job | None = getattr(self.events.fold, "job", None) if self.events is not None else None
        return told or self.submitted

    @property
    def timings(self) -> Timings:
        """Seconds from the call's start to what has happened so far."""
        return self.requester.timings(self.first_at, self._ended_at)

    @property
    def is_forked(self) -> bool:
        """Whether the call is another process's, which this one was forked from and which may be reading it."""
        return self.state == "open" and self._process is not process()

    def value(self) -> Any:
        """The result of a call that is done; of one that is not, what its stream has brought so far."""
        if self._result is None and self.events is not None:
            self._result = self.events.fold.result()
            self._attach()
        return self._result

    # -- moving it

    async def next_event(self) -> Any:
        """Advance until there is an event to hand over; END when the call is over.

        Raises what the call fails with; `CallError` for a second reader, `ForkedClientError` in a forked child.
        """
        if self.busy:
            raise another_reader()
        if self.state == "new":
            self._process = _HERE[0]
        elif self._process is not _HERE[0] and self.is_forked:
            raise ForkedClientError(
                "this stream belongs to the process that was forked; start one of this process's own"
            )
        self.busy = True
        try:
            while True:
                try:
                    events = self.events
                    if self.waiting:
                        return self.waiting.pop(0)
                    if self.state == "new":
                        await self._begin()
                        continue
                    if self.state != "open":
                        return self._over()
                    if events is None:
                        event = await self.step()
                    elif (event := events.take()) is None:
                        event = await (self._conclude(events) if events.over else self._read(events))
                    if event is not None:
                        return event
                except BaseException as error:
                    if not await self._survives(error):
                        raise
        finally:
            self.busy = False

    async def _survives(self, error: BaseException) -> bool:
        """Whether the call goes on after this, at another provider. Else it has ended, or stands where it stood."""
        if not isinstance(error, HeadwaterError):
            if not (is_cancellation(error) and self.can_resume()):
                await self.abandon(error)
            if isinstance(error, StopAsyncIteration):
                raise no_end(error)
            return False
        if self.state == "closed":  # by somebody else, meanwhile
            raise self._left() from error
        if self.state in {"failed", "done"}:
            return False
        if self._goes_elsewhere(error):
            return True
        await self._fail(error)
        return False

    def can_resume(self) -> bool:
        """Whether a read that was cancelled can be made again."""
        step, events = self._step, self.events
        if self.state != "open" or self._is_in_thread:
            return self.state == "new"
        if self.on_request is not None:
            return False
        if events is not None:
            return events.lasts or events.over
        if isinstance(step, Send | Stream):
            question = isinstance(step, Send) and step.request.method == "GET"
            return self.requester.resumes(question=question)
        if isinstance(step, Fetch):
            return self._download is None or self._download.resumes
        return isinstance(step, Sleep | Cached | Recall | Remember | Replay) or (
            isinstance(step, Load) and source.kind_of(step.source) != "file"
        )

    def _over(self) -> End:
        """What is read of a call that has ended. Raises what it has failed with, `ClosedError` where it was left."""
        if self._failure is not None:
            raise self._failure
        if self.state == "closed":
            raise self._left()
        return END

    def _left(self) -> ClosedError:
        error = was_left()
        if self.events is not None and self.events.count:
            error.partial = redaction.without_secrets(self.events.fold.result(), self.plan.credentials.redact)
        return error

    async def result(self) -> Any:
        """Advance to the end, whatever comes meanwhile, and give the result. Cancelled, it leaves the call."""
        try:
            while await self.next_event() is not END:
                events = self.events
                if events is not None:
                    while events.take() is not None:
                        pass
        except HeadwaterError:
            raise
        except BaseException:
            await self.close()
            raise
        return self.value()

    async def _begin(self) -> None:
        requester, failover = self.requester, self.failover
        requester.start(self._timeout)  # before there is a plan: preparing takes time, and may fail
        self.state, self._is_in_thread = "open", False
        if failover is not None and self.candidate is None:
            self.candidate = failover.next()
        candidate = self.candidate
        if requester.watch is not None:
            self._tell_of_beginning(requester.watch)
        try:
            there = self._request.destination(0 if candidate is None else candidate.index)
            if not isinstance(there, Destination):
                there = await requester.within(there)
            plan = self._request.plan(there)
        except HeadwaterError:
            self.plan = Plan(
                task=self._request.task, provider=candidate.name if candidate else "", timeout=self._timeout
            )
            requester.begin(self.plan)
            raise
        except BaseException:
            self.state = "new"
            raise
        if failover is not None and failover.more:
            longest = min(plan.retries.longest, LONGEST_WAIT_BEFORE_FAILOVER_SECONDS)
            plan = replace(plan, retries=replace(plan.retries, longest=longest, until_loaded=False))
        self.plan = plan
        requester.begin(plan)
        self._advance(plan.flow.send, None)

    def _goes_elsewhere(self, error: HeadwaterError) -> bool:
        """Turn to the next provider of the caller's list, if nothing was handed over yet and another may do better."""
        failover, candidate, requester = self.failover, self.candidate, self.requester
        if failover is None or candidate is None:
            return False
        open_for, watch = failover.failed(candidate, error, begun=self.first_at is not None), requester.watch
        if open_for and watch is not None:
            watch.move_breaker(candidate.name, "open", open_for, requester.elapsed)
        if self.first_at is not None:
            return False
        requester.note(error)
        left = requester.deadlines.whole - requester.now()
        if not is_worth_another_provider(error, left) or self._may_have_bought(error):
            return False
        following = failover.next()
        if following is None:
            return False
        if not isinstance(error, CallError) and not requester.engine.retry_budget(following.name).take(error):
            return False  # nothing of a call that was not sent has to be paid for
        if watch is not None:
            watch.fail_over(candidate.name, following.name, error, requester.elapsed)
        self.candidate = following
        before = requester.deadlines
        requester.deadlines = Deadlines(self._timeout, before.began, requester.now(), before.lapsed)
        self.state, self._step, self.events, self._on_cancel = "new", None, None, None
        return True

    def _may_have_bought(self, error: HeadwaterError) -> bool:
        """Whether what failed is a job that the provider may have taken, which another one would be paid for again."""
        step = self._step
        lost = isinstance(error, TransportError) and error.sent
        late = isinstance(error, InferenceTimeoutError) and error.phase != "connect"
        return isinstance(step, Send) and not step.request.resend and (lost or late)

    async def step(self) -> Any:
        """One step of the flow; an event, where that gave one."""
        step = self._step
        value: Any
        if self.on_request is not None and isinstance(step, Send | Stream):
            self.on_request(step.request)
        try:
            if type(step) is Send and step.within is None:
                value = await self.requester.send(step.request)
            elif type(step) is Stream or isinstance(step, Replay):
                asked = self.requester
                self.events, first = await (asked.replay(step) if isinstance(step, Replay) else asked.open(step))
                self._then, self._rejoin = step.then, step.rejoin
                self._note_event()
                # It is the flow's last step, and nobody else is asked any more: what that took would be kept, and
                # looked at by the collector, for as long as the stream lasts.
                self.plan.flow.close()
                self.plan.flow, self._step, self._request = NO_FLOW, None, BEGUN
                self.files = None
                return first
            elif type(step) is Fetch:
                self._download = self._download or download.Download(self.requester, step, self.file)
                if (progress := await self._download.more()) is not None:
                    self._note_event()
                    return progress
                value, self._download = await self._download.media(), None
            else:
                value = await self._perform(step)
        except HeadwaterError as error:
            self._download = None
            self._advance(self.plan.flow.throw, error)
            return None
        except WaitsForModel as wait:
            return wait.event  # the step is taken up again where it waits
        if self.meter is not None and type(value) is Reply:
            self.meter.body = value.body
        large = value.body if type(value) is Reply else value.data if type(value) is Loaded else b""
        if len(large) > IN_THREAD_BYTES:
            await self._advance_in_thread(value)
        else:
            self._advance(self.plan.flow.send, value)
        return None

    def _advance(self, go: Callable[[Any], Step], value: Any) -> None:
        try:
            self._step = go(value)
            return
        except StopIteration as stop:
            self._result = stop.value
        except DecodeError as error:
            raise self._refused_instead(value) or error from None
        except HeadwaterError:  # some of ours are ValueErrors, too
            raise
        except MISREADINGS as error:
            raise self._refused_instead(value) or self._unreadable(error) from error
        self._finish()  # outside, or what fails there would have the answer in its traceback

    async def _advance_in_thread(self, value: Reply | Loaded) -> None:
        """Advance in a worker thread: decoding a large reply or encoding a large input would hold up all others."""
        from anyio import to_thread  # no plain call needs it

        def go() -> tuple[Step | None, Any]:
            try:
                return self.plan.flow.send(value), None
            except StopIteration as stop:
                return None, stop.value

        self._is_in_thread = True  # cancelled here, nobody knows how far the flow has come
        try:
            work = to_thread.run_sync(go, abandon_on_cancel=True)
            self._step, result = await self.requester.before_end(work)
            self._is_in_thread = False
        except DecodeError as error:
            raise self._refused_instead(value) or error from None
        except HeadwaterError:  # some of ours are ValueErrors, too
            raise
        except MISREADINGS as error:
            raise self._unreadable(error) from error
        if self._step is None:
            self._result = result
            self._finish()

    def _refused_instead(self, value: Any) -> ProviderError | None:
        """The refusal that an answer is in which the flow found nothing of its task's."""
        if isinstance(value, media.Media):
            head = bytes(value[:IN_THREAD_BYTES])
            value = Reply(status=self.requester.status, headers=self.requester.headers, body=head)
        if type(value) is not Reply or (error := error_in_place_of_answer(value.body)) is None:
            return None
        error.headers = value.headers
        return error

    def _unreadable(self, error: Exception) -> DecodeError:
        return DecodeError(
            f"{self.plan.provider}'s answer to {self.plan.task} is not what it answers with ({type(error).__name__})"
        )

    def _emit(self, event: JobEvent | EndpointState) -> None:
        from ..protocol.events import Submitted

        self.waiting.append(event)
        self._note_event()
        if type(event) is Submitted:
            self.submitted = event.job

    async def _perform(self, step: Step | None) -> Any:
        if type(step) is Send:
            if step.within is not None:
                return await self.requester.send_within(step.request, step.within)
            return await self.requester.send(step.request)
        if type(step) is Emit:
            self._emit(step.event)
        elif type(step) is OnCancel:
            self._on_cancel = step if step.request else None
        elif type(step) is Load:
            return await self._load(step)
        elif type(step) is Fetch:
            return await download.fetch(self.requester, step)
        elif type(step) is Sleep:
            await self.requester.sleep(step.seconds)
        elif type(step) is Cached:
            return await self.requester.cached(step, self._perform)
        elif type(step) is TrustOrigin:
            self._trust(step)
        elif type(step) is Recall:
            return await self._recall(step)
        elif type(step) is Remember:
            await self._remember(step)
        elif type(step) is PassOver:
            self.requester.pass_over(step.provider, step.error)
        return None

    async def _recall(self, step: Recall) -> Recalled:
        """What is kept for a request; where there is something the call is one that asks nobody."""
        found = await self.requester.before_end(step.store.recall(step.request, step.identity))
        if found.tape is not None:
            self.plan.cached = True
            self.requester.headers = found.tape.headers
        return found

    async def _remember(self, step: Remember) -> None:
        """Keep what the call brought. It was paid for: no deadline fails it now."""
        await step.store.remember(step.key, step.tape, self.requester.headers, self.plan.credentials.redact)

    def _trust(self, step: TrustOrigin) -> None:
        url, plan = parse_url(step.url), self.plan
        plan.credentials = plan.credentials.at(url)
        if step.sleeps:
            plan.sleepers |= {url.origin}

    async def _load(self, step: Load) -> Loaded:
        kind = source.kind_of(step.source)
        if kind != "file":
            return await load.load(self.requester, step, kind)
        self.files = self.files or load.Files()
        return await self.files.load(self.requester, step)

    # -- its stream

    async def _read(self, events: Events) -> Any:
        """Read the stream's next event; None at its end. The clock of its silence runs meanwhile, and only then."""
        if events.last is not None and events.has_last():
            return None
        requester = self.requester
        now, deadlines = requester.now, requester.deadlines
        begun, event = now(), None
        if begun >= deadlines.total:  # though more is there already, as it always is in a flood
            raise deadlines.passed("total", begun)
        until = moment = min(deadlines.total, begun + deadlines.idle - self._silent)
        watched, counted = deadlines.alive != FOREVER, until + deadlines.lapsed
        try:
            while event is None and not events.over:
                until = moment = counted - deadlines.lapsed  # a recording's pieces move it
                if watched:
                    moment = min(until, now() + deadlines.alive)
                if not events.wait_until(moment):
                    event = await events.within(moment, once=watched)
                else:
                    try:
                        event = events.feed(await events.receive())
                    except HeadwaterError as error:
                        events.stop(error)
                if event is None and not events.over and now() >= counted - deadlines.lapsed:
                    raise ReadDeadline  # comments without end are silence, too
        except ReadDeadline:
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
            error = (
                failures.incomplete_stream(self.plan, events, events.failure) if events.failure is not None else None
            )
        if error is not None:
            if await self._rejoins(events, error):
                return
            raise error
        following = None if self._then is None else self._then(events.fold)
        if isinstance(following, Remember):
            await self._perform(following)
            following = None
        if not self._goes_on(following):
            self._finish()
        if events.strays:
            warnings.warn(f"the answer is whole{failures.besides(self.plan, events)}", stacklevel=2)

    async def _rejoins(self, events: Events, error: HeadwaterError) -> bool:
        """Whether the call goes on with what the server still has of a stream that was cut; not without any retries."""
        if self._rejoin is None or not isinstance(error, IncompleteStreamError) or not self.plan.retries.most:
            return False
        flow = self._rejoin(events.fold)
        if flow is None:
            return False
        self.submitted = self.job
        await events.close()
        return self._goes_on(flow)

    def _goes_on(self, flow: Flow[Any] | None) -> bool:
        """Whether the call goes on with this flow, after a stream that was whole: then the first step is taken."""
        if flow is None:
            return False
        self.plan.flow, self.events, self._then, self._rejoin = flow, None, None, None
        self._advance(flow.send, None)
        return True

    def _wrong_end(self, events: Events) -> HeadwaterError | None:
        error = events.failure
        told: HeadwaterError | None = getattr(events.fold, "failure", None)
        if told is not None:
            return told  # why the answer failed, whatever became of the connection behind it
        if error is not None and not isinstance(error, TransportError):
            return error
        if (events.ended or error is None) and events.whole:
            return None
        if error is None and (unknown := getattr(events.fold, "unknown", None)):
            return failures.unknown_stream(self.plan, unknown)
        return failures.incomplete_stream(self.plan, events, error)

    def _note_event(self) -> None:
        if self.first_at is None:
            self.first_at = self.requester.now()
            self.requester.deadlines.first = FOREVER  # it has come: what a job's polls take is the total's affair
            if self.requester.watch is not None:
                self.requester.watch.first_event(self.plan.provider, self.requester.elapsed)

    # -- ending it

    async def close(self) -> None:
        """Leave the call: its socket is closed, and its job cancelled. Idempotent.

        In a forked child it does nothing: the call goes on in the parent.
        """
        if self.is_forked:
            return
        if self.state in {"new", "open"}:
            if self.first_at is not None:
                self._worked()
            await self.abandon()
        elif self._released is not None and not self._released.is_set():
            await self._released.wait()

    async def abandon(self, error: BaseException | None = None) -> None:
        """Leave it, though nothing is known of how its provider did; `error`: what its reading has ended with."""
        self.state = "closed"
        try:
            await self._release("cancelled")
        finally:
            if self.requester.watch is not None:
                self.tell_of_end(error)

    def put_back(self, event: Any) -> None:
        """Have this event be the next one, though it was read."""
        self.waiting.insert(0, event)

    def tell_of_hedge(self, attempts: list[Attempt], hedged: bool) -> None:
        """Know of the attempts at the same call that another driver has made."""
        self.requester.attempts, self.hedged = attempts, hedged
        if self._failure is not None:
            self._failure.attempts = tuple(attempts)
        self._attach()
        if self.requester.watch is not None and self.state not in ("new", "open"):
            self.tell_of_end()

    def _finish(self) -> None:
        self.state = "done"
        self._on_cancel = None
        self._ended_at = self.requester.now()
        self.outcome = "complete"
        if self.failover is not None:
            self._worked()
        if self.meter is not None:
            self._settle(self.meter, self.value())
        facts = self._attach()
        if self._elements is not None:
            self._hand_over()
        if self.requester.watch is not None:
            self.tell_of_end(facts=facts)

    def _settle(self, meter: CallMeter, answer: Any, failure: HeadwaterError | None = None) -> None:
        """Have the meter count what the call came to, once."""
        from ..cost.meter import CallEnd

        self.meter = None
        if answer is None and failure is not None:
            answer = failure.partial
        bought = answer is not None or self.job is not None or self._may_cost(failure)
        usage, tries = getattr(failure, "usage", None), getattr(failure, "tries", ())
        end = CallEnd(answer, self.requester.headers, usage, tries, bought, self.plan.cached)
        self.cost = meter.settle(self.plan.provider, end)

    def _may_cost(self, failure: HeadwaterError | None) -> bool:
        """Whether a call that brought nothing may have to be paid for: its provider took it, as far as is known."""
        if self.state == "done":
            return True
        if failure is None:
            return isinstance(self._step, Send | Stream)
        if isinstance(failure, TransportError):
            return failure.sent
        if isinstance(failure, InferenceTimeoutError):
            return failure.phase != "connect"
        return isinstance(failure, DecodeError | IncompleteStreamError)

    def _hand_over(self) -> None:
        """Have the parts of a result that came in one be the last events. One that goes to a file is not all here."""
        if self._elements is None or self.events is not None or self.file is not None:
            return
        parts = self._elements(self._result)
        self.waiting += parts
        if parts and self.first_at is None:
            self.first_at = self._ended_at

    def _worked(self) -> None:
        if self.failover is not None and self.candidate is not None and not self.plan.cached:
            closes, watch = self.failover.worked(self.candidate, stay=not self.hedged), self.requester.watch
            if closes and watch is not None:
                watch.move_breaker(self.candidate.name, "closed", 0.0, self.requester.elapsed)

    def _attach(self) -> Facts | None:
        if not hasattr(type(self._result), "facts"):
            return None
        facts = vars(self._result)["_facts"] = self.facts
        return facts

    async def _fail(self, error: HeadwaterError) -> None:
        self.state = "failed"
        self._failure = error
        self.requester.mask(error)
        self._ended_at = self.requester.now()
        if self.events is not None:
            error.partial = redaction.without_secrets(self.events.fold.result(), self.plan.credentials.redact)
            error.events_received = self.events.count
        self.requester.describe(error, self._ended_at)
        try:
            await self._release("truncated" if isinstance(error, IncompleteStreamError) else "error")
        finally:
            if self.requester.watch is not None:
                self.tell_of_end()

    # -- for whoever watches

    def _tell_of_beginning(self, watch: Watch) -> None:
        """Tell that the call begins, or that it turns to a provider whose breaker was open."""
        watch.begin()
        if self.candidate is not None and self.candidate.is_probe:
            self.candidate.is_probe = False
            watch.move_breaker(self.candidate.name, "half-open", 0.0, self.requester.elapsed)

    def tell_of_end(self, error: BaseException | None = None, facts: Facts | None = None) -> None:
        """Tell how the call has ended, unless it is one of a race, which goes on; `error`: what has ended its reading.

        A run that nobody holds any more was left, too.
        """
        watch = self.requester.watch
        if watch is None or self.on_request is not None:
            return
        outcome: CallOutcome = "success"
        if self.state == "failed":
            outcome, error = "error", self._failure
        elif self.state != "done":
            outcome, error = _left_by(error)
        left_job = self.outcome if self.outcome in ("detached", "unknown") else None
        events = self.events.count if self.events is not None else 0
        watch.end(
            outcome,
            facts or self.facts,
            self.value,
            error,
            events=events,
            left_job=left_job,
            seconds=self.requester.elapsed,
        )

    # -- letting go

    async def _release(self, outcome: Outcome) -> None:
        """Give back what the run holds; say how it was left. Whoever comes second waits for whoever was first: Ctrl-C
        ends the reading of a run, and its `with` block closes it."""
        if self._released is not None:
            await self._released.wait()
            return
        self._released = Event()
        if self.meter is not None:
            came = self.events.fold.result() if self.events is not None and self.events.count else None
            self._settle(self.meter, came, self._failure)
        left = outcome == "cancelled" or isinstance(self._failure, InferenceTimeoutError)
        self.outcome = "detached" if left and self.job is not None else outcome
        try:
            await self._let_go(left)
        finally:
            self._released.set()

    async def _let_go(self, left: bool) -> None:
        if self.requester.watch is not None:
            self.requester.watch.give_up_attempt(self.requester.elapsed)
        await self.requester.leave()
        events, step, download = self.events or self.requester.opened, self._on_cancel, self._download
        if left and self.events is not None and (told := getattr(self.events.fold, "on_cancel", None)) is not None:
            step = OnCancel(told)  # what was cut goes on, to be taken up again
        self._on_cancel = self._download = None
        if events is None and step is None and download is None:
            return
        with CancelScope(shield=True, deadline=self.requester.now() + RELEASE_SECONDS):
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
            await self.requester.once(step.request)
        except ProviderError:
            return "detached"
        except (HeadwaterError, InferenceTimeoutError):
            return "unknown"
        return "cancelled"


def _left_by(error: BaseException | None) -> tuple[CallOutcome, BaseException | None]:
    """How a call was left that had no end of its own; `error`: what came out of its reading."""
    if isinstance(error, Exception) and not is_cancellation(error):
        return "error", error
    cause = sys.exception() if error is None else error
    if cause is None or isinstance(cause, Exception | GeneratorExit):
        try:
            cancelled = cause is not None and is_cancellation(cause)
        except RuntimeError:  # no event loop runs any more
            cancelled = False
        return ("cancelled" if cancelled else "left"), None
    return "cancelled", None


def another_reader() -> CallError:
    """The error for a second reader."""
    return CallError("this run is being read by another task; a run has one reader at a time")


def was_left() -> ClosedError:
    """The error for reading what was closed."""
    return ClosedError("the run was left before its end, so there is no more of it; see .partial")
