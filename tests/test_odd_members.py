"""Members of an answer that are not what they should be, and on which its result does not depend: they refuse nothing.

The whole way through a client, on every driver; `test_any_member.py` replaces every member of every answer.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from support.drivers import Driver
from support.flow_player import call, play, reply
from support.provider_task_pairs import PNG, WAV

from headwater import AuthenticationError, DecodeError, MalformedEventError, RateLimitError, TransportError
from headwater.providers import flow_for
from headwater.testing import EVENT_STREAM, MemoryTransport, ScriptedResponse, SentRequest

pytestmark = [pytest.mark.anyio, pytest.mark.dealt]

AT = {"base_url": "http://127.0.0.1:9/v1"}
MESSAGES = [{"role": "user", "content": "hi"}]
BOM = "\ufeff"
CHAT = "chat-completion"
USAGE = {"prompt_tokens": 1, "completion_tokens": 2}
END = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


def text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def whole(value: Any) -> MemoryTransport:
    return MemoryTransport(lambda _: ScriptedResponse(text(value).encode()))


def stream(*events: Any) -> MemoryTransport:
    lines = [f"data: {text(event)}\n\n" for event in events]
    return MemoryTransport(
        lambda _: ScriptedResponse("".join([*lines, "data: [DONE]\n\n"]).encode(), content_type=EVENT_STREAM)
    )


def chunk(delta: Any = None, choice: dict[str, Any] | None = None, **frame: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": "a"} if delta is None else delta, **(choice or {})}], **frame}


async def chatted(driver: Driver, transport: MemoryTransport, *, streamed: bool) -> Any:
    async with driver.client(transport=transport, **AT) as client:
        if streamed:
            return await client.chat_completion.stream(MESSAGES).result()
        return await client.chat_completion(MESSAGES)


FRAMES: list[dict[str, Any]] = [
    {"id": "x", "model": None},
    {"id": None, "model": 5},
    {"id": 7, "model": {"name": "m"}},
    {"id": [], "model": False, "created": "1700000000"},
    {"created": "2026-01-01T00:00:00Z", "object": None},
    {"created": {}, "object": 1, "system_fingerprint": [], "service_tier": {}},
    {"usage": []},
    {"usage": "none"},
    {"usage": {"completion_tokens": 12.5, "prompt_tokens": "3", "total_tokens": [], "prompt_tokens_details": []}},
]


@pytest.mark.parametrize("frame", FRAMES, ids=text)
@pytest.mark.parametrize("streamed", [False, True])
async def test_the_frame_of_a_chat(driver: Driver, frame: dict[str, Any], streamed: bool) -> None:
    answer = {"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}], **frame}
    transport = stream(chunk(**frame), END) if streamed else whole(answer)
    out = await chatted(driver, transport, streamed=streamed)
    assert (out.choices[0].message.content, out.choices[0].finish_reason) == ("a", "stop")
    assert out.id in ("", "x", "7") and out.model in ("", "5")
    assert out.created in (None, 1700000000)
    if isinstance(frame.get("usage"), dict):
        assert (out.usage.prompt_tokens, out.usage.completion_tokens, out.usage.total_tokens) == (3, 12.5, None)
        assert out.usage.prompt_tokens_details is None
    else:
        assert out.usage is None


CHOICES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"index": "0"}),
    ({}, {"index": {}}),
    ({}, {"logprobs": []}),
    ({}, {"logprobs": {"content": [None, 1]}}),
    ({"refusal": False}, {}),
    ({"refusal": {}}, {}),
    ({"role": 5, "name": []}, {}),
    ({"tool_calls": [None]}, {}),
    ({"tool_calls": {}}, {}),
    ({"tool_calls": False}, {}),
    ({"tool_calls": "none"}, {}),
    ({"reasoning": False, "reasoning_content": {}}, {}),
    ({"content": ["a"]}, {}),
    ({"content": [{"type": "text", "text": "a"}]}, {}),
    ({"content": ["", {"text": "a"}, None]}, {}),
    ({"content": {"type": "text", "text": "a"}}, {}),
    ({"role": "", "function_call": {}}, {}),
    ({"function_call": {"name": None, "arguments": ""}}, {}),
]


@pytest.mark.parametrize(("message", "choice"), CHOICES, ids=text)
@pytest.mark.parametrize("streamed", [False, True])
async def test_the_choice_of_a_chat(
    driver: Driver, message: dict[str, Any], choice: dict[str, Any], streamed: bool
) -> None:
    said = {"content": "a", **message}
    answer = {"choices": [{"message": said, "finish_reason": "stop", **choice}]}
    transport = stream(chunk(said, choice), END) if streamed else whole(answer)
    out = await chatted(driver, transport, streamed=streamed)
    (found,) = out.choices
    assert (found.index, found.message.content, found.finish_reason) == (0, "a", "stop")
    assert found.message.refusal is None and found.message.reasoning is None
    assert not found.message.tool_calls and found.message.function_call is None and found.message.role


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_reason_to_finish_that_is_an_object_is_one(driver: Driver, streamed: bool) -> None:
    odd = {"finish_reason": {"type": "stop"}}
    answer = {"choices": [{"message": {"content": "a"}, **odd}]}
    out = await chatted(driver, stream(chunk(choice=odd)) if streamed else whole(answer), streamed=streamed)
    assert (out.choices[0].message.content, out.choices[0].finish_reason) == ("a", {"type": "stop"})


@pytest.mark.parametrize("content", ['{"city": "Oslo"}', '{"a": [1, {"b": null}]}'])
@pytest.mark.parametrize("streamed", [False, True])
async def test_content_that_a_server_has_read_already_is_its_json(driver: Driver, content: str, streamed: bool) -> None:
    said = {"content": json.loads(content)}
    answer = {"choices": [{"message": said, "finish_reason": "stop"}]}
    out = await chatted(driver, stream(chunk(said), END) if streamed else whole(answer), streamed=streamed)
    assert json.loads(out.choices[0].message.content) == json.loads(content)


CONTENTS: list[tuple[Any, str | None]] = [
    (7, "7"),
    (0, "0"),
    (7.5, "7.5"),
    (True, "true"),
    (False, None),
    ([1, 2], "[1,2]"),
    ([["a"]], '[["a"]]'),
    ([{"type": "text", "text": {"value": "a", "annotations": []}}], "a"),
    ([{"type": "text", "content": "a"}, None, {"type": "image_url"}], "a"),
    ([{"type": "text", "text": None}, {"type": "output_text", "text": "a"}], "a"),
]


@pytest.mark.parametrize("streamed", [False, True])
async def test_content_that_is_no_text_is_never_dropped(driver: Driver, streamed: bool) -> None:
    for content, read in CONTENTS:
        said = {"content": content}
        answer = {"choices": [{"message": said, "finish_reason": "stop"}]}
        for told in (whole(answer), stream(answer), stream(chunk(said), END)):
            out = await chatted(driver, told, streamed=streamed)
            assert out.choices[0].message.content == read, content


async def test_thoughts_in_parts(driver: Driver) -> None:
    said = {"content": "a", "reasoning_content": [{"type": "reasoning", "text": "h"}, "m"]}
    for streamed in (False, True):
        answer = {"choices": [{"message": said}]}
        out = await chatted(driver, stream(chunk(said), END) if streamed else whole(answer), streamed=streamed)
        assert (out.choices[0].message.content, out.choices[0].message.reasoning) == ("a", "hm")


CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
SAYS_A = {"role": "assistant", "content": "a"}
OTHER_SHAPES: list[Any] = [
    {"choices": {"index": 0, "message": SAYS_A}},
    {"choices": {"0": {"message": SAYS_A}}},
    {"choices": json.dumps([{"message": SAYS_A}])},
    {"choices": [{"message": "a"}]},
    {"choices": [{"message": [SAYS_A]}]},
    {"choices": [{"messages": [{"role": "user", "content": "hi"}, SAYS_A]}]},
    {"choices": [{"delta": SAYS_A, "finish_reason": "stop"}]},
    {"choices": [{"index": 0, "content": "a"}]},
    {"code": 0, "data": json.dumps({"choices": [{"message": SAYS_A}]})},
    json.dumps({"choices": [{"message": SAYS_A}]}) + "<!-- served by x -->",
    json.dumps({"choices": [{"message": SAYS_A}]})[:-1] + ",}",
]
OTHER_EVENTS: list[list[Any]] = [
    [{"choices": {"index": 0, "delta": {"content": "a"}}}, END],
    [{"choices": [{"index": 0, "message": "a", "finish_reason": "stop"}]}],
    [{"choices": [{"index": 0, "content": "a"}]}, END],
    [[chunk()], [END]],
    [json.dumps(chunk()) + "[DONE]", json.dumps(END) + "data: [DONE]"],
    ['{"choices":[{"index":0,"delta":{"content":"a",},}]}', END],
    [chunk(), {"choices": [{"delta": {"finish_reason": "stop"}}]}],
    [chunk(), {"choices": [{"delta": {}, "finishReason": "stop"}]}],
    [chunk(), {"choices": [{"delta": {}, "finish_reason": None, "finish_details": {"type": "stop"}}]}],
    [chunk(), {"choices": [{"delta": {}, "stop_reason": "stop"}]}],
    ["[]", "ping - 2026-01-01 00:00:00", "[keep-alive]", chunk(), END],
]


async def test_a_chat_in_another_shape(driver: Driver) -> None:
    """Whole, also where a stream was asked for; and in events."""
    for answer in OTHER_SHAPES:
        result = await chatted(driver, whole(answer), streamed=False)
        assert result.choices[0].message.content == "a", answer
        assert json.dumps(result.raw), answer
        assert result.to_dict()["choices"], answer
    for events in OTHER_EVENTS:
        choice = (await chatted(driver, stream(*events), streamed=True)).choices[0]
        assert (choice.message.content, choice.finish_reason) == ("a", "stop"), events


async def test_words_of_an_event_that_is_no_part_of_the_answer(driver: Driver) -> None:
    lines = f"data: {text(chunk())}\n\ndata: {text(END)}\n\nevent: close\ndata: stream closed\n\n"
    transport = MemoryTransport(lambda _: ScriptedResponse(lines.encode(), content_type=EVENT_STREAM))
    assert (await chatted(driver, transport, streamed=True)).choices[0].message.content == "a"


OTHER_CALLS: list[Any] = [
    {"id": "c", "function": {"name": "f", "parameters": {"a": 1}}},
    {"id": "c", "function": {"name": "f", "parameters": '{"a":1}'}},
    {"id": "c", "function": {"name": "f", "arguments": '{"a":1}', "parameters": {"type": "object"}}},
    {"id": "c", "function": "f", "arguments": '{"a":1}'},
    {"id": "c", "function": json.dumps({"name": "f", "arguments": {"a": 1}})},
    {"id": "c", "name": "f", "arguments": {"a": 1}},
    {"id": "c", "name": "f", "parameters": {"a": 1}},
    {"id": "c", "name": "f", "args": {"a": 1}},
    {"id": "c", "type": "tool_use", "name": "f", "input": {"a": 1}},
]


async def test_a_tool_call_in_another_shape(driver: Driver) -> None:
    rows: list[tuple[dict[str, Any], dict[str, Any]]] = [({"tool_calls": [call]}, {}) for call in OTHER_CALLS]
    rows += [({"tool_calls": {"0": CALL}}, {}), ({"tool_calls": json.dumps([CALL])}, {}), ({}, {"tool_calls": [CALL]})]
    for said, beside in rows:
        answer = {"choices": [{"message": said, "finish_reason": "tool_calls", **beside}]}
        for streamed in (False, True):
            transport = stream(chunk(said, beside), END) if streamed else whole(answer)
            (found,) = (await chatted(driver, transport, streamed=streamed)).choices[0].message.tool_calls
            arguments = found.function.arguments
            read = json.loads(arguments) if isinstance(arguments, str) else arguments
            assert (found.id, found.function.name, read) == ("c", "f", {"a": 1}), (said, beside, streamed)


async def test_several_calls_in_the_arguments_of_one(driver: Driver) -> None:
    """https://github.com/NousResearch/hermes-agent/issues/62937"""
    rows = [
        ('{"a":1}\n{"a":2}{"a":2}', [("c", '{"a":1}'), ("c_2", '{"a":2}')]),
        ('{}{"a":1}', [("c", '{"a":1}')]),
        ('{"a":"} {"}', [("c", '{"a":"} {"}')]),
        ('{"a":1}{"a"', [("c", '{"a":1}{"a"')]),
    ]
    for arguments, calls in rows:
        said = {"tool_calls": [{**CALL, "function": {"name": "f", "arguments": arguments}}]}
        answer = {"choices": [{"message": said, "finish_reason": "tool_calls"}]}
        for streamed in (False, True):
            transport = stream(chunk(said), END) if streamed else whole(answer)
            found = (await chatted(driver, transport, streamed=streamed)).choices[0].message.tool_calls
            assert [(call.id, call.function.arguments) for call in found] == calls
            assert {call.function.name for call in found} == {"f"}


