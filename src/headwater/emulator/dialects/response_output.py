"""What a response of the Responses API says: its items, and the events that bring each of them.

The text is the chats': the words of the last user's message over and over. The tools that are called are those with a
word of their name, or of their type, in that message. Words in the model's name ask for another end: ``fail`` (failed
behind the text), ``errored`` (an error in the stream), ``refuse`` (a refusal); ``cut-N`` ends the first stream behind
N events, ``unnumbered`` leaves out all numbers and indexes, as llama.cpp's server does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..wire import DialectRequest
from . import checks, media, messages, response_input, words
from .openai import FRAGMENT, THOUGHTS

NUMBERS = frozenset({"sequence_number", "output_index", "content_index", "summary_index"})
HOSTED = {
    "web_search": "web_search_call",
    "web_search_preview": "web_search_call",
    "file_search": "file_search_call",
    "code_interpreter": "code_interpreter_call",
    "image_generation": "image_generation_call",
    "mcp": "mcp_call",
}
"""The server's own tools, and the items that their calls are."""
STEPS = {
    "web_search_call": ("in_progress", "searching", "completed"),
    "file_search_call": ("in_progress", "searching", "completed"),
    "code_interpreter_call": ("in_progress", "interpreting", "completed"),
    "image_generation_call": ("in_progress", "generating", "completed"),
    "mcp_call": ("in_progress", "completed"),
    "mcp_list_tools": ("in_progress", "completed"),
}
"""What is said of a call of the server's own before, in the midst of, and behind it."""
TEXTS = {
    "function_call": ("arguments", "function_call_arguments"),
    "mcp_call": ("arguments", "mcp_call_arguments"),
    "custom_tool_call": ("input", "custom_tool_call_input"),
    "code_interpreter_call": ("code", "code_interpreter_call_code"),
}
"""The members that come in pieces, and what their events are called."""


@dataclass(frozen=True, slots=True)
class Output:
    """The items of a response, its status, and what they cost: tokens of text, and of thoughts."""

    items: list[dict[str, Any]]
    status: str
    spent: tuple[int, int]

    def end(self) -> dict[str, Any]:
        reason = {"reason": "max_output_tokens"} if self.status == "incomplete" else None
        error = {"code": "server_error", "message": "The model failed."} if self.status == "failed" else None
        return {"status": self.status, "incomplete_details": reason, "error": error}


def output(call: DialectRequest, given: Mapping[str, Any], seed: str) -> Output:
    asked = response_input.as_messages([*given["earlier"], *given["items"]]) or [{"role": "user", "content": ""}]
    text = messages.last_text(asked)
    thoughts = thinking(call, given, text)
    items = [reasoning(given, thoughts, seed)] if thoughts else []
    script = call.script.turn(call.model, asked)
    calls = list(scripted(script, seed)) if script is not None else called(call, given, asked, text, seed)
    items += calls
    said: list[str] = []
    hosted_only = all(item["type"] not in response_input.CALLS for item in calls)
    if hosted_only and (script is None or script.text):
        form = structured(call, given, text)
        said = words.tokens(text, call.model) if form is None else words.pieces(form)
        said = words.pieces(script.text) if script is not None else said
    limit = given.get("max_output_tokens") or words.MAX_WORDS
    is_cut = len(thoughts) + len(said) > limit
    said = said[: max(0, limit - len(thoughts))]
    status = "failed" if "fail" in call.model or "errored" in call.model else "incomplete" if is_cut else "completed"
    if said:
        items.append(message(call, given, said, seed, "completed" if status == "completed" else "incomplete"))
    spent = len(said) + sum(len(words.pieces(item.get("arguments", ""))) for item in calls)
    return Output(items, status, (spent, len(thoughts)))


def name_of(prefix: str, seed: str, number: int = 0) -> str:
    return f"{prefix}_{hashlib.sha256(f'{prefix} {seed} {number}'.encode()).hexdigest()[:24]}"


def thinking(call: DialectRequest, given: Mapping[str, Any], text: str) -> list[str]:
    effort = (given.get("reasoning") or {}).get("effort") or "none"
    if effort != "none" and effort not in THOUGHTS:
        message = f"Invalid value: {effort!r}. Supported values are: 'none', {str(tuple(THOUGHTS))[1:-1]}."
        raise checks.wrong(call, message, "reasoning.effort")
    return words.tokens(f"I think about: {text}", f"words-{THOUGHTS.get(effort, 0)}")


