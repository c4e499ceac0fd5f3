"""Anthropic's Messages, under every path that ends in ``/messages``, and the count of their tokens.

What is refused is in ``anthropic_checks``. The name of the model asks for more: ``stop-pause_turn`` (or any other word)
ends its answers so, ``redacted`` has a thought that nobody reads beside the one that is shown.
https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..wire import Dialect, DialectAnswer, DialectRequest, StreamAnswer, WholeAnswer, dumps, post
from . import anthropic_checks as checks
from . import schemas, words

STOP = re.compile(r"stop-([a-z_]+)")
EFFORTS = {"low": 2, "medium": 4, "high": 8, "xhigh": 16, "max": 32}
"""Words of thinking for each effort."""
FRAGMENT = 8
"""Characters of a tool's arguments in one delta."""


def create(call: DialectRequest) -> DialectAnswer:
    given = checks.checked(call)
    conversation = checks.turns(given["messages"])
    blocks, stop, stopped = answer(call, given, conversation)
    asked = count(given)
    spent = sum(len(words.pieces(said(block))) for block in blocks)
    message = {
        "id": f"msg_{call.digest('message')}",
        "type": "message",
        "role": "assistant",
        "model": call.model,
        "content": blocks,
        "stop_reason": stop,
        "stop_sequence": stopped,
        "usage": usage(asked, spent),
    }
    headers = {"request-id": f"req_{call.digest('request')}"}
    if given.get("stream"):
        return StreamAnswer(events(message), headers)
    return WholeAnswer(message, headers=headers)


def count_tokens(call: DialectRequest) -> DialectAnswer:
    given = checks.checked(call, checks.COUNTED)
    return WholeAnswer({"input_tokens": count(given)}, headers={"request-id": f"req_{call.digest('request')}"})


def usage(asked: int, spent: int) -> dict[str, Any]:
    return {
        "input_tokens": asked,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": spent,
        "service_tier": "standard",
    }


def count(given: Mapping[str, Any]) -> int:
    """The words of the messages and the system prompt, and of the tools as JSON."""
    system = given.get("system", "")
    parts = [system] if isinstance(system, str) else [block["text"] for block in system]
    parts += [said(block) for _, blocks in checks.turns(given["messages"]) for block in blocks]
    return sum(map(words.count, parts)) + sum(words.count(json.dumps(tool)) for tool in given.get("tools", ()))


def said(block: Mapping[str, Any]) -> str:
    """What a block says as one text; what is not text is named in brackets."""
    if block["type"] in {"text", "thinking"}:
        return str(block[block["type"]])
    if block["type"] == "tool_result":
        content = block.get("content", "")
        return content if isinstance(content, str) else " ".join(map(said, content))
    return json.dumps(block["input"]) if block["type"] == "tool_use" else f"[{block['type']}]"


def answer(
    call: DialectRequest, given: Mapping[str, Any], conversation: Sequence[tuple[str, list[dict[str, Any]]]]
) -> tuple[list[dict[str, Any]], str, str | None]:
    """The blocks of the answer, why it stops, and at which sequence."""
    text = asked_for(conversation)
    blocks = thoughts(call, given, text)
    scripted = call.script.turn(call.model, [{"role": role} for role, _ in conversation])
    if scripted is not None:
        blocks += [{"type": "text", "text": scripted.text}] if scripted.text else []
        uses = [use(call, number, name, arguments) for number, (name, arguments) in enumerate(scripted.calls)]
        return [*blocks, *uses], "tool_use" if uses else "end_turn", None
    if uses := tool_uses(call, given, conversation, text):
        return [*blocks, *uses], "tool_use", None
    form = given.get("output_config", {}).get("format")
    if form is not None:
        speech = words.pieces(json.dumps(example(call, form["schema"], text), ensure_ascii=False))
    else:
        speech = words.tokens(text, call.model)
    speech, stopped = words.until(speech, given.get("stop_sequences", []), keep=False)
    stop = "stop_sequence" if stopped else "end_turn"
    left = given["max_tokens"] - sum(len(words.pieces(said(block))) for block in blocks)
    if len(speech) > left:
        speech, stop, stopped = speech[: max(0, left)], "max_tokens", None
    if (named := STOP.search(call.model)) is not None:
        stop = named[1]
    return [*blocks, *([{"type": "text", "text": "".join(speech)}] if speech else [])], stop, stopped


