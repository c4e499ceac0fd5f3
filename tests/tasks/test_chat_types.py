"""Chat answers and chunks are read from all that servers have been seen to send, and from nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from headwater.errors import DecodeError, MalformedEventError, ProviderError
from headwater.protocol.flow import Reply
from headwater.protocol.framing import Frame
from headwater.providers.openai_chat import decode_chunk
from headwater.responses.decode import decode
from headwater.tasks.chat_types import (
    ChatCompletionOutput,
    ChatCompletionOutputLogprobs,
    ChatCompletionStreamOutput,
    ChatCompletionStreamOutputDelta,
)


def answer(message: Any = None, **fields: Any) -> ChatCompletionOutput:
    whole = {"choices": [{"index": 0, "message": message or {"content": "Hi"}}], **fields}
    return read_whole(msgspec.json.encode(whole))


def chunk(delta: Any = None, **fields: Any) -> ChatCompletionStreamOutput:
    whole = {"choices": [{"index": 0, "delta": delta}], **fields}
    return read(msgspec.json.encode(whole))


def read_whole(body: bytes) -> ChatCompletionOutput:
    """An answer as a flow reads it."""
    return decode(Reply(status=200, headers={"content-type": "application/json"}, body=body), ChatCompletionOutput)


def read(body: bytes) -> ChatCompletionStreamOutput:
    """A chunk as a flow reads it."""
    event = decode_chunk(Frame(body))
    assert isinstance(event, ChatCompletionStreamOutput)
    return event


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"id": None, "created": None, "model": None, "object": None, "usage": None},
        {"system_fingerprint": None, "service_tier": None},
        {"created": 1739539670.25, "timings": {"prompt_ms": 1.5}, "warnings": [1]},
    ],
)
def test_the_frame_around_an_answer_may_be_anything(fields: dict[str, Any]) -> None:
    for decoded in (answer(**fields), chunk({"content": "Hi"}, **fields)):
        assert (decoded.id, decoded.model, decoded.usage) == ("", "", None)
        assert decoded.created == fields.get("created")
    assert answer(**fields).choices[0].message.content == "Hi"
    assert chunk({"content": "Hi"}, **fields).choices[0].delta.content == "Hi"


@pytest.mark.parametrize("body", [b'{"choices":null}', b'{"choices":[]}'])
def test_no_choices_are_an_empty_list(body: bytes) -> None:
    assert read_whole(body).choices == []
    assert read(body).choices == []


NO_ANSWERS = [b'{"error":{"code":500}}', b"[1]", b'"hello"', b'{"choices":"none"}', b'{"choices":[{"message":7}]}']


@pytest.mark.parametrize("body", [*NO_ANSWERS, b"{}", b"null"])
def test_what_has_no_choices_is_no_answer(body: bytes) -> None:
    with pytest.raises((DecodeError, ProviderError)):
        read_whole(body)


@pytest.mark.parametrize("body", [body.replace(b"message", b"delta") for body in NO_ANSWERS])
def test_what_has_no_choices_is_no_chunk(body: bytes) -> None:
    with pytest.raises((DecodeError, ProviderError, MalformedEventError)):
        read(body)


@pytest.mark.parametrize("choice", [b"{}", b'{"index":null,"message":null,"delta":null,"logprobs":null}'])
def test_a_choice_may_be_hollow(choice: bytes) -> None:
    body = b'{"choices":[' + choice + b"]}"
    whole = read_whole(body).choices[0]
    assert (whole.index, whole.message.role, whole.message.content) == (0, "assistant", None)
    part = read(body).choices[0]
    assert (part.index, part.delta) == (0, ChatCompletionStreamOutputDelta())


@pytest.mark.parametrize(
    ("sent", "reasoning", "other"),
    [
        ({"reasoning": "Hm"}, "Hm", None),
        ({"reasoning_content": "Hm"}, "Hm", "Hm"),
        ({"reasoning": "Hm", "reasoning_content": "Hm"}, "Hm", "Hm"),
        ({"reasoning": None, "reasoning_content": None}, None, None),
    ],
)
def test_reasoning_has_one_place(sent: dict[str, Any], reasoning: str | None, other: str | None) -> None:
    for read in (answer({"role": None, **sent}).choices[0].message, chunk(sent).choices[0].delta):
        assert (read.reasoning, read.reasoning_content) == (reasoning, other)


def test_tool_calls_of_old_text_generation_servers() -> None:
    called = {
        "id": 0,
        "type": "function",
        "function": {"name": "f", "arguments": {"x": 1}, "description": None},
    }
    calls = answer({"tool_calls": [called]}).choices[0].message.tool_calls
    assert calls is not None
    assert (calls[0].id, calls[0].function.name, calls[0].function.arguments) == ("0", "f", {"x": 1})
    assert answer({"tool_calls": called}).choices[0].message.tool_calls == calls
    pieces = chunk({"tool_calls": called}).choices[0].delta.tool_calls
    assert pieces is not None
    assert [(piece.id, piece.index, piece.function.name) for piece in pieces] == [("0", None, "f")]


def test_tool_calls_of_nulls() -> None:
    null = {"id": None, "type": None, "function": None}
    calls = answer({"tool_calls": [null, {"function": {"name": None, "arguments": None}}]}).choices[0].message
    assert calls.tool_calls is not None
    assert {(c.id, c.type, c.function.name, c.function.arguments) for c in calls.tool_calls} == {
        ("", "function", "", "")
    }
    pieces = chunk({"tool_calls": [null]}).choices[0].delta.tool_calls
    assert pieces is not None
    assert pieces[0].function.name is None
    assert chunk({"tool_calls": None}).choices[0].delta.tool_calls is None


def test_log_probabilities_may_lack_parts() -> None:
    token = {"token": None, "logprob": None, "bytes": None, "top_logprobs": None}
    read = msgspec.convert({"content": [token]}, ChatCompletionOutputLogprobs)
    assert read.content is not None
    assert (read.content[0].token, read.content[0].logprob, read.refusal) == ("", None, None)


def test_an_answer_answers_like_a_dict() -> None:
    out = answer(model="m")
    assert out["model"] == out.model == dict(out)["model"] == "m"
    assert out["choices"][0]["message"]["content"] == "Hi"
    assert msgspec.json.decode(out.to_json())["choices"][0]["message"]["role"] == "assistant"
