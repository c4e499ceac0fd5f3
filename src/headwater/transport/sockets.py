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
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec
from anyio import BrokenResourceError, ClosedResourceError

if TYPE_CHECKING:
    from .tunnelled_tls import TunnelledTls

Socket: TypeAlias = "socket.socket | TunnelledTls"
"""A connected socket that never waits: plain, with TLS (`ssl.SSLSocket`), or with TLS within TLS."""

BROKEN: Final = (BrokenResourceError, ClosedResourceError, OSError)
"""What reading and writing raise once the peer, or the network, is gone."""
READ_BYTES: Final = 64 * 1024
"""Bytes that are read at once."""
TLS_RECORD_BYTES: Final = 16 * 1024
"""What TLS gives at once; after so much there is mostly more."""
WOULD_BLOCK: Final = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_UNDER_WAY: Final = frozenset({errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EINTR})


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
    """What has come, b"" at the end; raises `WOULD_BLOCK`, and `OSError` for a connection that is broken.

    A peer that closes without TLS's own farewell has ended all the same: HTTP says whether that is an end.
    """
    data = raw.recv(READ_BYTES)
    if isinstance(raw, ssl.SSLSocket) and (raw.pending() or len(data) >= TLS_RECORD_BYTES):
        data = _more_records(raw, data)
    return data


def _more_records(raw: ssl.SSLSocket, data: bytes) -> bytes:
    """The TLS records that follow; a failure comes out with the next reading."""
    records = [data]
    size = len(data)
    with suppress(OSError):
        while size < READ_BYTES and (data := raw.recv(READ_BYTES)):
            records.append(data)
            size += len(data)
    return b"".join(records)


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
