"""Whose turn it is: the lanes of a map's providers, and who waits for them, on one event loop.

One of these serves all workers of a map. It learns nothing (`limiter` does) and performs nothing (`mapping` does).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from anyio import Event

from ..errors import HeadwaterError
from ..protocol.transport import FOREVER
from .lane import Lane
from .permit import Permit

ONLY: Final = ""
"""The lane of a map that has one, whatever the provider turns out to be."""


class _Waiter:
    """An attempt that waits for its permit."""

    __slots__ = ("event", "permit", "turn")

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.event = Event()
        self.permit: Held | None = None


class Turns:
    """The lanes by provider. `alarm(time)` is called with when `grant` should be called next, whatever happens."""

    def __init__(self, lanes: dict[str, Lane], now: Callable[[], float], alarm: Callable[[float], None]) -> None:
        self.lanes = lanes
        self.now = now
        self._alarm = alarm
        self._queues: dict[str, deque[_Waiter]] = {name: deque() for name in lanes}
        self._waiting = 0
        self._only = next(iter(lanes)) if len(lanes) == 1 else None
        self.only = lanes[self._only] if self._only is not None else None

    def lane_of(self, provider: str) -> str:
        """The name of the provider's lane."""
        if self._only is not None:
            return self._only
        return provider if provider in self.lanes else next(iter(self.lanes))

    @property
    def limit(self) -> int:
        """How many requests may be in flight in all."""
        if self.only is not None:
            return int(self.only.level.value)
        return sum(int(lane.level.value) for lane in self.lanes.values())

    def free(self, now: float) -> str | None:
        """The lane with the most room of those that may be sent something now; else None, and the alarm is set."""
        if self.only is not None and not self._waiting and self.only.delay(now) <= 0:
            return self._only
        best, room, soonest = None, 0, FOREVER
        for name, lane in self.lanes.items():
            delay = FOREVER if self._queues[name] else lane.delay(now)
            if delay <= 0:
                if lane.room > room:
                    best, room = name, lane.room
            else:
                soonest = min(soonest, delay)
        if best is None and soonest < FOREVER:
            self._alarm(now + soonest)
        return best

    def in_order(self, first: str) -> Callable[[Sequence[str]], Sequence[int]]:
        """The order in which an item that begins in this lane asks its providers."""

        def order(names: Sequence[str]) -> Sequence[int]:
            rooms = {name: lane.room for name, lane in self.lanes.items()}
            return sorted(range(len(names)), key=lambda i: (names[i] != first, -rooms.get(names[i], 0)))

        return order

    def grant(self) -> None:
        """Let those go whose time has come."""
        if not self._waiting:
            return
        now = self.now()
        for name, queue in self._queues.items():
            lane = self.lanes[name]
            while queue:
                delay = lane.delay(now)
                if delay > 0:
                    if delay < FOREVER:
                        self._alarm(now + delay)
                    break
                waiter = queue.popleft()
                waiter.permit = waiter.turn.send(lane, now)
                waiter.event.set()

    async def wait(self, turn: Turn, name: str) -> Held:
        """A permit for this lane, after those that wait already."""
        queue, lane, now = self._queues[name], self.lanes[name], self.now()
        delay = FOREVER if queue else lane.delay(now)
        if delay <= 0:
            return turn.send(lane, now)
        waiter = _Waiter(turn)
        queue.append(waiter)
        self._waiting += 1
        if delay < FOREVER:
            self._alarm(now + delay)
        try:
            await waiter.event.wait()
        finally:
            self._waiting -= 1
            if waiter.permit is None:
                queue.remove(waiter)
        assert waiter.permit is not None
        return waiter.permit


class Held(Permit):
    """A permit that one item's turn holds until the item is done; the next item's may be the same object."""

    __slots__ = ("_turn",)

    def __init__(self, lane: Lane, turn: Turn) -> None:
        super().__init__(lane)
        self._turn = turn

    def renew(self) -> None:
        """Be a new one."""
        self.held, self.told, self.cost = True, False, 0.0

    def answered(self, headers: Mapping[str, str], seconds: float) -> None:
        """The provider answered."""
        if not self.told:  # what follows, such as asking for a job's state, goes under the same permit
            self.lane.answered(self, self._turn.turns.now(), seconds, headers, time.time)

    def failed(self, error: HeadwaterError, seconds: float) -> bool:
        """The attempt failed."""
        turn = self._turn
        paced = self.lane.failed(self, turn.turns.now(), seconds, error)
        turn.changed()
        return paced


class Turn:
    """The engine's `Pace` for the items that one worker performs, one after the other.

    `changed` is called when others may be let go.
    """

    __slots__ = ("_last", "_permits", "_ready", "changed", "cost", "turns")

    def __init__(self, turns: Turns, changed: Callable[[], None]) -> None:
        self.turns = turns
        self.changed = changed
        self.cost = 0.0
        self._permits: list[Held] = []
        self._ready: Held | None = None
        self._last: Held | None = None

    def take(self, name: str, cost: float, now: float) -> None:
        """Take the first permit of an item in a lane that is free; `cost`: the tokens that it may use."""
        self.cost = cost
        self._ready = self.send(self.turns.lanes[name], now)

    async def begin(self, name: str, cost: float) -> None:
        """The same of a lane that may not be, which is waited for: the item's clocks have not started."""
        self.cost = cost
        self._ready = await self.turns.wait(self, name)

    def send(self, lane: Lane, now: float) -> Held:
        """Take a permit of this lane, which has one to give."""
        permit = self._last
        if permit is None or permit.held or self._permits or permit.lane is not lane:
            permit = self._last = Held(lane, self)
        else:
            permit.renew()
        lane.send(permit, now, self.cost)
        self._permits.append(permit)
        return permit

    def ready(self, provider: str) -> Held | None:
        """The permit that the item has for its first attempt."""
        ready, self._ready = self._ready, None
        turns = self.turns
        if ready is None or turns.only is not None or ready.lane is turns.lanes[turns.lane_of(provider)]:
            return ready
        ready.lane.release(ready)
        return None

    async def admit(self, provider: str) -> Held:
        """The permit of the next attempt."""
        name = self.turns.lane_of(provider)
        for permit in self._permits:
            if permit.held and permit.told and permit.lane is self.turns.lanes[name]:
                return permit
        return await self.turns.wait(self, name)

    def end(self, tokens: float | None) -> None:
        """The item is done, and used so many tokens where that is known."""
        self._ready = None
        for permit in self._permits:
            lane = permit.lane
            if tokens is not None and lane.counts and permit is self._permits[-1]:
                lane.spent(permit, tokens)
            if permit.held:
                lane.release(permit)
        self._permits.clear()
        if self.turns._waiting:
            self.turns.grant()
