"""What a call takes, gives and refuses, through every client: results, their facts, options, transports, spellings."""

from __future__ import annotations

import base64
import inspect
import json
import struct
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from support.drivers import Driver

import headwater
from headwater import (
    AsyncInferenceClient,
    ChatCompletionOutput,
    ConnectError,
    DecodeError,
    HeadwaterError,
    InferenceClient,
    InvalidParameterError,
    MissingModelError,
    NotFoundError,
    TextGenerationOutput,
    TextGenerationStreamOutput,
    Timeout,
    UnexpectedContentError,
    UnknownProviderError,
    UnsupportedTaskError,
)
from headwater.emulator import faults
from headwater.testing import MemoryTransport, ScriptedResponse

pytestmark = [pytest.mark.anyio, pytest.mark.dealt]

MESSAGES = [{"role": "user", "content": "hi"}]
CHOICE = {"index": 0, "message": {"role": "assistant", "content": "w"}, "finish_reason": "stop"}
ANSWER = {"id": "1", "choices": [CHOICE], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}


@pytest.fixture(scope="module")
def server() -> Iterator[faults.FaultServer]:
    with faults.running() as found:
        yield found


def client_at(driver: Driver, server: faults.FaultServer, fault: str = "ok", **options: Any) -> Any:
    return driver.client(base_url=f"{server.at(fault)}/v1", **options)


# arguments that are wrong: nothing is sent

BAD: list[tuple[dict[str, Any], str]] = [
    ({"messages": []}, "at least one"),
    ({"messages": "hi"}, "messages must be a list"),
    ({"messages": ["hi"]}, r"messages\[0\] must be a dict"),
    ({"messages": [{"content": "hi"}]}, "has no 'role'"),
    ({"messages": [{"role": "user", "content": 7}]}, "content of type int"),
    ({"messages": None}, "required"),
    ({}, "required"),
    ({"messages": MESSAGES, "max_tokens": "five"}, "max_tokens"),
    ({"messages": MESSAGES, "max_tokens": 1.5}, "max_tokens"),
    ({"messages": MESSAGES, "temperature": "hot"}, "temperature"),
    ({"messages": MESSAGES, "temprature": 1}, "did you mean 'temperature'"),
    ({"messages": MESSAGES, "zzz": 1}, "extra_body"),
    ({"messages": MESSAGES, "stop": [1]}, "stop"),
    ({"messages": MESSAGES, "tools": "all"}, "tools must be a list"),
    ({"messages": MESSAGES, "tools": ["one"]}, "tools must be a list"),
    ({"messages": MESSAGES, "tool_choice": 7}, "tool_choice"),
    ({"messages": MESSAGES, "response_format": "json"}, "response_format must be a dict"),
    ({"messages": MESSAGES, "extra_body": [1]}, "extra_body"),
    ({"messages": MESSAGES, "model": 7}, "model"),
    ({"messages": MESSAGES, "stream": "yes"}, "stream"),
    ({"messages": MESSAGES, "extra_body": {"x": object()}}, "JSON"),
    ({"messages": [{"role": "user", "content": [{"x": {1, object()}}]}]}, "JSON"),
]


@pytest.mark.parametrize(("arguments", "says"), BAD)
async def test_a_wrong_argument_is_refused(driver: Driver, arguments: dict[str, Any], says: str) -> None:
    transport = MemoryTransport(lambda _: ScriptedResponse(b"{}"))
    async with driver.client(base_url="http://127.0.0.1:9", transport=transport) as client:
        with pytest.raises(InvalidParameterError, match=says) as caught:
            await client.chat_completion(**arguments)
        assert "chat_completion" in str(caught.value) or "JSON" in says
        plain = {name: value for name, value in arguments.items() if name != "stream"}
        if plain == arguments:
            with pytest.raises(InvalidParameterError, match=says):
                async with client.chat_completion.stream(**arguments) as run:
                    await run.result()
    assert transport.requests == []


async def test_too_many_positional_arguments_are_refused(driver: Driver) -> None:
    async with driver.client(base_url="http://127.0.0.1:9") as client:
        with pytest.raises(InvalidParameterError, match="positional"):
            await client.chat_completion(MESSAGES, "model")
        with pytest.raises(InvalidParameterError, match="given twice"):
            await client.chat_completion(MESSAGES, messages=MESSAGES)


