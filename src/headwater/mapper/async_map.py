"""Many calls at once, as their caller sees them: a context manager, and an iterator of results.

    inputs ──▶ a worker reads one when there is room ──▶ its call ──▶ results that nobody has read yet ──▶ the caller
                     ▲                                                          │
                     └──── nothing is read while too many of them wait ─────────┘

The workers run in a task group that the caller's `async with` holds, so nothing outlives it.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from anyio import create_task_group
from anyio.abc import TaskGroup

from ..engine.driver import process
from ..engine.event_loop import is_cancellation
from ..errors import CallError, ClosedError, ForkedClientError
from ..protocol.under_way import not_copied
from ..throttle.settings import ThrottleSettings
from .inputs import Feed
from .item import Work
from .results import MapResult, Stats
from .workers import Workers

R = TypeVar("R")


class AsyncMap(Generic[R]):
    """A map under way: `async with client.map(...) as results: async for r in results: ...`.

    Leaving the `async with` cancels what is in flight. Several tasks may read it: each result goes to one of them.
    """

    __reduce_ex__ = not_copied

    def __init__(
        self,
        work: Work,
        inputs: Iterable[Any] | AsyncIterable[Any] | Feed,
        settings: ThrottleSettings,
        *,
        ordered: bool = False,
        fails_fast: bool = False,
    ) -> None:
        self._workers: Workers[R] = Workers(work, inputs, settings, ordered=ordered, fails_fast=fails_fast)
        self._group: TaskGroup | None = None
        self._process: object = None
        self._closed = False

    async def __aenter__(self) -> Self:
        if self._group is not None:
            raise CallError("a map is entered once; make another one")
        self._process = process()
        self._workers.prepare()
        self._group = create_task_group()
        await self._group.__aenter__()
        self._group.start_soon(self._workers.lead)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._group is not None
        self._closed = True
        self._workers.close()
        if error is not None and is_cancellation(error):
            await self._group.__aexit__(kind, error, trace)
        else:  # an exception of the caller's comes out as it is, in no group
            await self._group.__aexit__(None, None, None)
        self._workers.discard()

    # -- reading the results

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> MapResult[R]:
        workers = self._workers
        while not workers.ready:
            await self.news()
        return workers.deliver()

    @property
    def has_results(self) -> bool:
        """Whether there are results that can be read without waiting."""
        return bool(self._workers.ready)

    def batch(self) -> list[MapResult[R]]:
        """All results that are there."""
        return [self._workers.deliver() for _ in range(len(self._workers.ready))]

    async def news(self) -> None:
        """Wait until something has changed; raises the end, or the failure, after which there are no results."""
        if self._closed or self._group is None:
            raise ClosedError("the map was left" if self._closed else "enter the map first: async with client.map(...)")
        if self._process is not process():
            raise ForkedClientError("this map belongs to the process that was forked; start one of this process's own")
        if self._workers.failure is not None:
            raise self._workers.failure
        if self._workers.is_over:
            raise self._workers.refusal or StopAsyncIteration
        await self._workers.news()

    @property
    def is_spent(self) -> bool:
        """Whether a budget has refused an input, so that no more are taken."""
        return self._workers.refusal is not None

    @property
    def room(self) -> int:
        """How many more inputs could be begun now."""
        return self._workers.room

    def stop_taking(self) -> None:
        """Take no further inputs: what is in flight is delivered, and that is the end."""
        self._workers.stop_reading()

    @property
    def stats(self) -> Stats:
        """How far it is now."""
        return self._workers.stats
