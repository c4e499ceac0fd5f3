"""What a picture's own headers say of its size, against Pillow's encoders and against headers written by hand."""

from __future__ import annotations

import io
import struct
from typing import Any

import pytest
from PIL import Image, ImageFile

from headwater.media.image_headers import MOST_EXTRA_BYTES, MOST_EXTRAS, MOST_FRAMES, Header, read_header

SIZES = [(1, 1), (5, 4), (300, 7), (7, 300), (1023, 513)]


def encoded(size: tuple[int, int], kind: str, frames: int = 1, **options: Any) -> bytes:
    pictures = [Image.new("RGB", size, (40 * number, 90, 255 - 40 * number)) for number in range(frames)]
    if frames > 1:
        options |= {"save_all": True, "append_images": pictures[1:]}
    file = io.BytesIO()
    pictures[0].save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("JPEG", {}),
        ("JPEG", {"progressive": True, "comment": b"c" * 100, "icc_profile": b"p" * 200_000}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"icc_profile": b"p" * 101}),
        ("GIF", {}),
        ("GIF", {"comment": b"c" * 1000}),
    ],
)
def test_pictures(size: tuple[int, int], kind: Any, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "MAXBLOCK", 1 << 20)  # else Pillow 12 cannot write a small JPEG's large profile
    assert read_header(encoded(size, kind, **options)) == Header(kind, *size, 1)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
@pytest.mark.parametrize("frames", [2, 5])
def test_frames(kind: Any, frames: int) -> None:
    assert read_header(encoded((9, 6), kind, frames)) == Header(kind, 9, 6, frames)


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    head = (b"IHDR", struct.pack(">IIBBBBB", 0x01020304, 0x05060708, 8, 0, 0, 0, 0))
    body = b"".join(struct.pack(">I", len(data)) + name + data + bytes(4) for name, data in (head, *chunks))
    return b"\x89PNG\r\n\x1a\n" + body


def webp(*chunks: tuple[bytes, bytes]) -> bytes:
    return b"RIFF\0\0\0\0WEBP" + b"".join(
        name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for name, data in chunks
    )


def gif(*parts: bytes) -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", 0x0102, 0x0304, 0x81, 0, 0) + bytes(12) + b"".join(parts) + b";"


def frame(left: int, top: int, width: int, height: int, *, palette: bool = False) -> bytes:
    colours = bytes(6) if palette else b""
    head = b"," + struct.pack("<HHHHB", left, top, width, height, 0x80 if palette else 0)
    return head + colours + b"\x02\x02\x4c\x01\x00"


def three(number: int) -> bytes:
    return (number - 1).to_bytes(3, "little")


def anmf(width: int, height: int) -> tuple[bytes, bytes]:
    return b"ANMF", bytes(6) + three(width) + three(height) + bytes(5)


CONTROL = b"!\xf9\x04\0\0\0\0\0"
COMMENT = b"!\xfe\x03abc\0"
JPEG = b"\xff\xd8\xff\xe0\0\4ab"
FRAME = b"\0\x11\x08\x01\x02\x03\x04" + bytes(10)


