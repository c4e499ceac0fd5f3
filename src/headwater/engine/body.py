"""Reads an answer's body: undoes its content coding piece by piece, and never holds more than it may.

Limits count decoded bytes, so a small body that unpacks to a large one is stopped as it unpacks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from anyio import CancelScope

from ..errors import ProtocolError, ResponseTooLargeError
from ..protocol.lazy import lazy_modules
from ..protocol.transport import TransportResponse

if TYPE_CHECKING:
    from . import codings  # noqa: TC004 - loaded when it is used, below
    from .codings import Unpacker
else:
    globals().update(lazy_modules(__package__, "codings"))


class ResponseBody:
    """The decoded bytes of one answer; `read` gives them in pieces, b"" at the end."""

    __slots__ = ("_incoming", "_limit", "_unpack", "size")

    def __init__(self, incoming: TransportResponse, limit: float) -> None:
        declared = incoming.headers.get("content-length", "")
        if declared.isdigit() and int(declared[:20]) > limit:
            raise too_large(limit)
        self._incoming = incoming
        self._limit = limit
        packed = incoming.headers.get("content-encoding")
        coding = codings.coding_of(packed) if packed else ""
        self._unpack = codings.unpacker(coding, shows_end=self._shows_end("event-stream")) if coding else None
        self.size = 0

    @property
    def plain(self) -> bool:
        """Whether the bytes come as they are: who reads many small pieces may take them from the answer itself, and
        then keeps `size`."""
        return self._unpack is None

    def ready(self) -> bool:
        """Whether `read` would return without waiting, as far as is known."""
        unpack = self._unpack
        return (unpack is not None and (bool(unpack.packed) or unpack.held)) or self._incoming.ready()

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
        if self._incoming.surplus and not self._shows_end():
            error = ProtocolError("the server sent more than the length that it announced: the answer may be cut")
            error.retryable = False
            raise error

    def _shows_end(self, *kinds: str) -> bool:
        """Whether the content shows by itself whether it is whole."""
        content_type = self._incoming.headers.get("content-type", "").lower()
        return any(kind in content_type for kind in ("json", *kinds))

    async def _unpacked(self, unpack: Unpacker) -> bytes:
        while True:
            packed = unpack.packed
            if not packed and not unpack.held:
                packed = await self._incoming.receive()
                if not packed:
                    return unpack.end()
            if data := unpack.more(packed):
                return data


def at_once(incoming: TransportResponse, limit: float) -> bytes | None:
    """All of an answer's body, where it came with the head and as it is; None for any other.

    Raises `ResponseTooLargeError` over the limit.
    """
    take: Callable[[], bytes | None] | None = getattr(incoming, "at_once", None)
    if take is None or "content-encoding" in incoming.headers:
        return None
    data = take()
    if data is not None and len(data) > limit:
        raise too_large(limit)
    return data


async def close_shielded(incoming: TransportResponse) -> None:
    """Close an answer, whatever else is being cancelled."""
    with CancelScope(shield=True):
        await incoming.aclose()


def too_large(limit: float) -> ResponseTooLargeError:
    """The error for an answer over `limit` bytes."""
    return ResponseTooLargeError(f"the answer is larger than {limit:.0f} bytes; it was not read on", limit=int(limit))
