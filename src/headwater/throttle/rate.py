"""How often: a rate that feels for what a provider lets through, as the level does for how many at once.

At the start it doubles quickly, until it is refused or holds nothing back any more. From then on it follows a cubic
curve, as TCP CUBIC does: from below what was let through up to it, slowly past it, and where nothing is refused there,
ever faster. What was let through is counted from one recovery to the next. At both ends the provider's allowance had
just been used up, so that this is right for fixed and for sliding windows and for buckets.

Pure arithmetic: no clock, no waiting, no provider.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from .buckets import Bucket

FIRST: Final = 50.0
"""Requests a second at the start."""
DOUBLING: Final = 0.25
ANSWERS: Final = 25.0
QUICKEST: Final = 0.05
"""Seconds in which that doubles: so many times an answer's, within these bounds. The fewer, the more is refused where
it ends."""
FEW: Final = 5
"""Fewer requests than this say nothing of a rate."""
FAST: Final = 5000.0
"""From here on the start's rate holds nothing back."""
BELOW: Final = 0.05
"""So far below what was let through it goes on after a refusal, as a part of it."""
PATIENCE: Final = 50.0
"""Requests for each that was refused, until the rate is again what was let through: one in a hundred is refused."""
HASTE: Final = 20.0
"""The same for a limit that is not sure; it doubles each time that the limit is confirmed."""
COUNTED: Final = 5.0
"""As many refusals make it as patient as it gets."""
DEAR: Final = 8.0
"""Times the pause that the provider asked for, until the rate is again what was let through: so short a part of the
time is spent in pauses, which may be longer than they need be."""
MINUTE: Final = 60.0
"""The window of most limits, and the longest that is thought of."""
ENOUGH: Final = 20
"""Requests that say enough of a rate."""
FALL: Final = 3.0
"""To no less than this part of what it was does a rate fall by what fewer requests say."""
NEAR: Final = 0.3
"""A limit so far from the one before, as a part of it, is the same."""
WEIGHT: Final = 2.0
"""Cycles in half of the longest one that is remembered change the limit fully, shorter ones by as much less: in a
sliding window, what was sent in a burst comes back in one."""
FADING: Final = 0.05
"""So much of each cycle's time is taken from the longest that is remembered."""
FORGET: Final = 8.0
"""At so many times the rate that was refused, that refusal is history."""
LATER: Final = 0.25
"""Seconds by which the server's minute may end after the client's."""
UNKNOWN: Final = 0.5
"""Seconds after which a provider is asked again of whose limit nothing is known."""
UNSURE: Final = 0.1
"""The same of whose limit little is known, at least."""


class Recovery(NamedTuple):
    """A request was let through again, after so many `refused` ones; in all, `passed` had been let through before it.

    It was sent `at` a time, the last refused one at `refused_at`. `paused`: how long nothing was let through; `told`:
    the provider had said when to come again.
    """

    at: float
    passed: int
    refused_at: float
    refused: int
    paused: float
    told: bool


