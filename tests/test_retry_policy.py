"""When a failed attempt is followed by another, as tables of the pure functions; and the quota under threads.

What the engine makes of it in time is in test_deadlines, what a storm of callers makes of it in test_retry_storm.
"""

from __future__ import annotations

import json
import math
import sys
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from headwater import errors as e
from headwater.engine.retry import (
    LONGEST_WAIT_SECONDS,
    RAISE,
    Retries,
    Retry,
    RetryBudget,
    decide,
    is_worth_another_provider,
)
from headwater.protocol.flow import Reply
from headwater.responses.refusal import error_from_response, error_in_body, retry_after

NOW = 1.7e9
POLICY = Retries()
LOADING = json.dumps({"error": "Model m is currently loading", "estimated_time": 20}).encode()


def refused(status: int, headers: dict[str, str] | None = None, body: bytes = b"{}") -> e.ProviderError:
    return error_from_response(Reply(status=status, headers=headers or {}, body=body), provider="p", now=NOW)


def after(
    error: e.HeadwaterError,
    tries: int = 1,
    left: float = math.inf,
    rand: float = 0.5,
    *,
    policy: Retries = POLICY,
    resend: bool = True,
) -> float | None:
    """Seconds until the next attempt; None where there is none."""
    verdict = decide(error, tries, left, policy, resend=resend, rand=rand)
    if isinstance(verdict, Retry):
        return verdict.after
    assert verdict is RAISE
    return None


# what is tried again


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 520, 529, 599])
def test_a_status_that_may_pass_is_tried_twice_more(status: int) -> None:
    error = refused(status)
    assert [after(error, tries) is not None for tries in (1, 2, 3, 4)] == [True, True, False, False]


@pytest.mark.parametrize("status", [*range(300, 309), *range(400, 408), 410, 413, 415, 418, 422, 451, 499, 501, 505])
def test_a_status_that_stays_is_not(status: int) -> None:
    assert after(refused(status)) is None
    assert after(refused(status, {"retry-after": "1"})) is None


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (429, {"error": {"code": "insufficient_quota"}}),
        (500, {"error": "m", "error_type": "validation"}),
        (422, {"error": "m", "error_type": "overloaded", "code": "content_filter"}),
        (400, {"error": {"code": "content_policy_violation"}}),
    ],
)
def test_a_body_that_says_that_it_stays(status: int, body: Any) -> None:
    error = refused(status, {}, json.dumps(body).encode())
    assert (after(error) is None) == (not isinstance(error, e.OverloadedError))


@pytest.mark.parametrize(
    "error",
    [
        e.TLSError("certificate"),
        e.DecodeError("a malformed 2xx"),
        e.UnexpectedContentError("HTML"),
        e.MalformedEventError("event"),
        e.ResponseTooLargeError("large", limit=1),
        e.InvalidParameterError("ours"),
        e.InputError("ours"),
        e.ClosedError("ours"),
        e.InferenceTimeoutError("late"),
        e.RedirectError("302"),
        e.JobFailedError("job"),
        e.ContentRefusedError("moderated"),
        e.HeadwaterError("anything"),
    ],
)
def test_what_is_never_tried_again(error: e.HeadwaterError) -> None:
    assert decide(error, 1, math.inf, POLICY, resend=True, rand=0.0) is RAISE


def test_the_quota_of_an_account_stays_used_up_in_a_stream_too() -> None:
    error = error_in_body(b'{"error":{"message":"m","code":"insufficient_quota"}}')
    assert error is not None
    assert after(error) is None


@pytest.mark.parametrize("kind", [e.ConnectionLostError, e.ProtocolError, e.TransportError])
def test_a_job_that_may_have_been_taken_is_not_sent_again(kind: type[e.TransportError]) -> None:
    assert after(kind("lost"), resend=False) is None
    assert after(kind("lost"), resend=True) is not None


def test_a_job_that_was_refused_or_never_sent_is() -> None:
    unsent = e.ConnectionLostError("lost")
    unsent.sent = False
    for error in (unsent, e.ConnectError("refused"), refused(503), refused(429)):
        assert after(error, resend=False) is not None


@pytest.mark.parametrize("most", [0, 1, 2, 7])
def test_as_many_further_attempts_as_the_policy_says(most: int) -> None:
    policy = Retries(most=most)
    retried = [after(refused(500), tries, policy=policy) is not None for tries in range(1, 12)]
    assert retried == [True] * most + [False] * (11 - most)


