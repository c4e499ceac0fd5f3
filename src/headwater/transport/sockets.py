"""What is done with a socket, plain or TLS: to connect it, to read it, to shut it, never waiting.

TLS is OpenSSL's on the socket itself; a second one within it is `tunnelled_tls`'s. Knows no HTTP and no event loop.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import msgspec
from anyio import BrokenResourceError, ClosedResourceError

if TYPE_CHECKING:

    class TlsWithinTls(Protocol):
        """As much of a `TunnelledTls` as is used here: it is on a socket itself."""

        def fileno(self) -> int:
            """The descriptor of both."""
            ...

        def pending(self) -> int:
            """Bytes that have come and that the epoll does not see."""
            ...

        def recv(self, size: int) -> bytes:
            """What has come, b"" at the end."""
            ...

        def send(self, data: memoryview | bytearray | bytes) -> int:
            """Send of this what goes, and say how much."""
            ...

        def shutdown(self, how: int) -> None:
            """Say that it is over."""
            ...

        def close(self) -> None:
            """Close at once."""
            ...


Socket: TypeAlias = "socket.socket | TlsWithinTls"
"""A connected socket that never waits: plain, with TLS (`ssl.SSLSocket`), or with TLS within TLS."""

BROKEN: Final = (BrokenResourceError, ClosedResourceError, OSError)
"""What reading and writing raise once the peer, or the network, is gone."""
READ_BYTES: Final = 64 * 1024
"""Bytes that are read at once."""
TLS_RECORD_BYTES: Final = 16 * 1024
"""What TLS gives at once; after so much there is mostly more."""
WOULD_BLOCK: Final = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_UNDER_WAY: Final = frozenset({errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EINTR})


class BrokenAfterError(OSError):
    """A connection that broke behind what had come, the `data`; the cause says how."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.data = data


class Address(msgspec.Struct, frozen=True):
    """Where to connect to: the address family, and what a socket of that family takes."""

    family: int
    place: Any


def start_connect(address: Address) -> tuple[socket.socket, bool]:
    """A socket that connects, and whether it is connected already; raises `OSError`."""
    raw = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        raw.setblocking(False)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = raw.connect_ex(address.place)
        if code and code not in _UNDER_WAY:
            raise OSError(code, os.strerror(code))
    except BaseException:
        raw.close()
        raise
    return raw, not code


def finish_connect(raw: socket.socket) -> None:
    """Raise `OSError` where connecting has failed."""
    code = raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))


def read_available(raw: Socket) -> bytes:
    """What has come, b"" at the end; raises `WOULD_BLOCK`, and `OSError` for a connection that is broken: behind
    something that had come, `BrokenAfterError`."""
    try:
        data = raw.recv(READ_BYTES)
    except ssl.SSLEOFError as error:
        return _end(raw, error)
    if isinstance(raw, ssl.SSLSocket) and (raw.pending() or len(data) >= TLS_RECORD_BYTES):
        data = _more_records(raw, data)
    return data


def _more_records(raw: ssl.SSLSocket, data: bytes) -> bytes:
    """The TLS records that follow. A failure among them is told together with them: TLS tells it once, and what is read
    next would be an end."""
    records = [data]
    size = len(data)
    try:
        while size < READ_BYTES and (data := received(raw, READ_BYTES)):
            records.append(data)
            size += len(data)
    except WOULD_BLOCK:
        pass
    except OSError as error:
        raise BrokenAfterError(b"".join(records)) from error
    return b"".join(records)


def received(raw: Socket, size: int) -> bytes:
    """What one reading gives, b"" at the end; raises `WOULD_BLOCK`, and `OSError` for a connection that is broken."""
    try:
        return raw.recv(size)
    except ssl.SSLEOFError as error:
        return _end(raw, error)


def _end(raw: Socket, error: ssl.SSLEOFError) -> bytes:
    """What an end without TLS's own farewell is: b"", an end all the same, and HTTP says whether of the answer.

    A reset is none: it raises `OSError`. Python 3.11 and the first of 3.12 take it for an end, and all do where
    something that was sent has met it before.
    """
    (_, events), *_ = prober(raw.fileno())(0) or [(0, 0)]
    # Both ways are shut, as by a reset, whose own error is gone. After an end OpenSSL's last words meet a new one.
    if events & select.POLLHUP and not events & select.POLLERR:
        raise ConnectionResetError("the connection was reset") from error
    return b""


def shut(raw: Socket) -> None:
    """Say that it is over; a socket that is closed or was never connected does not mind."""
    with suppress(OSError):
        if isinstance(raw, ssl.SSLSocket):
            socket.socket.shutdown(raw, socket.SHUT_RDWR)  # its own would let go of TLS under whoever still reads
        else:
            raw.shutdown(socket.SHUT_RDWR)


def prober(descriptor: int) -> Callable[[int], list[tuple[int, int]]]:
    """What says, given how many milliseconds it may wait, whether there is something to read; [] where there is not."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return poll.poll


def readable(raw: Socket) -> bool:
    """Whether there is something to read, an end included; so it is with a socket that is closed."""
    descriptor = raw.fileno()
    if descriptor < 0:
        return True
    if hasattr(select, "poll"):
        return bool(prober(descriptor)(0))
    return bool(select.select([descriptor], [], [], 0)[0])
