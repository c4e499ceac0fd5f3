"""What a chat says, in the form that OpenTelemetry's conventions have for it; only where the user asks for content.

https://github.com/open-telemetry/semantic-conventions-genai/blob/main/model/gen-ai/gen-ai-input-messages.json
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from ..engine.observer import ObservedCall
from ..tasks.output import json_default


def input_messages(call: ObservedCall) -> str | None:
    """`gen_ai.input.messages`: the messages, or the text, that a call sends; None where it has none."""
    given = call.parameters
    if isinstance(messages := given.get("messages"), Iterable) and not isinstance(messages, str):
        return _text([_message(_plain(message)) for message in messages])
    said = next((given[name] for name in ("prompt", "input", "text") if isinstance(given.get(name), str)), None)
    return None if said is None else _text([{"role": "user", "parts": [{"type": "text", "content": said}]}])


def output_messages(result: Any) -> str | None:
    """`gen_ai.output.messages`: the choices of an answer; None for what is no text."""
    choices = getattr(result, "choices", None)
    if isinstance(choices, list):
        plain = [_plain(choice) for choice in choices]
        return _text([_message(one.get("message") or {}) | _finish(one.get("finish_reason")) for one in plain])
    said = getattr(result, "generated_text", None)
    if not isinstance(said, str):
        return None
    return _text([{"role": "assistant", "parts": [{"type": "text", "content": said}], "finish_reason": "stop"}])


def tool_definitions(call: ObservedCall) -> str | None:
    """`gen_ai.tool.definitions`: the tools that a chat may call."""
    tools = call.parameters.get("tools")
    if not isinstance(tools, list) or not tools:
        return None
    plain = [_plain(tool) for tool in tools]
    return _text([{"type": one.get("type", "function"), **(one.get("function") or one)} for one in plain])


def argument_text(value: Any) -> str:
    """Any value as JSON; a text as it is."""
    return value if isinstance(value, str) else _text(value)


def _finish(reason: Any) -> dict[str, Any]:
    return {"finish_reason": str(reason) if reason else "error"}


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    role, content = str(message.get("role") or "assistant"), message.get("content")
    if role == "tool":
        id_, response = message.get("tool_call_id"), content if isinstance(content, str) else _text(content)
        return {"role": role, "parts": [{"type": "tool_call_response", "id": id_, "response": response}]}
    parts: list[dict[str, Any]] = [{"type": "text", "content": content}] if isinstance(content, str) and content else []
    parts += [_part(part) for part in content] if isinstance(content, list) else []
    if isinstance(reasoning := message.get("reasoning_content") or message.get("reasoning"), str):
        parts.insert(0, {"type": "reasoning", "content": reasoning})
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        parts.append(
            {
                "type": "tool_call",
                "id": call.get("id"),
                "name": function.get("name"),
                "arguments": _decoded(function.get("arguments")),
            }
        )
    return {"role": role, "parts": parts}


def _part(part: Any) -> dict[str, Any]:
    """One part of a message; what is no text by its kind alone, and its URL where that is no data."""
    if not isinstance(part, Mapping):
        return {"type": "text", "content": str(part)}
    if part.get("type") == "text":
        return {"type": "text", "content": part.get("text")}
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, Mapping) else image
    if isinstance(url, str) and not url.startswith("data:"):
        return {"type": "uri", "modality": "image", "uri": url}
    return {"type": str(part.get("type") or "unknown")}


def _decoded(arguments: Any) -> Any:
    try:
        return json.loads(arguments) if isinstance(arguments, str) else arguments
    except ValueError:
        return arguments


def _plain(value: Any) -> dict[str, Any]:
    found = msgspec.to_builtins(value, enc_hook=json_default)
    return found if isinstance(found, dict) else {"role": "user", "content": str(found)}


def _text(value: Any) -> str:
    return msgspec.json.encode(value, enc_hook=json_default).decode()
