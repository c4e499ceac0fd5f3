"""A map's workers, and the window through which they and the caller see each other.

A worker reads an input when there is room, performs it, and adds its result to those that wait. Workers live long: more
begin when the limit grows, and the surplus ends when it falls. A call that ends makes room for the next one in the same
task, without a task begun or a caller woken. What may be sent now is decided by a `ProviderLimiter`; what the caller
sees is `AsyncMap`'s.

The window bounds what is begun and not read, so that inputs are read only as fast as the work is done and its results
are taken:

        delivered                                started
            │◀── results that wait ──▶◀─ in flight ─▶│            at most WINDOW x limit + MAX_IDLE apart
    ────────┴────────────────────────────────────────┴───────▶ inputs

When it is full no worker is woken until the caller has read half of it: a caller that is slower than the calls would
else wake one for each result that it reads. Results in order need a wider window, because those that came before their
turn are in it too.

The caller is woken for each result while fewer than `COALESCE_ABOVE` items are in flight, so that a slow call's result
comes at once. Above that it is woken once in `WAKE_INTERVAL`, and `WAKE_DEADLINE` after a result at the latest, and
takes all results that there are.

What a map adds to a call is its worker's turn, and what it saves is what all items have in common: their arguments are
checked, and the request that they fill in is made, once (`ClientCore.repeated`). A worker that has ended an item begins
the next one in its place, under the same permit, where nothing but the number holds any back (`_begin_in_place`); what
else there is to look at is looked at by `_begin`. An item comes to 314 thousand instructions so, a bare call of as many
tasks to 307 (a queue of 704 chats, 64 at once, asyncio; callgrind, collector off), and to 4,520 bytecodes for 4,180.
`python -m benchmarks` measures it by the clock.

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

from ..engine.event_loop import running_loop
from ..errors import BudgetExceededError, no_end
from ..protocol.transport import FOREVER
from ..throttle.scheduler import ONLY, ItemThrottle, Scheduler
from ..throttle.settings import ThrottleSettings
from .inputs import ENDED, Feed, reader_of
from .item import Work, uncancelled
from .results import MapResult, ProviderStats, Stats

R = TypeVar("R")

COALESCE_ABOVE: Final = 32
"""Items in flight from which on the caller is not woken for each result."""
WAKE_INTERVAL: Final = 0.002
"""Seconds between two wakings of the caller, where there are so many."""
WAKE_DEADLINE: Final = 0.02
"""Seconds after a result at which the caller is woken, whatever else happens."""
MAX_IDLE: Final = 16
"""Workers that wait for work; more than these end."""
WAKE_AT_ONCE: Final = 32
"""Workers that begin in one turn of the event loop at most. With one in each turn, in which as many answers are read, a
limit of 512 is not reached in ten thousand items where the server is quick."""
WINDOW: Final = 2
"""Times the limit: how many items may have been begun and not been read by the caller."""
WINDOW_IN_ORDER: Final = 4
"""The same for results in the order of their inputs."""


class Window:
    """How many items have been begun, and how many of them the caller has read; `limit` is that of requests at once.

    `is_full`: there was no room for an item, and half of the window has not been read since.
    """

    __slots__ = ("_times", "delivered", "is_full", "started")

    def __init__(self, times: int) -> None:
        self._times = times
        self.started = self.delivered = 0
        self.is_full = False

    def room(self, limit: int) -> int:
        """How many more items may be begun."""
        return self._times * limit + MAX_IDLE - self.started + self.delivered

    def has_room(self, limit: int) -> bool:
        """Whether one more item may be begun."""
        if self.started - self.delivered < self._times * limit + MAX_IDLE:
            return True
        self.is_full = True
        return False

    def has_room_again(self, limit: int) -> bool:
        """Whether the window, which was full, has been read enough."""
        self.is_full = self.started - self.delivered > (self._times * limit + MAX_IDLE) // 2
        return not self.is_full


class Workers(Generic[R]):
    """The working half of a map. `ready`: results that the caller has not read; `failure`: what has ended it;
    `refusal`: why it takes no more, and ends once what is in flight is delivered."""

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
        self._fails_fast = fails_fast
        self._window = Window(WINDOW_IN_ORDER if ordered else WINDOW)
        self._scheduler: Scheduler | None = None
        self._group: TaskGroup | None = None
        self._alarm_at = FOREVER
        self._alarm_scope: CancelScope | None = None
        self._read_at = self._quiet_until = 0.0
        self.ready: deque[MapResult[R]] = deque()
        self.failure: BaseException | None = None
        self.refusal: BudgetExceededError | None = None
        self._early: dict[int, MapResult[R]] = {}
        self._news: Event | None = None
        self._idle: deque[Event] = deque()
        self._reading = self._closed = self._stopping = False
        self._is_filled = False  # whether the input that is being taken is the last for which there is room
        self._waking = self._in_flight = self._next_in_order = 0
        self._done = self._failed = self._tokens = 0
        self._cost, self._counts = settings.cost, settings.counts

    # -- their life

    def prepare(self) -> None:
        """Make what the running event loop is needed for."""
        _, now = running_loop()
        limiters = {name: self._settings.limiter(now()) for name in self._work.providers or (ONLY,)}
        self._scheduler = Scheduler(limiters, now, self._set_alarm)

    async def lead(self) -> None:
        """Hold the workers, and wake them when a pause is over, until they are closed."""
        try:
            async with create_task_group() as self._group:
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
            self._group = None
            with CancelScope(shield=True):
                await self._reader.close()

    def close(self) -> None:
        """Cancel what is in flight, and begin nothing more."""
        self._closed = True
        self._cancel()

    def stop_reading(self) -> None:
        """Take no further inputs."""
        self._reader.ended = self._stopping = True
        self._tell()

    def discard(self) -> None:
        """Forget the results that nobody has read."""
        self.ready.clear()
        self._early.clear()

    def _cancel(self) -> None:
        # The workers' group, and no scope of the map's own: each request looks at every scope that it is in.
        if self._group is not None:
            self._group.cancel_scope.cancel()

    def _set_alarm(self, at: float) -> None:
        if at < self._alarm_at:
            self._alarm_at = at
            if self._alarm_scope is not None:
                self._alarm_scope.deadline = at

    # -- what the caller takes

    def deliver(self) -> MapResult[R]:
        """The next result, of those that are ready."""
        window = self._window
        window.delivered += 1
        result = self.ready.popleft()
        if window.is_full and window.has_room_again(self._limit):
            self._grant()
        return result

    @property
    def is_over(self) -> bool:
        """Whether there will be no further result."""
        return self._reader.ended and not self._in_flight

    async def news(self) -> None:
        """Wait until there is a result, an end, or a wish for inputs."""
        if self._news is None:  # else somebody else waits as well
            self._news = Event()
        await self._news.wait()

    @property
    def room(self) -> int:
        """How many more inputs could be begun now."""
        limit = self._limit
        return min(limit - self._in_flight, self._window.room(limit))

    @property
    def _limit(self) -> int:
        return self._scheduler.limit if self._scheduler is not None else 0

    # -- reading and performing

    def _may_take(self) -> str | None:
        """The limiter's name that the next input can begin with; None when none is to be read now."""
        scheduler = self._scheduler
        if scheduler is None or self._reading or self._reader.ended:
            return None
        limit, begun = scheduler.limit, self._in_flight + 1
        if begun > limit or not self._window.has_room(limit):
            return None
        self._is_filled = begun == limit
        self._read_at = scheduler.now()
        return scheduler.free(self._read_at)

    def _grant(self) -> None:
        """Let attempts go whose time has come, and see that somebody reads the next input if one may be begun."""
        if self._group is None or self._scheduler is None:
            return
        self._scheduler.grant()
        if self._waking or self._may_take() is None:
            return
        self._waking = max(1, min(self.room, self._scheduler.room(self._read_at), self._reader.at_hand, WAKE_AT_ONCE))
        for _ in range(self._waking):
            if self._idle:
                self._idle.popleft().set()
            else:
                self._group.start_soon(self._worker)

    async def _worker(self) -> None:
        self._waking -= 1
        try:
            assert self._scheduler is not None
            throttle, work = ItemThrottle(self._scheduler, self._grant), self._work
            begun = await self._begin(throttle)
            while begun is not None:
                index, item = begun
                try:
                    result: MapResult[R] = await work.perform(index, item, throttle)
                    tokens = getattr(result.usage, "total_tokens", None)
                    self._tokens += tokens or 0
                    self._add(result)
                    del begun, item, result  # they may be large, and the next one may be long in coming
                    begun = self._begin_in_place(throttle)
                except BaseException:
                    self._leave(throttle, None)
                    raise
                if begun is None:
                    self._leave(throttle, tokens)
                    begun = await self._begin(throttle)
        except BaseException as error:  # noqa: BLE001 - nobody looks at a worker: the caller gets what has ended it
            self._end(uncancelled(error))

    async def _begin(self, throttle: ItemThrottle) -> tuple[int, Any] | None:
        """Wait until an input may be begun; it and its number, and None when this worker is needed no longer."""
        reader, window = self._reader, self._window
        while (name := self._may_take()) is None:
            if len(self._idle) >= MAX_IDLE:
                return None
            await self._rest()
        waits = reader.waits
        item = await self._awaited() if waits else reader.take()
        if item is ENDED or self._stopping:
            reader.ended = True
            self._tell()
            return None
        index = window.started
        window.started += 1
        self._in_flight += 1
        try:
            if waits:  # who knows what has become of the limiter meanwhile
                await throttle.begin(name, self._cost(item))
            else:
                throttle.take(name, self._cost(item) if self._counts else 0.0, self._read_at)
            if waits or not self._is_filled:
                self._grant()  # the next one may be begun by another worker
        except BaseException:
            self._leave(throttle, None)
            raise
        return index, item

    def _begin_in_place(self, throttle: ItemThrottle) -> tuple[int, Any] | None:
        """The next input, begun in the place of the item that this worker has ended; None where more holds it back
        than how many there are."""
        reader, window, scheduler = self._reader, self._window, throttle.scheduler
        if reader.ended or reader.waits or self._reading or self._counts:
            return None
        limit = scheduler.limit
        if self._in_flight > limit or not window.has_room(limit) or not throttle.go_on(scheduler.now()):
            return None
        item = reader.take()
        if item is ENDED or self._stopping:
            throttle.take_back()
            reader.ended = True
            self._tell()
            return None
        index = window.started
        window.started = index + 1
        if self._in_flight < limit:
            self._grant()  # another worker may begin the next one
        return index, item

    def _leave(self, throttle: ItemThrottle, tokens: float | None) -> None:
        """Give up the place of an item, which used so many tokens where that is known."""
        self._in_flight -= 1
        throttle.end(tokens)

    async def _rest(self) -> None:
        event = Event()
        self._idle.append(event)
        await event.wait()
        self._waking -= 1

    async def _awaited(self) -> Any:
        """Wait for the next input."""
        self._reading = True
        self._tell()
        try:
            return await self._reader.wait()
        finally:
            self._reading = False

    def _add(self, result: MapResult[R]) -> None:
        self._done += 1
        if result.error is None and not self._ordered:
            self.ready.append(result)
            self._announce()
            return
        if result.error is not None:
            self._failed += 1
            if self._fails_fast:
                self._end(result.error)
                return
            if isinstance(result.error, BudgetExceededError) and self.refusal is None:
                self.refusal = result.error
                self.stop_reading()
        if not self._ordered:
            self.ready.append(result)
        else:
            self._early[result.index] = result
            while self._next_in_order in self._early:
                self.ready.append(self._early.pop(self._next_in_order))
                self._next_in_order += 1
        self._announce()

    def _end(self, error: BaseException) -> None:
        """The map ends with this error, once the caller has read what was there before."""
        if isinstance(error, StopIteration | StopAsyncIteration | GeneratorExit):  # which would look like an end
            error = no_end(error)
        if self.failure is None:
            self.failure = error
        self._reader.ended = True
        self._cancel()
        self._tell()

    # -- telling the caller

    def _announce(self) -> None:
        """There are results: wake the caller, though not for each of a great many."""
        scheduler = self._scheduler
        if self._news is None or scheduler is None:
            return
        if self._in_flight < COALESCE_ABOVE or self._window.is_full:
            self._tell()
            return
        now = scheduler.now()
        if now >= self._quiet_until:
            self._quiet_until = now + WAKE_INTERVAL
            self._tell()
        else:
            self._set_alarm(now + WAKE_DEADLINE)

    def _tell(self) -> None:
        if self._news is not None:
            self._news.set()
            self._news = None

    # -- what is known of them

    @property
    def stats(self) -> Stats:
        """How far they are now."""
        if self._scheduler is None:
            return Stats()
        now, epoch = self._scheduler.now(), time.time()
        limiters = self._scheduler.limiters
        providers = {
            name: ProviderStats(
                limiter.in_flight,
                limiter.limit,
                limiter.sent,
                epoch + limiter.pause.until - now if limiter.pause.until > now else None,
            )
            for name, limiter in limiters.items()
        }
        pauses = [provider.waiting for provider in providers.values()]
        return Stats(
            in_flight=self._in_flight,
            limit=sum(provider.limit for provider in providers.values()),
            done=self._done,
            failed=self._failed,
            requests=sum(limiter.sent for limiter in limiters.values()),
            tokens=self._tokens,
            waiting=min((pause for pause in pauses if pause is not None), default=None) if all(pauses) else None,
            providers=providers,
        )
