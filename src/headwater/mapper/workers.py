"""A map's workers: each reads an input when there is room, performs it, and adds its result to those that wait.

They live long: more begin when the limit grows, and the surplus ends when it falls. What may be sent is decided by
a `ProviderLimiter`, what the caller sees of it is `AsyncMap`'s.

A cancellation that is not the map's own (an item awaited what somebody else had cancelled) is that item's failure. What
else ends a worker, a `SystemExit` for one, ends the map, and comes out of its caller's loop.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterable, Iterable
from typing import Any, Final, Generic, TypeVar

from anyio import CancelScope, Event, create_task_group, sleep_forever
from anyio.abc import TaskGroup

from ..protocol.transport import FOREVER
from ..throttle.scheduler import ItemThrottle, Scheduler
from ..throttle.settings import ThrottleSettings
from .inputs import ENDED, Feed, reader_of
from .item import Performer, Work, uncancelled
from .results import MapResult

R = TypeVar("R")

MANY: Final = 32
OFTEN: Final = 0.002
AT_LAST: Final = 0.02
"""With at least so many in flight, the caller is woken once in `OFTEN` seconds, and `AT_LAST` after a result."""
SPARE: Final = 16
"""Workers that wait for work; more than these end."""
WINDOW: Final = 2
WINDOW_IN_ORDER: Final = 4
"""Times the limit: how many items may have been begun and not been read by the caller."""


class Working(Generic[R]):
    """The working half of a map. `ready`: results that the caller has not read."""

    def __init__(
        self,
        work: Work,
        inputs: Iterable[Any] | AsyncIterable[Any] | Feed,
        settings: ThrottleSettings,
        *,
        ordered: bool = False,
        fails_fast: bool = False,
    ) -> None:
        self._work = work
        self._reader = reader_of(inputs)
        self._settings = settings
        self._ordered = ordered
        self._windows = WINDOW_IN_ORDER if ordered else WINDOW
        self._fails_fast = fails_fast
        self._scheduler: Scheduler | None = None
        self._group: TaskGroup | None = None
        self._workers: TaskGroup | None = None
        self._process: object = None
        self._alarm_at = FOREVER
        self._at = 0.0
        self._quiet_until = 0.0
        self._alarm_scope: CancelScope | None = None
        self.ready: deque[MapResult[R]] = deque()
        self._early: dict[int, MapResult[R]] = {}
        self._news: Event | None = None
        self._spare: deque[Event] = deque()
        self._failure: BaseException | None = None
        self._reading = self._closed = self._stopped = self._stopping = False
        self._started = self._alive = self._taken = self._open = self._delivered = self._in_order = 0
        self._done = self._failed = self._tokens = 0
        self._cost, self._counts = settings.cost, settings.counts

    async def _lead(self) -> None:
        """Hold the workers, and wake them when a pause is over."""
        try:
            async with create_task_group() as self._workers:
                if self._closed:
                    return
                self._grant()
                while True:
                    with CancelScope(deadline=self._alarm_at) as self._alarm_scope:
                        await sleep_forever()
                    self._alarm_at = FOREVER
                    self._grant()
                    if self.ready:
                        self._tell()
        finally:
            self._workers = None
            with CancelScope(shield=True):
                await self._reader.close()

    def _cancel(self) -> None:
        # The workers' group, and no scope of the map's own: each request looks at every scope that it is in.
        if self._workers is not None:
            self._workers.cancel_scope.cancel()

    def _set_alarm(self, at: float) -> None:
        if at < self._alarm_at:
            self._alarm_at = at
            if self._alarm_scope is not None:
                self._alarm_scope.deadline = at

    @property
    def room(self) -> int:
        """How many more inputs could be begun now."""
        limit = self._scheduler.limit if self._scheduler is not None else 0
        return min(limit - self._open, self._window(limit) - self._taken + self._delivered)

    def _window(self, limit: int) -> int:
        return self._windows * limit + SPARE

    def _may_take(self) -> str | None:
        """The limiter's name that the next input can begin with; None when none is to be read now."""
        scheduler = self._scheduler
        if scheduler is None or self._reading or self._reader.ended:
            return None
        limit = scheduler.limit
        if self._open >= limit:
            return None
        if self._taken - self._delivered >= self._windows * limit + SPARE:
            self._stopped = True
            return None
        self._at = scheduler.now()
        return scheduler.free(self._at)

    def _grant(self) -> None:
        """Let attempts go whose time has come, and see that somebody reads the next input if one may be begun."""
        if self._workers is None or self._scheduler is None:
            return
        self._scheduler.grant()
        if self._started or self._may_take() is None:
            return
        self._started += 1
        if self._spare:
            self._spare.popleft().set()
        else:
            self._workers.start_soon(self._worker)

    async def _worker(self) -> None:
        assert self._scheduler is not None
        self._started -= 1
        self._alive += 1
        try:
            throttle = ItemThrottle(self._scheduler, self._grant)
            perform = self._work.performer(throttle)
            while True:
                name = self._may_take()
                if name is None:
                    if len(self._spare) >= SPARE:
                        return
                    await self._rest()
                    continue
                waits = self._reader.waits
                item = await self._awaited() if waits else self._at_hand()
                if item is ENDED:
                    return
                await self._perform(throttle, perform, name, item, waits)
        except BaseException as error:  # noqa: BLE001 - nobody looks at a worker: the caller gets what has ended it
            self._end(uncancelled(error))
        finally:
            self._alive -= 1

    async def _rest(self) -> None:
        event = Event()
        self._spare.append(event)
        await event.wait()
        self._started -= 1

    async def _awaited(self) -> Any:
        """Wait for the next input; ENDED when there is none, or reading it failed, which ends the map."""
        self._reading = True
        self._tell()
        try:
            item = await self._reader.wait()
        except BaseException as error:  # noqa: BLE001 - the caller's own iterable's; it comes out of the loop
            self._end(uncancelled(error))
            return ENDED
        finally:
            self._reading = False
        return self._wanted(item)

    def _at_hand(self) -> Any:
        """The same of inputs that are there without waiting."""
        try:
            item = self._reader.take()
        except BaseException as error:  # noqa: BLE001 - the caller's own iterable's; it comes out of the loop
            self._end(uncancelled(error))
            return ENDED
        return self._wanted(item) if item is ENDED or self._stopping else item

    def _wanted(self, item: Any) -> Any:
        if item is ENDED or self._stopping:
            self._tell()
            return ENDED
        return item

    async def _perform(self, throttle: ItemThrottle, perform: Performer, name: str, item: Any, waited: bool) -> None:
        index, tokens, usage = self._taken, None, None
        self._taken += 1
        self._open += 1
        try:
            if waited:  # who knows what has become of the limiter meanwhile
                await throttle.begin(name, self._cost(item))
            else:
                throttle.take(name, self._cost(item) if self._counts else 0.0, self._at)
            if self._open < throttle.scheduler.limit:
                self._grant()  # the next one may be begun by another worker
            started = time.time()
            done = await perform(item, name)
            value, error = done.value, done.error
            usage = getattr(value, "usage", None)
            tokens = getattr(usage, "total_tokens", None)
        finally:
            self._open -= 1
            throttle.end(tokens)
        self._done += 1
        self._tokens += tokens or 0
        self._add(
            MapResult(
                index=index,
                input=item,
                value=value,
                error=error,
                attempts=done.attempts,
                timings=done.timings,
                usage=usage,
                provider=done.provider,
                started=started,
            )
        )

    def _add(self, result: MapResult[R]) -> None:
        if result.error is None and not self._ordered:
            self.ready.append(result)
            self._announce()
            return
        if result.error is not None:
            self._failed += 1
            if self._fails_fast:
                self._end(result.error)
                return
        if not self._ordered:
            self.ready.append(result)
        else:
            self._early[result.index] = result
            while self._in_order in self._early:
                self.ready.append(self._early.pop(self._in_order))
                self._in_order += 1
        self._announce()

    def _end(self, error: BaseException) -> None:
        """The map ends with this error, once the caller has read what was there before."""
        if isinstance(error, StopIteration | StopAsyncIteration | GeneratorExit):  # which would look like an end
            cause, error = error, RuntimeError(f"raised {type(error).__name__}, which is no end of a map's inputs")
            error.__cause__ = cause
        if self._failure is None:
            self._failure = error
        self._reader.ended = True
        self._cancel()
        self._tell()

    # -- telling the caller

    def _announce(self) -> None:
        """There are results: wake the caller, though not for each of a great many."""
        scheduler = self._scheduler
        if self._news is None or scheduler is None:
            return
        if self._open < MANY or self._stopped:
            self._tell()
            return
        now = scheduler.now()
        if now >= self._quiet_until:
            self._quiet_until = now + OFTEN
            self._tell()
        else:
            self._set_alarm(now + AT_LAST)

    def _tell(self) -> None:
        if self._news is not None:
            self._news.set()
            self._news = None
