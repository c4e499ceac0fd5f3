"""The limits that an answer tells of: all of them, for people and programs to look at, and those that pace a map.

A part that is missing is None; what is not a number is left out, and nothing is guessed. In the spellings of

    x-ratelimit-{limit,remaining,reset}-{requests,tokens}[-minute]            OpenAI, Groq, Cerebras, Nebius
    anthropic-ratelimit-{requests,tokens,input-tokens}-{limit,remaining,reset} Anthropic
    (x-)ratelimit-{limit,remaining,reset}                                     Together, Replicate, an older draft
    ratelimit: "api";r=99;t=30 with ratelimit-policy: "api";q=100;w=60        Hugging Face, the newer drafts
    ratelimit: limit=100, remaining=99, reset=30                              a draft in between
    x-ratelimit-{limit,remaining,used,reset} and x-ratelimit-resource         GitHub
    x-ratelimit-renewalperiod-{requests,tokens}, x-ratelimit-timeremaining    GitHub's models, Azure's
    x-ratelimit-{limit,remaining}-tokens-{prompt,generated}, x-tokenlimit-*   Fireworks, Together
    x-ratelimit-{limit,remaining}-{req,tokens}-{minute,month}                 Mistral
    (x-)ratelimitbysize-{limit,remaining,reset}[-minute,-month]               Mistral before, in tokens
    x-ratelimit-{limit,remaining,reset}-{images,audio-seconds,project-tokens} OpenAI, Groq
    anthropic-{priority,fast}-{input,output}-tokens-{limit,remaining,reset}   Anthropic, for other tiers
    anthropic-ratelimit-unified-{5h,7d}-{utilization,reset}                   Anthropic, for subscriptions
    x-trial-endpoint-call-{limit,remaining}, x-endpoint-monthly-call-limit    Cohere
    x-rate-limit-{limit,remaining,reset}                                      many
    ratelimit: "burst";r=9;t=3, "day";r=99;t=7200 with ratelimit-policy       the IETF's draft, several policies
    ratelimit-limit: 10, 10;w=1, 50;w=60                                      its older ones, several policies

https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api,
https://platform.openai.com/docs/guides/rate-limits, https://console.groq.com/docs/rate-limits,
https://docs.anthropic.com/en/api/rate-limits, https://docs.anthropic.com/en/api/service-tiers,
https://docs.fireworks.ai/guides/quotas_usage/rate-limits, https://docs.sambanova.ai/docs/en/models/rate-limits,
https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from .retry_after import moment, parse_number, parse_reset

_FAMILY: Final = re.compile(
    r"(?:[a-z]+-){0,2}?(?P<kind>ratelimitbysize|ratelimit|tokenlimit)(?:-(?P<words>.+))?"
    r"|anthropic-(?P<tier>(?:priority|fast)-.+)"
    r"|x-(?P<calls>(?:[a-z]+-)+calls?-(?:limit|remaining|reset))"
)
_WHAT: Final = {
    **{word: word for word in ("limit", "remaining", "reset", "used", "utilization", "window")},
    "renewalperiod": "window",
    "timeremaining": "reset",
}
_UNITS: Final = {
    "request": "requests",
    "requests": "requests",
    "req": "requests",
    "call": "requests",
    "calls": "requests",
    "token": "tokens",
    "tokens": "tokens",
    "image": "images",
    "images": "images",
    "seconds": "seconds",
    "minutes": "minutes",
}
_SIDES: Final = {"input": "input", "prompt": "input", "output": "output", "generated": "output"}
"""Words beside a unit that say which way it goes."""
_SCOPES: Final = frozenset(
    {"account", "api", "burst", "default", "dynamic", "global", "ip", "key", "model", "month", "org", "organization"}
    | {"project", "user", "workspace"}
)
"""Words that are no unit: whose limit it is, or over which time."""
_OF_RESETS: Final = frozenset({"after", "in", "at", "time", "date", "timestamp", "epoch", "utc"})
"""Words by which a reset says how it is told, which its value does as well."""
_WINDOWS: Final = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0, "week": 604800.0}
_WINDOW: Final = re.compile(r"(\d{1,4})([smhd])")
_SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_OTHERS: Final = ("date", "x-ratelimit-resource", "ratelimit-policy")
"""Headers that are read beside those of limits."""
_LETTERS: Final = {"r": "remaining", "t": "reset", "q": "limit", "w": "window"}
_PARTS: Final = frozenset({"limit", "remaining", "reset", "window"})
_OLDER: Final = re.compile(r"\b(?:limit|remaining|reset)=")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)(?:"|\\?$)')
_TOKEN: Final = re.compile(r"\s*([a-z*][^\s;,=\"]*)\s*(?:;|$)", re.IGNORECASE)
_MEMBER: Final = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*(?:"|\\?$))+')
"""A text that is not closed goes on to the end, or it would be gone through from each of its quotes."""
_PARAMETER: Final = re.compile(r"(?:^|[;,\s])([a-z]+)\s*=\s*\"?([^;,\"\s]+)")
LONGEST_WINDOW_SECONDS: Final = 3600.0
"""A limit over more seconds than this is not spread over them: a batch is not spread over days."""
_TIERS: Final = frozenset({"priority", "fast"})
"""Limits beside those that a call is under: where one is reached, calls go on in another tier."""
_GROUPED: Final = re.compile(r"\d{1,3}(?:,\d{3})+")
_MOST_LIMITS: Final = 32
"""That are read; an answer with more means something else."""
_LONGEST_NAME: Final = 100
_LONGEST_TEXT: Final = 1000
"""Characters of a header that are read: what is longer takes time, and tells no limit."""


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    """One limit that the provider has told of; a part that it did not tell is None.

    `unit`: "requests", "tokens", "input-tokens", "output-tokens", "images", or a word of the provider's own.
    `name`: which of several, such as the policy or GitHub's resource; "" where it has none. `limit` and `remaining`:
    units in all, and units left. `reset`: seconds from the answer until it is whole again. `window`: the seconds that
    it is over.
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


