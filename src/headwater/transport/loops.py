"""The part of asyncio's interface that `native` uses, as types. Names no event loop, and holds no behaviour."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Any, Protocol


class Future(Protocol):
    """What the loop's `create_future` gives."""

    def done(self) -> bool:
        """Whether it has its result, or was cancelled."""
        ...

    def set_result(self, result: Any) -> None:
        """Wake who awaits it."""
        ...

    def __await__(self) -> Any: ...


class Timer(Protocol):
    """What the loop's `call_at` gives."""

    def when(self) -> float:
        """The moment, on the loop's clock."""
        ...

    def cancel(self) -> None:
        """Do not call."""
        ...


class Wires(Protocol):
    """The loop's end of a connection ("transport" there)."""

    def write(self, data: bytes | memoryview) -> None:
        """Send what can be sent, keep the rest."""
        ...

    def set_write_buffer_limits(self, high: int) -> None:
        """Above so many kept bytes, `pause_writing` is called."""
        ...

    def pause_reading(self) -> None:
        """No more `data_received` until resumed."""
        ...

    def resume_reading(self) -> None:
        """Go on."""
        ...

    def abort(self) -> None:
        """Close, whatever is kept."""
        ...


class EventLoop(Protocol):
    """The part of asyncio's interface that is used here."""

    def create_future(self) -> Future:
        """Something to wait for."""
        ...

    def time(self) -> float:
        """The loop's clock, in seconds."""
        ...

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call later."""
        ...

    def sock_connect(self, sock: socket.socket, address: Any) -> Awaitable[None]:
        """Connect a socket that does not block."""
        ...

    def create_connection(self, protocol_factory: Callable[[], Any], **options: Any) -> Awaitable[Any]:
        """Have the protocol called for this socket; TLS included."""
        ...
