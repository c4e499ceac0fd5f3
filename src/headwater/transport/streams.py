"""What a connection needs of its socket, and the form of it that runs on anyio.

`Stream` is the seam; `native.NativeStream` is its other form. Knows no HTTP, and opens nothing.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Protocol

from anyio import BrokenResourceError, ClosedResourceError, EndOfStream, wait_readable
from anyio.abc import SocketAttribute, SocketStream
from anyio.lowlevel import checkpoint_if_cancelled
from anyio.streams.tls import TLSAttribute, TLSStream

from ..wire import FOREVER

BROKEN = (BrokenResourceError, ClosedResourceError, OSError)
"""What reading and writing raise once the peer, or the network, is gone."""
READ = 64 * 1024
"""Bytes that are read at once."""


class Stream(Protocol):
    """A connected socket, TLS included. One task reads, one writes.

    `until`: when a `receive` that waits raises `Silence`, on the event loop's clock; heeded where `keeps_time`.
    """

    until: float
    keeps_time: bool

    async def receive(self) -> bytes:
        """What has come since, b"" after the peer's last word; raises `BROKEN`."""
        ...

    async def send(self, data: memoryview) -> None:
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


class AnyioStream:
    """The form for event loops that offer no callbacks (trio)."""

    __slots__ = ("_direct", "_raw", "_socket", "_stream", "until")

    keeps_time = False

    def __init__(self, stream: SocketStream | TLSStream, plain: SocketStream) -> None:
        self._stream = stream
        self._socket = plain
        self._raw: socket.socket = plain.extra(SocketAttribute.raw_socket)  # noqa: S610 - no Django
        self._direct = os.name == "posix" and stream is plain
        self.until = FOREVER

    async def receive(self) -> bytes:
        """What has come since, b"" after the peer's last word; raises `BROKEN`."""
        # Mostly nothing has come yet: anyio would ask the socket before it waits, and give others a turn after.
        while self._direct:
            await wait_readable(self._raw)
            with suppress(BlockingIOError):
                return self._raw.recv(READ)
        try:
            return await self._stream.receive(READ)
        except EndOfStream:
            return b""

    async def send(self, data: memoryview) -> None:
        """Send everything; raises `BROKEN`."""
        # A short request fits into the kernel's buffer, and nothing is left to wait for: anyio would give every
        # other task a turn first, which costs as much as the rest of the exchange. Nothing else writes meanwhile.
        # It holds the credential: a view does not show it in a traceback with locals.
        if self._direct:
            await checkpoint_if_cancelled()
            with suppress(BlockingIOError):
                data = data[os.write(self._raw.fileno(), data) :]
        if data:
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

    def shut(self) -> None:
        """Tell the peer that it is over, from any thread."""
        shut(self._raw)


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


def shut(raw: socket.socket) -> None:
    """Say that it is over; a socket that is closed or was never connected does not mind."""
    with suppress(OSError):
        raw.shutdown(socket.SHUT_RDWR)


def readable(raw: socket.socket) -> bool:
    """Whether there is something to read, an end included; so it is with a socket that is closed."""
    descriptor = raw.fileno()
    if descriptor < 0:
        return True
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([descriptor], [], [], 0)[0])


def _buffered(stream: TLSStream) -> bool:
    # A record that came along with the last answer is in the TLS layer, where `poll` does not see it.
    try:
        stream.extra(TLSAttribute.ssl_object).read(1)  # noqa: S610 - no Django
    except ssl.SSLWantReadError:
        return False
    except ssl.SSLError:
        return True
    return True
