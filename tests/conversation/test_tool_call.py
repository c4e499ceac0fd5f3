"""Calls of tools in every way that servers tell them: recorded, and as tables. Pure."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from headwater import ChatCompletionOutput, ChatCompletionOutputMessage, tool
from headwater.conversation.tool_call import ToolCallState, answers, calls_of
from headwater.protocol.flow import Reply
from headwater.protocol.framing import Frame
from headwater.providers.openai_chat import decode_chunk
from headwater.responses.decode import decode
from headwater.tasks.chat import wire_messages
from headwater.tasks.chat_fold import ChatFold
from headwater.tasks.chat_types import kept

FOLDER = os.environ.get("HEADWATER_RECORDED")


@tool
def get_current_weather(location: str, format: str) -> str:  # noqa: A002 - the recordings' name
    """Get the current weather."""
    return "rain"


@tool
def get_n_day_weather_forecast(location: str, format: str, num_days: int) -> str:  # noqa: A002
    """Get an N-day weather forecast."""
    return "rain"


@tool
def add(a: int, b: int) -> int:
    """Add."""
    return a + b


TOOLS = {made.name: made for made in (get_current_weather, get_n_day_weather_forecast, add)}
SUM = '{"a": 1, "b": 2}'


def message(**members: Any) -> ChatCompletionOutputMessage:
    return msgspec.convert({"role": "assistant", **members}, ChatCompletionOutputMessage)


def function(arguments: Any, name: str | None = "add", **more: Any) -> dict[str, Any]:
    return {"id": "a", "type": "function", "function": {"name": name, "arguments": arguments}, **more}


TOLD: dict[str, tuple[Any, str, Any]] = {
    # what came: the name and the arguments that are meant, or what is wrong
    "OpenAI's": (function(SUM), "add", {"a": 1, "b": 2}),
    "an object": (function({"a": 1, "b": 2}), "add", {"a": 1, "b": 2}),
    "JSON in JSON": (function(json.dumps(SUM)), "add", {"a": 1, "b": 2}),
    "nothing": (function(""), "add", {}),
    "null": (function(None), "add", {}),
    "null as text": (function("null"), "add", {}),
    "blanks": (function("  \n"), "add", {}),
    "gpt-oss's name": (function(SUM, "functions.add"), "add", {"a": 1, "b": 2}),
    "gpt-oss's channel": (function(SUM, "add<|channel|>commentary"), "add", {"a": 1, "b": 2}),
    "an unknown name": (function(SUM, "subtract"), "subtract", {"a": 1, "b": 2}),
    "no name": (function({"a": 1, "b": 2}, ""), "add", {"a": 1, "b": 2}),
    "no JSON": (function('{"a": 1'), "add", "not valid JSON"),
    "a list": (function("[1]"), "add", "JSON object"),
    "a number": (function("7"), "add", "JSON object"),
}


@pytest.mark.parametrize(("came", "name", "meant"), TOLD.values(), ids=TOLD)
def test_a_call_is_read(came: dict[str, Any], name: str, meant: Any) -> None:
    answer = message(tool_calls=[came])
    (call,) = calls_of(answer, TOOLS, 1)
    assert call.name == name
    if isinstance(meant, str):
        assert call.problem is not None
        assert meant in call.problem
        (sent,) = wire_messages([answer])
        json.loads(sent["tool_calls"][0]["function"]["arguments"])  # what is sent back can be read
    else:
        assert call.problem is None
        assert json.loads(call.arguments) == meant


@pytest.mark.parametrize(
    "ids", [["", ""], [None, None], ["a", "a"], [0, 0], ["a", ""], ["", "a"]], ids=lambda ids: repr(ids)
)
def test_every_call_has_an_id_of_its_own_which_goes_back(ids: list[Any]) -> None:
    calls = [{**function(SUM), "id": given} for given in ids]
    answer = message(tool_calls=calls)
    found = calls_of(answer, TOOLS, 3)
    assert len({call.id for call in found}) == len(ids)
    assert all(call.id for call in found)
    (sent,) = wire_messages([answer])
    assert [call["id"] for call in sent["tool_calls"]] == [call.id for call in found]
    assert [told["tool_call_id"] for told in answers(found)] == [call.id for call in found]


def test_the_function_call_of_old_is_answered_in_its_own_way() -> None:
    answer = message(function_call={"name": "add", "arguments": SUM})
    (call,) = calls_of(answer, TOOLS, 1)
    call.answer("returned", "3")
    assert answers([call]) == [{"role": "function", "name": "add", "content": "3"}]


def test_a_custom_tools_input_is_a_text() -> None:
    answer = message(tool_calls=[{"id": "c", "type": "custom", "custom": {"name": "run", "input": "1 + 2"}}])
    (call,) = calls_of(answer, TOOLS, 1)
    assert (call.kind, call.name, call.arguments) == ("custom", "run", "1 + 2")


def test_a_call_without_an_answer_is_told_as_given_up_but_not_changed() -> None:
    calls = [ToolCallState(id="a", name="add", arguments=SUM), ToolCallState(id="b", name="add", arguments=SUM)]
    calls[1].begun = True
    told = [message["content"] for message in answers(calls)]
    assert "was not run" in told[0]
    assert "not known" in told[1]
    assert not any(call.is_answered for call in calls)


# what servers sent


def recorded() -> Iterator[Any]:
    if FOLDER is None:
        return
    for line in (Path(FOLDER) / "exchanges.jsonl").read_text(encoding="utf-8").splitlines():
        exchange = json.loads(line)
        text = (exchange.get("response_body") or {}).get("text") or ""
        if '"tool_calls":[{' in text and '"choices"' in text:
            yield pytest.param(text, id=exchange["id"])


@pytest.mark.skipif(FOLDER is None, reason="HEADWATER_RECORDED names no folder of recorded exchanges")
@pytest.mark.parametrize("text", list(recorded()))
def test_a_recorded_call_is_read(text: str) -> None:
    answer = decode(Reply(status=200, headers={}, body=text.encode()), ChatCompletionOutput)
    (call,) = calls_of(kept(answer).choices[0].message, TOOLS, 1)
    assert call.problem is None
    assert TOOLS[call.name].converted(json.loads(call.arguments))["location"] == "San Francisco, CA"


def chunk(*pieces: dict[str, Any], finish: str | None = None, **delta: Any) -> dict[str, Any]:
    told = {**delta, **({"tool_calls": list(pieces)} if pieces else {})}
    return {"id": "c", "choices": [{"index": 0, "delta": told, "finish_reason": finish}]}


HALVES = ('{"a": 1,', ' "b": 2}')
STREAMED: dict[str, list[dict[str, Any]]] = {
    "OpenAI's": [
        chunk({"index": 0, "id": "a", "type": "function", "function": {"name": "add", "arguments": ""}}),
        chunk({"index": 0, "function": {"arguments": HALVES[0]}}),
        chunk({"index": 0, "function": {"arguments": HALVES[1]}}),
    ],
    "no index": [
        chunk({"id": "a", "function": {"name": "add", "arguments": HALVES[0]}}),
        chunk({"function": {"arguments": HALVES[1]}}),
    ],
    "id and name in every piece, and no role after the first": [
        chunk({"index": 0, "id": "a", "function": {"name": "add", "arguments": HALVES[0]}}, role="assistant"),
        chunk({"index": 0, "id": "a", "function": {"name": "add", "arguments": HALVES[1]}}, role=None),
    ],
    "whole": [chunk({"index": 0, "id": "a", "function": {"name": "add", "arguments": SUM}}, finish="tool_calls")],
    "an object": [chunk({"index": 0, "id": "a", "function": {"name": "add", "arguments": {"a": 1, "b": 2}}})],
    "no id": [chunk({"index": 0, "function": {"name": "add", "arguments": SUM}})],
}


@pytest.mark.parametrize("chunks", STREAMED.values(), ids=STREAMED)
def test_a_streamed_call_is_read(chunks: list[dict[str, Any]]) -> None:
    fold = ChatFold(1, frozenset())
    for told in [*chunks, chunk(finish="tool_calls")]:
        event: Any = decode_chunk(Frame(data=json.dumps(told).encode()))
        fold.add(event)
    (call,) = calls_of(fold.result().choices[0].message, TOOLS, 1)
    assert (call.name, json.loads(call.arguments), call.problem) == ("add", {"a": 1, "b": 2}, None)
    assert call.id
