"""What a chat says, in the form that OpenTelemetry's conventions have for it; only where the user asks for content.

https://github.com/open-telemetry/semantic-conventions-genai/blob/main/model/gen-ai/gen-ai-input-messages.json
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from ..engine.observer import ObservedCall
from ..tasks.output import json_default
from . import genai


def input_messages(call: ObservedCall) -> str | None:
    """`gen_ai.input.messages`: the messages, the items or the text that a call sends; None where it has none."""
    given = call.parameters
    listed = given.get("messages") or given.get("input")
    if isinstance(listed, Iterable) and not isinstance(listed, str | bytes | Mapping):
        return _text([_message(_plain(each)) for each in listed])
    said = next((given[name] for name in ("prompt", "input", "text") if isinstance(given.get(name), str)), None)
    return None if said is None else _text([{"role": "user", "parts": [{"type": "text", "content": said}]}])


def instructions(call: ObservedCall) -> str | None:
    """`gen_ai.system_instructions`: what is said to the model beside the messages, in Messages and Responses."""
    said = call.parameters.get("system") or call.parameters.get("instructions")
    parts = [{"type": "text", "text": said}] if isinstance(said, str) else said
    return _text([_part(part) for part in parts]) if isinstance(parts, list) and parts else None


def output_messages(result: Any, *, is_old: bool = False) -> str | None:
    """`gen_ai.output.messages`: the choices of an answer; None for what is no text. `is_old`: with the reasons why
    they ended, which have an attribute of their own since."""
    choices = getattr(result, "choices", None)
    if isinstance(choices, list):
        plain = [_plain(choice) for choice in choices]
        said = [(_message(one.get("message") or {}), one.get("finish_reason")) for one in plain]
    elif (parts := _answered(result)) is not None:
        reasons = genai.finish_reasons(result, is_cut=False)
        said = [({"role": "assistant", "parts": parts}, reasons[0] if reasons else None)]
    else:
        return None
    return _text(
        [message | {"finish_reason": str(reason or "error")} if is_old else message for message, reason in said]
    )


def last_message(message: Any) -> str | None:
    """The same, of a conversation's last message."""
    return None if message is None else _text([_message(_plain(message))])


def _answered(result: Any) -> list[dict[str, Any]] | None:
    """What a message, a response or a completion says."""
    for name in ("content", "output"):
        if isinstance(listed := getattr(result, name, None), list):
            return [part for each in listed for part in _parts(_plain(each))]
    said = getattr(result, "generated_text", None)
    return [{"type": "text", "content": said}] if isinstance(said, str) else None


def tool_definitions(call: ObservedCall) -> str | None:
    """`gen_ai.tool.definitions`: the tools that a chat may call."""
    tools = call.parameters.get("tools")
    if not isinstance(tools, list) or not tools:
        return None
    plain = [_plain(tool) for tool in tools]
    return _text([{"type": one.get("type", "function"), **(one.get("function") or one)} for one in plain])


def tool_names(tools: tuple[str, ...]) -> str | None:
    """The same of a conversation's tools, whose definitions are with its calls."""
    return _text([{"type": "function", "name": name} for name in tools]) if tools else None


def argument_text(value: Any) -> str:
    """Any value as JSON; a text as it is."""
    return value if isinstance(value, str) else _text(value)


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message of a chat or of Messages, or an item of Responses."""
    kind, content = message.get("type"), message.get("content")
    if message.get("role") == "tool":
        return {"role": "tool", "parts": [_answer(message.get("tool_call_id"), content)]}
    if kind in _CALLS or kind == "reasoning":
        return {"role": "assistant", "parts": _parts(message)}
    if isinstance(kind, str) and kind.endswith("_output"):
        return {"role": "tool", "parts": [_answer(message.get("call_id"), message.get("output"))]}
    parts = _parts(message)
    if isinstance(reasoning := message.get("reasoning_content") or message.get("reasoning"), str):
        parts.insert(0, {"type": "reasoning", "content": reasoning})
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        parts.append(_call(call.get("id"), function.get("name"), function.get("arguments")))
    is_answer = bool(parts) and all(part["type"] == "tool_call_response" for part in parts)
    return {"role": "tool" if is_answer else str(message.get("role") or "assistant"), "parts": parts}


_CALLS: Final = frozenset({"tool_use", "server_tool_use", "mcp_tool_use", "function_call", "custom_tool_call"})


def _parts(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a message, an item or a block says."""
    content = message.get("content")
    if isinstance(content, list) and message.get("type", "message") == "message":
        return [_part(part) for part in content]
    if isinstance(content, str) and message.get("type", "message") == "message":
        return [{"type": "text", "content": content}] if content else []
    return [_part(message)] if message.get("type") else []


def _part(part: Any) -> dict[str, Any]:
    """One part of a message; what is no text by its kind alone, and its URL where that is no data."""
    if not isinstance(part, Mapping):
        return {"type": "text", "content": str(part)}
    kind = part.get("type")
    if kind in _CALLS:
        given = part.get("arguments") if "arguments" in part else part.get("input")
        return _call(part.get("call_id") or part.get("id"), part.get("name"), given)
    if kind == "tool_result":
        return _answer(part.get("tool_use_id"), part.get("content"))
    if kind in ("thinking", "reasoning", "reasoning_text", "summary_text"):
        said = part.get("thinking") or part.get("text")
        listed = [*(part.get("summary") or ()), *(part.get("content") or ())]
        said = "\n".join(str(each.get("text")) for each in listed) if said is None else said
        return {"type": "reasoning", "content": said}
    if isinstance(text := part.get("text") or part.get("refusal"), str):
        return {"type": "text", "content": text}
    image = part.get("image_url") or part.get("source")
    url = image.get("url") if isinstance(image, Mapping) else image
    if isinstance(url, str) and not url.startswith("data:"):
        return {"type": "uri", "modality": "image", "uri": url}
    return {"type": str(kind or "unknown")}


def _call(id_: Any, name: Any, arguments: Any) -> dict[str, Any]:
    return {"type": "tool_call", "id": id_, "name": name, "arguments": _decoded(arguments)}


def _answer(id_: Any, content: Any) -> dict[str, Any]:
    response = content if isinstance(content, str) else _text(content)
    return {"type": "tool_call_response", "id": id_, "response": response}


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
