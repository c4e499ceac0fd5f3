"""What Anthropic refuses in a request for a message, in its words: fields, roles, blocks, tools and their results,
thinking that was changed.

Nothing here answers. https://platform.claude.com/docs/en/api/messages/create,
https://platform.claude.com/docs/en/api/errors
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..wire import DialectRequest, RefusedError, WholeAnswer
from .checks import fits
from .media import base64_of

TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
COUNTED = {
    "model": "string",
    "messages": "array",
    "system": "string or array",
    "tools": "array",
    "tool_choice": "object",
    "thinking": "object",
    "output_config": "object",
    "cache_control": "object",
    "context_management": "object",
    "mcp_servers": "array",
    "speed": "string",
}
FIELDS = COUNTED | {
    "max_tokens": "integer",
    "stream": "boolean",
    "temperature": "number",
    "top_k": "integer",
    "top_p": "number",
    "stop_sequences": "array",
    "metadata": "object",
    "service_tier": "string",
    "container": "string or object",
    "inference_geo": "string",
}
BLOCKS: dict[str, tuple[str, ...]] = {
    "text": ("text",),
    "image": ("source",),
    "document": ("source",),
    "thinking": ("thinking", "signature"),
    "redacted_thinking": ("data",),
    "tool_use": ("id", "name", "input"),
    "tool_result": ("tool_use_id",),
    "search_result": ("content", "source", "title"),
    "server_tool_use": ("id", "name", "input"),
    "web_search_tool_result": ("tool_use_id", "content"),
}
"""The types of blocks, with the members that each must have."""
OF_USER = frozenset({"text", "image", "document", "tool_result", "search_result"})
OF_ASSISTANT = frozenset(BLOCKS) - {"image", "document", "tool_result"}
PICTURES = ("image/jpeg", "image/png", "image/gif", "image/webp")
ID = re.compile(r"[a-zA-Z0-9_-]+")
NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
LEAST_BUDGET = 1024
NEWER = "2026-10-21"
"""https://platform.claude.com/docs/en/api/versioning"""


def refuse(call: DialectRequest, status: int, message: str) -> RefusedError:
    """The refusal of this status, with its type and the request's id."""
    name = f"req_{call.digest('request')}"
    error = {"type": TYPES.get(status, "api_error"), "message": message}
    body = {"type": "error", "error": error, "request_id": name}
    return RefusedError(WholeAnswer(body, status, headers={"request-id": name}))


def wrong(call: DialectRequest, message: str) -> RefusedError:
    return refuse(call, 400, message)


def signed(thinking: str) -> str:
    """The signature of a thought, which nobody else's thought has."""
    return f"sig{hashlib.sha256(thinking.encode()).hexdigest()}"


def checked(call: DialectRequest, fields: Mapping[str, str] = FIELDS) -> dict[str, Any]:
    """The fields that are not null, each of its type, of a request that Anthropic would take."""
    if not call.headers.get("anthropic-version"):
        raise wrong(call, "anthropic-version: header is required")
    version = call.headers["anthropic-version"]
    if version not in {"2023-01-01", "2023-06-01", NEWER}:
        raise wrong(call, f"anthropic-version: {version!r} is not a valid version")
    given: dict[str, Any] = {name: value for name, value in call.json.items() if value is not None}
    for name in ("model", "max_tokens", "messages"):
        if name in fields and name not in given:
            raise wrong(call, f"{name}: Field required")
    for name, value in given.items():
        if name not in fields:
            raise wrong(call, f"{name}: Extra inputs are not permitted")
        if not any(fits(value, kind) for kind in fields[name].split(" or ")):
            raise wrong(call, f"{name}: Input should be a valid {fields[name]}")
    check_numbers(call, given)
    check_tools(call, given)
    check_thinking(call, given)
    check_format(call, given)
    check_messages(call, given)
    if version == NEWER:
        check_newer(call, given)
    return given


def check_newer(call: DialectRequest, given: Mapping[str, Any]) -> None:
    """What the newer version of the API takes no more."""
    for name in ("temperature", "top_p", "top_k"):
        if name in given:
            raise wrong(call, f"{name}: Extra inputs are not permitted")
    for number, message in enumerate(given["messages"]):
        for at, block in enumerate(message["content"] if isinstance(message["content"], list) else []):
            if message["role"] == "user" and block["type"] == "text" and block.get("citations"):
                raise wrong(call, f"messages.{number}.content.{at}.text.citations: Extra inputs are not permitted")


