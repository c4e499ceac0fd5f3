"""Sources are told apart without opening them, media know what they are, and images are opened under limits."""

from __future__ import annotations

import base64
import gzip
import io
import pickle
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy
import pytest
from PIL import Image
from PIL.ImageOps import exif_transpose

from headwater.errors import DecodeError, InputError, InvalidParameterError, ResponseTooLargeError
from headwater.media.images import (
    data_url,
    encode_image,
    from_base64,
    from_data_url,
    from_text,
    mime_type_of,
    open_image,
)
from headwater.media.media import Media
from headwater.media.mime import file_name, sniff
from headwater.media.source import check_source, kind_of


def encoded(image: Image.Image, kind: str, **settings: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **settings)
    return file.getvalue()


RED = Image.new("RGB", (5, 4), (255, 0, 0))
PNG = encoded(RED, "PNG")
FTYP = b"\x00\x00\x00\x18ftyp"


class Bytes:
    def __fspath__(self) -> bytes:
        return b"cat.png"


class Asynchronous:
    async def read(self) -> bytes:
        return b""


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (b"x", "data"),
        (bytearray(b"x"), "data"),
        (memoryview(b"x"), "data"),
        (Media(b"x"), "data"),
        ("cat.png", "path"),
        ("C:\\cat.png", "path"),
        (Path("cat.png"), "path"),
        ("https://example.com/cat.png", "url"),
        ("HTTP://example.com/cat.png", "url"),
        ("httpstat.png", "path"),
        ("data:image/png;base64,AAAA", "data-url"),
        (io.BytesIO(b"x"), "file"),
        (RED, "image"),
        (numpy.zeros((2, 3), "u1"), "array"),
        (numpy.zeros((2, 3, 4), "u1"), "array"),
    ],
)
def test_kinds(source: object, kind: str) -> None:
    assert kind_of(source) == kind
    assert check_source(source) is None


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (None, "must be bytes, a binary file, a path, an http(s) URL or a data URL, a PIL image or a numpy array"),
        (7, "not int"),
        ([b"x"], "not list"),
        (io.StringIO("x"), "is a text-mode file; open it with mode 'rb'"),
        (Asynchronous(), "is an asynchronous file"),
        (Bytes(), "must be a path of text, not of bytes"),
        (b"", "is empty"),
        (memoryview(b""), "is empty"),
        ("", "is empty"),
        (numpy.zeros((2, 3), "f4"), "not 2x3 float32"),
        (numpy.zeros((2, 3, 2), "u1"), "not 2x3x2 uint8"),
        (numpy.zeros((0, 3), "u1"), "not 0x3 uint8"),
        (numpy.zeros((), "u1"), "not a single uint8"),
    ],
)
def test_what_is_wrong(source: object, said: str) -> None:
    assert said in (check_source(source) or "")


def test_files_of_all_kinds(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(b"x"))
    with path.open("rb") as file, gzip.open(path) as unpacked, tempfile.SpooledTemporaryFile() as spooled:
        assert [check_source(each) for each in (file, unpacked, spooled)] == [None] * 3
    assert "is a closed file" in (check_source(file) or "")
    with path.open() as text, gzip.open(path, "rt") as unpacked, tempfile.NamedTemporaryFile("w") as named:
        assert all("is a text-mode file" in (check_source(each) or "") for each in (text, unpacked, named))


