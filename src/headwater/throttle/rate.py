"""How often: a rate that feels for what a provider lets through, as the concurrency limit does for how many at once.

**What is measured.** A *cycle* goes from one recovery (the first request that is accepted after a burst of refusals) to
the next. At both of its ends the provider's allowance had just been used up, so that the requests which were let
through in between, divided by its length, are the provider's rate: whether it counts in fixed windows, in a sliding
one, or refills a bucket. There is an upper end as well: the same number up to the last refused request, as the
allowance came back somewhere between that one and the recovery. The truth is between the two.

**What is done with it.** At the start the rate doubles quickly, until it is refused or holds nothing back any more.
From then on it follows a cubic curve, as TCP CUBIC does (RFC 9438): from a little below the limit up to it, slowly past
it, and where nothing is refused there, ever faster. Where the curve reaches the limit is chosen so that one request in
`MOST_REQUESTS_PER_REFUSAL` is refused:

    rate                                                         ╱
      │                                                        ╱      past the limit by eight times: it is forgotten
    limit ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─▁▁▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▃▃▄▅
      │                 ▁▂▂▃▃▄▄▄▄▔▔
      │           ▁▂▃▄▅▔
      └─ recovery ───────────────── seconds to the limit ──────── refused: the next cycle

**What it earns:** of 94 simulated servers the limiter is right for 94 with this, and for 46 without it
(tests/batch/test_limiter.py; what each rule does alone is in test_rates.py).

Pure arithmetic: no clock, no waiting, no provider.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from .buckets import Bucket

INITIAL_REQUESTS_PER_SECOND: Final = 50.0
DOUBLING_SECONDS: Final = 0.25
"""In which the start's rate doubles, at most."""
DOUBLING_ANSWER_TIMES: Final = 25.0
"""Times the time of an answer: so long the doubling takes, where that is less. The fewer, the more is refused where it
ends."""
SHORTEST_DOUBLING_SECONDS: Final = 0.05
LEAST_REQUESTS: Final = 5
"""Fewer requests than this say nothing of a rate."""
SIGNIFICANT_REQUESTS: Final = 20
"""Requests that say enough of a rate."""
UNLIMITED_REQUESTS_PER_SECOND: Final = 5000.0
"""From here on the start's rate holds nothing back."""
DIP_FRACTION: Final = 0.05
"""So far below what was let through it goes on after a refusal, as a part of it."""
MOST_REQUESTS_PER_REFUSAL: Final = 50.0
"""Requests for each that was refused, until the rate is again what was let through: one in a hundred is refused."""
LEAST_REQUESTS_PER_REFUSAL: Final = 20.0
"""The same for a limit that is not sure; it doubles each time that the limit is confirmed."""
MOST_COUNTED_REFUSALS: Final = 5.0
"""As many refusals make it as patient as it gets."""
MOST_COUNTED_UNSURE: Final = 2.0
"""The same where the limit is not confirmed."""
SECONDS_PER_PAUSED_SECOND: Final = 8.0
"""Times the pause that the provider asked for, until the rate is again what was let through: so short a part of the
time is spent in pauses, which may be longer than they need be."""
LONGEST_CYCLE_SECONDS: Final = 60.0
"""The window of most limits, and the longest that is thought of."""
LARGEST_FALL: Final = 3.0
"""To no less than this part of what it was does a rate fall by what fewer requests say."""
SAME_LIMIT_FRACTION: Final = 0.3
"""A limit so far from the one before, as a part of it, is the same."""
CYCLES_OF_FULL_WEIGHT: Final = 2.0
"""Cycles in half of the longest one that is remembered change the limit fully, shorter ones by as much less: in a
sliding window, what was sent in a burst comes back in one."""
CYCLE_DECAY: Final = 0.05
"""So much of each cycle's time is taken from the longest that is remembered."""
FORGET_FACTOR: Final = 8.0
"""At so many times the rate that was refused, that refusal is history."""
WINDOW_SKEW_SECONDS: Final = 0.25
"""By which the server's minute may end after the client's."""
FIRST_RETRY_SECONDS: Final = 0.5
"""After which a provider is asked again of whose limit nothing is known."""
UNSURE_RETRY_SECONDS: Final = 0.1
"""The same of whose limit little is known, at least."""


