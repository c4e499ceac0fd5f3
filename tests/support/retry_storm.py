"""A storm of callers against a server that fails, as a discrete-event simulation of the real policy and quota.

Time is a number, the server a function of it; nothing here sleeps or opens a socket.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from typing import NamedTuple

from headwater.engine.retry import Raise, Retries, RetryBudget, decide
from headwater.errors import HeadwaterError

FOREVER = float("inf")


class Ended(NamedTuple):
    """One call: when it began and ended, after how many requests, and whether it worked."""

    began: float
    ended: float
    tries: int
    worked: bool


class Storm:
    """`callers` that call one after another, each at once again when a call has ended, for `seconds` in all.

    `server(time, rand)` is what a request that arrives then fails with, None where it is answered; either takes
    `latency` seconds, more or less.
    """

    def __init__(
        self,
        server: Callable[[float, random.Random], HeadwaterError | None],
        *,
        callers: int,
        seconds: float,
        latency: float,
        policy: Retries | None = None,
        limit: float = FOREVER,
        seed: int = 1,
    ) -> None:
        self.quota = RetryBudget()
        self.calls: list[Ended] = []
        self.arrivals: list[float] = []
        self._server = server
        self._latency = latency
        self._policy = policy or Retries()
        self._limit = limit
        self._rand = random.Random(seed)
        self._run(callers, seconds)

    @property
    def amplification(self) -> float:
        """Requests for each call."""
        return sum(call.tries for call in self.calls) / len(self.calls)

    def _run(self, callers: int, seconds: float) -> None:
        waiting = [(self._rand.random() * self._latency, caller, 1, 0.0) for caller in range(callers)]
        heapq.heapify(waiting)
        while waiting:
            now, caller, tries, began = heapq.heappop(waiting)
            began = now if tries == 1 else began
            self.arrivals.append(now)
            error = self._server(now, self._rand)
            now += self._latency * (0.5 + self._rand.random())
            again = None if error is None else self._again(error, tries, began + self._limit - now)
            if again is not None:
                heapq.heappush(waiting, (now + again, caller, tries + 1, began))
                continue
            if error is None and tries == 1:
                self.quota.succeed()
            self.calls.append(Ended(began, now, tries, error is None))
            if now < seconds:
                heapq.heappush(waiting, (now, caller, 1, now))

    def _again(self, error: HeadwaterError, tries: int, left: float) -> float | None:
        """What the engine does with a failure."""
        verdict = decide(error, tries, left, self._policy, resend=True, rand=self._rand.random())
        if isinstance(verdict, Raise) or not self.quota.take(error):
            return None
        return verdict.after
