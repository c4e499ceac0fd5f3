"""What a map gives: one result for each input, and numbers of the whole. Values; nothing here does anything."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

from ..engine.facts import Timings
from ..errors import Attempt

R = TypeVar("R")


class MapResult(msgspec.Struct, Generic[R], frozen=True, kw_only=True):
    """What became of one input.

    `value` is None where it failed (its type is a success's: look at `error` first), and `error` where it worked.
    `started`: when, as seconds since the epoch; `timings` count from there. `usage`: the answer's own, if it has one.
    """

    index: int
    input: Any
    value: R = None  # type: ignore[assignment]
    error: Exception | None = None
    attempts: tuple[Attempt, ...] = ()
    timings: Timings = Timings()
    usage: Any = None
    provider: str = ""
    started: float = 0.0

    def result(self) -> R:
        """The value; raises the error where it failed."""
        if self.error is not None:
            raise self.error
        return self.value


class ProviderStats(msgspec.Struct, frozen=True):
    """One provider's part: `in_flight` of at most `limit` requests; `waiting`: nothing goes to it until then."""

    in_flight: int
    limit: int
    requests: int
    waiting: float | None = None


class Stats(msgspec.Struct, frozen=True):
    """How far a map is.

    `in_flight`: items that are being performed. `limit`: requests that may be at once, over all providers, as found so
    far. `done`: items that are over, `failed` of them with an error. `requests`: attempts made; `tokens`: used, by the
    answers that say so. `waiting`: the time (seconds since the epoch) until which nothing is sent, because the
    providers asked for it or gave nothing but refusals; None when it goes on. `providers`: the same by provider, or
    under "" where there is one.
    """

    in_flight: int = 0
    limit: int = 0
    done: int = 0
    failed: int = 0
    requests: int = 0
    tokens: int = 0
    waiting: float | None = None
    providers: dict[str, ProviderStats] = {}