def test_images_are_no_sounds() -> None:
    assert "not Image" in (check_source(RED, images=False) or "")
    assert "numpy" not in (check_source(numpy.zeros((2, 2), "u1"), images=False) or "")
    assert check_source(b"x", images=False) is None


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (PNG, "image/png"),
        (encoded(RED, "JPEG"), "image/jpeg"),
        (encoded(RED, "WEBP"), "image/webp"),
        (encoded(RED, "GIF"), "image/gif"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "audio/wav"),
        (b"RIFF\x24\x00\x00\x00AVI LIST", "video/x-msvideo"),
        (b"fLaC\x00\x00\x00\x22", "audio/flac"),
        (b"ID3\x04\x00\x00", "audio/mpeg"),
        (b"\xff\xfb\x90\x44", "audio/mpeg"),
        (b"\xff\xf3\x40\xc0", "audio/mpeg"),
        (b"\xff\xf1\x50\x80", "audio/aac"),
        (b"\xff\xf9\x50\x80", "audio/aac"),
        (b"OggS\x00\x02", "audio/ogg"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm", "video/webm"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x88matroska", "video/x-matroska"),
        (FTYP + b"isom", "video/mp4"),
        (FTYP + b"M4A ", "audio/mp4"),
        (FTYP + b"qt  ", "video/quicktime"),
        (FTYP + b"avif", "image/avif"),
        (b"%PDF-1.7", "application/pdf"),
        (b"FORM\0\0\1\0AIFFCOMM", "audio/aiff"),
        (b"FORM\0\0\1\0AIFCFVER", "audio/aiff"),
        (b"FORM\0\0\1\0ILBM", None),
        (b"#!AMR\n\x3c", "audio/amr"),
        (b"#!AMR-WB\n", "audio/amr-wb"),
        (b"caff\0\1\0\0desc", "audio/x-caf"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9", "video/x-ms-asf"),
        (b"\0\0\1\xba\x44", "video/mpeg"),
        (encoded(RED, "BMP"), "image/bmp"),
        (encoded(RED, "TIFF"), "image/tiff"),
        (b"BM is no picture", None),
        (FTYP + b"heic", "image/heic"),
        (FTYP + b"M4B ", "audio/mp4"),
        (b"\xff\xff\xff\xff", None),  # no bit rate, no sampling rate
        (b"\xff\xfe\x41\x00", None),  # UTF-16
        (b"RIFF", None),
        (b"hello", None),
        (b"", None),
    ],
)
def test_the_first_bytes_say_what_it_is(data: bytes, kind: str | None) -> None:
    assert sniff(data) == kind
    assert sniff(memoryview(data)) == kind
    assert Media(data).mime_type == (kind or "application/octet-stream")


@pytest.mark.parametrize(
    ("data", "name", "default", "kind"),
    [
        (PNG, "a.jpg", "image/gif", "image/png"),
        (b"??", "talk.MP3", "audio/wav", "audio/mpeg"),
        (b"??", "folder.mp3/talk", "audio/wav", "audio/wav"),
        (b"??", "mp3", "audio/wav", "audio/wav"),
        (b"??", "", "audio/L16; rate=24000", "audio/l16"),
        (b"??", "", "nonsense\r\nx: y", "application/octet-stream"),
        (b"??", "", "", "application/octet-stream"),
        (FTYP + b"isom", "", "audio/mp4", "audio/mp4"),
        (FTYP + b"isom", "a.m4a", "application/octet-stream", "audio/mp4"),
        (FTYP + b"isom", "", "image/mp4", "video/mp4"),
        (b"\x1a\x45\xdf\xa3webm", "", "audio/webm", "audio/webm"),
        (b"OggS", "a.ogv", "", "video/ogg"),
        (b"OggS", "", "audio/webm", "audio/ogg"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a.wma", "", "audio/x-ms-wma"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "", "audio/mpeg", "video/x-ms-asf"),
        (FTYP + b"3gp4", "a.3gp", "", "video/3gpp"),
        (b"\xff\xfb\x90\x44", "talk.mpeg", "", "audio/mpeg"),
    ],
)
def test_then_the_name_then_the_default(data: bytes, name: str, default: str, kind: str) -> None:
    assert mime_type_of(data, name, default) == kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *[(f"a.{suffix}", "audio/aiff") for suffix in ("aiff", "aif", "aifc", "AIFF")],
        *[(f"a.{suffix}", "audio/mp4") for suffix in ("m4a", "m4b")],
        *[(f"a.{suffix}", "audio/ogg") for suffix in ("ogg", "oga", "opus")],
        *[(f"a.{suffix}", "audio/mpeg") for suffix in ("mp3", "mpga")],
        ("a.mpeg", "video/mpeg"),
        ("a.amr", "audio/amr"),
        ("a.caf", "audio/x-caf"),
        ("a.wma", "audio/x-ms-wma"),
        ("a.heic", "image/heic"),
        ("a.avif", "image/avif"),
        ("a.jfif", "image/jpeg"),
    ],
)
def test_a_file_keeps_its_name(name: str, kind: str) -> None:
    assert mime_type_of(b"??", name) == kind
    assert file_name(name, kind, "audio") == name


