"""Programs that were written for OpenAI's client: its options, its raw responses, its streams of events."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest.mock import MagicMock, patch

import httpx
import msgspec
import pytest
from support.drivers import Driver, in_thread

from headwater import AsyncInferenceClient, InferenceClient, InvalidParameterError, NotFoundError, UnsupportedModelError

pytestmark = [pytest.mark.anyio, pytest.mark.dealt]

ASKED = [{"role": "user", "content": "Hi"}]
URL = "https://my.example/v1"
KINDS: list[Any] = [AsyncInferenceClient, InferenceClient]
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]


class Person(msgspec.Struct):
    name: str
    age: int | None = None


class Server(httpx.MockTransport):
    """Answers as OpenAI does; a chat is streamed as the test says."""

    def __init__(self, *deltas: dict[str, Any], finish: str = "stop") -> None:
        self.requests: list[httpx.Request] = []
        self._deltas, self._finish = deltas, finish
        super().__init__(self._answer)

    @property
    def sent(self) -> Any:
        return json.loads(self.requests[-1].content)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        path, named = request.url.path, {"x-request-id": "req-1"}
        if "/models" in path:
            return self._models(path.partition("/models")[2].strip("/"), named)
        if path.endswith("/audio/speech"):
            return httpx.Response(200, content=b"RIFF----WAVE", headers={**named, "content-type": "audio/wav"})
        if path.endswith("/images/generations"):
            return httpx.Response(200, json={"data": [{"b64_json": PNG}] * 2}, headers=named)
        if path.endswith("/embeddings"):
            item: dict[str, Any] = {"index": 0, "embedding": [1.0]}
            return httpx.Response(200, json={"data": [item], "model": "m"}, headers=named)
        if not self.sent.get("stream"):
            message = {"role": "assistant", "content": "Hello", **(self._deltas[0] if self._deltas else {})}
            choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": self._finish}
            return httpx.Response(200, json={"id": "c-1", "choices": [choice]}, headers=named)
        choices: list[Any] = [{"index": 0, "delta": delta, "finish_reason": None} for delta in self._deltas]
        choices += [{"index": 0, "delta": {}, "finish_reason": self._finish}]
        events = [{"id": "c-1", "model": "m", "choices": [choice]} for choice in choices]
        text = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
        return httpx.Response(200, content=text.encode(), headers={**named, "content-type": "text/event-stream"})

    def _models(self, model: str, named: dict[str, str]) -> httpx.Response:
        if model == "none":
            return httpx.Response(404, json={"error": {"message": "none such", "code": "model_not_found"}})
        listed = [{"id": "a", "owned_by": "me"}, {"id": "org/b"}]
        said: Any = {"id": model, "owned_by": "me"} if model else {"data": listed}
        return httpx.Response(200, json=said, headers=named)


def client_of(driver: Driver, server: Server, **settings: Any) -> Any:
    made = driver.client(transport=server, retries=0, **{"base_url": URL, **settings})
    return made.client if driver.blocking else made


async def ask(driver: Driver, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if driver.blocking:
        return await in_thread(function, *args, **kwargs)
    return await function(*args, **kwargs)


async def events_of(driver: Driver, server: Server, **parameters: Any) -> tuple[list[Any], Any]:
    """All events of a chat's stream, and the whole answer."""
    client = client_of(driver, server)

    def blocking() -> tuple[list[Any], Any]:
        with client.chat.completions.stream(messages=ASKED, model="m", **parameters) as stream:
            return list(stream), stream.get_final_completion()

    if driver.blocking:
        found: tuple[list[Any], Any] = await in_thread(blocking)
        return found
    async with client.chat.completions.stream(messages=ASKED, model="m", **parameters) as stream:
        return [event async for event in stream], await stream.get_final_completion()


async def test_a_chat_is_a_stream_of_events(driver: Driver) -> None:
    events, whole = await events_of(driver, Server({"content": ""}, {"content": "Hel"}, {"content": "lo"}))
    assert [event.type for event in events] == [*["chunk", "content.delta"] * 3, "chunk", "content.done"]
    assert [(e.delta, e.snapshot) for e in events if e.type == "content.delta"] == [
        ("", ""),
        ("Hel", "Hel"),
        ("lo", "Hello"),
    ]
    assert events[-1].content == whole.choices[0].message.content == "Hello"
    assert events[-2].snapshot.choices[0].message.content == "Hello" and events[0].chunk.id == "c-1"


