"""The parts of a chat's message as Anthropic's blocks: texts, images, documents. Pure.

What has no block is refused by its place. Blocks of Anthropic's own in a chat's content go as they are.
https://platform.claude.com/docs/en/build-with-claude/vision, https://platform.claude.com/docs/en/build-with-claude/pdf-support
"""

from __future__ import annotations

import binascii
from typing import Any, Final

from ..errors import HeadwaterError, InvalidParameterError, UnsupportedParameterError
from ..media.mime import from_data_url

_OWN: Final = frozenset({"container_upload", "document", "image", "search_result"})
"""Blocks of Anthropic's that stand in a chat's content as they are."""
_OTHER_NAMES: Final = {"image/jpg": "image/jpeg"}


def unsupported(what: str) -> UnsupportedParameterError:
    """The error for what Anthropic's Messages cannot say."""
    return UnsupportedParameterError(f"Anthropic's Messages have no {what}: leave it out, or ask another provider")


def blocks_of_user(content: Any, place: str) -> list[dict[str, Any]]:
    """The blocks of a content. Raises `InvalidParameterError` for a part that is none that Anthropic knows."""
    if content is None or isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    blocks = [_block(part, f"{place}.content[{number}]") for number, part in enumerate(content)]
    return [block for block in blocks if block.get("type") != "text" or block.get("text")]


def _block(part: Any, place: str) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if not isinstance(part, dict):
        raise InvalidParameterError(f"{place} must be a dict with a type, not {type(part).__name__}")
    kind = part.get("type")
    beside = {name: value for name, value in part.items() if name == "cache_control" and value is not None}
    if kind in {"text", "input_text", "output_text", "refusal"}:
        return {"type": "text", "text": part.get("text") or part.get("refusal") or "", **beside}
    if kind == "image_url":
        return {"type": "image", "source": _picture(part.get("image_url"), place), **beside}
    if kind == "file":
        return {**_document(part.get("file"), place), **beside}
    if kind in _OWN:
        return part
    raise unsupported(f"{place} of type {kind!r}")


def _picture(value: Any, place: str) -> dict[str, Any]:
    url = value.get("url") if isinstance(value, dict) else value
    if isinstance(url, str) and url[:5].lower() == "data:":
        data, mime_type = _data(url, place)
        return {"type": "base64", "media_type": mime_type, "data": _base64(data)}
    if isinstance(url, str) and url[:8].lower().startswith(("http://", "https://")):
        return {"type": "url", "url": url}
    raise InvalidParameterError(f"{place}.image_url.url must be an http(s) URL or a data URL")


def _document(value: Any, place: str) -> dict[str, Any]:
    """A file's block: a PDF, an image, or a text. https://platform.openai.com/docs/guides/pdf-files"""
    file = value if isinstance(value, dict) else {}
    if not isinstance(file.get("file_data"), str):
        raise unsupported(f"{place}.file without file_data")
    text = file["file_data"]
    data, mime_type = _data(text if text[:5].lower() == "data:" else f"data:application/pdf;base64,{text}", place)
    title = {"title": file["filename"]} if isinstance(file.get("filename"), str) else {}
    if mime_type.startswith("image/"):
        return {"type": "image", "source": {"type": "base64", "media_type": mime_type, "data": _base64(data)}}
    if mime_type == "application/pdf":
        source = {"type": "base64", "media_type": mime_type, "data": _base64(data)}
        return {"type": "document", "source": source, **title}
    if mime_type.startswith("text/"):
        try:
            source = {"type": "text", "media_type": "text/plain", "data": data.decode()}
        except UnicodeDecodeError:
            raise InvalidParameterError(f"{place}.file is no text in UTF-8") from None
        return {"type": "document", "source": source, **title}
    raise unsupported(f"{place}.file of type {mime_type}")


def _data(url: str, place: str) -> tuple[bytes, str]:
    try:
        data, mime_type = from_data_url(url)
    except HeadwaterError as error:
        raise InvalidParameterError(f"{place}: {error.message}") from None
    except ValueError as error:
        raise InvalidParameterError(f"{place} is no data URL: {error}") from None
    return data, _OTHER_NAMES.get(mime_type, mime_type)


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()
