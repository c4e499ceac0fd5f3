"""The bridge from blocking code: one event loop in one daemon thread, shared by every sync client of the process.

The only place that thinks about Ctrl-C, fork and interpreter exit. It holds no logic of any call.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import anyio
from anyio import CancelScope
from anyio.from_thread import BlockingPortal

from .errors import CallError, ForkedClientError

if TYPE_CHECKING:
    from .engine.run import AsyncRun

E = TypeVar("E")
R = TypeVar("R")
T = TypeVar("T")

START_SECONDS = 30.0
STOP_SECONDS = 1.0


class _Loop:
    """The loop's thread, started by the first call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._portal: BlockingPortal | None = None
        self._thread: threading.Thread | None = None

    def portal(self) -> BlockingPortal:
        """The running portal."""
        if self._portal is None:
            with self._lock:
                if self._portal is None:
                    self._start()
        assert self._portal is not None
        return self._portal

    def _start(self) -> None:
        started: Future[BlockingPortal] = Future()
        self._thread = threading.Thread(target=anyio.run, args=(_serve, started), name="headwater", daemon=True)
        self._thread.start()
        self._portal = started.result(START_SECONDS)

    def inside(self) -> bool:
        """Whether the caller runs in the loop's own thread."""
        return threading.current_thread() is self._thread

    def stop(self) -> None:
        """End the loop; what is still under way is cancelled."""
        portal, thread = self._portal, self._thread
        self._portal = None
        if portal is not None and thread is not None and thread.is_alive():
            portal.start_task_soon(portal.stop, True)
            thread.join(STOP_SECONDS)


async def _serve(started: Future[BlockingPortal]) -> None:
    async with BlockingPortal() as portal:
        started.set_result(portal)
        await portal.sleep_until_stopped()


_loop = _Loop()


def call(function: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Run an async function on the shared loop and wait for it; Ctrl-C cancels it and comes out at once."""
    if _loop.inside():
        raise CallError("a sync client was used inside its own event loop; use AsyncInferenceClient there")
    portal = _loop.portal()
    work = _Work()
    try:
        result: T = portal.start_task_soon(work.run, function, *args).result()
    except BaseException as error:
        if not isinstance(error, Exception):  # Ctrl-C comes anywhere, also where no future is known yet
            portal.start_task_soon(work.give_up)
        raise
    return result


def spawn(function: Callable[..., Any], *args: Any) -> Future[Any]:
    """Start a function, async or not, on the shared loop without waiting for it."""
    return _loop.portal().start_task_soon(function, *args)


class _Work:
    """One function on the loop, which whoever waits for it can give up at any moment."""

    __slots__ = ("_given_up", "_scope")

    def __init__(self) -> None:
        self._scope: CancelScope | None = None
        self._given_up = False

    async def run(self, function: Callable[..., Awaitable[T]], *args: Any) -> T:
        with CancelScope() as self._scope:
            if self._given_up:
                self._scope.cancel()
            return await function(*args)
        raise CancelledError

    def give_up(self) -> None:
        self._given_up = True
        if self._scope is not None:
            self._scope.cancel()


def _forget_after_fork() -> None:
    """A forked child has no loop thread: it starts its own with its first call."""
    global _loop
    _inherited.append(_loop)  # kept, so that the parent's sockets are not closed by the child's garbage collector
    _loop = _Loop()


_inherited: list[_Loop] = []
os.register_at_fork(after_in_child=_forget_after_fork)
atexit.register(lambda: _loop.stop())


class Run(Generic[E, R]):
    """A call under way, for blocking code: the same run, a hop to the loop for each batch of events.

    A context manager and an iterator of its events; `result()`, `partial`, `close()` and the facts are those of
    `AsyncRun`. Used by one thread at a time.
    """

    def __init__(self, run: AsyncRun[E, R]) -> None:
        self._run = run
        self._loop = _loop
        self._ready: list[E] = []
        self._next = 0

    def __getattr__(self, name: str) -> Any:
        if name in _FACTS:
            return getattr(self._run, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> E:
        if self._next >= len(self._ready):
            self._ready = self._call(self._run.drain)
            self._next = 0
            if not self._ready:
                raise StopIteration
        event = self._ready[self._next]
        self._next += 1
        return event

    @property
    def partial(self) -> R | None:
        """What has come so far, folded as the result would be."""
        return self._run.partial

    def start(self) -> Self:
        """Wait until there is an event to hand over, or the end; an early failure is raised here."""
        self._call(self._run.start)
        return self

    def result(self) -> R:
        """Read to the end and return what the plain call returns."""
        return self._call(self._run.result)

    def save(self, path: str | os.PathLike[str], *, each: Callable[[E], object] | None = None) -> Path:
        """Read to the end with the result written to a file, and return its path: `AsyncRun.save` says how.

        `each` is called in the event loop's thread, which it must not block.
        """
        return self._call(partial(self._run.save, path, each=each))

    def close(self) -> None:
        """Leave the run: its socket is closed, and its job cancelled. Idempotent."""
        if self._loop is _loop:  # else the socket is the parent process's, which may be reading it
            call(self._run.close)

    def _call(self, function: Callable[[], Awaitable[T]]) -> T:
        if self._loop is not _loop:
            raise ForkedClientError(
                "this stream belongs to the process that was forked; start one of this process's own"
            )
        try:
            return call(function)
        except Exception:
            raise
        except BaseException:  # the traceback holds this run, and would keep its socket open
            _loop.portal().start_task_soon(self._run.close)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_FACTS = frozenset(
    {
        "attempts",
        "bytes",
        "facts",
        "headers",
        "job",
        "model",
        "outcome",
        "provider",
        "request_id",
        "status",
        "timings",
        "upload",
    }
)
