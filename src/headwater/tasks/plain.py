"""Results with media in them: an `Output` whose sounds and images become base64 in plain data.

An image is only encoded then, as PNG or JPEG.
"""

from __future__ import annotations

import binascii
from typing import Any

import msgspec

from ..media import Media, encode_image, kind_of
from .output import Output


class MediaOutput(Output):
    """A result with sounds or images; `to_dict()` and `to_json()` write them as base64."""

    def to_dict(self) -> dict[str, Any]:
        """The declared fields as plain dicts and lists, all the way down."""
        plain: dict[str, Any] = msgspec.to_builtins(self, enc_hook=_base64)
        return plain

    def to_json(self) -> str:
        """The declared fields as JSON text."""
        return msgspec.json.encode(self, enc_hook=_base64).decode()


def to_json(value: Any) -> bytes:
    """Any result or event as JSON: images, sounds and videos as base64, arrays as lists.

    Raises `TypeError` for what has no plain form.
    """
    return msgspec.json.encode(value, enc_hook=_plain)


def _plain(value: Any) -> Any:
    return value.tolist() if kind_of(value) == "array" else _base64(value)


def _base64(value: Any) -> str:
    if isinstance(value, Media):
        data: bytes = value
    elif kind_of(value) == "image":
        data, _ = encode_image(value)
    else:
        raise TypeError(f"a {type(value).__name__} has no plain form")
    return binascii.b2a_base64(data, newline=False).decode()
