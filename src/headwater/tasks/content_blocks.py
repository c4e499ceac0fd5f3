"""What Anthropic's blocks are in a chat, and where a chat keeps what it has no words for: `content_blocks`.

An answer of Anthropic's as a chat's message has its text as `content`, its thinking as `reasoning`, its uses of tools
as `tool_calls`. Thinking has signatures, blocks have an order, and there are blocks of other kinds: a message that is
more than its members say has all of its blocks beside, as they came, and they are what goes back to whoever speaks
Messages. Whoever else is sent such a message gets it without them, and without the thinking, which is nobody else's.
Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..protocol.json_text import UNREADABLE, dumps, loads

MEMBER: Final = "content_blocks"
"""The member of a chat's message that keeps its blocks."""
_THOUGHTS: Final = ("reasoning", "reasoning_content", "reasoning_details", "thinking_blocks")


def arguments_text(value: Any) -> str:
    """A tool's input as the text that a chat has of it."""
    return value if isinstance(value, str) else dumps({} if value is None else value).decode()


def arguments_object(text: Any) -> dict[str, Any]:
    """A chat's arguments as the object that a block has; what is none, broken JSON for one, is a member of it."""
    value = text
    if isinstance(text, str):
        try:
            value = loads(text.encode(errors="replace")) if text.strip() else {}
        except UNREADABLE:
            value = None
    if value is None:
        return {} if text is None else {"arguments": text}
    return dict(value) if isinstance(value, Mapping) else {"arguments": value}


def text_in(blocks: list[Any]) -> str:
    """The text of all blocks of text."""
    return "".join(block.get("text") or "" for block in blocks if block.get("type") == "text")


def thinking_in(blocks: list[Any]) -> str:
    """What the blocks of thinking say."""
    return "".join(block.get("thinking") or "" for block in blocks if block.get("type") == "thinking")


def plain_blocks(content: str | None, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The blocks that a text and calls of tools are by themselves; `calls` have an id, a name and arguments."""
    text = [{"type": "text", "text": content}] if content else []
    uses = [
        {"type": "tool_use", "id": call["id"], "name": call["name"], "input": arguments_object(call["arguments"])}
        for call in calls
    ]
    return [*text, *uses]


def kept_blocks(message: Mapping[str, Any], calls: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """The blocks of a message, if it still says what they say; None where it has none, or was changed."""
    blocks = message.get(MEMBER)
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        return None
    uses = [block for block in blocks if block.get("type") == "tool_use"]
    same_text = text_in(blocks) == (_text_of(message.get("content")) or "")
    same_calls = [(use.get("id"), use.get("name")) for use in uses] == [(call["id"], call["name"]) for call in calls]
    same_input = all(_is_same(use.get("input"), call["arguments"]) for use, call in zip(uses, calls, strict=False))
    return blocks if same_text and same_calls and same_input else None


def _is_same(value: Any, arguments: Any) -> bool:
    if isinstance(value, str):
        return bool(value == arguments)
    return bool((value or {}) == arguments_object(arguments))


def _text_of(content: Any) -> str | None:
    if not isinstance(content, list):
        return content if isinstance(content, str) else None
    return "".join(part if isinstance(part, str) else str(part.get("text") or "") for part in content)


def thoughts_of_message(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The blocks of thinking that a message has beside, under our name or under that of others."""
    for name in (MEMBER, "thinking_blocks"):
        blocks = message.get(name)
        if isinstance(blocks, list):
            found = [block for block in blocks if isinstance(block, dict)]
            return [block for block in found if block.get("type") in {"thinking", "redacted_thinking"}]
    return []


def without_blocks(messages: list[Any]) -> list[Any]:
    """The messages as whoever speaks no Messages is to have them."""
    return [
        _without_blocks(message) if type(message) is dict and MEMBER in message else message for message in messages
    ]


def _without_blocks(message: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name != MEMBER and name not in _THOUGHTS}
