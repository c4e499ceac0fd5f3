"""The rate that a limiter feels for: how it starts, what a refusal teaches it, and how it goes on from there."""

from __future__ import annotations

import pytest

from headwater.throttle.pause import SlowStart
from headwater.throttle.rate import (
    DOUBLING_SECONDS,
    INITIAL_REQUESTS_PER_SECOND,
    LONGEST_CYCLE_SECONDS,
    UNLIMITED_REQUESTS_PER_SECOND,
    WINDOW_SKEW_SECONDS,
    RateEstimator,
    RateSample,
)


def learned(passed: int = 600, seconds: float = 60.0, *, told: bool = True) -> RateEstimator:
    rate = RateEstimator(0.0)
    rate.update(seconds, RateSample(seconds, passed, seconds - 1, 1, 1.0, told))
    return rate


def grown(rate: RateEstimator, now: float, seconds: float) -> list[float]:
    """The rates, each tenth of a second while requests are held back by it."""
    rates = []
    for _ in range(int(seconds * 10)):
        rate.bucket.free_at = now + 1.0
        now += 0.1
        rate.bucket.free_at = now + 1.0
        if not rate.accepted(now, 0.1, 1):
            break
        rates.append(rate.bucket.rate)
    return rates


def test_the_start_doubles_until_it_holds_nothing_back() -> None:
    rate = RateEstimator(0.0)
    assert rate.spend(0.0)
    assert rate.bucket.rate == INITIAL_REQUESTS_PER_SECOND
    assert rate.spend(DOUBLING_SECONDS)
    assert rate.bucket.rate == pytest.approx(2 * INITIAL_REQUESTS_PER_SECOND)
    assert not rate.spend(20 * DOUBLING_SECONDS)
    assert rate.bucket.rate > UNLIMITED_REQUESTS_PER_SECOND


def test_a_server_that_answers_at_once_is_felt_for_faster() -> None:
    rate = RateEstimator(0.0)
    rate.accepted(0.0, 0.001, 1)
    rate.spend(0.1)
    assert rate.bucket.rate == pytest.approx(4 * INITIAL_REQUESTS_PER_SECOND)


def test_what_was_let_through_is_the_limit() -> None:
    rate = learned()
    assert rate.known
    assert rate.bucket.rate == pytest.approx(9.5)


def test_it_nears_the_limit_stays_there_and_then_leaves_it() -> None:
    rates = grown(learned(), 60.0, 90.0)
    assert rates == sorted(rates)
    near = [10 * 0.97 < rate < 10 * 1.03 for rate in rates]
    assert sum(near) > 0.3 * len(near)
    assert rates[-1] > 20


def test_a_limit_that_is_left_far_behind_is_none() -> None:
    rate = learned()
    assert max(grown(rate, 60.0, 600.0)) < 100
    assert not rate.known


def test_few_requests_say_nothing() -> None:
    """The start begins again, from the little that was let through."""
    rate = learned(passed=3, seconds=10.0)
    assert not rate.known
    assert rate.spend(10.0)
    assert rate.bucket.rate == pytest.approx(0.6)


def test_a_refusal_soon_after_another_does_not_make_the_rate_collapse() -> None:
    """In a sliding window, what was sent in a burst comes back in one: its pauses are no limit."""
    rate = learned()
    rate.bucket.rate = 10.0
    rate.update(61.0, RateSample(61.0, 602, 60.9, 1, 0.1, False))
    assert 10.0 / 3 * 0.9 < rate.bucket.rate < 9.5
    assert max(grown(rate, 61.0, 20.0)) > 9


def test_a_wait_ends_with_the_minute() -> None:
    rate = learned()
    assert rate.before_minute(100.0, 30.0) == pytest.approx(LONGEST_CYCLE_SECONDS + WINDOW_SKEW_SECONDS - 40.0)
    assert rate.before_minute(100.0, 1.0) == 1.0
    assert rate.before_minute(170.0, 30.0) == pytest.approx(LONGEST_CYCLE_SECONDS + WINDOW_SKEW_SECONDS - 50.0)


def test_after_a_pause_one_goes_to_see() -> None:
    start = SlowStart(1, 0.1, 5.0, 0)
    assert start.delay(5.0) == 0
    start.unanswered = 1
    assert start.delay(5.01) == pytest.approx(0.09)
    assert start.delay(5.101) == 0
