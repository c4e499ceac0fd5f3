"""`Route`: a place with its own model, key and limits; whose key goes where; and what no combination may say."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from support.drivers import Driver

from headwater import (
    AsyncInferenceClient,
    HeadwaterError,
    InferenceTimeoutError,
    InvalidCredentialError,
    InvalidParameterError,
    Route,
    Secret,
    ServerError,
    Timeout,
    UnknownProviderError,
)
from headwater.client.core import core_of
from headwater.emulator import faults
from headwater.tasks.chat import chat_completion

pytestmark = [pytest.mark.anyio, pytest.mark.dealt]

QUESTION = [{"role": "user", "content": "Hi"}]
MODEL = "org/model"
OURS = "http://127.0.0.1:8000/v1"
KEYS = {"a": "sk-canary-of-a-1234567890", "b": "sk-canary-of-b-0987654321", "hf": "hf_canary0123456789"}


class Hosts:
    """Every host refuses, and what it was sent is kept."""

    def __init__(self, **answers: int) -> None:
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(503, json={"error": {"message": f"not with {request.headers.get('authorization')}"}})

    @property
    def seen(self) -> list[tuple[str, str | None, str]]:
        """Host, key and model of each request."""
        return [(r.url.host, r.headers.get("authorization"), json.loads(r.content)["model"]) for r in self.requests]


async def fail(driver: Driver, hosts: Hosts, *routes: Any, **arguments: Any) -> HeadwaterError:
    arguments = {"model": MODEL, "retries": 0} | arguments
    async with driver.client(provider=list(routes), transport=httpx.MockTransport(hosts), **arguments) as client:
        with pytest.raises(HeadwaterError) as caught:
            await client.chat_completion(QUESTION)
    return caught.value


async def test_each_route_has_its_own_model_and_key(driver: Driver) -> None:
    hosts = Hosts()
    error = await fail(
        driver,
        hosts,
        Route("together", model="at/together", api_key=KEYS["a"]),
        Route("groq", model_mapping={MODEL: "at-groq"}, token=Secret(KEYS["b"])),
        Route(base_url=OURS, model="ours"),
        Route(base_url="http://127.0.0.1:8001"),
        token=KEYS["hf"],
    )
    assert hosts.seen == [
        ("api.together.xyz", f"Bearer {KEYS['a']}", "at/together"),
        ("api.groq.com", f"Bearer {KEYS['b']}", "at-groq"),
        ("127.0.0.1", None, "ours"),
        ("127.0.0.1", None, MODEL),
    ]
    assert [attempt.provider for attempt in error.attempts] == [
        *("together", "groq", "http://127.0.0.1:8000", "http://127.0.0.1:8001")
    ]


async def test_a_name_among_routes_takes_the_clients_token(driver: Driver) -> None:
    hosts = Hosts()
    await fail(
        driver,
        hosts,
        "together",
        Route("groq", api_key=KEYS["b"]),
        token=KEYS["hf"],
        model_mapping={MODEL: "theirs"},
    )
    assert hosts.seen == [
        ("router.huggingface.co", f"Bearer {KEYS['hf']}", "theirs"),
        ("api.groq.com", f"Bearer {KEYS['b']}", "theirs"),
    ]


async def test_a_key_for_the_only_one_that_has_none(driver: Driver) -> None:
    hosts = Hosts()
    await fail(
        driver, hosts, Route("together", model="m", api_key=KEYS["a"]), Route("groq", model="m"), api_key=KEYS["b"]
    )
    assert [key for _, key, _ in hosts.seen] == [f"Bearer {KEYS['a']}", f"Bearer {KEYS['b']}"]


async def test_a_route_alone(driver: Driver) -> None:
    hosts = Hosts()
    for route in (Route("together", model="m", api_key=KEYS["a"]), Route(base_url=OURS, api_key=KEYS["a"])):
        client = driver.client(MODEL, provider=route, transport=httpx.MockTransport(hosts), retries=0)
        with pytest.raises(ServerError):
            await client.chat_completion(QUESTION)
    assert hosts.seen == [
        ("api.together.xyz", f"Bearer {KEYS['a']}", "m"),
        ("127.0.0.1", f"Bearer {KEYS['a']}", MODEL),
    ]


async def test_two_accounts_at_one_provider(driver: Driver) -> None:
    hosts = Hosts()
    routes = [Route("together", model="m", api_key=KEYS["a"]), Route("together", model="m", api_key=KEYS["b"])]
    error = await fail(driver, hosts, *routes)
    assert [key for _, key, _ in hosts.seen] == [f"Bearer {KEYS['a']}", f"Bearer {KEYS['b']}"]
    assert [attempt.provider for attempt in error.attempts] == ["together", "together (2)"]


async def test_no_key_shows(driver: Driver) -> None:
    """Nor in an error, though the servers repeat what they were sent."""
    hosts = Hosts()
    routes = [Route("together", model="m", api_key=KEYS["a"]), Route(base_url=OURS, api_key=KEYS["b"])]
    error = await fail(driver, hosts, *routes)
    client = driver.client(provider=routes)
    texts = [repr(routes), str(routes), repr(client), repr(vars(getattr(client, "client", client)))]
    texts += [*traceback.format_exception(error), repr(vars(error)), *(repr(vars(a.error)) for a in error.attempts)]
    assert not [text for text in texts for key in KEYS.values() if key in text]
    assert "[secret]" in repr(routes)


# a key goes to its own place alone


@pytest.fixture(scope="module")
def server() -> Iterator[faults.FaultServer]:
    with faults.running() as found:
        yield found


async def test_a_key_is_never_seen_at_the_other_origin(driver: Driver, server: faults.FaultServer) -> None:
    server.reset()
    first, second = server.at("redirect_other"), server.other_url
    routes = [
        Route(base_url=f"{first}/v1", model="m", api_key=KEYS["a"]),
        Route(base_url=f"{second}/v1", model="m", api_key=KEYS["b"]),
    ]
    async with driver.client(provider=routes, hedge_after=0.05) as client:
        for _ in range(3):
            await client.chat_completion(QUESTION)
    for requests, others in ((server.requests, "b"), (server.other_requests, "a")):
        assert requests
        assert not [request for request in requests if KEYS[others] in str((request.headers, request.body))]


async def test_a_job_of_another_provider_gets_none_of_the_lists_keys(driver: Driver) -> None:
    hosts = Hosts()
    routes = [Route("groq", api_key=KEYS["a"]), Route("together", api_key=KEYS["b"])]
    job = json.dumps({"provider": "fal-ai", "task": "text-to-image", "id": "1", "model": "m", "state": {}})
    client = driver.client(provider=routes, transport=httpx.MockTransport(hosts))
    with pytest.raises(HeadwaterError):
        await client.resume(job).result()
    assert hosts.requests == []


# limits


async def test_a_routes_own_limit_turns_to_the_next(driver: Driver, server: faults.FaultServer) -> None:
    def slow(limit: float | Timeout) -> Route:
        return Route(base_url=f"{server.at('hang_before_headers')}/v1", timeout=limit)

    good = Route(base_url=f"{server.at('ok')}/v1")
    for limit in (0.2, Timeout(first_event=0.2)):
        async with driver.client(provider=[slow(limit), good], timeout=60) as client:
            out = await client.chat_completion(QUESTION)
            assert out.choices[0].message.content == faults.TEXT
            error = out.facts.attempts[0].error
        assert isinstance(error, InferenceTimeoutError)
    async with driver.client(provider=[slow(60), good], timeout=0.2) as client:
        with pytest.raises(InferenceTimeoutError) as caught:
            await client.chat_completion(QUESTION)
    assert caught.value.phase == "total"


async def test_each_provider_has_as_long_for_its_first_event(driver: Driver, server: faults.FaultServer) -> None:
    routes = [Route(base_url=f"{server.at(name)}/v1") for name in ("hang_before_headers", "ok")]
    async with driver.client(provider=routes, timeout=Timeout(total=60, first_event=0.5)) as client:
        out = await client.chat_completion(QUESTION)
    assert out.choices[0].message.content == faults.TEXT
    assert out.facts.timings.total is not None
    assert out.facts.timings.total >= 0.5


async def test_a_long_wait_turns_to_the_next(driver: Driver, server: faults.FaultServer) -> None:
    """It would be waited for where there was nobody else."""
    routes = [
        Route(base_url=f"{server.at(name, **more)}/v1")
        for name, more in (("s503_loading", {"seconds": 50, "id": driver.name}), ("ok", {}))
    ]
    async with driver.client(provider=routes) as client:
        out = await client.chat_completion(QUESTION)
    assert [attempt.error is None for attempt in out.facts.attempts] == [False, True]


# staying, through a client


async def test_a_broken_one_is_asked_no_more(driver: Driver, server: faults.FaultServer) -> None:
    server.reset()
    routes = [Route(base_url=f"{server.at(name, id=driver.name)}/v1") for name in ("s500", "ok")]
    async with driver.client(provider=routes, retries=0) as client:
        for _ in range(3):
            await client.chat_completion(QUESTION)
            await client.with_options(timeout=60).chat_completion(QUESTION)
    assert [request.fault.partition("~")[0] for request in server.requests] == ["s500", *["ok"] * 6]


async def test_with_all_broken_one_is_tried(driver: Driver, server: faults.FaultServer) -> None:
    server.reset()
    routes = [Route(base_url=f"{server.at(name)}/v1") for name in ("s500", "s529")]
    async with driver.client(provider=routes, retries=0) as client:
        for _ in range(6):
            with pytest.raises(ServerError):
                await client.chat_completion(QUESTION)
    assert [request.fault for request in server.requests] == [*["s500", "s529"] * 3, *["s500"] * 3]


async def test_one_provider_has_no_breaker(driver: Driver, server: faults.FaultServer) -> None:
    server.reset()
    async with driver.client(provider=Route(base_url=f"{server.at('s500')}/v1"), retries=0) as client:
        for _ in range(6):
            with pytest.raises(ServerError):
                await client.chat_completion(QUESTION)
    assert len(server.requests) == 6


async def test_an_order_of_ones_own(server: faults.FaultServer) -> None:
    """As a batch gives it, to spread its calls."""
    routes = [Route(base_url=f"{server.at('ok')}/v1"), Route(base_url=f"{server.other_url}/v1")]
    server.reset()
    given: list[tuple[str, ...]] = []

    def turned(names: Any) -> list[int]:
        given.append(tuple(names))
        return [1, 0] if len(given) % 2 else [0, 1]

    async with AsyncInferenceClient(provider=routes) as client:
        for _ in range(4):
            arguments = chat_completion.bind((QUESTION,), {})
            await core_of(client).start(chat_completion, arguments, stream=False, order=turned).result()
    assert given == [(server.url, server.other_url)] * 4
    assert (len(server.requests), len(server.other_requests)) == (2, 2)


async def test_an_open_file_is_read_for_all(driver: Driver, server: faults.FaultServer, tmp_path: Any) -> None:
    path = tmp_path / "sound.wav"
    path.write_bytes(b"RIFF" + bytes(64))
    bodies: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(request.content)
        return httpx.Response(500) if len(bodies) == 1 else httpx.Response(200, json={"text": "hello"})

    routes = [Route(base_url="http://127.0.0.1:1"), Route(base_url="http://127.0.0.2:1")]
    client = driver.client(provider=routes, transport=httpx.MockTransport(answer), retries=0)
    with path.open("rb") as file:
        out = await client.automatic_speech_recognition(file, model="m")
    assert out.text == "hello"
    assert all(bytes(64) in body for body in bodies)


# what is refused


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({}, InvalidParameterError),
        ({"provider": "together", "base_url": OURS}, InvalidParameterError),
        ({"provider": "together", "token": "a", "api_key": "b"}, InvalidParameterError),
        ({"provider": "together", "model": "m", "model_mapping": {}}, InvalidParameterError),
        ({"provider": "together", "model": OURS}, InvalidParameterError),
        ({"provider": "together", "timeout": -1}, InvalidParameterError),
        ({"provider": "together", "token": 5}, InvalidParameterError),
        ({"base_url": "ftp://x"}, InvalidParameterError),
        ({"base_url": 5}, InvalidParameterError),
        ({"base_url": "http://user:sk-canary@x"}, InvalidParameterError),
        ({"provider": "together", "token": "two words"}, InvalidCredentialError),
        ({"provider": "grok"}, UnknownProviderError),
        ({"provider": OURS}, UnknownProviderError),
        ({"provider": 5}, UnknownProviderError),
    ],
)
async def test_a_wrong_route(driver: Driver, wrong: dict[str, Any], kind: type[HeadwaterError]) -> None:
    with pytest.raises(kind) as caught:
        Route(**wrong)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"api_key": "k"}, "cannot share one key"),
        ({"headers": {"Authorization": "Bearer k"}}, "authorization"),
        ({"headers": {"X-Key": "k"}}, "x-key"),
        ({"cookies": {"session": "k"}}, "cookie"),
        ({"base_url": OURS}, "exclude each other"),
        ({"model": OURS}, "exclude each other"),
    ],
)
async def test_a_wrong_client(driver: Driver, arguments: dict[str, Any], match: str) -> None:
    with pytest.raises(InvalidParameterError, match=match):
        driver.client(provider=["together", Route("groq")], **arguments)


async def test_a_key_that_is_nobodys(driver: Driver) -> None:
    routes = [Route("together", api_key="a"), Route("groq", api_key="b")]
    with pytest.raises(InvalidParameterError, match="cannot share one key"):
        driver.client(provider=routes, api_key="c")
