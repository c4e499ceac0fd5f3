"""The part of asyncio's interface that `native` uses, as types. Names no event loop, and holds no behaviour."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Protocol


class Future(Protocol):
    """What the loop's `create_future` gives."""

    def done(self) -> bool:
        """Whether it has its result, or was cancelled."""
        ...

    def set_result(self, result: Any) -> None:
        """Wake who awaits it."""
        ...

    def set_exception(self, exception: BaseException) -> None:
        """Wake who awaits it, with a failure."""
        ...

    def __await__(self) -> Generator[Any, Any, Any]: ...


class Timer(Protocol):
    """What the loop's `call_at` gives."""

    def cancel(self) -> None:
        """Do not call."""
        ...


class EventLoop(Protocol):
    """The part of asyncio's interface that is used here."""

    def create_future(self) -> Future:
        """Something to wait for."""
        ...

    def time(self) -> float:
        """The loop's clock, in seconds."""
        ...

    def call_soon(self, callback: Callable[..., object], *args: Any) -> object:
        """Call in the loop's next turn."""
        ...

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> Timer:
        """Call later."""
        ...

    def add_reader(self, fd: int, callback: Callable[..., object], *args: Any) -> None:
        """Call whenever there is something to read."""
        ...

    def remove_reader(self, fd: int) -> bool:
        """Do not call."""
        ...
