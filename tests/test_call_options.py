"""What every call takes beside its task's parameters, in every spelling; and how methods look to those who ask.

Requests are caught by a transport of httpx's, which refuses them all: what was asked is what counts here.
"""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import AsyncMock, create_autospec

import anyio
import httpx
import pytest
from support.drivers import Driver, in_thread
from support.provider_task_pairs import ARGUMENTS

from headwater import (
    AsyncInferenceClient,
    AuthenticationError,
    HeadwaterError,
    InferenceClient,
    InferenceTimeoutError,
    InvalidCredentialError,
    InvalidParameterError,
    Timeout,
)
from headwater.batch.request_line import tasks_by_name

pytestmark = [pytest.mark.anyio, pytest.mark.dealt]

SERVER = "http://127.0.0.1:1/v1"
KEY = "sk-own-key-000000000000000"
MESSAGES = [{"role": "user", "content": "Hi"}]
METHODS = {task: tasks_by_name()[task].method for task in ARGUMENTS}
MODELS = {"object": "list", "data": [{"id": "a"}, {"id": "b"}]}
KINDS: list[Any] = [AsyncInferenceClient, InferenceClient]


class NotGiven:
    """As OpenAI's client has it."""

    def __bool__(self) -> bool:
        return False


class Caught(httpx.MockTransport):
    """Refuses every request but for models, and keeps it; `hangs`: never answers."""

    def __init__(self, hangs: bool = False) -> None:
        self.requests: list[httpx.Request] = []
        self._hangs = hangs
        super().__init__(self._answer)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self._hangs:
            await anyio.sleep_forever()
        if request.url.path.endswith("/models"):
            return httpx.Response(200, json=MODELS)
        return httpx.Response(401, json={"detail": "no"})


def client_of(driver: Driver, **arguments: Any) -> Any:
    kind = InferenceClient if driver.blocking else AsyncInferenceClient
    return kind(**{"base_url": SERVER, "api_key": KEY, "retries": 0, **arguments})


