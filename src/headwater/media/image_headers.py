"""How large a picture is, by its own headers: PNG, JPEG, WebP and GIF, before any decoder sees it.

It decodes nothing, and refuses pictures that are mostly anything but a picture (hundreds of texts, comments, empty
blocks): decoders spend their time on those. What it takes as a picture may still be broken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Literal, NamedTuple, TypeAlias

Format: TypeAlias = Literal["PNG", "JPEG", "WEBP", "GIF"]

MOST_FRAMES: Final = 10_000
MOST_EXTRAS: Final = 1000
"""Chunks, segments and extensions that are no part of the picture; most files have fewer than ten."""
MOST_EXTRA_BYTES: Final = 16 * 1024 * 1024
"""Of them together: colour profiles and what cameras and generators write are far below it."""
_SHORTEST_PIECE: Final = 128
"""Bytes that a picture's pieces have on the average, at least: 255 and 8,192 are usual."""


class Header(NamedTuple):
    """The size in pixels, of the largest frame, and how many frames there are (1, or just over `MOST_FRAMES`)."""

    format: Format
    width: int
    height: int
    frames: int = 1


class UnusableError(ValueError):
    """The data is no picture, or has more beside it than a picture needs."""


def read_header(data: bytes) -> Header | None:
    """The header; None for what is no picture in one of the formats."""
    for opening, read in _READERS:
        if data.startswith(opening):
            try:
                return read(data)
            except (IndexError, UnusableError):
                return None
    return None


def _big(data: bytes, place: int, size: int) -> int:
    return int.from_bytes(_cut(data, place, size), "big")


def _little(data: bytes, place: int, size: int) -> int:
    return int.from_bytes(_cut(data, place, size), "little")


def _cut(data: bytes, place: int, size: int) -> bytes:
    if place + size > len(data):
        raise IndexError
    return data[place : place + size]


class _Extras:
    """Counts what is no part of the picture, and the picture's own pieces."""

    def __init__(self, data: bytes) -> None:
        self._count = self._bytes = 0
        self._pieces = MOST_FRAMES + len(data) // _SHORTEST_PIECE

    def add(self, size: int) -> None:
        self._count += 1
        self._bytes += size
        if self._count > MOST_EXTRAS or self._bytes > MOST_EXTRA_BYTES:
            raise UnusableError

    def piece(self) -> None:
        self._pieces -= 1
        if self._pieces < 0:
            raise UnusableError


def _png(data: bytes) -> Header:
    """https://www.w3.org/TR/png-3/: signature, then chunks of length, name, data and checksum."""
    if _cut(data, 12, 4) != b"IHDR":
        raise UnusableError
    frames = 1
    extras = _Extras(data)
    for name, place, size in _chunks(data, 8, "big", 4, 0):
        if name == b"acTL":
            frames = max(frames, _big(data, place, 4))
        if name in (b"IDAT", b"fdAT", b"fcTL"):
            extras.piece()
        else:
            extras.add(size)
    return Header("PNG", _big(data, 16, 4), _big(data, 20, 4), min(frames, MOST_FRAMES + 1))


def _webp(data: bytes) -> Header:
    """https://developers.google.com/speed/webp/docs/riff_container: chunks of name, length and data, padded to even."""
    if _cut(data, 8, 4) != b"WEBP":
        raise UnusableError
    width = height = frames = 0
    extras = _Extras(data)
    for name, place, size in _chunks(data, 12, "little", 0, 1):
        if name == b"VP8X":
            width, height = _little(data, place + 4, 3) + 1, _little(data, place + 7, 3) + 1
        elif name == b"ANMF":
            extras.piece()
            frames = min(frames + 1, MOST_FRAMES + 1)
            width = max(width, _little(data, place + 6, 3) + 1)
            height = max(height, _little(data, place + 9, 3) + 1)
        elif name == b"VP8 ":
            width = max(width, _little(data, place + 6, 2) & 0x3FFF)
            height = max(height, _little(data, place + 8, 2) & 0x3FFF)
        elif name == b"VP8L":
            packed = _little(data, place + 1, 4)
            width, height = max(width, (packed & 0x3FFF) + 1), max(height, (packed >> 14 & 0x3FFF) + 1)
        else:
            extras.add(size)
    return Header("WEBP", width, height, max(frames, 1))


def _chunks(
    data: bytes, place: int, order: Literal["big", "little"], after: int, padding: int
) -> Iterator[tuple[bytes, int, int]]:
    """Each chunk's name, where its data are, and how many bytes they have; the last one may be cut."""
    while place + 8 <= len(data):
        first, second = data[place : place + 4], data[place + 4 : place + 8]
        name, length = (second, first) if order == "big" else (first, second)
        size = int.from_bytes(length, order)
        yield name, place + 8, size
        place += 8 + size + after + (size & padding)


def _jpeg(data: bytes) -> Header:
    """https://www.w3.org/Graphics/JPEG/itu-t81.pdf, appendix B: segments of a marker and a length, up to the frame."""
    extras = _Extras(data)
    place = 2
    while True:
        while _big(data, place, 2) == 0xFFFF:
            extras.piece()
            place += 1
        if data[place] != 0xFF:
            raise UnusableError
        marker, size = data[place + 1], _big(data, place + 2, 2)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return Header("JPEG", _big(data, place + 7, 2), _big(data, place + 5, 2))
        extras.add(size)
        place += 2 + size


def _gif(data: bytes) -> Header:
    """https://www.w3.org/Graphics/GIF/spec-gif89a.txt; a frame may reach over the edges that the header gives, and the
    end may be missing."""
    width, height = _little(data, 6, 2), _little(data, 8, 2)
    frames = 0
    extras = _Extras(data)
    try:
        place = 13 + _palette(data[10])
        while frames <= MOST_FRAMES and data[place] in b"!,":
            start = place
            if data[place] == ord("!"):
                is_control = data[place + 1] == 0xF9  # one for each frame
                place = _after_blocks(data, place + 2, extras)
                if is_control:
                    extras.piece()
                else:
                    extras.add(place - start)
                continue
            frames += 1
            width = max(width, _little(data, place + 1, 2) + _little(data, place + 5, 2))
            height = max(height, _little(data, place + 3, 2) + _little(data, place + 7, 2))
            place = _after_blocks(data, place + 11 + _palette(data[place + 9]), extras)
    except IndexError:
        pass
    return Header("GIF", width, height, max(frames, 1))


def _palette(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _after_blocks(data: bytes, place: int, extras: _Extras) -> int:
    while size := data[place]:
        extras.piece()
        place += size + 1
    return place + 1


_READERS: Final[tuple[tuple[bytes, Callable[[bytes], Header]], ...]] = (
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"\xff\xd8\xff", _jpeg),
    (b"RIFF", _webp),
    (b"GIF87a", _gif),
    (b"GIF89a", _gif),
)
