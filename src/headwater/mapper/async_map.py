"""Many calls at once, as their caller sees them: a context manager, and an iterator of results.

    inputs ──▶ a worker reads one when there is room ──▶ its call ──▶ results that nobody has read yet ──▶ the caller
                     ▲                                                          │
                     └──── nothing is read while too many of them wait ─────────┘

The workers run in a task group that the caller's `async with` holds, so nothing outlives it.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self, TypeVar

from anyio import Event, create_task_group, current_time, get_cancelled_exc_class
from anyio.lowlevel import current_token

from ..engine.driver import process
from ..errors import CallError, ClosedError, ForkedClientError
from ..throttle.scheduler import ONLY, Scheduler
from .results import MapResult, ProviderStats, Stats
from .workers import Working

R = TypeVar("R")


class AsyncMap(Working[R]):
    """A map under way: `async with client.map(...) as results: async for r in results: ...`.

    Leaving the `async with` cancels what is in flight. Several tasks may read it: each result goes to one of them.
    """

    async def __aenter__(self) -> Self:
        if self._group is not None:
            raise CallError("a map is entered once; make another one")
        self._process = process()
        now = getattr(current_token().native_token, "time", current_time)
        limiters = {name: self._settings.limiter(now()) for name in self._work.providers or (ONLY,)}
        self._scheduler = Scheduler(limiters, now, self._set_alarm)
        self._group = create_task_group()
        await self._group.__aenter__()
        self._group.start_soon(self._lead)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._group is not None
        self._closed = True
        self._cancel()
        if isinstance(error, get_cancelled_exc_class()):
            await self._group.__aexit__(kind, error, trace)
        else:  # an exception of the caller's comes out as it is, in no group
            await self._group.__aexit__(None, None, None)
        self.ready.clear()
        self._early.clear()

    # -- reading the results

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> MapResult[R]:
        while True:
            if self.ready:
                return self._deliver()
            await self.news()

    def batch(self) -> list[MapResult[R]]:
        """All results that are there."""
        return [self._deliver() for _ in range(len(self.ready))]

    def _deliver(self) -> MapResult[R]:
        result = self.ready.popleft()
        self._delivered += 1
        if self._stopped:
            limit = self._scheduler.limit if self._scheduler is not None else 0
            self._stopped = self._taken - self._delivered > self._window(limit) // 2
            if not self._stopped:
                self._grant()
        return result

    async def news(self) -> None:
        """Wait until something has changed; raises the end, or the failure, after which there are no results."""
        if self._closed or self._scheduler is None:
            raise ClosedError("the map was left" if self._closed else "enter the map first: async with client.map(...)")
        if self._process is not process():
            raise ForkedClientError("this map belongs to the process that was forked; start one of this process's own")
        if self._failure is not None:
            raise self._failure
        if self._reader.ended and not self._open:
            raise StopAsyncIteration
        if self._news is None:  # else somebody else waits as well
            self._news = Event()
        await self._news.wait()

    def stop_taking(self) -> None:
        """Take no further inputs: what is in flight is delivered, and that is the end."""
        self._reader.ended = self._stopping = True
        self._tell()

    @property
    def stats(self) -> Stats:
        """How far it is now."""
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
            in_flight=self._open,
            limit=sum(provider.limit for provider in providers.values()),
            done=self._done,
            failed=self._failed,
            requests=sum(limiter.sent for limiter in limiters.values()),
            tokens=self._tokens,
            waiting=min((pause for pause in pauses if pause is not None), default=None) if all(pauses) else None,
            providers=providers,
        )
