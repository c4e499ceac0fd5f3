"""Rates as buckets: requests or tokens that are spent evenly, and no faster than a limit lets them.

Pure arithmetic on a clock that the caller brings. It waits for nothing, and knows no provider.
"""

from __future__ import annotations

from typing import Final

SLACK_SECONDS: Final = 0.05
"""Of spending that may be made up for when a wake-up came late; no other burst is allowed."""
RESERVE_FRACTION: Final = 0.04
"""The part of a limit down to which it is spent at its own rate, though the reset that is named never comes nearer."""


class Bucket:
    """A rate that is kept.

    `rate`: units a second. `free_at`: when the next unit may be spent. What costs more than a unit, or turns out to
    have cost another amount, moves that time.
    """

    __slots__ = ("free_at", "rate")

    def __init__(self, rate: float, now: float) -> None:
        self.rate = rate
        self.free_at = now

    def spend(self, now: float, cost: float = 1.0) -> None:
        """Begin something that costs this."""
        self.free_at = max(self.free_at, now - SLACK_SECONDS) + cost / self.rate

    def correct(self, more: float) -> None:
        """Count that it cost so much more than was thought, or less."""
        self.free_at += more / self.rate

    def set_rate(self, rate: float, now: float) -> None:
        """Go on at another rate; what is owed is owed at the new one."""
        if rate != self.rate:
            self.free_at = now + (self.free_at - now) * self.rate / rate
            self.rate = rate


class AdvertisedQuota:
    """A limit that answers' headers tell of: `remaining` units until a reset, spent evenly until then.

    For a limit that fills up continuously this settles at half of it, and at its rate.
    """

    __slots__ = ("_limit", "_longest_reset", "_remaining", "_resets_at", "_spent_at")

    def __init__(self) -> None:
        self._remaining = 0.0
        self._limit: float | None = None
        self._resets_at = 0.0
        self._longest_reset = 0.0
        self._spent_at = 0.0

    def tell(self, now: float, remaining: float, reset: float, limit: float | None) -> None:
        """Take in what an answer says; `remaining` is without what was sent after that answer's request."""
        self._remaining, self._limit = max(0.0, remaining), limit
        self._resets_at = now + reset
        self._longest_reset = max(self._longest_reset, reset)

    def free_at(self, now: float, cost: float) -> float:
        """When the next request, of so many units, may go."""
        if now >= self._resets_at:
            if self._limit is None or not self._longest_reset:
                return now
            return self._spent_at + cost * self._longest_reset / self._limit
        if self._remaining < cost:
            return self._resets_at
        rate = self._remaining / (self._resets_at - now)
        if self._limit:
            left = min(1.0, self._remaining / (RESERVE_FRACTION * self._limit))
            rate = max(rate, self._limit / self._longest_reset * left)
        return min(self._resets_at, self._spent_at + cost / rate)

    def spend(self, now: float, cost: float) -> None:
        """Send a request of so many units."""
        self._remaining -= cost
        self._spent_at = now
