"""Reads an answer that is none: a refusal, or something else than was asked for. Briefly, and never much of it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from anyio import CancelScope
from msgspec import UNSET

from ..errors import HeadwaterError, IncompleteStreamError, MalformedEventError, TransportError, UnexpectedContentError
from ..protocol.flow import Reply, Request
from ..protocol.framing import EVENT_STREAM
from ..protocol.json_value import encoded
from ..protocol.transport import FOREVER, ReadDeadline, TransportResponse
from ..protocol.url import parse_url
from ..responses.message import for_refusal, one_line
from ..responses.refusal import EXCERPT_BYTES, error_from_response, error_in_place_of_answer
from .body import ResponseBody, close_shielded
from .codings import is_text
from .facts import Plan
from .openings import NoStreamError, media_type
from .stream import Events

REFUSAL_BYTES: Final = 64 * 1024
EXCERPT_CHARS: Final = 512


async def read_refusal(plan: Plan, request: Request, incoming: TransportResponse, until: float) -> HeadwaterError:
    """The error that a refusal is; its words are read until that time at the latest, and it is closed."""
    unread: list[HeadwaterError] = []
    try:
        body = await _excerpt(ResponseBody(incoming, FOREVER).read, until, unread=unread)
    finally:
        await close_shielded(incoming)
    reply = Reply(status=incoming.status, headers=incoming.headers, body=body, url=request.url)
    redact = plan.credentials.redact
    refusal = error_from_response(
        reply,
        provider=plan.provider,
        model=plan.model,
        redact=redact,
        now=time.time(),
        keys=plan.keys,
        sleeps=bool(plan.sleepers) and parse_url(request.url).origin in plan.sleepers,
    )
    refusal.__cause__ = next(iter(unread), None)
    return refusal


async def empty_stream(plan: Plan, events: Events, until: float) -> HeadwaterError:
    """The error for a stream that is over before its first event: cut, empty, no stream at all, or what was wrong with
    that event. What is no stream is read for its words, until that time at the latest."""
    cause, kind = events.failure, media_type(events.incoming)
    if isinstance(cause, NoStreamError):
        return _no_stream(plan, kind, await _excerpt(events.receive, until, cause.head))
    if isinstance(cause, MalformedEventError) and kind not in {"", EVENT_STREAM}:
        return _no_stream(plan, kind, cause.body)
    if cause is not None and not isinstance(cause, TransportError):
        return cause
    if cause is None and (events.ended or events.strays or not events.size):
        what = "a stream without a single event" if events.ended or events.strays else "an empty stream"
        error = UnexpectedContentError(f"{plan.provider} answered {plan.task} with {what}{besides(plan, events)}")
        error.body = plan.credentials.redact(events.strays.decode(errors="replace")).encode()
        return error
    lost = incomplete_stream(plan, events, cause)
    lost.retryable = cause is not None  # a server that ends its answer there is likely to do so again
    return lost


def _no_stream(plan: Plan, content_type: str, data: bytes) -> HeadwaterError:
    """The error for an answer that is no stream: the error that it holds, or that it is none."""
    redact = plan.credentials.redact
    if data and (held := error_in_place_of_answer(data, provider=plan.provider, redact=redact)) is not None:
        return held
    what = "an empty body" if not data else content_type or "no content type"
    words = _words(plan, data)
    error = UnexpectedContentError(
        f"{plan.provider} answered a request for a stream with {what}; is the URL right, and can this server stream?"
        + (f" It said {words!r}" if words else "")
    )
    error.body = redact(data[:EXCERPT_CHARS].decode("utf-8", "replace")).encode()
    return error


def incomplete_stream(plan: Plan, events: Events, cause: HeadwaterError | None) -> IncompleteStreamError:
    """The error for a stream that stopped before its end."""
    unmarked = events.ended and cause is None
    how = "ended without a finish reason" if unmarked else "stopped before its end"
    hint = "; where the server never sends one, pass done_ends_stream=True" if unmarked else ""
    error = IncompleteStreamError(
        f"{plan.provider}'s stream {how}, after {events.count} events{hint}"
        + (f": {cause.message}" if cause else "")
        + besides(plan, events)
    )
    error.__cause__ = cause
    return error


def unknown_stream(plan: Plan, said: dict[str, Any]) -> MalformedEventError:
    """The error for a stream that ended and said nothing of an answer, but this."""
    body = encoded(said)[:EXCERPT_BYTES]
    quoted = plan.credentials.redact(one_line(body.decode(errors="replace")))
    error = MalformedEventError(f"{plan.provider}'s stream has nothing of an answer; it says {quoted}")
    error.body = body
    return error


def besides(plan: Plan, events: Events) -> str:
    """What a stream said that was no event, such as a proxy's words."""
    said = _words(plan, events.strays)
    return f"; it said {said!r}" if said else ""


def _words(plan: Plan, data: bytes) -> str:
    """What a text says, in one line; of a page its title, and nothing of what is no text."""
    said = for_refusal("", data, UNSET, {}) if is_text(data) else None
    return plan.credentials.redact(said or "")[:EXCERPT_CHARS]


async def _excerpt(
    read: Callable[[], Awaitable[bytes]],
    until: float,
    pieces: bytes = b"",
    *,
    unread: list[HeadwaterError] | None = None,
) -> bytes:
    with CancelScope(deadline=until):
        try:
            while len(pieces) < REFUSAL_BYTES and (piece := await read()):
                pieces += piece
        except ReadDeadline:  # of a recording
            pass
        except HeadwaterError as error:  # the refusal matters more than how its text ended
            if unread is not None:
                unread.append(error)
    return pieces[:REFUSAL_BYTES]