async def test_a_null_is_as_if_not_given(driver: Driver) -> None:
    transport = MemoryTransport(lambda _: ScriptedResponse(json.dumps(ANSWER).encode()))
    async with driver.client(base_url="http://127.0.0.1:9", transport=transport) as client:
        await client.chat_completion(MESSAGES, max_tokens=None, temperature=None, model=None, stream=None)
    sent = transport.requests[0].body
    assert isinstance(sent, bytes)
    body = json.loads(sent)
    assert set(body) == {"model", "messages", "stream"}


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"retries": -1}, InvalidParameterError),
        ({"retries": 1.5}, InvalidParameterError),
        ({"retries": True}, InvalidParameterError),
        ({"timeout": "soon"}, InvalidParameterError),
        ({"proxies": 7}, InvalidParameterError),
        ({"provider": "nobody"}, UnknownProviderError),
    ],
)
@pytest.mark.parametrize("client", [AsyncInferenceClient, InferenceClient])
def test_a_wrong_setting_is_refused(client: Any, options: dict[str, Any], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        client(**options)


async def test_a_task_that_nobody_does_there_says_who_does(driver: Driver) -> None:
    async with driver.client("m", provider="groq", token="gsk-0000000000", model_mapping={"m": "m"}) as client:
        with pytest.raises(UnsupportedTaskError, match="hf-inference"):
            await client.feature_extraction("text")


async def test_a_provider_wants_a_model(driver: Driver) -> None:
    transport = MemoryTransport(lambda _: ScriptedResponse(b"{}"))
    async with driver.client(provider="together", token="sk-0000000000", transport=transport) as client:
        with pytest.raises(MissingModelError, match="model"):
            await client.chat_completion(MESSAGES)
    assert transport.requests == []


async def test_an_unreachable_host(driver: Driver, server: faults.FaultServer) -> None:
    for url in (server.refused_url, "http://no-such-host.invalid"):
        async with driver.client(base_url=url, retries=0) as client:
            with pytest.raises(ConnectError) as caught:
                await client.chat_completion(MESSAGES)
            assert caught.value.retryable
            assert not caught.value.sent


# answers that are wrong

WRONG: list[tuple[bytes, str, type[HeadwaterError], str]] = [
    (b"<!doctype html><title>Login</title>", "text/html", UnexpectedContentError, "base_url"),
    (b"<html>", "application/json", UnexpectedContentError, "page"),
    (b"", "application/json", UnexpectedContentError, "empty"),
    (b"  \n", "application/json", UnexpectedContentError, "empty"),
    (b"hello", "text/plain", UnexpectedContentError, "hello"),
    (b'{"choices":[', "application/json", DecodeError, "something else"),
    (b'{"choices":"no"}', "application/json", DecodeError, "choices"),
    (b"[]", "application/json", DecodeError, "something else"),
    (b"null", "application/json", DecodeError, "something else"),
    (b'{"choices":[{"message":{"content":"\xff"}}]}', "application/json", DecodeError, "something else"),
    (b"[" * 100_000, "application/json", DecodeError, "something else"),
]


@pytest.mark.parametrize(("body", "content_type", "kind", "says"), WRONG)
async def test_an_answer_that_is_none(
    driver: Driver, body: bytes, content_type: str, kind: type[HeadwaterError], says: str
) -> None:
    transport = MemoryTransport(lambda _: ScriptedResponse(*([body] if body else []), content_type=content_type))
    async with driver.client(base_url="http://127.0.0.1:9", transport=transport) as client:
        with pytest.raises(kind, match=says) as caught:
            await client.chat_completion(MESSAGES)
        assert isinstance(caught.value, DecodeError)
        assert caught.value.body == body[:512]
        assert len(str(caught.value)) < 2000
        with pytest.raises(HeadwaterError):
            await client.chat_completion(MESSAGES, stream=True)
    assert len(transport.requests) == 2
    assert transport.unfinished() == []


async def test_an_error_carries_its_facts(driver: Driver, server: faults.FaultServer) -> None:
    async with client_at(driver, server, "s401") as client:
        with pytest.raises(headwater.AuthenticationError) as caught:
            await client.chat_completion(MESSAGES, model="some-model")
    error = caught.value
    assert (error.provider, error.model, error.task) == ("url", "some-model", "chat-completion")
    assert (error.status, error.code, error.retryable) == (401, "fault", False)
    assert error.server_message == "fault 401"
    assert error.request_id
    assert error.request_id.startswith("fault-")
    assert error.body["code"] == error.response.json()["error"]["code"] == 401
    assert error.headers["content-type"] == "application/json"
    assert [(a.number, a.status, a.provider) for a in error.attempts] == [(1, 401, "url")]
    assert isinstance(error, headwater.HfHubHTTPError)


async def test_an_unknown_path_says_what_to_check(driver: Driver, server: faults.FaultServer) -> None:
    async with driver.client(base_url=f"{server.at('status', code=404)}/v1") as client:
        with pytest.raises(NotFoundError, match="base_url"):
            await client.chat_completion(MESSAGES)


# results


async def test_a_result_is_read_by_attribute_and_by_key(driver: Driver, server: faults.FaultServer) -> None:
    async with client_at(driver, server) as client:
        out = await client.chat_completion(MESSAGES, model="m")
    assert isinstance(out, ChatCompletionOutput)
    assert out.choices[0].message.content == out["choices"][0]["message"]["content"] == faults.TEXT
    assert out.usage is not None
    assert out.usage.completion_tokens == out["usage"]["completion_tokens"] == 10
    assert "choices" in out
    assert out.get("nonsense", 7) == 7
    with pytest.raises(KeyError):
        out["nonsense"]
    assert out.to_dict()["choices"][0]["finish_reason"] == "stop"
    assert json.loads(out.to_json()) == out.to_dict()
    assert out.raw["object"] == "chat.completion"
    facts = out.facts
    assert (facts.provider, facts.model, len(facts.attempts)) == ("url", "m", 1)
    assert facts.request_id.startswith("fault-")
    assert facts.headers["content-type"] == "application/json"
    assert 0 <= facts.timings.answered <= facts.timings.total


async def test_what_was_not_declared_is_in_raw(driver: Driver) -> None:
    body = {**ANSWER, "timings": {"predicted_ms": 7}, "choices": [{**CHOICE, "extra": [1, 2]}]}
    transport = MemoryTransport(lambda _: ScriptedResponse(json.dumps(body).encode()))
    async with driver.client(base_url="http://127.0.0.1:9", transport=transport) as client:
        out = await client.chat_completion(MESSAGES)
    assert out.raw == body
    assert out["timings"] == {"predicted_ms": 7}
    assert out.raw["choices"][0]["extra"] == [1, 2]


async def test_a_streams_result_is_the_plain_calls(driver: Driver, server: faults.FaultServer) -> None:
    async with client_at(driver, server) as client:
        plain = await client.chat_completion(MESSAGES)
        async with client.chat_completion.stream(MESSAGES) as run:
            streamed = await run.result()
            assert await run.result() is streamed
            assert run.partial == streamed
        async with client.chat_completion.stream(MESSAGES) as run:
            chunks = [chunk async for chunk in run]
            again = await run.result()
    assert streamed.choices == plain.choices == again.choices
    assert streamed.facts.timings.first_event is not None
    assert chunks[0].raw["object"] == "chat.completion.chunk"
    assert chunks[0]["choices"][0]["delta"]["content"] == "w0 "
    assert run.outcome == "complete"


async def test_partial_grows(driver: Driver, server: faults.FaultServer) -> None:
    async with client_at(driver, server) as client, client.chat_completion.stream(MESSAGES) as run:
        assert run.partial is None
        seen = ""
        async for chunk in run:
            seen += chunk.choices[0].delta.content or ""
            so_far: Any = run.partial
            assert so_far.choices[0].message.content.startswith(seen)


async def test_a_flag_decides_at_run_time(driver: Driver, server: faults.FaultServer) -> None:
    async with client_at(driver, server) as client:
        whole = await client.chat_completion(MESSAGES, stream=False)
        chunks = await client.chat_completion(MESSAGES, stream=True)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])
    assert text == whole.choices[0].message.content


