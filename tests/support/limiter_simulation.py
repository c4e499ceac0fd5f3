"""Servers with hidden limits and a map's workers, as a discrete-event simulation around the real `ProviderLimiter`.

Time is a number; nothing here sleeps or opens a socket. An item is tried until it is answered, each try after the
engine's own backoff.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

from headwater.errors import ConnectError, HeadwaterError, ProviderError, RateLimitError, ServerError
from headwater.throttle.limiter import ProviderLimiter
from headwater.throttle.permit import LimiterPermit

CLIENT = 0.0002
"""Seconds of the client's own work for each request."""
Answer = tuple[float, HeadwaterError | None, Mapping[str, str]]
"""Seconds that it takes, what it fails with, and its headers."""


def refusal(status: int = 429, retry_after: float | None = None) -> ProviderError:
    error = RateLimitError("slow down") if status == 429 else ServerError("not now")
    error.status = status
    error.retry_after = retry_after
    return error


class InFlight:
    """A server that takes `limit(now)` requests at once; a refusal takes `quick` seconds, an answer about `latency`."""

    def __init__(
        self,
        limit: Callable[[float], int],
        *,
        latency: float = 0.5,
        noise: float = 0.5,
        quick: float = 0.01,
        retry_after: float | None = None,
        status: int = 429,
    ) -> None:
        self.limit, self.latency, self.noise, self.quick = limit, latency, noise, quick
        self.retry_after, self.status = retry_after, status
        self.busy = 0

    def ask(self, now: float, rand: random.Random) -> Answer:
        if self.busy >= self.limit(now):
            return self.quick, refusal(self.status, self.retry_after), {}
        self.busy += 1
        return self.latency * (1 + self.noise * (2 * rand.random() - 1)), None, {}

    def over(self, error: HeadwaterError | None) -> None:
        if error is None:
            self.busy -= 1

    def ideal(self, start: float, end: float) -> float:
        steps = [start + (end - start) * i / 1000 for i in range(1000)]
        return sum(self.limit(t) for t in steps) / 1000 / self.latency * (end - start)


class PerMinute:
    """A server that takes `rate(now)` requests a minute, by fixed windows, a sliding one, or a bucket that refills.

    `phase`: seconds of the first window that have passed; `burst`: what a full bucket holds; `at_once`: it takes no
    more than so many at once either; `hint`: the seconds that it says in place of the right ones.
    """

    def __init__(
        self,
        rate: Callable[[float], int],
        *,
        kind: str = "fixed",
        latency: float = 0.5,
        headers: str = "",
        retry_after: bool = False,
        hint: float | None = None,
        status: int = 429,
        window: float = 60.0,
        phase: float = 0.0,
        burst: float = 10.0,
        at_once: float = float("inf"),
    ) -> None:
        self.rate, self.kind, self.latency, self.headers = rate, kind, latency, headers
        self.retry_after, self.hint, self.status = retry_after, hint, status
        self.window, self.phase, self.burst, self.at_once = window, phase, burst, at_once
        self.taken: deque[float] = deque()
        self.level, self.last = burst, 0.0
        self.busy = 0

    def ask(self, now: float, rand: random.Random) -> Answer:
        if self.busy >= self.at_once:
            return self._refusal(1.0, {})
        limit = self.rate(now) * self.window / 60
        if self.kind == "bucket":
            most = self.burst
            self.level = min(most, self.level + (now - self.last) * limit / self.window)
            self.last = now
            left, reset = self.level, (most - self.level) / limit * self.window
            wait = (1 - self.level) / limit * self.window
            if left >= 1:
                self.level -= 1
        else:
            start = now - (now + self.phase) % self.window if self.kind == "fixed" else now - self.window
            while self.taken and self.taken[0] < start:
                self.taken.popleft()
            left = limit - len(self.taken)
            reset = start + self.window - now if self.kind == "fixed" else self.window
            oldest = self.taken[0] if self.taken else now
            wait = reset if self.kind == "fixed" else oldest + self.window - now
            if left >= 1:
                self.taken.append(now)
        headers = self._headers(limit, max(0, int(left) - 1), reset)
        if left < 1:
            return self._refusal(wait, headers)
        self.busy += 1
        return self.latency * (0.5 + rand.random()), None, headers

    def _refusal(self, wait: float, headers: Mapping[str, str]) -> Answer:
        wait = wait if self.hint is None else self.hint
        return 0.01, refusal(self.status, wait if self.retry_after else None), headers

    def _headers(self, limit: float, left: int, reset: float) -> Mapping[str, str]:
        if self.headers == "openai":
            return {
                "x-ratelimit-limit-requests": str(int(limit)),
                "x-ratelimit-remaining-requests": str(left),
                "x-ratelimit-reset-requests": f"{reset:.3f}s",
            }
        if self.headers in ("ietf", "two policies"):
            other = ', "long";r=99999;t=3000' if self.headers == "two policies" else ""
            told = f'"api";r={left};t={reset:.0f}{other}'
            return {"ratelimit": told, "ratelimit-policy": f'"api";q={limit:.0f};w=60'}
        return {}

    def over(self, error: HeadwaterError | None) -> None:
        if error is None:
            self.busy -= 1

    def ideal(self, start: float, end: float) -> float:
        steps = [start + (end - start) * i / 1000 for i in range(1000)]
        return sum(min(self.rate(t) / 60, self.at_once / self.latency) for t in steps) / 1000 * (end - start)


