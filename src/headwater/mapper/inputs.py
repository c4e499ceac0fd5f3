"""Where a map's inputs come from: any iterable, any async iterable, or a feed that another thread fills.

One input is read at a time, and none before it is asked for.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from functools import partial
from typing import Any, Final

from anyio import Event

from ..errors import InvalidParameterError

ENDED: Final = object()


class Plain:
    """A plain iterable, read in the event loop's thread: one that blocks would block the loop.

    `waits`: whether the next input must be waited for. `at_hand`: how many workers may look for one at once. `take`
    gives the next input, or ENDED, after which its caller sets `ended`.
    """

    waits = False
    at_hand: int = sys.maxsize

    def __init__(self, inputs: Iterable[Any]) -> None:
        self.take: Callable[[], Any] = partial(next, iter(inputs), ENDED)
        self.ended = False

    async def wait(self) -> Any:
        """The next input, or ENDED, without waiting."""
        return self.take()

    async def close(self) -> None:
        """Nothing: the inputs are the caller's."""


class Awaited:
    """An async iterable."""

    waits = True
    at_hand = 1

    def __init__(self, inputs: AsyncIterable[Any]) -> None:
        self._inputs: AsyncIterator[Any] = aiter(inputs)
        self.ended = False

    def take(self) -> Any:
        """Not without waiting."""
        raise NotImplementedError

    async def wait(self) -> Any:
        """The next input, or ENDED."""
        try:
            return await self._inputs.__anext__()  # anext with a default has crashed CPython 3.11
        except StopAsyncIteration:
            self.ended = True
            return ENDED

    async def close(self) -> None:
        """Nothing: the inputs are the caller's."""


class Feed:
    """Inputs that another thread reads: `wanted` of them may be put in now, each time that `hungry` is set."""

    def __init__(self) -> None:
        self._items: deque[Any] = deque()
        self._last = False
        self._more: Event | None = None
        self.ended = False

    @property
    def waits(self) -> bool:
        """Whether it is empty."""
        return not self._items

    @property
    def at_hand(self) -> int:
        """How many workers may look for one at once."""
        return len(self._items)

    @property
    def hungry(self) -> bool:
        """Whether a worker waits for an input."""
        return self._more is not None

    def __len__(self) -> int:
        return len(self._items)

    def put(self, items: Iterable[Any], *, last: bool) -> None:
        """More inputs; after the last, no others."""
        self._items.extend(items)
        self._last = self._last or last
        if self._more is not None and (self._items or self._last):
            self._more.set()
            self._more = None

    def take(self) -> Any:
        """The next input, or ENDED."""
        item = self._items.popleft()
        self.ended = self.ended or (self._last and not self._items)
        return item

    async def wait(self) -> Any:
        """The next input, or ENDED."""
        while not self._items:
            if self._last or self.ended:
                self.ended = True
                return ENDED
            self._more = Event()
            await self._more.wait()
        return self.take()

    async def close(self) -> None:
        """Nothing is read any more."""
        self._items.clear()


Reader = Plain | Awaited | Feed


def reader_of(inputs: Any) -> Reader:
    """How these inputs are read. Raises `InvalidParameterError` for what cannot be."""
    if isinstance(inputs, Feed):
        return inputs
    if isinstance(inputs, AsyncIterable):
        return Awaited(inputs)
    return Plain(several(inputs))


def several(inputs: Any) -> Iterable[Any]:
    """The inputs of a map. Raises `InvalidParameterError` for what is no iterable of inputs, such as one text."""
    if isinstance(inputs, Iterable) and not isinstance(inputs, str | bytes):
        return inputs
    raise InvalidParameterError(f"inputs must be an iterable of inputs, not {type(inputs).__name__}")
