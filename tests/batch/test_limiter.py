"""What a limiter learns, against simulated servers with hidden limits: nearly all that they take, and few refusals."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from support.limiter_simulation import AtRandom, Down, InFlight, PerMinute, World, gone, refusal

from headwater.engine.retry import is_overload
from headwater.errors import ConnectError, HeadwaterError, InferenceTimeoutError, InvalidRequestError, RateLimitError
from headwater.throttle.concurrency import ConcurrencyLimit
from headwater.throttle.limiter import ProviderLimiter
from headwater.throttle.permit import LimiterPermit

ENOUGH = 0.9
"""Of what the server could have answered."""
REFUSED = 0.03


def limiter(*, most: int = 4096, adapts: bool = True, **rates: float) -> ProviderLimiter:
    return ProviderLimiter(0.0, most=most, adapts=adapts, **rates)


def by_number(seconds: float, first: int, then: int) -> Any:
    return lambda now: first if now < seconds else then


@pytest.mark.parametrize("retry_after", [None, 1.0], ids=["silent", "retry-after"])
@pytest.mark.parametrize(
    ("limit", "latency", "noise", "quick"),
    [
        (1, 0.5, 0.5, 0.01),
        (4, 0.5, 0.5, 0.01),
        (50, 0.5, 0.5, 0.01),
        (50, 0.05, 0.95, 0.01),
        (50, 0.5, 0.9, 0.5),
        (200, 0.5, 0.5, 0.05),
        (30, 5.0, 0.5, 0.01),
    ],
)
def test_a_limit_of_requests_in_flight(
    limit: int, latency: float, noise: float, quick: float, retry_after: float | None
) -> None:
    server = InFlight(lambda now: limit, latency=latency, noise=noise, quick=quick, retry_after=retry_after)
    world = World(server, limiter(), seconds=160 * latency)
    share = world.share(40 * latency)
    assert share.ideal >= ENOUGH
    assert share.refused < REFUSED


@pytest.mark.parametrize("retry_after", [None, 1.0], ids=["silent", "retry-after"])
@pytest.mark.parametrize(("before", "after", "again"), [(200, 50, 64.0), (50, 200, 90.0), (100, 10, 70.0)])
def test_a_limit_that_changes_is_found_again(before: int, after: int, again: float, retry_after: float | None) -> None:
    server = InFlight(by_number(60.0, before, after), retry_after=retry_after)
    world = World(server, limiter(), seconds=120)
    for share in (world.share(15, 60), world.share(again)):
        assert share.ideal >= ENOUGH
        assert share.refused < REFUSED


@pytest.mark.parametrize("headers", ["", "openai", "ietf"])
@pytest.mark.parametrize("retry_after", [False, True], ids=["silent", "retry-after"])
@pytest.mark.parametrize(
    ("kind", "rate"), [("fixed", 60), ("fixed", 600), ("sliding", 600), ("bucket", 60), ("bucket", 600)]
)
def test_a_limit_of_requests_a_minute(kind: str, rate: int, headers: str, retry_after: bool) -> None:
    """Without a word from the server it is learned in two minutes, by counting what was let through."""
    server = PerMinute(lambda now: rate, kind=kind, headers=headers, retry_after=retry_after)
    share = World(server, limiter(), seconds=540).share(180)
    assert share.ideal >= ENOUGH
    assert share.refused < REFUSED


SILENT: dict[str, dict[str, Any]] = {
    "a small bucket": {"kind": "bucket", "rate": 600},
    "a bucket of a minute": {"kind": "bucket", "rate": 600, "burst": 600},
    "a slow bucket": {"kind": "bucket", "rate": 120, "latency": 2.0},
    "a fast bucket": {"kind": "bucket", "rate": 6000, "latency": 0.1},
    "a quick server's bucket": {"kind": "bucket", "rate": 1200, "latency": 0.005},
    "minutes": {"kind": "fixed", "rate": 600, "latency": 0.1},
    "many a minute": {"kind": "fixed", "rate": 6000},
    "few a minute": {"kind": "fixed", "rate": 120, "latency": 2.0},
    "minutes of the clock": {"kind": "fixed", "rate": 1200, "phase": 45.0},
    "the last minute": {"kind": "sliding", "rate": 600},
    "the last minute, often": {"kind": "sliding", "rate": 6000},
    "three seconds": {"kind": "fixed", "rate": 600, "window": 3.0, "latency": 0.1},
    "the last three seconds": {"kind": "sliding", "rate": 600, "window": 3.0, "latency": 0.1},
    "the last ten seconds": {"kind": "sliding", "rate": 1200, "window": 10.0},
    "503": {"kind": "bucket", "rate": 600, "status": 503},
    "529": {"kind": "fixed", "rate": 600, "status": 529},
    "and not many at once": {"kind": "bucket", "rate": 600, "at_once": 10, "latency": 0.1},
    "and fewer at once than in time": {"kind": "bucket", "rate": 3000, "at_once": 20},
}


@pytest.mark.parametrize("case", SILENT)
def test_a_limit_in_time_that_nobody_tells_of(case: str) -> None:
    """Neither headers nor retry-after: it is in use after the first window, and costs few refusals from the start."""
    settings = {"latency": 0.5} | SILENT[case]
    rate = settings.pop("rate")
    world = World(PerMinute(lambda now: rate, **settings), limiter(), seconds=300)
    assert world.share(75).ideal >= ENOUGH
    assert world.share(0).refused < REFUSED


@pytest.mark.parametrize("kind", ["bucket", "fixed", "sliding"])
@pytest.mark.parametrize(("before", "after"), [(600, 1200), (1200, 600), (600, 300)])
def test_a_limit_in_time_that_changes_is_found_again(kind: str, before: int, after: int) -> None:
    server = PerMinute(by_number(90.0, before, after), kind=kind, window=3.0, latency=0.1)
    world = World(server, limiter(), seconds=240)
    for share in (world.share(20, 90), world.share(135)):
        assert share.ideal >= ENOUGH
    assert world.share(0).refused < REFUSED


@pytest.mark.parametrize("hint", [None, 1.0], ids=["exact", "always a second"])
@pytest.mark.parametrize("kind", ["bucket", "fixed", "sliding"])
def test_what_retry_after_says_is_enough(kind: str, hint: float | None) -> None:
    """Where it names too short a time again and again, it is not believed."""
    server = PerMinute(lambda now: 600, kind=kind, latency=0.1, retry_after=True, hint=hint)
    world = World(server, limiter(), seconds=300)
    assert world.share(75).ideal >= ENOUGH
    assert world.share(0).refused < REFUSED


def test_the_first_requests_are_not_one_burst() -> None:
    """Of a bucket that holds ten, few are refused before that is known."""
    world = World(PerMinute(lambda now: 600, kind="bucket", latency=1.0), limiter(), seconds=1)
    assert len(world.answered) + limiter().in_flight <= 10
    assert len(world.refused) <= 3


def test_as_many_are_let_go_at_once_as_may_go_now() -> None:
    """By the number all that there is room for, in a slow start fewer; where a rate is kept, the next one alone."""
    it = limiter()
    assert it.room_now(0.0) == it.room
    it.send(LimiterPermit(), 0.0)
    assert it.room_now(0.0) == it.room

    many = limiter(most=512, adapts=False)
    assert (many.room, many.room_now(0.0), many.room_now(0.1)) == (512, 64, 128)

    told = LimiterPermit()
    many.send(told, 0.0)
    headers = {"x-ratelimit-limit-requests": "100", "x-ratelimit-remaining-requests": "90"}
    many.answered(told, 0.1, 0.1, headers | {"x-ratelimit-reset-requests": "10s"}, float)
    assert [each.room_now(9.0) for each in (many, limiter(requests=10.0), limiter(tokens=100.0))] == [1, 1, 1]


def test_a_request_goes_in_the_place_of_one_that_was_answered() -> None:
    it = limiter(most=2, adapts=False)
    first, second = LimiterPermit(), LimiterPermit()
    it.send(first, 0.0)
    it.send(second, 0.0)
    assert not it.follow(first, 0.1)  # nothing is known of it yet
    it.answered(first, 0.2, 0.2, {}, float)
    assert it.follow(first, 0.2)
    assert (it.sent, it.in_flight, first.number, first.sent_at, first.is_settled) == (3, 2, 3, 0.2, False)
    it.take_back()
    assert it.sent == 2
    it.answered(first, 0.3, 0.1, {}, float)
    it.failed(second, 0.4, 0.1, refusal())
    assert not it.follow(first, 0.5)  # there was a refusal: what it is about is to be found out first

    slow, permits = limiter(most=512, adapts=False), [LimiterPermit() for _ in range(64)]
    for permit in permits:
        slow.send(permit, 0.0)
    slow.answered(permits[0], 0.0, 0.0, {}, float)
    assert slow.room_now(0.0) == 2  # one more than was let go at first
    assert slow.follow(permits[0], 0.0) and slow.room_now(0.0) == 1


def test_an_outage_teaches_no_rate() -> None:
    it, now = limiter(), 0.0
    for number in range(40):
        now += 0.5 + it.delay(now)
        permit = LimiterPermit()
        it.send(permit, now)
        if 20 <= number < 24:
            it.failed(permit, now, 0.01, ConnectError("refused"))
        else:
            it.answered(permit, now, 0.01, {}, float)
            it.release(permit)
    assert it.delay(now + 0.001) == 0


def test_a_level_is_confirmed_before_it_is_trusted() -> None:
    """A refusal may be chance: the next step up comes soon, and later with each time that it is refused again."""
    level = ConcurrencyLimit(16, 4096)
    steps = []
    for _ in range(5):
        level.lower_to(10)
        answers = 0
        while level.value < 11:
            level.accepted(is_full=True)
            answers += 1
        steps.append(answers)
    assert steps[0] <= 13
    assert steps[1] > steps[0]
    assert steps[-1] >= 100


@pytest.mark.parametrize("headers", ["openai", "ietf", "two policies"])
def test_headers_spare_all_refusals(headers: str) -> None:
    share = World(PerMinute(lambda now: 600, headers=headers), limiter(), seconds=300).share(0)
    assert share.refused == 0
    assert share.ideal >= 0.97


@pytest.mark.parametrize("retry_after", [None, 10.0], ids=["silent", "retry-after"])
@pytest.mark.parametrize("start", [0.0, 5.0])
@pytest.mark.parametrize("adapts", [False, True], ids=["a number", "auto"])
def test_a_burst_of_refusals_for_ten_seconds(adapts: bool, start: float, retry_after: float | None) -> None:
    """Two thousand workers do not find out one by one."""
    server = InFlight(lambda now: 2000, latency=1.0, quick=0.05)
    down = Down(server, start, start + 10, lambda: refusal(429, retry_after))
    world = World(down, limiter(most=2000, adapts=adapts), seconds=300, items=20_000)
    assert len(world.answered) == 20_000
    assert len(world.refused) <= 0.02 * 20_000


def test_a_server_that_is_away_is_found_again() -> None:
    world = World(Down(InFlight(lambda now: 200), 30, 40, gone), limiter(), seconds=90)
    assert world.share(50).ideal >= ENOUGH
    assert len(world.refused) <= 0.03 * len(world.answered)


def test_refusals_at_random_hold_nobody_back_for_long() -> None:
    """A fifth of all requests is refused, or breaks, however few there are: no pause and no rate would help."""
    kinds: dict[str, Callable[[], HeadwaterError]] = {"503": lambda: refusal(503), "429": refusal, "broken": gone}
    for kind, error in kinds.items():
        for adapts, items, seconds in [(True, 220, 60), (True, 2000, 120), (False, 220, 60), (False, 2000, 160)]:
            server = AtRandom(InFlight(lambda now: 10**9), 0.2, error)
            world = World(server, limiter(most=4096 if adapts else 16, adapts=adapts), seconds=3000, items=items)
            assert len(world.answered) == items, (kind, adapts, items)
            assert world.answered[-1] < seconds, (kind, adapts, items)
            assert len(world.refused) < 0.3 * items, (kind, adapts, items)


def test_what_is_no_longer_random_is_told_from_it() -> None:
    """A server that goes away, or takes fewer at once, is not stormed; a wait that is named is waited for."""
    for away, most in [(gone, 5), (lambda: refusal(429, 10.0), 1)]:
        world = World(AtRandom(Down(InFlight(lambda now: 200), 60, 70, away), 0.2, gone), limiter(), seconds=100)
        assert world.share(40, 60).requests > 400  # they are not paced any more
        assert sum(61 <= t < 70 for t in world.refused) <= most
        assert sum(t >= 80 for t in world.answered) > 100

    fewer = World(AtRandom(InFlight(by_number(60.0, 200, 64)), 0.2, gone), limiter(), seconds=200)
    assert fewer.share(80).refused < 0.25
    assert fewer.share(80).ideal > 0.5


def test_a_server_that_never_was_there_is_not_waited_for() -> None:
    """Its calls are let fail, with the engine's own retries and quota."""
    it = limiter()
    now = 0.0
    for _ in range(200):
        now += it.delay(now)
        permit = LimiterPermit()
        it.send(permit, now)
        paced = it.failed(permit, now, 0.001, ConnectError("refused"))
    assert it.is_given_up
    assert not paced
    assert now < 60