class RateSample(NamedTuple):
    """One recovery: a request was let through again, after a burst of refusals.

    `at`: when it was sent. `passed`: requests that had been let through before it, in all. `refused_at`: when the last
    refused one was sent; `refused`: how many there were. `paused`: for how many seconds nothing was let through.
    `has_retry_after`: the provider had said when to come again.
    """

    at: float
    passed: int
    refused_at: float
    refused: int
    paused: float
    has_retry_after: bool


class RateEstimator:
    """The rate at which a provider lets requests through, as far as it was found out.

    `bucket`: when the next request may go. `known`: whether a limit of requests in time was found.
    """

    __slots__ = (
        "_cycle_seconds",
        "_dip",
        "_doubling_seconds",
        "_heard_at",
        "_held_seconds",
        "_limit",
        "_mark",
        "_next_mark",
        "_recovered_at",
        "_requests_per_refusal",
        "_seconds_to_limit",
        "bucket",
        "known",
    )

    def __init__(self, now: float) -> None:
        self.bucket = Bucket(INITIAL_REQUESTS_PER_SECOND, now)
        self.known = False
        self._limit = INITIAL_REQUESTS_PER_SECOND  # what was let through; the curve begins by the part `_dip` below it
        self._dip = DIP_FRACTION
        self._seconds_to_limit = 1.0
        self._held_seconds = 0.0  # in which it was this that held requests back: how far along the curve it is
        self._heard_at = now
        self._doubling_seconds = DOUBLING_SECONDS
        self._recovered_at = now
        self._requests_per_refusal = LEAST_REQUESTS_PER_REFUSAL
        self._cycle_seconds = 0.0  # the longest that is remembered
        self._mark = self._next_mark = now, 0  # a time, and how many were let through by then: counted from here on

    def spend(self, now: float) -> bool:
        """Count a request that goes; False when the next ones need not ask here."""
        if not self.known:
            self.bucket.rate *= 2.0 ** min(60.0, (now - self._heard_at) / self._doubling_seconds)
            self._heard_at = now
            if self.bucket.rate > UNLIMITED_REQUESTS_PER_SECOND:
                return False
        self.bucket.spend(now)
        return True

    def accepted(self, now: float, seconds: float, count: int) -> bool:
        """Take in an answer, after these seconds, with so many requests let through by now; False when the limit is
        none any more."""
        if not self.known:
            doubling = max(SHORTEST_DOUBLING_SECONDS, DOUBLING_ANSWER_TIMES * seconds)
            self._doubling_seconds = min(self._doubling_seconds, doubling)
            return True
        if self.bucket.free_at > now:
            before = self._held_seconds // self._seconds_to_limit
            self._held_seconds += now - self._heard_at
            if self._held_seconds // self._seconds_to_limit > before:
                self._mark, self._next_mark = self._next_mark, (now, count)  # another rate by now: count anew
            factor = self._curve(self._held_seconds / self._seconds_to_limit - 1.0)
            if factor > FORGET_FACTOR:
                self.known = False
                return False
            self.bucket.set_rate(self._limit * factor, now)
        self._heard_at = now
        return True

    def _curve(self, part: float) -> float:
        """The rate as a part of the limit; `part`: -1 at the recovery, 0 at the limit, 1 as long after it."""
        if part > 1.0:
            return (1.0 + DIP_FRACTION) * math.pow(2.0, part - 1.0)
        return 1.0 + (self._dip if part < 0.0 else DIP_FRACTION) * part * part * part

    def update(self, now: float, sample: RateSample) -> None:
        """End a cycle: how much was let through says what may be, from the rate that it surely is up to the limit."""
        since, before = self._mark
        seconds = max(sample.at - since, 1e-3)
        passed = max(1, sample.passed - before)
        sure = passed / seconds
        if passed < LEAST_REQUESTS and not self.known:  # the start begins again, slower
            self.bucket.rate, self._heard_at = 2 * sure, now
            return
        most = passed / max(sample.refused_at - since, 0.05 * seconds)
        if self.known:
            sure, limit, is_same = self._corrected(sure, most, passed, seconds)
        else:
            limit, is_same = self._found(sure, most, seconds, sample), False
        self._seconds_to_limit = self._patience(limit, passed, sample, is_same=is_same)
        self._limit, self._dip = limit, max(DIP_FRACTION, 1.0 - (1.0 - DIP_FRACTION) * sure / limit)
        self._mark = self._next_mark = sample.at, sample.passed
        self._held_seconds, self._heard_at, self._recovered_at, self.known = 0.0, now, sample.at, True
        self.bucket.rate = limit * (1.0 - self._dip)
        self.bucket.free_at = min(self.bucket.free_at, now + 1.0 / self.bucket.rate)

    def _found(self, sure: float, most: float, seconds: float, sample: RateSample) -> float:
        """The first limit, from the first cycle: what it surely is, or in the middle where that is not exact."""
        is_exact = sample.has_retry_after or abs(seconds - LONGEST_CYCLE_SECONDS) < 1
        self._requests_per_refusal = LEAST_REQUESTS_PER_REFUSAL
        self._cycle_seconds = min(LONGEST_CYCLE_SECONDS, seconds, 4 * sample.paused)
        return sure if is_exact else math.sqrt(sure * most)  # it became free between two looks

    def _corrected(self, sure: float, most: float, passed: int, seconds: float) -> tuple[float, float, bool]:
        """The rate that it surely is and the limit, after one more cycle, and whether the limit is the one before.

        A cycle counts by its length: the longer it is beside the longest, the further the limit goes to what it says.
        """
        old = self.bucket.rate
        sure = min(sure, old) if passed >= SIGNIFICANT_REQUESTS else max(min(sure, old), old / LARGEST_FALL)
        change = max(sure, min(most, old)) - self._limit
        limit = max(sure, self._limit + change * min(1.0, CYCLES_OF_FULL_WEIGHT * seconds / self._cycle_seconds))
        is_same = abs(limit - self._limit) < SAME_LIMIT_FRACTION * self._limit
        self._requests_per_refusal = (
            min(MOST_REQUESTS_PER_REFUSAL, 2 * self._requests_per_refusal) if is_same else LEAST_REQUESTS_PER_REFUSAL
        )
        remembered = self._cycle_seconds - CYCLE_DECAY * seconds
        self._cycle_seconds = max(min(LONGEST_CYCLE_SECONDS, seconds), remembered)
        return sure, limit, is_same

    def _patience(self, limit: float, passed: int, sample: RateSample, *, is_same: bool) -> float:
        """Seconds until the curve is at the limit again, so that few requests are refused and few seconds paused."""
        refused = min(MOST_COUNTED_REFUSALS if is_same else MOST_COUNTED_UNSURE, sample.refused)
        pauses = 0.0
        if self.known and passed >= SIGNIFICANT_REQUESTS and sample.has_retry_after:
            pauses = SECONDS_PER_PAUSED_SECOND * min(sample.paused, LONGEST_CYCLE_SECONDS / 10)
        return max(pauses, self._cycle_seconds / 3, self._requests_per_refusal * refused / limit)

    def forget(self, now: float, count: int) -> None:
        """Know of no limit any more; so many were let through by now."""
        self.known = False
        self._mark = self._next_mark = now, count

    def retry_seconds(self) -> float:
        """Seconds after which a provider that has refused a request may take one, if it is the rate alone."""
        if not self.known:
            return FIRST_RETRY_SECONDS
        is_unsure = self._requests_per_refusal <= LEAST_REQUESTS_PER_REFUSAL
        return max(2.0 / self.bucket.rate, UNSURE_RETRY_SECONDS if is_unsure else 0.0)

    def before_minute(self, now: float, wait: float) -> float:
        """The wait, but not beyond the end of one of the minutes that began with the last recovery."""
        since = now - WINDOW_SKEW_SECONDS - self._recovered_at
        left = LONGEST_CYCLE_SECONDS - since % LONGEST_CYCLE_SECONDS
        return min(wait, left) if left < 4 * wait else wait
