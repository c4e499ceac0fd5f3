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

    To ask anyio costs as much as ten calls of a method, for it looks at first whose loop it is. Where trio was never
    loaded, it can only be asyncio's.
    """
    if _asyncio and "trio" not in sys.modules:
        loop: Any = _asyncio[0].current_token()
        return loop, loop.time
    token = current_token()
    if "trio" not in sys.modules:
        _asyncio[:] = [token.backend_class]
    return token.native_token, getattr(token.native_token, "time", token.backend_class.current_time)


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