def test_a_loading_model_is_waited_for_beyond_that() -> None:
    error = refused(503, {}, LOADING)
    assert isinstance(error, e.ModelLoadingError)
    assert all(after(error, tries, 1e9, 0.0) == 20.0 for tries in range(1, 100))
    assert after(error, 1, 20.0) is None
    assert after(refused(503, {}, b'{"error":"overloaded"}'), 3) is None


# another provider


@pytest.mark.parametrize(
    ("error", "worth"),
    [
        (e.ServerError("m"), True),
        (e.RateLimitError("m"), True),
        (e.AuthenticationError("m"), True),
        (e.NotFoundError("m"), True),
        (e.ConnectionLostError("m"), True),
        (e.TLSError("m"), True),
        (e.UnexpectedContentError("m"), True),
        (e.MissingCredentialError("m"), True),
        (e.InvalidParameterError("m"), False),
        (e.InvalidRequestError("m"), True),
        (e.ValidationError("m"), True),
        (e.InputError("m"), False),
        (e.ContentRefusedError("m"), False),
        (e.ClosedError("m"), False),
    ],
)
def test_what_is_worth_another_provider(error: e.HeadwaterError, worth: bool) -> None:
    assert is_worth_another_provider(error) is worth


@pytest.mark.parametrize(("phase", "worth"), [("connect", True), ("total", False), ("first_event", False)])
def test_a_late_one_is_if_it_was_not_reached(phase: str, worth: bool) -> None:
    error = e.InferenceTimeoutError("late")
    error.phase = phase
    assert is_worth_another_provider(error) is worth


# how long


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_the_backoff_is_full_jitter_under_a_cap(tries: int, rand: float) -> None:
    policy = Retries(most=20_000)
    wait = after(e.ServerError("m"), tries, rand=rand, policy=policy)
    assert wait is not None
    assert wait == pytest.approx(rand * min(8.0, 0.5 * 2.0 ** min(tries - 1, 10)))
    assert 0 <= wait <= 8.0


def test_the_backoff_doubles() -> None:
    waits = [after(e.ServerError("m"), tries, rand=1.0, policy=Retries(most=9)) for tries in range(1, 8)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


HINTS = [
    ({"retry-after": "0"}, 0.0),
    ({"retry-after": "2"}, 2.0),
    ({"retry-after": "2.5"}, 2.5),
    ({"retry-after": "60"}, 60.0),
    ({"retry-after": formatdate(NOW + 30, usegmt=True)}, 30.0),
    ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
    ({"ratelimit": '"default";r=0;t=7'}, 7.0),
    ({"x-ratelimit-reset-requests": "1m", "x-ratelimit-remaining-requests": "0"}, 60.0),
]


@pytest.mark.parametrize(("headers", "asked"), HINTS)
@pytest.mark.parametrize("rand", [0.0, 0.5, math.nextafter(1.0, 0.0)])
def test_a_wait_that_was_named_is_kept(headers: dict[str, str], asked: float, rand: float) -> None:
    wait = after(refused(429, headers), rand=rand)
    assert wait is not None
    assert asked <= wait <= asked + max(0.1 * asked, 0.5)


@pytest.mark.parametrize(
    ("form", "asked"),
    [
        ("%a, %d %b %Y %H:%M:%S GMT", 30.0),
        ("%A, %d-%b-%y %H:%M:%S GMT", 30.0),  # RFC 850
        ("%a %b %d %H:%M:%S %Y", 30.0),  # asctime
        ("%a, %d %b %Y %H:%M:%S -0000", 30.0),
        ("%a, %d %b %Y %H:%M:%S +0100", 0.0),  # an hour ago
    ],
)
def test_a_date_in_every_form(form: str, asked: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """In UTC, wherever this machine is."""
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    try:
        date = time.strftime(form, time.gmtime(NOW + 30))
        assert refused(429, {"retry-after": date}).retry_after == asked
        told = {"retry-after": date, "date": formatdate(NOW, usegmt=True)}
        assert retry_after(told) == asked
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(("headers", "asked"), HINTS)
def test_callers_that_were_named_one_wait_do_not_come_back_at_once(headers: dict[str, str], asked: float) -> None:
    waits = [after(refused(429, headers), rand=rand / 10) or 0.0 for rand in range(10)]
    assert len(set(waits)) == 10
    assert max(waits) - min(waits) >= 0.2


@pytest.mark.parametrize(
    ("asked", "more"), [(0.0, 0.25), (1.0, 0.25), (2.5, 0.25), (5.0, 0.5), (10.0, 1.0), (20.0, 2.0), (60.0, 2.0)]
)
def test_how_far_they_are_spread(asked: float, more: float) -> None:
    assert after(refused(429, {"retry-after": str(asked)}), rand=1.0) == asked + more


@pytest.mark.parametrize("seconds", [math.nextafter(60, 61), 61.0, 3600.0, 1e9, 1e300, math.inf, math.nan, -1.0])
def test_a_wait_too_long_or_no_number_is_raised_with_what_was_asked(seconds: float) -> None:
    error = refused(429)
    error.retry_after = seconds
    assert after(error) is None
    assert error.retry_after is seconds


@pytest.mark.parametrize("text", ["61", "86400", "1000000000", formatdate(NOW + 3600, usegmt=True)])
def test_a_day_is_not_waited_for(text: str) -> None:
    error = refused(429, {"retry-after": text})
    assert error.retry_after is not None
    assert error.retry_after > LONGEST_WAIT_SECONDS
    assert after(error) is None


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "-1", "1e9", "soon", "", " ", "0x10", "1,5", "٣", "9" * 400])
def test_garbage_is_as_if_nothing_were_said(text: str) -> None:
    error = refused(429, {"retry-after": text})
    assert error.retry_after is None
    assert after(error, rand=1.0) == 0.5


