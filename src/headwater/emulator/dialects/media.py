"""Small media that decoders read: PNG pictures, WAV sounds, MP4 files; and what a file's first bytes say it is.

All of it is a function of the arguments. An MP4 here has its boxes and no track that a player could show.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
import zlib
from collections.abc import Iterator

SIDE = 16
"""Pixels on a side of a picture that nobody gave a size."""
MOST_PIXELS = 4096 * 4096
RATE = 8000
PIECE = 2**20

IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\x00", b"MM\x00*")
AUDIO = (b"fLaC", b"OggS", b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"\xff\xf1", b"\xff\xf9", b"\x1aE\xdf\xa3")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int = SIDE, height: int = SIDE, seed: str = "") -> bytes:
    """A picture of one colour, 8 bits per channel, which ``seed`` chooses."""
    colour = hashlib.sha256(seed.encode()).digest()[:3]
    return encoded(width, height, 2, b"\0" + colour * width)


def mask(width: int = SIDE, height: int = SIDE, seed: str = "") -> bytes:
    """A black-and-white picture, one 8-bit channel: white to the right of a column that ``seed`` chooses."""
    at = hashlib.sha256(seed.encode()).digest()[0] * width // 256
    return encoded(width, height, 0, b"\0" * (1 + at) + b"\xff" * (width - at))


def encoded(width: int, height: int, colours: int, row: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, 0)
    rows = zlib.compress(row * height)
    return IMAGES[0] + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def size_of(image: bytes) -> tuple[int, int]:
    """Width and height of a PNG; of any other picture `SIDE`, as nothing here decodes it."""
    if not image.startswith(IMAGES[0]) or len(image) < 24:
        return SIDE, SIDE
    width, height = struct.unpack(">II", image[16:24])
    return (width, height) if 0 < width * height <= MOST_PIXELS else (SIDE, SIDE)


def wav(seed: str = "", samples: int = 800) -> bytes:
    """A tenth of a second of 8-bit mono at 8 kHz, unless ``samples`` says otherwise."""
    data = hashlib.shake_256(seed.encode()).digest(samples)
    form = struct.pack("<HHIIHH", 1, 1, RATE, RATE, 1, 8)
    size = struct.pack("<I", 36 + len(data))
    return b"RIFF" + size + b"WAVEfmt \x10\0\0\0" + form + b"data" + struct.pack("<I", len(data)) + data


def box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", 8 + len(data)) + kind + data


def mp4(seed: str = "") -> bytes:
    return box(b"ftyp", b"isom\0\0\2\0isommp42") + box(b"mdat", hashlib.shake_256(seed.encode()).digest(1024))


def mp4_pieces(megabytes: int) -> Iterator[bytes]:
    """An MP4 of so many megabytes (2**20 bytes; less than 4096 of them), never whole in memory."""
    head = box(b"ftyp", b"isom\0\0\2\0isommp42")
    piece = bytes(PIECE)
    first = head + struct.pack(">I", megabytes * PIECE - len(head)) + b"mdat"
    yield first + piece[len(first) :]
    for _ in range(megabytes - 1):
        yield piece


def is_image(data: bytes) -> bool:
    return data.startswith(IMAGES) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")


def is_audio(data: bytes) -> bool:
    return data.startswith(AUDIO) or is_video(data) or (data[:4] == b"RIFF" and data[8:12] == b"WAVE")


def is_video(data: bytes) -> bool:
    return data[4:8] == b"ftyp" or data.startswith(b"\x1aE\xdf\xa3") or data[8:12] == b"AVI "


def base64_of(text: object) -> bytes | None:
    """The bytes that strict base64 stands for; None if the text is anything else, or nothing."""
    if not isinstance(text, str):
        return None
    try:
        return base64.b64decode(text, validate=True) or None
    except (binascii.Error, ValueError):
        return None


def in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def data_url(data: bytes, mime: str) -> str:
    return f"data:{mime};base64,{in_base64(data)}"
