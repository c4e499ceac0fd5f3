"""A sound or a video that a server made: bytes that know their MIME type and save themselves."""

from __future__ import annotations

import binascii
import os
from typing import Any, Self

from .mime import LARGEST as LARGEST
from .mime import UNKNOWN as UNKNOWN
from .mime import data_url as data_url
from .mime import ending_of as ending_of
from .mime import from_base64 as from_base64
from .mime import from_data_url as from_data_url
from .mime import from_text as from_text
from .mime import mime_type_of as mime_type_of


class Media(bytes):
    """Bytes of a sound, a video or an image that know their type: `media.mime_type`, `media.save(path)`."""

    mime_type: str

    def __new__(cls, data: bytes | bytearray | memoryview, mime_type: str | None = None) -> Self:
        """The type is found by the first bytes where it is not given."""
        media = super().__new__(cls, data)
        media.mime_type = mime_type or mime_type_of(data)
        return media

    @property
    def facts(self) -> Any:
        """How this came about (`headwater.Facts`), if a call gave it."""
        return vars(self).get("_facts")

    def __repr__(self) -> str:
        return f"Media({self.mime_type}, {len(self)} bytes)"

    __str__ = __repr__

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the bytes to a file, over what is there."""
        from pathlib import Path

        Path(path).write_bytes(self)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from ..schema.pydantic_schema import pydantic_schema

        return pydantic_schema(cls._taken, _dumped)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> Any:
        return {"type": "string", "contentEncoding": "base64"}

    @classmethod
    def _taken(cls, value: Any) -> Self:
        """A value of a pydantic model as this type: bytes, or their base64 as JSON has it."""
        if isinstance(value, cls):
            return value
        if not isinstance(value, bytes):
            try:
                value = binascii.a2b_base64(value, strict_mode=True)
            except (TypeError, ValueError):
                raise ValueError("bytes or their base64 are wanted") from None
        return cls(value)


def _dumped(media: Any, info: Any) -> Any:
    return binascii.b2a_base64(media, newline=False).decode() if info.mode == "json" else media