async def do(driver: Driver, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if driver.blocking:
        return await in_thread(function, *args, **kwargs)
    result = function(*args, **kwargs)
    return await result if isinstance(result, Awaitable) else result


async def drained(driver: Driver, run: Any) -> Any:
    return await in_thread(run.result) if driver.blocking else await run.result()


async def mapped(driver: Driver, client: Any, call: Any, **parameters: Any) -> Any:
    def blocking() -> Any:
        with client.map(call, [MESSAGES], parameters=parameters) as results:
            return next(results)

    if driver.blocking:
        result = await in_thread(blocking)
    else:
        async with client.map(call, [MESSAGES], parameters=parameters) as results:
            result = await anext(results)
    raise result.error


Spelling = Callable[[Driver, Any, dict[str, Any]], Awaitable[Any]]
SPELLINGS: dict[str, Spelling] = {
    "chat": lambda d, c, o: do(d, c.chat.completions.create, messages=MESSAGES, model="m", **o),
    "streamed chat": lambda d, c, o: do(d, c.chat_completion, MESSAGES, stream=True, **o),
    "embeddings": lambda d, c, o: do(d, c.embeddings.create, input="a", **o),
    "images": lambda d, c, o: do(d, c.images.generate, prompt="a cat", **o),
    "speech": lambda d, c, o: do(d, c.audio.speech.create, input="hello", voice="v", **o),
    "transcriptions": lambda d, c, o: do(
        d, c.audio.transcriptions.create, file=ARGUMENTS["audio-to-audio"]["audio"], **o
    ),
    "completions": lambda d, c, o: do(d, c.completions.create, prompt="once", **o),
    "streamed completions": lambda d, c, o: do(d, c.completions.create, prompt="once", stream=True, **o),
    "post": lambda d, c, o: do(d, c.post, json={"a": 1}, **o),
    "streamed post": lambda d, c, o: do(d, c.post, json={"a": 1}, stream=True, **o),
    "map": lambda d, c, o: mapped(d, c, c.chat_completion, **o),
    "map of streams": lambda d, c, o: mapped(d, c, c.chat_completion.stream, **o),
    "endpoint info": lambda d, c, o: do(d, c.get_endpoint_info, **o),
}


def spelled(method: str, task: str, *, stream: bool) -> Spelling:
    async def call(driver: Driver, client: Any, options: dict[str, Any]) -> Any:
        bound = getattr(client, method)
        if stream:
            return await drained(driver, bound.stream(**ARGUMENTS[task], **options))
        return await do(driver, bound, **ARGUMENTS[task], **options)

    return call


ALL: dict[str, Spelling] = {
    **{task: spelled(method, task, stream=False) for task, method in METHODS.items()},
    **{f"{task} as a run": spelled(method, task, stream=True) for task, method in METHODS.items()},
    **SPELLINGS,
}
SOME = [*SPELLINGS, "fill-mask", "text-to-image", "text-to-video as a run", "chat-completion as a run"]


@pytest.mark.parametrize("name", ALL)
async def test_every_call_takes_headers_and_a_query_of_its_own(driver: Driver, name: str) -> None:
    caught = Caught()
    client = client_of(driver, transport=caught, base_url=f"{SERVER}?version=1&kept=yes", headers={"X-A": "client"})
    options = {
        "extra_headers": {"X-A": "call", "X-B": "more"},
        "extra_query": {"version": 2, "many": ["a b", True], "none": None},
    }
    with pytest.raises(AuthenticationError):
        await ALL[name](driver, client, options)
    asked = caught.requests[0]
    assert asked.url.params.multi_items() == [
        ("kept", "yes"),
        ("version", "2"),
        ("many", "a b"),
        ("many", "true"),
    ]
    assert (asked.headers["x-a"], asked.headers["x-b"]) == ("call", "more")
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert b"extra_" not in asked.content and b"timeout" not in asked.content and b"X-B" not in asked.content
    with pytest.raises(AuthenticationError):
        await ALL[name](driver, client, {})
    assert caught.requests[-1].headers["x-a"] == "client" and "version=1" in str(caught.requests[-1].url)


@pytest.mark.parametrize("name", SOME)
async def test_every_call_takes_a_time_limit_of_its_own(driver: Driver, name: str) -> None:
    caught = Caught(hangs=True)
    with pytest.raises(InferenceTimeoutError) as found:
        await ALL[name](driver, client_of(driver, transport=caught, timeout=600), {"timeout": 0.05})
    assert found.value.phase == "total"
    assert b"timeout" not in caught.requests[0].content


@pytest.mark.parametrize("name", SOME)
async def test_what_openai_calls_not_given_is_not_given(driver: Driver, name: str) -> None:
    caught = Caught()
    nothing = dict.fromkeys(("timeout", "extra_headers", "extra_query", "extra_body"), NotGiven())
    if name == "endpoint info":
        del nothing["extra_body"]
    with pytest.raises(AuthenticationError):
        await ALL[name](driver, client_of(driver, transport=caught, headers={"X-A": "client"}), nothing)
    assert caught.requests[0].headers["x-a"] == "client"
    assert b"extra_" not in caught.requests[0].content


async def test_openais_own_parameters_may_be_not_given(driver: Driver) -> None:
    caught, nothing = Caught(), NotGiven()
    client = client_of(driver, transport=caught)
    for call in (
        functools.partial(client.images.generate, prompt="a", model=nothing, n=nothing, size=nothing, quality=nothing),
        functools.partial(client.completions.create, prompt="a", stop=nothing, n=nothing, stream=nothing, seed=nothing),
        functools.partial(client.audio.speech.create, input="a", voice=nothing, instructions=nothing),
        functools.partial(client.chat_completion, MESSAGES, temperature=nothing, tools=nothing, stream=nothing),
    ):
        with pytest.raises(AuthenticationError):
            await do(driver, call)
        sent = json.loads(caught.requests[-1].content)
        assert not sent.keys() & {"n", "size", "quality", "stop", "seed", "voice", "instructions", "temperature"}
        assert not sent.get("stream")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"timeout": -1}, "timeout"),
        ({"timeout": "soon"}, "timeout"),
        ({"extra_headers": {"Host": "x"}}, "Host"),
        ({"extra_headers": ["x"]}, "headers"),
        ({"extra_query": "a=b"}, "extra_query"),
        ({"extra_query": {"a": object()}}, "extra_query"),
        ({"extra_headers": {"X-A": "line\nbreak"}}, "X-A"),
    ],
)
@pytest.mark.parametrize("name", ["chat", "images", "post", "map", "endpoint info", "fill-mask"])
async def test_an_option_that_cannot_be_is_refused(driver: Driver, name: str, wrong: Any, says: str) -> None:
    caught = Caught()
    with pytest.raises((InvalidParameterError, InvalidCredentialError), match=says):
        await ALL[name](driver, client_of(driver, transport=caught), wrong)
    assert caught.requests == []


