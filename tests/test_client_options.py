"""A client's arguments: read, set, changed, copied and pickled; and whose model and whose place a call takes."""

from __future__ import annotations

import ast
import copy
import inspect
import json
import pickle
import pydoc
import re
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, get_type_hints

import httpx
import pytest
from support.drivers import Driver

import headwater
from headwater import (
    AsyncInferenceClient,
    InferenceClient,
    InputPolicy,
    InsecureCredentialError,
    InvalidCredentialError,
    InvalidParameterError,
    MissingCredentialError,
    Route,
    Secret,
    Timeout,
)
from headwater.client import task_table
from headwater.tasks.chat import chat_completion
from headwater.tasks.responses import create_response
from headwater.tasks.text import text_generation

pytestmark = [pytest.mark.anyio, pytest.mark.dealt]

ASKED = [{"role": "user", "content": "Hi"}]
ANSWER = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "w"}, "finish_reason": "stop"}]}
HF = "hf_000000000000000000000000"
OWN = "sk-own-key-000000000000000"
KINDS: list[Any] = [AsyncInferenceClient, InferenceClient]


class NotGiven:
    """As OpenAI's client has it."""

    def __bool__(self) -> bool:
        return False


class Omit(NotGiven):
    """As well."""


class Caught(httpx.MockTransport):
    """Answers every chat, and keeps the requests."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        super().__init__(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.path.startswith("/api/models/"):
            entry = {"status": "live", "providerId": "looked-up", "task": "conversational"}
            return httpx.Response(200, json={"inferenceProviderMapping": {"together": entry, "groq": entry}})
        return httpx.Response(200, json=ANSWER)

    @property
    def last(self) -> tuple[str, str]:
        """Where the last one went, and its model."""
        request = self.requests[-1]
        return f"{request.url.host}{request.url.path}", json.loads(request.content)["model"]


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[None]:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_ENDPOINT", "HF_INFERENCE_ENDPOINT", "TOGETHER_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    yield


# the arguments as attributes

GIVEN: dict[str, Any] = {
    "model": "m",
    "provider": "together",
    "timeout": 5,
    "headers": {"X-Team": "a"},
    "cookies": {"c": "d"},
    "bill_to": "org",
    "trust_env": False,
    "http2": False,
    "model_mapping": {"m": "n"},
    "retries": 3,
    "hedge_after": 1.5,
    "allow_insecure": True,
    "input_policy": InputPolicy.untrusted,
    "max_response_bytes": 9_000_000,
    "done_ends_stream": True,
}
CHANGED: dict[str, Any] = {
    "model": "other",
    "provider": "groq",
    "timeout": Timeout(idle=3),
    "headers": {"X-Team": "b"},
    "cookies": {},
    "bill_to": None,
    "trust_env": True,
    "model_mapping": {},
    "retries": 0,
    "max_retries": 1,
    "hedge_after": None,
    "allow_insecure": False,
    "input_policy": InputPolicy(),
    "max_response_bytes": None,
    "done_ends_stream": False,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", GIVEN)
def test_an_argument_can_be_read(kind: Any, name: str) -> None:
    assert getattr(kind(**GIVEN), name) == GIVEN[name]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CHANGED)
def test_an_argument_that_is_set_is_as_if_it_was_given(kind: Any, name: str) -> None:
    client = kind(**GIVEN)
    setattr(client, name, CHANGED[name])
    assert getattr(client, name) == CHANGED[name]
    with pytest.raises(AttributeError):
        delattr(client, name)


@pytest.mark.parametrize("kind", KINDS)
def test_names_of_openais_are_the_same_arguments(kind: Any) -> None:
    client = kind(api_key=OWN, max_retries=4, default_headers={"a": "b"}, base_url="http://127.0.0.1:1/v1")
    assert (client.retries, client.max_retries) == (4, 4)
    assert client.headers == client.default_headers == {"a": "b"}
    assert client.token == client.api_key == Secret(OWN) and OWN not in repr((client.token, vars(client)))
    assert client.base_url == "http://127.0.0.1:1/v1"
    more = client.copy(default_headers={"c": "d"}, max_retries=1, timeout=NotGiven())
    assert (more.headers, more.retries, more.timeout) == ({"a": "b", "c": "d"}, 1, None)
    assert client.with_options(headers={"c": "d"}).headers == {"c": "d"}
    with pytest.raises(InvalidParameterError, match="not both"):
        client.with_options(retries=1, max_retries=1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "nothing",
    [None, NotGiven(), Omit(), headwater.NOT_GIVEN, headwater.omit, headwater.not_given],
    ids=["none", "not given of another", "omit of another", "NOT_GIVEN", "omit", "not_given"],
)
def test_what_is_not_given_is_the_default(kind: Any, nothing: Any) -> None:
    client = kind(nothing, api_key=nothing, timeout=nothing, max_retries=nothing, default_headers=nothing)
    assert (client.model, client.token, client.timeout, client.retries, client.headers) == (None, None, None, 2, {})


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_value_is_refused_and_changes_nothing(kind: Any) -> None:
    client = kind(**GIVEN)
    for name, value in {"timeout": -1, "retries": "x", "provider": "nobody", "headers": 3, "model": "http://x"}.items():
        with pytest.raises(InvalidParameterError if name != "provider" else Exception):
            setattr(client, name, value)
        assert getattr(client, name) == GIVEN[name]
    with pytest.raises(TypeError):
        client.headers["x"] = "y"


@pytest.mark.parametrize("kind", KINDS)
def test_a_misspelled_option_is_refused_and_a_near_name_said(kind: Any) -> None:
    client = kind("m")
    with pytest.raises(AttributeError, match="'timeout'"):
        client.timeuot = 3
    with pytest.raises(AttributeError, match="'session'"):
        client.session = "o"
    with pytest.raises(InvalidParameterError, match="did you mean 'retries'"):
        client.with_options(retires=3)
    with pytest.raises(InvalidParameterError) as found:
        client.with_options(session="x")
    assert "did you mean" not in str(found.value)
    client.of_my_own = 3
    assert client.of_my_own == 3


@pytest.mark.parametrize("kind", KINDS)
def test_help_documents_the_arguments_and_the_tasks(kind: Any) -> None:
    text = pydoc.plain(pydoc.render_doc(kind))
    for name in list(inspect.signature(kind).parameters):
        assert re.search(rf"^ \|\s+{name}: \S", text, re.MULTILINE)
    for task in (chat_completion, text_generation):
        assert task.doc.partition("\n")[0] in text


def test_the_rows_that_an_editor_shows_say_what_their_tasks_say() -> None:
    body = next(node for node in ast.parse(inspect.getsource(task_table)).body if isinstance(node, ast.ClassDef)).body
    shown = {
        row.targets[0].id: doc.value.value.partition("\n")[0]
        for row, doc in pairwise(body)
        if isinstance(row, ast.Assign) and isinstance(row.targets[0], ast.Name)
        if isinstance(doc, ast.Expr) and isinstance(doc.value, ast.Constant) and isinstance(doc.value.value, str)
    }
    by_hand = (chat_completion, create_response, text_generation)
    assert shown == {task.method: task.doc.partition("\n")[0] for task in by_hand}


async def test_a_model_that_is_set_is_asked(driver: Driver) -> None:
    caught = Caught()
    client = (AsyncInferenceClient if not driver.blocking else InferenceClient)(
        base_url="http://127.0.0.1:1/v1", model="x", transport=caught
    )
    for name in ("x", "y"):
        client.model = name
        if driver.blocking:
            from support.drivers import in_thread

            await in_thread(client.chat_completion, ASKED)
        else:
            assert isinstance(client, AsyncInferenceClient)
            await client.chat_completion(ASKED)
        assert caught.last == ("127.0.0.1/v1/chat/completions", name)


# copies

COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda client: pickle.loads(pickle.dumps(client)),
    "with_options": lambda client: client.with_options(),
}


class Named(InferenceClient):
    """A subclass with a constructor and attributes of its own."""

    def __init__(self, name: str) -> None:
        super().__init__("m", timeout=3)
        self.names = [name]


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_has_the_arguments_and_goes_its_own_way(kind: Any, how: str) -> None:
    given = {**GIVEN, "cookies": None}
    client = kind(**given)
    other = COPIES[how](client)
    assert type(other) is kind
    assert {name: getattr(other, name) for name in given if given[name]} == {k: v for k, v in given.items() if v}
    other.model = "another"
    assert (client.model, other.model) == ("m", "another")


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_of_a_subclass(how: str) -> None:
    client = Named("n")
    other = COPIES[how](client)
    assert (type(other), other.names, other.model, other.timeout) == (Named, ["n"], "m", 3)
    assert (other.names is client.names) is (how in ("copy", "with_options"))


@pytest.mark.parametrize("how", ["copy", "deepcopy"])
def test_a_copy_within_the_process_has_the_key(how: str) -> None:
    assert COPIES[how](InferenceClient(token=HF)).token == Secret(HF)


@pytest.mark.parametrize("how", sorted(COPIES.keys() - {"with_options"}))
@pytest.mark.parametrize("kind", KINDS)
def test_a_task_is_copied_and_pickled_as_a_bound_method_is(kind: Any, how: str) -> None:
    """A pool of processes, a deep copy of an object that holds it, and `dataclasses.asdict` do so."""
    client = kind("m", **({} if how == "pickle" else {"token": HF}))
    for task in (client.chat_completion, client.chat.completions.create, client.embeddings.create):
        other = COPIES[how](task)
        assert type(other) is type(task) and repr(other) == repr(task) and other.declaration is task.declaration
    with pytest.raises(TypeError, match="no secret leaves the process"):
        pickle.dumps(kind(token=HF).chat_completion)


METHODS: dict[str, Callable[[Any], Any]] = {
    "post": lambda client: client.post,
    "health_check": lambda client: client.health_check,
    "models.list": lambda client: client.models.list,
    "images.generate": lambda client: client.images.generate,
    "audio.speech.create": lambda client: client.audio.speech.create,
    "completions.create": lambda client: client.completions.create,
    "responses.retrieve": lambda client: client.responses.retrieve,
    "endpoints.get": lambda client: client.endpoints.get,
}


@pytest.mark.parametrize("how", sorted(COPIES.keys() - {"with_options"}))
@pytest.mark.parametrize("method", METHODS)
def test_a_method_is_copied_and_pickled_as_any_other(method: str, how: str) -> None:
    for kind in KINDS:
        found = METHODS[method](kind("m"))
        other = COPIES[how](found)
        assert (type(other), other.__name__) == (type(found), found.__name__)
        assert inspect.signature(other) == inspect.signature(found)


def test_a_task_has_a_functions_attributes() -> None:
    """What schedulers of jobs, retries and caches of other packages name a function by."""
    for kind in KINDS:
        task = kind("m").chat_completion
        assert (task.__name__, task.__qualname__) == ("chat_completion", f"{kind.__name__}.chat_completion")
        hints = get_type_hints(task)
        assert hints["return"] is headwater.ChatCompletionOutput and {"messages", "model", "timeout"} <= hints.keys()


def test_every_method_tells_its_types() -> None:
    """Which are imported for checkers alone where they would make the start of a program slower."""
    for kind in KINDS:
        client = kind("m")
        for name in (each for each in dir(kind) if not each.startswith("_") and callable(getattr(client, each))):
            for method in (getattr(kind, name), getattr(client, name)):
                told = {*get_type_hints(method)} - {"return"}
                if inspect.isroutine(method) or hasattr(method, "declaration"):
                    assert told <= {*inspect.signature(method).parameters}, name
                    assert "return" in get_type_hints(method), name
        assert get_type_hints(kind)
        assert get_type_hints(kind.__init__)["timeout"] == float | Timeout | None
        assert get_type_hints(client.map)["timeout"] == Timeout | float | None
        assert get_type_hints(client.post)["model"] == str | None
        assert get_type_hints(client.images.generate)["prompt"] is str
        assert get_type_hints(client.text_to_image)["return"].__name__ == "Image"
        assert inspect.get_annotations(kind.resume)["job"] == headwater.Job | str | bytes
    assert get_type_hints(InferenceClient.post)["return"] is Any
    assert get_type_hints(AsyncInferenceClient.converse)["return"] is headwater.AsyncConversation


@pytest.mark.parametrize("how", sorted(COPIES.keys() - {"with_options"}))
def test_what_is_under_way_is_not_copied(how: str) -> None:
    """The end of a copy would be that of the call."""
    url = "http://127.0.0.1:1/v1"
    clients: list[Any] = [kind(base_url=url) for kind in KINDS]
    under_way = [
        *(each.chat_completion.stream(ASKED) for each in clients),
        *(each.map(each.chat_completion, [ASKED]) for each in clients),
        *(each.converse(ASKED, tools=[]) for each in clients),
    ]
    for each in under_way:
        with pytest.raises(TypeError, match=f"the {type(each).__name__} is under way"):
            COPIES[how](each)


@pytest.mark.parametrize(
    "secret",
    [
        {"token": OWN},
        {"headers": {"Authorization": f"Bearer {OWN}"}},
        {"cookies": {"session": OWN}},
        {"base_url": f"http://127.0.0.1:1/v1?key={OWN}"},
        {"proxies": f"http://user:{OWN}@127.0.0.1:1"},
        {"provider": [Route("together", api_key=OWN), "groq"]},
    ],
    ids=lambda given: next(iter(given)),
)
def test_no_secret_is_pickled(secret: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="pickled") as found:
        pickle.dumps(InferenceClient(**secret))
    assert OWN not in str(found.value)


def test_a_key_of_the_environment_is_pickled_as_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOGETHER_API_KEY", OWN)
    pickled = pickle.dumps(InferenceClient(provider="together", api_key=OWN))
    assert OWN.encode() not in pickled and pickle.loads(pickled).token == Secret(OWN)
    monkeypatch.delenv("TOGETHER_API_KEY")
    with pytest.raises(MissingCredentialError, match="TOGETHER_API_KEY"):
        pickle.loads(pickled)


# whose model, and whose place


@pytest.mark.parametrize(
    ("client", "model", "sent"),
    [
        ({"base_url": "http://127.0.0.1:1/v1", "model": "x"}, None, "x"),
        ({"base_url": "http://127.0.0.1:1/v1", "model": "x"}, "y", "y"),
        ({"provider": Route(base_url="http://127.0.0.1:1/v1", model="r")}, None, "r"),
        ({"provider": Route(base_url="http://127.0.0.1:1/v1", model="r")}, "y", "y"),
        ({"provider": Route(base_url="http://127.0.0.1:1/v1", model="r"), "model": "x"}, None, "r"),
        ({"provider": Route(base_url="http://127.0.0.1:1/v1", model="r"), "model": "x"}, "y", "y"),
        ({"provider": Route("groq", model="r", api_key=OWN)}, None, "r"),
        ({"provider": Route("groq", model="r", api_key=OWN), "model": "x"}, None, "r"),
        ({"provider": Route("groq", model="r", api_key=OWN)}, "org/model", "looked-up"),
        ({"provider": Route("groq", model_mapping={"org/model": "z"}, api_key=OWN)}, "org/model", "z"),
        ({"provider": [Route("groq", model="r", api_key=OWN), "together"], "token": HF}, "org/model", "looked-up"),
    ],
)
async def test_a_calls_own_model_wins(driver: Driver, client: dict[str, Any], model: str | None, sent: str) -> None:
    caught = Caught()
    async with driver.client(transport=caught, **client) as asking:
        await asking.chat_completion(ASKED, model=model)
    assert caught.last[1] == sent


@pytest.mark.parametrize(
    ("client", "model", "goes", "sent"),
    [
        ({}, "org/model:together", "router.huggingface.co/v1/chat/completions", "org/model:together"),
        ({}, "org/model:fastest", "router.huggingface.co/v1/chat/completions", "org/model:fastest"),
        ({"model": "org/model:groq"}, None, "router.huggingface.co/v1/chat/completions", "org/model:groq"),
        (
            {},
            "org/model:hf-inference",
            "router.huggingface.co/hf-inference/models/org/model/v1/chat/completions",
            "org/model",
        ),
        (
            {"provider": "hf-inference"},
            "org/model:cheapest",
            "router.huggingface.co/hf-inference/models/org/model/v1/chat/completions",
            "org/model",
        ),
    ],
)
async def test_a_model_may_name_its_provider(
    driver: Driver, client: dict[str, Any], model: str | None, goes: str, sent: str
) -> None:
    caught = Caught()
    async with driver.client(transport=caught, token=HF, **client) as asking:
        await asking.chat_completion(ASKED, model=model)
    assert caught.last == (goes, sent)


async def test_a_model_that_names_another_provider_is_refused(driver: Driver) -> None:
    caught = Caught()
    for provider in ("hf-inference", "groq"):
        async with driver.client(transport=caught, token=HF, provider=provider) as client:
            with pytest.raises(InvalidParameterError, match="'together'"):
                await client.chat_completion(ASKED, model="org/model:together")
    async with driver.client(transport=caught, token=OWN) as client:
        with pytest.raises(InvalidCredentialError):
            await client.chat_completion(ASKED, model="org/model:together")
    assert caught.requests == []


@pytest.mark.parametrize(
    ("there", "given", "carried"),
    [
        ("https://inference.example", {}, None),
        ("https://inference.example/", {"token": HF}, HF),
        ("https://api-inference.huggingface.co", {}, "hf_ambient0000000000000"),
        ("http://127.0.0.1:9", {"token": HF}, HF),
        ("http://127.0.0.1:9", {}, None),
    ],
)
async def test_the_environment_says_where_hf_inference_is(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, there: str, given: dict[str, Any], carried: str | None
) -> None:
    monkeypatch.setenv("HF_INFERENCE_ENDPOINT", there)
    monkeypatch.setenv("HF_TOKEN", "hf_ambient0000000000000")
    caught = Caught()
    async with driver.client("org/model", transport=caught, **given) as client:
        await client.chat_completion(ASKED)
    request = caught.requests[-1]
    assert str(request.url) == f"{there.rstrip('/')}/models/org/model/v1/chat/completions"
    assert request.headers.get("authorization") == (carried and f"Bearer {carried}")


@pytest.mark.parametrize("name", ["HF_ENDPOINT", "HF_INFERENCE_ENDPOINT"])
async def test_a_variable_that_holds_no_url_is_named(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "huggingface.co")
    async with driver.client("org/model", provider="hf-inference", token=HF, transport=Caught()) as client:
        with pytest.raises(InvalidParameterError, match=f"^{name} must be an http or https URL"):
            await client.chat_completion(ASKED)


async def test_a_key_goes_to_no_inference_endpoint_in_the_open(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_INFERENCE_ENDPOINT", "http://inference.example")
    caught = Caught()
    async with driver.client("org/model", transport=caught, token=HF) as client:
        with pytest.raises(InsecureCredentialError):
            await client.chat_completion(ASKED)
    assert caught.requests == []


async def test_bill_to_says_where_it_does_nothing(driver: Driver) -> None:
    caught = Caught()
    for given in (
        {"provider": "groq", "api_key": OWN, "model_mapping": {"m": "n"}},
        {"base_url": "http://127.0.0.1:1"},
    ):
        async with driver.client("m", transport=caught, bill_to="org", **given) as client:
            with pytest.warns(UserWarning, match="bill_to"):
                await client.chat_completion(ASKED)
        assert "x-hf-bill-to" not in caught.requests[-1].headers
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with driver.client("org/model", transport=caught, bill_to="org", token=HF) as client:
            await client.chat_completion(ASKED)
    assert caught.requests[-1].headers["x-hf-bill-to"] == "org"