def test_all_wait_for_as_long_as_the_provider_says() -> None:
    it = limiter(most=10, adapts=False)
    first, second = LimiterPermit(), LimiterPermit()
    it.send(first, 1.0)
    it.send(second, 1.0)
    it.failed(second, 1.1, 0.1, refusal(429, 30.0))
    assert it.delay(1.2) == float("inf"), "more were in flight than was ever accepted: it may have been that"
    other = LimiterPermit()
    it.release(first)
    it.send(other, 1.2)
    it.failed(other, 1.3, 0.1, refusal(429, 30.0))
    assert it.delay(1.3) == pytest.approx(30)
    assert it.delay(31.4) == 0


@pytest.mark.parametrize("hint", [0.0, -1.0, float("nan"), float("inf"), 1e9])
def test_an_absurd_wait_is_not_waited_for(hint: float) -> None:
    it = limiter(most=10, adapts=False)
    for _ in range(3):
        permit = LimiterPermit()
        it.send(permit, 0.0)
        it.failed(permit, 0.0, 0.1, refusal(429, hint))
    assert it.delay(0.0) <= 2


def test_requests_a_minute_are_spent_evenly() -> None:
    it = limiter(requests=10.0)
    now, sent = 0.0, []
    while now < 5:
        permit = LimiterPermit()
        it.send(permit, now)
        sent.append(now)
        it.answered(permit, now, 0.01, {}, float)
        it.release(permit)
        now += it.delay(now)
    gaps = [b - a for a, b in pairwise(sent)]
    assert 50 <= len(sent) <= 51
    assert min(gaps) >= 0.0999


