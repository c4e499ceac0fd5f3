"""Which of its providers a client asks: a breaker for each of them, and the one that worked last.

            FAILURES_TO_OPEN in a row             `until` has come: one call, the probe, may go there
    closed ───────────────────────────▶ open ─────────────────────────▶ half-open
       ▲                                  ▲   fails: twice as long, or as long as it asks    │
       │                                  └──────────────────────────────────────────────────┤
       └───────────────────────────────── works ─────────────────────────────────────────────┘

An open provider is skipped. Where nothing else is left the one that is to be probed soonest is asked all the same: a
call is never given up untried. What was begun before the breaker last moved says nothing of how the provider is now.

A client stays for `STAY_SECONDS` with a provider further down its list that worked, for the same task and model. Then
one call tries the list from its front again, and the others follow it if that works.

The clock is passed in; nothing here waits, sends or draws lots.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Sequence
from typing import Final, TypeAlias

from ..errors import (
    AuthenticationError,
    DecodeError,
    HeadwaterError,
    IncompleteStreamError,
    InferenceTimeoutError,
    ModelLoadingError,
    PaymentRequiredError,
    PermissionDeniedError,
    ProxyError,
    RateLimitError,
    RedirectError,
    ServerError,
    TransportError,
)

FAILURES_TO_OPEN: Final = 3
"""In a row, to open a breaker: rare by chance where one call in ten fails, and soon where most do."""
FIRST_OPEN_SECONDS: Final = 5.0
"""Seconds that a breaker is open at first."""
LONGEST_OPEN_SECONDS: Final = 300.0
"""Seconds that it is open at most."""
STAY_SECONDS: Final = 60.0
"""Seconds for which a client stays with a provider that is not the first of its list."""
REMEMBERED_TASKS: Final = 1024
"""Tasks and models of which it is remembered who served them."""

Order: TypeAlias = Callable[[Sequence[str]], Sequence[int]]
"""The order in which a call is to ask providers, from their names to their places in that list."""

_PROVIDER_FAULTS: Final = (
    TransportError,
    ServerError,
    RateLimitError,
    DecodeError,
    IncompleteStreamError,
    RedirectError,
    AuthenticationError,
    PaymentRequiredError,
    PermissionDeniedError,
)
_LAST_RESORT_TICKET: Final = -1
"""The ticket of a call that went to an open provider because there was no other."""


def is_the_providers(error: HeadwaterError, *, begun: bool) -> bool:
    """Whether a failure says that the provider is not fit, for this client; `begun`: after the first event.

    Neither a call that is wrong by itself, a missing key, or a model that is unknown or still loading; nor a long
    answer that the caller's total did not suffice for, nor what a proxy on the way refused.
    """
    if isinstance(error, InferenceTimeoutError):
        return not begun or error.phase != "total"
    return isinstance(error, _PROVIDER_FAULTS) and not isinstance(error, (ModelLoadingError, ProxyError))


def in_their_order(names: Sequence[str]) -> Sequence[int]:
    """The list's own order, whoever worked last."""
    return range(len(names))


class Breaker:
    """One provider's: `seconds` is how long it is open for, 0 while it is closed; `until` when it may be probed."""

    __slots__ = ("_epoch", "failures", "seconds", "until")

    def __init__(self) -> None:
        self.failures = 0
        self.seconds = 0.0
        self.until = 0.0
        self._epoch = 0  # of the tickets that count

    def enter(self, now: float) -> int | None:
        """A ticket for a call that may go there, with which it says how it went; None while open."""
        if not self.seconds:
            return self._epoch
        if now < self.until:
            return None
        self.until = now + self.seconds  # should nothing be heard of this probe, there is another one then
        self._epoch += 1
        return self._epoch

    def worked(self, ticket: int) -> bool:
        """A call with this ticket was answered; whether that has closed it."""
        if ticket not in (self._epoch, _LAST_RESORT_TICKET):
            return False
        closes = self.seconds > 0
        if closes:
            self.seconds = 0.0
            self._epoch += 1
        self.failures = 0
        return closes

    def failed(self, ticket: int, now: float, asked: float | None = None) -> float:
        """A call with this ticket failed by the provider's fault; `asked`: the seconds that it wants to be left.

        The seconds for which that has opened it, 0 where it has not.
        """
        if ticket != self._epoch:
            return 0.0
        self.failures += 1
        if self.seconds or self.failures >= FAILURES_TO_OPEN:
            longer = max(FIRST_OPEN_SECONDS, 2 * self.seconds, asked or 0.0)
            self.seconds = min(longer, LONGEST_OPEN_SECONDS)
            self.until = now + self.seconds
            self._epoch += 1
            return self.seconds
        return 0.0


class Candidate:
    """One provider's turn in a call: its place in the list, its name, and the ticket by which it is judged.

    `is_probe`: its breaker was open, and this is the call that finds out."""

    __slots__ = ("index", "is_probe", "name", "ticket")

    def __init__(self, index: int, name: str, ticket: int, *, is_probe: bool = False) -> None:
        self.index = index
        self.name = name
        self.ticket = ticket
        self.is_probe = is_probe