@pytest.mark.parametrize(
    "event",
    [
        "null",
        "{}",
        " null ",
        {"id": "x"},
        {"choices": None},
        {"choices": []},
        {"choices": {}},
        {"choices": "", "id": "x"},
        {"model": 5, "object": {}, "created": ""},
    ],
    ids=text,
)
async def test_events_that_keep_a_connection_alive(driver: Driver, event: Any) -> None:
    out = await chatted(driver, stream(event, chunk(), event, END, event), streamed=True)
    assert out.choices[0].message.content == "a"


@pytest.mark.parametrize(
    "last",
    [
        {"choices": None, "usage": USAGE},
        {"usage": USAGE},
        {"choices": [], "usage": USAGE},
        {"choices": [None], "usage": USAGE, "id": 5},
    ],
    ids=text,
)
async def test_usage_without_choices_is_kept(driver: Driver, last: Any) -> None:
    out = await chatted(driver, stream(chunk(), END, last), streamed=True)
    assert (out.choices[0].message.content, out.usage.completion_tokens) == ("a", 2)


@pytest.mark.parametrize("marker", ["[DONE]", '"[DONE]"', "[done]", "DONE", " [DONE] "])
async def test_an_end_marker_however_it_is_spelled(driver: Driver, marker: str) -> None:
    out = await chatted(driver, stream(chunk(), END, marker), streamed=True)
    assert out.choices[0].message.content == "a"


