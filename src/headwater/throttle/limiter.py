"""What one provider may be sent now: how many at once and how often, learned from what it accepts and refuses.

**The problem.** A provider has limits that it mostly does not tell: of requests in flight, of requests in a window of
time, of tokens. All that is seen is which requests were accepted, which were refused, and how long they took. A
refusal costs a request, and what is not sent costs time, so that both are to be few.

**The parts**, each with one question, none of which knows the others:

    ConcurrencyLimit   how many at once?                grows with answers, falls to what was accepted
    LatencyGradient    would more at once help?         by how long answers take
    RateEstimator      how many a second?               counts what was let through between two refusals
    Pause, SlowStart   nobody now, and then how few?    after a refusal that is about time
    AdvertisedQuota    what do the headers say?         spent evenly until its reset
    Bucket             what did the caller ask for?     requests and tokens a minute
    Episode            what is this burst of refusals?  number or time
    RandomRefusals     is it about neither?             bursts that go on, however little is sent

**The rules** by which a refusal is told for what it is:

    a refusal                                             what it is about
    of as many at once as may be, or as ever were         the number: fewer at once, and nobody waits
    and the next request is refused as well               time: all wait, then one request goes to see, then more
    of fewer than were accepted before                    time, at once
    what was about time                                   teaches the rate of what was let through
    burst after burst, with few answers between them      neither: nobody waits, while no more is refused than so far

**The states:**

    open ──── refused, about the number ────▶ lowered ──── a later request is refused, too ────┐
     │                                           │                                             ▼
     ├──────── refused, about time ──────────────┼─────────────────────────────────────────▶ paused ◀──┐ refused again:
     │                                           │                                           │ │ └─────┘ a longer one
     ◀──── a later request is accepted ──────────┴───────────────────────────────────────────┘ │
     ◀──── a later request is accepted ──── given up: calls are let fail ◀──── for too long ───┘

A refusal counts once with all that were on their way when it came: of two thousand that a server refuses at once, one
is told.

**What it earns:** tests/batch/test_limiter.py simulates 94 servers (limits in flight, of fixed and sliding windows and
buckets, silent or not, that change or go away). Of all 94 this keeps nine tenths of what they take, or loses as little
as the test allows, with few requests refused. Without the rate estimator it is 46 of them; an additive-increase,
multiplicative-decrease limit of 80 lines was right for 34 of 60. `python -m benchmarks.adaptive` does it over sockets.

No clock is read: the caller brings the time, in seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from ..engine.retry import is_overload
from ..errors import HeadwaterError, InferenceTimeoutError, ProviderError
from ..protocol.transport import FOREVER
from ..responses.quota import NO_LIMITS, RateLimit, pacing_limits, rate_limits
from .buckets import AdvertisedQuota, Bucket
from .concurrency import ConcurrencyLimit, LatencyGradient
from .episode import Episode
from .pause import SLOW_START_SECONDS, Pause, SlowStart
from .permit import LimiterPermit
from .random_refusals import RandomRefusals
from .rate import SIGNIFICANT_REQUESTS, RateEstimator, RateSample

INITIAL_CONCURRENCY: Final = 16
"""In flight at first, where the number is to be found."""
SLOW_START_CONCURRENCY: Final = 64
"""In flight at first, where the number was given; twice as many every `SLOW_START_SECONDS`."""
TRIAL_CONCURRENCY: Final = 4
"""In flight at first, where refusals turned out to be about neither the number nor time; one more with every answer."""
REMEMBERED_REFUSALS: Final = 64
LONGEST_PAUSE_SECONDS: Final = 900.0
"""A provider is asked again after this time, however long it wants to be left alone."""
HOLD_SECONDS: Final = 10.0
"""Divided by the limit: for so long it does not grow after a refusal. The item that was refused waits a moment, and
nobody goes in its place."""
LONGEST_RETRY_AFTER_SECONDS: Final = 86_400.0
"""A longer wait than a day is nonsense, and not believed."""
LONGEST_BACKOFF_SECONDS: Final = 30.0
LONGEST_BACKOFF_UNREACHABLE_SECONDS: Final = 4.0
"""Between two looks at most: at a provider that refuses, and at one that cannot be reached."""
GIVE_UP_SECONDS: Final = 120.0
GIVE_UP_NEVER_WORKED_SECONDS: Final = 10.0
"""Of nothing but failures, beyond what it asked for, after which calls are let fail: of a provider that has worked, and
of one that never did."""
MISTRUST_AFTER_ROUNDS: Final = 3
"""Refusals in a row, each after the wait that the provider named, from which on it is doubled."""
TIMEOUT_FACTOR: Final = 0.9
"""To this part the concurrency limit falls when the provider answers too late."""
MEAN_COST_WEIGHT: Final = 0.05
_TIMEOUT_STATUSES: Final = frozenset({408, 504})


class ProviderLimiter:
    """What may be sent to one provider.

    `most`: in flight at most. `adapts`: the number is to be found below that. `requests`, `tokens`: at most so many a
    second, as the caller wants it.
    """

    def __init__(
        self, now: float, *, most: int, adapts: bool, requests: float | None = None, tokens: float | None = None
    ) -> None:
        self.concurrency = ConcurrencyLimit(min(INITIAL_CONCURRENCY, most) if adapts else most, most)
        self.in_flight = 0
        self.sent = 0
        starts_slowly = not adapts and most > SLOW_START_CONCURRENCY
        self.pause = Pause(
            now, SlowStart(SLOW_START_CONCURRENCY, SLOW_START_SECONDS, now, 0) if starts_slowly else None
        )
        self.requests = None if requests is None else Bucket(requests, now)
        self.tokens = None if tokens is None else Bucket(tokens, now)
        self._buckets = [bucket for bucket in (self.requests, self.tokens) if bucket is not None]
        self._quotas: dict[tuple[str, str], AdvertisedQuota] = {}  # by unit and name
        self._mean_cost = 0.0  # tokens of a request
        self._gradient = LatencyGradient() if adapts else None
        self._rate = RateEstimator(now)
        self._is_rate_binding = adapts  # whether the estimated rate holds requests back
        self._may_pace = adapts or bool(self._buckets)  # whether anything but the number has ever held requests back
        self._has_worked = False
        self._random = RandomRefusals()
        self._episode: Episode | None = None
        self._last_of_round = 0  # the last request that was sent when the last round began; what it says is counted
        self._last_of_episode = 0  # the same of the last episode that is over
        self._last_of_timeout = 0
        self._peak = self._earlier_peak = 0  # the most in flight that were accepted: since the last episode, and before
        self._refusals: deque[tuple[int, float]] = deque(maxlen=REMEMBERED_REFUSALS)
        self._refused = 0
        self._trusted_limit = 0.0  # what was the limit before refusals that seemed to be about the number
        self._hold_until = now

    # -- before an attempt

    @property
    def limit(self) -> int:
        """How many may be in flight."""
        return self.concurrency.whole

    @property
    def room(self) -> int:
        """How many more may be in flight."""
        return self.concurrency.whole - self.in_flight

    def room_now(self, now: float) -> int:
        """How many more may be sent at once: one where a rate holds them back, in a slow start fewer than may be in
        flight."""
        if self._buckets or self._quotas or (self._is_rate_binding and self._rate.known):
            return min(self.room, 1)
        slow_start = self.pause.slow_start
        return self.room if slow_start is None else min(self.room, slow_start.room(now))

    @property
    def is_given_up(self) -> bool:
        """Whether it has refused for so long that calls are let fail."""
        return self._episode is not None and self._episode.is_given_up

    def delay(self, now: float) -> float:
        """Seconds until a request may go: 0 is now, infinity when another one has ended."""
        if self.in_flight >= self.concurrency.whole:
            return FOREVER
        pause = self.pause
        free_at = pause.until
        if self._may_pace:
            free_at = max(free_at, self._free_at(now))
        if free_at > now:
            return free_at - now
        return 0.0 if pause.slow_start is None else pause.slow_start.delay(now)

    def _free_at(self, now: float) -> float:
        """When the rates let the next request go."""
        free_at = self._rate.bucket.free_at if self._is_rate_binding else now
        for bucket in self._buckets:
            free_at = max(free_at, bucket.free_at)
        for (unit, _), quota in self._quotas.items():
            free_at = max(free_at, quota.free_at(now, 1.0 if unit == "requests" else self._mean_cost))
        return free_at

    def send(self, permit: LimiterPermit, now: float, cost: float = 0.0) -> None:
        """Count a request that goes, with a permit that nobody holds; `cost`: the tokens that it is thought to use."""
        self.in_flight = permit.in_flight = in_flight = self.in_flight + 1
        self.sent = permit.number = self.sent + 1
        permit.sent_at = now
        permit.is_full = in_flight >= self.concurrency.whole
        permit.is_held, permit.is_settled = True, False
        if self._episode is not None and self.sent == self._last_of_round + 1:
            self._episode.probe_sent_at = now
        if self.pause.slow_start is not None:
            self.pause.slow_start.unanswered += 1
        if self._may_pace:
            self._spend(now, cost)
            permit.cost = cost

    def follow(self, permit: LimiterPermit, now: float) -> bool:
        """Count a request that goes in the place of one that was answered, with its permit, where nothing but the
        number holds any back; else False."""
        pause = self.pause
        slow_start = pause.slow_start
        if self._may_pace or self._episode is not None or pause.until > now:
            return False
        if not (permit.is_held and permit.is_settled):
            return False
        if slow_start is not None:
            if slow_start.delay(now) > 0:
                return False
            slow_start.unanswered += 1
        self.sent = permit.number = self.sent + 1
        permit.in_flight = in_flight = self.in_flight
        permit.sent_at = now
        permit.is_full = in_flight >= self.concurrency.whole
        permit.is_settled = False
        return True

    def take_back(self) -> None:
        """Do not count the last request, which was not sent."""
        self.sent -= 1

    def _spend(self, now: float, cost: float) -> None:
        if self._is_rate_binding:
            self._is_rate_binding = self._rate.spend(now)
        if self.requests is not None:
            self.requests.spend(now)
        if self.tokens is not None and cost:
            self.tokens.spend(now, cost)
        for (unit, _), quota in self._quotas.items():
            quota.spend(now, 1.0 if unit == "requests" else self._mean_cost)

    # -- after it

    def answered(
        self, permit: LimiterPermit, now: float, seconds: float, headers: Mapping[str, str], epoch: Callable[[], float]
    ) -> None:
        """Take in that the provider answered this attempt, or began to; `epoch` gives the time as epoch seconds."""
        permit.is_settled = self._has_worked = True
        slow_start, concurrency = self.pause.slow_start, self.concurrency
        if slow_start is not None:
            slow_start.settle(permit.number, is_accepted=True)
        if permit.number > self._last_of_round:
            if self._episode is not None:
                self._recover(self._episode, now)
            if permit.in_flight > self._peak:
                self._peak = max(self._peak, self._taken_with(permit))
        may_grow = permit.is_full and concurrency.value < concurrency.most
        if may_grow or self._gradient is not None or self._is_rate_binding:
            self._grow(permit, seconds, now)
        told = rate_limits(headers, epoch)
        if told is not NO_LIMITS and (found := pacing_limits(told)):
            self._take_limits(found, now)
        if (
            slow_start is not None
            and slow_start is self.pause.slow_start
            and slow_start.allowed(now) > concurrency.value
        ):
            self.pause.slow_start = None

    def _take_limits(self, found: list[RateLimit], now: float) -> None:
        """Pace by these limits, and by none that the provider does not tell of any more."""
        quotas = {}
        for limit in found:
            name = limit.unit, limit.name
            quota = quotas[name] = self._quotas.get(name) or AdvertisedQuota()
            quota.tell(now, limit.remaining or 0.0, limit.reset or 0.0, limit.limit)
        self._quotas, self._may_pace = quotas, True

    def failed(self, permit: LimiterPermit, now: float, seconds: float, error: HeadwaterError) -> bool:
        """Take in that the attempt failed; whether the provider is left alone for it, so that retries are held back
        here."""
        self.release(permit)
        if is_overload(error):
            self._refuse(permit, now, seconds, error)
            return not self.is_given_up
        is_slow = isinstance(error, InferenceTimeoutError) or getattr(error, "status", None) in _TIMEOUT_STATUSES
        if is_slow and permit.number > self._last_of_timeout:
            self._last_of_timeout = self.sent
            self.concurrency.lower_to(self.concurrency.value * TIMEOUT_FACTOR)
        return False

    def release(self, permit: LimiterPermit) -> None:
        """End the attempt, and its stream; idempotent."""
        if permit.is_held:
            permit.is_held = False
            self.in_flight -= 1
            if not permit.is_settled:
                permit.is_settled = True
                if self.pause.slow_start is not None:
                    self.pause.slow_start.settle(permit.number, is_accepted=False)

    def correct_tokens(self, permit: LimiterPermit, tokens: float) -> None:
        """Count the tokens that an attempt really used, in place of what it was thought to, where anybody counts."""
        if self.tokens is None and not self._quotas:
            return
        self._mean_cost += (tokens - self._mean_cost) * (MEAN_COST_WEIGHT if self._mean_cost else 1.0)
        if self.tokens is not None:
            self.tokens.correct(tokens - permit.cost)

    def _grow(self, permit: LimiterPermit, seconds: float, now: float) -> None:
        """Let an answer raise the limits, as far as it says that they may be higher."""
        gradient, concurrency = self._gradient, self.concurrency
        if gradient is not None:
            value = gradient.add(seconds, permit.in_flight, concurrency.value)
            if value is not None and self._episode is None:
                (concurrency.lower_to if value < concurrency.value else concurrency.restore_to)(value)
        if now >= self._hold_until and (gradient is None or not gradient.holds):
            concurrency.accepted(is_full=permit.is_full)
        if self._is_rate_binding:
            self._is_rate_binding = self._rate.accepted(now, seconds, self.sent - self._refused)

    # -- refusals

    def _refuse(self, permit: LimiterPermit, now: float, seconds: float, error: HeadwaterError) -> None:
        self._refusals.append((permit.number, now))
        self._refused += 1
        hint = _believable(error.retry_after)
        were_random = self._random.are_assumed
        if self.is_given_up or (were_random and self._stays_random(hint, now)):
            return
        is_first_of_round = permit.number > self._last_of_round
        episode = self._episode_of(permit, now)
        if episode is None:
            return
        episode.add(permit.sent_at, teaches_rate=isinstance(error, ProviderError) and not were_random)
        taken = self._taken_with(permit)
        if taken < episode.fewest_in_flight:
            self.concurrency.lower_to(taken - 1, again=episode.fewest_in_flight < FOREVER)
            episode.fewest_in_flight = taken
        if episode.is_about_number:
            return
        patience = GIVE_UP_SECONDS if self._has_worked else GIVE_UP_NEVER_WORKED_SECONDS
        if now - episode.began > patience + (hint or 0.0):
            self._give_up(episode)
        elif hint is not None:
            wait = self._hinted_wait(episode, hint, now, is_first_of_round=is_first_of_round)
            self.pause.extend(now, wait, seconds, self.sent)
        elif is_first_of_round:
            self.pause.extend(now, self._backoff_wait(episode, error, now), seconds, self.sent)

    def _stays_random(self, hint: float | None, now: float) -> bool:
        """Whether a refusal is still taken for a random one; else the limits are kept to again."""
        if hint is None and self._random.tolerates(self.sent):
            return True
        if self._random.end(self.sent):
            self._rate.forget(now, self.sent - self._refused)
        self._is_rate_binding = self._rate.known
        return False

    def _episode_of(self, permit: LimiterPermit, now: float) -> Episode | None:
        """The burst that a refusal is of, begun with it if need be; None where it was on its way when what it says was
        learned, and that is over."""
        episode = self._episode
        if permit.number <= self._last_of_round:
            return episode
        if episode is not None and permit.number > self._last_of_round + 1:
            self._recover(episode, now)  # the first that was sent after the last refusal has not been refused
            episode = None
        self._last_of_round = self.sent
        if episode is None:
            is_about_number = self._may_be_about_number(permit)
            episode = self._episode = Episode(now, self.concurrency.value, is_about_number=is_about_number)
        else:
            episode.begin_round()
        return episode

    def _may_be_about_number(self, permit: LimiterPermit) -> bool:
        """Whether a refusal may be about how many were in flight."""
        taken, ceiling = self._taken_with(permit), self.concurrency.ceiling
        if permit.in_flight <= 1:
            return False
        if permit.is_full and (ceiling is None or taken > ceiling):
            return True
        if self._rate.known and permit.number - self._last_of_episode < SIGNIFICANT_REQUESTS:
            return False
        return taken > max(self._peak, self._earlier_peak) and (ceiling is None or self._peak > 0)

    def _taken_with(self, permit: LimiterPermit) -> int:
        """How many were with it in flight, without those that were refused: the server did not have these."""
        return permit.in_flight - sum(n < permit.number and at > permit.sent_at for n, at in self._refusals)

    def _hinted_wait(self, episode: Episode, hint: float, now: float, *, is_first_of_round: bool) -> float:
        """Seconds to wait, by what the provider says; more, where that was too short again and again."""
        too_early = episode.rounds - MISTRUST_AFTER_ROUNDS if is_first_of_round else 0
        episode.has_retry_after = too_early <= 0
        if too_early <= 0:
            return min(hint, LONGEST_PAUSE_SECONDS)
        longer = min(hint * 2.0 ** min(too_early, 10), LONGEST_BACKOFF_SECONDS)
        return min(max(hint, self._rate.before_minute(now, longer)), LONGEST_PAUSE_SECONDS)

    def _backoff_wait(self, episode: Episode, error: HeadwaterError, now: float) -> float:
        """Seconds to wait where the provider does not say how many."""
        episode.has_retry_after = False
        is_there = isinstance(error, ProviderError)
        longest = LONGEST_BACKOFF_SECONDS if is_there else LONGEST_BACKOFF_UNREACHABLE_SECONDS
        return self._rate.before_minute(now, self.pause.next_backoff(self._rate.retry_seconds(), longest))

    def _give_up(self, episode: Episode) -> None:
        episode.is_given_up = True
        self.pause.slow_start = None
        self.concurrency.restore_to(min(episode.limit_before, INITIAL_CONCURRENCY))

    def _recover(self, episode: Episode, now: float) -> None:
        """End an episode, as the first request that was sent after its refusals was accepted: what were they about?"""
        if episode.is_about_number:
            self._hold_until = now + HOLD_SECONDS / self.concurrency.value
            self._trusted_limit = max(self._trusted_limit, episode.limit_before)
        else:
            self.concurrency.restore_to(max(episode.limit_before, self._trusted_limit))
            self._trusted_limit = 0.0
            if episode.teaches_rate:
                self._rate.update(now, self._rate_sample(episode))
                self._is_rate_binding = self._may_pace = True
        if not episode.has_retry_after and self._random.add_burst(self.sent, self._last_of_round - self._refused):
            self._is_rate_binding = False
            self.concurrency.ceiling = None
            self.pause.slow_start = SlowStart(TRIAL_CONCURRENCY, FOREVER, now, self.sent)
        self._episode = None
        self._last_of_episode = self._last_of_round
        if self._peak:
            self._earlier_peak, self._peak = self._peak, 0
        self.pause.backoff = 0.0

    def _rate_sample(self, episode: Episode) -> RateSample:
        return RateSample(
            at=episode.probe_sent_at,
            passed=self._last_of_round - self._refused,
            refused_at=episode.refused_sent_at,
            refused=episode.refused,
            paused=max(0.0, episode.probe_sent_at - episode.began),
            has_retry_after=episode.has_retry_after,
        )


def _believable(retry_after: float | None) -> float | None:
    return retry_after if retry_after is not None and 0 < retry_after <= LONGEST_RETRY_AFTER_SECONDS else None
