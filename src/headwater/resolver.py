"""Names of hosts to addresses, by the system's resolver, in worker threads of its own.

A look-up may take as long as the system likes, and cannot be stopped: where many hang, files are still read and
answers decoded in the threads that those share, and a program's own executor stays free.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeAlias

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar

Found: TypeAlias = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]

MAX_LOOK_UPS: Final = 64
"""Look-ups at once on one event loop."""
_limiter: Final[RunVar[CapacityLimiter]] = RunVar("headwater.resolver")


async def look_up(host: str, port: int) -> list[Found]:
    """What the host is known under, as `socket.getaddrinfo` says it, for TCP. Raises `OSError`, `UnicodeError`."""
    try:
        limiter = _limiter.get()
    except LookupError:
        limiter = CapacityLimiter(MAX_LOOK_UPS)
        _limiter.set(limiter)
    ask: Callable[[], Any] = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found: list[Found]
    try:
        found = await to_thread.run_sync(ask, limiter=limiter, abandon_on_cancel=True)
    except RuntimeError:  # the interpreter exits: no thread can be started, and nobody else is held up
        found = ask()
    return found
