"""Tools for a server that has none: the model is told of them in words, and its calls are read from its text.

The conversation stays OpenAI's, with `tool_calls` and messages of the role "tool", so that it can go on at any server;
it is put into words only where it is sent. The answer is to be one JSON object,

    {"tool_calls": [{"name": "add", "arguments": {"a": 1, "b": 2}}]}        or        {"answer": "It is 3."}

which a server that follows a schema (`response_format`) can be held to. What comes otherwise is read as far as it can
be: in a fence, behind other words, in the marks that Hermes, Mistral and Llama are trained to make; and a text without
any call is the answer. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec

from ..tasks.chat_types import (
    ChatCompletionOutputFunctionDefinition,
    ChatCompletionOutputMessage,
    ChatCompletionOutputToolCall,
)
from .tool import Tool

_INTRODUCTION: Final = """You can call these tools:

{tools}

Answer with one JSON object and nothing else. To call one tool or several:
{{"tool_calls": [{{"name": "...", "arguments": {{...}}}}]}}
To give your final answer:
{{"answer": "..."}}
What the tools return comes in the next message."""
_MOST_OBJECTS: Final = 32
_TAGGED: Final = re.compile(r"<tool_call>\s*(.*?)\s*(?:</tool_call>|\Z)", re.DOTALL)
_ARGUMENTS: Final = ("arguments", "parameters", "args")


def messages_in_words(messages: Sequence[Mapping[str, Any]], tools: Mapping[str, Tool[..., Any]]) -> list[Any]:
    """The conversation as a server without tools takes it: the tools in the first message, calls and answers as
    text."""
    told = "\n".join(_tool_in_words(tool) for tool in tools.values())
    introduction = _INTRODUCTION.format(tools=told)
    found: list[dict[str, Any]] = []
    first = messages[0] if messages else {}
    if first.get("role") in ("system", "developer") and isinstance(first.get("content"), str):
        found.append({**first, "content": f"{first['content']}\n\n{introduction}"})
        messages = messages[1:]
    else:
        found.append({"role": "system", "content": introduction})
    names: dict[str, str] = {}
    results: dict[str, Any] = {}  # the newest message of results: those of one turn are one, so that roles take turns
    for message in messages:
        if message.get("tool_calls"):
            names |= {call["id"]: _call_name(call) for call in message["tool_calls"]}
            found.append({"role": "assistant", "content": _calls_in_words(message)})
        elif message.get("role") in ("tool", "function"):
            name = names.get(message.get("tool_call_id", ""), message.get("name") or "tool")
            told = f"{name} returned:\n{message.get('content') or ''}"
            if found[-1] is results:
                results["content"] += f"\n\n{told}"
            else:
                results = {"role": "user", "content": told}
                found.append(results)
        else:
            found.append(dict(message))
    return found


def _tool_in_words(tool: Tool[..., Any]) -> str:
    schema = json.dumps(tool.parameters, ensure_ascii=False)
    return f"- {tool.name}: {tool.description or 'no description'} Arguments, as a JSON schema: {schema}"


def _call_name(call: Mapping[str, Any]) -> str:
    return str((call.get("function") or call.get("custom") or {}).get("name", ""))


def _calls_in_words(message: Mapping[str, Any]) -> str:
    calls = []
    for call in message["tool_calls"]:
        function = call.get("function") or {}
        arguments = function.get("arguments")
        if isinstance(arguments, str):
            with suppress(msgspec.MsgspecError):
                arguments = msgspec.json.decode(arguments)
        calls.append({"name": _call_name(call), "arguments": arguments or {}})
    return json.dumps({"tool_calls": calls}, ensure_ascii=False)


def response_format(tools: Mapping[str, Tool[..., Any]], choice: Any, *, is_first: bool) -> dict[str, Any]:
    """The schema of an answer: calls of the tools, or the final answer.

    `choice` is the caller's `tool_choice`: "required" and a tool's name hold for the first turn, "none" for all.
    """
    named = choice.get("function", {}).get("name") if isinstance(choice, Mapping) else None
    calls = [
        {
            "type": "object",
            "properties": {"name": {"type": "string", "enum": [tool.name]}, "arguments": tool.parameters},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for tool in tools.values()
        if named is None or not is_first or tool.name == named
    ]
    item = calls[0] if len(calls) == 1 else {"anyOf": calls}
    called = _object("tool_calls", {"type": "array", "items": item, "minItems": 1, "maxItems": 8})
    said = _object("answer", {"type": "string"})
    if choice == "none":
        schema = said
    elif is_first and (choice == "required" or named is not None):
        schema = called
    else:
        schema = {"anyOf": [called, said]}
    return {"type": "json_schema", "json_schema": {"name": "turn", "schema": schema}}


def _object(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {name: schema}, "required": [name], "additionalProperties": False}


def read(message: ChatCompletionOutputMessage, tools: Container[str]) -> ChatCompletionOutputMessage:
    """The message with the calls that its text makes, or with the answer that it is. An object that only looks like a
    call is one if there is such a tool."""
    if message.tool_calls or message.function_call is not None:
        return message
    text = message.content or ""
    values = list(_objects(text))
    is_marked = bool(_TAGGED.search(text))
    calls = [call for value in values for call in _calls(value, None if is_marked else tools)]
    if calls:
        return ChatCompletionOutputMessage(content=None, reasoning=message.reasoning, tool_calls=calls)
    for value in values:
        if isinstance(value, dict) and value.keys() == {"answer"}:
            answer = value["answer"]
            said = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
            return ChatCompletionOutputMessage(content=said, reasoning=message.reasoning)
    return message


def _objects(text: str) -> Iterator[Any]:
    """The JSON objects and lists in a text, one after the other."""
    for part in _TAGGED.findall(text) or [text]:
        decoder, at = json.JSONDecoder(strict=False), 0
        for _ in range(_MOST_OBJECTS):
            found = re.compile(r"[{\[]").search(part, at)
            if found is None:
                break
            try:
                value, at = decoder.raw_decode(part, found.start())
            except (ValueError, RecursionError):
                at = found.start() + 1
                continue
            yield value


def _calls(value: Any, names: Container[str] | None) -> list[ChatCompletionOutputToolCall]:
    """The calls that a value makes; those of these names alone, where it is not said to be calls."""
    if isinstance(value, list):
        return [call for item in value for call in _calls(item, names)]
    if not isinstance(value, dict):
        return []
    if isinstance(value.get("tool_calls"), list):
        return _calls(value["tool_calls"], None)
    function = value.get("function")
    inner = function if isinstance(function, dict) else value
    given = next((inner[name] for name in _ARGUMENTS if name in inner), None)
    name = inner.get("name")
    if not isinstance(name, str) or given is None or (names is not None and name not in names):
        return []
    text = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    function = ChatCompletionOutputFunctionDefinition(name=name, arguments=text)
    return [ChatCompletionOutputToolCall(id=str(value.get("id") or ""), function=function)]
