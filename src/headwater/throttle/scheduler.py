"""Whose turn it is: the limiters of a map's providers, and who waits for them, on one event loop.

One scheduler serves all workers of a map. It learns nothing (a `ProviderLimiter` does) and performs nothing (the
map's workers do).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from anyio import Event

from ..errors import HeadwaterError
from ..protocol.transport import FOREVER
from .limiter import ProviderLimiter
from .permit import LimiterPermit

ONLY: Final = ""
"""The name of a map's limiter where there is one, whatever the provider turns out to be."""


class _Waiter:
    """An attempt that waits for its permit."""

    __slots__ = ("event", "permit", "throttle")

    def __init__(self, throttle: ItemThrottle) -> None:
        self.throttle = throttle
        self.event = Event()
        self.permit: HeldPermit | None = None


class Scheduler:
    """The limiters by provider, and a queue for each.

    `alarm(time)` is called with when `grant` should be called next, whatever happens. `waiting`: attempts that wait.
    """

    def __init__(
        self, limiters: dict[str, ProviderLimiter], now: Callable[[], float], alarm: Callable[[float], None]
    ) -> None:
        self.limiters = limiters
        self.now = now
        self._alarm = alarm
        self._queues: dict[str, deque[_Waiter]] = {name: deque() for name in limiters}
        self.waiting = 0
        self._only = next(iter(limiters)) if len(limiters) == 1 else None
        self.only = limiters[self._only] if self._only is not None else None

    def name_of(self, provider: str) -> str:
        """The name of the provider's limiter."""
        if self._only is not None:
            return self._only
        return provider if provider in self.limiters else next(iter(self.limiters))

    @property
    def limit(self) -> int:
        """How many requests may be in flight in all."""
        if self.only is not None:
            return self.only.concurrency.whole
        return sum(limiter.limit for limiter in self.limiters.values())

    @property
    def in_flight(self) -> int:
        """How many requests are in flight in all."""
        return sum(limiter.in_flight for limiter in self.limiters.values())

    def free(self, now: float) -> str | None:
        """The name with the most room of those that may be sent something now; else None, and the alarm is set."""
        only = self.only
        if only is not None and not self.waiting and only.delay(now) <= 0:
            return self._only
        best, room, soonest = None, 0, FOREVER
        for name, limiter in self.limiters.items():
            delay = FOREVER if self._queues[name] else limiter.delay(now)
            if delay <= 0:
                if limiter.room > room:
                    best, room = name, limiter.room
            else:
                soonest = min(soonest, delay)
        if best is None and soonest < FOREVER:
            self._alarm(now + soonest)
        return best

    def room(self, now: float) -> int:
        """How many more may be sent at once, as far as their number goes."""
        return sum(limiter.room_now(now) for limiter in self.limiters.values())

    def in_order(self, first: str) -> Callable[[Sequence[str]], Sequence[int]]:
        """The order in which an item that begins with this provider asks the others."""

        def order(names: Sequence[str]) -> Sequence[int]:
            rooms = {name: limiter.room for name, limiter in self.limiters.items()}
            return sorted(range(len(names)), key=lambda i: (names[i] != first, -rooms.get(names[i], 0)))

        return order

    def grant(self) -> None:
        """Let those go whose time has come."""
        if not self.waiting:
            return
        now = self.now()
        for name, queue in self._queues.items():
            limiter = self.limiters[name]
            while queue:
                delay = limiter.delay(now)
                if delay > 0:
                    if delay < FOREVER:
                        self._alarm(now + delay)
                    break
                waiter = queue.popleft()
                waiter.permit = waiter.throttle.send(limiter, now)
                waiter.event.set()

    async def wait(self, throttle: ItemThrottle, name: str) -> HeldPermit:
        """Wait for a permit of this limiter, after those that wait already."""
        queue, limiter, now = self._queues[name], self.limiters[name], self.now()
        delay = FOREVER if queue else limiter.delay(now)
        if delay <= 0:
            return throttle.send(limiter, now)
        waiter = _Waiter(throttle)
        queue.append(waiter)
        self.waiting += 1
        if delay < FOREVER:
            self._alarm(now + delay)
        try:
            await waiter.event.wait()
        finally:
            self.waiting -= 1
            if waiter.permit is None:
                queue.remove(waiter)
        assert waiter.permit is not None
        return waiter.permit


