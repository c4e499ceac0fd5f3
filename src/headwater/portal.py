"""The bridge from blocking code: one event loop in one daemon thread, shared by every sync client of the process.

The only place that thinks about Ctrl-C, fork and interpreter exit. It holds no logic of any call.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError, Future
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import anyio
from anyio import Event
from anyio.lowlevel import current_token

from .errors import CallError, ForkedClientError

try:
    from sniffio import current_async_library_cvar as _library
except ImportError:  # then anyio asks nobody which event loop runs
    _library = None  # type: ignore[assignment]

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
        self._thread: threading.Thread | None = None
        self._native: Any = None
        self._over: Event
        self.working: set[Any] = set()

    def _begun(self) -> Any:
        """asyncio's loop, running."""
        with self._lock:
            if self._native is None:
                started: Future[None] = Future()
                run = partial(anyio.run, self._serve, started)
                self._thread = threading.Thread(target=run, name="headwater", daemon=True)
                self._thread.start()
                started.result(START_SECONDS)
            return self._native

    async def _serve(self, started: Future[None]) -> None:
        self._over = Event()
        self._native = current_token().native_token
        started.set_result(None)
        await self._over.wait()  # what is still under way then is cancelled by the event loop's own end

    def do(self, callback: Callable[[], object]) -> None:
        """Have this called in the loop, with the context variables of who asks."""
        (self._native or self._begun()).call_soon_threadsafe(callback)

    def task(self, work: Coroutine[Any, Any, None]) -> Any:
        """Start a task of the loop; in its own thread."""
        task = self._native.create_task(work)
        self.working.add(task)
        return task

    def inside(self) -> bool:
        """Whether the caller runs in the loop's own thread."""
        return threading.current_thread() is self._thread

    def stop(self) -> None:
        """End the loop; what is still under way is cancelled."""
        native, thread = self._native, self._thread
        self._native = None
        if native is not None and thread is not None and thread.is_alive():
            native.call_soon_threadsafe(self._over.set)
            thread.join(STOP_SECONDS)


_loop = _Loop()


def call(function: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Run an async function on the shared loop and wait for it; Ctrl-C cancels it and comes out at once."""
    loop = _loop
    if loop.inside():
        raise CallError("a sync client was used inside its own event loop; use AsyncInferenceClient there")
    work: Work[T] = Work(loop, function, args)
    try:
        loop.do(work.begin)
        return work.result()
    except BaseException as error:
        if not isinstance(error, Exception):  # Ctrl-C comes anywhere, also where nothing has begun yet
            loop.do(work.give_up)
        raise


def spawn(function: Callable[..., Any], *args: Any) -> Work[Any]:
    """Start a function, async or not, on the shared loop without waiting for it."""
    work: Work[Any] = Work(_loop, function, args)
    _loop.do(work.begin)
    return work


class Work(Generic[T]):
    """One function on the loop: whoever waits for it can give it up at any moment.

    A task and a lock, with one hop each way: anyio's own portal takes two hops and three scopes for each call.
    """

    __slots__ = ("_args", "_done", "_error", "_function", "_given_up", "_loop", "_task", "_value")

    def __init__(self, loop: _Loop, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self._loop = loop
        self._function = function
        self._args = args
        self._done = threading.Lock()
        self._done.acquire()
        self._value: Any = None
        self._error: Exception | None = None
        self._task: Any = None
        self._given_up = False

    def result(self) -> T:
        """Wait for what it returns, or raises; `CancelledError` where the loop has ended."""
        self._done.acquire()
        self._done.release()
        if self._error is not None:
            error, self._error = self._error, None  # the traceback holds this object
            raise error
        value: T = self._value
        return value

    def begin(self) -> None:
        """In the loop's thread."""
        if self._given_up:
            self._done.release()
        else:
            if _library is not None:
                _library.set("asyncio")  # the caller's context may be that of another event loop's task
            self._task = self._loop.task(self._run())

    async def _run(self) -> None:
        try:
            value = self._function(*self._args)
            self._value = await value if isinstance(value, Awaitable) else value
        except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
            self._error = error
        except BaseException:
            self._error = CancelledError()
            raise
        finally:
            self._loop.working.discard(self._task)
            self._task = None
            self._done.release()

    def give_up(self) -> None:
        """In the loop's thread: cancel it."""
        self._given_up = True
        if self._task is not None:
            self._task.cancel()


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
            spawn(self._run.close)
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
