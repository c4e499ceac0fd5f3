"""A call under way, for blocking code."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from ..errors import ClosedError, ForkedClientError
from ..protocol.under_way import not_copied
from .portal import call, is_shared, let_go, loop_ended, shared_loop, spawn

if TYPE_CHECKING:
    from pathlib import Path

    from ..engine.run import AsyncRun
    from ..protocol.events import Loading


E = TypeVar("E")
R = TypeVar("R")
T = TypeVar("T")


class Run(Generic[E, R]):
    """A call under way, for blocking code: the same run, a hop to the loop for each batch of events.

    A context manager and an iterator of its events; `result()`, `partial`, `close()` and the facts are those of
    `AsyncRun`. Used by one thread at a time. An exception that interrupts its reading (Ctrl-C, a signal handler's)
    leaves it: its socket is closed, and reading on is a `ClosedError`.
    """

    _left = True
    __reduce_ex__ = not_copied

    def __init__(self, run: AsyncRun[E, R]) -> None:
        self._run = run
        self._loop = shared_loop()
        self._ready: deque[E] = deque()
        self._left = False

    def __getattr__(self, name: str) -> Any:
        if name in _FACTS:
            return getattr(self._run, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> E:
        ready = self._ready
        if not ready:
            if self._left:
                error = ClosedError("the run was left when its reading was interrupted; see .partial")
                from ..auth.redaction import without_secrets

                error.partial = without_secrets(self.partial, self._run.redact)
                raise error
            self._call(self._fill)
        try:
            return ready.popleft()
        except IndexError:
            raise StopIteration from None
        except BaseException:  # a signal handler's, and with it the event is lost
            self._leave()
            raise

    async def _fill(self) -> None:
        self._ready.extend(await self._run.drain())

    @property
    def partial(self) -> R | None:
        """What has come so far, folded as the result would be."""
        return self._run.partial

    def watch(self, each: Callable[[Loading], object] | None) -> Self:
        """Have this called when the call waits for a cold model: `AsyncRun.watch` says how."""
        self._run.watch(each)
        return self

    def start(self) -> Self:
        """Wait until there is an event to hand over, or the end; an early failure is raised here."""
        self._call(self._run.start)
        return self

    def result(self) -> R:
        """Read to the end and return what the plain call returns."""
        return self._call(self._run.result)

    get_final_response = get_final_message = result
    """OpenAI's name, in its Responses, and Anthropic's."""

    def save(self, path: str | os.PathLike[str], *, each: Callable[[E], object] | None = None) -> Path:
        """Read to the end with the result written to a file, and return its path: `AsyncRun.save` says how.

        `each` is called in the event loop's thread, which it must not block.
        """
        return self._call(partial(self._run.save, path, each=each))

    def close(self) -> None:
        """Leave the run: its socket is closed, and its job cancelled. Idempotent."""
        if is_shared(self._loop):  # else the socket is the parent process's, which may be reading it
            let_go(self._run.close)

    def _call(self, function: Callable[[], Awaitable[T]]) -> T:
        loop = self._loop
        if not is_shared(loop) and not loop.dead:
            raise ForkedClientError(
                "this stream belongs to the process that was forked; start one of this process's own"
            )
        if loop.over or loop.dead:
            raise loop_ended()
        return call(function, left=self._leave)

    def _leave(self) -> None:
        self._left = True
        self._ready.clear()
        if self._loop.running and not self._loop.over:
            spawn(self._run.close)  # the traceback holds this run, and would keep its socket open

    def __del__(self) -> None:
        # In free-threaded Python what the loop's thread has made goes when that thread runs next, and it may sleep.
        if not self._left:  # else it is being closed there
            self._run.drop()

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
        "redact",
        "request_id",
        "status",
        "timings",
        "upload",
    }
)
