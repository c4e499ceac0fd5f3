"""A list of providers: the next is asked where one fails before its first event, and only there."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from support.drivers import Driver

from headwater import (
    AuthenticationError,
    IncompleteStreamError,
    InferenceTimeoutError,
    InvalidParameterError,
    InvalidRequestError,
    MissingCredentialError,
    ServerError,
    UnknownProviderError,
)

pytestmark = pytest.mark.anyio

QUESTION = [{"role": "user", "content": "Hi"}]
MODEL = "org/model"
HOSTS = {"api.together.xyz": "together", "api.groq.com": "groq", "api.cerebras.ai": "cerebras"}
CHUNK = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}]}\n\n'
END = b'data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


def answered(request: httpx.Request) -> httpx.Response:
    if json.loads(request.content)["stream"]:
        return httpx.Response(200, content=CHUNK + END, headers={"content-type": "text/event-stream"})
    message = {"role": "assistant", "content": f"from {HOSTS[request.url.host]}"}
    return httpx.Response(200, json={"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})


def refused(status: int) -> Callable[[httpx.Request], httpx.Response]:
    return lambda request: httpx.Response(status, json={"error": {"message": "no"}})


def unreachable(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)


def page(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, html="<html><title>Hello</title></html>")


class Providers:
    """What each provider does, and who was asked in which order."""

    def __init__(self, **answers: Callable[[httpx.Request], httpx.Response]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        name = HOSTS[request.url.host]
        self.asked.append(name)
        return self.answers[name](request)


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TOGETHER", "GROQ", "CEREBRAS"):
        monkeypatch.setenv(f"{name}_API_KEY", f"key-of-{name.lower()}")


def client_of(driver: Driver, providers: Providers, *names: str, **arguments: Any) -> Any:
    arguments.setdefault("model_mapping", {MODEL: "theirs"})
    return driver.client(MODEL, provider=list(names), transport=httpx.MockTransport(providers), retries=0, **arguments)


@pytest.mark.parametrize("failing", [refused(500), refused(401), refused(404), refused(429), unreachable, page])
async def test_the_next_provider_answers(driver: Driver, failing: Callable[..., httpx.Response]) -> None:
    providers = Providers(together=failing, groq=answered)
    async with client_of(driver, providers, "together", "groq") as client:
        answer = await client.chat_completion(QUESTION)
        assert answer.choices[0].message.content == "from groq"
        assert [(a.provider, a.error is None) for a in answer.facts.attempts] == [("together", False), ("groq", True)]
        async with client.chat_completion.stream(QUESTION) as run:
            text = "".join([chunk.choices[0].delta.content or "" async for chunk in run])
        assert (text, run.provider) == ("Hello", "groq")
    assert providers.asked == ["together", "groq", "groq"]


async def test_each_provider_gets_its_own_key(driver: Driver) -> None:
    seen: list[str] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(503)

    async with client_of(driver, Providers(together=refuse, groq=refuse), "together", "groq") as client:
        with pytest.raises(ServerError):
            await client.chat_completion(QUESTION)
    assert seen == ["Bearer key-of-together", "Bearer key-of-groq"]


async def test_what_one_provider_does_not_take_another_may(driver: Driver) -> None:
    providers = Providers(together=refused(400), groq=answered, cerebras=refused(400))
    async with client_of(driver, providers, "together", "groq") as client:
        await client.chat_completion(QUESTION)
    async with client_of(driver, providers, "together", "cerebras") as client:
        with pytest.raises(InvalidRequestError):
            await client.chat_completion(QUESTION)
    assert providers.asked == ["together", "groq", "together", "cerebras"]


async def test_a_wrong_call_is_wrong_everywhere(driver: Driver) -> None:
    providers = Providers()
    async with client_of(driver, providers, "together", "groq") as client:
        with pytest.raises(InvalidParameterError):
            await client.chat_completion(QUESTION, model="https://example.org")
    assert providers.asked == []


async def test_the_last_failure_is_raised_and_all_are_listed(driver: Driver) -> None:
    providers = Providers(together=refused(500), groq=unreachable, cerebras=refused(401))
    async with client_of(driver, providers, "together", "groq", "cerebras") as client:
        with pytest.raises(AuthenticationError) as caught:
            await client.chat_completion(QUESTION)
    assert [attempt.provider for attempt in caught.value.attempts] == ["together", "groq", "cerebras"]
    assert all(attempt.error is not None for attempt in caught.value.attempts)
    assert caught.value.provider == "cerebras"


async def test_a_missing_key_turns_to_the_next(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOGETHER_API_KEY")
    providers = Providers(groq=answered)
    async with client_of(driver, providers, "together", "groq") as client:
        answer = await client.chat_completion(QUESTION)
    assert answer.choices[0].message.content == "from groq"
    assert [attempt.provider for attempt in answer.facts.attempts] == ["together", "groq"]
    assert isinstance(answer.facts.attempts[0].error, MissingCredentialError)


async def test_the_clocks_start_once_also_where_no_plan_came(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOGETHER_API_KEY")
    async with client_of(driver, Providers(groq=answered), "together", "groq", timeout=60) as client:
        answer = await client.chat_completion(QUESTION)
    assert answer.facts.timings.total is not None
    assert answer.facts.timings.total < 60
    assert answer.facts.attempts[0].started < 60
    async with client_of(driver, Providers(), "together") as client:
        with pytest.raises(MissingCredentialError) as caught:
            await client.chat_completion(QUESTION)
    assert caught.value.elapsed is not None
    assert caught.value.elapsed < 60


async def test_reading_the_saved_token_is_under_the_deadline(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it may be on a network's file system that does not answer."""
    over = threading.Event()
    monkeypatch.setattr("headwater.client.keys.environment.hugging_face_token", lambda: over.wait(30))
    try:
        async with driver.client(MODEL, provider="together", timeout=0.1) as client:
            monkeypatch.delenv("TOGETHER_API_KEY")
            with pytest.raises(InferenceTimeoutError) as caught:
                await client.chat_completion(QUESTION)
        assert caught.value.phase == "total"
        assert not over.is_set()
    finally:
        over.set()


async def test_nothing_is_asked_again_after_the_first_event(driver: Driver) -> None:
    def cut(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=CHUNK, headers={"content-type": "text/event-stream"})

    providers = Providers(together=cut, groq=answered)
    async with client_of(driver, providers, "together", "groq") as client:
        with pytest.raises(IncompleteStreamError) as caught:
            await client.chat_completion.stream(QUESTION).result()
    assert caught.value.partial.choices[0].message.content == "Hello"
    assert providers.asked == ["together"]


async def test_several_providers_do_not_share_one_key(driver: Driver) -> None:
    with pytest.raises(InvalidParameterError, match="cannot share one key"):
        driver.client(provider=["together", "groq"], api_key="only-one")
    driver.client(provider=["together", "groq"], token="hf_one-for-all")


@pytest.mark.parametrize("provider", [[], ["together", 3], ["together", "grok"]])
async def test_a_wrong_list_is_refused(driver: Driver, provider: Any) -> None:
    with pytest.raises(UnknownProviderError):
        driver.client(provider=provider)
