"""Data does not choose where a request goes: jobs as JSON, the Hub's answers, links, redirects, batch lines, bodies."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.drivers import Driver

from headwater import CallError, HeadwaterError, InputPolicy, Job
from headwater.testing import MemoryTransport, ScriptedResponse, SentRequest

pytestmark = [pytest.mark.anyio, pytest.mark.dealt]

KEY = "key-0123456789abcdef"
HOSTS = {
    "fal-ai": ["queue.fal.run"],
    "replicate": ["api.replicate.com"],
    "wavespeed": ["api.wavespeed.ai"],
    "together": ["api.together.xyz"],
    "novita": ["api.novita.ai"],
    "zai-org": ["api.z.ai"],
    "black-forest-labs": ["api.us1.bfl.ai"],
}
TASKS = {"black-forest-labs": "text-to-image", "zai-org": "text-to-image"}
PLACES = [
    "https://evil.example/x/j-1",
    "//evil.example/x/j-1",
    "/../../v1/account/j-1",
    "/v1/account",
    "@evil.example/j-1",
    "\\\\evil.example/j-1",
    "/x/j-1?to=https://evil.example",
    "/x/j-1#@evil.example",
    "",
]


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")


def refusing(asked: SentRequest) -> ScriptedResponse:
    return ScriptedResponse(b'{"detail":"no"}', status=404)


@pytest.mark.parametrize("provider", HOSTS)
async def test_a_job_as_json_stays_with_its_vendor(driver: Driver, provider: str) -> None:
    for place in PLACES:
        for name in ("j-1", "../../v1/account", "j-1?x=https://evil.example", "https://evil.example/", "..", ""):
            job = Job(
                provider=provider,
                task=TASKS.get(provider, "text-to-video"),
                id=name,
                model=place or None,
                state={"path": place, "polling_url": place, "url": place, "base": place},
            )
            memory = MemoryTransport(refusing)
            async with driver.client(provider=provider, api_key=KEY, transport=memory) as client:
                with pytest.raises(HeadwaterError):
                    await client.resume(job.to_json()).result()
            assert {urlsplit(request.url).hostname for request in memory.requests} <= set(HOSTS[provider]), (
                place,
                name,
            )
            for request in memory.requests:
                path = urlsplit(request.url).path
                assert "/../" not in path and "account" not in path.replace("..%2F..%2Fv1%2Faccount", "")


async def test_a_job_of_nobody(driver: Driver) -> None:
    memory = MemoryTransport(refusing)
    for provider in ("url", "https://evil.example", "hf-inference", "nobody", ""):
        job = Job(provider=provider, task="text-to-video", id="j-1", state={"path": "/x/j-1"})
        async with driver.client(base_url="https://one.example/v1", api_key=KEY, transport=memory) as client:
            with pytest.raises(CallError):
                await client.resume(job).result()
    assert memory.requests == []


IDS = ["https://evil.example/x", "../../api/whoami", "a/../../b", "a?b=c", "a#b", "//evil.example/a", "a b", "a\r\nb"]


@pytest.mark.parametrize("name", IDS)
async def test_an_id_of_the_hubs_mapping_stays_with_its_provider(driver: Driver, name: str) -> None:
    """The Hub is trusted to name a model, not a place."""
    for provider, task in {**dict.fromkeys(HOSTS, "text-to-video"), **TASKS}.items():

        def answer(asked: SentRequest, provider: str = provider, task: str = task) -> ScriptedResponse:
            if urlsplit(asked.url).hostname == "huggingface.co":
                entry = {provider: {"status": "live", "providerId": name, "task": task}}
                return ScriptedResponse(json.dumps({"inferenceProviderMapping": entry}).encode())
            return refusing(asked)

        memory = MemoryTransport(answer)
        async with driver.client(provider=provider, api_key=KEY, transport=memory) as client:
            with pytest.raises(HeadwaterError):
                await getattr(client, task.replace("-", "_"))("x", model="org/m")
        for request in memory.requests[1:]:
            assert urlsplit(request.url).hostname in {*HOSTS[provider], "fal.run"} and "whoami" not in request.url


@pytest.mark.parametrize(
    "location", ["https://evil.example/api/models/org/m", "//evil.example/api/models/m", "/login", "/api/models/../x"]
)
async def test_a_look_up_stays_at_the_hub(driver: Driver, location: str) -> None:
    memory = MemoryTransport(lambda _: ScriptedResponse(status=307, headers={"location": location}))
    async with driver.client(provider="together", token="hf_0123456789", transport=memory) as client:
        with pytest.raises(HeadwaterError):
            await client.chat_completion([{"role": "user", "content": "x"}], model="org/m")
    assert [urlsplit(request.url).hostname for request in memory.requests] == ["huggingface.co"]


async def test_the_hubs_next_page_stays_at_the_hub(driver: Driver) -> None:
    headers = {"link": '<https://evil.example/api/models?cursor=1>; rel="next"'}
    memory = MemoryTransport(lambda _: ScriptedResponse(b"[]", headers=headers))
    async with driver.client(token="hf_0123456789", transport=memory) as client:
        await client.list_deployed_models()
    assert [urlsplit(request.url).hostname for request in memory.requests] == ["huggingface.co"]


async def test_a_prompt_follows_no_redirect(driver: Driver) -> None:
    for status in (301, 302, 303, 307, 308):
        memory = MemoryTransport(
            lambda _, status=status: ScriptedResponse(status=status, headers={"location": "http://169.254.169.254/"})  # type: ignore[misc]
        )
        async with driver.client(base_url="https://one.example/v1", transport=memory) as client:
            with pytest.raises(HeadwaterError):
                await client.chat_completion([{"role": "user", "content": "x"}])
            with pytest.raises(HeadwaterError):
                await client.post(json={})
        assert {urlsplit(request.url).hostname for request in memory.requests} == {"one.example"}


@pytest.mark.parametrize("location", ["http://127.0.0.1/x", "https://10.0.0.1/x", "https://[::1]/x", "https://0/x"])
async def test_a_result_leads_to_no_private_place(driver: Driver, location: str) -> None:
    for answers in (
        [ScriptedResponse(json.dumps({"data": [{"url": location}]}).encode())],
        [
            ScriptedResponse(b'{"data":[{"url":"https://cdn.example/x"}]}'),
            ScriptedResponse(status=302, headers={"location": location}),
        ],
    ):
        waiting = list(answers)
        memory = MemoryTransport(lambda _, waiting=waiting: waiting.pop(0))  # type: ignore[misc]
        async with driver.client(base_url="https://one.example/v1", transport=memory) as client:
            with pytest.raises(HeadwaterError):
                await client.text_to_image("x")
        assert {urlsplit(request.url).hostname for request in memory.requests} <= {"one.example", "cdn.example"}


async def test_a_body_names_no_place(driver: Driver) -> None:
    """What goes into a body stays there, whatever it is called."""
    answer = b'{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}'
    memory = MemoryTransport(lambda _: ScriptedResponse(answer))
    names = ("base_url", "url", "api_base", "endpoint", "host", "provider", "proxies", "headers")
    extra: dict[str, Any] = dict.fromkeys(names, "http://evil.example/")
    policy = InputPolicy.untrusted
    async with driver.client(base_url="https://one.example/v1", transport=memory, input_policy=policy) as client:
        await client.chat_completion([{"role": "user", "content": "x"}], extra_body={**extra, "model": "http://evil/"})
    assert [urlsplit(request.url).hostname for request in memory.requests] == ["one.example"]
    assert {name: json.loads(memory.requests[0].body)[name] for name in names} == extra