async def test_a_streams_calls_of_tools_are_told_as_they_come(driver: Driver) -> None:
    def piece(index: int, **function: Any) -> dict[str, Any]:
        return {"tool_calls": [{"index": index, "id": f"call-{index}", "function": function}]}

    pieces = [
        *(piece(0, name="weather", arguments=""), piece(0, arguments='{"a":'), piece(0, arguments=" 1}")),
        piece(1, name="clock", arguments="{broken"),
    ]
    events, whole = await events_of(driver, Server(*pieces, finish="tool_calls"), tools=TOOLS)
    told = [(e.type.rpartition(".")[2], e.name, e.index, e.arguments) for e in events if "arguments" in e.type]
    assert told == [
        ("delta", "weather", 0, ""), ("delta", "weather", 0, '{"a":'), ("delta", "weather", 0, '{"a": 1}'),
        ("done", "weather", 0, '{"a": 1}'), ("delta", "clock", 1, "{broken"), ("done", "clock", 1, "{broken"),
    ]  # fmt: skip
    assert [e.parsed_arguments for e in events if e.type.endswith("arguments.done")] == [{"a": 1}, None]
    assert [call.function.name for call in whole.choices[0].message.tool_calls] == ["weather", "clock"]


async def test_a_streams_calls_are_told_apart_as_in_its_answer(driver: Driver) -> None:
    """At one index without ids, in a name's pieces, and one that is told twice."""

    def piece(index: int | None, id_: str = "", **function: Any) -> dict[str, Any]:
        return {"tool_calls": [{"index": index, "id": id_, "function": function}]}

    oslo, rome = '{"city": "Oslo"}', '{"city": "Rome"}'
    for pieces, calls in (
        ([piece(0, name="w", arguments=oslo), piece(0, name="w", arguments=rome)], [("w", oslo), ("w", rome)]),
        ([piece(0, "a", name="wea"), piece(0, "a", name="ther"), piece(0, "a", arguments=oslo)], [("weather", oslo)]),
        ([piece(0, "a", name="w", arguments=oslo), piece(0, "a", name="w", arguments=oslo)], [("w", oslo)]),
        ([piece(None, "a", name="w"), piece(None, "b", name="v"), piece(None, "b", arguments=rome),
          piece(None, "a", arguments=oslo)], [("w", oslo), ("v", rome)]),
    ):  # fmt: skip
        events, whole = await events_of(driver, Server(*pieces, finish="tool_calls"), tools=TOOLS)
        told = {e.index: (e.name, e.arguments) for e in events if e.type.endswith("arguments.done")}
        assert [told[number] for number in sorted(told)] == calls, pieces
        answer = whole.choices[0].message.tool_calls
        assert [(call.function.name, call.function.arguments) for call in answer] == calls
        said = [e.arguments_delta for e in events if e.type.endswith("arguments.delta")]
        assert sorted("".join(said)) == sorted("".join(arguments for _, arguments in calls))


async def test_a_streams_refusal_and_probabilities_are_told(driver: Driver) -> None:
    events, _ = await events_of(driver, Server({"refusal": "I "}, {"refusal": "won't"}))
    assert [(e.type, e.delta, e.refusal) for e in events if "refusal" in e.type] == [
        ("refusal.delta", "I ", None), ("refusal.delta", "won't", None), ("refusal.done", None, "I won't"),
    ]  # fmt: skip


async def test_a_streams_text_is_a_value_of_its_type(driver: Driver) -> None:
    server = Server({"content": '{"name": "An'}, {"content": 'n", "age": 3}'})
    events, whole = await events_of(driver, server, response_format=Person)
    assert [e.parsed for e in events if e.type == "content.delta"] == [Person("An"), Person("Ann", 3)]
    assert events[-1].parsed == whole.choices[0].message.parsed == Person("Ann", 3)


async def test_a_stream_may_be_left_or_read_by_its_end_alone(driver: Driver) -> None:
    client = client_of(driver, Server({"content": "Hello"}))
    for _ in range(2):
        stream = client.chat.completions.stream(messages=ASKED, model="m")
        await ask(driver, stream.until_done)
        assert stream.current_completion_snapshot.choices[0].finish_reason == "stop"
        assert stream.headers["x-request-id"] == stream.request_id == "req-1"
        await ask(driver, stream.close)
    stream = client.beta.chat.completions.stream(messages=ASKED, model="m")
    await ask(driver, stream.close)
    run = client.chat_completion.stream(ASKED)
    assert await ask(driver, run.get_final_response) is await ask(driver, run.get_final_message)


# -- raw responses


RAW: dict[str, tuple[Callable[[Any], Any], dict[str, Any], Callable[[Any], Any]]] = {
    "chat": (lambda c: c.chat.completions, {"messages": ASKED}, lambda r: r.choices[0].message.content == "Hello"),
    "embeddings": (lambda c: c.embeddings, {"input": "x"}, lambda r: list(r.data[0].embedding) == [1.0]),
    "speech": (lambda c: c.audio.speech, {"input": "x"}, lambda r: r.content == b"RIFF----WAVE"),
}