async def test_a_text_in_place_of_a_message(driver: Driver) -> None:
    answer = {"choices": [{"text": "a", "finish_reason": "stop"}]}
    for streamed in (False, True):
        out = await chatted(driver, stream(answer) if streamed else whole(answer), streamed=streamed)
        assert out.choices[0].message.content == "a"


@pytest.mark.parametrize("label", ["application/json; charset=iso-8859-1", 'application/json;charset="Latin-1"'])
async def test_another_charset(driver: Driver, label: str) -> None:
    body = '{"choices":[{"message":{"content":"é"},"finish_reason":"stop"}]}'.encode("latin-1")
    out = await chatted(driver, MemoryTransport(lambda _: ScriptedResponse(body, content_type=label)), streamed=False)
    assert out.choices[0].message.content == "é" and out.raw["choices"][0]["message"]["content"] == "é"


LOGPROBS = '{"content":[{"token":"NaN","logprob":%s,"top_logprobs":[{"token":"b","logprob":%s}]}]}'


@pytest.mark.parametrize(
    ("sent", "read"), [("-Infinity", -math.inf), ("Infinity", math.inf), ("-1e999", -math.inf), ("-inf", -math.inf)]
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_numbers_that_json_lacks(driver: Driver, sent: str, read: float, streamed: bool) -> None:
    logprobs = LOGPROBS % (sent, "NaN")
    said = '{"content":"NaN, -Infinity and \\"Infinity\\""}'
    end = f'{said},"logprobs":{logprobs},"finish_reason":"stop"}}],"usage":{{"completion_tokens":NaN}}}}'
    event, answer = ('{"choices":[{"' + name + '":' + end for name in ("delta", "message"))
    out = await chatted(driver, stream(event) if streamed else whole(answer), streamed=streamed)
    assert out.choices[0].message.content == 'NaN, -Infinity and "Infinity"'
    (token,) = out.choices[0].logprobs.content
    assert (token.token, token.logprob) == ("NaN", read) and math.isnan(token.top_logprobs[0].logprob)
    assert out.usage.completion_tokens is None
    assert json.loads(out.to_json())["choices"][0]["logprobs"]["content"][0]["logprob"] is None
    if not streamed:
        assert out.raw["choices"][0]["logprobs"]["content"][0]["logprob"] == read


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
async def test_a_byte_order_mark(driver: Driver, encoding: str) -> None:
    answer = json.dumps({"choices": [{"message": {"content": f"a{BOM}"}}]}, ensure_ascii=False)
    out = await chatted(driver, MemoryTransport(lambda _: ScriptedResponse(answer.encode(encoding))), streamed=False)
    assert out.choices[0].message.content == f"a{BOM}"


async def test_a_byte_order_mark_of_an_event(driver: Driver) -> None:
    out = await chatted(driver, stream(BOM + text(chunk()), BOM + text(END)), streamed=True)
    assert out.choices[0].message.content == "a"


@pytest.mark.parametrize(
    "said",
    [
        BOM + '{"error": {"message": "slow down", "code": "rate"}}',
        '{"error": {"message": "slow down", "code": "rate", "cost": NaN}}',
        '{"error": {"message": "slow down", "code": "rate", "limit": -Infinity, "x": 1e999}}',
        '{"error": {"message": "slow\\ud83d down", "code": "rate"}}',
        '{"error": {"message": "slow\xe9 down", "code": "rate"}}'.encode("latin-1"),
    ],
)
async def test_refusals_are_read_as_well(driver: Driver, said: str | bytes) -> None:
    body = said.encode() if isinstance(said, str) else said
    transport = MemoryTransport(lambda _: ScriptedResponse(body, status=401))
    with pytest.raises(AuthenticationError) as caught:
        await chatted(driver, transport, streamed=False)
    assert caught.value.code == "rate"
    assert (caught.value.server_message or "").replace("\ufffd", "") == "slow down"


@pytest.mark.parametrize("start", ["", BOM])
@pytest.mark.parametrize("streamed", [False, True])
async def test_refusals_inside_an_answer(driver: Driver, start: str, streamed: bool) -> None:
    said = start + '{"error": {"message": "slow down", "code": 429, "used": NaN}}'
    async with driver.client(transport=stream(said) if streamed else whole(said), **AT, retries=0) as client:
        with pytest.raises(RateLimitError, match="slow down"):
            if streamed:
                await client.chat_completion.stream(MESSAGES).result()
            else:
                await client.chat_completion(MESSAGES)


# Text generation


def completion(choice: dict[str, Any] | None = None, **frame: Any) -> dict[str, Any]:
    return {"choices": [{"text": "a", **(choice or {})}], **frame}


async def generated(driver: Driver, transport: MemoryTransport, *, streamed: bool, at: str = AT["base_url"]) -> Any:
    async with driver.client(transport=transport, base_url=at) as client:
        if streamed:
            return await client.text_generation.stream("hi", details=True).result()
        return await client.text_generation("hi", details=True)


@pytest.mark.parametrize("frame", FRAMES, ids=text)
@pytest.mark.parametrize("streamed", [False, True])
async def test_the_frame_of_a_completion(driver: Driver, frame: dict[str, Any], streamed: bool) -> None:
    end = completion({"text": "", "finish_reason": "stop"}, **frame)
    answer = completion({"finish_reason": "stop"}, **frame)
    transport = stream(completion(**frame), end) if streamed else whole(answer)
    out = await generated(driver, transport, streamed=streamed)
    assert (out.generated_text, out.details.finish_reason) == ("a", "stop")


@pytest.mark.parametrize(
    "choice",
    [{"seed": "x"}, {"finish_reason": {"a": 1}}, {"logprobs": {"token_logprobs": [-math.inf]}}, {"index": "0"}],
    ids=text,
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_the_choice_of_a_completion(driver: Driver, choice: dict[str, Any], streamed: bool) -> None:
    sent = completion({"finish_reason": "stop", **choice})
    out = await generated(driver, stream(sent) if streamed else whole(sent), streamed=streamed)
    assert (out.generated_text, out.details.seed) == ("a", None)


@pytest.mark.parametrize("odd", ["null", "{}", {"choices": None}, {"id": 5, "usage": []}], ids=text)
@pytest.mark.parametrize("last", [{"choices": None, "usage": USAGE}, {"usage": USAGE}], ids=text)
async def test_keep_alives_and_usage_of_a_completion(driver: Driver, odd: Any, last: Any) -> None:
    transport = stream(odd, completion(), odd, completion({"text": "", "finish_reason": "stop"}), last, odd)
    out = await generated(driver, transport, streamed=True)
    assert (out.generated_text, out.details.generated_tokens) == ("a", 2)
    assert [token.text for token in out.details.tokens] == ["a", ""]


TOKEN = {"id": 1, "text": "a", "logprob": -0.5, "special": False}


@pytest.mark.parametrize(
    "event",
    [
        {"token": {**TOKEN, "id": "1"}, "index": "x"},
        {"token": {**TOKEN, "logprob": -math.inf}, "top_tokens": {}},
        {"token": {**TOKEN, "special": 0, "logprob": "x"}, "details": []},
        {"token": TOKEN, "top_tokens": [[None]], "details": {"seed": math.nan, "finish_reason": None}},
    ],
    ids=text,
)
async def test_a_token(driver: Driver, event: dict[str, Any]) -> None:
    last = {"token": {**TOKEN, "text": ""}, "generated_text": "a", "details": {"finish_reason": "length", "seed": []}}
    lines = "".join(f"data: {text(each)}\n\n" for each in ["{}", event, "null", last])
    transport = MemoryTransport(lambda _: ScriptedResponse(lines.encode(), content_type=EVENT_STREAM))
    out = await generated(driver, transport, streamed=True, at="http://127.0.0.1:9/generate")
    assert (out.generated_text, out.details.finish_reason, out.details.seed) == ("a", "length", None)
    assert [token.id for token in out.details.tokens] == [1, 1]


async def test_the_details_of_a_whole_text(driver: Driver) -> None:
    details = {"finish_reason": "length", "prefill": {}, "tokens": [None, TOKEN], "seed": math.nan}
    sent = [{"generated_text": "a", "details": details}]
    out = await generated(driver, whole(sent), streamed=False, at="http://127.0.0.1:9/generate")
    assert (out.generated_text, out.details.prefill, out.details.seed) == ("a", [], None)
    assert [token.text for token in out.details.tokens] == ["a"]


# The pipelines, and all tasks


def _content(out: Any) -> Any:
    return out.choices[0].message.content


def _vector(out: Any) -> Any:
    return out.data[0].embedding


def _answer(out: Any) -> Any:
    return (out[0] if isinstance(out, list) else out).answer


def _list(out: Any) -> Any:
    return [[*map(float, vector)] for vector in out]


PIPELINES: list[tuple[str, Any, Any]] = [
    ("object_detection", [{"label": "a", "score": 0.5, "box": {"xmin": 1.5}}], {"xmin": 1.5}),
    ("image_classification", [{"label": 3, "score": 0.5}], "3"),
    ("text_classification", [[{"label": "a"}]], None),
    ("text_classification", [[{"label": "a"}, None]], None),
    ("summarization", '[null, {"summary_text": "NaN"}]', "NaN"),
    ("token_classification", [[{"entity": "PER", "word": "Al", "start": "0"}]], 0),
    ("question_answering", {"answer": None, "score": 0.5}, None),
    ("summarization", '[{"summary_text": "NaN", "score": NaN}]', "NaN"),
]


ENVELOPES: list[Callable[[Any], Any]] = [
    lambda answer: {"code": 0, "msg": "ok", "data": answer},
    lambda answer: {"success": True, "errors": [], "result": answer},
    lambda answer: {"predictions": answer},
    lambda answer: [{"outputs": answer}],
    lambda answer: {"statusCode": 200, "headers": {}, "body": json.dumps(answer)},
    lambda answer: {"output": {"response": answer}, "usage": {"total_tokens": 1}},
]
IN_BASE64, PICTURE = base64.b64encode(WAV).decode(), base64.b64encode(PNG).decode()
ANSWERS: list[tuple[str, str, tuple[Any, ...], Any, Callable[[Any], Any], Any]] = [
    ("chat_completion", "/v1", (MESSAGES,), {"choices": [{"message": {"content": "a"}}]}, _content, "a"),
    ("text_generation", "/v1", ("t",), {"choices": [{"text": "a"}]}, str, "a"),
    ("text_generation", "", ("t",), [{"generated_text": "a"}], str, "a"),
    ("create_embedding", "/v1", (["a"],), {"data": [{"embedding": [0.1], "index": 0}]}, _vector, [0.1]),
    ("feature_extraction", "/v1", (["a"],), {"data": [{"embedding": [0.5], "index": 0}]}, _list, [[0.5]]),
    ("feature_extraction", "", (["a"],), [[0.5]], _list, [[0.5]]),
    ("rerank", "/v1", ("q", ["a"]), {"results": [{"index": 0, "relevance_score": 1}]}, lambda o: o.results[0].score, 1),
    ("create_moderation", "/v1", ("a",), {"results": [{"flagged": True}]}, lambda o: o.results[0].flagged, True),
    ("automatic_speech_recognition", "/v1", (WAV,), {"text": "a"}, lambda o: o.text, "a"),
    ("automatic_speech_recognition", "", (WAV,), {"text": "a"}, lambda o: o.text, "a"),
    ("text_classification", "", ("t",), [{"label": "a", "score": 1}], lambda o: o[0].label, "a"),
    ("token_classification", "", ("t",), [{"word": "a", "entity": "B"}], lambda o: o[0].word, "a"),
    ("fill_mask", "", ("t",), [{"token_str": "a", "score": 1}], lambda o: o[0].token_str, "a"),
    ("object_detection", "", (PNG,), [{"label": "a", "score": 1}], lambda o: o[0].label, "a"),
    ("question_answering", "", ("q", "c"), {"answer": "a", "score": 1}, _answer, "a"),
    ("sentence_similarity", "", ("a", ["b", "c"]), [0.5, 1], list, [0.5, 1]),
    ("tabular_classification", "", ({"n": [1, 2]},), ["a", "b"], list, ["a", "b"]),
    ("summarization", "", ("t",), [{"summary_text": "a"}], lambda o: o.summary_text, "a"),
    ("text_to_speech", "", ("t",), {"audio": IN_BASE64}, bytes, WAV),
    (
        "text_to_image",
        "/v1",
        ("t",),
        {"data": [{"b64_json": PICTURE}]},
        lambda o: o.size,
        (4, 3),
    ),
]


async def test_an_answer_in_another_object(driver: Driver) -> None:
    """As gateways, functions in a cloud and model servers wrap it, whichever task it is of."""
    for method, path, given, sent, read, value in ANSWERS:
        for wrapped in ENVELOPES:
            body = wrapped(sent)
            async with driver.client(transport=whole(body), base_url=f"http://127.0.0.1:9{path}", model="m") as client:
                assert read(await getattr(client, method)(*given)) == value, (method, path, body)


OTHER_ANSWERS: list[tuple[str, str, tuple[Any, ...], Any, Callable[[Any], Any], Any]] = [
    ("sentence_similarity", "", ("a", ["b", "c"]), {"similarities": [0.5, 1]}, list, [0.5, 1]),
    ("sentence_similarity", "", ("a", ["b", "c"]), [[0.5, 1]], list, [0.5, 1]),
    ("tabular_classification", "", ({"n": [1, 2]},), [["a", "b"]], list, ["a", "b"]),
    ("tabular_classification", "", ({"n": [1, 2]},), [["a"], ["b"]], list, ["a", "b"]),
    ("tabular_classification", "", ({"n": [1, 2]},), [True, False], list, [True, False]),
    ("token_classification", "", ("t",), {"entities": [{"word": "a", "entity": "B"}]}, lambda o: o[0].word, "a"),
    ("summarization", "", ("t",), [{"generated_text": "a"}], lambda o: o.summary_text, "a"),
    ("translation", "", ("t",), {"text": "a"}, lambda o: o.translation_text, "a"),
    ("image_to_text", "", (PNG,), {"text": "a"}, lambda o: o.generated_text, "a"),
    ("automatic_speech_recognition", "/v1", (WAV,), [{"text": "a"}], lambda o: o.text, "a"),
    ("text_to_speech", "/v1", ("t",), {"audio": {"data": IN_BASE64}}, bytes, WAV),
    ("text_to_speech", "/v1", ("t",), {"audioContent": IN_BASE64}, bytes, WAV),
    ("text_to_speech", "/v1", ("t",), {"data": {"audio": WAV.hex(), "status": 2}}, bytes, WAV),
    ("text_to_speech", "", ("t",), json.dumps(IN_BASE64), bytes, WAV),
    ("text_to_image", "", ("t",), json.dumps(PICTURE), lambda o: o.size, (4, 3)),
    ("text_to_image", "/v1", ("t",), {"data": {"b64_json": PICTURE}}, lambda o: o.size, (4, 3)),
    ("create_embedding", "/v1", (["a"],), [[0.1]], _vector, [0.1]),
    ("create_embedding", "/v1", (["a"],), {"embeddings": [[0.1]]}, _vector, [0.1]),
    ("create_embedding", "/v1", (["a"],), {"embeddings": {"float": [[0.1]]}}, _vector, [0.1]),
    ("create_embedding", "/v1", (["a"],), {"data": [{"embedding": ["0.1"]}]}, _vector, [0.1]),
    ("create_embedding", "/v1", (["a"],), {"data": [{"embedding": "AACAPwAAAEA="}]}, _vector, [1, 2]),
    ("create_embedding", "/v1", (["a"],), {"result": {"data": [[0.1]], "shape": [1, 1]}}, _vector, [0.1]),
    ("feature_extraction", "/v1", (["a"],), {"embeddings": {"float": [[0.5]]}}, _list, [[0.5]]),
    ("feature_extraction", "/v1", (["a"],), {"output": {"embeddings": [{"embedding": [0.5]}]}}, _list, [[0.5]]),
    ("rerank", "/v1", ("q", ["a"]), {"results": [None, {"index": "0", "score": "1"}]}, lambda o: o.results[0].score, 1),
    ("text_generation", "/v1", ("t",), {"choices": [{"text": 7}]}, str, "7"),
    ("text_generation", "/v1", ("t",), {"choices": [{"text": ["a", "b"]}]}, str, "ab"),
    ("text_generation", "/v1", ("t",), {"choices": [{"message": {"content": "a"}}]}, str, "a"),
    ("text_generation", "/v1", ("t",), {"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]}, str, "a"),
    ("chat_completion", "/v1", (MESSAGES,), [{"choices": [{"message": {"content": "a"}}]}], _content, "a"),
]


async def test_an_answer_in_another_shape(driver: Driver) -> None:
    for method, path, given, sent, read, value in OTHER_ANSWERS:
        async with driver.client(transport=whole(sent), base_url=f"http://127.0.0.1:9{path}", model="m") as client:
            assert read(await getattr(client, method)(*given)) == value, (method, sent)


async def test_a_file_of_base64_alone(driver: Driver) -> None:
    transport = MemoryTransport(lambda _: ScriptedResponse(IN_BASE64.encode(), content_type="text/plain"))
    async with driver.client(transport=transport, base_url="http://127.0.0.1:9") as client:
        assert await client.text_to_speech("t") == WAV


async def test_events_of_a_chat_where_a_completion_was_asked_for(driver: Driver) -> None:
    out = await generated(driver, stream(chunk(), chunk({"content": "b"}), END), streamed=True)
    assert (out.generated_text, out.details.finish_reason) == ("ab", "stop")
    numbers = [{"choices": [{"index": 0, "text": 4}]}, {"choices": [{"index": 0, "text": 2, "finish_reason": "stop"}]}]
    assert (await generated(driver, stream(*numbers), streamed=True)).generated_text == "42"


def answered(request: SentRequest, body: bytes, label: str) -> ScriptedResponse:
    return ScriptedResponse(body, content_type=label)


async def test_events_where_a_whole_transcript_was_asked_for(driver: Driver) -> None:
    events = [{"type": "transcript.text.delta", "delta": "a"}, {"type": "transcript.text.done", "text": "ab"}]
    for label in (EVENT_STREAM, "text/plain"):
        body = "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode()
        transport = MemoryTransport(partial(answered, body=body, label=label))
        async with driver.client(transport=transport, **AT) as client:
            assert (await client.automatic_speech_recognition(WAV)).text == "ab"


@pytest.mark.parametrize(("task", "sent", "read"), PIPELINES)
async def test_pipelines(driver: Driver, task: str, sent: Any, read: Any) -> None:
    given: dict[str, Any] = {"question": "q", "context": "c"} if task == "question_answering" else {"text": "t"}
    given = {"image": b"\x89PNG\r\n\x1a\n"} if task in ("object_detection", "image_classification") else given
    async with driver.client(transport=whole(sent), base_url="http://127.0.0.1:9") as client:
        out = await getattr(client, task)(**given)
    first = out[0] if isinstance(out, list) else out
    readers: dict[str, Callable[[], Any]] = {
        "object_detection": lambda: {name: place for name, place in first.box.to_dict().items() if place is not None},
        "image_classification": lambda: first.label,
        "text_classification": lambda: first.score,
        "token_classification": lambda: first.start,
        "question_answering": lambda: first.answer,
        "summarization": lambda: first.summary_text,
    }
    assert readers[task]() == read
    assert text(first.raw) in text(sent)


@pytest.mark.parametrize(
    "body",
    [
        '{"data": [{"embedding": [0.5, NaN], "index": "0"}], "model": 5, "usage": []}',
        BOM + '{"data": [{"embedding": [0.5, 1e999], "index": null}], "object": {}}',
        BOM + "[[0.5, -Infinity]]",
    ],
)
async def test_vectors(driver: Driver, body: str) -> None:
    async with driver.client(transport=whole(body), base_url="http://127.0.0.1:9") as client:
        vectors = await client.feature_extraction("hi")
    assert vectors.shape == (1, 2) and vectors[0][0] == 0.5 and not math.isfinite(vectors[0][1])


async def test_what_a_caller_asks_for_itself_is_read_as_well(driver: Driver) -> None:
    async with driver.client(transport=whole(BOM + '{"x": [NaN, 1]}'), base_url="http://127.0.0.1:9") as client:
        response = await client.post(json={"inputs": "x"})
    assert math.isnan(response.json()["x"][0])


async def test_broken_json_is_still_refused(driver: Driver) -> None:
    for body in ('{"choices": [{"message": {"content": "a"', '{"choices": NaN}', "NaN", '{"choices": [nana]}'):
        with pytest.raises(DecodeError):
            await chatted(driver, whole(body), streamed=False)
        with pytest.raises((MalformedEventError, TransportError)):
            await chatted(driver, stream(body), streamed=True)


ALIEN = b'"x\xff":["\x80\\ud83d",{"y":"\xed\xa0\x80"}]'
"""A member of text that is no Unicode."""


@pytest.mark.parametrize(
    ("task", "url", "event"),
    [
        ("chat-completion", None, b'{"choices":[{"delta":{"content":"a\xef\xbf\xbd",@},"finish_reason":"stop",@}],@}'),
        (
            "text-generation",
            "http://127.0.0.1:9/v1",
            b'{"choices":[{"text":"a\xef\xbf\xbd","finish_reason":"stop",@}],@}',
        ),
        (
            "text-generation",
            "http://127.0.0.1:9/generate",
            b'{"token":{"text":"a\xef\xbf\xbd"},"generated_text":"a",@}',
        ),
    ],
)
@pytest.mark.parametrize("what", ["stream", "whole"])
def test_bytes_that_are_no_unicode_beside_what_is_read(task: str, url: str | None, event: bytes, what: str) -> None:
    body = event.replace(b"@", ALIEN)
    if what == "whole":
        sent = reply(body.replace(b"delta", b"message").replace(b"token", b"details"))
    else:
        sent = reply(b"data: %b\n\ndata: [DONE]\n\n" % body, content_type=EVENT_STREAM)
    details: dict[str, Any] = {} if task == CHAT else {"parameters": {"details": True}}
    asked = call(task, "url", url=url, model="m", stream=what == "stream", **details)
    played = play(flow_for("url", task)(asked), sent)
    assert all("x\ufffd" in event.raw for event in played.events)
    out = played.result
    assert (out.choices[0].message.content if task == CHAT else out.generated_text).startswith("a")
    assert what == "stream" or out.raw["x\ufffd"] == ["\ufffd\ufffd", {"y": "\ufffd\ufffd\ufffd"}]


@pytest.mark.parametrize("at", ["http://127.0.0.1:9/generate", "http://127.0.0.1:9/v1"])
async def test_half_a_character_beside_odd_members(driver: Driver, at: str) -> None:
    token = '{"id":1,"special":%s}'
    odd = [
        '{"choices":[null,{"text":"\\ud83d","index":"0"}],"model":null}',
        '{"choices":[{"text":"\\ude00","finish_reason":"stop"}],"usage":[]}',
    ]
    if at.endswith("generate"):
        odd = [f'{{"token":{token % "0"},"x":"\\ud83d"}}', '{"generated_text":"\\ud83d\\ude00","y":"\\ud83d"}']
    lines = "".join(f"data: {event}\n\n" for event in odd)
    transport = MemoryTransport(lambda _: ScriptedResponse(lines.encode(), content_type=EVENT_STREAM))
    out = await generated(driver, transport, streamed=True, at=at)
    assert out.generated_text == "😀"