@pytest.mark.parametrize(
    ("data", "header"),
    [
        (png(), Header("PNG", 0x01020304, 0x05060708)),
        (png((b"acTL", struct.pack(">II", 7, 0))), Header("PNG", 0x01020304, 0x05060708, 7)),
        (
            png((b"acTL", struct.pack(">II", 7, 0)), (b"acTL", struct.pack(">II", 3, 0))),
            Header("PNG", 0x01020304, 0x05060708, 7),
        ),
        (
            png((b"tEXt", b"abc"), (b"acTL", struct.pack(">II", 2**31, 0))),
            Header("PNG", 0x01020304, 0x05060708, MOST_FRAMES + 1),
        ),
        (webp((b"VP8X", bytes(4) + three(70_000) + three(80_000))), Header("WEBP", 70_000, 80_000)),
        (webp((b"VP8 ", bytes(6) + struct.pack("<HH", 0xC102, 0xC304))), Header("WEBP", 0x0102, 0x0304)),
        (webp((b"VP8L", b"\x2f" + (0x1233 | 0x2344 << 14).to_bytes(4, "little"))), Header("WEBP", 0x1234, 0x2345)),
        (webp((b"EXIF", b"abc"), anmf(70_001, 80_002), anmf(3, 4)), Header("WEBP", 70_001, 80_002, 2)),
        (webp(anmf(3, 4), anmf(70_001, 80_002)), Header("WEBP", 70_001, 80_002, 2)),
        (webp(*[anmf(3, 4)] * (MOST_FRAMES + 5)), Header("WEBP", 3, 4, MOST_FRAMES + 1)),
        (gif(frame(0, 0, 1, 1)), Header("GIF", 0x0102, 0x0304)),
        (gif(frame(0x0203, 0, 0x0101, 1)), Header("GIF", 0x0304, 0x0304)),
        (gif(frame(0, 0x0305, 1, 0x0102)), Header("GIF", 0x0102, 0x0407)),
        (gif(CONTROL, frame(0, 0, 1, 1, palette=True), COMMENT, frame(0, 0, 900, 1)), Header("GIF", 900, 0x0304, 2)),
        (gif(frame(0, 0, 1, 1))[:-3], Header("GIF", 0x0102, 0x0304)),
        (gif(*[CONTROL, frame(0, 0, 1, 1)] * 2000), Header("GIF", 0x0102, 0x0304, 2000)),
        (gif(*[frame(0, 0, 1, 1)] * (MOST_FRAMES + 5)), Header("GIF", 0x0102, 0x0304, MOST_FRAMES + 1)),
        *(
            (JPEG + bytes([0xFF, marker]) + FRAME, Header("JPEG", 0x0304, 0x0102))
            for marker in (0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC9, 0xCF)
        ),
        (JPEG + b"\xff\xff\xff\xc4\0\2\xff\xcc\0\3a\xff\xc0" + FRAME, Header("JPEG", 0x0304, 0x0102)),
    ],
)
def test_headers(data: bytes, header: Header) -> None:
    assert read_header(data) == header


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"BM",
        b"RIFF\0\0\0\0WAVE",
        b"GIF88a" + bytes(20),
        b"\x89PNG\r\n\x1a\n",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIDAT" + bytes(20),
        png()[:23],
        gif()[:9],
        JPEG,
        JPEG + b"xx" + FRAME,
        JPEG + b"\xff\xc0" + FRAME[:6],
        webp((b"VP8X", bytes(8))),
    ],
)
def test_what_has_no_header(data: bytes) -> None:
    assert read_header(data) is None


EMPTY = b"!\xfe\0"


@pytest.mark.parametrize(
    ("enough", "too_many"),
    [
        (png(*[(b"tEXt", b"")] * (MOST_EXTRAS - 1)), png(*[(b"tEXt", b"")] * MOST_EXTRAS)),
        (
            png((b"tEXt", bytes(MOST_EXTRA_BYTES - 13))),
            png((b"tEXt", bytes(MOST_EXTRA_BYTES - 12))),
        ),
        (webp(anmf(1, 1), *[(b"EXIF", b"")] * MOST_EXTRAS), webp(anmf(1, 1), *[(b"EXIF", b"")] * (MOST_EXTRAS + 1))),
        (gif(*[EMPTY] * MOST_EXTRAS), gif(*[EMPTY] * (MOST_EXTRAS + 1))),
        (png(*[(b"IDAT", b"")] * 11_000), png(*[(b"IDAT", b"")] * 12_000)),
        (gif(b"!\xf9" + b"\1a" * 10_000 + b"\0"), gif(b"!\xf9" + b"\1a" * 11_000 + b"\0")),
        (JPEG + b"\xff" * 10_000 + b"\xff\xc0" + FRAME, JPEG + b"\xff" * 11_000 + b"\xff\xc0" + FRAME),
        (
            JPEG + b"\xff\xe1\0\2" * (MOST_EXTRAS - 1) + b"\xff\xc0" + FRAME,
            JPEG + b"\xff\xe1\0\2" * MOST_EXTRAS + b"\xff\xc0" + FRAME,
        ),
    ],
)
def test_how_much_there_may_be_beside_the_picture(enough: bytes, too_many: bytes) -> None:
    assert read_header(enough) is not None
    assert read_header(too_many) is None