@pytest.mark.parametrize("name", RAW)
async def test_a_raw_response_has_the_headers_and_the_result(driver: Driver, name: str) -> None:
    where, given, is_right = RAW[name]
    client = client_of(driver, Server())
    for raw in (where(client).with_raw_response, where(client.with_raw_response)):
        response = await ask(driver, raw.create, model="m", **given)
        assert (response.headers.get("X-Request-ID"), response.request_id) == ("req-1", "req-1")
        assert (response.status_code, response.retries_taken) == (200, 0) and response.elapsed.total_seconds() >= 0
        assert is_right(response.parse()) and response.text.encode() == response.content
        assert response.http_response.headers is response.headers


async def test_other_methods_have_raw_responses_too(driver: Driver) -> None:
    client = client_of(driver, Server({"content": "Hello"}))
    listed = await ask(driver, client.models.with_raw_response.list)
    assert (listed.headers["x-request-id"], [model.id for model in listed.parse()]) == ("req-1", ["a", "org/b"])
    images = await ask(driver, client.images.with_raw_response.generate, model="m", prompt="x", n=2)
    assert (images.headers["x-request-id"], len(images.parse().data)) == ("req-1", 2)
    streamed = await ask(
        driver, client.chat.completions.with_raw_response.create, messages=ASKED, model="m", stream=True
    )
    assert streamed.headers["x-request-id"] == "req-1"
    with pytest.raises(InvalidParameterError, match="parse"):
        _ = streamed.content
    run = streamed.parse()
    chunks = await in_thread(list, run) if driver.blocking else [chunk async for chunk in run]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello"
    with pytest.raises(AttributeError):
        _ = client.chat.completions.with_raw_response.nothing


async def test_a_streaming_response_is_read_in_its_block(driver: Driver, tmp_path: Any) -> None:
    client, path = client_of(driver, Server()), tmp_path / "said.wav"

    def blocking() -> list[Any]:
        with client.audio.speech.with_streaming_response.create(model="m", input="x", voice="v") as response:
            response.stream_to_file(path)
            pieces = list(response.iter_bytes(4))
        with client.chat.completions.with_streaming_response.create(model="m", messages=ASKED) as response:
            assert "".join(response.iter_lines()) == "".join(response.iter_text(3)) == response.text()
            return [*pieces, response.json()["id"], response.parse().id, response.headers["x-request-id"]]

    async def awaited() -> list[Any]:
        async with client.audio.speech.with_streaming_response.create(model="m", input="x", voice="v") as response:
            await response.stream_to_file(path)
            pieces = [piece async for piece in response.iter_bytes(4)]
        async with client.chat.completions.with_streaming_response.create(model="m", messages=ASKED) as response:
            lines = [line async for line in response.iter_lines()]
            assert "".join(lines) == "".join([text async for text in response.iter_text(3)]) == await response.text()
            whole = await response.json()
            return [*pieces, whole["id"], (await response.parse()).id, response.headers["x-request-id"]]

    found = await (in_thread(blocking) if driver.blocking else awaited())
    assert found == [b"RIFF", b"----", b"WAVE", "c-1", "c-1", "req-1"]
    assert path.read_bytes() == b"RIFF----WAVE"


# -- models, functions, options


async def test_a_model_is_retrieved(driver: Driver) -> None:
    server = Server()
    client = client_of(driver, server)
    assert (await ask(driver, client.models.retrieve, "org/b")).owned_by == "me"
    assert server.requests[-1].url.raw_path == b"/v1/models/org%2Fb"
    with pytest.raises(NotFoundError, match="none such"):
        await ask(driver, client.models.retrieve, "none")
    with pytest.raises(InvalidParameterError, match="model"):
        await ask(driver, client.models.retrieve, "")
    routed = client_of(driver, server, base_url=None, provider="groq", token="hf_abcdefgh12345678")
    assert (await ask(driver, routed.models.retrieve, "org/b")).id == "org/b"
    with pytest.raises(UnsupportedModelError, match="'c'"):
        await ask(driver, routed.models.retrieve, "c")


async def test_functions_are_what_tools_were(driver: Driver) -> None:
    called = {"content": None, "function_call": {"name": "f", "arguments": "{}"}}
    server = Server(called, finish="function_call")
    client = client_of(driver, server)
    function = {"name": "f", "parameters": {"type": "object"}}
    given = {"messages": ASKED, "model": "m", "functions": [function], "function_call": {"name": "f"}}
    answer = await ask(driver, client.chat.completions.create, **given)
    assert (server.sent["functions"], server.sent["function_call"]) == ([function], {"name": "f"})
    assert answer.choices[0].message.function_call.name == "f"
    run = await ask(driver, client.chat.completions.create, **given, stream=True)
    chunks = await in_thread(list, run) if driver.blocking else [chunk async for chunk in run]
    assert [getattr(chunk.choices[0].delta.function_call, "arguments", None) for chunk in chunks] == ["{}", None]
    wrong: dict[str, Any]
    for wrong in ({"functions": [1]}, {"functions": {}}, {"function_call": 1}):
        with pytest.raises(InvalidParameterError, match=next(iter(wrong))):
            await ask(driver, client.chat_completion, ASKED, **wrong)


