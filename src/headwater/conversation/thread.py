"""One call of a function in a thread of its own, which can be given up but not stopped.

A worker thread of anyio's would be joined when the interpreter exits, however long its function still takes; these are
daemons. The function sees the caller's context variables.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from anyio import Event, from_thread
from anyio.lowlevel import current_token

try:
    from sniffio import current_async_library_cvar as _library
except ImportError:  # then anyio asks nobody which event loop runs
    _library = None  # type: ignore[assignment]


class ThreadCall:
    """A function that is called in a thread of its own."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function: Callable[[], Any] | None = function
        self._given_up = False
        self._over = threading.Event()
        self._value: Any = None
        self._error: BaseException | None = None

    @property
    def runs_on(self) -> bool:
        """Whether it was given up and still runs."""
        return self._given_up and not self._over.is_set()

    async def result(self) -> Any:
        """Call it and wait; cancelled, the thread is left to itself.

        Raises what the function raises, and `RuntimeError` where no thread can be started.
        """
        done, token, context = Event(), current_token(), copy_context()

        def run() -> None:
            if _library is not None:
                _library.set(None)  # no event loop runs in this thread: the function may start one
            assert self._function is not None
            try:
                self._value = self._function()
            except BaseException as error:  # noqa: BLE001 - raised where it is waited for
                self._error = error
            self._function = None

        def work() -> None:
            context.run(run)
            self._over.set()
            if not self._given_up:
                try:
                    from_thread.run_sync(done.set, token=token)
                except RuntimeError:  # the loop has ended meanwhile
                    return

        threading.Thread(target=work, name="headwater-tool", daemon=True).start()
        try:
            await done.wait()
        except BaseException:
            self._given_up = True
            raise
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return self._value
