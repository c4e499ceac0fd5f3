"""All the limits that an answer tells of, for people and programs to look at.

What paces a map (`rate_limit`) wants whole, short limits alone; here a part that is missing is None, and a limit of a
day, a month or a resource is one more. Beside the spellings listed there:

    x-ratelimit-{limit,remaining,used,reset} and x-ratelimit-resource       GitHub
    x-ratelimit-{limit,remaining}-tokens-{prompt,generated}, x-tokenlimit-*   Fireworks, Together
    ratelimit: "burst";r=9;t=3, "day";r=99;t=7200 with ratelimit-policy     the IETF's draft, several policies

https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api,
https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Final

import msgspec

from .rate_limit import seconds_until
from .retry_after import parse_number

_FAMILY: Final = re.compile(r"(?:[a-z]+-)?(ratelimit|tokenlimit)(?:-(.+))?")
_WHAT: Final = frozenset({"limit", "remaining", "reset", "used"})
_UNITS: Final = {
    "requests": "requests",
    "request": "requests",
    "req": "requests",
    "tokens": "tokens",
    "token": "tokens",
}
_WINDOWS: Final = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0, "month": None}
_LETTERS: Final = {"r": "remaining", "t": "reset", "q": "limit", "w": "window"}
_PARTS: Final = frozenset({"limit", "remaining", "reset", "window"})
_OLDER: Final = re.compile(r"\b(?:limit|remaining|reset)=")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_MEMBER: Final = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')
_PARAMETER: Final = re.compile(r"(?:^|[;,\s])([a-z]+)\s*=\s*\"?([^;,\"\s]+)")
_MOST_LIMITS: Final = 32
"""That are read; an answer with more means something else."""


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    """One limit that the provider has told of; a part that it did not tell is None.

    `unit`: "requests", "tokens", "input-tokens", "output-tokens", or a word of the provider's own. `name`: which of
    several, such as the policy or GitHub's resource; "" where it has none. `limit` and `remaining`: units in all, and
    units left. `reset`: seconds from the answer until it is whole again. `window`: the seconds that it is over.
    """

    unit: str
    name: str = ""
    limit: float | None = None
    remaining: float | None = None
    reset: float | None = None
    window: float | None = None


class RateLimits(msgspec.Struct, frozen=True):
    """The limits that an answer tells of: to be gone through, and by their units; none is false.

    Of several of one unit, `requests`, `tokens`, `input_tokens` and `output_tokens` are the one with the smallest part
    left; None where there is none.
    """

    all: tuple[RateLimit, ...] = ()

    def __iter__(self) -> Iterator[RateLimit]:
        return iter(self.all)

    def __len__(self) -> int:
        return len(self.all)

    @property
    def requests(self) -> RateLimit | None:
        """That of requests."""
        return self.of("requests")

    @property
    def tokens(self) -> RateLimit | None:
        """That of tokens, in and out together."""
        return self.of("tokens")

    @property
    def input_tokens(self) -> RateLimit | None:
        """That of tokens in."""
        return self.of("input-tokens")

    @property
    def output_tokens(self) -> RateLimit | None:
        """That of tokens out."""
        return self.of("output-tokens")

    def of(self, unit: str) -> RateLimit | None:
        """The limit of this unit that is nearest to its end."""
        return min((limit for limit in self.all if limit.unit == unit), key=_part_left, default=None)


def _part_left(limit: RateLimit) -> tuple[bool, float]:
    if limit.remaining is None:
        return True, 0.0
    return False, limit.remaining / limit.limit if limit.limit else limit.remaining


def rate_limits(headers: Mapping[str, str], now: float | None = None) -> RateLimits:
    """The limits in these headers, by lower-case name.

    `now`: when the answer came, in epoch seconds, for resets that are points in time; where it is None that is the
    answer's own `date`, so that a clock that is wrong here does not matter, or else the present.
    """
    named = [name for name in headers if "ratelimit" in name or "tokenlimit" in name]
    if not named:
        return NO_LIMITS
    moment = _moment_of(headers) if now is None else now
    found: dict[tuple[str, str], dict[str, float]] = {}
    resource, counted = headers.get("x-ratelimit-resource", "").strip(), _counted(headers.get("ratelimit-policy", ""))
    for name in named[:_MOST_LIMITS]:
        for (unit, which), what, number in _told(name, headers[name], resource, moment):
            key = counted.get(which, unit), which
            if len(found) < _MOST_LIMITS or key in found:
                found.setdefault(key, {}).setdefault(what, number)
    limits = []
    for (unit, name), parts in found.items():
        used = parts.pop("used", None)
        if used is not None and "remaining" not in parts and "limit" in parts:
            parts["remaining"] = max(0.0, parts["limit"] - used)
        if parts.keys() - {"window"}:
            limits.append(RateLimit(unit=unit, name=name, **parts))
    return RateLimits(tuple(limits))


def _moment_of(headers: Mapping[str, str]) -> float:
    try:
        return parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError, OverflowError, IndexError):
        return time.time()


def _told(name: str, text: str, resource: str, now: float) -> Iterator[tuple[tuple[str, str], str, float]]:
    """What one header says: of which limit, which part, and the number."""
    match = _FAMILY.fullmatch(name)
    if match is None:
        return
    words = match[2].split("-") if match[2] else []
    if not words or words == ["policy"]:
        yield from _structured(text)
        return
    what = next((word for word in words if word in _WHAT), None)
    if what is None:
        return
    rest = [word for word in words if word != what]
    unit, rest = _unit(rest, "tokens" if match[1] == "tokenlimit" else "requests")
    key = unit, "-".join(rest) or (resource if unit == "requests" else "")
    for word in rest:
        if _WINDOWS.get(word) is not None:
            yield key, "window", _WINDOWS[word] or 0.0
    value = seconds_until(text, now) if what == "reset" else parse_number(text.split(",")[0].split(";")[0])
    if value is not None:
        yield key, what, value


def _unit(words: list[str], default: str) -> tuple[str, list[str]]:
    """What is counted, and the words that say something else."""
    place = next((place for place, word in enumerate(words) if word in _UNITS), None)
    if place is None:
        return default, words
    unit, before = _UNITS[words[place]], words[place - 1] if place else ""
    if unit == "tokens" and before in ("input", "output"):
        return f"{before}-tokens", words[: place - 1] + words[place + 1 :]
    return unit, words[:place] + words[place + 1 :]


def _structured(text: str) -> Iterator[tuple[tuple[str, str], str, float]]:
    """The members of a `ratelimit` or `ratelimit-policy` header: the drafts' list, and the older one's dictionary."""
    for member in _members(text):
        key = "requests", _name_of(member)
        if (bare := parse_number(member.split(";")[0])) is not None:
            yield key, "limit", bare
        for letter, value in _PARAMETER.findall(member):
            word, number = _LETTERS.get(letter, letter), parse_number(value)
            if word in _PARTS and number is not None:
                yield key, word, number


def _members(text: str) -> list[str]:
    return [text] if _OLDER.search(text) else _MEMBER.findall(text)[:_MOST_LIMITS]


def _name_of(member: str) -> str:
    """The policy's name: the last text, for Hugging Face says what kind of policy it is before."""
    names = _QUOTED.findall(_PARAMETER.sub("", member))
    return names[-1] if names else ""


def _counted(policies: str) -> dict[str, str]:
    """What the policies count that do not count requests, by their names."""
    found = ((_name_of(member), dict(_PARAMETER.findall(member)).get("qu")) for member in _members(policies))
    return {name: unit for name, unit in found if unit}


NO_LIMITS: Final = RateLimits()
