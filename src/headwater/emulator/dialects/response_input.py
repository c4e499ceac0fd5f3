"""What a request of the Responses API asks for: its parameters, its items and its tools, checked as OpenAI does.

https://platform.openai.com/docs/api-reference/responses/create
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..wire import DialectRequest
from . import checks
from .checks import ARRAY, BOOLEAN, INTEGER, OBJECT, STRING, FieldRule

FIELDS = {
    "model": STRING,
    "input": FieldRule("string or array"),
    "background": BOOLEAN,
    "context_management": ARRAY,
    "conversation": FieldRule("string or object"),
    "include": ARRAY,
    "instructions": STRING,
    "max_output_tokens": FieldRule("integer", 16),
    "max_tool_calls": INTEGER,
    "metadata": OBJECT,
    "moderation": OBJECT,
    "parallel_tool_calls": BOOLEAN,
    "previous_response_id": STRING,
    "prompt": OBJECT,
    "prompt_cache_key": STRING,
    "prompt_cache_options": OBJECT,
    "prompt_cache_retention": STRING,
    "reasoning": OBJECT,
    "safety_identifier": STRING,
    "service_tier": STRING,
    "store": BOOLEAN,
    "stream": BOOLEAN,
    "stream_options": OBJECT,
    "temperature": FieldRule("number", 0, 2),
    "text": OBJECT,
    "tool_choice": FieldRule("string or object"),
    "tools": ARRAY,
    "top_logprobs": FieldRule("integer", 0, 20),
    "top_p": FieldRule("number", 0, 1),
    "truncation": STRING,
    "user": STRING,
}
MOVED = {
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "messages": "input",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
}
"""What chats have, and where the Responses API has it."""
INCLUDABLE = frozenset(
    {
        "code_interpreter_call.outputs",
        "computer_call_output.output.image_url",
        "file_search_call.results",
        "message.input_image.image_url",
        "message.output_text.logprobs",
        "reasoning.encrypted_content",
        "web_search_call.action.sources",
        "web_search_call.results",
    }
)
ROLES = ("user", "assistant", "system", "developer")
INPUT_PARTS = {"input_text": "text", "input_image": None, "input_file": None, "input_audio": "input_audio"}
OUTPUT_PARTS = {"output_text": "text", "refusal": "refusal"}
"""The types of parts, each with what it must have."""
CALLS = {
    "function_call": "function_call_output",
    "custom_tool_call": "custom_tool_call_output",
    "local_shell_call": "local_shell_call_output",
    "shell_call": "shell_call_output",
    "apply_patch_call": "apply_patch_call_output",
    "computer_call": "computer_call_output",
}
"""Items that want an answer, and the items that are one."""
REQUIRED: dict[str, tuple[str, ...]] = {
    "message": ("role", "content"),
    "reasoning": ("summary",),
    "function_call": ("call_id", "name", "arguments"),
    "function_call_output": ("call_id", "output"),
    "custom_tool_call": ("call_id", "name", "input"),
    "custom_tool_call_output": ("call_id", "output"),
    "item_reference": ("id",),
    "mcp_approval_response": ("approval_request_id", "approve"),
    **dict.fromkeys(
        (
            "file_search_call",
            "web_search_call",
            "code_interpreter_call",
            "image_generation_call",
            "mcp_call",
            "mcp_list_tools",
            "mcp_approval_request",
            "compaction",
        ),
        (),
    ),
    **{kind: ("call_id",) for pair in list(CALLS.items())[2:] for kind in pair},
}
"""The types of items, each with the members that it must have."""
PREFIXES = {"message": "msg", "reasoning": "rs", "function_call": "fc", "custom_tool_call": "ctc"}
"""What an item's id begins with."""
TOOLS = frozenset(
    {
        "function",
        "custom",
        "file_search",
        "web_search",
        "web_search_preview",
        "code_interpreter",
        "image_generation",
        "mcp",
        "local_shell",
        "shell",
        "apply_patch",
        "computer",
        "computer_use_preview",
    }
)


def refuse_strangers(call: DialectRequest, given: Mapping[str, Any]) -> None:
    """Refuse parameters that the API does not have."""
    for name in given:
        if name in MOVED:
            why = f"Unsupported parameter: '{name}'. In the Responses API, this parameter has moved to '{MOVED[name]}'."
            raise checks.wrong(call, why, name, "unsupported_parameter")
        if name not in FIELDS:
            raise checks.wrong(call, f"Unknown parameter: '{name}'.", name, "unknown_parameter")
    check_tools(call, given)


def check_tools(call: DialectRequest, given: Mapping[str, Any]) -> None:
    for number, tool in enumerate(given.get("tools") or ()):
        place = f"tools[{number}]"
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind not in TOOLS:
            raise checks.wrong(
                call, f"Invalid value: {kind!r}. Supported values are: {sorted(TOOLS)}.", f"{place}.type"
            )
        needed = {"function": "name", "custom": "name", "mcp": "server_label", "file_search": "vector_store_ids"}
        name = needed.get(kind)
        if name is not None and not tool.get(name):
            raise checks.missing(call, f"{place}.{name}")


