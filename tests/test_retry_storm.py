"""Two thousand callers and a server that is down: it is not stormed, and it is found again when it is back."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest
from support.retry_storm import Storm

from headwater import errors as e
from headwater.engine.retry import Retries, RetryBudget
from headwater.protocol.flow import Reply
from headwater.responses.refusal import error_from_response

CALLERS = 2000
DOWN = 60.0
Server = Callable[[float, random.Random], e.HeadwaterError | None]


def refused(status: int, headers: dict[str, str] | None = None, body: bytes = b"{}") -> e.HeadwaterError:
    return error_from_response(Reply(status=status, headers=headers or {}, body=body), provider="p", now=0.0)


FAILURES = {
    "500": refused(500),
    "429": refused(429),
    "429 with a wait": refused(429, {"retry-after": "5"}),
    "503 of a cold model": refused(503, {}, b'{"error":"loading","estimated_time":20}'),
    "refused": e.ConnectError("refused"),
    "reset": e.ConnectionLostError("reset"),
}


def down_for(seconds: float, error: e.HeadwaterError) -> Server:
    return lambda now, rand: error if now < seconds else None


@pytest.mark.parametrize(
    ("failure", "latency", "most"),
    [("500", 0.25, 2), ("500", 2.0, 10), *((failure, 50.0, most) for failure in FAILURES for most in (2, 10))],
)
def test_a_dead_server_sees_a_tenth_more_at_most(failure: str, latency: float, most: int) -> None:
    """The slower it fails the fewer calls there are, down to one for each caller, and the dearer is each retry."""
    error = FAILURES[failure]
    policy = Retries(most=most)
    storm = Storm(lambda now, rand: error, callers=CALLERS, seconds=DOWN, latency=latency, policy=policy)
    assert len(storm.calls) >= CALLERS
    assert not any(call.worked for call in storm.calls)
    assert storm.amplification <= 1.1
    assert storm.quota.tokens < RetryBudget.COST_CONNECT


def test_most_calls_work_within_five_seconds_of_its_return() -> None:
    storm = Storm(down_for(DOWN, FAILURES["500"]), callers=CALLERS, seconds=DOWN + 5, latency=0.25)
    later = [call for call in storm.calls if DOWN <= call.ended <= DOWN + 5]
    assert len(later) > 10 * CALLERS
    assert sum(call.worked for call in later) >= 0.95 * len(later)


@pytest.mark.parametrize("failure", FAILURES)
def test_whoever_calls_after_its_return_is_answered(failure: str) -> None:
    storm = Storm(down_for(DOWN, FAILURES[failure]), callers=CALLERS, seconds=DOWN + 5, latency=2.0)
    later = [call for call in storm.calls if call.began >= DOWN]
    assert len(later) >= CALLERS
    assert all(call.worked and call.tries == 1 for call in later)


@pytest.mark.parametrize("failure", FAILURES)
def test_so_it_is_by_those_who_were_waiting(failure: str) -> None:
    """Every call that is under way when the server comes back ends soon, one way or the other."""
    storm = Storm(down_for(DOWN, FAILURES[failure]), callers=CALLERS, seconds=DOWN + 1, latency=2.0)
    across = [call for call in storm.calls if call.began < DOWN <= call.ended]
    assert across
    assert max(call.ended for call in across) <= DOWN + 25


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9])
def test_a_server_that_fails_at_times_is_not_stormed_either(share: float) -> None:
    """The quota lets a retry through for every five calls that work; while there is more, nearly all calls work."""
    error = FAILURES["500"]
    storm = Storm(
        lambda now, rand: error if rand.random() < share else None, callers=CALLERS, seconds=DOWN, latency=1.0
    )
    assert storm.amplification <= 1.01 + (1 - share) / 5
    if share == 0.1:
        assert sum(call.worked for call in storm.calls) >= 0.998 * len(storm.calls)


def test_the_quota_is_full_again_after_five_hundred_calls() -> None:
    storm = Storm(down_for(5.0, FAILURES["500"]), callers=CALLERS, seconds=8.0, latency=0.25)
    assert storm.quota.tokens == RetryBudget.FULL


def test_those_who_come_back_do_not_come_all_at_once() -> None:
    """A hundred callers that were told the same wait arrive spread over more than a tenth of a second."""
    error = FAILURES["429 with a wait"]
    storm = Storm(lambda now, rand: error if now < 1 else None, callers=100, seconds=0.5, latency=0.001)
    again = Counter(int(at * 10) for at in storm.arrivals if at > 4)
    assert sum(again.values()) == 100
    assert max(again.values()) <= 40