class Rate:
    """`bucket` is when the next request may go; `known`: whether a limit of requests in time was found."""

    __slots__ = (
        "_bound",
        "_cycle",
        "_dip",
        "_doubling",
        "_heard",
        "_later",
        "_limit",
        "_mark",
        "_patience",
        "_recovered_at",
        "_sure",
        "bucket",
        "known",
    )

    def __init__(self, now: float) -> None:
        self.bucket = Bucket(FIRST, now)
        self.known = False
        self._limit = FIRST  # what was let through; the curve begins by the part `_dip` below it
        self._dip = BELOW
        self._patience = 1.0  # seconds from there to the limit
        self._bound = 0.0  # seconds in which it was this that held requests back
        self._heard = now
        self._doubling = DOUBLING
        self._recovered_at = now
        self._sure = HASTE
        self._cycle = 0.0
        self._mark = self._later = now, 0  # a time, and how many were let through before: from here on they are counted

    def spend(self, now: float) -> bool:
        """A request goes; False when the next ones need not ask here."""
        if not self.known:
            self.bucket.rate *= 2.0 ** min(60.0, (now - self._heard) / self._doubling)
            self._heard = now
            if self.bucket.rate > FAST:
                return False
        self.bucket.spend(now)
        return True

    def accepted(self, now: float, seconds: float, count: int) -> bool:
        """An answer came after these seconds, and so many requests were let through by now; False when the limit is
        none any more."""
        if not self.known:
            self._doubling = min(self._doubling, max(QUICKEST, ANSWERS * seconds))
            return True
        if self.bucket.free_at > now:
            before = self._bound // self._patience
            self._bound += now - self._heard
            part = self._bound / self._patience - 1.0
            if self._bound // self._patience > before:  # it is another rate by now: the first ones are not counted
                self._mark, self._later = self._later, (now, count)
            if part > 1.0:
                factor = (1.0 + BELOW) * 2.0 ** (part - 1.0)
            else:
                factor = 1.0 + (self._dip if part < 0.0 else BELOW) * part * part * part
            if factor > FORGET:
                self.known = False
                return False
            self.bucket.set_rate(self._limit * factor, now)
        self._heard = now
        return True

    def learn(self, now: float, recovery: Recovery) -> None:
        """It recovers: how much was let through says what may be, from the rate that it surely is up to the limit."""
        since, before = self._mark
        seconds = max(recovery.at - since, 1e-3)
        passed = max(1, recovery.passed - before)
        rate = passed / seconds
        if passed < FEW and not self.known:  # the start begins again, slower
            self.bucket.rate, self._heard = 2 * rate, now
            return
        most = passed / max(recovery.refused_at - since, 0.05 * seconds)
        counted = min(2.0, recovery.refused)
        patience = 0.0
        if self.known:
            old = self.bucket.rate
            rate = min(rate, old) if passed >= ENOUGH else max(min(rate, old), old / FALL)
            change = max(rate, min(most, old)) - self._limit
            most = max(rate, self._limit + change * min(1.0, WEIGHT * seconds / self._cycle))
            near = abs(most - self._limit) < NEAR * self._limit
            self._sure = min(PATIENCE, 2 * self._sure) if near else HASTE
            if near:
                counted = min(COUNTED, recovery.refused)
            self._cycle = max(min(MINUTE, seconds), self._cycle - FADING * seconds)
            if passed >= ENOUGH and recovery.told:
                patience = DEAR * min(recovery.paused, MINUTE / 10)
        else:
            exact = recovery.told or abs(seconds - MINUTE) < 1
            most = rate if exact else math.sqrt(rate * most)  # it became free between two looks
            self._sure = HASTE
            self._cycle = min(MINUTE, seconds, 4 * recovery.paused)
        self._patience = max(patience, self._cycle / 3, self._sure * counted / most)
        self._limit, self._dip = most, max(BELOW, 1.0 - (1.0 - BELOW) * rate / most)
        self._mark = self._later = recovery.at, recovery.passed
        self._bound, self._heard, self._recovered_at, self.known = 0.0, now, recovery.at, True
        self.bucket.rate = most * (1.0 - self._dip)
        self.bucket.free_at = min(self.bucket.free_at, now + 1.0 / self.bucket.rate)

    def wait(self) -> float:
        """Seconds after which a provider that has refused a request may take one, if it is the rate alone."""
        if not self.known:
            return UNKNOWN
        return max(2.0 / self.bucket.rate, UNSURE if self._sure <= HASTE else 0.0)

    def before_minute(self, now: float, wait: float) -> float:
        """The wait, but not beyond the end of one of the minutes that began with the last recovery."""
        left = MINUTE - (now - LATER - self._recovered_at) % MINUTE
        return min(wait, left) if left < 4 * wait else wait