class Down:
    """Another server that refuses everything between two times, by an error of this kind."""

    def __init__(self, server: InFlight, start: float, end: float, error: Callable[[], HeadwaterError]) -> None:
        self.server, self.start, self.end, self.error = server, start, end, error

    def ask(self, now: float, rand: random.Random) -> Answer:
        if self.start <= now < self.end:
            return self.server.quick, self.error(), {}
        return self.server.ask(now, rand)

    def over(self, error: HeadwaterError | None) -> None:
        self.server.over(error)

    def ideal(self, start: float, end: float) -> float:
        down = max(0.0, min(end, self.end) - max(start, self.start))
        return self.server.ideal(start, end) * (1 - down / (end - start))


class AtRandom:
    """Another server that refuses this part of all requests, whatever their number, by an error of this kind."""

    def __init__(self, server: InFlight | Down, part: float, error: Callable[[], HeadwaterError]) -> None:
        self.server, self.part, self.error = server, part, error

    def ask(self, now: float, rand: random.Random) -> Answer:
        return (0.01, self.error(), {}) if rand.random() < self.part else self.server.ask(now, rand)

    def over(self, error: HeadwaterError | None) -> None:
        self.server.over(error)

    def ideal(self, start: float, end: float) -> float:
        return (1 - self.part) * self.server.ideal(start, end)


def gone() -> HeadwaterError:
    return ConnectError("refused")


class Share(NamedTuple):
    """Of a part of the run: what was answered of what could have been, and what part of the requests was refused."""

    ideal: float
    refused: float
    requests: int


class World:
    """The run of one limiter against one server, for so many seconds of its time, or until so many items are done."""

    def __init__(
        self,
        server: InFlight | PerMinute | Down | AtRandom,
        limiter: ProviderLimiter,
        *,
        seconds: float,
        items: float = float("inf"),
        seed: int = 1,
    ) -> None:
        self.server, self.limiter, self.seconds, self.items = server, limiter, seconds, items
        self.answered: list[float] = []
        self.refused: list[float] = []
        self.levels: list[tuple[float, float]] = []
        self._rand = random.Random(seed)
        self._now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._open = 0
        self._taken = 0
        self._retries: deque[int] = deque()
        self._alarm = float("inf")
        self._free_at = 0.0
        self._run()

    def share(self, start: float, end: float | None = None) -> Share:
        end = self.seconds if end is None else end
        done = sum(start <= t < end for t in self.answered)
        refused = sum(start <= t < end for t in self.refused)
        return Share(done / self.server.ideal(start, end), refused / max(1, done + refused), done + refused)

    def _later(self, seconds: float, then: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (self._now + seconds, self._count, then))

    def _run(self) -> None:
        self._grant()
        while self._events:
            at, _, then = heapq.heappop(self._events)
            if at > self.seconds:
                break
            self._now = at
            then()
            self._grant()

    def _grant(self) -> None:
        limiter = self.limiter
        while self._retries or (self._taken < self.items and self._open < max(1, int(limiter.concurrency.value))):
            delay = max(limiter.delay(self._now), self._free_at - self._now)
            if delay > 0:
                if delay != float("inf") and self._now + delay < self._alarm:
                    self._alarm = self._now + delay
                    self._later(delay, self._ring)
                return
            if self._retries:
                self._send(self._retries.popleft())
            else:
                self._open += 1
                self._taken += 1
                self._send(1)

    def _ring(self) -> None:
        if self._now >= self._alarm:
            self._alarm = float("inf")

    def _send(self, tries: int) -> None:
        permit = LimiterPermit()
        self._free_at = max(self._free_at, self._now) + CLIENT
        self.limiter.send(permit, self._now)
        seconds, error, headers = self.server.ask(self._now, self._rand)
        self._later(seconds, lambda: self._ended(permit, seconds, error, headers, tries))

    def _ended(
        self,
        permit: LimiterPermit,
        seconds: float,
        error: HeadwaterError | None,
        headers: Mapping[str, str],
        tries: int,
    ) -> None:
        self.server.over(error)
        self.levels.append((self._now, self.limiter.concurrency.value))
        if error is None:
            self.answered.append(self._now)
            self.limiter.answered(permit, self._now, seconds, headers, lambda: self._now)
            self.limiter.release(permit)
            self._open -= 1
            return
        self.refused.append(self._now)
        self.limiter.failed(permit, self._now, seconds, error)
        hint = error.retry_after
        wait = self._rand.random() * 0.5 * 2 ** min(tries - 1, 4) if hint is None else hint + self._rand.random() * 0.25
        self._later(wait, lambda: self._retries.append(tries + 1))
