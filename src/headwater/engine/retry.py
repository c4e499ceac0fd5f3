"""When to try again: pure functions of the failure, and the budget that keeps a dead server from being stormed.

A retry helps against what passes, and harms a server that has too much to do: with two retries a call a dead server
gets three times the load, just when it can bear least. So there are three brakes. `decide` looks at the failure: only
what may pass is tried again, never what may have been bought. The wait is drawn evenly from [0, backoff), which spreads
the retries of many clients ("full jitter"). And each retry is paid from a `RetryBudget`, which only calls that worked
at once fill again: a client of a dead provider makes a hundred retries, and then one for every five calls that work.
`tests/test_retry_storm.py` simulates it: a server that is down sees less than one retry in ten calls.

No clock and no randomness in here: the caller brings both.
"""

from __future__ import annotations

import threading
from typing import ClassVar, Final

import msgspec

from ..errors import (
    BudgetExceededError,
    ClosedError,
    ConnectError,
    ContentRefusedError,
    HeadwaterError,
    InferenceTimeoutError,
    InputError,
    InvalidAnswerError,
    InvalidParameterError,
    ModelLoadingError,
    ProviderError,
    TransportError,
    UnsupportedParameterError,
)

LONGEST_WAIT_SECONDS: Final = 60.0
"""Seconds that a server may ask to be waited for."""
LONGEST_WAIT_BEFORE_FAILOVER_SECONDS: Final = 2.0
"""The same where there is another provider to turn to."""


_OF_THE_CALL: Final = (
    InvalidParameterError,
    InputError,
    ContentRefusedError,
    ClosedError,
    InvalidAnswerError,
    BudgetExceededError,
)
"""What another provider would not do better, or not for nothing."""
_OVERLOAD: Final = frozenset({429, 502, 503, 529})
_NOT_TAKEN: Final = frozenset({425, 429, 503, 529})
"""Statuses of a request that was surely not acted upon."""


class Retries(msgspec.Struct, frozen=True):
    """The policy: `most` further attempts after the first, backoff from `first` doubling up to `cap` seconds.

    A server that asks for a longer wait than `longest` seconds is not waited for. `until_loaded`: a model that is
    loading is waited for as long as the deadline allows.
    """

    most: int = 2
    first: float = 0.5
    cap: float = 8.0
    longest: float = LONGEST_WAIT_SECONDS
    until_loaded: bool = True


class Retry(msgspec.Struct, frozen=True):
    """Try again after so many seconds."""

    after: float


class Raise(msgspec.Struct, frozen=True):
    """Give up: the caller sees the error."""


RAISE: Final = Raise()


def decide(
    error: HeadwaterError,
    tries: int,
    left: float,
    policy: Retries,
    *,
    resend: bool,
    rand: float,
    unique: bool = False,
) -> Retry | Raise:
    """What follows a failed attempt: `tries` were made, `left` seconds remain, `rand` is from [0, 1).

    A model that is loading is waited for as long as the deadline allows; other failures `policy.most` times. `unique`:
    the request makes what must not be there twice.
    """
    if not error.retryable or isinstance(error, InferenceTimeoutError):
        return RAISE
    if isinstance(error, TransportError) and error.sent and not resend:
        return RAISE  # the job may have been taken: sending it again would buy it twice
    if unique and isinstance(error, ProviderError) and error.status not in _NOT_TAKEN:
        return RAISE
    if tries > policy.most and not (policy.until_loaded and isinstance(error, ModelLoadingError)):
        return RAISE
    wait = _wait(error, tries, policy, rand)
    return RAISE if wait is None or wait >= left else Retry(wait)


def _wait(error: HeadwaterError, tries: int, policy: Retries, rand: float) -> float | None:
    asked = error.retry_after
    if asked is None:
        return rand * min(policy.cap, policy.first * 2.0 ** min(tries - 1, 30))
    if not 0 <= asked <= policy.longest:  # nor is a nan, whoever made it
        return None
    return asked + rand * min(max(0.1 * asked, 0.25), 2.0)


def is_worth_another_provider(error: HeadwaterError, left: float = 0.0) -> bool:
    """Whether another provider may succeed where this one failed: not where the call itself is wrong or too late.

    A request that one provider refuses (400, 413, 422) may suit another: they differ in what they take, and how much.
    So may a parameter that one has no word for. An answer that is none of the type that was asked for was paid for;
    whether to ask again is the caller's to say.
    `left`: the seconds that the call still has for its first event, where the limit that passed was this provider's.
    """
    if isinstance(error, InferenceTimeoutError):
        return error.phase == "connect" or left > 0
    return isinstance(error, UnsupportedParameterError) or not isinstance(error, _OF_THE_CALL)


def is_overload(error: HeadwaterError) -> bool:
    """Whether the provider has too much to do or is away, whoever asks for what; many calls hold back together then."""
    if not error.retryable:
        return False
    if isinstance(error, InferenceTimeoutError):
        return error.phase == "connect"
    return isinstance(error, TransportError) or (isinstance(error, ProviderError) and error.status in _OVERLOAD)


class TokenBudget:
    """Tokens that are spent and given back, by several threads: never under 0, never over `FULL`."""

    __slots__ = ("_lock", "tokens")
    FULL: ClassVar[int]

    def __init__(self, tokens: int) -> None:
        self._lock = threading.Lock()
        self.tokens = tokens

    def _spend(self, cost: int) -> bool:
        with self._lock:
            if self.tokens < cost:
                return False
            self.tokens -= cost
            return True

    def _give(self, tokens: int) -> None:
        with self._lock:
            self.tokens = min(self.FULL, self.tokens + tokens)


class RetryBudget(TokenBudget):
    """Tokens that retries cost and first-try successes give back, per client and provider.

    500 tokens, 5 a retry, 10 after a connection that could not be made in time: enough for bursts, and less than
    one retry in ten calls against a server that is down.
    """

    __slots__ = ()
    FULL: ClassVar[int] = 500
    COST: Final = 5
    COST_CONNECT: Final = 10

    def __init__(self) -> None:
        super().__init__(self.FULL)

    def take(self, error: HeadwaterError | None = None) -> bool:
        """Pay for a retry after this failure, or for a second attempt beside one; False when there is not enough."""
        return self._spend(self.COST_CONNECT if isinstance(error, ConnectError) else self.COST)

    def succeed(self) -> None:
        """Give one token back for a call that worked at once."""
        if self.tokens < self.FULL:
            self._give(1)


class HedgeBudget(TokenBudget):
    """How many second attempts a client may start beside slow first ones: under one in ten calls, and one more.

    Every call that could be hedged pays `EACH` in, a hedge takes `COST` out, and at most `FULL` is kept.
    """

    __slots__ = ()
    EACH: Final = 1
    COST: Final = 11
    FULL: ClassVar[int] = 110

    def __init__(self) -> None:
        super().__init__(self.COST)

    def called(self) -> None:
        """A call that could be hedged began."""
        self._give(self.EACH)

    def take(self) -> bool:
        """Pay for a hedge; False when there is not enough."""
        return self._spend(self.COST)
