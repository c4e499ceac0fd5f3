"""What a stream does with its socket, plain or TLS, whichever event loop waits for it; and how silence is timed.

A socket here never blocks: whoever must wait has `Sockets` do it, of which each kind of event loop has its own
(`native`, `polling`). TLS is OpenSSL's on the socket itself. Knows no HTTP and no event loop.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import ssl
from contextlib import suppress
from typing import Any, Final, NamedTuple, Protocol

from ..wire import FOREVER

READ: Final = 64 * 1024
"""Bytes that are read at once."""
RECORD: Final = 16 * 1024
"""What TLS gives at once; after so much there is mostly more."""
WOULD_BLOCK: Final = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
GRAIN: Final = 0.01
"""Seconds by which silence may be noticed late, so that many streams are not looked at one after the other."""
_UNDER_WAY: Final = frozenset({errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EINTR})


class Address(NamedTuple):
    """Where to connect to: the address family, and what a socket of that family takes."""

    family: int
    place: Any


class Timed(Protocol):
    """A stream whose silence is timed."""

    def look(self, now: float) -> float:
        """End a wait that has lasted until its moment; the moment of one that goes on, else `FOREVER`."""
        ...


class Sockets:
    """The streams of one event loop, with one alarm for all of them: a timer each would cost more than its stream."""

    def __init__(self) -> None:
        self.streams: set[Timed] = set()
        self.alarm_at = FOREVER

    def watch(self, moment: float) -> None:
        """See to it that a stream that waits past this moment is told."""
        if moment < self.alarm_at:
            self.alarm_at = moment
            self._set_alarm(moment)

    def look(self, now: float) -> None:
        """The alarm: end the waits whose moment has come, and set it again for the others."""
        soonest = min([stream.look(now) for stream in list(self.streams)], default=FOREVER)
        self.alarm_at = FOREVER
        if soonest < FOREVER:
            self.watch(max(soonest, now + GRAIN))

    def _set_alarm(self, moment: float) -> None:
        raise NotImplementedError

    async def readable(self, raw: socket.socket) -> None:
        """Wait until there is something to read."""
        raise NotImplementedError

    async def writable(self, raw: socket.socket, seconds: float | None = None) -> None:
        """Wait until something can be sent, or a connection is made; raises `TimeoutError` after so many seconds."""
        raise NotImplementedError

    async def connect(self, address: Address, seconds: float | None = None) -> socket.socket:
        """A connected socket; raises `OSError`, of which `TimeoutError` is one."""
        raw, connected = begin(address)
        try:
            if not connected:
                await self.writable(raw, seconds)
                settle(raw)
        except BaseException:
            raw.close()
            raise
        return raw

    async def secure(self, raw: socket.socket, context: ssl.SSLContext, hostname: str) -> ssl.SSLSocket:
        """The same socket with TLS; it is closed where that fails. Raises `OSError`, of which `ssl.SSLError` is one."""
        try:
            secure = context.wrap_socket(raw, server_hostname=hostname, do_handshake_on_connect=False)
        except BaseException:
            raw.close()
            raise
        try:
            while True:
                try:
                    secure.do_handshake()
                except ssl.SSLWantReadError:
                    await self.readable(secure)
                except ssl.SSLWantWriteError:
                    await self.writable(secure)
                else:
                    return secure
        except BaseException:
            shut(secure)
            secure.close()
            raise


def begin(address: Address) -> tuple[socket.socket, bool]:
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


def settle(raw: socket.socket) -> None:
    """Raise `OSError` where connecting has failed."""
    code = raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))


def take(raw: socket.socket) -> bytes:
    """What has come, b"" at the end; raises `WOULD_BLOCK`, and `OSError` for a connection that is broken.

    A peer that closes without TLS's own farewell has ended all the same: HTTP says whether that is an end.
    """
    data = raw.recv(READ)
    if isinstance(raw, ssl.SSLSocket) and (raw.pending() or len(data) >= RECORD):
        data = _records(raw, data)
    return data


def _records(raw: ssl.SSLSocket, data: bytes) -> bytes:
    """The TLS records that follow; a failure comes out with the next reading."""
    records = [data]
    size = len(data)
    with suppress(OSError):
        while size < READ and (data := raw.recv(READ)):
            records.append(data)
            size += len(data)
    return b"".join(records)


def shut(raw: socket.socket) -> None:
    """Say that it is over; a socket that is closed or was never connected does not mind."""
    with suppress(OSError):
        if isinstance(raw, ssl.SSLSocket):
            socket.socket.shutdown(raw, socket.SHUT_RDWR)  # its own would let go of TLS under whoever still reads
        else:
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
