"""What one provider may be sent now: how many at once and how often, learned from what it accepts and refuses.

    refusals                                     what it learns
    at more in flight than was ever accepted     as many as were in flight are too many: one fewer, at once
    at no more than that, once                   the same, and to wait if the answer says so
    several in a row                             nothing goes: all wait, then one request goes to see, then more
    and in the end accepted with as many         it was time that was lacking: the rate of what was accepted

No clock is read: the caller brings the time. A refusal counts once with all that were on their way when it came.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from ..errors import HeadwaterError, InferenceTimeoutError, ProviderError, TransportError
from ..wire import FOREVER
from .buckets import Bucket, Quota
from .levels import Gradient, Level
from .permits import Permit, Ramp
from .rate_headers import limits_in

START: Final = 16
"""In flight at first, where the number is to be found."""
RAMP: Final = 64
"""In flight at first, where the number was given; twice as many every tenth of a second."""
RAMP_SECONDS: Final = 0.1
REMEMBERED: Final = 64
"""Refusals that are kept."""
LONGEST_PAUSE: Final = 900.0
"""A provider is asked again after this time (seconds), however long it wants to be left alone."""
_ABSURD: Final = 86_400.0
_BACKOFF: Final = 0.25
_BACKOFF_RATE: Final = 16.0
_BACKOFF_DOWN: Final = 4.0
_LOST_AFTER: Final = 120.0
_NEVER_THERE: Final = 10.0
"""Seconds of nothing but failures, without a word of when to come back, after which calls are let fail: of a provider
that has worked, and of one that never did."""
_MINUTE: Final = 60.0
_SHORT: Final = 3.0
_CYCLE: Final = 200
"""Requests for each look whether a rate that was learned may be higher, at least."""
_BELOW: Final = 0.97
"""What is taken of a rate that was found to be the limit; it grows from there, to find a higher one."""
_OVERLOAD: Final = frozenset({429, 502, 503, 529})
_TOO_SLOW: Final = frozenset({408, 504})


def is_overload(error: HeadwaterError) -> bool:
    """Whether the provider has too much to do or is away, whoever asks for what; it is left alone then."""
    if not error.retryable:
        return False
    if isinstance(error, InferenceTimeoutError):
        return error.phase == "connect"
    return isinstance(error, TransportError) or (isinstance(error, ProviderError) and error.status in _OVERLOAD)


class Lane:
    """What may be sent to one provider. `most`: in flight at most; `adapts`: the number is to be found below that."""

    def __init__(
        self, now: float, *, most: int, adapts: bool, requests: float | None = None, tokens: float | None = None
    ) -> None:
        self.level = Level(min(START, most) if adapts else most, most)
        self.in_flight = 0
        self.number = 0
        self.paused_until = now
        self.requests = None if requests is None else Bucket(requests, now)
        self.tokens = None if tokens is None else Bucket(tokens, now)
        self.learned: Bucket | None = None
        self.given_up = False
        self._buckets = [bucket for bucket in (self.requests, self.tokens) if bucket is not None]
        self._quotas: dict[str, Quota] = {}
        self._cost = 0.0
        self._gradient = Gradient() if adapts else None
        self._ramp = None if adapts or most <= RAMP else Ramp(RAMP, RAMP_SECONDS, now, 0)
        self._rounds = 0
        self._mark = 0
        self._highest = 0
        self._lowest = FOREVER
        self._probed = self._limited = False
        self._before = self.level.value
        self._failing_since = now
        self._worked = False
        self._refusals: deque[tuple[int, float]] = deque(maxlen=REMEMBERED)
        self._refused_at = now
        self._seconds = 0.0
        self._hold_until = now
        self._cycle_at = now
        self._cycle_count = 0
        self._timely = 0.0  # how much the last refusals were about time, not about the level: 0 to 1
        self._best_rate = 0.0
        self._cycle = 1.0
        self._grew_at = now
        self._slow_mark = 0

    # -- before an attempt

    @property
    def room(self) -> int:
        """How many more may be in flight."""
        return int(self.level.value) - self.in_flight

    def delay(self, now: float) -> float:
        """Seconds until a request may go: 0 is now, infinity when another one has ended."""
        if self.in_flight >= int(self.level.value):
            return FOREVER
        free_at = self.paused_until
        for bucket in self._buckets:
            free_at = max(free_at, bucket.free_at)
        for unit, quota in self._quotas.items():
            free_at = max(free_at, quota.free_at(now, self._cost if unit == "tokens" else 1.0))
        if free_at > now:
            return free_at - now
        return 0.0 if self._ramp is None else self._ramp.delay(now)

    def send(self, permit: Permit, now: float, cost: float = 0.0) -> None:
        """A request goes, with a new permit; `cost`: the tokens that it is thought to use."""
        self.in_flight += 1
        self.number += 1
        permit.number, permit.beside, permit.sent = self.number, self.in_flight, now
        permit.full = self.in_flight >= int(self.level.value)
        if self._ramp is not None:
            self._ramp.open += 1
        if self.requests is not None:
            self.requests.spend(now)
        if self.learned is not None:
            self.learned.spend(now)
        if self.tokens is not None and cost:
            self.tokens.spend(now, cost)
            permit.cost = cost
        for unit, quota in self._quotas.items():
            quota.spend(now, self._cost if unit == "tokens" else 1.0)

    # -- after it

    def answered(
        self, permit: Permit, now: float, seconds: float, headers: Mapping[str, str], epoch: Callable[[], float]
    ) -> None:
        """The provider answered this attempt, or began to; `epoch` gives the time as epoch seconds."""
        self._told(permit, accepted=True)
        self._worked = True
        self._cycle_count += 1
        if permit.number > self._mark:
            if self._rounds:
                self._recover(permit, now)
            if permit.beside > self._highest:
                self._highest = max(self._highest, self._beside(permit))
        self._seconds += (seconds - self._seconds) * (0.05 if self._seconds else 1.0)
        self._grow(permit, seconds, now)
        for found in limits_in(headers, epoch):
            quota = self._quotas.setdefault(found.unit, Quota())
            quota.tell(now, found.remaining, found.reset, found.limit)
        if self._ramp is not None and self._ramp.allowed(now) > self.level.value:
            self._ramp = None

    def failed(self, permit: Permit, now: float, seconds: float, error: HeadwaterError) -> bool:
        """The attempt failed; whether the provider is left alone for it, so that retries are held back here."""
        self._told(permit, accepted=False)
        self.release(permit)
        if is_overload(error):
            self._refused(permit, now, seconds, error)
            return not self.given_up
        slow = isinstance(error, InferenceTimeoutError) or getattr(error, "status", None) in _TOO_SLOW
        if slow and permit.number > self._slow_mark:
            self._slow_mark = self.number
            self.level.lower(self.level.value * 0.9)
        return False

    def release(self, permit: Permit) -> None:
        """The attempt is over, and its stream; idempotent."""
        if permit.held:
            permit.held = False
            self.in_flight -= 1
            self._told(permit, accepted=False)

    def spent(self, permit: Permit, tokens: float) -> None:
        """So many tokens were used."""
        self._cost += (tokens - self._cost) * (0.05 if self._cost else 1.0)
        if self.tokens is not None:
            self.tokens.correct(tokens - permit.cost)

    def _told(self, permit: Permit, *, accepted: bool) -> None:
        if permit.told:
            return
        permit.told = True
        ramp = self._ramp
        if ramp is not None and permit.number > ramp.mark:
            ramp.open -= 1
            if accepted:
                ramp.answered()

    # -- growing

    def _grow(self, permit: Permit, seconds: float, now: float) -> None:
        gradient = self._gradient
        if gradient is not None:
            level = gradient.add(seconds, permit.beside, self.level.value)
            if level is not None and not self._rounds:
                (self.level.lower if level < self.level.value else self.level.restore)(level)
        if now >= self._hold_until and (gradient is None or not gradient.holds):
            self.level.accepted(full=permit.full)
        if self.learned is not None and self.learned.free_at > now:
            self.learned.set_rate(self._faster(self.learned.rate, now), now)
        self._grew_at = now

    def _faster(self, rate: float, now: float) -> float:
        """Up to what it may have let through in half a cycle; then a twentieth more in each, until there was none."""
        part = min(0.1, (now - self._grew_at) / self._cycle)
        if rate < self._best_rate:
            return rate + (self._best_rate - rate) * 2 * part
        return rate * (1 + part * (0.05 if now - self._cycle_at < 1.1 * self._cycle else 2.0))

    # -- refusals

    def _refused(self, permit: Permit, now: float, seconds: float, error: HeadwaterError) -> None:
        self._refusals.append((permit.number, now))
        self._refused_at = now
        if self.given_up:
            return
        fresh = permit.number > self._mark
        if fresh:
            self._begin_round(now)
        elif not self._rounds:
            return  # it was on its way when what it says was learned, and that is over
        beside = self._beside(permit)
        self._limited = self._limited and getattr(error, "status", None) == 429
        unheard = 1 if seconds > 0.1 * self._seconds else 0  # refusals that come slowly may be still to come
        self._probed = self._probed and beside > 1 and beside + unheard > self._highest
        if beside < self._lowest:
            self._lowest = beside
            self.level.lower(beside - 1)
        hint = error.retry_after
        if hint is not None and 0 < hint <= _ABSURD:
            if self._rounds > 1 or not self._probed:
                self._pause(now, min(hint, LONGEST_PAUSE), seconds)
        elif fresh and self._rounds > 1:
            self._back_off(now, seconds, error)

    def _beside(self, permit: Permit) -> int:
        """How many were with it in flight, without those that were refused: the server did not have these."""
        return permit.beside - sum(n < permit.number and at > permit.sent for n, at in self._refusals)

    def _begin_round(self, now: float) -> None:
        self._rounds += 1
        self._mark = self.number
        if self._rounds == 1:
            self._before = self.level.value
            self._lowest = FOREVER
            self._probed = self._limited = True
            self._failing_since = now

    def _back_off(self, now: float, seconds: float, error: HeadwaterError) -> None:
        if now - self._failing_since > (_LOST_AFTER if self._worked else _NEVER_THERE):
            self.given_up = True
            self._ramp = None
            self.level.restore(min(self._before, START))
            return
        limited = isinstance(error, ProviderError) and error.status == 429
        longest = _BACKOFF_RATE if limited else _BACKOFF_DOWN
        self._pause(now, min(longest, _BACKOFF * 2.0 ** min(self._rounds - 2, 10)), seconds)

    def _pause(self, now: float, wait: float, seconds: float) -> None:
        if now + wait > self.paused_until:
            self.paused_until = now + wait
            self._ramp = Ramp(1, max(RAMP_SECONDS, 2 * seconds), self.paused_until, self.number)

    def _recover(self, permit: Permit, now: float) -> None:
        """A request that was sent after the refusals was accepted: what were they about?"""
        surely = self._lowest <= 1 or self._beside(permit) >= self._lowest or self.given_up
        self._timely = 0.5 * self._timely + (0.5 if surely or not self._probed else 0.0)
        paused = self.paused_until - self._failing_since
        if not surely and 0 < paused < _SHORT:
            self._hold_until = now + 20 * paused  # a look at a higher level is dear here
        if surely or self._timely > 0.6:
            self.level.restore(self._before)
        if self._timely > 0.6 and self._limited:
            self._learn_rate(now)
        elif not surely:
            self._cycle_at, self._cycle_count = now, 0
        self._rounds = 0
        self._highest = 0
        self.given_up = False

    def _learn_rate(self, now: float) -> None:
        """What was accepted since the last time that it recovered is what it lets through."""
        seconds = now - self._cycle_at
        if self._cycle_count < 5 or seconds <= 0:
            return
        rate, self._cycle_at, self._cycle_count = self._cycle_count / seconds, now, 0
        self._best_rate = rate * seconds / max(seconds + self._refused_at - now, 0.1 * seconds)
        self._cycle = max(min(seconds, _MINUTE), _CYCLE / rate)
        if self.learned is None:
            self.learned = Bucket(rate * _BELOW, now)
            self._buckets.append(self.learned)
        else:
            self.learned.set_rate(min(self.learned.rate, rate) * _BELOW, now)
