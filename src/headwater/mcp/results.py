"""What an MCP server's tool has returned, as what a model is told and shown; the result itself is the value.

https://modelcontextprotocol.io/specification/draft/server/tools#tool-result
"""

from __future__ import annotations

import json
from typing import Any

from ..conversation.tool_answer import ToolContent


def content_of_result(result: Any) -> ToolContent:
    """Texts and resources of text are told, images shown; of what is neither, its type, size and address are told."""
    texts: list[str] = []
    images: list[dict[str, Any]] = []
    for block in result.content:
        told, shown = _block(block)
        texts.append(told)
        images += [] if shown is None else [shown]
    if not texts and result.structured_content is not None:
        texts.append(json.dumps(result.structured_content, ensure_ascii=False))
    text = "\n".join(filter(None, texts))
    return ToolContent(
        text=f"Error: {text}" if result.is_error else text, images=images, value=result, is_error=bool(result.is_error)
    )


def _block(block: Any) -> tuple[str, dict[str, Any] | None]:
    if block.type == "text":
        return block.text, None
    if block.type == "image":
        return "(an image)", _image(block.data, block.mime_type)
    if block.type == "audio":
        return _unshown(block.mime_type, block.data), None
    if block.type == "resource_link":
        return f"{block.title or block.name}: {block.uri}", None
    if block.type == "resource":
        return _resource(block.resource)
    return f"({block.type})", None


def _resource(resource: Any) -> tuple[str, dict[str, Any] | None]:
    text = getattr(resource, "text", None)
    if text is not None:
        return f"{resource.uri}:\n{text}", None
    mime = resource.mime_type or "application/octet-stream"
    if mime.startswith("image/"):
        return f"{resource.uri}: (an image)", _image(resource.blob, mime)
    return f"{resource.uri}: {_unshown(mime, resource.blob)}", None


def _image(data: str, mime: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"data:{mime};base64,{data}"}}


def _unshown(mime: str, data: str) -> str:
    return f"({mime}, {len(data) * 3 // 4} bytes)"
