"""What the clients have beside tasks: post, the Hub's facts, OpenAI's spellings, the bridge for old programs."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.drivers import Driver, in_thread

import headwater
from headwater import AsyncInferenceClient, InferenceApi, InferenceClient, InputPolicy
from headwater.client.core import ClientCore, core_of
from headwater.client.task_table import Tasks
from headwater.errors import (
    DecodeError,
    InvalidParameterError,
    MissingModelError,
    NotFoundError,
    UnexpectedContentError,
)
from headwater.tasks.declaration import Declaration

pytestmark = [pytest.mark.anyio, pytest.mark.dealt]

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


class Script(httpx.MockTransport):
    """Answers each request by what the test says, and keeps them."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response] | httpx.Response) -> None:
        self.requests: list[httpx.Request] = []

        def handle(request: httpx.Request) -> httpx.Response:
            self.requests.append(request)
            if not callable(answer):
                return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
            return answer(request)

        super().__init__(handle)

    @property
    def asked(self) -> list[str]:
        return [f"{request.method} {request.url}" for request in self.requests]


async def ask(driver: Driver, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a method of either client, and wait for it."""
    if driver.blocking:
        return await in_thread(function, *args, **kwargs)
    return await function(*args, **kwargs)


def client_of(driver: Driver, script: Script, **settings: Any) -> Any:
    made = driver.client(transport=script, retries=0, **settings)
    return made.client if driver.blocking else made


# -- post


async def test_post_gives_the_answer_as_it_is(driver: Driver) -> None:
    script = Script(httpx.Response(200, json=[{"score": 1}], headers={"x-request-id": "7"}))
    client = client_of(driver, script, token="hf_abcdefgh12345678")
    response = await ask(driver, client.post, json={"inputs": "[MASK]"}, model="org/m")
    assert (response.status, response.json(), response.headers["x-request-id"]) == (200, [{"score": 1}], "7")
    assert response.content == response.text.encode() == b'[{"score":1}]'
    assert list(response.iter_bytes()) == [response.content]
    assert script.asked == ["POST https://router.huggingface.co/hf-inference/models/org/m"]
    sent = script.requests[0]
    assert json.loads(sent.content) == {"inputs": "[MASK]"}
    assert sent.headers["content-type"] == "application/json"
    assert sent.headers["authorization"] == "Bearer hf_abcdefgh12345678"


@pytest.mark.parametrize(
    ("settings", "model", "task", "url"),
    [
        ({}, "org/m", "feature-extraction", "https://router.huggingface.co/hf-inference/models/org/m/pipeline/feature-extraction"),
        ({}, "https://my.example/x?y=1", None, "https://my.example/x?y=1"),
        ({"base_url": "https://my.example/generate"}, None, None, "https://my.example/generate"),
        ({"provider": "together", "token": "sk-of-together"}, "/v1/rerank", None, "https://api.together.xyz/v1/rerank"),
        ({"provider": "together", "token": "hf_abcdefgh12345678"}, "/v1/rerank", None,
         "https://router.huggingface.co/together/v1/rerank"),
    ],
)  # fmt: skip
async def test_where_post_goes(settings: dict[str, Any], model: str | None, task: str | None, url: str) -> None:
    script = Script(httpx.Response(200, content=b"x"))
    client = AsyncInferenceClient(transport=script, **settings)
    await client.post(json={}, model=model, task=task)
    assert script.asked == [f"POST {url}"]


async def test_post_asks_the_recommended_model_of_a_task() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        tasks = {"fill-mask": {"widgetModels": ["org/masked"]}}
        return httpx.Response(200, json=tasks if request.method == "GET" else [])

    script = Script(answer)
    await AsyncInferenceClient(transport=script).post(json={"inputs": "x"}, task="fill-mask")
    assert script.asked[1].endswith("/models/org/masked")


async def test_post_sends_data_with_its_type(tmp_path: Path) -> None:
    (tmp_path / "talk.flac").write_bytes(b"fLaC" + bytes(2 * 1024 * 1024))
    script = Script(httpx.Response(200, content=b"x"))
    client = AsyncInferenceClient(base_url="https://my.example/asr", transport=script)
    for data in (PNG, tmp_path / "talk.flac"):
        await client.post(data=data)
    first, second = script.requests
    assert (first.content, first.headers["content-type"]) == (PNG, "image/png")
    assert second.headers["content-type"] == "audio/flac"
    assert second.headers["content-length"] == str(4 + 2 * 1024 * 1024)
    assert await second.aread() == (tmp_path / "talk.flac").read_bytes()


async def test_post_hands_a_stream_over(driver: Driver) -> None:
    body = b"id: 1\nevent: token\ndata: a\n\ndata: b\n\n"
    script = Script(httpx.Response(200, content=body, headers={"content-type": "text/event-stream"}))
    client = client_of(driver, script, base_url="https://my.example/x")
    response = await ask(driver, client.post, json={}, stream=True)
    assert (response.status, response.headers["content-type"]) == (200, "text/event-stream")
    if driver.blocking:
        events = await in_thread(lambda: list(response.iter_events()))
    else:
        events = [event async for event in response.iter_events()]
    assert [(event.event, event.data, event.id) for event in events] == [("token", "a", "1"), ("message", "b", "1")]
    response = await ask(driver, client.post, json={}, stream=True)
    assert await ask(driver, response.read) == body
    response = await ask(driver, client.post, json={}, stream=True)
    await ask(driver, response.close)


@pytest.mark.parametrize("content_type", ["application/json", "text/html", "text/plain", ""])
async def test_post_streams_whatever_comes(driver: Driver, content_type: str) -> None:
    client = client_of(
        driver,
        Script(
            httpx.Response(200, content=b'{"a": 1}', headers={"content-type": content_type} if content_type else {})
        ),
        base_url="https://my.example/x",
    )
    response = await ask(driver, client.post, json={}, stream=True)
    assert await ask(driver, response.read) == b'{"a": 1}'


async def test_post_raises_what_is_wrong(driver: Driver) -> None:
    client = client_of(driver, Script(httpx.Response(404, json={"error": "no such model"})))
    with pytest.raises(NotFoundError, match="no such model"):
        await ask(driver, client.post, json={}, model="org/m")
    with pytest.raises(InvalidParameterError, match="one of them"):
        await ask(driver, client.post, model="org/m")
    with pytest.raises(InvalidParameterError, match="one of them"):
        await ask(driver, client.post, json={}, data=b"x", model="org/m")
    with pytest.raises(InvalidParameterError, match="cannot be sent as JSON"):
        await ask(driver, client.post, json={"x": object()}, model="org/m")
    with pytest.raises(MissingModelError):
        await ask(driver, client.post, json={})
    other = client_of(driver, Script(httpx.Response(200)), provider="together", token="sk-of-together")
    with pytest.raises(InvalidParameterError, match="path"):
        await ask(driver, other.post, json={}, model="org/m")


def test_a_response_that_is_no_json_says_so() -> None:
    response = headwater.Response(status=200, headers={"content-type": "text/plain; charset=latin-1"}, content=b"\xe9")
    assert response.text == "é"
    with pytest.raises(DecodeError):
        response.json()


# -- facts


async def test_what_the_hub_says_of_a_model(driver: Driver) -> None:
    mapping = {"together": {"status": "live", "providerId": "x"}, "groq": {"status": "staging", "providerId": "y"}}
    card = {"id": "org/m", "library_name": "transformers", "inferenceProviderMapping": mapping}
    script = Script(httpx.Response(200, json=card))
    client = client_of(driver, script, provider="together", token="sk-of-together")
    status = await ask(driver, client.get_model_status, "org/m")
    assert (status.loaded, status.state, status.framework, status.providers) == (
        True, "Loaded", "transformers", ["together"],
    )  # fmt: skip
    assert script.requests[0].url.path == "/api/models/org/m"
    assert "authorization" not in script.requests[0].headers
    with pytest.raises(InvalidParameterError):
        await ask(driver, client.get_model_status, "https://my.example")


async def test_deployed_models_are_listed_by_task_and_page(driver: Driver) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if "cursor" in request.url.params:
            return httpx.Response(200, json=[{"id": "org/c", "pipeline_tag": "fill-mask"}, {"id": "org/d"}])
        link = '<https://huggingface.co/api/models?cursor=2>; rel="next"'
        models = [{"id": "org/b", "pipeline_tag": "fill-mask"}, {"id": "org/a", "pipeline_tag": "text-to-image"}]
        return httpx.Response(200, json=models, headers={"link": link})

    script = Script(answer)
    client = client_of(driver, script)
    found = await ask(driver, client.list_deployed_models, "transformers", task="fill-mask")
    assert found == {"fill-mask": ["org/b", "org/c"], "text-to-image": ["org/a"]}
    first = script.requests[0].url.params
    assert (first["inference"], first["filter"], first["pipeline_tag"]) == ("warm", "transformers", "fill-mask")


async def test_a_page_elsewhere_is_not_asked() -> None:
    link = '<https://evil.example/api/models?cursor=2>; rel="next"'
    script = Script(httpx.Response(200, json=[], headers={"link": link}))
    assert await AsyncInferenceClient(transport=script).list_deployed_models() == {}
    assert len(script.requests) == 1


async def test_the_recommended_model_of_a_task(driver: Driver) -> None:
    client = client_of(driver, Script(httpx.Response(200, json={"fill-mask": {"widgetModels": ["org/masked"]}})))
    assert await ask(driver, client.get_recommended_model, "fill-mask") == "org/masked"
    with pytest.raises(MissingModelError):
        await ask(driver, client.get_recommended_model, "no-such-task")


async def test_a_servers_health_and_info(driver: Driver) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/info":
            return httpx.Response(200, json={"model_id": "org/m"})
        return httpx.Response(200 if request.url.host == "well.example" else 503)

    script = Script(answer)
    client = client_of(driver, script, base_url="https://well.example/v1/chat/completions")
    assert await ask(driver, client.get_endpoint_info) == {"model_id": "org/m"}
    assert await ask(driver, client.health_check) is True
    assert await ask(driver, client_of(driver, script).health_check, "https://ill.example/v1") is False
    assert script.asked == [
        "GET https://well.example/info", "GET https://well.example/health", "GET https://ill.example/health",
    ]  # fmt: skip
    with pytest.raises(InvalidParameterError, match="URL"):
        await ask(driver, client_of(driver, script).health_check, "org/m")


# -- OpenAI's spellings


async def test_models_are_listed(driver: Driver) -> None:
    routed = {"data": [{"id": "a", "providers": [{"provider": "groq"}]}, {"id": "b", "providers": [{"provider": "x"}]}]}
    script = Script(httpx.Response(200, json=routed))
    for settings, url, names in (
        ({"base_url": "https://my.example"}, "https://my.example/v1/models", ["a", "b"]),
        ({"provider": "groq", "token": "gsk_12345678"}, "https://api.groq.com/openai/v1/models", ["a", "b"]),
        ({"provider": "groq", "token": "hf_12345678"}, "https://router.huggingface.co/v1/models", ["a"]),
        ({}, "https://router.huggingface.co/v1/models", []),
    ):
        client = client_of(driver, script, **settings)
        found = await ask(driver, client.models.list)
        assert [model.id for model in found] == names
        assert script.asked[-1] == f"GET {url}"


async def test_completions_are_text_generation(driver: Driver) -> None:
    used = {"completion_tokens": 1, "prompt_tokens": 2, "total_tokens": 3}

    def answer(request: httpx.Request) -> httpx.Response:
        sent = json.loads(request.content)
        choice = {"text": "4", "index": 0, "finish_reason": "stop"}
        frame = {"id": "cmpl-1", "created": 7, "model": "m-1", "system_fingerprint": "fp", "usage": used}
        if not sent["stream"]:
            return httpx.Response(200, json={**frame, "choices": [{**choice, "logprobs": {"tokens": ["4"]}}]})
        events = f"data: {json.dumps({**frame, 'choices': [choice]})}\n\ndata: [DONE]\n\n"
        return httpx.Response(200, content=events.encode(), headers={"content-type": "text/event-stream"})

    script = Script(answer)
    client = client_of(driver, script, base_url="https://my.example/v1")
    create = client.completions.create
    whole = await ask(driver, create, prompt="2+2", model="m", max_tokens=3, stop="\n", presence_penalty=0.5)
    assert (whole.choices[0].text, whole.choices[0].finish_reason) == ("4", "stop")
    assert (whole.id, whole.created, whole.model, whole.usage.to_dict()) == ("cmpl-1", 7, "m-1", used)
    assert (whole.choices[0].logprobs, whole["system_fingerprint"]) == ({"tokens": ["4"]}, "fp")
    sent = json.loads(script.requests[0].content)
    assert (sent["max_tokens"], sent["stop"], sent["presence_penalty"]) == (3, ["\n"], 0.5)
    assert script.asked[0] == "POST https://my.example/v1/completions"
    run = await ask(driver, create, prompt="2+2", model="m", stream=True)
    chunks = await in_thread(list, run) if driver.blocking else [chunk async for chunk in run]
    assert "".join(chunk.choices[0].text for chunk in chunks) == "4"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert (chunks[-1].id, chunks[-1].model, chunks[-1].usage.to_dict()) == ("cmpl-1", "m-1", used)
    with pytest.raises(InvalidParameterError, match="n must be 1"):
        await ask(driver, create, prompt="2+2", n=2)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """The tasks that were asked, in place of asking them."""
    calls: list[tuple[str, dict[str, Any]]] = []

    async def record(self: Any, declaration: Declaration[Any, Any, Any], args: Any, kwargs: Any) -> Any:
        calls.append((declaration.method, declaration.bind(args, kwargs)))
        return headwater.Media(b"x", "audio/wav")

    monkeypatch.setattr(ClientCore, "call", record)
    return calls


async def test_sounds_are_tasks(driver: Driver, asked: list[tuple[str, dict[str, Any]]]) -> None:
    client = client_of(driver, Script(httpx.Response(500)))
    sound = await ask(driver, client.audio.speech.create, input="hi", model="org/m", voice="alloy", speed=1.5)
    assert sound.mime_type == "audio/wav"
    create = client.audio.transcriptions.create
    await ask(driver, create, file=PNG, model="org/m", language="en", timestamp_granularities=["word"])
    assert asked == [
        ("text_to_speech", {"text": "hi", "model": "org/m", "extra_body": {"voice": "alloy", "speed": 1.5}}),
        (
            "automatic_speech_recognition",
            {"audio": PNG, "model": "org/m", "return_timestamps": "word", "extra_body": {"language": "en"}},
        ),
    ]
    for n in (0, -1, True, 1.5, "2"):
        with pytest.raises(InvalidParameterError, match="n must be a whole number, 1 or more"):
            await ask(driver, client.images.generate, prompt="waves", n=n)
    with pytest.raises(InvalidParameterError, match="size"):
        await ask(driver, client.images.generate, prompt="waves", size="large")


# -- the bridge


def bridge(response: httpx.Response, **settings: Any) -> tuple[InferenceApi, Script]:
    script = Script(response)
    with pytest.warns(DeprecationWarning, match="InferenceClient"):
        return InferenceApi("org/m", transport=script, **settings), script


def test_old_programs_get_json_images_and_responses() -> None:
    api, script = bridge(httpx.Response(200, json=[{"score": 1}]), task="feature-extraction", token="hf_12345678")
    assert api("words", {"top_k": 1}) == [{"score": 1}]
    assert json.loads(script.requests[0].content) == {"inputs": "words", "parameters": {"top_k": 1}}
    assert script.requests[0].url.path == "/hf-inference/models/org/m/pipeline/feature-extraction"
    assert api(data=PNG, raw_response=True).json() == [{"score": 1}]
    assert script.requests[1].content == PNG
    assert "hf_12345678" not in repr(api)
    api, _ = bridge(httpx.Response(200, content=b"words", headers={"content-type": "text/plain"}))
    with pytest.raises(UnexpectedContentError, match="raw_response"):
        api("words")


# -- what there is


def test_every_declared_task_is_a_row() -> None:
    import importlib
    import pkgutil

    import headwater.tasks

    declared = {
        value.method: value
        for found in pkgutil.iter_modules(headwater.tasks.__path__)
        for value in vars(importlib.import_module(f"headwater.tasks.{found.name}")).values()
        if isinstance(value, Declaration)
    }
    rows = {name: row.declaration for name, row in vars(Tasks).items() if hasattr(row, "declaration")}
    assert rows == declared


def test_public_names_are_there_and_are_declared_to_type_checkers() -> None:
    declared: dict[str, str] = {}
    for node in ast.walk(ast.parse(inspect.getsource(headwater))):
        if isinstance(node, ast.If):
            for line in node.body:
                if isinstance(line, ast.ImportFrom):
                    declared |= {alias.name: line.module or "" for alias in line.names if alias.asname == alias.name}
    assert {"__version__", *declared} == set(headwater.__all__)
    assert all(getattr(headwater, name) is not None for name in headwater.__all__)


def test_the_policy_must_be_one() -> None:
    with pytest.raises(InvalidParameterError, match="input_policy"):
        InferenceClient(input_policy="untrusted")  # type: ignore[arg-type]
    client = InferenceClient(input_policy=InputPolicy.untrusted).with_options(timeout=3)
    assert core_of(client).engine.policy is InputPolicy.untrusted