class Health:
    """What one client knows of its providers; safe from several threads."""

    __slots__ = ("_breakers", "_lock", "_now", "_stays")

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._breakers: dict[str, Breaker] = {}
        self._stays: dict[Hashable, tuple[str, float]] = {}

    def breaker(self, name: str) -> Breaker:
        """The provider's breaker."""
        return self._breakers.setdefault(name, Breaker())

    def order(self, names: Sequence[str], key: Hashable) -> Sequence[int]:
        """The list's own order, with the provider that this task and model stay with before the others."""
        with self._lock:
            name, until = self._stays.get(key, ("", 0.0))
            if name not in names:
                return range(len(names))
            if self._now() >= until:
                # For the others, until this call has seen the first.
                self._stays[key] = name, self._now() + STAY_SECONDS
                return range(len(names))
            first = names.index(name)
            return [first, *(index for index in range(len(names)) if index != first)]

    def enter(self, names: Sequence[str], left: Sequence[int]) -> Candidate | None:
        """The first of those that are left whose breaker lets a call through."""
        with self._lock:
            for index in left:
                breaker = self.breaker(names[index])
                ticket = breaker.enter(self._now())
                if ticket is not None:
                    return Candidate(index, names[index], ticket, is_probe=breaker.seconds > 0)
            return None

    def is_any_ready(self, names: Sequence[str], left: Sequence[int]) -> bool:
        """Whether the breaker of one of them would let a call through."""
        return any(self.breaker(names[index]).until <= self._now() for index in left)

    def resort(self, names: Sequence[str], left: Sequence[int]) -> Candidate:
        """The least bad of those that are left, all of which are open."""
        index = min(left, key=lambda index: self.breaker(names[index]).until)
        return Candidate(index, names[index], _LAST_RESORT_TICKET)

    def worked(self, candidate: Candidate) -> bool:
        """The provider answered to the end; whether that has closed its breaker."""
        with self._lock:
            return self.breaker(candidate.name).worked(candidate.ticket)

    def failed(self, candidate: Candidate, asked: float | None = None) -> float:
        """The provider failed, and by its own fault; `asked`: the seconds that it wants to be left.

        The seconds for which that has opened its breaker, 0 where it has not.
        """
        with self._lock:
            return self.breaker(candidate.name).failed(candidate.ticket, self._now(), asked)

    def stay(self, key: Hashable, candidate: Candidate) -> None:
        """Stay with the provider that has answered this task and model, or with the first of the list again."""
        with self._lock:
            if candidate.index == 0:
                self._stays.pop(key, None)
            elif self._stays.get(key, ("",))[0] != candidate.name:
                if len(self._stays) >= REMEMBERED_TASKS:
                    del self._stays[next(iter(self._stays))]
                self._stays[key] = candidate.name, self._now() + STAY_SECONDS


class FailoverPlan:
    """The providers that one call may still turn to. A race's two attempts share them, and ask none of them twice."""

    __slots__ = ("_health", "_key", "_left", "_order", "names")

    def __init__(self, health: Health, names: Sequence[str], key: Hashable, order: Order | None = None) -> None:
        self._health = health
        self._key = key
        self._order = order
        self._left: list[int] | None = None
        self.names = names

    def next(self, *, resort: bool = True) -> Candidate | None:
        """Whose turn it is now; None when all have had theirs. `resort`: be it one whose breaker is open."""
        left = self._left
        if left is None:  # late, because a run may wait before it is read
            order = self._order(self.names) if self._order else self._health.order(self.names, self._key)
            left = self._left = list(order)
        candidate = self._health.enter(self.names, left)
        if candidate is not None:
            left.remove(candidate.index)
        elif left and resort:
            candidate = self._health.resort(self.names, left)
            left.clear()
        return candidate

    def back(self, candidate: Candidate) -> None:
        """Take a turn back that came to nothing."""
        if self._left is not None:
            self._left.insert(0, candidate.index)

    @property
    def more(self) -> bool:
        """Whether there is another one to turn to, whose breaker is not open."""
        return bool(self._left) and self._health.is_any_ready(self.names, self._left or ())

    def worked(self, candidate: Candidate, *, stay: bool) -> bool:
        """The call was answered in this turn; `stay`: and the client stays there. Whether that has closed a breaker."""
        closes = self._health.worked(candidate)
        if stay and self._order is None:
            self._health.stay(self._key, candidate)
        return closes

    def failed(self, candidate: Candidate, error: HeadwaterError, *, begun: bool) -> float:
        """The turn ended with this failure; `begun`: after its first event.

        The seconds for which that has opened the provider's breaker, 0 where it has not.
        """
        return self._health.failed(candidate, error.retry_after) if is_the_providers(error, begun=begun) else 0.0

    def late(self, candidate: Candidate) -> float:
        """A second attempt, at another provider, was faster; the seconds for which that has opened the breaker."""
        return self._health.failed(candidate)
