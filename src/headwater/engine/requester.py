"""One call's requests: sent under its deadlines, tried again where that may help, refusals made into errors.

It decides nothing about providers, and keeps the record of what was tried.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import anyio
import msgspec
from anyio import CancelScope, current_time

from ..auth.credentials import Credentials
from ..errors import Attempt, ErrorRequest, HeadwaterError, ModelLoadingError, ProviderError
from ..protocol.flow import Cached, Replay, Reply, Request, Step, Stream
from ..protocol.lazy import lazy_modules
from ..protocol.timeout import DEFAULT_TIMEOUT, Timeout
from ..protocol.transport import FOREVER, ReadDeadline, Transport, TransportRequest, TransportResponse
from ..protocol.url import Url
from ..responses.decode import unreadable
from ..responses.refusal import REQUEST_IDS, error_alone, set_retry_after, without_frame
from .body import ResponseBody, at_once, close_shielded
from .build_request import build_request
from .deadlines import Deadlines, Phase
from .engine import Engine
from .event_loop import is_cancellation, running_loop
from .facts import UNPREPARED, Plan, Timings
from .look_ups import play
from .retry import Raise, RetryBudget, decide

if TYPE_CHECKING:
    from ..auth import redaction  # noqa: TC004 - loaded when it is used, below
    from ..protocol.events import Loading
    from . import failures, openings, stored_answer, stream  # noqa: TC004 - loaded when it is used, below
    from .multipart import UploadBody
    from .observer import RequestKind, WaitReason
    from .stream import Events
    from .throttle import AttemptPermit, Throttle
    from .watch import Watch
else:
    globals().update(lazy_modules("headwater.auth", "redaction"))
    globals().update(lazy_modules(__package__, "failures openings stored_answer stream"))

T = TypeVar("T")
A = TypeVar("A")

SCALE_UP: Final = "x-scale-up-timeout"
MOST_HELD_SECONDS: Final = 600.0
"""How long the proxy of an Inference Endpoint holds a request at most."""
REFUSAL_SECONDS: Final = 2.0
"""How long a refusal's own words are waited for."""
MOST_UNANSWERED: Final = 100
"""Times in a row that a question is asked anew because the wait for its answer was cancelled, over a transport that
loses it then: a caller whose patience is always too short for the answer is told so."""
ROUNDED_SECONDS: Final = 0.01
"""By how much recorded seconds may be short of the deadline that ended them."""
_REQUEST_IDS: Final = frozenset(REQUEST_IDS)
NOT_BEGUN: Final = Deadlines(DEFAULT_TIMEOUT, 0.0)


class WaitsForModel(Exception):  # noqa: N818 - from the requester to the driver, which comes back
    """The call waits for a model to load, and its reader is to have this event first."""

    def __init__(self, event: Loading) -> None:
        super().__init__(event)
        self.event = event


