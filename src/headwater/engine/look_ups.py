"""What a client remembers between calls (model mappings, mostly): per client, with an age limit, looked up once.

Callers of the same event loop that want the same key wait for the first one's answer; if that one fails or is
cancelled, the next asks anew. Failures are not remembered.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Final

import anyio
from anyio.lowlevel import current_token

from ..errors import HeadwaterError
from ..protocol.flow import Cached, Step

MAX_ENTRIES: Final = 1024
"""Entries; the oldest goes first."""


class LookUps:
    """Values by key, each with the time (anyio's clock does not do: loops differ) after which it is stale."""

    __slots__ = ("_asking", "_values")

    def __init__(self) -> None:
        self._values: dict[Hashable, tuple[float, Any]] = {}
        self._asking: dict[tuple[object, Hashable], anyio.Event] = {}

    async def get(
        self, key: Hashable, seconds: float, now: Callable[[], float], ask: Callable[[], Awaitable[Any]]
    ) -> Any:
        """The value of `key`, by `ask` where it is missing or older than `seconds` on the clock `now`."""
        while (found := self._values.get(key)) is None or found[0] <= now():
            turn = (current_token(), key)
            if (event := self._asking.get(turn)) is not None:
                await event.wait()
                continue
            event = self._asking[turn] = anyio.Event()
            try:
                value = await ask()
            finally:
                del self._asking[turn]
                event.set()
            self._values.pop(key, None)
            self._values[key] = (now() + seconds, value)
            if len(self._values) > MAX_ENTRIES:
                for oldest in list(self._values)[:-MAX_ENTRIES]:
                    self._values.pop(oldest, None)  # another thread's loop may be doing the same
            return value
        return found[1]


async def play(step: Cached, perform: Callable[[Step | None], Awaitable[Any]]) -> Any:
    """Go through the step's own flow to its result."""
    flow = step.flow()
    try:
        following = next(flow)
        while True:
            try:
                value = await perform(following)
            except HeadwaterError as error:
                following = flow.throw(error)
            else:
                following = flow.send(value)
    except StopIteration as stop:
        return stop.value