async def test_options_go_where_the_key_goes_and_nowhere_else(driver: Driver) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if request.url.host == "huggingface.co":
            entry = {"status": "live", "providerId": "fal-ai/x", "task": "text-to-image"}
            return httpx.Response(200, json={"inferenceProviderMapping": {"fal-ai": entry}})
        return httpx.Response(401, json={"detail": "no"})

    given = {"base_url": None, "provider": "fal-ai", "transport": httpx.MockTransport(answer)}
    client = client_of(driver, **given)
    options = {"extra_headers": {"X-Secret": "s3cret-value-1234"}, "extra_query": {"api_key": "s3cret-value-9876"}}
    with pytest.raises(HeadwaterError) as found:
        await do(driver, client.text_to_image, "a cat", model="org/model", **options)
    hub, queue = asked
    assert "x-secret" not in hub.headers and "api_key" not in hub.url.params
    assert queue.headers["x-secret"] == "s3cret-value-1234" and queue.url.params["api_key"] == "s3cret-value-9876"
    assert "s3cret" not in repr(found.value) and "s3cret" not in str(found.value)


async def test_a_key_among_the_headers_goes_to_no_list_of_providers(driver: Driver) -> None:
    client = client_of(driver, base_url=None, provider=["together", "groq"], api_key="hf_000000000000000000000000")
    with pytest.raises(InvalidParameterError, match="every provider"):
        await do(driver, client.chat_completion, MESSAGES, extra_headers={"Authorization": "Bearer x"})


async def test_limits_of_a_call_may_be_several(driver: Driver) -> None:
    client = client_of(driver, transport=Caught(hangs=True))
    with pytest.raises(InferenceTimeoutError) as found:
        await do(driver, client.chat_completion, MESSAGES, timeout=Timeout(first_event=0.05))
    assert found.value.phase == "first_event"


@pytest.mark.parametrize("at", ["call", "client"])
async def test_limits_may_be_httpxs(driver: Driver, at: str) -> None:
    limits = {"timeout": httpx.Timeout(None, read=0.05, connect=3)}
    client = client_of(driver, transport=Caught(hangs=True), **(limits if at == "client" else {}))
    with pytest.raises(InferenceTimeoutError) as found:
        await do(driver, client.chat_completion, MESSAGES, **(limits if at == "call" else {}))
    assert found.value.phase == "first_event"


@pytest.mark.parametrize("json_", [{"a": 1, "b": 2}, [1]])
async def test_a_post_takes_more_fields(driver: Driver, json_: Any) -> None:
    caught = Caught()
    client = client_of(driver, transport=caught)
    with pytest.raises(AuthenticationError if isinstance(json_, dict) else InvalidParameterError):
        await do(driver, client.post, json=json_, extra_body={"b": 3})
    assert [json.loads(request.content) for request in caught.requests] in ([{"a": 1, "b": 3}], [])