class Requester:
    """The requests of one call. `watcher` is told when the call waits for a model to load; with `tells_of_loading` the
    call's reader is, too. `watch` tells those who observe the call."""

    # What a call begins with, and what most never have, is the class's, so that beginning one costs less.
    loop: object = None
    deadlines = NOT_BEGUN
    status = 0
    body: ResponseBody | None = None
    _size = 0  # of an answer that came at once, and has no `body`
    upload: UploadBody | None = None
    opened: Events | None = None
    _plan = UNPREPARED
    _answered_at: float | None = None
    _paused: Tries | None = None
    _phase: Phase = "total"
    _masked: HeadwaterError | None = None
    _awake_at: float | None = None
    _asked: TransportRequest | None = None  # whose answer is still to come
    _reading: _Reading | None = None
    _question: Request | None = None  # that those two belong to
    _begun: Request | None = None  # the newest attempt's
    _unanswered = 0  # questions in a row whose waiting was cancelled, and that had to be asked anew
    watcher: Callable[[Loading], object] | None = None
    tells_of_loading = False

    def __init__(self, engine: Engine, throttle: Throttle | None = None, watch: Watch | None = None) -> None:
        self.engine, self.throttle, self.watch = engine, throttle, watch
        self.now: Callable[[], float] = current_time
        self.attempts: list[Attempt] = []
        self.headers: dict[str, str] = {}

    def start(self, timeout: Timeout = DEFAULT_TIMEOUT) -> None:
        """Start the clocks, unless they run already."""
        if self.deadlines is not NOT_BEGUN:
            return
        # anyio asks which event loop runs each time that it is asked for the time: twenty times the cost of the answer
        self.loop, self.now = running_loop()
        self.deadlines = Deadlines(timeout, self.now())

    def begin(self, plan: Plan) -> None:
        """Take the plan; its limits count from the start."""
        self._plan = plan
        if plan.timeout is not self.deadlines.limits:
            before = self.deadlines
            self.deadlines = Deadlines(plan.timeout, before.began, before.turn, before.lapsed)
        if plan.own is not None:
            self.deadlines.narrow(plan.own)

    def transport(self, url: Url) -> Transport:
        """What carries requests to this URL."""
        return (self._plan.transport or self.engine.transport)(url)

    @property
    def request_id(self) -> str | None:
        """The newest answer's name for its request."""
        headers = self.headers
        if _REQUEST_IDS.isdisjoint(headers):
            return None
        return next(headers[name] for name in REQUEST_IDS if name in headers)

    def timings(self, first: float | None, ended: float | None) -> Timings:
        """Clock readings as seconds since the start."""
        began, answered = self.deadlines.began, self._answered_at
        return Timings(
            None if answered is None else answered - began,
            None if first is None else first - began,
            None if ended is None else ended - began,
        )

    def describe(self, error: HeadwaterError, now: float) -> None:
        """Give an error the facts of the call."""
        error.provider = error.provider or self._plan.provider
        error.model = error.model or self._plan.model
        error.task = error.task or self._plan.task
        error.request_id = error.request_id or self.request_id
        error.attempts = error.attempts or tuple(self.attempts)
        error.elapsed = now - self.deadlines.began
        if (asked := self._begun) is not None:
            error.request = ErrorRequest(asked.method, self._plan.credentials.redact(asked.url.partition("?")[0]))
        if isinstance(error, ProviderError) and error.limits is None:
            from ..responses.quota import rate_limits

            error.limits = rate_limits(error.headers or self.headers)

    def mask(self, error: HeadwaterError) -> None:
        """Take secrets out of a failure before anybody sees it: once, for what a refusal says is masked as it is read,
        and what was recorded may be raised."""
        redaction.redacted(error, self._plan.credentials.redact, is_masked=error is self._masked)
        self._masked = error

    # -- for downloads

    @property
    def credentials(self) -> Credentials:
        """What may go along, and where to."""
        return self._plan.credentials

    def record_response(self, incoming: TransportResponse) -> TransportResponse:
        """Take note of an answer."""
        self.headers = self._plan.credentials.clean(incoming.headers)
        self.status = incoming.status
        self._answered_at = self.now()
        return incoming

    def within(self, work: Awaitable[T]) -> Awaitable[T]:
        """Do this before the deadline for the answer."""
        return self._bounded("first_event", work)

    def before_end(self, work: Awaitable[T]) -> Awaitable[T]:
        """Do this before the call's deadline."""
        return self._bounded("total", work)

    def piece(self, body: ResponseBody) -> Awaitable[bytes]:
        """The next piece of a body, b"" at its end."""
        self.body = body
        phase: Phase = "alive" if self.deadlines.alive < self.deadlines.idle else "idle"
        return body.read() if body.ready() else self._bounded(phase, body.read())

    @property
    def size(self) -> int:
        """Decoded bytes of the newest answer so far."""
        return self._size if self.body is None else self.body.size

    async def wait_again(
        self, error: HeadwaterError, tries: int, request: Request, started: float | None = None, budget: str = ""
    ) -> None:
        """Wait before the next try; raises the error where there is none. With `started` the try is recorded."""
        if started is not None:
            self._record(tries, started, 0.0, error, self.now())
        self.fail_attempt(error)
        seconds = self._again(error, tries, request, self.engine.retry_budget(budget or self._plan.provider))
        await self.sleep(seconds, "retry", error)

    def note(self, error: HeadwaterError) -> None:
        """Record a failure that was none of a request's own: a missing key, an answer that cannot be read."""
        last = self.attempts[-1] if self.attempts else None
        if last is not None and last.error is None and last.provider == self._plan.provider:
            self.attempts[-1] = msgspec.structs.replace(last, error=error)
        elif last is None or last.error is not error:
            now = self.now()
            self._record(0, now, 0.0, error, now)

    def pass_over(self, provider: str, error: Exception) -> None:
        """Record that a provider was not asked, and why."""
        began = self.now() - self.deadlines.began
        self.attempts.append(Attempt(provider, 0, began, 0.0, error))  # type: ignore[arg-type]

    # -- steps

    def send(self, request: Request) -> Awaitable[Reply]:
        """The answer, its body read; tried again within the deadline."""
        return self._retrying(request, self._answer, request)

    async def send_within(self, request: Request, seconds: float) -> Reply:
        """The answer to one try of at most so many seconds."""
        tries, limit = Tries(made=1, started=self.now()), self.now() + seconds
        self._begun = request
        if self.watch is not None:
            self.begin_attempt(request)
        try:
            with CancelScope(deadline=min(limit, self.deadlines.total)):
                reply = await self._answer(request)
                self._on_answer(tries)
                return reply
            await self.leave()
            raise self.deadlines.passed_within(seconds, self.now())
        except HeadwaterError as error:
            self._on_failure(tries, error)
            raise

    def open(self, step: Stream[Any, Any]) -> Awaitable[tuple[Events, Any]]:
        """A stream and its first event; tried again until that has come."""
        return self._retrying(step.request, self._open, step)

    async def replay(self, step: Replay) -> tuple[Events, Any]:
        """A stream that was kept, and its first event; nobody is asked."""
        events = stream.Events(
            step.stream, stored_answer.StoredAnswer(step.stored), self.engine.bound(step.stream.request.limit)
        )
        return events, await events.first()

    async def once(self, request: Request) -> None:
        """One try, whose answer nobody reads, with no deadline of its own: it may be sent because the call's passed."""
        self.begin_attempt(request, "cancel")
        try:
            incoming = self.record_response(await self._transmitted(request, lapses=False))
            if not 200 <= incoming.status < 300:
                raise await self.refusal(request, incoming)
            try:
                body = ResponseBody(incoming, self.engine.bound(request.limit))
                while await body.read():
                    pass
            except BaseException:
                await close_shielded(incoming)
                raise
        except HeadwaterError as error:
            self.fail_attempt(error)
            raise
        self.end_attempt()

    async def sleep(self, seconds: float, reason: WaitReason = "job", error: HeadwaterError | None = None) -> None:
        """Wait, under the total deadline; one that was cancelled goes on until its own moment."""
        if self._awake_at is None:
            self._awake_at = self.now() + (seconds if self.engine.real_waits else 0)
            if self.engine.counts_waits:
                self.deadlines.lapse(seconds)
            if self.watch is not None:
                self._tell_wait(reason, seconds, error)
        try:
            await self._bounded("total", anyio.sleep(max(0.0, self._awake_at - self.now())))
        except HeadwaterError:
            self._awake_at = None
            raise
        self._awake_at = None

    async def cached(self, step: Cached, perform: Callable[[Step | None], Awaitable[Any]]) -> Any:
        """The flow's result, from the client's cache where that is fresh."""
        told, self.tells_of_loading = self.tells_of_loading, False  # its flow cannot stand still meanwhile
        try:
            return await self.engine.cache.get(step.key, step.seconds, time.monotonic, lambda: play(step, perform))
        finally:
            self.tells_of_loading = told

    # -- for whoever watches

    @property
    def elapsed(self) -> float:
        """Seconds since the call began; 0 where no event loop runs any more."""
        try:
            return self.now() - self.deadlines.began
        except RuntimeError:
            return 0.0

    def begin_attempt(self, request: Request, kind: RequestKind = "request") -> None:
        """Tell that this is about to be sent."""
        if self.watch is not None:
            plan = self._plan
            self.watch.begin_attempt(request, kind, plan.provider, plan.credentials.redact, self.elapsed)

    def end_attempt(self, attempt: Attempt | None = None, *, reads_on: bool = False) -> None:
        """Tell how the request that was sent has ended; None: it was answered."""
        if self.watch is not None:
            error = None if attempt is None else attempt.error
            status = (self.status or None) if error is None else attempt.status if attempt is not None else None
            request_id = self.request_id if error is None else error.request_id
            self.watch.end_attempt(attempt, status, request_id, self.elapsed, reads_on=reads_on)

    def fail_attempt(self, error: HeadwaterError) -> None:
        """Tell what the request that was sent has failed with."""
        if self.watch is not None:
            self.mask(error)
            self.watch.fail_attempt(error, self.elapsed)

    def _tell_wait(self, reason: WaitReason, seconds: float | None, error: HeadwaterError | None) -> None:
        assert self.watch is not None
        if type(error) is ModelLoadingError:
            reason = "model loading"
        self.watch.wait(reason, seconds, self._plan.provider, error, self.elapsed)

    # -- attempts

    async def _retrying(self, request: Request, send: Callable[[A], Awaitable[T]], argument: A) -> T:
        tries = await self._resumed() if self._paused is not None else Tries()
        while True:
            if self.throttle is not None:
                tries.permit = self.throttle.ready(self._plan.provider) or await self._admission(self.throttle)
            tries.made += 1
            tries.started = self.now()
            self._begun = request
            if self.watch is not None:
                self.begin_attempt(request)
            try:
                answer = await send(argument)
            except HeadwaterError as error:
                failure = error
            else:
                self._on_answer(tries, reads_on=type(argument) is Stream)
                return answer
            self._on_failure(tries, failure)
            budget = None if tries.is_held_back else self.engine.retry_budget(self._plan.provider)
            tries.waited = self._again(failure, tries.own, request, budget)
            self._paused = tries
            self._tell_of(failure, tries.waited)
            await self._resumed()

    def _tell_of(self, error: HeadwaterError, seconds: float) -> None:
        """Say that a cold model is waited for: to the watcher, and to whoever reads the call."""
        if type(error) is not ModelLoadingError or not (self.watcher or self.tells_of_loading):
            return
        from ..protocol import events

        event = events.Loading(seconds, error.server_message)
        if self.watcher is not None:
            self.watcher(event)
        if self.tells_of_loading:
            raise WaitsForModel(event)

    def _on_answer(self, tries: Tries, *, reads_on: bool = False) -> None:
        """Tell the throttle, the retry budget and the record of a try that was answered; `reads_on`: with a stream."""
        now = self.now()
        if tries.permit is not None:
            tries.permit.answered(self.headers, now - tries.started, now)
        budget = self.engine.retry_budgets.get(self._plan.provider)
        if budget is not None and tries.made == 1:  # one that nobody has asked for is full
            budget.succeed()
        is_recorded = not self.attempts or self.attempts[-1].error is not None
        if is_recorded:
            self._record(tries.made, tries.started, tries.waited, None, now)
        if self.watch is not None:
            self.end_attempt(self.attempts[-1] if is_recorded else None, reads_on=reads_on)

    def _on_failure(self, tries: Tries, error: HeadwaterError) -> None:
        """Tell the record and the throttle of a try that failed."""
        self._take_hint(error)
        now = self.now()
        self._record(tries.made, tries.started, tries.waited, error, now)
        if self.watch is not None:
            self.end_attempt(self.attempts[-1])
        tries.is_held_back = tries.permit is not None and tries.permit.failed(error, now - tries.started)
        tries.held_back += tries.is_held_back

    async def _admission(self, throttle: Throttle) -> AttemptPermit:
        """Wait for leave to make the next try; the call's total runs meanwhile."""
        if self.watch is not None:
            self._tell_wait("throttle", None, None)
        return await self._bounded("total", throttle.admit(self._plan.provider))

    def _take_hint(self, error: HeadwaterError) -> None:
        """Where nobody had a clock when the refusal was read, as inside a 200 answer."""
        if isinstance(error, ProviderError) and error.retryable and error.retry_after is None:
            set_retry_after(error, self.headers, time.time())

    async def _resumed(self) -> Tries:
        """Wait for the next try, again where that was cancelled; the tries so far."""
        assert self._paused is not None
        tries = self._paused
        try:
            await self.sleep(tries.waited, "retry", self.attempts[-1].error if self.attempts else None)
        except HeadwaterError:
            self._paused = None
            raise
        self._paused = None
        return tries

    def resumes(self, *, question: bool) -> bool:
        """Whether a request whose wait was cancelled can be waited for again: it is not under way, or its answer can be
        waited for. Any other is given up, and would be made twice; a question is asked again a few times."""
        is_kept = self._asked is not None or self._reading is not None
        return (
            is_kept
            or self._paused is not None
            or self.opened is not None
            or (question and self._unanswered < MOST_UNANSWERED)
        )

    async def leave(self) -> None:
        """Give up the question that waits for its answer, if there is one."""
        asked, self._asked = self._asked, None
        reading, self._reading = self._reading, None
        self._question = None
        if asked is not None and asked.pending is not None:
            asked.pending.close()
        if reading is not None:
            await close_shielded(reading.incoming)

    def drop(self) -> None:
        """The same from any thread, or a finalizer."""
        if self._asked is not None and self._asked.pending is not None:
            self._asked.pending.drop()
        if self._reading is not None:
            self._reading.incoming.drop()

    def _record(self, tries: int, started: float, waited: float, error: HeadwaterError | None, now: float) -> None:
        if error is not None:
            self.mask(error)
        status = error.status if isinstance(error, ProviderError) else None
        began, seconds = started - self.deadlines.began, now - started
        self.attempts.append(Attempt(self._plan.provider, tries, began, seconds, error, status, waited))

    def _again(self, error: HeadwaterError, tries: int, request: Request, budget: RetryBudget | None) -> float:
        """Seconds to wait before the next try; raises the error where there is none."""
        from random import random

        left = min(self.deadlines.total, self.deadlines.first) - self.now()
        rand = random() if self.engine.spreads else 0.5  # noqa: S311 - spreads retries, guards nothing
        policy, unique = self._plan.retries, request.unique
        verdict = decide(error, tries, left, policy, resend=request.resend, rand=rand, unique=unique)
        if isinstance(verdict, Raise) or (budget is not None and not budget.take(error)):
            raise error
        return verdict.after

    async def _answer(self, request: Request) -> Reply:
        if request.method == "GET":
            reply = await self._answer_to_question(request)
        else:
            incoming = self.record_response(await self._bounded("first_event", self._transmitted(request)))
            if not 200 <= incoming.status < 300:
                raise await self.refusal(request, incoming)
            try:
                reply = await self._whole(request, incoming)
            except BaseException:
                await close_shielded(incoming)
                raise
        if request.opaque:
            return reply
        reply = without_frame(reply)
        if (refused := error_alone(reply)) is not None and refused.retryable:
            raise refused  # one more try may be answered; any other refusal is for the flow to read
        return reply

    async def _answer_to_question(self, request: Request) -> Reply:
        """The answer, whose waiting can be cancelled and gone on with, where its transport can do that."""
        if self._question is not None and self._question != request:  # a flow that is played anew asks from its start
            await self.leave()
        self._question = None
        reading, self._reading = self._reading, None
        if reading is None:
            reading = await self._head(request)
        try:
            while piece := await self.piece(reading.body):
                if not reading.pieces:
                    self._check_opening(request, reading.incoming, piece)
                reading.pieces.append(piece)
            reading.body.check_end()
        except BaseException as error:
            if reading.lasts and is_cancellation(error):
                self._reading, self._question = reading, request  # the rest is still to come
            else:
                self._unanswered += 1
                await close_shielded(reading.incoming)
            raise
        self._unanswered = 0
        body = b"".join(reading.pieces)
        return Reply(status=reading.incoming.status, headers=self.headers, body=body, url=request.url)

    async def _head(self, request: Request) -> _Reading:
        try:
            incoming = await self._bounded("first_event", self._ask(request))
        except HeadwaterError:  # a limit of ours has cancelled it
            await self.leave()
            raise
        except BaseException:
            self._question = None if self._asked is None else request
            self._unanswered += self._asked is None
            raise
        try:
            if not 200 <= incoming.status < 300:
                raise await self.refusal(request, incoming)
            return _Reading(incoming, self.engine.bound(request.limit))
        except BaseException:
            await close_shielded(incoming)
            raise

    async def _ask(self, request: Request) -> TransportResponse:
        going, self._asked = self._asked, None
        if going is None:
            going = build_request(request, self._plan.credentials, self.deadlines.limits.connect)
            going.loop, going.kept, self.upload = self.loop, True, None
            if self.engine.counts_waits:
                going.lapse = self.lapse
            if self.watch is not None:
                self._add_headers(self.watch, going)
        try:
            incoming = await self.transport(going.url).send(going)
        except BaseException:
            self._asked = going if going.pending is not None else None
            raise
        return self.record_response(incoming)

    async def _open(self, step: Stream[Any, Any]) -> tuple[Events, Any]:
        events, self.opened = self.opened, None
        if events is None:
            events = await self._answered(step)
        try:
            event = await self._first(events)
            if event is None:
                raise await failures.empty_stream(self._plan, events, self._reading_until())
        except BaseException as error:
            if events.lasts and is_cancellation(error):
                self.opened = events  # its first event is still to come
            else:
                await close_shielded(events.incoming)
            raise
        return events, event

    async def _first(self, events: Events) -> Any:
        """The first event, by its deadline, and with no silence longer than a server that lives may keep."""
        deadlines, event = self.deadlines, None
        if deadlines.alive == FOREVER:
            return await self._bounded("first_event", events.first())
        limit = min(deadlines.total, deadlines.first)
        while event is None and not events.over:
            moment = min(limit, self.now() + deadlines.alive)
            try:
                event = await events.within(moment, once=True)
            except ReadDeadline:
                raise deadlines.passed("first_event" if moment == limit else "alive", self.now()) from None
        return event

    async def _answered(self, step: Stream[Any, Any]) -> Events:
        incoming = self.record_response(await self._bounded("first_event", self._transmitted(step.request)))
        if not 200 <= incoming.status < 300:
            raise await self.refusal(step.request, incoming)
        try:
            return stream.Events(step, incoming, self.engine.bound(step.request.limit))
        except BaseException:
            await close_shielded(incoming)
            raise

    def _transmitted(self, request: Request, *, lapses: bool = True) -> Awaitable[TransportResponse]:
        """The answer to the request, which goes out once this is awaited; `lapses`: under the call's deadlines."""
        going = build_request(request, self._plan.credentials, self.deadlines.limits.connect)
        going.loop = self.loop
        if lapses and self.engine.counts_waits:
            going.lapse = self.lapse
        self.upload = None if isinstance(going.body, bytes) else cast("UploadBody", going.body)
        if self._plan.sleepers:
            self._ask_to_be_held(going)
        if self.watch is not None:
            self._add_headers(self.watch, going)
        return self.transport(going.url).send(going)

    def _ask_to_be_held(self, going: TransportRequest) -> None:
        """Ask the proxy of a server that has scaled to zero to hold the request until it is up, as long as the call may
        take; not where another provider may answer meanwhile.

        https://huggingface.co/docs/inference-endpoints/guides/autoscaling
        """
        seconds = min(self.deadlines.total, self.deadlines.first) - self.now()
        plan = self._plan
        is_named = any(name.lower() == SCALE_UP for name, _ in going.headers)
        if going.url.origin in plan.sleepers and plan.retries.until_loaded and seconds >= 1 and not is_named:
            going.headers = [*going.headers, (SCALE_UP, str(int(min(seconds, MOST_HELD_SECONDS))))]
            going.head = None  # it is shared by the requests that have no such header

    def _add_headers(self, watch: Watch, going: TransportRequest) -> None:
        """Let the request carry what an observer wants to go with it."""
        if watch.added:
            names = {name for name, _ in watch.added}
            going.headers = [pair for pair in going.headers if pair[0].lower() not in names] + [*watch.added]
            going.head = None  # it is shared by the requests that have none of these

    # -- bodies

    async def _whole(self, request: Request, incoming: TransportResponse) -> Reply:
        limit, body = self.engine.bound(request.limit), None
        whole = at_once(incoming, limit)
        if whole is None:
            self.body = body = ResponseBody(incoming, limit)
            pieces: list[bytes] = []
            while piece := await self.piece(body):
                if not pieces:
                    self._check_opening(request, incoming, piece)
                pieces.append(piece)
            whole = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        else:
            self.body, self._size = None, len(whole)
            if whole[:1] != b"{":  # as nearly all begin
                self._check_opening(request, incoming, whole)
        if incoming.surplus:
            (body or ResponseBody(incoming, limit)).check_end()
        return Reply(status=incoming.status, headers=self.headers, body=whole, url=request.url)

    def _check_opening(self, request: Request, incoming: TransportResponse, piece: bytes) -> None:
        """Raise the error for an answer that is none, by its first bytes; nearly all begin with an object."""
        if piece[:1] != b"{" and not request.opaque and openings.is_another(request, incoming, piece):
            head = Reply(status=incoming.status, headers=self.headers, body=piece, url=request.url)
            raise unreadable(head, media=openings.other_media(request.family, piece))

    async def refusal(self, request: Request, incoming: TransportResponse) -> HeadwaterError:
        """The error that an answer is that is none."""
        self._masked = error = await failures.read_refusal(self._plan, request, incoming, self._reading_until())
        return error

    def _reading_until(self) -> float:
        return min(self.deadlines.total, self.deadlines.first, self.now() + REFUSAL_SECONDS)

    # -- clocks

    def lapse(self, seconds: float, *, silent: float | None = None) -> bool:
        """Have so many seconds of a recording passed; see `Lapse`."""
        deadlines = self.deadlines
        deadlines.lapse(seconds)
        if silent is None:
            return False
        left = min(deadlines.total, deadlines.first) - self.now()
        if left <= ROUNDED_SECONDS:
            deadlines.lapse(max(0.0, left) + ROUNDED_SECONDS)  # it was over, and is
            return True
        return self._phase in ("idle", "alive") and silent + ROUNDED_SECONDS >= min(deadlines.idle, deadlines.alive)

    def _bounded(self, phase: Phase, work: Awaitable[T]) -> Awaitable[T]:
        """Do this within the phase's limit and the total; `InferenceTimeoutError` where it does not end in time."""
        deadlines, self._phase = self.deadlines, phase
        limit = deadlines.total
        if phase == "first_event":
            limit = min(limit, deadlines.first)
        elif phase == "idle":
            limit = min(limit, self.now() + deadlines.idle)
        elif phase == "alive":
            limit = min(limit, self.now() + deadlines.alive)
        return work if limit == FOREVER else self._until(limit, phase, work)

    async def _until(self, limit: float, phase: Phase, work: Awaitable[T]) -> T:
        try:
            with CancelScope(deadline=limit):
                return await work
        except ReadDeadline:  # of a recording, in which this limit was over
            pass
        raise self.deadlines.passed(phase, self.now())


class _Reading:
    """An answer that is being read whole. `lasts`: a cancelled read loses nothing, and another may follow."""

    __slots__ = ("body", "incoming", "lasts", "pieces")

    def __init__(self, incoming: TransportResponse, limit: int) -> None:
        self.incoming = incoming
        self.lasts = hasattr(incoming, "kept")
        if self.lasts:
            incoming.kept = True  # type: ignore[attr-defined]
        self.body = ResponseBody(incoming, limit)
        self.pieces: list[bytes] = []


class Tries(msgspec.Struct):
    """The tries of one request.

    `made`: how many. `held_back`: after how many of them the throttle held back the next one, with those of all other
    calls, and `is_held_back` whether it did after the newest. `waited`: the seconds before the newest, which was
    `started` at that moment on the event loop's clock. `permit`: the throttle's.
    """

    made: int = 0
    held_back: int = 0
    is_held_back: bool = False
    waited: float = 0.0
    started: float = 0.0
    permit: AttemptPermit | None = None

    @property
    def own(self) -> int:
        """How many tries count against the request itself."""
        return max(1, self.made - self.held_back)