class HeldPermit:
    """A limiter's permit, which one item holds until it is done; an item that comes after it may have the same."""

    __slots__ = ("_throttle", "limiter", "permit")

    def __init__(self, limiter: ProviderLimiter, throttle: ItemThrottle) -> None:
        self.permit = LimiterPermit()
        self.limiter = limiter
        self._throttle = throttle

    def answered(self, headers: Mapping[str, str], seconds: float, now: float) -> None:
        """Take in that the provider answered."""
        permit = self.permit
        if not permit.is_settled:  # what follows, such as asking for a job's state, goes under the same permit
            self.limiter.answered(permit, now, seconds, headers, time.time)

    def failed(self, error: HeadwaterError, seconds: float) -> bool:
        """Take in that the attempt failed; whether retries are held back here."""
        throttle = self._throttle
        is_held_back = self.limiter.failed(self.permit, throttle.scheduler.now(), seconds, error)
        throttle.changed()
        return is_held_back


class ItemThrottle:
    """What the engine asks before each attempt, for the items that one worker performs, one after the other.

    `changed` is called when others may be let go. `first`: the name of the limiter that the item begins with. An
    item's first permit is the one that the item before it had.
    """

    __slots__ = ("_count", "_permits", "_ready", "changed", "cost", "first", "scheduler")

    def __init__(self, scheduler: Scheduler, changed: Callable[[], None]) -> None:
        self.scheduler = scheduler
        self.changed = changed
        self.cost = 0.0
        self.first = ONLY
        self._permits: list[HeldPermit] = []
        self._count = 0  # of them, that the item has
        self._ready: HeldPermit | None = None

    def take(self, name: str, cost: float, now: float) -> None:
        """Take the first permit of an item from a limiter that is free; `cost`: the tokens that it may use."""
        self.cost, self.first = cost, name
        self._ready = self.send(self.scheduler.limiters[name], now)

    async def begin(self, name: str, cost: float) -> None:
        """Take the first permit of an item, and wait for one: the item's clocks have not started."""
        self.cost, self.first = cost, name
        self._ready = await self.scheduler.wait(self, name)

    def go_on(self, now: float) -> bool:
        """Begin the next item in the place of this one, whose only attempt was answered; False where there are several
        limiters, attempts wait, or more is counted than how many there are."""
        scheduler = self.scheduler
        limiter = scheduler.only
        if limiter is None or scheduler.waiting or self._count != 1:
            return False
        held = self._permits[0]
        if not limiter.follow(held.permit, now):
            return False
        self._ready = held
        return True

    def take_back(self) -> None:
        """Count the item not as begun: there is none."""
        self._permits[0].limiter.take_back()

    def send(self, limiter: ProviderLimiter, now: float) -> HeldPermit:
        """Take a permit of this limiter, which has one to give."""
        if self._permits and not self._count:
            held = self._permits[0]
            held.limiter = limiter
        else:
            held = HeldPermit(limiter, self)
            self._permits.append(held)
        self._count += 1
        limiter.send(held.permit, now, self.cost)
        return held

    def ready(self, provider: str) -> HeldPermit | None:
        """The permit that the item has for its first attempt."""
        scheduler, ready = self.scheduler, self._ready
        self._ready = None
        if ready is None or scheduler.only is not None:
            return ready
        if ready.limiter is scheduler.limiters[scheduler.name_of(provider)]:
            return ready
        ready.limiter.release(ready.permit)
        return None

    async def admit(self, provider: str) -> HeldPermit:
        """Wait for the permit of the next attempt."""
        name = self.scheduler.name_of(provider)
        for held in self._permits:
            if held.permit.is_held and held.permit.is_settled and held.limiter is self.scheduler.limiters[name]:
                return held
        return await self.scheduler.wait(self, name)

    def end(self, tokens: float | None) -> None:
        """End the item, which used so many tokens where that is known."""
        self._ready = None
        if self._count:
            last = self._permits[-1]
            if tokens is not None:
                last.limiter.correct_tokens(last.permit, tokens)
            last.limiter.release(last.permit)
            if self._count > 1:
                for held in self._permits[:-1]:
                    held.limiter.release(held.permit)
                del self._permits[1:]
            self._count = 0
        if self.scheduler.waiting:
            self.scheduler.grant()
