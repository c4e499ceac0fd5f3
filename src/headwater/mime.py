"""What bytes are, by their first ones, and how they travel as text: base64 and data URLs.

Pure. Base64 is read strictly: no blanks, no missing padding, no other alphabet, and nothing over a limit that
is checked before anything is decoded.
"""

from __future__ import annotations

import binascii
import re
from typing import Final
from urllib.parse import unquote_to_bytes

from .errors import DecodeError, ResponseTooLargeError
from .flow import MIB

UNKNOWN: Final = "application/octet-stream"
LARGEST: Final = 256 * MIB

_OPENINGS: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"%PDF-", "application/pdf"),
)
_RIFF: Final = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_BRANDS: Final = {
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"qt  ": "video/quicktime",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
    b"avif": "image/avif",
}
_SUFFIXES: Final = {
    "aac": "audio/aac",
    "aif": "audio/aiff",
    "aiff": "audio/aiff",
    "avi": "video/x-msvideo",
    "avif": "image/avif",
    "bmp": "image/bmp",
    "flac": "audio/flac",
    "gif": "image/gif",
    "heic": "image/heic",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "m4a": "audio/mp4",
    "mkv": "video/x-matroska",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "oga": "audio/ogg",
    "ogg": "audio/ogg",
    "ogv": "video/ogg",
    "opus": "audio/ogg",
    "pdf": "application/pdf",
    "png": "image/png",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "wav": "audio/wav",
    "weba": "audio/webm",
    "webm": "video/webm",
    "webp": "image/webp",
}
_TYPE: Final = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+\Z")
_EITHER: Final = frozenset({"mp4", "webm", "ogg"})
"""Containers that begin alike with sound alone and with pictures."""


def mime_type_of(data: bytes | bytearray | memoryview, name: str = "", default: str = UNKNOWN) -> str:
    """The MIME type, by the first bytes (64 do), then by the name's ending, then the default.

    Where the bytes leave open whether a container has pictures (MP4, WebM, Ogg), the name or the default
    says it.
    """
    _, dot, suffix = name.rpartition(".")
    named = (_SUFFIXES.get(suffix.lower()) if dot else None) or _tidy(default)
    found = sniff(data)
    if found is None:
        return named
    family, _, container = found.partition("/")
    other, _, same = named.partition("/")
    is_open = container in _EITHER and same == container and {family, other} <= {"audio", "video"}
    return named if is_open else found


def _tidy(content_type: str) -> str:
    kind = content_type.partition(";")[0].strip().lower()
    return kind if _TYPE.match(kind) else UNKNOWN


def sniff(data: bytes | bytearray | memoryview) -> str | None:
    """The MIME type by the first bytes alone; None where they are of no known kind."""
    head = bytes(data[:64])
    for opening, kind in _OPENINGS:
        if head.startswith(opening):
            return kind
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "video/webm" if b"webm" in head else "video/x-matroska"
    return _mpeg_audio(head)


def _mpeg_audio(head: bytes) -> str | None:
    """MP3 and AAC have no signature but a frame's 11 set bits; the fields after them must make sense."""
    if len(head) < 4 or head[0] != 0xFF:
        return None
    if head[1] & 0xF6 == 0xF0:
        return "audio/aac"
    is_frame = head[1] & 0xE6 == 0xE2 and head[1] & 0x18 != 0x08  # layer III, of a version that there is
    return "audio/mpeg" if is_frame and head[2] & 0xF0 != 0xF0 and head[2] & 0x0C != 0x0C else None


def data_url(data: bytes | bytearray | memoryview, mime_type: str) -> str:
    """`data:image/png;base64,...`, https://www.rfc-editor.org/rfc/rfc2397."""
    return f"data:{mime_type};base64,{binascii.b2a_base64(data, newline=False).decode()}"


def from_data_url(text: str, limit: int = LARGEST) -> tuple[bytes, str]:
    """The bytes of a data URL and their MIME type, which their first bytes decide.

    A PNG is recorded to be called image/jpeg here. Raises `DecodeError`, which does not repeat the URL, and
    `ResponseTooLargeError` for more than `limit` bytes.
    """
    head, comma, payload = text.partition(",")
    scheme, _, described = head.partition(":")
    if scheme.lower() != "data" or not comma:
        raise DecodeError("not a data URL: it begins with data:, a MIME type and a comma")
    kind, *settings = described.split(";")
    if settings and settings[-1].strip().lower() == "base64":
        data = from_base64(payload, limit)
    else:
        data = _from_percents(payload, limit)
    return data, mime_type_of(data, default=kind or "text/plain")


def _from_percents(text: str, limit: int) -> bytes:
    if len(text) - 2 * text.count("%") > limit:
        raise _too_large(limit)
    return unquote_to_bytes(text)


def from_base64(text: str | bytes, limit: int = LARGEST) -> bytes:
    """The bytes of padded base64 in the standard alphabet, https://www.rfc-editor.org/rfc/rfc4648#section-4.

    Raises `DecodeError`, and `ResponseTooLargeError` for more than `limit` bytes, before anything is decoded.
    """
    padding = len(text) - len(text.rstrip("=" if isinstance(text, str) else b"="))  # type: ignore[arg-type]
    if len(text) // 4 * 3 - padding > limit:
        raise _too_large(limit)
    try:
        if len(text) % 4 == 0:  # which strict mode does not look at where there is too much padding
            return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        pass
    raise DecodeError("not base64, or cut off")


def _too_large(limit: int) -> ResponseTooLargeError:
    return ResponseTooLargeError(f"more than {limit} bytes in base64 or a data URL", limit=limit)
