"""What an answer says of the limits that the caller is under, in the spellings of the vendors.

    x-ratelimit-{limit,remaining,reset}-{requests,tokens}[-minute]      OpenAI, Groq, Cerebras, Nebius
    anthropic-ratelimit-{requests,tokens,input-tokens}-{limit,remaining,reset}
    (x-)ratelimit-{limit,remaining,reset}                               Together, Replicate, an older IETF draft
    ratelimit: "api";r=99;t=30 with ratelimit-policy: "api";q=100;w=60  Hugging Face, the newer drafts
    ratelimit: limit=100, remaining=99, reset=30

https://platform.openai.com/docs/guides/rate-limits, https://docs.anthropic.com/en/api/rate-limits,
https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/. What lacks a part, or is not a number, is left
out: nothing is guessed. Limits of a day are left out as well: a batch is not spread over days.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Final, Literal, NamedTuple, TypeAlias

from .retry_after import moment, parse_number, parse_reset

Unit: TypeAlias = Literal["requests", "tokens"]

LONGEST_WINDOW_SECONDS: Final = 3600.0
"""A limit over more seconds than this is not spread over them."""
_NAME: Final = re.compile(
    r"(?:x-|anthropic-)?ratelimit"
    r"(?:-(?P<before>requests|tokens|input-tokens|output-tokens))?"
    r"-(?P<what>limit|remaining|reset)"
    r"(?:-(?P<after>requests|tokens)(?:-(?:minute|hour))?)?"
)
_PARTS: Final = re.compile(r"\b(r|remaining|t|reset|q|limit)=([0-9]{1,15}(?:\.[0-9]{1,15})?)")
_LONG: Final = {"r": "remaining", "t": "reset", "q": "limit"} | {word: word for word in ("remaining", "reset", "limit")}


class Limit(NamedTuple):
    """One limit: `remaining` units until it is reset in `reset` seconds; `limit` units in all, where that is said."""

    unit: Unit
    remaining: float
    reset: float
    limit: float | None


def limits_in(headers: Mapping[str, str], epoch: Callable[[], float]) -> list[Limit]:
    """The limits that these headers (by lower-case name) tell of; `epoch` gives the time as epoch seconds."""
    if "ratelimit" not in "\n".join(headers):  # every answer comes here, and few have them
        return []
    named = [name for name in headers if "ratelimit" in name]
    now = epoch()
    parts: dict[str, dict[str, float]] = {}
    for name in named:
        for key, what, number in _read(name, headers, now):
            parts.setdefault(key, {})[what] = number
    return [
        Limit("tokens" if "tokens" in key else "requests", found["remaining"], found["reset"], found.get("limit"))
        for key, found in parts.items()
        if "remaining" in found and 0 <= found.get("reset", -1) <= LONGEST_WINDOW_SECONDS
    ]


def _read(name: str, headers: Mapping[str, str], now: float) -> Iterator[tuple[str, str, float]]:
    """What one header says: which limit, which part of it, and the number."""
    text = headers[name]
    if name in ("ratelimit", "ratelimit-policy"):
        if text.count(";r=") <= 1:  # of several policies, which one counts is not said
            for word, number in _PARTS.findall(text):
                yield "ratelimit", _LONG[word], float(number)
        return
    match = _NAME.fullmatch(name)
    if match is None:
        return
    what = str(match["what"])
    key = match["before"] or match["after"] or "requests"
    value = seconds_until(text, now) if what == "reset" else parse_number(text.split(",")[0].split(";")[0])
    if value is not None:
        yield f"{key}{name.removeprefix('x-').count('-minute')}", what, value


def seconds_until(text: str, now: float) -> float | None:
    """Seconds until a reset that is named as a number, a duration, epoch seconds or a date; None for anything else."""
    seconds = parse_reset(text, now)
    if seconds is None and (then := moment_in(text)) is not None:
        seconds = max(0.0, then - now)
    return seconds


def moment_in(text: str) -> float | None:
    """A point in time as epoch seconds, in RFC 3339's form with a zone or in HTTP's; None for anything else."""
    text = text.strip()
    try:
        if text[:4].isdigit():
            then = datetime.fromisoformat(text)
            return then.timestamp() if then.tzinfo is not None else None
        return moment(text) if text else None
    except (ValueError, TypeError, OverflowError, OSError, IndexError):
        return None
