"""TLS with an origin inside the TLS with its proxy.

OpenSSL's own socket can carry one TLS, which is the proxy's: the other runs in memory, over that stream. Knows no HTTP.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from anyio import BrokenResourceError, Lock
from anyio.lowlevel import checkpoint

from .anyio_streams import ByteStream
from .sockets import READ_BYTES

T = TypeVar("T")


class TunnelledTls:
    """A `ByteStream` within another one, which is closed with it."""

    __slots__ = ("_incoming", "_outgoing", "_sends", "_stream", "_tls")

    def __init__(self, stream: ByteStream, context: ssl.SSLContext, hostname: str) -> None:
        self._stream = stream
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=hostname)
        self._sends = Lock()

    async def handshake(self) -> None:
        """Make ready; raises `ssl.SSLError`, `BROKEN`."""
        await self._do(self._tls.do_handshake)
        await self._flush()

    def protocol(self) -> str | None:
        """What was agreed on in the handshake."""
        return self._tls.selected_alpn_protocol()

    async def receive(self) -> bytes:
        """What has come since, b"" at the end; raises `BROKEN`, `ReadDeadline`."""
        if self._incoming.pending or self._tls.pending():
            await checkpoint()  # before anything is taken: a flood leaves turns for the others
        try:
            return await self._do(partial(self._tls.read, READ_BYTES))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):  # HTTP says whether that is an end
            return b""
        except ssl.SSLError as error:
            raise BrokenResourceError from error

    async def _do(self, work: Callable[[], T]) -> T:
        while True:
            try:
                return work()  # nothing may wait behind it: what was taken would be lost to who is cancelled
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()

    async def _fill(self) -> None:
        waiting = self._stream.receive()
        try:
            data = await waiting
        except BaseException as error:
            if not isinstance(error, Exception):
                self._stream.keep(waiting)
            raise
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    async def _flush(self) -> None:
        if self._outgoing.pending:
            async with self._sends:  # who reads may have a word to say while another sends
                while self._outgoing.pending:
                    await self._stream.send(memoryview(self._outgoing.read()))

    def keep(self, waiting: Awaitable[bytes]) -> None:
        """What had come for a `receive` that was cancelled is kept where it came."""

    def wait_until(self, moment: float) -> bool:
        """Let no `receive` wait past this moment."""
        return self._stream.wait_until(moment)

    async def send(self, data: memoryview) -> None:
        """Send everything; it may stop in the middle when cancelled. Raises `BROKEN`."""
        try:
            await self._do(partial(self._tls.write, data))
            await self._flush()
        except ssl.SSLError as error:
            raise BrokenResourceError from error

    def readable(self) -> bool:
        """Whether something has come, an end included, as far as that can be seen without touching it."""
        return bool(self._incoming.pending or self._tls.pending()) or self._stream.readable()

    def stale(self) -> bool:
        """Whether anything has come at all; only for a stream that is not being read."""
        try:
            self._tls.read(1)
        except ssl.SSLWantReadError:
            return self._stream.stale()
        except ssl.SSLError:
            return True
        return True

    def close(self) -> None:
        """Close at once, in the event loop's own thread."""
        self._stream.close()

    def shut(self) -> None:
        """Tell the peer that it is over, from any thread."""
        self._stream.shut()

    def disown(self) -> None:
        """In a forked child: it is the parent's."""
        self._stream.disown()
