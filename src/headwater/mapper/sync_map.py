"""A map for blocking code: the same one on the shared event loop, its results handed over many at a time.

Inputs are read in the caller's thread, while it waits for results or between two of them: an iterable may block, and
may be one that only its own thread may use.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

from anyio import Event

from ..blocking.portal import PortalCall, call, spawn
from ..errors import CallError, ClosedError, ForkedClientError, no_end
from ..protocol.under_way import not_copied
from .async_map import AsyncMap
from .inputs import ENDED, Feed, several
from .results import MapResult, Stats

R = TypeVar("R")

READING: Final = 0.005
"""Seconds of reading inputs after which those that were read are handed over."""


class SyncMap(Generic[R]):
    """A map under way: `with client.map(...) as results: for r in results: ...`.

    Leaving the `with` cancels what is in flight. Used by one thread at a time.
    """

    __reduce_ex__ = not_copied

    def __init__(self, make: Callable[[Feed], AsyncMap[R]], inputs: Iterable[Any]) -> None:
        self._inputs = iter(several(inputs))
        self._feed = Feed()
        self._map = make(self._feed)
        self._local: deque[MapResult[R]] = deque()
        self._read_ahead: deque[Any] = deque()
        self._busy = threading.Lock()
        self._process = 0
        self._last = self._pushed = self._over = False
        self._failure: Exception | None = None
        self._host: PortalCall[None] | None = None
        self._left: Event

    def __enter__(self) -> Self:
        if self._host is not None:
            raise CallError("a map is entered once; make another one")
        self._process = os.getpid()
        call(self._prepare)
        self._host = spawn(self._hold, then=lambda: self._entered.set())
        return self

    async def _prepare(self) -> None:
        self._left, self._entered = Event(), Event()

    async def _hold(self) -> None:
        """One task of the loop enters the map and leaves it."""
        async with self._map:
            self._entered.set()
            await self._left.wait()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        self._local.clear()
        if self._host is not None and self._process == os.getpid() and not self._host.loop.over:
            spawn(self._leave)
            try:
                self._host.result()
            except BaseException:
                self._host.leave()
                raise

    def _leave(self) -> None:
        self._left.set()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> MapResult[R]:
        if self._host is None:
            raise ClosedError("enter the map first: with client.map(...)")
        if self._process != os.getpid():
            raise ForkedClientError("this map belongs to the process that was forked; start one of this process's own")
        if not self._busy.acquire(blocking=False):
            raise CallError("this map is being read by another thread; a map has one reader at a time")
        try:
            return self._next()
        finally:
            self._busy.release()

    def _next(self) -> MapResult[R]:
        if self._feed.hungry and not self._pushed and not self._last and self._local:
            self._pushed = True
            self._read(self._map.room)
            spawn(self._put)
        while not self._local:
            if self._over:
                if self._failure is not None:
                    raise self._failure
                raise StopIteration
            self._turn_over()
        try:
            return self._local.popleft()
        except BaseException as error:  # a signal handler's, and with it the result is lost
            self._interrupt(error)
            raise

    def _interrupt(self, error: BaseException) -> None:
        """Go on to what is in flight, and then say that there may have been more."""
        self._failure = self._failure or ClosedError(f"the map was interrupted by a {type(error).__name__}")
        self._last = True

    def _turn_over(self) -> None:
        """Hand over the inputs that are wanted, and take the results that are there, or wait for some."""
        wanted = call(self._wait)
        if wanted:
            self._read(wanted)
            call(self._put)
        elif not self._local:
            self._over = True

    async def _wait(self) -> int:
        """Wait for results, which are taken, or for a worker that wants inputs; how many it wants."""
        results, feed = self._map, self._feed
        await self._entered.wait()
        if self._host is not None and self._host.failure is not None:
            raise self._host.failure
        await self._put()  # what an interrupted call has left
        try:
            while not results.has_results and not (feed.hungry and not self._last and not results.is_spent):
                await results.news()
        except StopAsyncIteration:
            return 0
        self._local.extend(results.batch())
        wants = feed.hungry and not self._last and not results.is_spent
        return max(1, results.room) if wants and not self._local else 0

    async def _put(self) -> None:
        self._feed.put([self._read_ahead.popleft() for _ in range(len(self._read_ahead))], last=self._last)
        self._pushed = False

    def _read(self, most: int) -> None:
        """Read some inputs, and see whether they are the last. A failure of the iterable comes out after what it gave;
        what interrupts its reading, Ctrl-C for one, at once, and another error after that, as an input may be lost."""
        until, count = time.monotonic() + READING, 0
        try:
            while count < most and (not count or time.monotonic() < until):
                item = next(self._inputs, ENDED)
                if item is ENDED:
                    self._last = True
                    break
                self._read_ahead.append(item)
                count += 1
        except StopAsyncIteration as cause:  # which would look like an end
            self._failure = no_end(cause)
            self._last = True
        except Exception as error:  # noqa: BLE001 - the caller's own; it comes out of the loop
            self._failure = error
            self._last = True
        except BaseException as error:
            self._interrupt(error)
            raise

    def stop_taking(self) -> None:
        """Take no further inputs: what is in flight is delivered, and that is the end."""
        self._last = True
        if self._host is not None:
            call(self._stop)

    async def _stop(self) -> None:
        self._map.stop_taking()

    @property
    def stats(self) -> Stats:
        """How far it is now; from any thread."""
        return self._map.stats
