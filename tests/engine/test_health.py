"""The breaker and the order of providers, on a clock that is a number."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater import errors as e
from headwater.engine.failover import (
    FAILURES_TO_OPEN,
    FIRST_OPEN_SECONDS,
    LONGEST_OPEN_SECONDS,
    REMEMBERED_TASKS,
    STAY_SECONDS,
    Breaker,
    FailoverPlan,
    Health,
    is_the_providers,
)

NAMES = ("a", "b", "c")
KEY = ("chat-completion", "m")
BROKEN = e.ServerError("broken")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(clock)


def turns(health: Health, names: tuple[str, ...] = NAMES) -> FailoverPlan:
    return FailoverPlan(health, names, KEY)


def asked(health: Health, *fail: str, names: tuple[str, ...] = NAMES) -> list[str]:
    """Who one call asks, in order, where these fail."""
    left, found = turns(health, names), []
    while (turn := left.next()) is not None:
        found.append(turn.name)
        if turn.name not in fail:
            left.worked(turn, stay=True)
            return found
        left.failed(turn, BROKEN, begun=False)
    return found


def trip(health: Health, *names: str) -> None:
    for name in names:
        for _ in range(FAILURES_TO_OPEN):
            asked(health, name, names=(name,))


# one breaker


def test_it_opens_after_failures_in_a_row() -> None:
    breaker = Breaker()
    for _ in range(FAILURES_TO_OPEN - 1):
        breaker.failed(_ticket(breaker, 0.0), 0.0)
    breaker.worked(_ticket(breaker, 0.0))
    for _ in range(FAILURES_TO_OPEN):
        breaker.failed(_ticket(breaker, 0.0), 0.0)
    assert breaker.enter(0.0) is None
    assert breaker.enter(FIRST_OPEN_SECONDS - 0.001) is None


def _ticket(breaker: Breaker, now: float) -> int:
    ticket = breaker.enter(now)
    assert ticket is not None
    return ticket


def opened() -> Breaker:
    breaker = Breaker()
    for _ in range(FAILURES_TO_OPEN):
        breaker.failed(_ticket(breaker, 0.0), 0.0)
    return breaker


def test_half_open_it_lets_one_probe_through() -> None:
    breaker = opened()
    probe = _ticket(breaker, FIRST_OPEN_SECONDS)
    assert breaker.enter(FIRST_OPEN_SECONDS) is None
    breaker.worked(probe)
    assert [breaker.enter(FIRST_OPEN_SECONDS) for _ in range(3)] == [_ticket(breaker, FIRST_OPEN_SECONDS)] * 3


def test_a_probe_that_fails_opens_it_for_longer_up_to_a_limit() -> None:
    breaker, now, waits = opened(), 0.0, []
    for _ in range(10):
        waits.append(breaker.seconds)
        now += breaker.seconds
        assert breaker.enter(now - 0.001) is None
        breaker.failed(_ticket(breaker, now), now)
    assert waits == [min(FIRST_OPEN_SECONDS * 2**n, LONGEST_OPEN_SECONDS) for n in range(10)]


def test_a_probe_that_is_never_heard_of_is_followed_by_another() -> None:
    breaker = opened()
    lost = _ticket(breaker, FIRST_OPEN_SECONDS)
    second = _ticket(breaker, 2 * FIRST_OPEN_SECONDS)
    breaker.failed(lost, 2 * FIRST_OPEN_SECONDS)
    assert breaker.seconds == FIRST_OPEN_SECONDS
    breaker.worked(second)
    assert breaker.seconds == 0


def test_what_began_before_it_opened_says_nothing() -> None:
    breaker = Breaker()
    before = [_ticket(breaker, 0.0) for _ in range(FAILURES_TO_OPEN + 2)]
    for ticket in before[:FAILURES_TO_OPEN]:
        breaker.failed(ticket, 0.0)
    breaker.failed(before[-2], 1.0)
    breaker.worked(before[-1])
    assert breaker.until == FIRST_OPEN_SECONDS
    assert breaker.enter(1.0) is None


@pytest.mark.parametrize(
    ("wait", "seconds"),
    [
        (30.0, 30.0),
        (1.0, FIRST_OPEN_SECONDS),
        (None, FIRST_OPEN_SECONDS),
        (1e9, LONGEST_OPEN_SECONDS),
        (float("inf"), LONGEST_OPEN_SECONDS),
        (float("nan"), FIRST_OPEN_SECONDS),
    ],
)
def test_it_stays_open_as_long_as_the_provider_asks(wait: float | None, seconds: float) -> None:
    breaker = Breaker()
    for _ in range(FAILURES_TO_OPEN):
        breaker.failed(_ticket(breaker, 0.0), 0.0, wait)
    assert breaker.seconds == seconds


@settings(max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(["enter", "worked", "failed", "lost"]), st.floats(0, 20)), max_size=80))
def test_whatever_happens(steps: list[tuple[str, float]]) -> None:
    """Open for `LONGEST_OPEN_SECONDS` at most, never refused when `until` has come, one probe in `seconds`, and closed
    after its success."""
    breaker, now, under_way = Breaker(), 0.0, [0]
    probed = -LONGEST_OPEN_SECONDS
    for what, later in steps:
        now += later
        was_open, until = breaker.seconds, breaker.until
        if what == "enter":
            ticket = breaker.enter(now)
            assert (ticket is None) == (was_open > 0 and now < until)
            if ticket is not None:
                under_way.append(ticket)
                if was_open:
                    assert now - probed >= 0
                    assert breaker.enter(now) is None
                    probed = now
        elif under_way and what == "worked":
            ticket = under_way.pop()
            breaker.worked(ticket)
            assert breaker.failures == 0 or breaker.seconds == was_open
        elif under_way and what == "failed":
            breaker.failed(under_way.pop(0), now)
            assert breaker.until <= max(until, now + LONGEST_OPEN_SECONDS)
        assert 0 <= breaker.seconds <= LONGEST_OPEN_SECONDS
        assert breaker.seconds == 0 or breaker.seconds >= FIRST_OPEN_SECONDS
        assert breaker.failures < FAILURES_TO_OPEN or breaker.seconds > 0


# several of them


def test_the_lists_order_is_kept(health: Health) -> None:
    assert asked(health, "a", "b", "c") == ["a", "b", "c"]


def test_an_open_one_is_skipped_and_found_again(health: Health, clock: Clock) -> None:
    trip(health, "a")
    assert asked(health) == ["b"]
    clock.now += STAY_SECONDS
    assert asked(health, "a") == ["a", "b"]
    assert asked(health) == ["b"]
    clock.now += max(STAY_SECONDS, 2 * FIRST_OPEN_SECONDS)
    assert asked(health) == ["a"]
    assert asked(health) == ["a"]


def test_an_open_one_is_asked_where_all_else_failed(health: Health) -> None:
    trip(health, "a")
    assert asked(health, "b", "c") == ["b", "c", "a"]


def test_the_least_bad_is_asked_where_all_are_open(health: Health, clock: Clock) -> None:
    trip(health, "b")
    clock.now += 1
    trip(health, "a", "c")
    assert asked(health, "a", "b", "c") == ["b"]
    assert asked(health, "a", "c") == ["b"]
    assert health.breaker("b").seconds == 0


def test_an_open_one_is_no_reason_to_be_impatient(health: Health, clock: Clock) -> None:
    trip(health, "b")
    left = turns(health, ("a", "b"))
    assert left.next() is not None
    assert not left.more
    clock.now += FIRST_OPEN_SECONDS
    assert left.more


def test_a_race_asks_no_open_one(health: Health) -> None:
    trip(health, "b")
    left = turns(health, ("a", "b"))
    assert left.next() is not None
    assert left.next(resort=False) is None
    resort = left.next()
    assert resort is not None
    assert resort.name == "b"


@pytest.mark.parametrize(
    ("error", "begun", "counts"),
    [
        (BROKEN, False, True),
        (e.OverloadedError("m"), True, True),
        (e.ConnectError("m"), False, True),
        (e.IncompleteStreamError("m"), True, True),
        (e.RateLimitError("m"), False, True),
        (e.UnexpectedContentError("m"), False, True),
        (e.AuthenticationError("m"), False, True),
        (e.InferenceTimeoutError("m"), False, True),
        (e.InferenceTimeoutError("m"), True, False),
        (e.ModelLoadingError("m"), False, False),
        (e.NotFoundError("m"), False, False),
        (e.InvalidRequestError("m"), False, False),
        (e.MissingCredentialError("m"), False, False),
        (e.UnsupportedModelError("m"), False, False),
        (e.InputError("m"), False, False),
        (e.ContentRefusedError("m"), False, False),
        (e.JobFailedError("m"), False, False),
    ],
)
def test_what_counts(health: Health, error: e.HeadwaterError, begun: bool, counts: bool) -> None:
    assert is_the_providers(error, begun=begun) is counts
    for _ in range(FAILURES_TO_OPEN):
        turn = turns(health).next()
        assert turn is not None
        turns(health).failed(turn, error, begun=begun)
    assert (health.breaker("a").seconds > 0) is counts


# staying


def test_a_client_stays_with_what_worked_and_comes_back(health: Health, clock: Clock) -> None:
    assert asked(health, "a") == ["a", "b"]
    assert [asked(health) for _ in range(3)] == [["b"]] * 3
    clock.now += STAY_SECONDS - 1
    assert asked(health) == ["b"]
    clock.now += 1
    back = turns(health)
    turn = back.next()
    assert turn is not None
    assert turn.name == "a"
    assert asked(health) == ["b"]  # one goes first, and the others wait for what it finds
    back.worked(turn, stay=True)
    assert asked(health) == ["a"]


def test_each_task_and_model_has_its_own(health: Health) -> None:
    assert asked(health, "a") == ["a", "b"]
    assert list(health.order(NAMES, KEY)) == [1, 0, 2]
    assert list(health.order(NAMES, ("chat-completion", "other"))) == [0, 1, 2]


def test_a_list_without_that_provider_is_its_own(health: Health) -> None:
    assert asked(health, "a") == ["a", "b"]
    assert list(health.order(("a", "c"), KEY)) == [0, 1]


def test_an_order_of_somebody_elses_is_kept_and_nothing_stays(health: Health) -> None:
    left = FailoverPlan(health, NAMES, KEY, lambda names: [names.index("c"), names.index("a")])
    first = left.next()
    assert first is not None
    left.worked(first, stay=True)
    second = left.next()
    assert second is not None
    assert (first.name, second.name, left.next()) == ("c", "a", None)
    assert list(health.order(NAMES, KEY)) == [0, 1, 2]


def test_not_everything_is_remembered(health: Health) -> None:
    for number in range(REMEMBERED_TASKS + 10):
        left = FailoverPlan(health, NAMES, number)
        left.next()
        turn = left.next()
        assert turn is not None
        left.worked(turn, stay=True)
    assert list(health.order(NAMES, 0)) == [0, 1, 2]
    assert list(health.order(NAMES, REMEMBERED_TASKS + 9)) == [1, 0, 2]


def test_one_probe_among_many_threads(health: Health, clock: Clock) -> None:
    trip(health, "a")
    clock.now += FIRST_OPEN_SECONDS
    found: list[bool] = []
    start = threading.Barrier(8)

    def enter() -> None:
        start.wait()
        found.append(health.enter(("a",), [0]) is not None)

    threads = [threading.Thread(target=enter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found.count(True) == 1