def checked(
    call: DialectRequest, given: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The items of the input, each as an item should be; a text is a message of the user's."""
    asked = given.get("input")
    if asked is None:
        if not {"prompt", "previous_response_id", "conversation"} & given.keys():
            why = "One of 'input' or 'previous_response_id' or 'prompt' or 'conversation' must be provided."
            raise checks.wrong(call, why, "input", "missing_required_parameter")
        return []
    if isinstance(asked, str):
        return [{"type": "message", "role": "user", "content": asked}]
    items = [item_of(call, item, f"input[{number}]") for number, item in enumerate(asked)]
    check_answers(call, earlier, items)
    return items


def item_of(call: DialectRequest, item: object, place: str) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise checks.wrong(call, f"Invalid type for '{place}': expected an object.", place, "invalid_type")
    kind = item.get("type", "message")
    if kind not in REQUIRED:
        why = f"Invalid value: {kind!r}. Supported values are: {', '.join(map(repr, sorted(REQUIRED)))}."
        raise checks.wrong(call, why, f"{place}.type", "invalid_value")
    for name in REQUIRED[kind]:
        if item.get(name) is None:
            raise checks.missing(call, f"{place}.{name}")
    if "status" in item and item["status"] not in ("in_progress", "completed", "incomplete", "searching", "failed"):
        raise checks.wrong(call, f"Invalid value: {item['status']!r}.", f"{place}.status", "invalid_value")
    prefix = PREFIXES.get(kind)
    if prefix is not None and isinstance(item.get("id"), str) and not item["id"].startswith(prefix):
        why = f"Invalid '{place}.id': {item['id']!r}. Expected an ID that begins with '{prefix}'."
        raise checks.wrong(call, why, f"{place}.id", "invalid_value")
    for name in ("call_id", "name", "arguments"):
        if name in REQUIRED[kind] and not isinstance(item[name], str):
            why = f"Invalid type for '{place}.{name}': expected a string, but got {checks.spoken(item[name])} instead."
            raise checks.wrong(call, why, f"{place}.{name}", "invalid_type")
    if kind == "message":
        check_message(call, item, place)
    return {"type": kind, **item}


def check_message(call: DialectRequest, item: Mapping[str, Any], place: str) -> None:
    role, content = item["role"], item["content"]
    if role not in ROLES:
        why = f"Invalid value: {role!r}. Supported values are: {', '.join(map(repr, ROLES))}."
        raise checks.wrong(call, why, f"{place}.role")
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        why = f"Invalid type for '{place}.content': expected a string or an array, but got {checks.spoken(content)}."
        raise checks.wrong(call, why, f"{place}.content", "invalid_type")
    known = OUTPUT_PARTS if role == "assistant" else INPUT_PARTS
    for number, part in enumerate(content):
        at = f"{place}.content[{number}]"
        kind = str(part.get("type")) if isinstance(part, dict) else ""
        if kind not in known:
            why = f"Invalid value: {kind!r}. Supported values are: {', '.join(map(repr, known))}."
            raise checks.wrong(call, why, at, "invalid_value")
        if (name := known[kind]) is not None and part.get(name) is None:
            raise checks.missing(call, f"{at}.{name}")


def check_answers(
    call: DialectRequest, earlier: Sequence[Mapping[str, Any]], items: Sequence[Mapping[str, Any]]
) -> None:
    """Refuse answers of tools that no call waits for, and calls that nothing answers."""
    answers = {answer: asked for asked, answer in CALLS.items()}
    waiting = {item["call_id"]: item["type"] for item in earlier if item["type"] in CALLS}
    for item in earlier:
        waiting.pop(item.get("call_id", ""), None) if item["type"] in answers else None
    for item in items:
        if item["type"] in CALLS:
            waiting[item["call_id"]] = item["type"]
        elif item["type"] in answers and waiting.pop(item["call_id"], None) is None:
            kind = answers[item["type"]].replace("_", " ")
            why = f"No tool call found for {kind} output with call_id {item['call_id']}."
            raise checks.wrong(call, why, "input", "invalid_value")
    if waiting:
        kind = next(iter(waiting.values())).replace("_", " ")
        why = f"No tool output found for {kind} {next(iter(waiting))}."
        raise checks.wrong(call, why, "input", "invalid_value")


def text_of(item: Mapping[str, Any]) -> str:
    """An item as one text; what is not text is named in brackets."""
    content = item.get("content") if item["type"] == "message" else item.get("output")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return " ".join(part.get("text") or f"[{part.get('type')}]" for part in parts if isinstance(part, dict))


def as_messages(items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What of the items a chat would have: who said what, in texts."""
    found = []
    for item in items:
        if item["type"] == "message":
            found.append({"role": item["role"], "content": text_of(item)})
        elif item["type"].endswith("_output"):
            found.append({"role": "tool", "content": text_of(item)})
        elif item["type"] in CALLS:
            found.append({"role": "assistant", "content": ""})
    return found


def listed(call: DialectRequest, item: Mapping[str, Any], number: int) -> dict[str, Any]:
    """An item of the input as the server lists it: with an id, and its content in parts."""
    told = {"id": f"{PREFIXES.get(item['type'], 'item')}_{call.digest(f'input {number}')}", "status": "completed"}
    content = item.get("content")
    if isinstance(content, str):
        kind = "output_text" if item.get("role") == "assistant" else "input_text"
        return {**told, **item, "content": [{"type": kind, "text": content}]}
    return {**told, **item}