# options


async def test_with_options_changes_some_and_keeps_the_rest(driver: Driver, server: faults.FaultServer) -> None:
    async with client_at(driver, server, "s500", retries=1, headers={"x-tenant": "seven"}) as client:
        with pytest.raises(headwater.ServerError) as caught:
            await client.with_options(retries=0).chat_completion(MESSAGES)
        assert len(caught.value.attempts) == 1
        other = client.with_options(base_url=f"{server.at('ok')}/v1", timeout=Timeout(total=30))
        await other.chat_completion(MESSAGES)
        assert server.requests[-1].headers["x-tenant"] == "seven"
        await other.with_options(model=f"{server.at('ok', id='model')}/v1").chat_completion(MESSAGES)
        with pytest.raises(InvalidParameterError, match="retires"):
            client.with_options(retires=0)
        with pytest.raises(headwater.ServerError) as caught:
            await client.chat_completion(MESSAGES)
        assert len(caught.value.attempts) == 2


async def test_with_options_shares_connections(driver: Driver) -> None:
    with faults.running() as server:
        async with client_at(driver, server) as client:
            for retries in range(3):
                await client.with_options(retries=retries).chat_completion(MESSAGES)
        assert len(server.connections) == 1


async def test_with_options_takes_another_key(driver: Driver, server: faults.FaultServer) -> None:
    async with client_at(driver, server, token="sk-first-00000000") as client:
        await client.with_options(api_key="sk-second-0000000").chat_completion(MESSAGES)
        assert server.requests[-1].headers["authorization"] == "Bearer sk-second-0000000"
        await client.chat_completion(MESSAGES)
        assert server.requests[-1].headers["authorization"] == "Bearer sk-first-00000000"