def reasoning(given: Mapping[str, Any], thoughts: list[str], seed: str) -> dict[str, Any]:
    text = "".join(thoughts)
    summary = [{"type": "summary_text", "text": text}] if (given.get("reasoning") or {}).get("summary") else []
    item: dict[str, Any] = {"id": name_of("rs", seed), "type": "reasoning", "summary": summary}
    if not summary:
        item["content"] = [{"type": "reasoning_text", "text": text}]
    if "reasoning.encrypted_content" in (given.get("include") or ()):
        item["encrypted_content"] = hashlib.sha256(text.encode()).hexdigest()
    return item


def structured(call: DialectRequest, given: Mapping[str, Any], text: str) -> str | None:
    """The JSON text that ``text.format`` asks for, or None when it asks for none."""
    form = (given.get("text") or {}).get("format") or {"type": "text"}
    if form.get("type") not in ("text", "json_object", "json_schema"):
        raise checks.wrong(call, f"Invalid value: {form.get('type')!r}.", "text.format.type")
    if form["type"] == "json_schema":
        for name in ("name", "schema"):
            if not form.get(name):
                raise checks.missing(call, f"text.format.{name}")
        form = {"type": "json_schema", "json_schema": form}
    return messages.structured(call, {"response_format": form}, text)


def message(call: DialectRequest, given: Mapping[str, Any], said: list[str], seed: str, status: str) -> dict[str, Any]:
    text = "".join(said)
    part: dict[str, Any] = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    if any((tool.get("type") or "").startswith("web_search") for tool in given.get("tools") or ()):
        part["annotations"] = [
            {"type": "url_citation", "url": "https://river.example", "title": "River", "start_index": 0, "end_index": 1}
        ]
    if "message.output_text.logprobs" in (given.get("include") or ()):
        part["logprobs"] = [score(token) for token in said]
    if "refuse" in call.model:
        part = {"type": "refusal", "refusal": text}
    return {
        "id": name_of("msg", seed),
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": [part],
    }


def score(token: str) -> dict[str, Any]:
    return {"token": token, "logprob": words.logprob(token), "bytes": list(token.encode()), "top_logprobs": []}


def scripted(turn: Any, seed: str) -> Iterator[dict[str, Any]]:
    """The calls of a turn that a test has written."""
    for number, (name, arguments) in enumerate(turn.calls):
        text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        yield function_call(name, text, seed, number)


def function_call(name: str, arguments: str, seed: str, number: int) -> dict[str, Any]:
    return {
        "id": name_of("fc", seed, number),
        "type": "function_call",
        "status": "completed",
        "call_id": name_of("call", seed, number),
        "name": name,
        "arguments": arguments,
    }


def called(
    call: DialectRequest, given: Mapping[str, Any], asked: list[dict[str, Any]], text: str, seed: str
) -> list[dict[str, Any]]:
    """The calls that the answer makes: functions and custom tools as in a chat, the server's own by their types."""
    tools = [{**tool, "name": tool.get("name") or tool["type"]} for tool in given.get("tools") or ()]
    choice = given.get("tool_choice", "auto" if tools else "none")
    if isinstance(choice, dict):
        choice = {"name": choice.get("name") or choice.get("type")}
    chosen = messages.pick(call, tools, choice, asked)
    if given.get("parallel_tool_calls") is False:
        chosen = chosen[:1]
    found: list[dict[str, Any]] = []
    for number, tool in enumerate(chosen):
        if tool["type"] == "function":
            schema = tool.get("parameters") or {"type": "object"}
            made = messages.made(call, schema, text, "tools")
            found.append(function_call(tool["name"], json.dumps(made, ensure_ascii=False), seed, number))
        elif tool["type"] == "custom":
            item = function_call(tool["name"], "", seed, number)
            del item["arguments"]
            found.append({**item, "id": name_of("ctc", seed, number), "type": "custom_tool_call", "input": text})
        elif tool["type"] in HOSTED:
            found += hosted(HOSTED[tool["type"]], tool, text, seed, number)
    return found