@pytest.mark.parametrize(
    ("name", "kind", "called"),
    [
        ("talk.mpeg", "audio/mpeg", "talk.mpeg"),
        ("talk.m4a", "video/mp4", "talk.m4a"),
        ("talk.wav", "audio/mpeg", "talk.mp3"),  # a server tells by the ending what to decode
        ("talk", "audio/x-caf", "talk.caf"),
        ("v1.2", "audio/flac", "v1.2.flac"),
        (None, "audio/aiff", "audio.aiff"),
        (None, "audio/mp4", "audio.m4a"),
        (None, "audio/ogg", "audio.ogg"),
        (None, "audio/x-odd", "audio"),
        (".wav", "audio/wav", ".wav.wav"),
        ("C:\\me\\talk.mp3", "audio/mpeg", "talk.mp3"),
        ("\udcffa.mp3", "audio/mpeg", "?a.mp3"),
    ],
)
def test_what_a_file_is_called(name: str | None, kind: str, called: str) -> None:
    assert file_name(name, kind, "audio") == called


def test_media_are_bytes_that_know_what_they_are(tmp_path: Path) -> None:
    media = Media(FTYP + b"isom" + b"secret" * 1000, "video/mp4")
    assert repr(media) == str(media) == "Media(video/mp4, 6012 bytes)"
    media.save(tmp_path / "a.mp4")
    assert (tmp_path / "a.mp4").read_bytes() == media
    Media(b"x").save(str(tmp_path / "a.mp4"))
    assert (tmp_path / "a.mp4").read_bytes() == b"x"
    again = pickle.loads(pickle.dumps(Media(b"samples", "audio/pcm")))
    assert (again, again.mime_type, type(again)) == (b"samples", "audio/pcm", Media)


def test_data_urls() -> None:
    assert data_url(b"\x00\xff", "image/png") == "data:image/png;base64,AP8="
    assert from_data_url(data_url(PNG, "image/jpeg")) == (PNG, "image/png")
    assert from_data_url("DATA:audio/pcm;rate=16000;BASE64,AP8=") == (b"\x00\xff", "audio/pcm")
    assert from_data_url("data:,a%20b,c") == (b"a b,c", "text/plain")


@pytest.mark.parametrize("text", ["", "data:image/png;base64", "http://x/,", "data:;base64,A", "data:;base64,A A=x"])
def test_what_is_no_data_url(text: str) -> None:
    with pytest.raises(DecodeError) as raised:
        from_data_url(text)
    assert "A A" not in str(raised.value)


@pytest.mark.parametrize("text", ["A", "AA==A", "AAAA=", "AA=", "AAAA\x00", "ÄAAA", "====", "=AAA", "!!!!", "AA.."])
def test_what_is_no_base64(text: str) -> None:
    with pytest.raises(DecodeError, match=r"^not base64, or cut off$"):
        from_base64(text)
    with pytest.raises(DecodeError):
        from_text(f"data:image/png;base64,{text}")


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 100, 101, 102])
def test_base64_in_all_its_forms(size: int) -> None:
    data = bytes(range(255, 255 - size, -1))
    plain, for_urls = base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()
    forms = [
        plain,
        for_urls,
        base64.encodebytes(data).decode(),
        base64.encodebytes(data).decode().replace("\n", "\r\n"),
    ]
    for form in [*forms, f" {plain}\n", *(form.replace("=", "") for form in forms)]:
        for text in (form, f"data:image/png;base64,{form}", f"\nDATA:audio/pcm;rate=1;base64,{form}"):
            assert from_text(text) == data
        assert from_base64(form, limit=size) == from_base64(form.encode(), limit=size) == data
        if size:
            with pytest.raises(ResponseTooLargeError):
                from_base64(form, limit=size - 1)
    assert from_text(f"data:;base64,{quote(plain, safe='')}") == data