# transports of the user's


async def test_a_mock_transport(driver: Driver) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert json.loads(request.content)["messages"] == MESSAGES
        if json.loads(request.content)["stream"]:
            chunk = {"id": "1", "choices": [{"index": 0, "delta": {"content": "w"}, "finish_reason": "stop"}]}
            text = f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n"
            return httpx.Response(200, text=text, headers={"content-type": "text/event-stream"})
        return httpx.Response(200, json=ANSWER)

    async with driver.client(base_url="https://m.example", transport=httpx.MockTransport(answer)) as client:
        assert (await client.chat_completion(MESSAGES)).choices[0].message.content == "w"
        async with client.chat_completion.stream(MESSAGES) as run:
            assert (await run.result()).choices[0].message.content == "w"


def raising(error: Exception) -> Callable[[httpx.Request], httpx.Response]:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error

    return answer


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx.ConnectError("no"), headwater.ConnectError),
        (httpx.ReadError("no"), headwater.ConnectionLostError),
        (httpx.RemoteProtocolError("no"), headwater.ProtocolError),
        (httpx.ConnectTimeout("no"), headwater.InferenceTimeoutError),
        (httpx.UnsupportedProtocol("no"), headwater.ConnectError),
    ],
)
async def test_what_another_transport_raises_is_ours(
    driver: Driver, error: Exception, kind: type[HeadwaterError]
) -> None:
    transport = httpx.MockTransport(raising(error))
    async with driver.client(base_url="https://m.example", transport=transport, retries=0) as client:
        with pytest.raises(kind):
            await client.chat_completion(MESSAGES)


async def app_chat(request: Request) -> Response:
    payload = await request.json()
    if not payload["stream"]:
        return JSONResponse(ANSWER)
    chunk = {"id": "1", "choices": [{"index": 0, "delta": {"content": "w"}, "finish_reason": "stop"}]}
    lines = [f"data: {json.dumps(chunk)}\n\n", "data: [DONE]\n\n"]

    async def body() -> Any:
        for line in lines:
            yield line

    return StreamingResponse(body(), media_type="text/event-stream")


async def test_an_asgi_application(driver: Driver) -> None:
    """No socket at all: a test of an application against its own code."""
    app = Starlette(routes=[Route("/v1/chat/completions", app_chat, methods=["POST"])])
    async with driver.client(base_url="http://app.localhost", transport=httpx.ASGITransport(app)) as client:
        assert (await client.chat_completion(MESSAGES)).choices[0].message.content == "w"
        chunks = await client.chat_completion(MESSAGES, stream=True)
        assert [chunk.choices[0].delta.content async for chunk in chunks] == ["w"]


# OpenAI's spellings


async def test_openais_spelling_of_a_chat(driver: Driver, server: faults.FaultServer) -> None:
    async with client_at(driver, server) as client:
        out = await client.chat.completions.create(model="m", messages=MESSAGES, max_tokens=5)
        assert out.choices[0].message.content == faults.TEXT
        assert json.loads(server.requests[-1].body)["max_tokens"] == 5
        chunks = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        assert len([chunk async for chunk in chunks]) == 11


async def test_openais_spelling_of_embeddings(driver: Driver, server: faults.FaultServer) -> None:
    async with client_at(driver, server) as client:
        out = await client.embeddings.create(input=["a", "b"], model="m")
        assert [row.embedding for row in out.data] == [[0.25, -0.5, 1.0]] * 2
        assert (out.data[1].index, out.usage.prompt_tokens) == (1, 3)
        packed = await client.embeddings.create(input="a", model="m", encoding_format="base64")
        assert struct.unpack("<3f", base64.b64decode(packed.data[0].embedding)) == (0.25, -0.5, 1.0)


