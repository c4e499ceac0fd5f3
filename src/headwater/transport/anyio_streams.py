"""What a connection needs of its socket, and the form of it that runs on anyio alone, where no faster one can.

`ByteStream` is the seam; `AsyncioStream` and `TrioStream` are its other forms, for systems with epoll. This one is for
all others, at twice the cost: a chunk of 2,000 streams that come in at once costs 140 us of CPU on asyncio in place of
61, and 138 on trio in place of 78 (the load of `python -m benchmarks --only streams`, `connect.sockets_of` giving
None for the anyio form). Knows no HTTP.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Awaitable, Coroutine
from contextlib import suppress
from typing import Any, Protocol

from anyio import EndOfStream
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.tls import TLSAttribute, TLSStream

from .sockets import READ_BYTES, readable, shut


class ByteStream(Protocol):
    """A connected socket, TLS included. One task reads, one writes."""

    def receive(self) -> Awaitable[bytes]:
        """What has come since, b"" at the end; raises `BROKEN`, and `ReadDeadline` where it keeps time."""
        ...

    def keep(self, waiting: Awaitable[bytes]) -> None:
        """A `receive` whose waiting was cancelled: what had come for it is there for the next one."""
        ...

    def wait_until(self, moment: float) -> bool:
        """Let no `receive` wait past this moment on the event loop's clock (`ReadDeadline`); False where it cannot."""
        ...

    def send(self, data: memoryview) -> Awaitable[None]:
        """Send everything; it may stop in the middle when cancelled. Raises `BROKEN`."""
        ...

    def readable(self) -> bool:
        """Whether something has come, an end included, as far as that can be seen without touching it."""
        ...

    def stale(self) -> bool:
        """Whether anything has come at all; only for a stream that is not being read."""
        ...

    def close(self) -> None:
        """Close at once, in the event loop's own thread."""
        ...

    def shut(self) -> None:
        """Tell the peer that it is over, from any thread; `close` must still come."""
        ...

    def disown(self) -> None:
        """In a forked child: close its copy of the parent's socket, of which the peer hears nothing."""
        ...


class AnyioStream:
    """The form for any event loop of anyio's."""

    __slots__ = ("_raw", "_socket", "_stream")

    def __init__(self, stream: SocketStream | TLSStream, plain: SocketStream) -> None:
        self._stream = stream
        self._socket = plain
        self._raw: socket.socket = plain.extra(SocketAttribute.raw_socket)  # noqa: S610 - no Django

    async def receive(self) -> bytes:
        """What has come since, b"" after the peer's last word; raises `BROKEN`."""
        try:
            return await self._stream.receive(READ_BYTES)
        except EndOfStream:
            return b""

    def keep(self, waiting: Awaitable[bytes]) -> None:
        """anyio takes nothing for who is cancelled."""

    def wait_until(self, moment: float) -> bool:
        """Keep no time."""
        return False

    async def send(self, data: memoryview) -> None:
        """Send everything; raises `BROKEN`."""
        # It holds the credential: a view does not show it in a traceback with locals.
        await self._stream.send(bytes(data))

    def readable(self) -> bool:
        """Whether the socket has something to read, its end included."""
        return readable(self._raw)

    def stale(self) -> bool:
        """Whether anything has come, in the socket or in the TLS layer."""
        return readable(self._raw) or (isinstance(self._stream, TLSStream) and _buffered(self._stream))

    def close(self) -> None:
        """Close at once, in the event loop's own thread."""
        self.shut()
        close_now(self._socket)

    def disown(self) -> None:
        """anyio would tell the peer: it stays as it is."""

    def shut(self) -> None:
        """Tell the peer that it is over, from any thread."""
        with suppress(OSError), socket.socket(fileno=os.dup(self._raw.fileno())) as same:  # uvloop's own cannot
            shut(same)


def close_now(stream: SocketStream) -> None:
    """Close a socket without waiting, in its event loop's own thread.

    anyio closes in the first step of `aclose`; what follows only yields to the event loop.
    """
    closing: Coroutine[Any, Any, None] = stream.aclose()
    try:
        closing.send(None)
    except StopIteration:
        return
    closing.close()


def _buffered(stream: TLSStream) -> bool:
    # A record that came along with the last answer is in the TLS layer, where `poll` does not see it.
    try:
        stream.extra(TLSAttribute.ssl_object).read(1)  # noqa: S610 - no Django
    except ssl.SSLWantReadError:
        return False
    except ssl.SSLError:
        return True
    return True
