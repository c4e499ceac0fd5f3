"""What stands between the clients that are made in a block and their transports, such as a cassette of `testing`.

A client asks once, when it is made. A block is its own task's, and of what that starts; whoever is in no block of its
own, such as a thread or a fixture's test, has the process's newest. Nothing stands there otherwise, and costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Final, Protocol

from ..protocol.transport import Transport

MakeTransport = Callable[[], Transport]


class Interposer(Protocol):
    """Stands before transports. `instant`: whether what it carries takes no time, so that no wait is worth its time."""

    instant: bool

    def around(self, make: MakeTransport) -> Transport:
        """What carries requests in place of the transport that `make` makes, which need not be made."""
        ...


_OWN: Final[ContextVar[tuple[Interposer, ...]]] = ContextVar("headwater_interposers", default=())
_active: Final[list[Interposer]] = []


def interposer() -> Interposer | None:
    """What stands before the transports of a client that is made here and now."""
    for one in reversed(_OWN.get()):
        if one in _active:
            return one
    return next(reversed(tuple(_active)), None)  # another thread's block may end at any moment


def is_own(one: Interposer) -> bool:
    """Whether its block is around this task's, and not somewhere else at the same time."""
    return one in _OWN.get()


def push(one: Interposer) -> None:
    """Stand before the transports of clients that are made from now on."""
    _OWN.set((*(other for other in _OWN.get() if other in _active), one))
    _active.append(one)


def pop(one: Interposer) -> None:
    """Stand before no more; the clients that are there keep what they have. Idempotent."""
    if one in _active:
        _active.remove(one)
    _OWN.set(tuple(other for other in _OWN.get() if other is not one))
