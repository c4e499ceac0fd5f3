"""What an input may be - bytes, files, paths, URLs, images, arrays - and of which kind a given one is."""

from __future__ import annotations

import inspect
import io
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Final, Literal, TypeAlias

from msgspec import Meta

from .mime import LARGEST as LARGEST
from .mime import UNKNOWN as UNKNOWN
from .mime import data_url as data_url
from .mime import ending_of as ending_of
from .mime import from_base64 as from_base64
from .mime import from_data_url as from_data_url
from .mime import from_text as from_text
from .mime import mime_type_of as mime_type_of

if TYPE_CHECKING:
    import numpy
    from PIL.Image import Image

    File: TypeAlias = bytes | bytearray | memoryview | BinaryIO | str | os.PathLike[str]
    """A file: its bytes, a binary file object, a path, an http(s) URL or a data URL."""
    Source: TypeAlias = File | Image | numpy.ndarray[Any, Any]
    """An image: a file, a PIL image, or an array of uint8: (height, width) or (height, width, 3 or 4).

    PIL images of all modes but "I" and "F", whose numbers have no range to scale by; 16 bits are scaled to 8."""
else:  # msgspec has no type for all of these: `check_source` looks at them.
    File = Source = Annotated[Any, Meta(extra_json_schema={"type": "string", "format": "binary"})]

SourceKind: TypeAlias = Literal["data", "file", "path", "url", "data-url", "image", "array"]
_BOUNDLESS: Final = frozenset({"I", "F"})
"""Pillow's modes of numbers of any size: white may be 1, 255, 65535 or whatever."""


def kind_of(source: object) -> SourceKind | None:
    """Which kind of source this is, by its type alone; None for what is none."""
    if isinstance(source, bytes | bytearray | memoryview):
        return "data"
    if isinstance(source, str):
        start = source[:8].lower()
        if start.startswith(("http://", "https://")):
            return "url"
        return "data-url" if start.startswith("data:") else "path"
    if isinstance(source, os.PathLike):
        return "path"
    if _is_a("PIL.Image", "Image", source):
        return "image"
    if _is_a("numpy", "ndarray", source):
        return "array"
    return "file" if callable(getattr(source, "read", None)) else None


def _is_a(module: str, name: str, value: object) -> bool:
    """Whether the value is of this class, whose package is imported already if there is such a value."""
    found = getattr(sys.modules.get(module), name, None)
    return isinstance(found, type) and isinstance(value, found)


def check_source(value: object, *, images: bool = True) -> str | None:
    """What is wrong with a source, as the end of a sentence ("is a text-mode file; ..."), or None.

    Nothing is opened: a path may not be there. `images`: whether PIL images and arrays do.
    """
    return check_kind(value, kind_of(value), images=images)


def check_kind(value: object, kind: SourceKind | None, *, images: bool = True) -> str | None:
    """What is wrong with a source whose kind is known, as `check_source` says it."""
    if kind is None or (kind in ("image", "array") and not images):
        takes = "bytes, a binary file, a path, an http(s) URL or a data URL"
        more = ", a PIL image or a numpy array" if images else ""
        return f"must be {takes}{more}, not {type(value).__name__}"
    if kind == "file":
        return _check_file(value)
    if kind == "array":
        return _check_array(value)
    if kind == "image":
        return _check_mode(value)
    if kind == "path" and not isinstance(os.fspath(value), str):  # type: ignore[call-overload]
        return "must be a path of text, not of bytes"
    if kind in ("data", "path"):
        is_empty = not (value.nbytes if isinstance(value, memoryview) else value)
        return "is empty" if is_empty else None
    return None


def _check_file(file: Any) -> str | None:
    if isinstance(file, io.TextIOBase) or (hasattr(file, "encoding") and hasattr(file, "errors")):
        return "is a text-mode file; open it with mode 'rb'"
    if getattr(file, "closed", False):
        return "is a closed file"
    if inspect.iscoroutinefunction(file.read):
        return "is an asynchronous file; read it, and pass the bytes"
    return None


def _check_array(array: Any) -> str | None:
    is_image = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    if is_image and array.dtype.name == "uint8" and array.size:
        return None
    shape = "x".join(map(str, array.shape))
    return (
        "must be an array of uint8 with the shape (height, width) or (height, width, 3 or 4),"
        f" not {shape or 'a single'} {array.dtype.name}"
    )


def _check_mode(image: Any) -> str | None:
    if image.mode not in _BOUNDLESS:
        return None
    return (
        f"is of mode {image.mode!r}, whose numbers have no range to scale by; scale them to 0 to 255, and"
        " pass image.convert('L') or an array of uint8"
    )
