"""An answer that is there: as text, as JSON, or as a file's bytes.

A text is printed as text, and so is a result that has nothing but a text; all else that is no image, sound or video
is JSON. Media inside JSON are data URLs. Pillow and numpy are never imported for this: who has a value has its package.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Final

import msgspec

from ..media.images import UNKNOWN, data_url, encode_image, mime_type_of
from ..media.mime import suffix_of
from ..media.source import kind_of
from ..tasks.output import Output

_FORMATS: Final = {".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".gif": "GIF"}


def as_json(result: Any, *, pretty: bool) -> str:
    """The whole result as JSON, in one line unless `pretty`."""
    encoded = msgspec.json.encode(_plain(result), enc_hook=_encode)
    return (msgspec.json.format(encoded, indent=2) if pretty else encoded).decode()


def _plain(value: Any) -> Any:
    return data_url_of(value) if isinstance(value, bytes) else value


def _encode(value: Any) -> Any:
    if kind_of(value) == "image":
        return data_url(*encode_image(value))
    if callable(getattr(value, "tolist", None)):  # numpy's arrays and numbers
        return value.tolist()
    if isinstance(value, bytes):
        return data_url_of(value)
    raise NotImplementedError(type(value).__name__)


def data_url_of(data: bytes) -> str:
    """Bytes as a data URL."""
    return data_url(data, _kind(data))


def _kind(data: bytes) -> str:
    """What the bytes are, by themselves, else as the server called them."""
    return mime_type_of(data, default=getattr(data, "mime_type", None) or UNKNOWN)


def as_text(result: Any) -> str | None:
    """The text that a result is; None where it is more than a text."""
    if isinstance(result, str):
        return result
    if not isinstance(result, Output):
        return None
    told = [(name, value) for name, value in result.items() if value is not None]
    if len(told) == 1 and (told[0][0] == "text" or told[0][0].endswith("_text")) and isinstance(told[0][1], str):
        return told[0][1]
    return None


def as_file(result: Any, path: str | None) -> tuple[bytes, str] | None:
    """An image, sound or video as a file's bytes and suffix; None for other results. The path's suffix picks an
    image's format, PNG where it names none."""
    if isinstance(result, bytes):
        return result, suffix_of(_kind(result))
    if kind_of(result) != "image":
        return None
    chosen = _FORMATS.get(Path(path).suffix.lower()) if path else None
    if chosen is not None:
        return _in_format(result, chosen), Path(path or "").suffix
    data, kind = encode_image(result)
    return data, suffix_of(kind)


def _in_format(image: Any, chosen: str) -> bytes:
    file = io.BytesIO()
    fits = image if chosen != "JPEG" or image.mode in ("L", "RGB", "CMYK") else image.convert("RGB")
    fits.save(file, chosen)
    return file.getvalue()
