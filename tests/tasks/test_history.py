"""An answer's message that is put back into `messages` is what the provider gave, whole or streamed."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from headwater.protocol.flow import Reply
from headwater.protocol.framing import Frame
from headwater.providers.openai_chat import decode_chunk
from headwater.responses.decode import decode
from headwater.tasks.chat import wire_messages
from headwater.tasks.chat_fold import ChatFold
from headwater.tasks.chat_types import ChatCompletionOutput, ChatCompletionStreamOutput, kept

CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
SIGNED = {**CALL, "extra_content": {"google": {"thought_signature": "c2ln", "more": None}}}
TEXT = {"type": "reasoning.text", "text": "Let me", "signature": "sig", "format": "x-v1", "index": 0}
SECRET = {"type": "reasoning.encrypted", "data": "ZW5j", "id": "r1", "format": "x-v1", "index": 1}
QUOTED = {"type": "url_citation", "url_citation": {"url": "https://a.example", "start_index": 0, "end_index": 2}}

MESSAGES: dict[str, dict[str, Any]] = {
    "a text": {"content": "Hi"},
    "a signature": {"content": None, "tool_calls": [SIGNED]},
    "a signature beside a text": {"content": "Hi", "tool_calls": [SIGNED, {**CALL, "id": "b"}]},
    "a signature in an unknown place": {"tool_calls": [{**CALL, "thought_signature": "c2ln"}]},
    "a signature in the function": {"tool_calls": [{**CALL, "function": {**CALL["function"], "signed": "c2ln"}}]},  # type: ignore[dict-item]
    "reasoning_content": {"content": "", "reasoning_content": "Let me", "tool_calls": [CALL]},
    "reasoning": {"content": "4", "reasoning": "Let me"},
    "both spellings": {"content": "4", "reasoning": "Let me see", "reasoning_content": "Let me see"},
    "reasoning_details": {"content": "4", "reasoning": "Let me", "reasoning_details": [TEXT, SECRET]},
    "a spoken answer": {
        "content": None,
        "audio": {"id": "audio_1", "data": "AAAA", "transcript": "Hi", "expires_at": 7},
    },
    "a custom tool": {"tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "sh", "input": "ls"}}]},
    "a function call": {"content": None, "function_call": {"name": "f", "arguments": '{"x":1}'}},
    "annotations": {"content": "Hi", "annotations": [QUOTED]},
    "a name": {"content": "Hi", "name": "bob"},
    "an empty member": {"content": "Hi", "audio_content": ""},
    "what nobody knows": {
        "content": "Hi",
        "images": [{"image_url": {"url": "data:,"}}],
        "provider_specific": {"x": [1]},
    },
    "arguments as an object with null": {"tool_calls": [{**CALL, "function": {"name": "f", "arguments": {"x": None}}}]},
    "content in parts": {
        "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}, {"type": "text", "text": "4"}]
    },
}


def whole(message: dict[str, Any]) -> ChatCompletionOutput:
    answer = {"id": "1", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    reply = Reply(status=200, headers={}, body=msgspec.json.encode(answer), url="https://h.example")
    return kept(decode(reply, ChatCompletionOutput))


def folded(*deltas: dict[str, Any]) -> ChatCompletionOutput:
    fold = ChatFold()
    for delta in (*deltas, None):
        choice = {"index": 0, "delta": delta or {}, "finish_reason": "stop" if delta is None else None}
        event = decode_chunk(Frame(msgspec.json.encode({"id": "1", "choices": [choice]})))
        assert isinstance(event, ChatCompletionStreamOutput)
        fold.add(event)
    assert fold.complete()
    return fold.result()


def streamed(message: dict[str, Any]) -> ChatCompletionOutput:
    """Member by member, each in a chunk; but two spellings of one thing come together."""
    spellings: dict[str, Any] = {name: message[name] for name in ("reasoning", "reasoning_content") if name in message}
    return folded(*({name: value} for name, value in message.items() if name not in spellings), spellings)


def as_event(message: dict[str, Any]) -> ChatCompletionOutput:
    """A whole answer as the only event of a stream."""
    answer = {"id": "1", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    event = decode_chunk(Frame(msgspec.json.encode(answer)))
    assert isinstance(event, ChatCompletionStreamOutput)
    fold = ChatFold()
    fold.add(event)
    assert fold.complete()
    return fold.result()


def told(message: dict[str, Any]) -> dict[str, Any]:
    """What is to be sent: all that is not null."""
    return {name: value for name, value in message.items() if value is not None}


ROADS: dict[str, Callable[[ChatCompletionOutput], Any]] = {
    "as it is": lambda answer: answer.choices[0].message,
    "copied": lambda answer: copy.deepcopy(answer).choices[0].message,
    "copied at the top": lambda answer: copy.copy(answer.choices[0].message),
    "pickled": lambda answer: pickle.loads(pickle.dumps(answer.choices[0].message)),
}
DICTS: dict[str, Callable[[ChatCompletionOutput], Any]] = {
    "the answer's dict": lambda answer: answer.to_dict()["choices"][0]["message"],
    "the message's dict": lambda answer: answer.choices[0].message.to_dict(),
    "the answer's JSON": lambda answer: json.loads(answer.to_json())["choices"][0]["message"],
    "the message's JSON": lambda answer: json.loads(answer.choices[0].message.to_json()),
    "dict()": lambda answer: dict(answer.choices[0].message),
    "raw": lambda answer: answer.raw["choices"][0]["message"],
}


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("answered", [whole, streamed, as_event])
def test_a_message_goes_back_as_it_came(name: str, answered: Any) -> None:
    given = {"role": "assistant", **MESSAGES[name]}
    for road, taken in ROADS.items():
        message = taken(answered(given))
        assert message.name == given.get("name"), road
        sent = wire_messages([message])[0]
        if answered is streamed and name == "reasoning_content":
            sent.setdefault("content", "")  # with tool calls, an empty piece is none
        assert json.loads(msgspec.json.encode(sent)) == told(given), road


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("answered", [whole, streamed, as_event])
def test_a_dict_of_a_message_has_all_that_came(name: str, answered: Any) -> None:
    given = {"role": "assistant", **MESSAGES[name]}
    for road, taken in DICTS.items():
        sent = json.loads(msgspec.json.encode(wire_messages([taken(answered(given))])[0]))
        for member, value in told(given).items():
            if isinstance(value, list) and member == "tool_calls":
                for call, came in zip(sent[member], value, strict=True):
                    if call != {**call, **came}:
                        assert call["function"] == {**call["function"], **came["function"]}, road
            elif isinstance(value, dict):
                assert sent[member] == {**sent[member], **value}, road
            elif name != "content in parts" and (member, value) != ("content", ""):
                assert sent[member] == value, road


def test_what_was_changed_goes_as_it_was_changed() -> None:
    message = whole({"role": "assistant", "content": "Hi", "images": [1], "reasoning_content": "Hm"}).choices[0].message
    message.content, message.reasoning_content = "Ho", None
    assert wire_messages([message]) == [{"role": "assistant", "content": "Ho", "reasoning": "Hm", "images": [1]}]
    message = whole({"role": "assistant", **MESSAGES["content in parts"]}).choices[0].message
    message.content = "5"
    assert wire_messages([message]) == [{"role": "assistant", "content": "5", "reasoning": "Hm"}]
    message.reasoning, message.content = None, "4"
    assert wire_messages([message]) == [{"role": "assistant", "content": "4"}]


def test_the_calls_of_an_answer_in_a_dict_of_the_callers() -> None:
    for answered in (whole, streamed):
        calls = answered({"role": "assistant", "tool_calls": [SIGNED]}).choices[0].message.tool_calls
        assert wire_messages([{"role": "assistant", "content": None, "tool_calls": calls}]) == [
            {"role": "assistant", "content": None, "tool_calls": [SIGNED]}
        ]


def test_an_empty_list_of_calls_stays_at_home() -> None:
    message = whole({"role": "assistant", "content": "Hi", "tool_calls": [], "refusal": None}).choices[0].message
    assert wire_messages([message]) == [{"role": "assistant", "content": "Hi"}]


def test_what_a_provider_refuses_is_left_out() -> None:
    message = whole({"role": "assistant", "content": "4", "reasoning_content": "Hm"}).choices[0].message
    assert wire_messages([message], frozenset({"reasoning_content"})) == [{"role": "assistant", "content": "4"}]
    given = {"role": "assistant", "reasoning_content": "Hm"}
    assert wire_messages([given], frozenset({"reasoning_content"})) == [given]


PIECES: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "thoughts by index and type": (
        [
            {"reasoning": "Let", "reasoning_details": [{**TEXT, "text": "Let", "signature": None}]},
            {"reasoning": " me", "reasoning_details": [{"type": "reasoning.text", "text": " me", "index": 0}]},
            {"reasoning_details": [{"type": "reasoning.text", "signature": "sig", "index": 0}]},
            {"reasoning_details": [SECRET], "content": "4"},
        ],
        {"content": "4", "reasoning": "Let me", "reasoning_details": [TEXT, SECRET]},
    ),
    "thoughts without an index": (
        [
            {"reasoning_details": [{"type": "reasoning.summary", "summary": "A"}]},
            {"reasoning_details": [{"type": "reasoning.summary", "summary": "B"}]},
            {"reasoning_details": [{"type": "reasoning.encrypted", "data": "ZQ==", "id": "1"}]},
            {"reasoning_details": [{"type": "reasoning.encrypted", "data": "Zg==", "id": "2"}], "content": "4"},
        ],
        {
            "content": "4",
            "reasoning_details": [
                {"type": "reasoning.summary", "summary": "AB"},
                {"type": "reasoning.encrypted", "data": "ZQ==", "id": "1"},
                {"type": "reasoning.encrypted", "data": "Zg==", "id": "2"},
            ],
        },
    ),
    "thoughts up to their signature": (
        [
            {"thinking_blocks": [{"type": "thinking", "thinking": "A"}]},
            {"thinking_blocks": [{"type": "thinking", "thinking": "B", "signature": "s"}]},
            {"thinking_blocks": [{"type": "thinking", "thinking": "C"}], "content": "4"},
        ],
        {
            "content": "4",
            "thinking_blocks": [
                {"type": "thinking", "thinking": "AB", "signature": "s"},
                {"type": "thinking", "thinking": "C"},
            ],
        },
    ),
    "an emoji in halves": (
        [
            {"reasoning_details": [{"type": "reasoning.text", "text": "\ud83d", "index": 0}]},
            {"reasoning_details": [{"type": "reasoning.text", "text": "\ude00", "index": 0}], "content": "4"},
        ],
        {"content": "4", "reasoning_details": [{"type": "reasoning.text", "text": "\U0001f600", "index": 0}]},
    ),
    "a sound": (
        [
            {"audio": {"id": "a1", "transcript": "H", "data": "AA=="}},
            {"audio": {"transcript": "i", "data": "AQ=="}},
            {"audio": {"expires_at": 7}},
        ],
        {"audio": {"id": "a1", "transcript": "Hi", "data": "AAE=", "expires_at": 7}},
    ),
    "quotations, one of them told twice": (
        [{"content": "Hi", "annotations": [QUOTED]}, {"annotations": [QUOTED, {**QUOTED, "type": "file"}]}],
        {"content": "Hi", "annotations": [QUOTED, {**QUOTED, "type": "file"}]},
    ),
    "a function call": (
        [
            {"function_call": {"name": "f", "arguments": ""}},
            {"function_call": {"arguments": '{"x"'}},
            {"function_call": {"name": "f", "arguments": ":1}"}},
        ],
        {"function_call": {"name": "f", "arguments": '{"x":1}'}},
    ),
    "content in parts": (
        [
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "H"}]}]},
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "m"}]}]},
            {"content": "4"},
            {"content": "2"},
        ],
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]},
                {"type": "text", "text": "42"},
            ]
        },
    ),
    "what is said anew": (
        [{"content": "Hi", "mood": {"now": "a", "x": 1}}, {"mood": {"now": "b"}}],
        {"content": "Hi", "mood": {"now": "b", "x": 1}},
    ),
}


@pytest.mark.parametrize("name", PIECES)
def test_pieces_are_gathered(name: str) -> None:
    deltas, message = PIECES[name]
    events = [json.dumps(delta) for delta in deltas]  # which can write halves of characters
    fold = ChatFold()
    for delta in events:
        event = decode_chunk(Frame(b'{"id":"1","choices":[{"index":0,"delta":%b}]}' % delta.encode()))
        assert isinstance(event, ChatCompletionStreamOutput)
        fold.add(event)
    found = fold.result().choices[0].message
    assert wire_messages([found]) == [{"role": "assistant", **message}]
    msgspec.json.encode(fold.result().to_dict())
