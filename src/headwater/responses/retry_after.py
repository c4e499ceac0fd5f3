"""When a server says to come back, in every spelling that servers use: seconds from now, or None.

It never guesses: nan, infinity, negative numbers and words count as nothing said.
No clock: the caller brings it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC
from typing import Any, Final

from ..protocol.lazy import lazy_pattern
from .classify import error_objects
from .message import parse

_NUMBER: Final = lazy_pattern(r"[0-9]{1,15}(\.[0-9]{1,15})?")
_DURATION: Final = lazy_pattern(
    r"(?:([0-9.]{1,15})d)?(?:([0-9.]{1,15})h)?(?:([0-9.]{1,15})m)?(?:([0-9.]{1,15})s)?(?:([0-9.]{1,15})ms)?"
    r"(?:([0-9.]{1,15})(?:u|\xc2?\xb5)s)?"  # as Go writes them, whose bytes a header's text has for letters
)
_UNITS: Final = (86400.0, 3600.0, 60.0, 1.0, 0.001, 0.000001)
_RESET: Final = lazy_pattern(r"(?:x-)?ratelimit(?:bysize)?-reset(?:-[a-z-]+)?")
_POLICY: Final = lazy_pattern(r"\b(?:t|reset)=([0-9.]{1,31})")
_SPENT: Final = lazy_pattern(r"\b(?:r|remaining)=0(?![0-9.])")
_NAMES: Final = frozenset(
    {"retryafter", "retryafterseconds", "retryaftersec", "retryaftersecs", "retryafters", "retrydelay", "retryin"}
)
"""In lower case and without what is between their words."""
_BETWEEN: Final = str.maketrans("", "", "_- ")
_MOST_ITEMS: Final = 10
_SAID: Final = lazy_pattern(
    r"\b(?:try|retry|come back|wait|available)\b[^.!?\d]{0,30}?\b(?:in|after|for) "
    r"(?:((?:[0-9]{1,6}(?:\.[0-9]{1,6})?(?:ms|[dhms]))+)"
    r"|([0-9]{1,6}(?:\.[0-9]{1,6})?) ?(milliseconds?|seconds?|secs?|minutes?|mins?|hours?|s))\b",
    re.IGNORECASE,
)
_SAID_UNITS: Final = (("milli", 0.001), ("min", 60.0), ("h", 3600.0), ("s", 1.0))
_EPOCH_SECONDS: Final = 1e9  # a reset above this is a point in time, not a wait
_EPOCH_MS: Final = 1e12


def parse_retry_after(headers: Mapping[str, str], value: Any, now: float | None) -> float | None:
    """The wait that an answer names outright: retry-after-ms, Retry-After, or what its body says (`estimated_time`,
    `retry_after`, Google's `retryDelay`, ...).

    `now`: epoch seconds; without it, a date counts from the answer's own Date header.
    """
    milliseconds = parse_number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    after = headers.get("retry-after", "").strip()
    named = _seconds(after)
    if named is None and after:
        named = _until(after, headers, now)
    return _in_body(value, now) if named is None else named


def parse_rate_limit_reset(headers: Mapping[str, str], now: float | None) -> float | None:
    """When a spent rate limit is full again, by `ratelimit` or the (x-)ratelimit-reset headers.

    https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ and
    https://platform.openai.com/docs/guides/rate-limits
    """
    text = headers.get("ratelimit", "")
    policies = [text] if "reset=" in text else text.split(",")  # an older draft: limit=9, remaining=0, reset=9
    spent = [p for p in policies if _SPENT.search(p)] or policies
    waits = [parse_number(match[1]) for p in spent if (match := _POLICY.search(p))]
    resets = [
        (parse_reset(text, now), headers.get(name.replace("-reset", "-remaining")))
        for name, text in headers.items()
        if _RESET.fullmatch(name)
    ]
    exhausted = [wait for wait, remaining in resets if remaining in (None, "0")]
    known = [wait for wait in waits + exhausted if wait is not None]
    if known:
        return max(known)
    return min((wait for wait, _ in resets if wait is not None), default=None)


def parse_number(text: str) -> float | None:
    """The number that a header's text is: digits, perhaps with a decimal point; None for anything else."""
    return float(text) if _NUMBER.fullmatch(text.strip()) else None


def _until(text: str, headers: Mapping[str, str], now: float | None) -> float | None:
    try:
        return max(0.0, moment(text) - (moment(headers["date"]) if now is None else now))
    except (ValueError, TypeError, KeyError, OverflowError, OSError, IndexError):
        return None


def moment(text: str) -> float:
    """A date in one of HTTP's forms as epoch seconds. Raises `ValueError` and its like for anything else.

    https://www.rfc-editor.org/rfc/rfc9110.html#section-5.6.7
    """
    from email.utils import parsedate_to_datetime  # 8 ms, and nearly nobody says it by a date

    found = parsedate_to_datetime(text)
    # One of the three forms names no zone, and all are in UTC (RFC 9110, section 5.6.7), not in this machine's.
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _in_body(value: Any, now: float | None) -> float | None:
    """The wait that a decoded body names, wherever servers put it."""
    for place in error_objects(value):
        for inner in (place, place.get("parameters"), place.get("metadata")):
            found = _named(inner) if isinstance(inner, dict) else None
            if found is not None:
                return found
        for name in ("details", "metadata"):
            found = _detailed(place.get(name), now)
            if found is not None:
                return found
    return None


def _named(place: dict[str, Any]) -> float | None:
    spelled = {name.translate(_BETWEEN).lower(): wait for name, wait in place.items()}
    milliseconds = _seconds(spelled.get("retryafterms"))
    if milliseconds is not None:
        return milliseconds / 1000
    estimate = place.get("estimated_time")  # a number, or nothing: whoever writes it as a text means none
    waits = (_seconds(wait) for name, wait in spelled.items() if name in _NAMES)
    named = next((wait for wait in waits if wait is not None), None)
    return named if named is not None or isinstance(estimate, str) else _seconds(estimate)


def _seconds(found: Any) -> float | None:
    if isinstance(found, str):
        text = found.strip()
        number = parse_number(text)
        return _duration(text) if number is None else number
    if isinstance(found, dict):  # protobuf's Duration, where it is no text
        found = found.get("seconds")
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        return None
    return float(found) if 0 <= found <= _EPOCH_MS and math.isfinite(found) else None


def _detailed(found: Any, now: float | None) -> float | None:
    """Google's `details` (https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto), and the
    headers and the refusal that OpenRouter hands on in `metadata`."""
    for item in found[:_MOST_ITEMS] if isinstance(found, list) else ():
        if isinstance(item, dict) and (wait := _seconds(item.get("retryDelay"))) is not None:
            return wait
    passed_on = found.get("headers") if isinstance(found, dict) else None
    if not isinstance(passed_on, dict):
        raw = found.get("raw") if isinstance(found, dict) else None
        return _in_body(parse(raw.encode(errors="replace")), now) if isinstance(raw, str) else None
    headers = {str(name).lower(): str(text) for name, text in passed_on.items()}
    wait = parse_retry_after(headers, None, now)
    return parse_rate_limit_reset(headers, now) if wait is None else wait


def retry_after_in_sentence(said: str) -> float | None:
    """The wait in a sentence: "Please try again in 1m2.5s"."""
    match = _SAID.search(said)
    if match is None:
        return None
    if match[1] is not None:
        return _duration(match[1].lower())
    unit = match[3].lower()
    return float(match[2]) * next(seconds for start, seconds in _SAID_UNITS if unit.startswith(start))


def parse_reset(text: str, now: float | None) -> float | None:
    """Seconds until a reset that is named as a number, a duration such as "6m0s", or (by `now`) a point in time."""
    text = text.strip()
    number = parse_number(text)
    if number is None:
        return _duration(text)
    if number < _EPOCH_SECONDS:
        return number
    at = number / 1000 if number >= _EPOCH_MS else number
    return None if now is None else max(0.0, at - now)


def _duration(text: str) -> float | None:
    match = _DURATION.fullmatch(text.replace(" ", ""))
    if not match or not text:
        return None
    parts = [parse_number(part) if part else 0.0 for part in match.groups()]
    if None in parts:
        return None
    return round(sum(part * unit for part, unit in zip(parts, _UNITS, strict=True) if part), 6)
