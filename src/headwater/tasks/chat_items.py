"""A conversation's chat messages as items of the Responses, and items as messages: what goes on in the other dialect.

    chat message                              Responses item
    system, developer, user: text, image_url, a message of the same role: input_text, input_image, input_file,
      file, input_audio                         input_audio
    assistant: content, refusal               a message: output_text, refusal
    assistant: tool_calls                     function_call, custom_tool_call
    tool                                      function_call_output, custom_tool_call_output

Thoughts are left out either way: they are of use to nobody but whoever thought them. What else has no word on the other
side is refused by its place. Pure. https://platform.openai.com/docs/guides/migrate-to-responses
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from ..errors import InvalidParameterError
from ..protocol.json_value import encoded
from .chat import wire_messages
from .responses import wire_input

_INPUTS: Final = frozenset({"input_text", "input_image", "input_file"})
_TEXTS: Final = frozenset({"text", "input_text", "output_text"})
_ASKING: Final = frozenset({"system", "developer", "user"})


def response_input(messages: Sequence[Any]) -> list[dict[str, Any]]:
    """The messages of a chat, answers among them, as the `input` of a response.

    Raises `InvalidParameterError` for what a response has no item for: a message's `name`, a spoken answer, ...
    """
    items: list[dict[str, Any]] = []
    custom: set[str] = set()
    for number, message in enumerate(_plain(wire_messages(messages))):
        items += _items_of(message, custom, f"messages[{number}]")
    return items


def chat_messages(items: str | Sequence[Any]) -> list[dict[str, Any]]:
    """The `input` of a response, or its `output`, as messages of a chat.

    Raises `InvalidParameterError` for what a chat has no message for: calls of the server's own tools, references, ...
    """
    if isinstance(items, str):
        return [{"role": "user", "content": items}]
    messages: list[dict[str, Any]] = []
    for number, item in enumerate(_plain(wire_input(list(items)))):
        _take_item(messages, item, f"items[{number}]")
    return messages


def _plain(values: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = msgspec.json.decode(encoded(values))
    return found


def _no_place(what: str, where: str) -> InvalidParameterError:
    return InvalidParameterError(f"{what} has no place in {where}: leave it out")


# -- to items


def _items_of(message: dict[str, Any], custom: set[str], place: str) -> list[dict[str, Any]]:
    role, content = message.get("role"), message.get("content")
    for name in ("name", "audio", "function_call"):
        if message.get(name) and (name, role) != ("name", "tool"):
            raise _no_place(f"{place}.{name}", "a response's input")
    if role in _ASKING:
        return [{"role": role, "content": _inputs(content, place)}]
    if role == "tool":
        id_ = str(message.get("tool_call_id") or "")
        kind = "custom_tool_call_output" if id_ in custom else "function_call_output"
        return [{"type": kind, "call_id": id_, "output": _inputs(content, place)}]
    if role != "assistant":
        raise _no_place(f"{place} of the role {role!r}", "a response's input")
    said = _outputs(content, message.get("refusal"), place)
    calls = [_item_of_call(call, custom) for call in message.get("tool_calls") or ()]
    return [*([{"role": "assistant", "content": said}] if said else []), *calls]


def _inputs(content: Any, place: str) -> str | list[dict[str, Any]]:
    if content is None or isinstance(content, str):
        return content or ""
    return [_input(part, f"{place}.content[{number}]") for number, part in enumerate(content)]


def _input(part: Any, place: str) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind in _TEXTS:
        return {"type": "input_text", "text": part.get("text") or ""}
    if kind == "image_url":
        image = part.get("image_url")
        image = image if isinstance(image, Mapping) else {"url": image}
        detail = {"detail": image["detail"]} if image.get("detail") else {}
        return {"type": "input_image", "image_url": image.get("url"), **detail}
    if kind == "file":
        return {"type": "input_file", **(part.get("file") or {})}
    if kind in _INPUTS or kind == "input_audio":
        return dict(part)
    raise _no_place(f"{place} of the type {kind!r}", "a response's input")


def _outputs(content: Any, refusal: Any, place: str) -> str | list[dict[str, Any]]:
    """What an assistant's message says; of its parts those that are no thoughts."""
    parts: list[dict[str, Any]] = []
    for number, part in enumerate([] if content is None or isinstance(content, str) else content):
        kind = part.get("type")
        if kind in _TEXTS:
            parts.append({"type": "output_text", "text": part.get("text") or "", "annotations": []})
        elif kind == "refusal":
            parts.append({"type": "refusal", "refusal": part.get("refusal") or ""})
        elif kind not in {"thinking", "redacted_thinking", "reasoning"}:
            raise _no_place(f"{place}.content[{number}] of the type {kind!r}", "a response's input")
    if refusal:
        text = [{"type": "output_text", "text": content, "annotations": []}] if isinstance(content, str) else parts
        return [*(text if content else []), {"type": "refusal", "refusal": refusal}]
    return content if isinstance(content, str) else parts