def hosted(kind: str, tool: Mapping[str, Any], text: str, seed: str, number: int) -> list[dict[str, Any]]:
    """A call of one of the server's own tools, as the item that it is."""
    item: dict[str, Any] = {"id": name_of(kind[:2], seed, number), "type": kind, "status": "completed"}
    if kind == "mcp_call":
        label = tool["server_label"]
        tools = [{"name": "look", "description": "Look.", "input_schema": {"type": "object"}, "annotations": None}]
        listing = {"id": name_of("mcpl", seed, number), "type": "mcp_list_tools", "server_label": label, "tools": tools}
        said = {"server_label": label, "name": "look", "arguments": json.dumps({"at": text}), "output": text}
        return [listing, {**item, **said, "error": None}]
    more: dict[str, dict[str, Any]] = {
        "web_search_call": {"action": {"type": "search", "query": text, "queries": [text]}},
        "file_search_call": {"queries": [text], "results": None},
        "code_interpreter_call": {"code": f"print({text!r})", "container_id": "cntr_1", "outputs": None},
        "image_generation_call": {"result": media.in_base64(media.png(4, 3)), "revised_prompt": text},
    }
    return [{**item, **more[kind]}]


# its events


def item_events(item: Mapping[str, Any], index: int) -> Iterator[dict[str, Any]]:
    """The events that bring an item, from when it begins until it is whole."""
    kind, at = item["type"], {"item_id": item["id"], "output_index": index}
    begun = {**item, **({"status": "in_progress"} if "status" in item else {})}
    for name in ("content", "summary"):
        if name in item:
            begun[name] = []
    for name in ("arguments", "input", "code"):
        if name in item:
            begun[name] = ""
    for name in ("result", "output"):
        if name in item:
            begun[name] = None
    yield {"type": "response.output_item.added", "output_index": index, "item": begun}
    steps = STEPS.get(kind, ())
    for step in steps[:1]:
        yield {"type": f"response.{kind}.{step}", **at}
    yield from part_events(item, at)
    if kind in TEXTS:
        yield from text_events(item, at)
    if kind == "image_generation_call":
        partial = {"partial_image_index": 0, "partial_image_b64": item["result"]}
        yield {"type": "response.image_generation_call.partial_image", **at, **partial}
    for step in steps[1:]:
        yield {"type": f"response.{kind}.{step}", **at}
    yield {"type": "response.output_item.done", "output_index": index, "item": dict(item)}


def text_events(item: Mapping[str, Any], at: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    member, name = TEXTS[item["type"]]
    text = item[member]
    for start in range(0, len(text), FRAGMENT):
        yield {"type": f"response.{name}.delta", **at, "delta": text[start : start + FRAGMENT]}
    named = {"name": item["name"]} if item["type"] == "function_call" else {}
    yield {"type": f"response.{name}.done", **at, **named, member: text}


def part_events(item: Mapping[str, Any], at: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The events of a message's parts, of a reasoning's, and of its summary's."""
    for name, index_name in (("summary", "summary_index"), ("content", "content_index")):
        for number, part in enumerate(item.get(name) or ()):
            place = {**at, index_name: number}
            kind = part["type"]
            member = "refusal" if kind == "refusal" else "text"
            event, around = kind, "content_part"
            if kind == "summary_text":
                event, around = "reasoning_summary_text", "reasoning_summary_part"
            begun = {**part, member: "", **{name: [] for name in ("annotations", "logprobs") if name in part}}
            yield {"type": f"response.{around}.added", **place, "part": begun}
            scores: dict[str, Any] = {"logprobs": []} if kind == "output_text" else {}
            for token in words.pieces(part[member]):
                more = {"logprobs": [score(token)]} if part.get("logprobs") else scores
                yield {"type": f"response.{event}.delta", **place, "delta": token, **more}
            for which, annotation in enumerate(part.get("annotations") or ()):
                said = {"annotation_index": which, "annotation": annotation}
                yield {"type": "response.output_text.annotation.added", **place, **said}
            yield {"type": f"response.{event}.done", **place, member: part[member], **scores}
            yield {"type": f"response.{around}.done", **place, "part": dict(part)}


def unnumbered(event: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name not in NUMBERS}
