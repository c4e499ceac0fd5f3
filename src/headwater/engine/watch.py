"""Tells a client's observers of one call. Where nobody observes there is no watch, and nothing here is entered.

The two drivers of a race have a watch each, of the same call: what they tell is numbered together, and the call ends
once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from ..auth.secret import check_headers
from ..errors import Attempt, HeadwaterError
from ..protocol.flow import Request
from ..protocol.url import parse_url
from .facts import CallRequest, Facts
from .logger import LOGGER
from .observer import (
    CURRENT_TOOL,
    AttemptBegun,
    AttemptEnded,
    BreakerMoved,
    BreakerState,
    CallBegun,
    CallEnded,
    CallOutcome,
    FailedOver,
    FirstEvent,
    Hedged,
    ObservedCall,
    ObservedConversation,
    Observer,
    ObserverEvent,
    RequestKind,
    WaitBegun,
    WaitReason,
)


def watched(
    request: CallRequest,
    model: str | None,
    providers: tuple[str, ...],
    parent: ObservedConversation | None,
    observers: Sequence[Observer],
) -> Watch:
    """What tells these of a call. `providers`: those that may be asked; `parent`: the conversation that makes it."""
    call = ObservedCall(
        task=request.task,
        model=model,
        parameters={**request.parameters, **request.extra},
        streams=request.stream,
        providers=providers,
        parent=parent or CURRENT_TOOL.get(),
    )
    return Watch(_Shared(call, observers))


def tell(observers: Sequence[Observer], event: ObserverEvent) -> None:
    """Tell them all; what one raises is logged, and harms nobody.

    So is a cancellation: who awaits nothing cannot be cancelled, and it comes from elsewhere. What ends the program
    does so once all are told.
    """
    end: BaseException | None = None
    for observer in observers:
        try:
            observer(event)
        except (KeyboardInterrupt, SystemExit) as error:
            end = error
        except BaseException:  # noqa: BLE001 - it is another's code, and what it raises is in the log
            name = getattr(observer, "__qualname__", type(observer).__qualname__)
            LOGGER.exception("the observer %s failed at %s; the call goes on", name, type(event).__name__)
    if end is not None:
        raise end


class _Shared:
    """What both watches of a race know. `attempts`: how many were begun."""

    __slots__ = ("attempts", "call", "has_begun", "has_event", "is_over", "observers")

    def __init__(self, call: ObservedCall, observers: Sequence[Observer]) -> None:
        self.call = call
        self.observers = observers
        self.attempts = 0
        self.has_begun = self.has_event = self.is_over = False


class Watch:
    """What one driver tells of its call. `added`: the headers that an observer wants to go with the attempt that is
    under way."""

    __slots__ = ("_hedged", "_open", "_shared", "added")

    def __init__(self, shared: _Shared, *, hedged: bool = False) -> None:
        self._shared, self._hedged = shared, hedged
        self._open: AttemptBegun | None = None
        self.added: tuple[tuple[str, str], ...] = ()

    def beside(self) -> Watch:
        """The watch of a second driver of the same call."""
        return Watch(self._shared, hedged=True)

    def begin(self) -> None:
        """The call begins, unless it has."""
        shared = self._shared
        if not shared.has_begun:
            shared.has_begun = True
            tell(shared.observers, CallBegun(call=shared.call))

    # -- attempts

    def begin_attempt(
        self, request: Request, kind: RequestKind, provider: str, redact: Callable[[str], str], seconds: float
    ) -> None:
        """A request is about to be sent; one whose wait was cancelled, and goes on, is still the same."""
        if self._open is not None:
            return
        shared = self._shared
        shared.attempts += 1
        url = redact(request.url.partition("?")[0].partition("#")[0])
        begun = AttemptBegun(
            call=shared.call,
            number=shared.attempts,
            provider=provider,
            method=request.method,
            url=url,
            origin=_origin(request.url),
            kind=kind,
            hedged=self._hedged,
            seconds=seconds,
            headers={},
        )
        self._open = begun
        tell(self._shared.observers, begun)
        self.added = _sendable(begun.headers) if kind == "request" and begun.headers else ()

    def end_attempt(
        self,
        attempt: Attempt | None,
        status: int | None,
        request_id: str | None,
        seconds: float,
        *,
        reads_on: bool = False,
    ) -> None:
        """The attempt that is under way has ended like this; None: it was answered."""
        begun, self._open, self.added = self._open, None, ()
        if begun is not None:
            tell(
                self._shared.observers,
                AttemptEnded(
                    call=begun.call,
                    number=begun.number,
                    attempt=attempt or Attempt(begun.provider, begun.number, begun.seconds, seconds - begun.seconds),
                    status=status,
                    request_id=request_id,
                    reads_on=reads_on,
                    seconds=seconds,
                ),
            )

    def fail_attempt(self, error: HeadwaterError, seconds: float) -> None:
        """The attempt that is under way has failed."""
        begun = self._open
        if begun is not None:
            status, took = getattr(error, "status", None) or None, seconds - begun.seconds
            attempt = Attempt(begun.provider, begun.number, begun.seconds, took, error, status)
            self.end_attempt(attempt, status, error.request_id, seconds)

    def give_up_attempt(self, seconds: float) -> None:
        """Nobody waits any more for the attempt that is under way, if one is."""
        begun = self._open
        if begun is not None:
            took = seconds - begun.seconds
            attempt = Attempt(begun.provider, begun.number, begun.seconds, took, cancelled=True)
            self.end_attempt(attempt, None, None, seconds)

    # -- between them

    def wait(
        self, reason: WaitReason, wait: float | None, provider: str, error: HeadwaterError | None, seconds: float
    ) -> None:
        """The call waits."""
        call = self._shared.call
        tell(
            self._shared.observers,
            WaitBegun(call=call, reason=reason, wait=wait, provider=provider, error=error, seconds=seconds),
        )

    def fail_over(self, provider: str, following: str, error: HeadwaterError, seconds: float) -> None:
        """The call turns to the next provider."""
        call = self._shared.call
        tell(
            self._shared.observers,
            FailedOver(call=call, provider=provider, following=following, error=error, seconds=seconds),
        )

    def hedge(self, provider: str, seconds: float) -> None:
        """A second attempt begins."""
        tell(self._shared.observers, Hedged(call=self._shared.call, provider=provider, seconds=seconds))

    def move_breaker(self, provider: str, state: BreakerState, open_for: float, seconds: float) -> None:
        """A provider's breaker has moved."""
        call = self._shared.call
        tell(
            self._shared.observers,
            BreakerMoved(call=call, provider=provider, state=state, open_for=open_for, seconds=seconds),
        )

    def first_event(self, provider: str, seconds: float) -> None:
        """The first event has come; one of a race's two tells of it."""
        shared = self._shared
        if not shared.has_event:
            shared.has_event = True
            tell(self._shared.observers, FirstEvent(call=shared.call, provider=provider, seconds=seconds))

    # -- its end

    def end(
        self,
        outcome: CallOutcome,
        facts: Facts,
        result: Callable[[], Any],
        error: BaseException | None,
        *,
        events: int,
        left_job: Literal["detached", "unknown"] | None,
        seconds: float,
    ) -> None:
        """The call is over; told once. `result`: what gives it, where it succeeded."""
        shared = self._shared
        if shared.is_over or not shared.has_begun:
            return
        self.give_up_attempt(seconds)
        shared.is_over = True
        value = result() if outcome == "success" else None
        tell(
            self._shared.observers,
            CallEnded(
                call=shared.call,
                outcome=outcome,
                facts=facts,
                result=value,
                error=error,
                events=events,
                left_job=left_job,
                seconds=seconds,
            ),
        )


def _origin(url: str) -> str:
    try:
        return parse_url(url).origin
    except HeadwaterError:
        return ""


def _sendable(headers: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """The headers that an observer added; none where one cannot be sent, which is logged."""
    try:
        return check_headers(headers)
    except HeadwaterError as error:
        LOGGER.error("what an observer added to a request is not sent: %s", error)
        return ()
