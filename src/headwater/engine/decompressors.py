"""Decompressors for one member of a content coding, all with zlib's face: `decompress`, `eof`, what is left over.

gzip and deflate are Python's own. Brotli and Zstandard are not asked for, and unpacked where a package for them is
there: the extra `codings` brings both. https://www.rfc-editor.org/rfc/rfc7932, https://www.rfc-editor.org/rfc/rfc8878
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable
from typing import Any, Final, Protocol

_SLICE: Final = 64
"""Packed bytes of Zstandard that a package without a bound for its output is given at once: 2 MiB of blocks."""


class BrokenCodingError(Exception):
    """The data is not what its coding says."""


class Decompressor(Protocol):
    """One member being unpacked, as zlib's objects do it."""

    @property
    def eof(self) -> bool:
        """Whether the member has ended."""
        ...

    @property
    def unused_data(self) -> bytes:
        """What followed its end."""
        ...

    @property
    def unconsumed_tail(self) -> bytes:
        """What the newest call left, because its output had come to the bound."""
        ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """What the data yields: about `max_length` bytes, and then more of it for no data."""
        ...


class Zlib:
    """gzip or deflate, by zlib's `wbits`."""

    def __init__(self, wbits: int) -> None:
        self._member = zlib.decompressobj(wbits)

    @property
    def eof(self) -> bool:
        """Whether the member has ended."""
        return self._member.eof

    @property
    def unused_data(self) -> bytes:
        """What followed its end."""
        return self._member.unused_data

    @property
    def unconsumed_tail(self) -> bytes:
        """What the newest call left."""
        return self._member.unconsumed_tail

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """What the data yields, within the bound."""
        try:
            return self._member.decompress(data, max_length)
        except zlib.error as error:
            raise BrokenCodingError(str(error)) from error


class Brotli:
    """Brotli, which has one member and no mark at its beginning; of what follows its end nothing is told."""

    unused_data = b""

    def __init__(self, package: Any) -> None:
        self._error = package.error
        self._member = package.Decompressor()
        self.eof = False
        self.unconsumed_tail = b""

    @property
    def bounded(self) -> bool:
        """Whether this version of the package bounds its output."""
        return hasattr(self._member, "can_accept_more_data")

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """What the data yields, about as much as the bound."""
        fed = data if self._member.can_accept_more_data() else b""
        self.unconsumed_tail = b"" if fed is data else data
        try:
            found: bytes = self._member.process(fed, output_buffer_limit=max_length)
        except self._error as error:
            raise BrokenCodingError(str(error)) from error
        self.eof = self._member.is_finished()
        return found


class Zstd:
    """Zstandard, by Python's own module or its backport."""

    unconsumed_tail = b""

    def __init__(self, package: Any) -> None:
        self._error = package.ZstdError
        self._member = package.ZstdDecompressor()
        self.eof = False
        self.unused_data = b""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """What the data yields, within the bound."""
        try:
            found: bytes = self._member.decompress(data, max_length)
        except self._error as error:
            raise BrokenCodingError(str(error)) from error
        self.eof = self._member.eof
        self.unused_data = self._member.unused_data
        return found


class Zstandard:
    """Zstandard, by the package `zstandard`, whose output has no bound but that of what it is given."""

    def __init__(self, package: Any) -> None:
        self._error = package.ZstdError
        self._member = package.ZstdDecompressor().decompressobj()
        self.eof = False
        self.unused_data = self.unconsumed_tail = b""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """What the data yields, to a little beyond the bound."""
        found: list[bytes] = []
        size = at = 0
        while at < len(data) and size < max_length and not self.eof:
            try:
                piece: bytes = self._member.decompress(data[at : at + _SLICE])
            except self._error as error:
                raise BrokenCodingError(str(error)) from error
            found.append(piece)
            size, at = size + len(piece), at + _SLICE
            self.eof = self._member.eof
        self.unused_data = self._member.unused_data + data[at:] if self.eof else b""
        self.unconsumed_tail = b"" if self.eof else data[at:]
        return b"".join(found)


_PACKAGES: Final[dict[str, tuple[tuple[str, Callable[[Any], Decompressor]], ...]]] = {
    "br": (("brotli", Brotli), ("brotlicffi", Brotli)),
    "zstd": (("compression.zstd", Zstd), ("backports.zstd", Zstd), ("zstandard", Zstandard)),
}
PACKAGED: Final = frozenset(_PACKAGES)
"""The codings that a package is needed for."""


def packaged(coding: str) -> Decompressor | None:
    """A member of this coding, by whichever of its packages is there; None where none is, or one that is too old."""
    for name, make in _PACKAGES[coding]:
        try:
            member = make(importlib.import_module(name))
        except ImportError:
            continue
        if not isinstance(member, Brotli) or member.bounded:
            return member
    return None
