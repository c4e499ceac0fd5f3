"""Leave to make one attempt, and how few of them are given at first. Pure: the clock is the caller's."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .lane import Lane


class Permit:
    """One attempt: `number` in order, one of `beside` that were in flight when it was `sent`; `full`: as many as might
    be."""

    __slots__ = ("beside", "cost", "full", "held", "lane", "number", "sent", "told")

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.number = 0
        self.beside = 0
        self.full = False
        self.sent = 0.0
        self.cost = 0.0
        self.held = True
        self.told = False


class Ramp:
    """Lets few go at first: `allowed` that are not answered yet, more with every answer, twice as many in `each`
    seconds without a refusal."""

    __slots__ = ("_allowed", "_each", "_since", "mark", "open")

    def __init__(self, allowed: float, each: float, since: float, mark: int) -> None:
        self._allowed = allowed
        self._each = each
        self._since = since
        self.mark = mark
        self.open = 0

    def allowed(self, now: float) -> float:
        """How many, now."""
        return self._allowed * math.exp2(min(60.0, max(0.0, now - self._since) / self._each))

    def delay(self, now: float) -> float:
        """Seconds until another one may go."""
        if self.open + 1 <= self.allowed(now):
            return 0.0
        return max(1e-3, self._since - now + self._each * math.log2((self.open + 1) / self._allowed))

    def answered(self) -> None:
        """One of them was accepted."""
        self._allowed += 1