def rate_limits(headers: Mapping[str, str], epoch: Callable[[], float] = time.time) -> RateLimits:
    """The limits in these headers, by lower-case name.

    Resets that are points in time count from the answer's own `date`, so that a clock that is wrong here does not
    matter, or else from what `epoch` gives, as epoch seconds.
    """
    names = "\n".join(headers)  # every answer of a map comes here, and few have them
    if "limit" not in names and "-call-" not in names and "anthropic-" not in names:
        return NO_LIMITS
    named = [name for name in headers if "limit" in name or "-call-" in name or name.startswith("anthropic-")]
    short = [name for name in named if len(name) <= _LONGEST_NAME]
    told = [(name, part) for name in short if (part := _part_of(name)) is not None][:_MOST_LIMITS]
    if not told:
        return NO_LIMITS
    headers = {
        name: headers[name][:_LONGEST_TEXT] for name in (*(name for name, _ in told), *_OTHERS) if name in headers
    }
    found: dict[tuple[str, str], dict[str, float]] = {}
    resource, counted = headers.get("x-ratelimit-resource", "").strip(), _counted(headers.get("ratelimit-policy", ""))
    for header, part in told:
        for (unit, name), what, number in _told(part, headers[header], resource, lambda: _moment_of(headers, epoch)):
            key = counted.get(name, unit), name
            if len(found) < _MOST_LIMITS or key in found:
                found.setdefault(key, {}).setdefault(what, number)
    for name in ("ratelimit-limit", "x-ratelimit-limit", "ratelimit-policy"):
        if ";" in (text := headers.get(name, "")):
            _add_quotas(found, text)
    limits = [RateLimit(unit=unit, name=name, **_settled(parts)) for (unit, name), parts in found.items()]
    return RateLimits(tuple(limit for limit in limits if (limit.limit, limit.remaining, limit.reset) != NOTHING_TOLD))


def pacing_limits(told: RateLimits) -> list[RateLimit]:
    """Those of an answer's limits over whose time a map spreads its calls: whole ones, over a short time, of requests,
    and of tokens in and out (Anthropic tells there of whichever limit of tokens is the nearest), or else of those that
    go in."""
    whole = [limit for limit in told if _is_pacing(limit)]
    tokens = "tokens" if any(limit.unit == "tokens" for limit in whole) else "input-tokens"
    return [limit for limit in whole if limit.unit in ("requests", tokens)]


def _is_pacing(limit: RateLimit) -> bool:
    if limit.remaining is None or limit.reset is None or limit.name in _TIERS:
        return False
    return max(limit.reset, limit.window or 0.0) <= LONGEST_WINDOW_SECONDS


def _settled(parts: Mapping[str, float]) -> dict[str, float]:
    """The parts of a limit, with what is left where only what is used was told."""
    told = {what: number for what, number in parts.items() if what != "used"}
    if "used" in parts and "remaining" not in told and "limit" in told:
        told["remaining"] = max(0.0, told["limit"] - parts["used"])
    return told


class _Part(NamedTuple):
    """What a header with a name tells: which part ("list": all of them, of each member) of the limit of this unit and
    name; `window`: the seconds that this is over, by the name."""

    what: str
    unit: str = ""
    name: str = ""
    window: float | None = None


@lru_cache(256)
def _part_of(header: str) -> _Part | None:
    """What a header of this name tells; None for one that tells no limit."""
    match = _FAMILY.fullmatch(header.replace("_", "-").replace("rate-limit-", "ratelimit-"))
    if match is None:
        return None
    if match["kind"] and match["words"] in (None, "policy"):
        return _Part("list")
    words = (match["words"] or match["tier"] or match["calls"]).split("-")
    said = next((word for word in words if word in _WHAT), None)
    if said is None:
        return None
    what = _WHAT[said]
    rest = [word for word in words if word not in (said, "per") and not (what == "reset" and word in _OF_RESETS)]
    unit, rest = _unit(rest, "requests" if match["kind"] in (None, "ratelimit") else "tokens")
    windows = [window for word in rest if (window := _window(word)) is not None]
    return _Part(what, unit, "-".join(rest), windows[0] if windows else None)


