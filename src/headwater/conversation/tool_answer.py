"""What a tool has returned, as what a model is told and shown.

A text is told as it is, anything else as JSON; images, and lists with images in them, are shown besides. What has no
plain form is told by Python's own `str`.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from anyio import to_thread
from msgspec import MsgspecError

from ..errors import HeadwaterError, ToolError
from ..media.images import encode_image
from ..media.media import Media
from ..media.source import kind_of
from ..protocol.json_value import UnsayableError, json_value
from ..tasks.output import to_json
from ..tasks.surrogates import repair_surrogates
from .tool_call import MAX_PROBLEM

MAX_CONTENT: Final = 1024 * 1024
"""Characters of an answer that are told; the rest is left out, which is said."""
_EMPTY: Final = "(nothing)"


class ToolContent(msgspec.Struct, kw_only=True):
    """What a model is told, `text`, and shown, `images`: parts of a message, {"type": "image_url", ...}.

    A tool may return one, to say something else to the model than to the program, whose `value` it has.
    """

    text: str = ""
    images: list[dict[str, Any]] = []
    value: Any = None
    is_error: bool = False


async def content_of(value: Any) -> ToolContent:
    """What a tool's result tells and shows; an image is encoded in a thread."""
    items = value if isinstance(value, list | tuple) else (value,)
    if any(kind_of(item) == "image" for item in items):
        return await to_thread.run_sync(_content, value)
    return _content(value)


def _content(value: Any) -> ToolContent:
    if isinstance(value, ToolContent):
        found = value
    elif (image := _image(value)) is not None:
        found = ToolContent(text="(an image)", images=[image])
    elif isinstance(value, list | tuple) and any(_image(item) is not None for item in value):
        found = _mixed(value)
    else:
        found = ToolContent(text=_told(value))
    return msgspec.structs.replace(found, text=_bounded(found.text or _EMPTY))


def _mixed(values: Iterable[Any]) -> ToolContent:
    texts, images = [], []
    for item in values:
        image = _image(item)
        texts.append("(an image)" if image is not None else _told(item))
        images += [image] if image is not None else []
    return ToolContent(text="\n".join(texts), images=images)


def _image(value: Any) -> dict[str, Any] | None:
    """An image as a part of a message: Pillow's, a `Media` of that type, or the part itself."""
    if isinstance(value, Mapping) and value.get("type") == "image_url" and "image_url" in value:
        return dict(value)
    if isinstance(value, Media):
        return image_part(value, value.mime_type) if value.mime_type.startswith("image/") else None
    picture: Any = value
    if kind_of(picture) == "image":
        data, mime = encode_image(picture)
        return image_part(data, mime)
    return None


def image_part(data: bytes, mime: str) -> dict[str, Any]:
    """The part of a message that shows an image."""
    text = binascii.b2a_base64(data, newline=False).decode()
    return {"type": "image_url", "image_url": {"url": f"data:{mime};base64,{text}"}}


def _told(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return _EMPTY
    for encode in (to_json, lambda given: msgspec.json.encode(json_value(given))):
        try:
            return encode(value).decode()
        except (TypeError, ValueError, OverflowError, RecursionError, HeadwaterError, UnsayableError, MsgspecError):
            continue
    return str(value)


def _bounded(text: str) -> str:
    text = repair_surrogates(text)  # half a character cannot be sent
    if len(text) <= MAX_CONTENT:
        return text
    return f"{text[:MAX_CONTENT]}\n(the answer has {len(text)} characters; the rest was left out)"


def problem_of(error: BaseException) -> str:
    """What a model is told of a tool's error: the text of a `ToolError`, else the class and the text."""
    text = str(error)
    told = text if isinstance(error, ToolError) and text else f"{type(error).__name__}: {text}".removesuffix(": ")
    return f"Error: {repair_surrogates(told[:MAX_PROBLEM])}"