@pytest.mark.parametrize(("left", "again"), [(math.inf, True), (2.01, True), (2.0, False), (1.0, False), (-1.0, False)])
def test_what_would_end_past_the_deadline_is_not_begun(left: float, again: bool) -> None:
    assert (after(refused(429, {"retry-after": "2"}), left=left, rand=0.0) is not None) == again


def test_nor_is_a_backoff() -> None:
    assert after(refused(500), left=0.5, rand=1.0) is None
    assert after(refused(500), left=0.51, rand=1.0) == 0.5


# the quota


class QuotaMachine(RuleBasedStateMachine):
    """The quota against a number that counts along."""

    def __init__(self) -> None:
        super().__init__()
        self.quota = RetryBudget()
        self.tokens = 500

    @rule(error=st.sampled_from([e.ServerError("m"), e.ConnectionLostError("m"), e.RateLimitError("m")]))
    def take(self, error: e.HeadwaterError) -> None:
        self.pay(error, 5)

    @rule(error=st.sampled_from([e.ConnectError("m"), e.TLSError("m")]))
    def take_for_a_connection(self, error: e.HeadwaterError) -> None:
        self.pay(error, 10)

    @rule(times=st.integers(1, 60))
    def drain(self, times: int) -> None:
        for _ in range(times):
            self.pay(e.ServerError("m"), 5)

    @rule(times=st.integers(1, 20))
    def succeed(self, times: int) -> None:
        for _ in range(times):
            self.quota.succeed()
        self.tokens = min(500, self.tokens + times)

    @precondition(lambda self: self.tokens < 5)
    @rule()
    def nothing_is_left(self) -> None:
        assert not self.quota.take(e.ServerError("m"))

    @invariant()
    def counts(self) -> None:
        assert self.quota.tokens == self.tokens
        assert 0 <= self.quota.tokens <= 500

    def pay(self, error: e.HeadwaterError, cost: int) -> None:
        paid = self.tokens >= cost
        assert self.quota.take(error) is paid
        self.tokens -= cost * paid


TestQuotaMachine = QuotaMachine.TestCase


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_no_token_is_lost_or_made_by_threads(hasty_threads: None) -> None:
    quota, rounds, seen, paid = RetryBudget(), 2000, set(), []
    start = threading.Barrier(8)
    kinds = [e.ServerError("m"), e.ConnectError("m")]

    def work(number: int) -> None:
        error = kinds[number % 2]
        start.wait()
        for _ in range(rounds):
            if quota.take(error):
                paid.append(10 if number % 2 else 5)
            seen.add(quota.tokens)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert min(seen) >= 0
    assert quota.tokens == 500 - sum(paid)
    assert quota.tokens < 5


def test_it_never_leaves_its_bounds_under_threads(hasty_threads: None) -> None:
    quota, outside = RetryBudget(), []
    start = threading.Barrier(8)

    def work(number: int) -> None:
        start.wait()
        for turn in range(3000):
            if number % 2 or turn % 50 == 0:
                quota.succeed()
            else:
                quota.take(e.ServerError("m"))
            if not 0 <= quota.tokens <= 500:
                outside.append(quota.tokens)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not outside


def test_it_fills_up_one_call_at_a_time() -> None:
    quota = RetryBudget()
    while quota.take(e.ServerError("m")):
        pass
    levels = []
    for _ in range(600):
        quota.succeed()
        levels.append(quota.tokens)
    assert levels == [*range(1, 501), *[500] * 100]
