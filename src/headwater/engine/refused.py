"""Reads an answer that is none: a refusal, or something else than was asked for. Briefly, and never much of it."""

from __future__ import annotations

import time
from typing import Final

from anyio import CancelScope

from ..errors import HeadwaterError, IncompleteStreamError, TransportError, UnexpectedContentError
from ..flow import Reply, Request
from ..refusals import in_band, refusal
from ..server_words import line
from ..wire import FOREVER, Incoming
from .body import Body
from .facts import Plan
from .streaming import Events

SIZE: Final = 64 * 1024
EXCERPT: Final = 512


async def refused(plan: Plan, request: Request, incoming: Incoming, until: float) -> HeadwaterError:
    """The error that a refusal is; its words are read until that time at the latest."""
    body = await _excerpt(incoming, until)
    reply = Reply(status=incoming.status, headers=incoming.headers, body=body, url=request.url)
    redact = plan.credentials.redact
    return refusal(reply, provider=plan.provider, model=plan.model, redact=redact, now=time.time(), keys=plan.keys)


async def unexpected(plan: Plan, incoming: Incoming, content_type: str, until: float) -> HeadwaterError:
    """The error for an answer that is no stream: the error that it holds, or that it is none."""
    data = await _excerpt(incoming, until)
    redact = plan.credentials.redact
    held = in_band(data, provider=plan.provider, redact=redact) if data else None
    if held is not None:
        return held
    what = "an empty body" if not data else content_type or "no content type"
    error = UnexpectedContentError(
        f"{plan.provider} answered a request for a stream with {what}; is the URL right, and can this server stream?"
    )
    error.body = redact(data[:EXCERPT].decode("utf-8", "replace")).encode()
    return error


def unbegun(plan: Plan, events: Events) -> HeadwaterError:
    """The error for a stream that is over before its first event: cut, empty, or what was wrong with that event."""
    cause = events.failure
    if cause is not None and not isinstance(cause, TransportError):
        return cause
    if cause is None and (events.ended or events.strays or not events.size):
        what = "a stream without a single event" if events.ended or events.strays else "an empty stream"
        none = UnexpectedContentError(f"{plan.provider} answered {plan.task} with {what}{besides(plan, events)}")
        none.body = plan.credentials.redact(events.strays.decode(errors="replace")).encode()
        return none
    error = cut(plan, events, cause)
    error.retryable = cause is not None  # a server that ends its answer there is likely to do so again
    return error


def cut(plan: Plan, events: Events, cause: HeadwaterError | None) -> IncompleteStreamError:
    """The error for a stream that stopped before its end."""
    how = "ended without a finish reason" if events.ended and cause is None else "stopped before its end"
    error = IncompleteStreamError(
        f"{plan.provider}'s stream {how}, after {events.count} events"
        + (f": {cause.message}" if cause else "")
        + besides(plan, events)
    )
    error.__cause__ = cause
    return error


def besides(plan: Plan, events: Events) -> str:
    """What a stream said that was no event, such as a proxy's words."""
    said = line(plan.credentials.redact(events.strays.decode(errors="replace")))
    return f"; it said {said!r}" if said else ""


async def give_up(incoming: Incoming) -> None:
    """Close an answer, whatever else is being cancelled."""
    with CancelScope(shield=True):
        await incoming.aclose()


async def _excerpt(incoming: Incoming, until: float) -> bytes:
    pieces = b""
    with CancelScope(deadline=until):
        try:
            body = Body(incoming, FOREVER)
            while len(pieces) < SIZE and (piece := await body.read()):
                pieces += piece
        except HeadwaterError:
            pass  # the refusal matters more than how its text ended
    await give_up(incoming)
    return pieces[:SIZE]
