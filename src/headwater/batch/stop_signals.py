"""SIGINT and SIGTERM as something to iterate over, on every event loop and system.

anyio has it where an event loop can take signals; asyncio on Windows cannot, and there Python's own handlers are asked
a few times a second.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import anyio

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
POLL_SECONDS: Final = 0.1


@contextmanager
def stop_signals() -> Iterator[AsyncIterator[Any]]:
    """What comes of the two while this is open."""
    with ExitStack() as stack:
        try:
            arrivals: AsyncIterator[Any] = stack.enter_context(anyio.open_signal_receiver(*STOP_SIGNALS))
        except NotImplementedError:
            arrivals = stack.enter_context(_polled())
        yield arrivals


@contextmanager
def _polled() -> Iterator[AsyncIterator[int]]:
    seen: deque[int] = deque()
    before = {each: signal.signal(each, lambda number, _: seen.append(number)) for each in STOP_SIGNALS}

    async def arrivals() -> AsyncIterator[int]:
        while True:
            while seen:
                yield seen.popleft()
            await anyio.sleep(POLL_SECONDS)

    try:
        yield arrivals()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