def test_tokens_a_minute_are_estimated_and_then_corrected() -> None:
    it = limiter(tokens=100.0)
    permit = LimiterPermit()
    it.send(permit, 0.0, 50.0)
    assert it.delay(0.0) == pytest.approx(0.5)
    it.correct_tokens(permit, 300.0)
    assert it.delay(0.0) == pytest.approx(3.0)


def test_answers_that_are_merely_longer_do_not_lower_the_level() -> None:
    class Longer(InFlight):
        def ask(self, now: float, rand: Any) -> Any:
            seconds, error, headers = super().ask(now, rand)
            return seconds * (1 if now < 60 or error else 4), error, headers

    world = World(Longer(lambda now: 100), limiter(), seconds=240)
    late = [level for at, level in world.levels if at > 120]
    assert min(late) > 60


def test_a_queue_behind_the_server_is_not_filled() -> None:
    """More at once than it works on makes answers late, and no more of them."""

    class Queueing(InFlight):
        def __init__(self) -> None:
            super().__init__(lambda now: 10**9)
            self.free_at = [0.0] * 40

        def ask(self, now: float, rand: Any) -> Any:
            self.busy += 1
            slot = self.free_at.index(min(self.free_at))
            start = max(now, self.free_at[slot])
            self.free_at[slot] = start + 0.5 * (0.8 + 0.4 * rand.random())
            return self.free_at[slot] - now, None, {}

    world = World(Queueing(), limiter(), seconds=120)
    late = [level for at, level in world.levels if at > 30]
    assert max(late) < 5 * 40
    assert len([t for t in world.answered if t > 30]) >= 0.9 * 90 * 40 / 0.5


@pytest.mark.parametrize(
    ("error", "overload"),
    [
        (refusal(429), True),
        (refusal(503), True),
        (refusal(529), True),
        (refusal(500), False),
        (ConnectError("refused"), True),
        (InvalidRequestError("no"), False),
        (InferenceTimeoutError("late"), False),
    ],
)
def test_what_counts_as_too_much(error: HeadwaterError, overload: bool) -> None:
    assert is_overload(error) is overload


def test_a_quota_that_is_used_up_is_not_waited_for() -> None:
    error = RateLimitError("insufficient_quota")
    error.status, error.retryable = 429, False
    assert not is_overload(error)
