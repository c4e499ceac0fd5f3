"""Reads an answer's body: undoes its content coding piece by piece, and never holds more than it may.

Limits count decoded bytes, so a small body that unpacks to a large one is stopped as it unpacks. One coding only:
gzip or deflate; what we did not ask for (br, zstd, a chain of codings) is refused.
"""

from __future__ import annotations

import zlib
from typing import Final

from ..errors import ConnectionLostError, DecodeError, ProtocolError, ResponseTooLargeError, UnexpectedContentError
from ..wire import Incoming

PIECE: Final = 256 * 1024
"""The most bytes that one step of unpacking yields."""


class Body:
    """The decoded bytes of one answer; `read` gives them in pieces, b"" at the end."""

    __slots__ = ("_incoming", "_limit", "_unpack", "size")

    def __init__(self, incoming: Incoming, limit: float) -> None:
        declared = incoming.headers.get("content-length", "")
        if declared.isdigit() and int(declared[:20]) > limit:
            raise too_large(limit)
        self._incoming = incoming
        self._limit = limit
        coding = incoming.headers.get("content-encoding")
        self._unpack = _Unpack(coding) if coding and coding.strip().lower() != "identity" else None
        self.size = 0

    @property
    def plain(self) -> bool:
        """Whether the bytes come as they are: who reads many small pieces may take them from the answer itself, and
        then keeps `size`."""
        return self._unpack is None

    def ready(self) -> bool:
        """Whether `read` would return without waiting, as far as is known."""
        return (self._unpack is not None and bool(self._unpack.packed)) or self._incoming.ready()

    async def read(self) -> bytes:
        """The next decoded piece.

        Raises `TransportError` where the body was cut, `DecodeError` where its coding is broken, and
        `ResponseTooLargeError` over the limit.
        """
        data = await (self._incoming.receive() if self._unpack is None else self._unpacked(self._unpack))
        self.size += len(data)
        if self.size > self._limit:
            raise too_large(self._limit)
        return data

    def check_end(self) -> None:
        """Raise `ProtocolError` where more came than the length said, so that what was read may be a part of it.

        JSON shows by itself whether it is whole.
        """
        if self._incoming.surplus and "json" not in self._incoming.headers.get("content-type", ""):
            error = ProtocolError("the server sent more than the length that it announced: the answer may be cut")
            error.retryable = False
            raise error

    async def _unpacked(self, unpack: _Unpack) -> bytes:
        while True:
            packed = unpack.packed or await self._incoming.receive()
            if not packed:
                return unpack.end()
            if data := unpack.more(packed):
                return data


class _Unpack:
    """gzip or deflate, a bounded piece at a time."""

    __slots__ = ("_coding", "_started", "_zlib", "packed")

    def __init__(self, coding: str) -> None:
        self._coding = coding.strip().lower()
        if self._coding not in {"gzip", "x-gzip", "deflate"}:
            raise UnexpectedContentError(f"the server packed its answer as {self._coding[:40]!r}, unasked")
        self._zlib = zlib.decompressobj(15 if self._coding == "deflate" else 31)
        self._started = False
        self.packed = b""

    def more(self, packed: bytes) -> bytes:
        try:
            data = self._zlib.decompress(packed, PIECE)
        except zlib.error as error:
            if self._coding == "deflate" and not self._started:
                self._zlib, self._started = zlib.decompressobj(-15), True  # some servers omit zlib's header
                return self.more(packed)
            raise DecodeError(f"the answer's {self._coding} coding is broken: {error}") from error
        self._started = True
        self.packed = self._zlib.unconsumed_tail
        return data

    def end(self) -> bytes:
        if self._started and not self._zlib.eof:
            raise ConnectionLostError(f"the answer's {self._coding} coding stopped before its end")
        return b""


def too_large(limit: float) -> ResponseTooLargeError:
    """The error for an answer over `limit` bytes."""
    return ResponseTooLargeError(f"the answer is larger than {limit:.0f} bytes; it was not read on", limit=int(limit))
