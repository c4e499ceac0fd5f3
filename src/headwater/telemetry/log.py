"""Calls in the log: an observer that writes one line for what is worth one, with the logger `headwater`.

At INFO what did not go straight: retries and other waits with their reasons, failovers, hedges, breakers. At DEBUG also
the calls themselves, their requests and answers, without bodies. No secret of a call is in what observers are told.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import Any, Final

from ..engine.logger import LOGGER
from ..engine.observer import (
    AttemptBegun,
    AttemptEnded,
    BreakerMoved,
    CallBegun,
    CallEnded,
    ConversationBegun,
    ConversationEnded,
    FailedOver,
    FirstEvent,
    Hedged,
    ObserverEvent,
    ToolBegun,
    ToolEnded,
    WaitBegun,
    outline_of,
)

VARIABLE: Final = "HEADWATER_LOG"
LEVELS: Final = ("debug", "info", "warning", "error")
"""Those that the library writes at; any other name of `logging` is taken as well."""
FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
LONGEST_TEXT: Final = 300
"""Characters of an error's text in a line."""


def log_event(event: ObserverEvent) -> None:
    """Write what this says, if anything does and its level is on."""
    row = _LINES.get(type(event))
    if row is not None and LOGGER.isEnabledFor(row[0]):
        LOGGER.log(row[0], "%s", _one_line(row[1](event)))


def _one_line(text: str) -> str:
    """The text without what a terminal would obey, or take for a line of its own: a server's words are in it, and a
    model's name, which may be anybody's."""
    return text if text.isprintable() else "".join(each if each.isprintable() else " " for each in text)


def _said(error: BaseException | None) -> str:
    text = " ".join(outline_of(error).split())
    return f"{type(error).__name__}: {text[:LONGEST_TEXT]}"


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _name(event: Any) -> str:
    call = event.call
    return f"{call.task} {call.model}" if call.model else str(call.task)


def _call_begun(event: CallBegun) -> str:
    asked = f" at {', '.join(event.call.providers)}" if event.call.providers else ""
    return f"{_name(event)} begins{asked}" + (" as a stream" if event.call.streams else "")


def _attempt_begun(event: AttemptBegun) -> str:
    what = {"request": "", "cancel": " (its job is cancelled)"}.get(event.kind, f" ({event.kind})")
    beside = " (hedge)" if event.hedged else ""
    return f"{_name(event)}: request {event.number} to {event.provider}: {event.method} {event.url}{what}{beside}"


def _attempt_ended(event: AttemptEnded) -> str:
    attempt = event.attempt
    how = "given up" if attempt.cancelled else f"answered {event.status or ''}".rstrip()
    how = how if attempt.error is None else f"failed ({_said(attempt.error)})"
    named = f", request id {event.request_id}" if event.request_id else ""
    return (
        f"{_name(event)}: request {event.number} to {attempt.provider} {how} after {_seconds(attempt.seconds)}{named}"
    )


def _wait_begun(event: WaitBegun) -> str:
    long = "" if event.wait is None else f"{_seconds(event.wait)} "
    if event.reason == "throttle":
        return f"{_name(event)}: waits {long}for its turn at {event.provider}, whose rate is limited here"
    if event.reason == "job":
        return f"{_name(event)}: waits {long}before it asks {event.provider} after its job again"
    why = "for the model to load" if event.reason == "model loading" else "before it tries again"
    return f"{_name(event)}: waits {long}{why} at {event.provider}: {_said(event.error)}"


def _first_event(event: FirstEvent) -> str:
    return f"{_name(event)}: first event from {event.provider} after {_seconds(event.seconds)}"


def _failed_over(event: FailedOver) -> str:
    return f"{_name(event)}: turns from {event.provider} to {event.following}: {_said(event.error)}"


def _hedged(event: Hedged) -> str:
    after = _seconds(event.seconds)
    return f"{_name(event)}: a second attempt begins at {event.provider}, for nothing has come after {after}"


def _breaker_moved(event: BreakerMoved) -> str:
    if event.state == "open":
        return f"{event.provider} fails again and again, and is left alone for {_seconds(event.open_for)}"
    if event.state == "half-open":
        return f"{event.provider} was left alone, and is tried again by one call ({_name(event)})"
    return f"{event.provider} answers again"


def _call_ended(event: CallEnded) -> str:
    how: str = event.outcome if event.error is None else f"{event.outcome} ({_said(event.error)})"
    used = event.usage
    counts = "" if used is None else f", {used.input} tokens in, {used.output} out"
    counts += f", {event.events} events" if event.events else ""
    job = {None: "", "detached": "; its job goes on", "unknown": "; whether its job goes on is not known"}
    asked = event.facts.provider
    return f"{_name(event)}: {how} after {_seconds(event.seconds)} at {asked}{counts}{job[event.left_job]}"


def _conversation_begun(event: ConversationBegun) -> str:
    return f"conversation {event.conversation.model or ''} begins, with {len(event.conversation.tools)} tools"


def _conversation_ended(event: ConversationEnded) -> str:
    why = "" if event.error is None else f" ({_said(event.error)})"
    return f"conversation {event.conversation.model or ''} {event.outcome}{why} after {event.turns} turns"


def _tool_begun(event: ToolBegun) -> str:
    return f"tool {event.tool.name} begins (turn {event.tool.turn})"


def _tool_ended(event: ToolEnded) -> str:
    why = "" if event.error is None else f" ({type(event.error).__name__})"
    return f"tool {event.tool.name} {event.outcome}{why}"


_LINES: Final[dict[type[Any], tuple[int, Callable[[Any], str]]]] = {
    CallBegun: (logging.DEBUG, _call_begun),
    AttemptBegun: (logging.DEBUG, _attempt_begun),
    AttemptEnded: (logging.DEBUG, _attempt_ended),
    WaitBegun: (logging.INFO, _wait_begun),
    FirstEvent: (logging.DEBUG, _first_event),
    FailedOver: (logging.INFO, _failed_over),
    Hedged: (logging.INFO, _hedged),
    BreakerMoved: (logging.INFO, _breaker_moved),
    CallEnded: (logging.DEBUG, _call_ended),
    ConversationBegun: (logging.DEBUG, _conversation_begun),
    ConversationEnded: (logging.DEBUG, _conversation_ended),
    ToolBegun: (logging.DEBUG, _tool_begun),
    ToolEnded: (logging.DEBUG, _tool_ended),
}


class _UnlessConfigured(logging.StreamHandler[Any]):
    """Writes to standard error for as long as the program has set up no logging of its own."""

    def emit(self, record: logging.LogRecord) -> None:
        if not logging.root.handlers:
            self.stream = sys.stderr  # as it is now
            super().emit(record)


_HANDLER: Final = _UnlessConfigured()
_HANDLER.setFormatter(logging.Formatter(FORMAT))


def set_up_log() -> None:
    """Do what `HEADWATER_LOG` says, once: its level, and a handler where the program has none."""
    wanted = os.environ.get(VARIABLE, "").strip()
    level = (
        int(wanted) if wanted.isdecimal() and len(wanted) < 4 else logging.getLevelNamesMapping().get(wanted.upper())
    )
    if not wanted or (level is None and _HANDLER in LOGGER.handlers):
        return
    if not LOGGER.handlers:
        LOGGER.addHandler(_HANDLER)  # the only one, so that two threads' first clients add it once
    if level is None:
        LOGGER.warning("%s must be one of %s, not %r", VARIABLE, ", ".join(LEVELS), wanted[:40])
    elif LOGGER.level == logging.NOTSET:
        LOGGER.setLevel(level)