async def test_models_are_listed_in_every_way(driver: Driver) -> None:
    client = client_of(driver, transport=Caught())
    found = await do(driver, client.models.list)
    assert [model.id for model in found.data] == [model.id for model in found] == ["a", "b"]
    if not driver.blocking:
        assert [model.id async for model in client.models.list(timeout=5)] == ["a", "b"]


# how methods look

ASKED = AsyncInferenceClient(base_url=SERVER)
COROUTINES: dict[str, Any] = {
    **{method: getattr(ASKED, method) for method in METHODS.values()},
    **{f"{method} of the class": getattr(AsyncInferenceClient, method) for method in METHODS.values()},
    "chat": ASKED.chat.completions.create,
    "embeddings": ASKED.embeddings.create,
    "images": ASKED.images.generate,
    "speech": ASKED.audio.speech.create,
    "transcriptions": ASKED.audio.transcriptions.create,
    "completions": ASKED.completions.create,
    "models": ASKED.models.list,
    "post": ASKED.post,
    "health": ASKED.health_check,
    "close": ASKED.close,
}


@pytest.mark.parametrize("name", COROUTINES)
def test_an_asynchronous_method_is_a_coroutine_function_and_shows_what_it_takes(name: str) -> None:
    method = COROUTINES[name]
    assert inspect.iscoroutinefunction(method)
    assert inspect.iscoroutinefunction(functools.partial(method, timeout=3))
    assert not {"client", "self", "names", "args", "_"} & inspect.signature(method).parameters.keys()
    assert inspect.getdoc(method)


@pytest.mark.parametrize("method", METHODS.values())
def test_a_blocking_method_is_none_and_shows_the_same(method: str) -> None:
    for holder, other in ((InferenceClient(), ASKED), (InferenceClient, AsyncInferenceClient)):
        assert not inspect.iscoroutinefunction(getattr(holder, method))
        assert inspect.signature(getattr(holder, method)) == inspect.signature(getattr(other, method))


async def test_a_background_task_is_awaited(anyio_backend: Any) -> None:
    background = pytest.importorskip("starlette.background")
    caught = Caught()
    client = AsyncInferenceClient(base_url=SERVER, transport=caught, retries=0)
    for call in (client.chat_completion, client.chat.completions.create, client.images.generate):
        first = (
            {"prompt": "a"} if call == client.images.generate or "generate" in repr(call) else {"messages": MESSAGES}
        )
        with pytest.raises(AuthenticationError):
            await background.BackgroundTask(call, **first)()
    assert len(caught.requests) == 3


async def test_a_task_may_be_called_through_its_class(driver: Driver) -> None:
    client = client_of(driver, transport=Caught())
    with pytest.raises(AuthenticationError):
        await do(driver, type(client).chat_completion, client, MESSAGES)
    with pytest.raises(AuthenticationError):
        await drained(driver, type(client).chat_completion.stream(client, MESSAGES))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("made", [True, False])
async def test_a_mock_has_the_methods(anyio_backend: Any, subtests: pytest.Subtests, kind: Any, made: bool) -> None:
    mock = create_autospec(kind, instance=True) if made else create_autospec(kind).return_value
    for method in [*METHODS.values(), "post", "health_check"]:
        with subtests.test(method):
            double = getattr(mock, method)
            double.return_value = "what is said"
            arguments = next((ARGUMENTS[task] for task, name in METHODS.items() if name == method), {})
            assert isinstance(double, AsyncMock) is kind.asynchronous
            said = double(**arguments, timeout=3)
            assert (await said if kind.asynchronous else said) == "what is said"
            with pytest.raises(TypeError):
                refused = double("a", "b", "c", "d", "e", "f", "g")
                await refused


@pytest.mark.parametrize("kind", KINDS)
async def test_a_mock_has_openais_names(anyio_backend: Any, kind: Any) -> None:
    mock = create_autospec(kind, instance=True)
    named = (mock.chat.completions.create, mock.embeddings.create, mock.images.generate, mock.models.list)
    for create in (*named, mock.beta.chat.completions.parse, mock.beta.messages.create):
        assert isinstance(create, AsyncMock) is kind.asynchronous