def test_base64_has_its_size_before_it_is_read() -> None:
    for size in range(7):
        text = base64.b64encode(bytes(size)).decode()
        assert from_base64(text, limit=size) == from_base64(text.encode(), limit=size) == bytes(size)
        if size:
            with pytest.raises(ResponseTooLargeError) as raised:
                from_base64(text, limit=size - 1)
            assert raised.value.limit == size - 1
    with pytest.raises(ResponseTooLargeError):
        from_base64("!" * 400, limit=100)  # not base64 either, which nobody looked at
    with pytest.raises(ResponseTooLargeError):
        from_data_url("data:,abcd", limit=3)
    assert from_data_url("data:,%61%62%63", limit=3)[0] == b"abc"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_images_are_opened_by_their_header_alone(kind: str) -> None:
    image = open_image(encoded(RED, kind))
    assert (image.size, image.format) == ((5, 4), kind)
    assert image.convert("RGB").getpixel((2, 2))[0] > 250  # type: ignore[index]
    cut = open_image(encoded(Image.effect_noise((300, 300), 50), "PNG")[:-2000])
    with pytest.raises(OSError):  # Pillow's own, and its own words
        cut.load()


@pytest.mark.parametrize("data", [b"", b"x", PNG[:20], b"<html>", encoded(RED, "BMP"), encoded(RED, "TIFF"), b"GIF89a"])
def test_what_is_no_image(data: bytes) -> None:
    with pytest.raises(DecodeError, match=r"^not an image in one of the formats PNG, JPEG, WEBP, GIF, or a broken"):
        open_image(data)


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    head = (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in (head, *chunks, (b"IDAT", zlib.compress(b"\x00")), (b"IEND", b""))
    )
    return b"\x89PNG\r\n\x1a\n" + body


def gif(width: int, height: int, *frames: tuple[int, int, int, int], cut: int | None = None) -> bytes:
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    comment = b"!\xfe\x03abc\x00"
    bodies = b"".join(b"," + struct.pack("<HHHHB", *frame, 0) + b"\x02\x02\x4c\x01\x00" for frame in frames)
    return (head + comment + bodies + b";")[:cut]


@pytest.mark.parametrize(
    "data",
    [
        png(7071, 7072),
        png(65_535, 65_535),
        png(10_000, 9_000),  # which Pillow only warns of
        png(5000, 5000, (b"acTL", struct.pack(">II", 9, 0))),
        png(1, 1, (b"acTL", struct.pack(">II", 10_001, 0))),
        gif(60_000, 1000, (0, 0, 1, 1)),
        gif(1, 1, (0, 0, 1, 1), (1, 1, 60_000, 60_000)),
        gif(5000, 5000, *[(0, 0, 1, 1)] * 9),
        gif(1, 1, *[(0, 0, 1, 1)] * 20_000),
    ],
)
def test_images_that_are_too_large_are_not_opened(data: bytes) -> None:
    with pytest.raises(ResponseTooLargeError) as raised:
        open_image(data)
    assert raised.value.limit in (50_000_000, 200_000_000, 10_000)