# text generation's four shapes


@pytest.mark.parametrize("path", ["", "/v1"])
async def test_the_four_shapes_of_text_generation(driver: Driver, server: faults.FaultServer, path: str) -> None:
    transport = completions() if path else None
    options: dict[str, Any] = {"transport": transport} if path else {}
    async with driver.client(base_url=server.at("ok") + path, **options) as client:
        text = await client.text_generation("hi", max_new_tokens=10)
        assert text == faults.TEXT
        detailed = await client.text_generation("hi", details=True)
        assert isinstance(detailed, TextGenerationOutput)
        assert detailed.generated_text == faults.TEXT
        assert detailed.details is not None
        assert detailed.details.finish_reason
        pieces = await client.text_generation("hi", stream=True)
        words = [piece async for piece in pieces]
        assert all(isinstance(word, str) for word in words)
        assert "".join(words).removesuffix("</s>") == faults.TEXT
        tokens = await client.text_generation("hi", details=True, stream=True)
        events = [event async for event in tokens]
        assert all(isinstance(event, TextGenerationStreamOutput) for event in events)
        assert events[-1].details is not None
        async with client.text_generation.stream("hi", details=True) as run:
            assert (await run.result()).generated_text == faults.TEXT
        async with client.text_generation.stream("hi") as run:
            assert await run.result() == faults.TEXT


def completions() -> httpx.MockTransport:
    """OpenAI's completions dialect, https://platform.openai.com/docs/api-reference/completions."""

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path.endswith("/v1/completions")
        payload = json.loads(request.content)
        assert "max_new_tokens" not in payload
        if not payload.get("stream"):
            choice = {"index": 0, "text": faults.TEXT, "finish_reason": "stop", "logprobs": None}
            return httpx.Response(200, json={"id": "1", "object": "text_completion", "choices": [choice]})
        words = [f"w{i} " for i in range(10)]
        chunks = [{"choices": [{"index": 0, "text": word, "finish_reason": None}]} for word in words]
        chunks.append({"choices": [{"index": 0, "text": "", "finish_reason": "stop"}]})
        lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
        text = "".join([*lines, "data: [DONE]\n\n"])
        return httpx.Response(200, text=text, headers={"content-type": "text/event-stream"})

    return httpx.MockTransport(answer)


# vectors


@pytest.mark.parametrize("path", ["/pipeline/feature-extraction", "/v1"])
async def test_vectors_are_an_array(driver: Driver, server: faults.FaultServer, path: str) -> None:
    async with driver.client(base_url=server.at("ok") + path) as client:
        one = await client.feature_extraction("text")
        many = await client.feature_extraction(["a", "b", "c"])
    assert many.dtype == numpy.float32
    assert many.shape == (3, 3)
    assert one.reshape(-1).tolist() == [0.25, -0.5, 1.0]
    many[0, 0] = 7  # it is the caller's to change


async def test_vectors_in_base64_are_the_same(driver: Driver, server: faults.FaultServer) -> None:
    async with client_at(driver, server) as client:
        plain = await client.feature_extraction(["a", "b"])
        packed = await client.feature_extraction(["a", "b"], encoding_format="base64")
    assert json.loads(server.requests[-1].body)["encoding_format"] == "base64"
    assert numpy.array_equal(plain, packed)


@pytest.mark.parametrize("text", [[], 7, [7], None, {"a": 1}])
async def test_texts_that_are_none_are_refused(driver: Driver, text: Any) -> None:
    async with driver.client(base_url="http://127.0.0.1:9") as client:
        with pytest.raises(InvalidParameterError, match="text"):
            await client.feature_extraction(text)


# what a task says of itself


@pytest.mark.parametrize("kind", [AsyncInferenceClient, InferenceClient])
def test_a_task_has_a_signature_and_a_documentation(kind: Any) -> None:
    client = kind(base_url="http://127.0.0.1:9")
    for name in ("chat_completion", "text_generation", "feature_extraction"):
        task = getattr(client, name)
        assert task.__name__ == name
        assert task.__doc__
        assert "model" in inspect.signature(task).parameters
        assert repr(task) == f"<{kind.__name__}.{name}>"
        assert getattr(kind, name).__doc__ == task.__doc__
