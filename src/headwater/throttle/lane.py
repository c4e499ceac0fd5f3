"""What one provider may be sent now: how many at once and how often, learned from what it accepts and refuses.

    a refusal                                             what it is about
    of as many at once as may be, or as ever were         the number: fewer at once, and nobody waits
    and the next request is refused as well               time: all wait, then one request goes to see, then more
    of fewer than were accepted before                    time, at once
    what was about time                                   teaches the rate of what was let through

No clock is read: the caller brings the time. A refusal counts once with all that were on their way when it came.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from ..engine.retry import is_overload
from ..errors import HeadwaterError, InferenceTimeoutError, ProviderError
from ..protocol.transport import FOREVER
from ..responses.rate_limit import limits_in
from .buckets import Bucket, Quota
from .concurrency import Gradient, Level
from .permit import Permit, Ramp
from .rate import ENOUGH, Rate, Recovery

START: Final = 16
"""In flight at first, where the number is to be found."""
RAMP: Final = 64
"""In flight at first, where the number was given; twice as many every tenth of a second."""
RAMP_SECONDS: Final = 0.1
REMEMBERED: Final = 64
"""Refusals that are kept."""
LONGEST_PAUSE: Final = 900.0
"""A provider is asked again after this time (seconds), however long it wants to be left alone."""
HOLD: Final = 10.0
"""Seconds, divided by the level, for which it does not grow after a refusal: the item that was refused waits a moment,
and nobody goes in its place."""
_ABSURD: Final = 86_400.0
_BACKOFF: Final = 2.0
_LONGEST: Final = 30.0
_LONGEST_AWAY: Final = 4.0
"""Seconds between two looks at most: at one that refuses, and at one that cannot be reached."""
_LOST_AFTER: Final = 120.0
_NEVER_THERE: Final = 10.0
"""Seconds of nothing but failures, beyond what it asked for, after which calls are let fail: of a provider that has
worked, and of one that never did."""
_TOO_SLOW: Final = frozenset({408, 504})


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
        self.given_up = False
        self._buckets = [bucket for bucket in (self.requests, self.tokens) if bucket is not None]
        self._quotas: dict[str, Quota] = {}
        self._cost = 0.0
        self._gradient = Gradient() if adapts else None
        self._ramp = None if adapts or most <= RAMP else Ramp(RAMP, RAMP_SECONDS, now, 0)
        self._rate = Rate(now)
        self._pacing: Rate | None = self._rate if adapts else None
        self._failing_since = now
        self._worked = False
        # what the last refusals were about
        self._rounds = self._mark = self._slow_mark = self._since = 0
        self._probe_at = now
        self._highest = self._earlier = 0
        self._lowest = FOREVER
        self._timely = self._limited = self._told_when = False
        self._before = self.level.value
        self._refusals: deque[tuple[int, float]] = deque(maxlen=REMEMBERED)
        self._refused = self._lately = 0
        self._refused_at = now
        self._paused = self._trusted = 0.0
        self._hold_until = now

    # -- before an attempt

    @property
    def room(self) -> int:
        """How many more may be in flight."""
        return int(self.level.value) - self.in_flight

    @property
    def counts(self) -> bool:
        """Whether the tokens that are used matter here."""
        return self.tokens is not None or bool(self._quotas)

    def delay(self, now: float) -> float:
        """Seconds until a request may go: 0 is now, infinity when another one has ended."""
        if self.in_flight >= int(self.level.value):
            return FOREVER
        free_at = self.paused_until
        if self._pacing is not None:
            free_at = max(free_at, self._pacing.bucket.free_at)
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
        if self.number == self._mark + 1:
            self._probe_at = now
        if self._ramp is not None:
            self._ramp.open += 1
        if self._pacing is not None and not self._pacing.spend(now):
            self._pacing = None
        if self.requests is not None:
            self.requests.spend(now)
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
        if not permit.told:
            self._told(permit, accepted=True)
        self._worked = True
        if permit.number > self._mark:
            if self._rounds:
                self._recover(now)
            if permit.beside > self._highest:
                self._highest = max(self._highest, self._beside(permit))
        if permit.full or self._gradient is not None or self._pacing is not None:
            self._grow(permit, seconds, now)
        for found in limits_in(headers, epoch):
            quota = self._quotas.setdefault(found.unit, Quota())
            quota.tell(now, found.remaining, found.reset, found.limit)
        if self._ramp is not None and self._ramp.allowed(now) > self.level.value:
            self._ramp = None

    def failed(self, permit: Permit, now: float, seconds: float, error: HeadwaterError) -> bool:
        """The attempt failed; whether the provider is left alone for it, so that retries are held back here."""
        self.release(permit)
        if is_overload(error):
            self._refuse(permit, now, seconds, error)
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
            if not permit.told:
                self._told(permit, accepted=False)

    def spent(self, permit: Permit, tokens: float) -> None:
        """So many tokens were used."""
        self._cost += (tokens - self._cost) * (0.05 if self._cost else 1.0)
        if self.tokens is not None:
            self.tokens.correct(tokens - permit.cost)

    def _told(self, permit: Permit, *, accepted: bool) -> None:
        permit.told = True
        ramp = self._ramp
        if ramp is not None and permit.number > ramp.mark:
            ramp.open -= 1
            if accepted:
                ramp.answered()

    def _grow(self, permit: Permit, seconds: float, now: float) -> None:
        gradient = self._gradient
        if gradient is not None:
            level = gradient.add(seconds, permit.beside, self.level.value)
            if level is not None and not self._rounds:
                (self.level.lower if level < self.level.value else self.level.restore)(level)
        if now >= self._hold_until and (gradient is None or not gradient.holds):
            self.level.accepted(full=permit.full)
        if self._pacing is not None and not self._pacing.accepted(now, seconds, self.number - self._refused):
            self._pacing = None

    # -- refusals

    def _refuse(self, permit: Permit, now: float, seconds: float, error: HeadwaterError) -> None:
        self._refusals.append((permit.number, now))
        self._refused += 1
        if self.given_up:
            return
        fresh = permit.number > self._mark
        if fresh:
            if self._rounds and permit.number > self._mark + 1:
                self._recover(now)  # the first that was sent after the last refusal has not been refused
            self._begin_round(permit, now)
        elif not self._rounds:
            return  # it was on its way when what it says was learned, and that is over
        self._lately += 1
        self._limited = self._limited and isinstance(error, ProviderError)
        self._refused_at = permit.sent
        beside = self._beside(permit)
        if beside < self._lowest:
            again = self._lowest < FOREVER
            self._lowest = beside
            self.level.lower(beside - 1, again=again)
        if not self._timely:
            return
        hint = error.retry_after
        if hint is not None and not 0 < hint <= _ABSURD:
            hint = None
        if now - self._failing_since > (_LOST_AFTER if self._worked else _NEVER_THERE) + (hint or 0.0):
            self.given_up = True
            self._ramp = None
            self.level.restore(min(self._before, START))
        elif hint is not None:
            more = 2.0 ** max(0, min(self._rounds - 3, 10)) if fresh else 1.0  # it has come too early already
            self._told_when = more == 1.0
            wait = hint if more == 1.0 else max(hint, self._rate.before_minute(now, min(hint * more, _LONGEST)))
            self._pause(now, min(wait, LONGEST_PAUSE), seconds)
        elif fresh:
            self._told_when = False
            self._back_off(now, seconds, error)

    def _beside(self, permit: Permit) -> int:
        """How many were with it in flight, without those that were refused: the server did not have these."""
        return permit.beside - sum(n < permit.number and at > permit.sent for n, at in self._refusals)

    def _begin_round(self, permit: Permit, now: float) -> None:
        self._rounds += 1
        self._mark = self.number
        if self._rounds == 1:
            self._before = self.level.value
            self._lowest = FOREVER
            self._failing_since = now
            self._lately = 0
            self._limited = True
            self._timely = not self._too_many(permit)
        else:
            self._timely = True

    def _too_many(self, permit: Permit) -> bool:
        """Whether a refusal may be about how many were in flight."""
        beside, ceiling = self._beside(permit), self.level.ceiling
        if permit.beside <= 1:
            return False
        if permit.full and (ceiling is None or beside > ceiling):
            return True
        if self._rate.known and permit.number - self._since < ENOUGH:
            return False
        return beside > max(self._highest, self._earlier) and (ceiling is None or self._highest > 0)

    def _back_off(self, now: float, seconds: float, error: HeadwaterError) -> None:
        longest = _LONGEST if isinstance(error, ProviderError) else _LONGEST_AWAY
        wait = self._paused * _BACKOFF if self._paused else self._rate.wait()
        wait = min(longest, max(wait, 1e-3))
        self._paused = wait
        self._pause(now, self._rate.before_minute(now, wait), seconds)

    def _pause(self, now: float, wait: float, seconds: float) -> None:
        if now + wait > self.paused_until:
            self.paused_until = now + wait
            self._ramp = Ramp(1, max(RAMP_SECONDS, 2 * seconds), self.paused_until, self.number)

    def _recover(self, now: float) -> None:
        """The first request that was sent after the refusals was accepted: what were they about?"""
        if not self._timely:
            self._hold_until = now + HOLD / self.level.value
            self._trusted = max(self._trusted, self._before)
        if self._timely or self.given_up:
            self.level.restore(max(self._before, self._trusted))
            self._trusted = 0.0
        if self._timely and self._limited:
            paused = max(0.0, self._probe_at - self._failing_since)
            count = self._mark - self._refused
            self._rate.learn(
                now, Recovery(self._probe_at, count, self._refused_at, self._lately, paused, self._told_when)
            )
            self._pacing = self._rate
        self._rounds = 0
        self._since = self._mark
        if self._highest:
            self._earlier, self._highest = self._highest, 0
        self._paused = 0.0
        self.given_up = False
