"""When a server says to come back, in every spelling that servers use: seconds from now, or None.

It never guesses: nan, infinity, negative numbers and words count as nothing said.
No clock: the caller brings it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final

_NUMBER: Final = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?")
_DURATION: Final = re.compile(
    r"(?:([0-9.]{1,15})d)?(?:([0-9.]{1,15})h)?(?:([0-9.]{1,15})m)?(?:([0-9.]{1,15})s)?(?:([0-9.]{1,15})ms)?"
)
_UNITS: Final = (86400.0, 3600.0, 60.0, 1.0, 0.001)
_RESET: Final = re.compile(r"(?:x-)?ratelimit-reset(?:-[a-z-]+)?")
_POLICY: Final = re.compile(r"\b(?:t|reset)=([0-9.]{1,31})")
_SPENT: Final = re.compile(r"\b(?:r|remaining)=0(?![0-9.])")
_EPOCH: Final = 1e9  # a reset above this is a point in time, not a wait
_EPOCH_MS: Final = 1e12


def wait_named(headers: Mapping[str, str], value: Any, now: float | None) -> float | None:
    """The wait that an answer names outright: retry-after-ms, Retry-After, or `estimated_time` in its body.

    `now`: epoch seconds; without it, a date counts from the answer's own Date header.
    """
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    after = headers.get("retry-after", "").strip()
    named = _number(after)
    if named is None and after:
        named = _until(after, headers, now)
    return _estimate(value) if named is None else named


def wait_for_quota(headers: Mapping[str, str], now: float | None) -> float | None:
    """When a spent rate limit is full again, by `ratelimit` or the (x-)ratelimit-reset headers.

    https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ and
    https://platform.openai.com/docs/guides/rate-limits
    """
    text = headers.get("ratelimit", "")
    policies = [text] if "reset=" in text else text.split(",")  # an older draft: limit=9, remaining=0, reset=9
    spent = [p for p in policies if _SPENT.search(p)] or policies
    waits = [_number(match[1]) for p in spent if (match := _POLICY.search(p))]
    resets = [
        (reset_in(text, now), headers.get(name.replace("-reset", "-remaining")))
        for name, text in headers.items()
        if _RESET.fullmatch(name)
    ]
    exhausted = [wait for wait, remaining in resets if remaining in (None, "0")]
    known = [wait for wait in waits + exhausted if wait is not None]
    if known:
        return max(known)
    return min((wait for wait, _ in resets if wait is not None), default=None)


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text.strip()) else None


def _until(text: str, headers: Mapping[str, str], now: float | None) -> float | None:
    try:
        return max(0.0, _moment(text) - (_moment(headers["date"]) if now is None else now))
    except (ValueError, TypeError, KeyError, OverflowError, OSError, IndexError):
        return None


def _moment(text: str) -> float:
    found = parsedate_to_datetime(text)
    # One of the three forms names no zone, and all are in UTC (RFC 9110, section 5.6.7), not in this machine's.
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _estimate(value: Any) -> float | None:
    found = value.get("estimated_time") if isinstance(value, dict) else None
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        return None
    return float(found) if 0 <= found <= _EPOCH_MS and math.isfinite(found) else None


def reset_in(text: str, now: float | None) -> float | None:
    """Seconds until a reset that is named as a number, a duration such as "6m0s", or (by `now`) a point in time."""
    text = text.strip()
    number = _number(text)
    if number is None:
        return _duration(text)
    if number < _EPOCH:
        return number
    at = number / 1000 if number >= _EPOCH_MS else number
    return None if now is None else max(0.0, at - now)


def _duration(text: str) -> float | None:
    match = _DURATION.fullmatch(text)
    if not match or not text:
        return None
    parts = [_number(part) if part else 0.0 for part in match.groups()]
    return sum(p * unit for p, unit in zip(parts, _UNITS, strict=True) if p) if None not in parts else None