def _told(
    part: _Part, text: str, resource: str, now: Callable[[], float]
) -> Iterator[tuple[tuple[str, str], str, float]]:
    """What one header says: of which limit, which part, and the number."""
    what, key = part.what, (part.unit, part.name or (resource if part.unit == "requests" else ""))
    if what == "list":
        yield from _structured(text)
        return
    value = seconds_until(text, now) if what == "reset" else _number(text)
    if value is None:
        return
    if what == "utilization":
        yield key, "limit", 1.0
        what = "used"
    yield key, what, value
    if part.window is not None:
        yield key, "window", part.window


def _number(text: str) -> float | None:
    """The number that a header's text begins with, in groups of three digits or not."""
    first = text.strip()
    if not _GROUPED.fullmatch(first):
        first = first.split(",")[0].split(";")[0]
    return parse_number(first.replace(",", ""))


def _window(word: str) -> float | None:
    match = _WINDOW.fullmatch(word)
    return _WINDOWS.get(word) if match is None else int(match[1]) * _SECONDS[match[2]]


def _unit(words: list[str], default: str) -> tuple[str, list[str]]:
    """What is counted, and the words that say something else: which of several limits."""
    place = next((place for place, word in enumerate(words) if word in _UNITS), None)
    if place is None:
        own = [word for word in words if word not in _SCOPES and _window(word) is None]
        return "-".join(own) or default, [word for word in words if word not in own]
    unit, rest = _UNITS[words[place]], words[:place] + words[place + 1 :]
    if unit in ("seconds", "minutes"):  # of audio, or of video
        return (f"{rest[place - 1]}-{unit}", rest[: place - 1] + rest[place:]) if place else (unit, rest)
    side = next((word for word in rest if word in _SIDES), None)
    if side is not None and unit != "requests":
        rest.remove(side)
        return f"{_SIDES[side]}-{unit}", rest
    return unit, rest


def _structured(text: str) -> Iterator[tuple[tuple[str, str], str, float]]:
    """The members of a `ratelimit` or `ratelimit-policy` header: the drafts' list, and the older one's dictionary."""
    for member in _members(text):
        if parse_number(member.split(";")[0]) is not None:
            continue  # the quotas of older drafts
        key = "requests", _name_of(member)
        for letter, value in _PARAMETER.findall(member):
            word, number = _LETTERS.get(letter, letter), parse_number(value)
            if word in _PARTS and number is not None:
                yield key, word, number


def _add_quotas(found: dict[tuple[str, str], dict[str, float]], text: str) -> None:
    """Add the policies of the IETF's older drafts, `10;w=1, 50;w=60`: the one whose quota is the limit that was told
    says over which time that is, and each other one is a limit that is known by its seconds."""
    for member in _MEMBER.findall(text)[:_MOST_LIMITS]:
        quota, told = parse_number(member.split(";")[0]), dict(_PARAMETER.findall(member))
        window = parse_number(told.get("w") or told.get("window") or "")
        if quota is None or window is None:
            continue
        current = found.setdefault(("requests", ""), {})
        if current.setdefault("limit", quota) == quota and current.setdefault("window", window) == window:
            continue
        found.setdefault(("requests", f"{window:g}s"), {"limit": quota, "window": window})


def _members(text: str) -> list[str]:
    return [text] if _OLDER.search(text) else _MEMBER.findall(text)[:_MOST_LIMITS]


def _name_of(member: str) -> str:
    """The policy's name: the last text, for Hugging Face says what kind of policy it is before; or a bare word."""
    names = [name for name in _QUOTED.findall(_PARAMETER.sub("", member)) if name]
    bare = _TOKEN.match(member)
    return names[-1] if names else bare[1] if bare is not None else ""


def _counted(policies: str) -> dict[str, str]:
    """What the policies count that do not count requests, by their names."""
    if "qu" not in policies:
        return {}
    found = ((_name_of(member), dict(_PARAMETER.findall(member)).get("qu")) for member in _members(policies))
    return {name: unit for name, unit in found if unit}


def seconds_until(text: str, now: Callable[[], float]) -> float | None:
    """Seconds until a reset that is named as a number, a duration, epoch seconds or a date; None for anything else."""
    seconds = parse_reset(text, None)
    if seconds is None:
        seconds = parse_reset(text, now())
    if seconds is None and (then := moment_in(text)) is not None:
        seconds = max(0.0, then - now())
    return seconds


def _moment_of(headers: Mapping[str, str], epoch: Callable[[], float]) -> float:
    dated = moment_in(headers.get("date", ""))
    return epoch() if dated is None else dated


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


NO_LIMITS: Final = RateLimits()
NOTHING_TOLD: Final = (None, None, None)
