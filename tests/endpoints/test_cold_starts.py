"""A call to an Inference Endpoint that scaled to zero waits under its deadline, and says so."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import pytest
from support.drivers import Driver
from support.endpoint_api import CHAT, NAME, URL, said

from headwater import (
    InferenceTimeoutError,
    Loading,
    ModelLoadingError,
    RateLimitError,
    Route,
    ServerError,
    Timeout,
)
from headwater.testing import MemoryTransport, ScriptedResponse, SentRequest

MESSAGES = [{"role": "user", "content": "hi"}]
TOKEN = "hf_token"
HEADER = "x-scale-up-timeout"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")


def cold(times: int, answer: Any = CHAT, status: int = 503) -> MemoryTransport:
    """An endpoint, and its API, that refuses so many calls."""
    refusals = [ScriptedResponse.json({"error": "503 Service Unavailable"}, status=status) for _ in range(times)]

    def respond(request: SentRequest) -> ScriptedResponse:
        if request.url.startswith("https://api.endpoints.huggingface.cloud/"):
            return ScriptedResponse.json(said("scaledToZero"))
        return (
            refusals.pop()
            if refusals
            else answer
            if isinstance(answer, ScriptedResponse)
            else ScriptedResponse.json(answer)
        )

    return MemoryTransport(respond)


@pytest.mark.anyio
@pytest.mark.parametrize("how", [{"base_url": URL}, {"model": URL}, {"provider": Route(endpoint=NAME)}])
async def test_it_is_waited_for(driver: Driver, how: dict[str, Any]) -> None:
    transport = cold(6)
    async with driver.client(token=TOKEN, transport=transport, timeout=90, **how) as client:
        answer = await client.chat_completion(MESSAGES)
    assert answer.choices[0].message.content == "hi"
    assert [attempt.status for attempt in answer.facts.attempts if attempt.status] == [503] * 6
    assert all(isinstance(a.error, ModelLoadingError) for a in answer.facts.attempts if a.status)
    calls = [request for request in transport.requests if request.method == "POST"]
    assert len(calls) == 7 and all(0 < int(request.headers[HEADER]) <= 90 for request in calls)
    assert all(HEADER not in request.headers for request in transport.requests if request.method == "GET")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("timeout", "asked"),
    [(None, "600"), (Timeout(total=5000), "600"), (Timeout(first_event=40.5), "40"), (0.9, None)],
)
async def test_the_proxy_is_asked_to_hold_it_as_long_as_the_call_may_last(
    driver: Driver, timeout: Any, asked: str | None
) -> None:
    transport = cold(0)
    async with driver.client(base_url=URL, token=TOKEN, transport=transport, timeout=timeout) as client:
        await client.chat_completion(MESSAGES)
        await client.chat_completion(MESSAGES, extra_headers={"X-Scale-Up-Timeout": "7"})
    assert transport.requests[1].headers[HEADER] == "7"
    sent = transport.requests[0].headers.get(HEADER)
    assert sent == asked or (asked == "40" and sent in ("39", "40"))


@pytest.mark.anyio
async def test_other_servers_are_not_asked_and_given_up_soon(driver: Driver) -> None:
    transport = cold(9)
    async with driver.client(base_url="https://elsewhere.example", api_key="key", transport=transport) as client:
        with pytest.raises(ServerError) as caught:
            await client.chat_completion(MESSAGES)
    assert not isinstance(caught.value, ModelLoadingError)
    assert len(transport.requests) == 3 and HEADER not in transport.requests[0].headers


@pytest.mark.anyio
async def test_the_deadline_ends_it(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADWATER_TEST_MODE")
    async with driver.client(base_url=URL, token=TOKEN, transport=cold(10_000), timeout=0.05) as client:
        with pytest.raises((ModelLoadingError, InferenceTimeoutError)):
            await client.chat_completion(MESSAGES)


@pytest.mark.anyio
async def test_what_is_no_cold_start_is_none(driver: Driver) -> None:
    async with driver.client(base_url=URL, token=TOKEN, transport=cold(9, status=429)) as client:
        with pytest.raises(RateLimitError):
            await client.chat_completion(MESSAGES)


@pytest.mark.anyio
async def test_it_says_so(driver: Driver) -> None:
    """As events where the stream has a job's, and to whoever watches any run."""
    transport = cold(2, ScriptedResponse(b64decode(PNG), content_type="image/png"))
    client = driver.client(base_url=URL, token=TOKEN, transport=transport)
    async with client, client.text_to_image.stream("a river") as run:
        events = [event async for event in run]
    assert [event.message for event in events if isinstance(event, Loading)] == ["503 Service Unavailable"] * 2
    assert len(events) == 3
    seen: list[Loading] = []
    client = driver.client(base_url=URL, token=TOKEN, transport=cold(2))
    async with client, client.chat_completion.stream(MESSAGES) as run:
        run.watch(seen.append)
        assert (await run.result()).choices[0].message.content == "hi"
    assert len(seen) == 2


@pytest.mark.anyio
async def test_another_provider_is_asked_meanwhile(driver: Driver) -> None:
    transport = cold(3)
    routes = [Route(endpoint=NAME), Route(base_url="https://elsewhere.example", api_key="other")]
    async with driver.client(token=TOKEN, transport=transport, provider=routes) as client:
        answer = await client.chat_completion(MESSAGES, model="m")
    assert answer.facts.provider == "https://elsewhere.example"
    assert all(HEADER not in request.headers for request in transport.requests)
    to = {request.url.partition("/v1/")[0]: request.headers["authorization"] for request in transport.requests}
    assert (to[URL], to["https://elsewhere.example"]) == (f"Bearer {TOKEN}", "Bearer other")


@pytest.mark.anyio
async def test_a_route_asks_the_endpoint_for_the_model_that_it_has(driver: Driver) -> None:
    transport = cold(0)
    async with driver.client(token=TOKEN, transport=transport, provider=Route(endpoint=NAME)) as client:
        for _ in range(2):
            await client.chat_completion(MESSAGES, model="org/on-the-hub")
    own = Route(endpoint=NAME, model="its-own")
    async with driver.client(token=TOKEN, transport=transport, provider=own) as client:
        await client.chat_completion(MESSAGES)
    methods = [request.method for request in transport.requests]
    assert methods == ["GET", "POST", "POST", "GET", "POST"], "it is looked up once"
    assert [request.json()["model"] for request in transport.requests if request.method == "POST"] == [
        "mine",
        "mine",
        "its-own",
    ]