async def test_openais_options_go_with_every_request(driver: Driver) -> None:
    server = Server()
    client = client_of(
        driver, server, organization="org-1", project="p-1", default_query={"v": 1}, default_headers={"x-a": "1"}
    )
    await ask(driver, client.chat_completion, ASKED, model="m", extra_query={"w": "2"})
    sent = server.requests[-1]
    assert (sent.headers["openai-organization"], sent.headers["openai-project"]) == ("org-1", "p-1")
    assert str(sent.url) == f"{URL}/chat/completions?v=1&w=2"
    assert (client.organization, client.project, dict(client.default_query)) == ("org-1", "p-1", {"v": "1"})
    for changes, organization, query, named in (
        ({"organization": "org-2"}, "org-2", "v=1", "1"),
        ({"default_query": {"w": True}}, "org-1", "v=1&w=true", "1"),
        ({"set_default_query": {"w": 3}}, "org-1", "w=3", "1"),
        ({"set_default_headers": {"x-b": "2"}}, "org-1", "v=1", None),
        ({"headers": {"OpenAI-Organization": "org-3"}}, "org-3", "v=1", None),
    ):
        await ask(driver, client.with_options(**changes).chat_completion, ASKED, model="m")
        sent = server.requests[-1]
        found = sent.headers["openai-organization"], sent.url.query.decode(), sent.headers.get("x-a")
        assert found == (organization, query, named), changes
    client.query = {"w": "1"}
    await ask(driver, client.models.list)
    assert server.requests[-1].url.query == b"w=1"
    await ask(driver, client.chat_completion, ASKED, model="m", extra_query={"w": "2"})
    assert server.requests[-1].url.query == b"w=2"


def test_what_cannot_be_an_option_says_what_to_use() -> None:
    for kind in KINDS:
        for make in (partial(kind, base_url=URL), kind(base_url=URL).with_options):
            with pytest.raises(InvalidParameterError, match="transport="):
                make(http_client=httpx.Client(transport=Server()))
            with pytest.raises(InvalidParameterError, match="query must be"):
                make(default_query={"a": ["b"]})
        with pytest.raises(TypeError, match="query cannot be pickled"):
            pickle.dumps(kind(base_url=URL, query={"api_key": "0123456789abcdef0123"}))
        other = pickle.loads(pickle.dumps(kind(base_url=URL, query={"v": "1"}, organization="o")))
        assert (dict(other.query), other.organization) == ({"v": "1"}, "o")


def test_what_is_not_here_says_what_is() -> None:
    for kind in KINDS:
        client = kind(base_url=URL)
        for name, here in (("files", "post"), ("batches", "headwater.batch"), ("get", "retrieve")):
            assert not hasattr(client, name)
            with pytest.raises(AttributeError, match=here):
                getattr(client, name)
        with pytest.raises(AttributeError, match=r"'nothing'\Z"):
            _ = client.nothing


async def test_a_client_knows_that_it_was_closed(driver: Driver) -> None:
    client = client_of(driver, Server())
    assert client.is_closed() is False
    await ask(driver, client.close)
    assert client.is_closed() is True and client.with_options(timeout=3).is_closed() is False


# -- what a program puts into a client stays there


def test_a_namespace_is_one_object_of_its_client() -> None:
    for kind in KINDS:
        client = kind(base_url=URL)
        for namespace in ("chat", "images", "audio", "completions", "models", "responses", "messages", "embeddings"):
            assert getattr(client, namespace) is getattr(client, namespace)
            assert getattr(copy.copy(client), namespace) is not getattr(client, namespace)
        with patch.object(client.chat.completions, "create", new=lambda: 1):
            assert client.chat.completions.create() == 1
        with patch.object(client.audio.speech, "create", new=lambda: 2):
            assert client.audio.speech.create() == 2
        with patch.object(client, "chat_completion", new=lambda: 3):
            assert client.chat.completions.create() == 3
        assert client.chat.completions.create.declaration is client.chat_completion.declaration
        client.chat = MagicMock(**{"completions.create.return_value": 4})
        assert client.chat.completions.create() == 4
        del client.chat
        assert client.chat.completions.create.declaration is client.chat_completion.declaration
        with pytest.raises(AttributeError):
            del client.chat
