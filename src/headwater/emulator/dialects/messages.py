"""What a chat request asks for: its messages, its tools and the form of the answer, checked and boiled down.

Refuses, in the vendor's words, messages without a known role or content, parts of unknown types, tools
without a name, and schemas that are not there.
https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..wire import DialectRequest
from . import checks, schemas, tgi
from .vendors import vendor

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
PARTS = ("text", "image_url", "input_audio", "file", "refusal")
"""The types of content parts; each has its value in a field of the same name."""


def checked(call: DialectRequest, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The messages, at least one, each with a role and a content that fits it."""
    if "messages" not in given:
        raise absent(call)
    messages: list[dict[str, Any]] = given["messages"]
    if not messages:
        why = "Invalid 'messages': empty array. Expected an array with minimum length 1."
        raise checks.wrong(call, why, "messages", "empty_array")
    for number, message in enumerate(messages):
        check(call, message, f"messages[{number}]")
    check_answers(call, messages)
    return messages


def check_answers(call: DialectRequest, messages: Sequence[Mapping[str, Any]]) -> None:
    """Refuse calls of tools that the messages right after them do not answer, and answers that no call waits for.

    https://platform.openai.com/docs/guides/function-calling
    """
    waiting: list[str] = []
    for number, message in enumerate(messages):
        if message["role"] == "tool":
            if message["tool_call_id"] not in waiting:
                why = "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
                raise checks.wrong(call, f"Invalid parameter: {why}", f"messages.[{number}].role")
            waiting.remove(message["tool_call_id"])
            continue
        if waiting:
            raise orphaned(call, waiting, number)
        waiting = call_ids(call, message, f"messages[{number}]")
    if waiting:
        raise orphaned(call, waiting, len(messages))


def call_ids(call: DialectRequest, message: Mapping[str, Any], place: str) -> list[str]:
    """The ids of the calls that a message makes, each of which must have one of its own."""
    calls = message.get("tool_calls") or ()
    ids = [made.get("id") if isinstance(made, dict) else None for made in calls]
    for number, found in enumerate(ids):
        if not isinstance(found, str):
            raise checks.missing(call, f"{place}.tool_calls[{number}].id")
        if found in ids[:number]:
            why = f"Duplicate value for 'tool_call_id' of {found!r}"
            raise checks.wrong(call, why, f"{place}.tool_calls[{number}].id")
    return [str(found) for found in ids]


def orphaned(call: DialectRequest, waiting: Sequence[str], number: int) -> Exception:
    why = (
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
        f"The following tool_call_ids did not have response messages: {', '.join(waiting)}"
    )
    return checks.wrong(call, why, f"messages.[{number}].role")


def absent(call: DialectRequest) -> Exception:
    """TGI's own parser complains of missing messages, in plain text."""
    if vendor(call.path) != "hf-inference":
        return checks.missing(call, "messages")
    return tgi.unreadable(call, "missing field `messages`")


def check(call: DialectRequest, message: object, place: str) -> None:
    if not isinstance(message, dict):
        raise checks.wrong(call, f"Invalid type for '{place}': expected an object.", place, "invalid_type")
    role = message.get("role")
    if role not in ROLES:
        raise checks.wrong(call, f"Invalid value: {role!r}. Supported values are: {ROLES}.", f"{place}.role")
    if role == "tool" and not isinstance(message.get("tool_call_id"), str):
        raise checks.missing(call, f"{place}.tool_call_id")
    content = message.get("content")
    if content is None and not (role == "assistant" and message.get("tool_calls")):
        raise checks.missing(call, f"{place}.content")
    if isinstance(content, list):
        for number, part in enumerate(content):
            check_part(call, part, f"{place}.content[{number}]")
    elif content is not None and not isinstance(content, str):
        expected = f"Invalid type for '{place}.content': expected a string or an array, but got"
        raise checks.wrong(call, f"{expected} {checks.spoken(content)} instead.", f"{place}.content", "invalid_type")


def check_part(call: DialectRequest, part: object, place: str) -> None:
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(part, dict) or kind not in PARTS:
        raise checks.wrong(call, f"Invalid value: {kind!r}. Supported values are: {PARTS}.", f"{place}.type")
    value = part.get(kind)
    if value is None:
        raise checks.missing(call, f"{place}.{kind}")
    if kind == "image_url" and not (isinstance(value, dict) and isinstance(value.get("url"), str)):
        raise checks.missing(call, f"{place}.image_url.url")
    if kind == "text" and not isinstance(value, str):
        raise checks.wrong(call, f"Invalid type for '{place}.text': expected a string.", place, "invalid_type")