def check_numbers(call: DialectRequest, given: Mapping[str, Any]) -> None:
    if given.get("max_tokens", 1) < 1:
        raise wrong(call, "max_tokens: Input should be greater than or equal to 1")
    for name in ("temperature", "top_p"):
        if not 0 <= given.get(name, 0) <= 1:
            raise wrong(call, f"{name}: range: 0..1")
    stops = given.get("stop_sequences", [])
    if not all(isinstance(text, str) and text.strip() for text in stops):
        raise wrong(call, "stop_sequences: each stop sequence must contain non-whitespace")
    metadata = given.get("metadata", {})
    for name in metadata.keys() - {"user_id"}:
        raise wrong(call, f"metadata.{name}: Extra inputs are not permitted")
    if given.get("service_tier", "auto") not in {"auto", "standard_only"}:
        raise wrong(call, "service_tier: Input should be 'auto' or 'standard_only'")


def check_tools(call: DialectRequest, given: Mapping[str, Any]) -> None:
    names: list[str] = []
    for number, tool in enumerate(given.get("tools", ())):
        place = f"tools.{number}"
        if not isinstance(tool, dict) or not isinstance(tool.get("name"), str) or not NAME.fullmatch(tool["name"]):
            raise wrong(call, f"{place}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
        if tool["name"] in names:
            raise wrong(call, "tools: Tool names must be unique.")
        names.append(tool["name"])
        if tool.get("type", "custom") != "custom":
            continue  # one of the server's own
        schema = tool.get("input_schema")
        if not isinstance(schema, dict) or schema.get("type") != "object":
            raise wrong(call, f"{place}.custom.input_schema.type: Field required")
        for name in tool.keys() - {"name", "description", "input_schema", "type", "strict", "cache_control"}:
            raise wrong(call, f"{place}.custom.{name}: Extra inputs are not permitted")
        if tool.get("strict"):
            check_closed(call, schema, f"{place}.custom.input_schema")
    choice = given.get("tool_choice")
    if choice is None:
        return
    if not names:
        raise wrong(call, "tool_choice: tool_choice may only be specified while providing tools.")
    if choice.get("type") not in {"auto", "any", "none", "tool"}:
        raise wrong(call, "tool_choice: Input tag should be one of: 'any', 'auto', 'none', 'tool'")
    if choice["type"] == "tool" and choice.get("name") not in names:
        raise wrong(call, f"tool_choice: Tool '{choice.get('name')}' not found in provided tools")
    if choice["type"] == "none" and "disable_parallel_tool_use" in choice:
        raise wrong(call, "tool_choice.none.disable_parallel_tool_use: Extra inputs are not permitted")


def check_thinking(call: DialectRequest, given: Mapping[str, Any]) -> None:
    thinking = given.get("thinking", {"type": "disabled"})
    kind = thinking.get("type")
    if kind not in {"enabled", "disabled", "adaptive"}:
        raise wrong(call, "thinking: Input tag should be one of: 'adaptive', 'disabled', 'enabled'")
    if kind == "disabled":
        return
    if kind == "enabled":
        budget = thinking.get("budget_tokens")
        if not isinstance(budget, int) or budget < LEAST_BUDGET:
            raise wrong(call, "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
        if given.get("max_tokens", budget + 1) <= budget:
            raise wrong(call, "`max_tokens` must be greater than `thinking.budget_tokens`.")
    if given.get("temperature", 1) != 1:
        raise wrong(call, "`temperature` may only be set to 1 when thinking is enabled.")
    if given.get("tool_choice", {}).get("type") in {"any", "tool"}:
        raise wrong(call, "Thinking may not be enabled when tool_choice forces tool use.")


def check_format(call: DialectRequest, given: Mapping[str, Any]) -> None:
    config = given.get("output_config", {})
    if config.get("effort", "low") not in {"low", "medium", "high", "xhigh", "max"}:
        raise wrong(call, "output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'")
    form = config.get("format")
    if form is None:
        return
    if form.get("type") != "json_schema" or not isinstance(form.get("schema"), dict):
        raise wrong(call, "output_config.format: Input should be a json_schema with a schema")
    check_closed(call, form["schema"], "output_config.format.schema")


def check_closed(call: DialectRequest, schema: Any, place: str) -> None:
    """Refuse a schema that its grammar cannot promise to follow.

    https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations
    """
    if isinstance(schema, list):
        for each in schema:
            check_closed(call, each, place)
        return
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        why = "For 'object' type, 'additionalProperties' must be explicitly set to false"
        raise wrong(call, f"{place}: {why}")
    for name in ("minimum", "maximum", "minLength", "maxLength", "multipleOf", "maxItems"):
        if name in schema and not isinstance(schema[name], dict):
            raise wrong(call, f"{place}: For '{schema.get('type')}' type, property '{name}' is not supported")
    for name, inner in schema.items():
        if name in {"properties", "$defs"} and isinstance(inner, dict):
            check_closed(call, list(inner.values()), place)
        elif name in {"items", "anyOf", "allOf"}:
            check_closed(call, inner, place)


def check_messages(call: DialectRequest, given: Mapping[str, Any]) -> None:
    messages = given["messages"]
    if not messages:
        raise wrong(call, "messages: at least one message is required")
    for number, message in enumerate(messages):
        check_message(call, message, number, is_last=number == len(messages) - 1)
    if messages[0]["role"] != "user":
        raise wrong(call, 'messages: first message must use the "user" role')
    check_system(call, given.get("system", ""))
    check_results(call, turns(messages))
    check_thoughts(call, given, turns(messages))


def check_system(call: DialectRequest, system: Any) -> None:
    for number, block in enumerate(system if isinstance(system, list) else []):
        if not isinstance(block, dict) or block.get("type") != "text":
            raise wrong(call, f"system.{number}.type: Input should be 'text'")
        check_block(call, block, f"system.{number}")


def check_message(call: DialectRequest, message: Any, number: int, *, is_last: bool) -> None:
    place = f"messages.{number}"
    if not isinstance(message, dict):
        raise wrong(call, f"{place}: Input should be an object")
    role, content = message.get("role"), message.get("content")
    if role not in {"user", "assistant"}:
        why = 'Allowed roles are "user" or "assistant". For a system message, use the top-level `system` parameter'
        raise wrong(call, f'messages: Unexpected role "{role}". {why}')
    for name in message.keys() - {"role", "content"}:
        raise wrong(call, f"{place}.{name}: Extra inputs are not permitted")
    if not isinstance(content, str | list):
        raise wrong(call, f"{place}.content: Input should be a valid list")
    if not content and not (is_last and role == "assistant"):
        why = "all messages must have non-empty content except for the optional final assistant message"
        raise wrong(call, f"{place}: {why}")
    for at, block in enumerate(content if isinstance(content, list) else []):
        allowed = OF_USER if role == "user" else OF_ASSISTANT
        kind = block.get("type") if isinstance(block, dict) else None
        if kind not in allowed:
            tags = ", ".join(f"'{tag}'" for tag in sorted(allowed))
            raise wrong(call, f"{place}.content.{at}: Input tag '{kind}' found using 'type' does not match: {tags}")
        check_block(call, block, f"{place}.content.{at}")
    text = content if isinstance(content, str) else str(content[-1].get("text", "")) if content else ""
    if is_last and role == "assistant" and text != text.rstrip():
        raise wrong(call, "messages: final assistant content cannot end with trailing whitespace")


def check_block(call: DialectRequest, block: Mapping[str, Any], place: str) -> None:
    kind = block["type"]
    for name in BLOCKS[kind]:
        if name not in block:
            raise wrong(call, f"{place}.{kind}.{name}: Field required")
    if kind == "text" and not (isinstance(block["text"], str) and block["text"]):
        raise wrong(call, f"{place}: text content blocks must be non-empty")
    if kind in {"image", "document"}:
        check_source(call, block["source"], f"{place}.{kind}.source", pictures=kind == "image")
    if kind == "tool_use":
        if not isinstance(block["id"], str) or not ID.fullmatch(block["id"]):
            raise wrong(call, f"{place}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
        if not isinstance(block["input"], dict):
            raise wrong(call, f"{place}.tool_use.input: Input should be a valid dictionary")
    if kind == "tool_result":
        inner = block.get("content", "")
        for at, part in enumerate(inner if isinstance(inner, list) else []):
            if not isinstance(part, dict) or part.get("type") not in OF_USER - {"tool_result"}:
                raise wrong(call, f"{place}.tool_result.content.{at}: Input tag found using 'type' does not match")
            check_block(call, part, f"{place}.tool_result.content.{at}")
    if (kind == "thinking" and block["signature"] != signed(block["thinking"])) or (
        kind == "redacted_thinking" and not str(block["data"]).startswith("sig")
    ):
        raise wrong(call, f"{place}: Invalid `signature` in `{kind}` block")


def check_source(call: DialectRequest, source: Any, place: str, *, pictures: bool) -> None:
    kind = source.get("type") if isinstance(source, dict) else None
    if kind == "url":
        if not str(source.get("url")).startswith(("http://", "https://")):
            raise wrong(call, f"{place}.url.url: Only HTTP URLs are supported.")
    elif kind == "base64":
        if source.get("media_type") not in (PICTURES if pictures else ("application/pdf",)):
            raise wrong(call, f"{place}.base64.media_type: Input should be 'image/jpeg', 'image/png', ...")
        if base64_of(source.get("data", "")) is None:
            raise wrong(call, f"{place}.base64.data: invalid base64 data")
    elif kind not in ({"file"} if pictures else {"file", "text", "content"}):
        raise wrong(call, f"{place}: Input tag '{kind}' found using 'type' does not match any of the expected tags")


def turns(messages: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The turns: messages of one role that follow each other are one, and a text is a block of it."""
    found: list[tuple[str, list[dict[str, Any]]]] = []
    for message in messages:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
        if found and found[-1][0] == message["role"]:
            found[-1][1].extend(blocks)
        else:
            found.append((message["role"], blocks))
    return found


def check_results(call: DialectRequest, conversation: Sequence[tuple[str, list[dict[str, Any]]]]) -> None:
    """Every use of a tool has its result in the next turn, and every result its use in the one before."""
    seen: set[str] = set()
    waiting: list[str] = []
    for number, (role, blocks) in enumerate(conversation):
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        for place, name in enumerate(results):
            if name not in waiting:
                why = f"unexpected `tool_use_id` found in `tool_result` blocks: {name}"
                rule = "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
                raise wrong(call, f"messages.{number}.content.{place}: {why}. {rule}")
            if name in results[:place]:
                raise wrong(call, f"messages.{number}.content.{place}: each tool_use must have a single result")
        left = [name for name in waiting if name not in results]
        first = [block["type"] for block in blocks][: len(results)]
        if left or (results and set(first) != {"tool_result"}):
            raise orphaned(call, number - 1, left or waiting)
        waiting = [block["id"] for block in blocks if block["type"] == "tool_use"]
        if len(set(waiting)) < len(waiting) or seen & set(waiting):
            raise wrong(call, f"messages.{number}.content: `tool_use` ids must be unique")
        seen |= set(waiting)
        if role == "user" and waiting:
            raise wrong(call, f"messages.{number}: `tool_use` blocks can only be in `assistant` messages")
    if waiting:
        raise orphaned(call, len(conversation) - 1, waiting)


def orphaned(call: DialectRequest, number: int, names: Sequence[str]) -> RefusedError:
    why = "`tool_use` ids were found without `tool_result` blocks immediately after"
    rule = "Each `tool_use` block must have a corresponding `tool_result` block in the next message."
    return wrong(call, f"messages.{number}: {why}: {', '.join(names)}. {rule}")


def check_thoughts(
    call: DialectRequest, given: Mapping[str, Any], conversation: Sequence[tuple[str, list[dict[str, Any]]]]
) -> None:
    """With a budget for thinking, the turn whose tools are answered last must begin with its thought."""
    if given.get("thinking", {}).get("type") != "enabled" or len(conversation) < 2:
        return
    asked, answered = conversation[-2][1], conversation[-1][1]
    uses = any(block["type"] == "tool_result" for block in answered)
    if uses and asked[0]["type"] not in {"thinking", "redacted_thinking"}:
        why = "When `thinking` is enabled, a final `assistant` message must start with a thinking block"
        place = f"messages.{len(conversation) - 2}.content.0.type"
        found = f"Expected `thinking` or `redacted_thinking`, but found `{asked[0]['type']}`"
        raise wrong(
            call, f"{place}: {found}. {why} (preceeding the lastmost set of `tool_use` and `tool_result` blocks)."
        )