def _item_of_call(call: dict[str, Any], custom: set[str]) -> dict[str, Any]:
    id_ = str(call.get("id") or "")
    if isinstance(call.get("custom"), Mapping):
        custom.add(id_)
        return {"type": "custom_tool_call", "call_id": id_, **call["custom"]}
    function = call.get("function") or {}
    arguments = function.get("arguments")
    text = arguments if isinstance(arguments, str) else encoded({} if arguments is None else arguments).decode()
    return {"type": "function_call", "call_id": id_, "name": function.get("name"), "arguments": text}


# -- to messages


def _take_item(messages: list[dict[str, Any]], item: dict[str, Any], place: str) -> None:
    kind = item.get("type") or "message"
    if kind == "reasoning":
        return
    if kind == "message":
        message = _message_of(item, place)
        if message["role"] == "assistant" and messages and messages[-1].get("tool_calls"):  # text behind its calls
            messages[-1]["content"] = f"{messages[-1]['content'] or ''}{message.pop('content') or ''}" or None
            messages[-1].update(message)
        else:
            messages.append(message)
    elif kind in {"function_call", "custom_tool_call"}:
        _turn(messages).setdefault("tool_calls", []).append(_call_of_item(item, kind))
    elif kind in {"function_call_output", "custom_tool_call_output"}:
        content = _parts(item.get("output"), place)
        messages.append({"role": "tool", "tool_call_id": str(item.get("call_id") or ""), "content": content})
    else:
        raise _no_place(f"{place} of the type {kind!r}", "a chat")


def _turn(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """The assistant's turn that a call belongs to: the newest message, or one that it begins."""
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant", "content": None})
    return messages[-1]


def _call_of_item(item: dict[str, Any], kind: str) -> dict[str, Any]:
    id_ = str(item.get("call_id") or item.get("id") or "")
    if kind == "custom_tool_call":
        return {"id": id_, "type": "custom", "custom": {"name": item.get("name"), "input": item.get("input")}}
    return {"id": id_, "type": "function", "function": {"name": item.get("name"), "arguments": item.get("arguments")}}


def _message_of(item: dict[str, Any], place: str) -> dict[str, Any]:
    role = item.get("role") or "assistant"
    content = item.get("content")
    if role != "assistant" or content is None or isinstance(content, str):
        return {"role": role, "content": _parts(content, place)}
    refusal = "".join(str(part.get("refusal") or "") for part in content if part.get("type") == "refusal")
    said = _parts([part for part in content if part.get("type") != "refusal"], place)
    text = said if isinstance(said, str) else "".join(part.get("text", "") for part in said)
    return {"role": role, "content": text or None, **({"refusal": refusal} if refusal else {})}


def _parts(content: Any, place: str) -> str | list[dict[str, Any]]:
    if content is None or isinstance(content, str):
        return content or ""
    return [_part(part, f"{place}.content[{number}]") for number, part in enumerate(content)]


def _part(part: dict[str, Any], place: str) -> dict[str, Any]:
    kind = part.get("type")
    if kind in _TEXTS:
        return {"type": "text", "text": part.get("text") or ""}
    if kind == "input_image" and part.get("image_url"):
        detail = {"detail": part["detail"]} if part.get("detail") else {}
        return {"type": "image_url", "image_url": {"url": part["image_url"], **detail}}
    if kind == "input_file" and not part.get("file_url"):
        names = ("file_data", "file_id", "filename")
        return {"type": "file", "file": {name: part[name] for name in names if part.get(name) is not None}}
    if kind == "input_audio":
        return dict(part)
    raise _no_place(f"{place} of the type {kind!r}", "a chat")