def text_of(message: Mapping[str, Any]) -> str:
    """A message as one text; what is not text is named in brackets."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return " ".join(part["text"] if part["type"] == "text" else f"[{part['type']}]" for part in content)


def last_text(messages: Sequence[Mapping[str, Any]]) -> str:
    """The text to answer: of the last message of the user or of a tool, else of the last message."""
    asking = [message for message in messages if message["role"] in ("user", "tool", "function")]
    return text_of((asking or messages)[-1])


def structured(call: DialectRequest, given: Mapping[str, Any], text: str) -> str | None:
    """The JSON text that ``response_format`` asks for, or None when it asks for none."""
    form = given.get("response_format", {"type": "text"})
    kind = form.get("type")
    if kind == "text":
        return None
    if kind not in ("json_object", "json_schema", "json", "regex"):
        raise checks.wrong(call, f"Invalid value: {kind!r}.", "response_format.type")
    schema = schema_of(form)
    if schema is None and kind == "json_schema":
        raise checks.missing(call, "response_format.json_schema.schema")
    inner = form.get("json_schema")
    if isinstance(inner, dict) and inner.get("strict") and (wrong := schemas.not_strict(schema)) is not None:
        message = f"Invalid schema for response_format {inner.get('name')!r}: {wrong}"
        raise checks.wrong(call, message, "response_format", "invalid_json_schema")
    value = {"answer": text} if schema is None else made(call, schema, text, "response_format")
    return json.dumps(value, ensure_ascii=False)


def schema_of(form: Mapping[str, Any]) -> object:
    """The schema wherever a vendor wants it: OpenAI in ``json_schema``, others in ``schema`` or ``value``."""
    inner = form.get("json_schema")
    found = inner.get("schema") if isinstance(inner, dict) else None
    return found if found is not None else form.get("schema", form.get("value"))


def made(call: DialectRequest, schema: object, text: str, param: str) -> Any:
    try:
        return schemas.example(schema, text)
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError, ZeroDivisionError) as error:
        raise checks.wrong(call, f"Invalid schema for {param}: {error}", param, "invalid_schema") from error


def tool_calls(
    call: DialectRequest, given: Mapping[str, Any], messages: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The calls that the answer makes.

    With ``tool_choice`` "auto" those tools are called that have a word of their name in the last message, if
    it is the user's; "required" calls the first one if there is none such; a named one is called; "none"
    calls none.
    """
    tools = [tool_function(call, tool, f"tools[{n}]") for n, tool in enumerate(given.get("tools", ()))]
    choice = given.get("tool_choice", "auto" if tools else "none")
    chosen = pick(call, tools, choice, messages)
    if given.get("parallel_tool_calls") is False:
        chosen = chosen[:1]
    text = last_text(messages)
    return [tool_call(call, function, text, number) for number, function in enumerate(chosen)]


def pick(
    call: DialectRequest, tools: list[dict[str, Any]], choice: object, messages: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    if isinstance(choice, dict):
        inner = choice.get("function")
        name = inner.get("name") if isinstance(inner, dict) else choice.get("name")
        named = [tool for tool in tools if tool["name"] == name]
        if not named:
            raise checks.wrong(call, f"Tool choice {name!r} not found in 'tools' parameter.", "tool_choice")
        return named
    if choice not in ("auto", "none", "required"):
        raise checks.wrong(call, f"Invalid value: {choice!r}.", "tool_choice")
    if choice != "none" and not tools:
        raise checks.wrong(call, "'tool_choice' is only allowed when 'tools' are specified.", "tool_choice")
    if choice == "none":
        return []
    text = text_of(messages[-1]).lower() if messages[-1]["role"] == "user" else ""
    meant = [tool for tool in tools if set(re.findall(r"[a-z0-9]+", tool["name"].lower())) & set(text_words(text))]
    return meant or (tools[:1] if choice == "required" else [])


def text_words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text)


def tool_function(call: DialectRequest, tool: object, place: str) -> dict[str, Any]:
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise checks.missing(call, f"{place}.function.name")
    return function


def tool_call(call: DialectRequest, function: Mapping[str, Any], text: str, number: int) -> dict[str, Any]:
    schema = function.get("parameters") or function.get("arguments") or {"type": "object"}
    arguments = made(call, schema, text, "tools")
    return {
        "id": f"call_{call.digest(f'tool {number}')}",
        "type": "function",
        "function": {"name": function["name"], "arguments": json.dumps(arguments, ensure_ascii=False)},
    }
