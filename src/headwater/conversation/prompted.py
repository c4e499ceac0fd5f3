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

from ..protocol.json_value import json_value
from ..schema.rules import WRAPPER
from ..tasks.chat import wire_tool_choice
from ..tasks.chat_types import (
    ChatCompletionOutputFunctionDefinition,
    ChatCompletionOutputMessage,
    ChatCompletionOutputToolCall,
)
from .tool import Tool

CALLS: Final = "tool_calls"
ANSWER: Final = "answer"
"""The members of the object that an answer is to be."""
_CALL: Final = '{"name": "...", "arguments": {...}}'
_MOST_OBJECTS: Final = 32
_TAGGED: Final = re.compile(r"<tool_call>\s*(.*?)\s*(?:</tool_call>|\Z)", re.DOTALL)
_ARGUMENTS: Final = ("arguments", "parameters", "args")


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What a turn may come to: calls of `tools` (all where it is None), one or `several`, or the final answer."""

    may_call: bool = True
    may_answer: bool = True
    tools: frozenset[str] | None = None
    several: bool = True


def wishes_of(choice: Any, several: bool | None, *, is_first: bool) -> Wishes:
    """What the caller's `tool_choice` and `parallel_tool_calls` let a turn come to. "required" and tools' names hold
    for the first turn, "none" for all.

    https://platform.openai.com/docs/api-reference/chat/create#chat-create-tool_choice
    """
    plain = json_value(wire_tool_choice(choice))
    if plain == "none":
        return Wishes(may_call=False)
    tools, forced = None, plain == "required"
    if isinstance(plain, Mapping):
        allowed = plain.get("allowed_tools")
        given = allowed.get("tools", ()) if isinstance(allowed, Mapping) else (plain,)
        tools = frozenset(filter(None, map(_call_name, given))) or None
        forced = tools is not None and (not isinstance(allowed, Mapping) or allowed.get("mode") == "required")
    if not is_first:
        return Wishes(several=several is not False)
    return Wishes(may_answer=not forced, tools=tools, several=several is not False)


class TextTurn(msgspec.Struct, kw_only=True):
    """What a text comes to: `calls`, or the final answer, `content`, which is `answer` where the text has it in its
    place. `value`: what that is by its type."""

    calls: list[ChatCompletionOutputToolCall] = []
    content: str | None = None
    answer: Any = msgspec.UNSET
    value: Any = None


def messages_in_words(
    messages: Sequence[Mapping[str, Any]],
    tools: Mapping[str, Tool[..., Any]],
    wishes: Wishes,
    answer: Mapping[str, Any] | None = None,
) -> list[Any]:
    """The conversation as a server without tools takes it: the tools in the first message, calls and answers as
    text. `answer`: the schema of the final answer, where that is more than a text."""
    introduction = _introduction(tools, wishes, answer)
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


def _introduction(tools: Mapping[str, Tool[..., Any]], wishes: Wishes, answer: Mapping[str, Any] | None) -> str:
    named = [tool for tool in tools.values() if wishes.tools is None or tool.name in wishes.tools]
    told = ["You can call these tools:", "", *map(_tool_in_words, named), ""] if wishes.may_call else []
    told.append("Answer with one JSON object and nothing else.")
    if wishes.may_call:
        told.append("To call one tool or several:" if wishes.several else "To call one tool:")
        told.append(f'{{"{CALLS}": [{_CALL}]}}')
    if wishes.may_answer:
        told.append("To give your final answer:" if wishes.may_call else "Call no tool, and give your final answer:")
        told.append(f'{{"{ANSWER}": ...}}' if answer is not None else f'{{"{ANSWER}": "..."}}')
        if answer is not None:
            told.append(f"where the answer follows this JSON schema: {json.dumps(answer, ensure_ascii=False)}")
    else:
        told.append("Call a tool now.")
    return "\n".join([*told, "What the tools return comes in the next message."])


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


def message_of_turn(turn: TextTurn, message: ChatCompletionOutputMessage) -> ChatCompletionOutputMessage:
    """The message as what its text comes to."""
    if turn.calls:
        return ChatCompletionOutputMessage(content=None, reasoning=message.reasoning, tool_calls=turn.calls)
    if turn.content == (message.content or ""):
        return message
    return ChatCompletionOutputMessage(content=turn.content, reasoning=message.reasoning)


def read_text(text: str, tools: Container[str]) -> TextTurn:
    """What a text comes to. An object that only looks like a call is one if there is such a tool."""
    values = [_unwrapped(value) for value in _objects(text)]
    is_marked = bool(_TAGGED.search(text))
    calls = [call for value in values for call in _calls(value, None if is_marked else tools)]
    if calls:
        return TextTurn(calls=calls)
    for value in values:
        if isinstance(value, dict) and ANSWER in value and value.keys() <= {ANSWER, CALLS}:
            answer = value[ANSWER]
            said = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
            return TextTurn(content=said, answer=answer)
    return TextTurn(content=text)


def _unwrapped(value: Any) -> Any:
    """The object that stands in another for servers that want no choice at the root of a schema."""
    inner = value.get(WRAPPER) if isinstance(value, dict) and len(value) == 1 else None
    return inner if isinstance(inner, dict) else value


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
