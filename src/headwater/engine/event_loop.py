"""Which event loop runs, as its own token, and its clock; what its cancellations are."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from anyio import get_cancelled_exc_class
from anyio.lowlevel import current_token

if TYPE_CHECKING:
    from anyio.abc import AsyncBackend


_asyncio: list[type[AsyncBackend]] = []
"""What knows the loops of asyncio and uvloop, once one of them has run."""


def running_loop() -> tuple[object, Callable[[], float]]:
    """The own token of the event loop that runs, and what says the time on its clock.

    To ask anyio costs as much as ten calls of a method, for it looks at first whose loop it is; its time on trio is
    four functions deep, and five times asked for in a call. trio says itself whether its task runs; who runs elsewhere
    can only be asyncio.
    """
    trio: Any = getattr(sys.modules.get("trio"), "lowlevel", None)
    if trio is not None and trio.in_trio_task():
        return trio.current_trio_token(), trio.current_clock().current_time
    if not _asyncio:
        _asyncio.append(current_token().backend_class)
    loop: Any = _asyncio[0].current_token()
    return loop, loop.time


def is_cancellation(error: BaseException) -> bool:
    """Whether this is the running task's cancellation. A nursery of trio's, such as one in a caller's transport or
    function, hands it on in a group."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_cancellation, error.exceptions))
    return isinstance(error, get_cancelled_exc_class())


def is_asyncios(error: BaseException) -> bool:
    """Whether this is a cancellation of asyncio's, which is nobody's where trio runs: a future of another thread's loop
    may have brought it."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_asyncios, error.exceptions))
    return type(error).__name__ == "CancelledError"