@pytest.mark.parametrize(
    "data", [png(7071, 7070), png(5000, 5000, (b"acTL", struct.pack(">II", 7, 0))), gif(9, 9, (0, 0, 9, 9), cut=-4)]
)
def test_images_that_are_just_small_enough_are(data: bytes) -> None:
    assert open_image(data).size[0] > 1


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"WEBP" + b"".join(
        name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for name, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def canvas(width: int, height: int) -> tuple[bytes, bytes]:
    return b"VP8X", bytes([2, 0, 0, 0]) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")


WEBP = encoded(RED, "WEBP")
FRAME = (b"ANMF", bytes(6) + (4).to_bytes(3, "little") + (3).to_bytes(3, "little") + bytes(4) + WEBP[12:])
JPEG = encoded(RED, "JPEG")
SIZE_AT = JPEG.index(b"\xff\xc0") + 5


@pytest.mark.parametrize(
    "data",
    [
        riff(canvas(16_383, 16_383), (b"ANIM", bytes(6)), FRAME),
        riff(canvas(5000, 5000), (b"ANIM", bytes(6)), *[FRAME] * 9),
        riff(canvas(5, 4), (b"ANIM", bytes(6)), *[FRAME] * 10_001),
        riff((b"VP8L", b"\x2f" + (16_382 | 16_382 << 14).to_bytes(4, "little"))),
        riff((b"VP8 ", bytes(6) + struct.pack("<HH", 16_383, 16_383))),
        JPEG[:SIZE_AT] + struct.pack(">HH", 11_000, 11_000) + JPEG[SIZE_AT + 4 :],
        png(10_000, 10_000),
    ],
)
def test_no_decoder_sees_a_picture_that_is_too_large(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "open", None)
    with pytest.raises(ResponseTooLargeError):
        open_image(data)


@pytest.mark.parametrize(
    "data",
    [
        png(5, 4, *[(b"tEXt", b"a\0b")] * 200_000),
        png(5, 4, *[(b"IDAT", b"")] * 200_000),
        png(5, 4, (b"zTXt", b"a\0\0" + zlib.compress(bytes(20_000_000)))),
        png(5, 4, (b"iCCP", b"a\0\0" + zlib.compress(bytes(20_000_000)))),
        png(5, 4, (b"tEXt", b"a\0" + bytes(17_000_000))),
        JPEG[:2] + b"\xff\xe1\0\2" * 200_000 + JPEG[2:],
        JPEG[:2] + b"\xff" * 400_000 + JPEG[2:],
        riff(canvas(5, 4), *[(b"EXIF", b"")] * 200_000, FRAME),
        gif(5, 4)[:-1] + b"!\xfe\1a\0" * 200_000 + b";",
        gif(5, 4)[:-1] + b"!\xfe" + b"\1a" * 400_000 + b"\0;",
    ],
)
def test_pictures_that_are_mostly_something_else(data: bytes) -> None:
    with pytest.raises(DecodeError):
        open_image(data)


def test_the_first_picture_of_a_jpeg_of_several() -> None:
    several = encoded(RED, "MPO", save_all=True, append_images=[RED])
    image = open_image(several)
    assert (image.format, image.size) == ("JPEG", (5, 4))
    image.load()


def test_the_frames_of_a_gif_are_all_counted() -> None:
    frames = [Image.new("L", (5, 4), shade) for shade in (10, 120, 230)]
    image = open_image(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert image.n_frames == 3  # type: ignore[attr-defined]


def test_encoding() -> None:
    data, kind = encode_image(RED)
    assert (kind, open_image(data).tobytes()) == ("image/png", RED.tobytes())
    photo = open_image(encoded(Image.effect_noise((64, 64), 60), "JPEG", quality=30))
    data, kind = encode_image(photo)
    assert kind == "image/jpeg"
    assert open_image(data).quantization == photo.quantization  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK", "YCbCr", "HSV", "PA", "La", "RGBa", "LAB", "RGBX"]
)
def test_every_mode_is_encoded(mode: str) -> None:
    data, kind = encode_image(Image.new(mode, (3, 2)))
    assert (kind, open_image(data).size) == ("image/png", (3, 2))


GREY = {
    "L": 100,
    "LA": (100, 255),
    "RGB": (100,) * 3,
    "RGBA": (100, 100, 100, 255),
    "PA": (100, 255),
    "RGBa": (100, 100, 100, 255),
    "CMYK": (155, 155, 155, 0),
    "YCbCr": (100, 128, 128),
    "HSV": (0, 0, 100),
    "LAB": (108, 128, 128),
    "I;16": 100 * 257,
    "I;16B": 100 * 257,
    "I;16L": 100 * 257,
}


@pytest.mark.parametrize("mode", GREY)
def test_grey_stays_grey(mode: str) -> None:
    image = Image.new(mode, (3, 2))
    if mode == "PA":
        image.putpalette([shade for shade in range(256) for _ in range(3)])
    image.paste(GREY[mode], (0, 0, 3, 2))  # type: ignore[arg-type]
    sent = open_image(encode_image(image, deep=False)[0]).convert("RGB")
    assert all(abs(part - 100) <= 4 for part in sent.getpixel((1, 1)))  # type: ignore[union-attr]


def test_depth_is_kept_where_it_can_be() -> None:
    ramp = numpy.arange(6, dtype="<u2").reshape(2, 3) * 9999
    image = Image.fromarray(ramp)
    assert image.mode == "I;16"
    assert numpy.array_equal(numpy.asarray(open_image(encode_image(image)[0])), ramp)
    shallow = open_image(encode_image(image, deep=False)[0])
    assert (shallow.mode, numpy.asarray(shallow).tolist()) == ("L", (ramp // 256).tolist())


@pytest.mark.parametrize("mode", ["I", "F"])
def test_numbers_without_a_range_are_refused_as_arrays_of_them_are(mode: str) -> None:
    image = Image.new(mode, (3, 2), 300)
    assert f"is of mode {mode!r}, whose numbers have no range" in (check_source(image) or "")
    with pytest.raises(InvalidParameterError, match=f"the image is of mode '{mode}'"):
        encode_image(image)


def test_what_is_clear_stays_clear() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.info["transparency"] = 0
    assert open_image(encode_image(image)[0]).convert("RGBA").getpixel((0, 0)) == (255, 0, 0, 0)


@pytest.mark.parametrize("kind", ["JPEG", "MPO", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("edge", range(1, 9))
def test_a_photo_is_sent_the_right_way_up(kind: str, edge: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = edge
    corner = Image.new("RGB", (32, 16), (0, 0, 0))
    corner.paste((255, 255, 255), (0, 0, 8, 8))
    photo = Image.open(io.BytesIO(encoded(corner, kind, exif=exif)))
    seen = exif_transpose(photo).convert("L")
    data, found = encode_image(photo)
    sent = Image.open(io.BytesIO(data))
    assert found == ("image/jpeg" if kind in {"JPEG", "MPO"} else "image/png")
    assert (sent.size, 0x0112 in sent.getexif()) == (seen.size, False)
    assert all(abs(a - b) < 60 for a, b in zip(sent.convert("L").tobytes(), seen.tobytes(), strict=True))


def test_broken_exif_data_turn_nothing() -> None:
    photo = Image.open(io.BytesIO(encoded(RED, "JPEG", exif=b"Exif\0\0garbage")))
    assert Image.open(io.BytesIO(encode_image(photo)[0])).size == RED.size


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 3), (2, 3, 4)])
def test_arrays_are_encoded(shape: tuple[int, ...]) -> None:
    array = numpy.arange(numpy.prod(shape), dtype="u1").reshape(shape)
    for each in (array, numpy.asfortranarray(array), array[::-1]):
        data, kind = encode_image(each)
        assert kind == "image/png"
        assert numpy.array_equal(numpy.asarray(open_image(data)), each)


def test_what_cannot_be_encoded() -> None:
    with pytest.raises(InvalidParameterError, match="the image must be an array of uint8"):
        encode_image(numpy.zeros((2, 2), "f8"))
    with pytest.raises(InputError, match="the image cannot be read"):
        encode_image(open_image(encoded(Image.effect_noise((300, 300), 50), "PNG")[:-2000]))


def test_nothing_heavy_is_imported_for_it() -> None:
    code = (
        "import sys, headwater.media, headwater.providers.pipeline_results;"
        "print(sorted({'PIL', 'numpy', 'httpx', 'ssl', 'mimetypes'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=240)
    assert result.stdout.strip() == "[]"
