"""What a lane learns, against simulated servers with hidden limits: nearly all that they take, and few refusals."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from lane_world import Down, InFlight, PerMinute, World, gone, refusal

from headwater.batch.limiter import Lane, is_overload
from headwater.batch.permits import Permit
from headwater.errors import ConnectError, HeadwaterError, InferenceTimeoutError, InvalidRequestError, RateLimitError

ENOUGH = 0.9
"""Of what the server could have answered."""
REFUSED = 0.03


def lane(*, most: int = 4096, adapts: bool = True, **rates: float) -> Lane:
    return Lane(0.0, most=most, adapts=adapts, **rates)


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
    world = World(server, lane(), seconds=160 * latency)
    share = world.share(40 * latency)
    assert share.ideal >= ENOUGH
    assert share.refused < REFUSED


@pytest.mark.parametrize("retry_after", [None, 1.0], ids=["silent", "retry-after"])
@pytest.mark.parametrize(("before", "after", "again"), [(200, 50, 64.0), (50, 200, 90.0), (100, 10, 70.0)])
def test_a_limit_that_changes_is_found_again(before: int, after: int, again: float, retry_after: float | None) -> None:
    server = InFlight(by_number(60.0, before, after), retry_after=retry_after)
    world = World(server, lane(), seconds=120)
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
    share = World(server, lane(), seconds=900).share(180)
    assert share.ideal >= ENOUGH
    assert share.refused < REFUSED


@pytest.mark.parametrize("headers", ["openai", "ietf"])
def test_headers_spare_all_refusals(headers: str) -> None:
    share = World(PerMinute(lambda now: 600, headers=headers), lane(), seconds=300).share(0)
    assert share.refused == 0
    assert share.ideal >= 0.97


@pytest.mark.parametrize("retry_after", [None, 10.0], ids=["silent", "retry-after"])
@pytest.mark.parametrize("start", [0.0, 5.0])
@pytest.mark.parametrize("adapts", [False, True], ids=["a number", "auto"])
def test_a_burst_of_refusals_for_ten_seconds(adapts: bool, start: float, retry_after: float | None) -> None:
    """Two thousand workers do not find out one by one."""
    server = InFlight(lambda now: 2000, latency=1.0, quick=0.05)
    down = Down(server, start, start + 10, lambda: refusal(429, retry_after))
    world = World(down, lane(most=2000, adapts=adapts), seconds=300, items=20_000)
    assert len(world.answered) == 20_000
    assert len(world.refused) <= 0.02 * 20_000


def test_a_server_that_is_away_is_found_again() -> None:
    world = World(Down(InFlight(lambda now: 200), 30, 40, gone), lane(), seconds=90)
    assert world.share(50).ideal >= ENOUGH
    assert len(world.refused) <= 0.03 * len(world.answered)


def test_a_server_that_never_was_there_is_not_waited_for() -> None:
    """Its calls are let fail, with the engine's own retries and quota."""
    it = lane()
    now = 0.0
    for _ in range(200):
        now += it.delay(now)
        permit = Permit(it)
        it.send(permit, now)
        paced = it.failed(permit, now, 0.001, ConnectError("refused"))
    assert it.given_up
    assert not paced
    assert now < 60


def test_all_wait_for_as_long_as_the_provider_says() -> None:
    it = lane(most=10, adapts=False)
    for _ in range(2):
        permit = Permit(it)
        it.send(permit, 1.0)
    it.failed(permit, 1.1, 0.1, refusal(429, 30.0))
    assert it.delay(1.2) == float("inf"), "more were in flight than was ever accepted: it may have been that"
    other = Permit(it)
    it.release(permit)
    it.in_flight = 0
    it.send(other, 1.2)
    it.failed(other, 1.3, 0.1, refusal(429, 30.0))
    assert it.delay(1.3) == pytest.approx(30)
    assert it.delay(31.4) == 0


@pytest.mark.parametrize("hint", [0.0, -1.0, float("nan"), float("inf"), 1e9])
def test_an_absurd_wait_is_not_waited_for(hint: float) -> None:
    it = lane(most=10, adapts=False)
    for _ in range(3):
        permit = Permit(it)
        it.send(permit, 0.0)
        it.failed(permit, 0.0, 0.1, refusal(429, hint))
    assert it.delay(0.0) <= 1


def test_requests_a_minute_are_spent_evenly() -> None:
    it = lane(requests=10.0)
    now, sent = 0.0, []
    while now < 5:
        permit = Permit(it)
        it.send(permit, now)
        sent.append(now)
        it.answered(permit, now, 0.01, {}, float)
        it.release(permit)
        now += it.delay(now)
    gaps = [b - a for a, b in pairwise(sent)]
    assert 50 <= len(sent) <= 51
    assert min(gaps) >= 0.0999


def test_tokens_a_minute_are_estimated_and_then_corrected() -> None:
    it = lane(tokens=100.0)
    permit = Permit(it)
    it.send(permit, 0.0, 50.0)
    assert it.delay(0.0) == pytest.approx(0.5)
    it.spent(permit, 300.0)
    assert it.delay(0.0) == pytest.approx(3.0)


def test_answers_that_are_merely_longer_do_not_lower_the_level() -> None:
    class Longer(InFlight):
        def ask(self, now: float, rand: Any) -> Any:
            seconds, error, headers = super().ask(now, rand)
            return seconds * (1 if now < 60 or error else 4), error, headers

    world = World(Longer(lambda now: 100), lane(), seconds=240)
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

    world = World(Queueing(), lane(), seconds=120)
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
