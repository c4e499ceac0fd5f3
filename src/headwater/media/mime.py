"""What bytes are, by their first ones, and how they travel as text: base64 and data URLs.

Pure. Base64 is read as servers write it: also wrapped in lines, without padding, in the alphabet of URLs, or as a
data URL. Nothing over a limit is read, which is checked before anything is decoded; what is no base64 is refused.
"""

from __future__ import annotations

import binascii
from typing import Final
from urllib.parse import unquote, unquote_to_bytes

from ..errors import DecodeError, ResponseTooLargeError
from ..protocol.flow import LARGEST as LARGEST
from ..protocol.lazy import lazy_pattern

UNKNOWN: Final = "application/octet-stream"

_OPENINGS: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"#!AMR-WB", "audio/amr-wb"),
    (b"#!AMR", "audio/amr"),
    (b"caff\x00", "audio/x-caf"),
    (b".snd", "audio/basic"),
    (b"wvpk", "audio/x-wavpack"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video/x-ms-asf"),
    (b"\x00\x00\x01\xba", "video/mpeg"),
    (b"\x00\x00\x01\xb3", "video/mpeg"),
    (b"FLV\x01", "video/x-flv"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "image/jxl"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "image/jp2"),
    (b"%PDF-", "application/pdf"),
)
_FORM: Final = frozenset({b"AIFF", b"AIFC"})
_RIFF: Final = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_BRANDS: Final = {
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"M4P ": "audio/mp4",
    b"qt  ": "video/quicktime",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"heim": "image/heic",
    b"heis": "image/heic",
    b"hevc": "image/heic-sequence",
    b"mif1": "image/heif",
    b"msf1": "image/heif-sequence",
    b"avif": "image/avif",
    b"avis": "image/avif",
}
_SUFFIXES: Final = {
    "3g2": "video/3gpp2",
    "3gp": "video/3gpp",
    "aac": "audio/aac",
    "aif": "audio/aiff",
    "aifc": "audio/aiff",
    "aiff": "audio/aiff",
    "amr": "audio/amr",
    "asf": "video/x-ms-asf",
    "au": "audio/basic",
    "avi": "video/x-msvideo",
    "avif": "image/avif",
    "awb": "audio/amr-wb",
    "bmp": "image/bmp",
    "caf": "audio/x-caf",
    "flac": "audio/flac",
    "flv": "video/x-flv",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
    "jfif": "image/jpeg",
    "jp2": "image/jp2",
    "jpe": "image/jpeg",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "jxl": "image/jxl",
    "m4a": "audio/mp4",
    "m4b": "audio/mp4",
    "m4v": "video/mp4",
    "mkv": "video/x-matroska",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "mpeg": "video/mpeg",
    "mpg": "video/mpeg",
    "mpga": "audio/mpeg",
    "oga": "audio/ogg",
    "ogg": "audio/ogg",
    "ogv": "video/ogg",
    "opus": "audio/ogg",
    "pdf": "application/pdf",
    "png": "image/png",
    "snd": "audio/basic",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "wav": "audio/wav",
    "wave": "audio/wav",
    "weba": "audio/webm",
    "webm": "video/webm",
    "webp": "image/webp",
    "wma": "audio/x-ms-wma",
    "wmv": "video/x-ms-wmv",
    "wv": "audio/x-wavpack",
}
_USUAL: Final = {
    "audio/aiff": "aiff",
    "audio/mp4": "m4a",
    "audio/ogg": "ogg",
    "image/jpeg": "jpg",
    "video/mp4": "mp4",
    "video/mpeg": "mpeg",
}
_ENDINGS: Final = {kind: suffix for suffix, kind in reversed(_SUFFIXES.items())} | _USUAL
_OTHER_NAMES: Final = {
    "audio/aacp": "aac",
    "audio/l16": "pcm",
    "audio/m4a": "m4a",
    "audio/mp3": "mp3",
    "audio/opus": "opus",
    "audio/pcm": "pcm",
    "audio/vnd.wave": "wav",
    "audio/wave": "wav",
    "image/jpg": "jpg",
    "image/pjpeg": "jpg",
    "image/svg+xml": "svg",
    "video/mpeg4": "mp4",
}
"""What some servers call them; "x-" may stand before any."""
_TYPE: Final = lazy_pattern(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+\Z")
_EITHER: Final = frozenset({"mp4", "webm", "ogg"})
"""Containers that begin alike with sound alone and with pictures."""
_WINDOWS: Final = frozenset({"audio/x-ms-wma", "video/x-ms-wmv", "video/x-ms-asf"})
"""The same, under names of their own."""
_BRANDED: Final = frozenset({"video/3gpp", "video/3gpp2", "audio/3gpp"})
"""MP4 of telephones."""


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
    if (found == "video/x-ms-asf" and named in _WINDOWS) or (found == "video/mp4" and named in _BRANDED):
        return named
    family, _, container = found.partition("/")
    other, _, same = named.partition("/")
    is_open = container in _EITHER and same == container and {family, other} <= {"audio", "video"}
    return named if is_open else found


def file_name(name: str | None, mime_type: str, stem: str) -> str:
    """What a file is called where it goes up: its own name, with the ending of its type where it has another one.

    Servers choose a decoder by the ending alone. `stem`: what a file without a name is called.
    """
    own = (name or "").rpartition("/")[2].rpartition("\\")[2].encode(errors="replace").decode().strip()
    before, dot, suffix = own.rpartition(".")
    told = _SUFFIXES.get(suffix.lower()) if dot and before else None
    if told is not None and (told == mime_type or mime_type == UNKNOWN or told.partition("/")[2] in mime_type):
        return own
    ending = _ENDINGS.get(mime_type)
    if ending is None:
        return own or stem
    return f"{(before if told is not None else own) or stem}.{ending}"


def ending_of(content_type: str) -> str | None:
    """The usual ending of a file of this type, without its dot: the same on every Python and every machine."""
    kind = _tidy(content_type)
    for one in (kind, kind.replace("/x-", "/", 1), kind.replace("/", "/x-", 1)):
        if found := _ENDINGS.get(one) or _OTHER_NAMES.get(one):
            return found
    return None


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
    if head.startswith(b"FORM") and head[8:12] in _FORM:
        return "audio/aiff"
    if head.startswith(b"BM") and len(head) > 14 and head[6:10] == bytes(4):
        return "image/bmp"
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
    if scheme.strip().lower() != "data" or not comma:
        raise DecodeError("not a data URL: it begins with data:, a MIME type and a comma")
    kind, *settings = described.split(";")
    if settings and settings[-1].strip().lower() == "base64":
        data = from_base64(unquote(payload) if "%" in payload else payload, limit)
    else:
        data = _from_percents(payload, limit)
    return data, mime_type_of(data, default=kind or "text/plain")


def _from_percents(text: str, limit: int) -> bytes:
    if len(text) - 2 * text.count("%") > limit:
        raise _too_large(limit)
    return unquote_to_bytes(text)


_HEX: Final = lazy_pattern("(?:[0-9a-fA-F]{2}){16,64}")
_ALL_HEX: Final = lazy_pattern("(?:[0-9a-fA-F]{2})+")


def from_text(text: str, limit: int = LARGEST) -> bytes:
    """The bytes that an answer holds as text: base64 in any of its forms, a data URL, or hexadecimal digits of media.

    Raises `DecodeError`, with the text's beginning as its body, and `ResponseTooLargeError` for more than `limit`
    bytes.
    """
    try:
        if text[:16].lstrip()[:5].lower() == "data:":
            return from_data_url(text.strip(), limit)[0]
        if _HEX.match(text) and sniff(bytes.fromhex(text[:128])) and _ALL_HEX.fullmatch(text):  # MiniMax's sounds
            return bytes.fromhex(text)
        return from_base64(text, limit)
    except DecodeError as error:
        error.body = text[:512].encode(errors="replace")
        raise


def from_base64(text: str | bytes, limit: int = LARGEST) -> bytes:
    """The bytes of base64, https://www.rfc-editor.org/rfc/rfc4648#section-4, or of section 5's alphabet for URLs.

    Blanks and line breaks are passed over, and padding may be missing. Raises `DecodeError` for what is neither,
    and `ResponseTooLargeError` for more than `limit` bytes, before anything is decoded.
    """
    padding = len(text) - len(text.rstrip("=" if isinstance(text, str) else b"="))  # type: ignore[arg-type]
    is_long = len(text) // 4 * 3 - padding > limit
    if not is_long and len(text) % 4 == 0:  # which strict mode does not look at where there is too much padding
        try:
            return binascii.a2b_base64(text, strict_mode=True)
        except ValueError:
            pass
    try:
        written = text.encode("ascii") if isinstance(text, str) else text
    except UnicodeEncodeError:
        written = b"?"
    return _from_loose(written, limit)


def _from_loose(text: bytes, limit: int) -> bytes:
    """Bytes from base64 that is wrapped, without its padding, or for URLs."""
    bare = text.translate(_STANDARD, b" \t\r\n\f\v")
    if not bare:
        return b""
    digits = bare.rstrip(b"=")
    if len(digits) * 3 // 4 > limit:
        raise _too_large(limit)
    padding = -len(digits) % 4
    if digits and padding < 3 and len(bare) - len(digits) in (0, padding):
        try:
            return binascii.a2b_base64(digits + b"=" * padding, strict_mode=True)
        except ValueError:
            pass
    raise DecodeError("not base64, or cut off")


_STANDARD: Final = bytes.maketrans(b"-_", b"+/")


def _too_large(limit: int) -> ResponseTooLargeError:
    return ResponseTooLargeError(f"more than {limit} bytes in base64 or a data URL", limit=limit)


def suffix_of(mime_type: str) -> str:
    """The suffix of files of this MIME type, with its dot; ".bin" for one that nobody knows."""
    known = ending_of(mime_type)
    if known is not None:
        return f".{known}"
    import mimetypes  # which reads the system's tables, and is seldom needed

    return mimetypes.guess_extension(mime_type.partition(";")[0].strip().lower()) or ".bin"
