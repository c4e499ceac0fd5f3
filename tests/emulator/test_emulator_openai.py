"""The emulator's OpenAI dialect: chat, completions, embeddings, models, and each vendor's way to refuse."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from support.emulator_client import CHAT, asking, client, events, unary

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 3}},
                "required": ["city", "days"],
            },
        },
    },
    {
        "type": "function",
        "function": {"name": "send_mail", "parameters": {"type": "object", "properties": {}}},
    },
]


def choices(url: str, **fields: Any) -> list[dict[str, Any]]:
    return list(unary(url, CHAT, asking(**fields)).raise_for_status().json()["choices"])


def chunks(url: str, **fields: Any) -> list[Any]:
    answer = unary(url, CHAT, asking(stream=True, **fields)).raise_for_status()
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = events(answer.text)
    assert found[-1] == "[DONE]"
    return found[:-1]


def test_the_answer_repeats_the_last_user_message_and_is_always_the_same(headwater_emulator: str) -> None:
    first, second = (unary(headwater_emulator, CHAT, asking("a b c")).json() for _ in range(2))
    assert first == second
    content = " ".join(["a b c"] * 5 + ["a"])
    assert first["choices"][0]["message"] == {"role": "assistant", "content": content, "refusal": None}
    assert first["choices"][0]["finish_reason"] == "stop"
    assert first["usage"] == {"prompt_tokens": 3, "completion_tokens": 16, "total_tokens": 19}
    assert first["id"].startswith("chatcmpl-") and first["object"] == "chat.completion"


@pytest.mark.parametrize(
    "path",
    [
        CHAT,
        "/openai/v1/chat/completions",
        "/v3/openai/chat/completions",
        "/inference/v1/chat/completions",
        "/compatibility/v1/chat/completions",
        "/api/paas/v4/chat/completions",
        "/v1/openai/chat/completions",
        "/together/v1/chat/completions",
        "/hf-inference/models/org/name/v1/chat/completions",
    ],
)
def test_every_spelling_of_the_path_is_served(headwater_emulator: str, path: str) -> None:
    answer = unary(headwater_emulator, path, asking()).raise_for_status().json()
    assert answer["model"] == "m" and answer["choices"][0]["message"]["content"]


def test_a_limit_and_a_stop_sequence_end_the_answer(headwater_emulator: str) -> None:
    (limited,) = choices(headwater_emulator, max_tokens=2)
    assert limited["message"]["content"] == "one two" and limited["finish_reason"] == "length"
    (stopped,) = choices(headwater_emulator, stop=["three"])
    assert stopped["message"]["content"] == "one two " and stopped["finish_reason"] == "stop"


def test_the_model_says_how_many_words(headwater_emulator: str) -> None:
    body = asking() | {"model": "words-300"}
    assert unary(headwater_emulator, CHAT, body).json()["usage"]["completion_tokens"] == 300


def test_several_choices_differ_and_take_turns_in_a_stream(headwater_emulator: str) -> None:
    whole = choices(headwater_emulator, n=3)
    texts = [choice["message"]["content"] for choice in whole]
    assert [choice["index"] for choice in whole] == [0, 1, 2] and len(set(texts)) == 3
    steps = [step["choices"][0] for step in chunks(headwater_emulator, n=3)]
    joined = ["".join(step["delta"].get("content") or "" for step in steps if step["index"] == n) for n in range(3)]
    assert joined == texts and [step["index"] for step in steps[:6]] == [0, 1, 2, 0, 1, 2]


def test_a_stream_says_what_the_whole_answer_says(headwater_emulator: str) -> None:
    said = chunks(headwater_emulator, reasoning_effort="low", stream_options={"include_usage": True})
    *steps, last = said
    assert last["choices"] == [] and all(step["usage"] is None for step in steps)
    whole = unary(headwater_emulator, CHAT, asking(reasoning_effort="low")).json()
    assert last["usage"] == whole["usage"] and whole["usage"]["completion_tokens_details"]["reasoning_tokens"] == 4
    deltas = [step["choices"][0]["delta"] for step in steps]
    for name in ("content", "reasoning"):
        assert "".join(delta.get(name, "") for delta in deltas) == whole["choices"][0]["message"][name]
    assert deltas[0]["role"] == "assistant" and steps[-1]["choices"][0]["finish_reason"] == "stop"
    assert {step["id"] for step in said} == {whole["id"]}


def test_without_being_asked_a_stream_has_no_usage(headwater_emulator: str) -> None:
    assert all("usage" not in step and step["choices"] for step in chunks(headwater_emulator))


@pytest.mark.parametrize(
    ("text", "choice", "names"),
    [
        ("the weather in Paris", "auto", ["get_weather"]),
        ("weather, and mail it", "auto", ["get_weather", "send_mail"]),
        ("hello", "auto", []),
        ("hello", "required", ["get_weather"]),
        ("the weather", "none", []),
        ("hello", {"type": "function", "function": {"name": "send_mail"}}, ["send_mail"]),
    ],
)
def test_tools_are_called(headwater_emulator: str, text: str, choice: Any, names: list[str]) -> None:
    (found,) = choices(headwater_emulator, text=text, tools=TOOLS, tool_choice=choice)
    calls = found["message"].get("tool_calls", [])
    assert [call["function"]["name"] for call in calls] == names
    assert found["finish_reason"] == ("tool_calls" if names else "stop")
    if "get_weather" in names:
        assert json.loads(calls[0]["function"]["arguments"]) == {"city": text, "days": 3}


def test_tool_calls_are_streamed_in_fragments(headwater_emulator: str) -> None:
    fields: dict[str, Any] = {"text": "weather and mail", "tools": TOOLS}
    (whole,) = choices(headwater_emulator, **fields)
    merged: dict[int, dict[str, str]] = {}
    fragments = 0
    for step in chunks(headwater_emulator, **fields):
        for part in step["choices"][0]["delta"].get("tool_calls", []):
            call = merged.setdefault(part["index"], {"id": part.get("id", ""), "arguments": ""})
            call["arguments"] += part["function"]["arguments"]
            fragments += 1
    assert fragments > 4
    assert list(merged.values()) == [
        {"id": call["id"], "arguments": call["function"]["arguments"]} for call in whole["message"]["tool_calls"]
    ]


def test_a_tools_answer_is_answered_in_text(headwater_emulator: str) -> None:
    (asked,) = choices(headwater_emulator, text="weather", tools=TOOLS)
    messages = [
        {"role": "user", "content": "weather"},
        asked["message"],
        {"role": "tool", "tool_call_id": asked["message"]["tool_calls"][0]["id"], "content": "rain"},
    ]
    body = {"model": "m", "messages": messages, "tools": TOOLS}
    (found,) = unary(headwater_emulator, CHAT, body).raise_for_status().json()["choices"]
    assert found["message"]["content"] == " ".join(["rain"] * 16)


SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}


@pytest.mark.parametrize(
    "form",
    [
        {"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA}},
        {"type": "json_schema", "schema": SCHEMA},
        {"type": "json_object", "schema": SCHEMA},
        {"type": "json_object", "value": SCHEMA},
    ],
)
def test_a_schema_is_obeyed_wherever_the_vendor_wants_it(headwater_emulator: str, form: Any) -> None:
    (found,) = choices(headwater_emulator, text="Ada", response_format=form)
    assert json.loads(found["message"]["content"]) == {"name": "Ada", "age": 1}
    said = "".join(
        step["choices"][0]["delta"].get("content", "")
        for step in chunks(headwater_emulator, text="Ada", response_format=form)
    )
    assert said == found["message"]["content"]


def test_json_without_a_schema_is_an_object(headwater_emulator: str) -> None:
    (found,) = choices(headwater_emulator, text="Ada", response_format={"type": "json_object"})
    assert json.loads(found["message"]["content"]) == {"answer": "Ada"}


def test_logprobs(headwater_emulator: str) -> None:
    (found,) = choices(headwater_emulator, max_tokens=2, logprobs=True, top_logprobs=3)
    first, second = found["logprobs"]["content"]
    assert [first["token"], second["token"]] == ["one", " two"] and second["bytes"] == list(b" two")
    assert len(first["top_logprobs"]) == 3 and first["top_logprobs"][0]["logprob"] == first["logprob"] < 0
    assert choices(headwater_emulator)[0]["logprobs"] is None


def test_parts_and_other_alphabets(headwater_emulator: str) -> None:
    parts = [
        {"type": "text", "text": "Grüße 世界"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
    ]
    body = {"model": "m", "messages": [{"role": "user", "content": parts}], "max_tokens": 3}
    assert unary(headwater_emulator, CHAT, body).json()["choices"][0]["message"]["content"] == "Grüße 世界 [image_url]"


USER = [{"role": "user", "content": "x"}]


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"model": "m"}, "messages", "missing_required_parameter"),
        ({"model": "m", "messages": []}, "messages", "empty_array"),
        ({"messages": USER}, "model", "missing_required_parameter"),
        ({"model": 5, "messages": USER}, "model", "invalid_type"),
        ({"model": "m", "messages": "hello"}, "messages", "invalid_type"),
        ({"model": "m", "messages": [5]}, "messages[0]", "invalid_type"),
        ({"model": "m", "messages": [{"role": "king", "content": "x"}]}, "messages[0].role", "invalid_value"),
        ({"model": "m", "messages": [{"role": "user"}]}, "messages[0].content", "missing_required_parameter"),
        ({"model": "m", "messages": [{"role": "user", "content": 5}]}, "messages[0].content", "invalid_type"),
        (asking(temperature="hot"), "temperature", "invalid_type"),
        (asking(temperature=3), "temperature", "number_above_max_value"),
        (asking(max_tokens=0), "max_tokens", "integer_below_min_value"),
        (asking(max_tokens=1.5), "max_tokens", "invalid_type"),
        (asking(n=True), "n", "invalid_type"),
        (asking(stop=["a", "b", "c", "d", "e"]), "stop", "invalid_value"),
        (asking(top_logprobs=2), "top_logprobs", "invalid_value"),
        (asking(stream_options={"include_usage": True}), "stream_options", "invalid_value"),
        (asking(response_format={"type": "json_schema"}), "response_format.json_schema.schema", None),
        (asking(response_format={"type": "poem"}), "response_format.type", "invalid_value"),
        (asking(tools=[{"type": "function"}]), "tools[0].function.name", "missing_required_parameter"),
        (asking(tool_choice="required"), "tool_choice", "invalid_value"),
        (asking(reasoning_effort="heroic"), "reasoning_effort", "invalid_value"),
        (asking(response_format={"type": "json_object", "schema": {"$ref": "#"}}), "response_format", None),
        (asking(response_format={"type": "json_object", "schema": {"enum": 5}}), "response_format", None),
    ],
)
def test_what_openai_refuses_is_refused(headwater_emulator: str, body: Any, param: str, code: str | None) -> None:
    answer = unary(headwater_emulator, CHAT, body)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["param"] == param and error["type"] == "invalid_request_error" and error["message"]
    assert code is None or error["code"] == code


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_object_is_refused(headwater_emulator: str, content: bytes) -> None:
    with client(headwater_emulator) as http:
        answer = http.post(CHAT, content=content)
    assert answer.status_code == 400 and "JSON" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/cohere/compatibility/v1/chat/completions", 400, {"message": str}),
        ("/cerebras/v1/chat/completions", 400, {"message": str, "type": str, "param": str, "code": str}),
        ("/v3/openai/chat/completions", 400, {"code": int, "reason": str, "message": str, "metadata": dict}),
        ("/nebius/v1/chat/completions", 400, {"detail": str}),
        ("/together/v1/chat/completions", 400, {"id": str, "error": dict}),
        ("/models/m/v1/chat/completions", 422, {"error": str, "error_type": str}),
    ],
)
def test_each_vendor_refuses_in_its_own_shape(
    headwater_emulator: str, path: str, status: int, body: dict[str, type]
) -> None:
    answer = unary(headwater_emulator, path, {"model": "m", "messages": []})
    assert answer.status_code == status
    assert {name: type(value) for name, value in answer.json().items()} == body


def test_cerebras_refuses_fields_it_does_not_know(headwater_emulator: str) -> None:
    answer = unary(headwater_emulator, "/cerebras/v1/chat/completions", asking(novelty=1))
    assert answer.status_code == 400 and answer.json()["code"] == "wrong_api_format"
    unary(headwater_emulator, CHAT, asking(novelty=1)).raise_for_status()


def test_hf_inference_says_in_plain_text_that_messages_are_missing(headwater_emulator: str) -> None:
    answer = unary(headwater_emulator, "/models/m/v1/chat/completions", {"model": "m"})
    assert answer.status_code == 422 and "missing field `messages`" in answer.text


def test_the_router_names_the_provider_that_it_chose(headwater_emulator: str) -> None:
    for model, name in (("org/m", "emulator"), ("org/m:fastest", "emulator"), ("org/m:groq", "groq")):
        answer = unary(headwater_emulator, CHAT, asking() | {"model": model})
        assert answer.headers["x-inference-provider"] == name


def test_completions(headwater_emulator: str) -> None:
    body: dict[str, Any] = {"model": "m", "prompt": ["a b", "c"], "max_tokens": 3, "n": 2, "logprobs": 1}
    answer = unary(headwater_emulator, "/v1/completions", body).raise_for_status().json()
    assert [choice["text"] for choice in answer["choices"]] == ["a b a", "b a b", "c c c", "c c c"]
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2, 3]
    assert answer["choices"][0]["logprobs"]["text_offset"] == [0, 1, 3]
    assert answer["usage"] == {"prompt_tokens": 3, "completion_tokens": 12, "total_tokens": 15}
    streamed = unary(headwater_emulator, "/v1/completions", body | {"stream": True}).raise_for_status()
    said: dict[int, str] = {}
    for step in events(streamed.text)[:-1]:
        for choice in step["choices"]:
            said[choice["index"]] = said.get(choice["index"], "") + choice["text"]
    assert list(said.values()) == [choice["text"] for choice in answer["choices"]]
    assert unary(headwater_emulator, "/v1/completions", {"model": "m"}).json()["error"]["param"] == "prompt"


def test_embeddings_are_the_same_in_both_encodings(headwater_emulator: str) -> None:
    body = {"model": "dim-1024", "input": ["a", "b", "a"]}
    answer = unary(headwater_emulator, "/v1/embeddings", body).raise_for_status().json()
    vectors = [item["embedding"] for item in answer["data"]]
    assert [len(vector) for vector in vectors] == [1024] * 3 and vectors[0] == vectors[2] != vectors[1]
    assert abs(sum(n * n for n in vectors[0]) - 1) < 1e-5
    packed = unary(headwater_emulator, "/v1/embeddings", body | {"encoding_format": "base64"}).json()
    raw = base64.b64decode(packed["data"][0]["embedding"])
    assert list(struct.unpack("<1024f", raw)) == vectors[0]


@pytest.mark.parametrize(
    ("fields", "length"), [({"dimensions": 5}, 5), ({"input": [1, 2, 3]}, 16), ({"input": [[1], [2]]}, 16)]
)
def test_embeddings_of_other_inputs(headwater_emulator: str, fields: dict[str, Any], length: int) -> None:
    body = {"model": "m", "input": "a"} | fields
    answer = unary(headwater_emulator, "/v1/embeddings", body).raise_for_status().json()
    assert {len(item["embedding"]) for item in answer["data"]} == {length}


@pytest.mark.parametrize(
    "fields", [{"input": None}, {"input": ""}, {"input": []}, {"input": [None]}, {"encoding_format": "hex"}]
)
def test_embeddings_refused(headwater_emulator: str, fields: dict[str, Any]) -> None:
    answer = unary(headwater_emulator, "/v1/embeddings", {"model": "m", "input": "a"} | fields)
    assert answer.status_code == 400 and answer.json()["error"]["message"]


def test_models(headwater_emulator: str) -> None:
    with client(headwater_emulator) as http:
        for path in ("/v1/models", "/openai/v1/models"):
            assert http.get(path).raise_for_status().json()["data"][0]["object"] == "model"
        assert http.get("/v1/models/org/name").json()["id"] == "org/name"
