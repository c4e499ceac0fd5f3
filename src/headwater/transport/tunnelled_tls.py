"""TLS with an origin inside the TLS with its proxy.

OpenSSL's own socket can carry one TLS, which is the proxy's: the other runs in memory, and what it wants to send and to
read goes through that socket. The two together are one more socket that never waits, so that every stream, and HTTP/2,
has it as it has the others. Knows no HTTP and no event loop.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from typing import Final

from .sockets import WOULD_BLOCK, BrokenAfterError, received

RECORD_BYTES: Final = 16 * 1024
"""What a record of TLS can hold."""


class TunnelledTls:
    """What `ssl.SSLSocket` is for one TLS, as far as it is used here: it raises `WOULD_BLOCK`, and `OSError`.

    Beyond the socket that the epoll watches nothing is left unread after `recv`, but after the handshake: then
    `pending` says so.
    """

    __slots__ = ("_incoming", "_outer", "_outgoing", "_taken", "_tls", "_unsent")

    def __init__(self, outer: ssl.SSLSocket, context: ssl.SSLContext, hostname: str) -> None:
        self._outer = outer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=hostname)
        self._unsent = b""
        self._taken = 0

    def fileno(self) -> int:
        """The one descriptor of both."""
        return self._outer.fileno()

    def selected_alpn_protocol(self) -> str | None:
        """What the origin has agreed on."""
        return self._tls.selected_alpn_protocol()

    def pending(self) -> int:
        """Bytes that have come and that the epoll does not see."""
        return self._incoming.pending + self._tls.pending() + self._outer.pending()

    def do_handshake(self) -> None:
        """Go on with the origin's handshake."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._fill()
            else:
                return self._flush()

    def recv(self, size: int) -> bytes:
        """What has come, b"" at the end: up to a record more than this, since none may be left behind."""
        incoming, tls = self._incoming, self._tls
        pieces: list[bytes] = []
        more = True
        while True:
            try:
                while incoming.pending or incoming.eof or tls.pending():
                    piece = tls.read(size)
                    if not piece:
                        return b"".join(pieces)
                    pieces.append(piece)
            except ssl.SSLWantReadError:
                pass
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):  # HTTP says whether that is an end
                break
            except ssl.SSLError as error:
                if pieces:
                    raise BrokenAfterError(b"".join(pieces)) from error
                raise
            if pieces and (not more or sum(map(len, pieces)) >= size):
                break
            if self._unsent or self._outgoing.pending:  # TLS has words of its own
                with suppress(OSError):  # what goes wrong with them is seen in reading
                    self._flush()
            try:
                more = self._fill()
            except WOULD_BLOCK:
                if pieces:
                    break
                raise
            except OSError as error:
                if pieces:
                    raise BrokenAfterError(b"".join(pieces)) from error
                raise
        return b"".join(pieces)

    def send(self, data: memoryview | bytearray | bytes) -> int:
        """Send of this what goes, and say how much. After `WOULD_BLOCK` the same is sent again, as to OpenSSL: it may
        have been taken in."""
        self._flush()
        if not self._taken:
            self._taken = self._tls.write(data)
            self._flush()
        taken, self._taken = self._taken, 0
        return taken

    def _fill(self) -> bool:
        """Take a record in, and say whether another one is likely to be there; raises `WOULD_BLOCK`, `OSError`."""
        data = received(self._outer, RECORD_BYTES)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
        return len(data) >= RECORD_BYTES or self._outer.pending() > 0

    def _flush(self) -> None:
        while self._unsent or self._outgoing.pending:
            self._unsent = self._unsent or self._outgoing.read()
            self._unsent = self._unsent[self._outer.send(self._unsent) :]

    def shutdown(self, how: int) -> None:
        """Say that it is over."""
        socket.socket.shutdown(self._outer, how)  # TLS's own would let go of it under whoever still reads

    def close(self) -> None:
        """Close at once."""
        self._outer.close()