def asked_for(conversation: Sequence[tuple[str, list[dict[str, Any]]]]) -> str:
    """The text to answer: of the last turn of the user's."""
    return next((" ".join(map(said, blocks)) for role, blocks in reversed(conversation) if role == "user"), "")


def thoughts(call: DialectRequest, given: Mapping[str, Any], text: str) -> list[dict[str, Any]]:
    if given.get("thinking", {}).get("type", "disabled") == "disabled":
        return []
    effort = EFFORTS[given.get("output_config", {}).get("effort", "medium")]
    thought = "".join(words.tokens(f"I think about: {text}", f"words-{effort}"))
    shown: list[dict[str, Any]] = [{"type": "thinking", "thinking": thought, "signature": checks.signed(thought)}]
    return (
        [*shown, {"type": "redacted_thinking", "data": checks.signed("redacted")}]
        if "redacted" in call.model
        else shown
    )


def tool_uses(
    call: DialectRequest,
    given: Mapping[str, Any],
    conversation: Sequence[tuple[str, list[dict[str, Any]]]],
    text: str,
) -> list[dict[str, Any]]:
    """The tools that are used: those with a word of their name in the user's last turn, if it has no results of tools;
    "any" uses the first one if there is none such, a named one is used."""
    tools = [tool for tool in given.get("tools", ()) if tool.get("type", "custom") == "custom"]
    choice = given.get("tool_choice", {"type": "auto"})
    if choice["type"] == "none" or not tools:
        return []
    answered = any(block["type"] == "tool_result" for block in conversation[-1][1])
    spoken = set() if answered else set(re.findall(r"[a-z0-9]+", text.lower()))
    meant = [tool for tool in tools if set(re.findall(r"[a-z0-9]+", tool["name"].lower())) & spoken]
    if choice["type"] == "tool":
        meant = [tool for tool in tools if tool["name"] == choice["name"]]
    elif choice["type"] == "any":
        meant = meant or tools[:1]
    meant = meant[:1] if choice.get("disable_parallel_tool_use") else meant
    return [
        use(call, number, tool["name"], example(call, tool["input_schema"], text)) for number, tool in enumerate(meant)
    ]


def use(call: DialectRequest, number: int, name: str, arguments: Any) -> dict[str, Any]:
    given = json.loads(arguments) if isinstance(arguments, str) else arguments
    return {"type": "tool_use", "id": f"toolu_{call.digest(f'tool {number}')}", "name": name, "input": given}


def example(call: DialectRequest, schema: Any, text: str) -> Any:
    try:
        return schemas.example(schema, text)
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError, ZeroDivisionError) as error:
        raise checks.wrong(call, f"tools: JSON schema is invalid: {error}") from error


def events(message: Mapping[str, Any]) -> Iterator[bytes]:
    """The events of a stream: the message's beginning, its blocks one after the other, its end."""
    begun = {**message, "content": [], "stop_reason": None, "stop_sequence": None}
    begun["usage"] = {**message["usage"], "output_tokens": 1}
    yield event("message_start", message=begun)
    for index, block in enumerate(message["content"]):
        empty, grown = pieces(block)
        yield event("content_block_start", index=index, content_block=empty)
        if index == 0:
            yield event("ping")
        for delta in grown:
            yield event("content_block_delta", index=index, delta=delta)
        yield event("content_block_stop", index=index)
    why = {"stop_reason": message["stop_reason"], "stop_sequence": message["stop_sequence"]}
    yield event("message_delta", delta=why, usage={"output_tokens": message["usage"]["output_tokens"]})
    yield event("message_stop")


def pieces(block: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A block as it begins, and the deltas that it grows by."""
    kind = block["type"]
    if kind == "text":
        return {**block, "text": ""}, [{"type": "text_delta", "text": text} for text in words.pieces(block["text"])]
    if kind == "thinking":
        grown = [{"type": "thinking_delta", "thinking": text} for text in words.pieces(block["thinking"])]
        return {**block, "thinking": "", "signature": ""}, [
            *grown,
            {"type": "signature_delta", "signature": block["signature"]},
        ]
    if kind == "tool_use":
        text = json.dumps(block["input"], ensure_ascii=False)
        parts = ["", *(text[at : at + FRAGMENT] for at in range(0, len(text), FRAGMENT))]
        return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": part} for part in parts]
    return dict(block), []


def event(kind: str, **members: Any) -> bytes:
    """One event, under its name."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), dumps({"type": kind, **members}))


DIALECT = Dialect(
    "anthropic", (post(r"/messages$", create), post(r"/messages/count_tokens$", count_tokens)), checks.refuse
)
