"""Chats in OpenAI's dialect: bodies, spellings of response_format, answers, streams, errors inside them."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from support.flow_player import call, events, play, reply

from headwater import errors as e
from headwater.protocol.flow import END
from headwater.protocol.framing import Frame
from headwater.providers import flow_for
from headwater.providers.openai_chat import decode_chunk
from headwater.schema.codec import codec_of
from headwater.schema.rules import PLAIN_STRICT
from headwater.tasks.chat_input import (
    ChatCompletionInputFunctionName,
    ChatCompletionInputJSONSchema,
    ChatCompletionInputResponseFormatJSONSchema,
    ChatCompletionInputToolChoiceClass,
)
from headwater.tasks.chat_types import ChatCompletionOutput

CHAT = "chat-completion"
ANSWER: dict[str, Any] = {
    "id": "1",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Ho"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    "extra": True,
}


def ask(name: str = "together", **facts: Any) -> Any:
    facts.setdefault("model", "m")
    return flow_for(name, CHAT)(call(CHAT, name, **facts))


def chunk(content: str | None = None, finish: str | None = None, index: int = 0) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": {"content": content}, "finish_reason": finish}]}


def test_a_body_has_the_model_first_the_stream_always_and_the_extras_last() -> None:
    facts: dict[str, Any] = {"parameters": {"max_tokens": 5, "temperature": 0.0, "model": "other", "stream": True}}
    extra = {"temperature": 1, "top_k": 3}
    played = play(ask(**facts, extra=extra), reply(ANSWER))
    assert isinstance(played.request.body, bytes)
    assert played.request.body.startswith(b'{"model":"m",')
    assert played.body == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 5,
        "temperature": 1,
        "top_k": 3,
        "stream": False,
    }
    assert played.result.choices[0].message.content == "Ho"
    assert played.result.raw == ANSWER


def test_an_answer_goes_back_as_history_without_nulls() -> None:
    message = play(ask(), reply(ANSWER)).result.choices[0].message
    history = [message, {"role": "user", "content": None}]
    played = play(ask(parameters={"messages": history}), reply(ANSWER))
    assert played.body["messages"] == [
        {"role": "assistant", "content": "Ho"},
        {"role": "user", "content": None},
    ]


def test_cerebras_is_not_sent_what_it_refuses() -> None:
    played = play(ask("cerebras", parameters={"store": True, "seed": 1}, extra={"store": True}), reply(ANSWER))
    assert "store" not in played.body and played.body["seed"] == 1


@pytest.mark.parametrize("bad", [{1, object()}, "\ud800", float])
def test_what_is_no_json_is_told_before_anything_is_sent(bad: Any) -> None:
    with pytest.raises(e.InvalidParameterError, match="cannot be sent as JSON"):
        play(ask(extra={"x": bad}))


SCHEMA = {"type": "object", "default": None}
FORMAT = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}}
LAX = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": False}}
SPELLINGS = [
    ("together", {"type": "json_schema", "schema": SCHEMA}),
    ("cohere", {"type": "json_object", "schema": SCHEMA}),
    ("fireworks-ai", {"type": "json_object", "schema": SCHEMA}),
    ("hf-inference", {"type": "json_object", "value": SCHEMA}),
    ("sambanova", LAX),
    ("nebius", FORMAT),
    ("groq", FORMAT),
    ("auto", FORMAT),
]


@pytest.mark.parametrize(("name", "spelled"), SPELLINGS)
def test_response_format_is_spelled_as_the_provider_wants_it(name: str, spelled: Any) -> None:
    given = copy.deepcopy(FORMAT)
    played = play(ask(name, parameters={"response_format": given}), reply(ANSWER))
    assert played.body["response_format"] == spelled
    assert played.body.get("guided_json") == (SCHEMA if name == "nebius" else None)
    assert given == FORMAT, "the caller's own dict was changed"


@pytest.mark.parametrize("name", ["deepseek", "zai-org"])
def test_a_schema_goes_into_the_prompt_where_there_is_no_other_place(name: str) -> None:
    system, user = {"role": "system", "content": "Be brief."}, {"role": "user", "content": "?"}
    for before in ([], [system]):
        given = [*before, user]
        body = play(ask(name, parameters={"response_format": FORMAT, "messages": given}), reply(ANSWER)).body
        assert body["response_format"] == {"type": "json_object"}
        assert [each["role"] for each in body["messages"]] == [*["system"] * len(before), "system", "user"]
        told = body["messages"][len(before)]["content"]
        assert "JSON" in told and told.endswith('{"type":"object","default":null}')
        assert given == [*before, user], "the caller's own list was changed"


class Named(msgspec.Struct):
    name: str


PROMISED = codec_of(Named).fitted(PLAIN_STRICT).schema
STRICT_ONE = {"type": "json_schema", "json_schema": {"name": "Named", "schema": PROMISED, "strict": True}}
JSON_ALONE = {"type": "json_object"}
OF_TYPES: list[tuple[str, dict[str, Any], Any]] = [
    ("openai", {}, STRICT_ONE),
    ("groq", {"model": "openai/gpt-oss-20b"}, STRICT_ONE),
    ("groq", {"model": "openai/gpt-oss-20b", "stream": True}, None),
    ("groq", {"model": "openai/gpt-oss-20b", "parameters": {"tools": [{}]}}, None),
    ("groq", {"model": "llama"}, JSON_ALONE),
    ("cloudflare", {}, {"type": "json_schema", "json_schema": PROMISED}),
    ("cloudflare", {"stream": True}, None),
    ("minimax", {"model": "MiniMax-M3"}, None),
    ("moonshot", {}, JSON_ALONE),
    ("dashscope", {"stream": True}, JSON_ALONE),
    ("databricks", {}, STRICT_ONE),
]


@pytest.mark.parametrize(("name", "facts", "sent"), OF_TYPES)
def test_a_type_is_sent_as_the_provider_takes_it_and_told_where_it_takes_none(
    name: str, facts: dict[str, Any], sent: Any
) -> None:
    given = {"messages": [{"role": "user", "content": "?"}], "response_format": codec_of(Named)}
    flow = ask(name, **{**facts, "parameters": {**facts.get("parameters", {}), **given}})
    answer = events(chunk("x", "stop")) if facts.get("stream") else reply(ANSWER)
    body = play(flow, answer).body
    assert body.get("response_format") == sent
    is_told = [each["role"] for each in body["messages"]] == ["system", "user"]
    assert is_told == (sent in (None, JSON_ALONE))


@pytest.mark.parametrize(("name", "spelled"), SPELLINGS)
def test_response_format_as_types(name: str, spelled: Any) -> None:
    inner = ChatCompletionInputJSONSchema(name="n", schema=SCHEMA, strict=True)
    given = ChatCompletionInputResponseFormatJSONSchema(type="json_schema", json_schema=inner)
    assert play(ask(name, parameters={"response_format": given}), reply(ANSWER)).body["response_format"] == spelled


@pytest.mark.parametrize(
    "given",
    [
        {"type": "json_object"},
        {"type": "text"},
        {"type": "json_schema"},
        {"type": "json_schema", "schema": SCHEMA},
    ],
)
@pytest.mark.parametrize("name", [name for name, _ in SPELLINGS])
def test_other_response_formats_stay(name: str, given: Any) -> None:
    assert play(ask(name, parameters={"response_format": given}), reply(ANSWER)).body["response_format"] == given


def test_sambanova_takes_strict_that_is_unset_or_false() -> None:
    for strict in ({}, {"strict": None}, {"strict": False}):
        given = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, **strict}}
        body = play(ask("sambanova", parameters={"response_format": given}), reply(ANSWER)).body
        assert body["response_format"] == LAX


@pytest.mark.parametrize(
    ("url", "facts", "there", "model"),
    [
        ("http://h:8000", {}, "http://h:8000/v1/chat/completions", "dummy"),
        ("http://h:8000/v1", {"hub_id": "llama"}, "http://h:8000/v1/chat/completions", "llama"),
        ("http://h/x/?v=1", {"model": "l"}, "http://h/x/v1/chat/completions?v=1", "l"),
    ],
)
def test_a_servers_own_url(url: str, facts: Any, there: str, model: str) -> None:
    played = play(flow_for("url", CHAT)(call(CHAT, "url", url=url, base=url, **facts)), reply(ANSWER))
    assert (played.request.url, played.body["model"]) == (there, model)


def test_a_stream_is_folded_into_the_answer() -> None:
    played = play(ask(stream=True), events(chunk("H"), chunk("o", "stop"), {"choices": [], "usage": {}}))
    assert played.request.headers["accept"] == "text/event-stream" and played.body["stream"] is True
    assert [len(event.choices) for event in played.events] == [1, 1, 0] and played.ended
    assert played.events[0].raw == chunk("H")
    assert type(played.result) is ChatCompletionOutput
    assert played.result.choices[0].message.content == "Ho"


def test_a_stream_of_two_answers_waits_for_both() -> None:
    flow = ask(stream=True, parameters={"n": 2})
    fold = next(flow).fold()
    for event in (chunk("a"), chunk("b", None, 1), chunk("", "stop")):
        fold.add(decode_chunk(Frame(reply(event).body)))
        assert not fold.complete()
    fold.add(decode_chunk(Frame(reply(chunk("", "stop", 1)).body)))
    assert fold.complete()


@pytest.mark.parametrize("data", [b"[DONE]", b" [DONE]", b"[DONE] \n"])
def test_an_end_marker(data: bytes) -> None:
    assert decode_chunk(Frame(data)) is END


@pytest.mark.parametrize(
    ("data", "event"), [(b" ", ""), (b"", "message"), (b'{"type": "ping"}', "ping"), (b"{}", "keepalive")]
)
def test_an_event_that_says_nothing(data: bytes, event: str) -> None:
    assert decode_chunk(Frame(data, event)) is None


@pytest.mark.parametrize(
    ("data", "event", "kind"),
    [
        (b'{"error": {"message": "m", "code": 429}}', "", e.RateLimitError),
        (b'{"error": "m", "error_type": "generation"}', "", e.GenerationError),
        (b'{"error": {"message": "m", "code": 502}, "choices": []}', "", e.ServerError),
        (b'{"choices": [{"delta": {}, "finish_reason": "error"}]}', "", e.ServerError),
        (b'{"object": "error", "message": "m", "code": 400}', "", e.InvalidRequestError),
        (b"anything at all", "error", e.UnknownError),
        (b'{"choices": []}', "error", e.UnknownError),
    ],
)
def test_an_error_inside_a_stream(data: bytes, event: str, kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught:
        decode_chunk(Frame(data, event))
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    "data",
    [
        b'{"error": null, "choices": [{"delta": {"content": "a"}}]}',
        b'{"choices": [{"delta": {"content": "\\"error\\""}, "finish_reason": "stop"}]}',
        b'{"choices": [{"delta": {"content": "a", "name": "error"}}]}',
    ],
)
def test_the_word_error_is_no_error(data: bytes) -> None:
    found = decode_chunk(Frame(data))
    assert found is not None and found is not END


@pytest.mark.parametrize(
    ("data", "event"),
    [
        (b"{", ""),
        (b"[1]", "message"),
        (b"nonsense", "opening"),
        (b"{nonsense", "ping"),
        (b'{"choices": 7}', ""),
        (b'{"choices": [{"delta": {"content": "\xff"}}]}', ""),
        (b'{"choices": [{"delta": 7}], "x": "error"}', ""),
        (b'{"choices": [{"delta": 7, "finish_reason": "error"}]}', ""),
        (b"[" * 100_000, ""),
    ],
)
def test_a_broken_event_is_never_skipped(data: bytes, event: str) -> None:
    with pytest.raises(e.MalformedEventError, match="cannot be read") as caught:
        decode_chunk(Frame(data, event))
    assert caught.value.body == data[:512]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"message": "m", "type": "overloaded_error"}}, e.OverloadedError),
        ({"choices": [{"message": {"content": ""}, "finish_reason": "error"}]}, e.ServerError),
        (b"", e.UnexpectedContentError),
        (b"<html></html>", e.UnexpectedContentError),
        ({"id": "1"}, e.DecodeError),
    ],
)
def test_an_answer_that_is_none(body: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught:
        play(ask(), reply(body))
    assert type(caught.value) is kind


def test_a_refusal_passes_through() -> None:
    with pytest.raises(e.AuthenticationError):
        play(ask(), reply({"error": "no"}, 401))
    with pytest.raises(e.RateLimitError):
        play(ask(stream=True), reply({"error": "no"}, 429))


NAMED = {"function": {"name": "f"}}


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (NAMED, {"type": "function", **NAMED}),
        ({"type": None, **NAMED}, {"type": "function", **NAMED}),
        (ChatCompletionInputToolChoiceClass(ChatCompletionInputFunctionName("f")), {"type": "function", **NAMED}),
        ({"type": "function", **NAMED}, {"type": "function", **NAMED}),
        ({"type": "custom", "custom": {"name": "f"}}, {"type": "custom", "custom": {"name": "f"}}),
        ("auto", "auto"),
        ("required", "required"),
    ],
)
@pytest.mark.parametrize("name", ["together", "auto", "hf-inference"])
def test_a_tool_choice_has_its_type(name: str, choice: Any, sent: Any) -> None:
    given = copy.deepcopy(choice)
    assert play(ask(name, parameters={"tool_choice": given}), reply(ANSWER)).body["tool_choice"] == sent
    assert given == choice


@pytest.mark.parametrize("name", ["cerebras", "groq"])
def test_a_spelling_of_reasoning_that_a_provider_refuses_is_not_sent_back(name: str) -> None:
    thought = {"role": "assistant", "content": "4", "reasoning_content": "Hm"}
    message = play(ask("together"), reply({"choices": [{"message": thought}]})).result.choices[0].message
    history = {"parameters": {"messages": [message]}}
    assert play(ask("together", **history), reply(ANSWER)).body["messages"] == [thought]
    assert play(ask(name, **history), reply(ANSWER)).body["messages"] == [{"role": "assistant", "content": "4"}]


@pytest.mark.parametrize("stream", [False, True])
def test_one_choice_of_two_that_were_asked_for(stream: bool) -> None:
    answered = events(chunk("Ho", "stop")) if stream else reply(ANSWER)
    assert len(play(ask(stream=stream, parameters={"n": 2}), answered).result.choices) == 1


@pytest.mark.parametrize(
    "usage", [{"choices": [{**ANSWER["choices"][0], "usage": ANSWER["usage"]}]}, {"x_groq": {"usage": ANSWER["usage"]}}]
)
def test_the_usage_of_a_plain_answer_wherever_it_is(usage: dict[str, Any]) -> None:
    played = play(ask(), reply({"choices": ANSWER["choices"], **usage}))
    assert played.result.usage.to_dict() | ANSWER["usage"] == played.result.usage.to_dict()
