"""What the router says of those who offer a model, and calls that pass over who lacks what they need."""

from __future__ import annotations

from typing import Any

import pytest
from support.drivers import Driver

from headwater import NotFoundError, ServerError, UnsupportedModelError
from headwater.providers.model_offers import ModelOffer, best
from headwater.testing import MemoryTransport, ScriptedResponse, SentRequest

pytestmark = pytest.mark.anyio

ROUTER = "https://router.huggingface.co"
TOKEN = "hf_0123456789abcdefghij"
MESSAGES = [{"role": "user", "content": "hi"}]
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
ANSWER = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "{}"}, "finish_reason": "stop"}]}


def offer(provider: str, tools: bool | None, schemas: bool | None, **more: Any) -> dict[str, Any]:
    return {
        "provider": provider,
        "status": "live",
        "supports_tools": tools,
        "supports_structured_output": schemas,
        **more,
    }


OFFERS = [
    offer("groq", False, True, throughput=900, pricing={"input": 1, "output": 1}),
    offer("together", True, False, throughput=100, pricing={"input": 3, "output": 3}),
    offer("cerebras", True, False, throughput=500, pricing={"input": 9, "output": 9}),
    offer("novita", True, None, throughput=1, pricing={"input": 2, "output": 2}),
    offer("nscale", True, True, status="error", throughput=9999),
]


def router(offers: list[dict[str, Any]] = OFFERS, *, listed: int = 200) -> MemoryTransport:
    def respond(request: SentRequest) -> ScriptedResponse:
        if request.url == f"{ROUTER}/v1/models":
            model = {"id": "org/m", "object": "model", "owned_by": "org", "architecture": "x", "providers": offers}
            return ScriptedResponse.json({"data": [model, {"id": "org/n"}]}, status=listed)
        return ScriptedResponse.json(ANSWER)

    return MemoryTransport(respond)


def asked(transport: MemoryTransport) -> list[str]:
    """The models and places that chats were sent to."""
    posts = [request for request in transport.requests if request.method == "POST"]
    return [f"{post.url.removeprefix(ROUTER).partition('/v1/')[0]} {post.json()['model']}" for post in posts]


async def test_the_list_has_what_the_router_says(driver: Driver) -> None:
    async with driver.client(provider="auto", token=TOKEN, transport=router()) as client:
        models = client.client.models.list() if driver.blocking else await client.models.list()
    first, second = models
    groq = first.offer("groq")
    assert (first.id, first.owned_by, first["architecture"]) == ("org/m", "org", "x")
    assert (groq.supports_tools, groq.throughput, groq.pricing.output, groq.context_length) == (False, 900, 1, None)
    assert [each.provider for each in first.providers] == ["groq", "together", "cerebras", "novita", "nscale"]
    assert second.providers is None and second.offer("groq") is None


@pytest.mark.dealt
async def test_a_server_that_says_odd_things_is_read(driver: Driver) -> None:
    odd = {
        "data": [{"id": "a", "created": "yesterday", "providers": "none"}, {"id": "b", "providers": [{"pricing": 3}]}]
    }
    transport = MemoryTransport(lambda _: ScriptedResponse.json(odd))
    async with driver.client(base_url="https://model.test/v1", transport=transport) as client:
        models = client.client.models.list() if driver.blocking else await client.models.list()
    assert [model.id for model in models] == ["a", "b"]


@pytest.mark.dealt
async def test_an_odd_member_takes_nothing_from_the_others(driver: Driver) -> None:
    """As little of a list that people keep by hand as of one that a program writes."""
    odd: list[Any] = [None, "groq", {"provider": None, "supports_tools": True}, {"provider": "far", "pricing": [1]}]
    odd += [{"provider": "free", "pricing": {"input": -1, "output": -1}, "supports_tools": True, "zone": "eu"}]
    listed = {"id": "org/m", "providers": [*odd, *OFFERS]}
    models = [None, 3, {"id": None}, {"name": "x"}, listed]

    def respond(request: SentRequest) -> ScriptedResponse:
        return ScriptedResponse.json({"data": models} if request.method == "GET" else ANSWER)

    transport = MemoryTransport(respond)
    async with driver.client(provider="auto", token=TOKEN, transport=transport, prices="router") as client:
        (model,) = client.client.models.list() if driver.blocking else await client.models.list()
        facts = (await client.chat_completion(MESSAGES, model="org/m:cheapest", tools=TOOLS)).facts
    assert [each.provider for each in model.providers] == ["", "far", "free", *[o["provider"] for o in OFFERS]]
    assert model.offer("free")["zone"] == "eu" and model.offer("far").pricing is None
    assert asked(transport) == [" org/m:novita"]
    assert facts.cost is not None and facts.cost.price.input == 2


CHOSEN: dict[str, tuple[str, dict[str, Any], list[str], str]] = {
    "nothing needed": ("org/m", {}, [], "org/m"),
    "tools": ("org/m", {"tools": TOOLS}, ["groq"], "org/m:cerebras"),
    "tools, the cheapest": ("org/m:cheapest", {"tools": TOOLS}, ["groq"], "org/m:novita"),
    "tools, the preferred": ("org/m:preferred", {"tools": TOOLS}, ["groq"], "org/m:together"),
    "a schema": ("org/m", {"response_format": SCHEMA}, ["together", "cerebras"], "org/m:groq"),
    "both": ("org/m", {"tools": TOOLS, "response_format": SCHEMA}, ["groq", "together", "cerebras"], "org/m:novita"),
    "a model that is not listed": ("org/other", {"tools": TOOLS}, [], "org/other"),
    "JSON of any form": ("org/m", {"response_format": {"type": "json_object"}}, [], "org/m"),
}


@pytest.mark.dealt
@pytest.mark.parametrize(("model", "given", "passed", "sent"), CHOSEN.values(), ids=CHOSEN)
async def test_the_router_is_told_whom_to_choose(
    driver: Driver, model: str, given: dict[str, Any], passed: list[str], sent: str
) -> None:
    transport = router()
    async with driver.client(provider="auto", token=TOKEN, transport=transport) as client:
        facts = (await client.chat_completion(MESSAGES, model=model, **given)).facts
    over = [attempt for attempt in facts.attempts if attempt.number == 0]
    assert [attempt.provider for attempt in over] == passed
    assert all(isinstance(attempt.error, UnsupportedModelError) for attempt in over)
    assert asked(transport) == [f" {sent}"]


async def test_a_list_of_providers_passes_over_who_lacks_tools(driver: Driver) -> None:
    transport = router()
    options: dict[str, Any] = {"provider": ["groq", "together"], "model_mapping": {"org/m": "org/m"}}
    async with driver.client(token=TOKEN, transport=transport, **options) as client:
        for _ in range(2):
            facts = (await client.chat_completion(MESSAGES, model="org/m", tools=TOOLS)).facts
            assert facts.provider == "together"
            assert [(each.provider, type(each.error)) for each in facts.attempts] == [
                ("groq", UnsupportedModelError),
                ("together", type(None)),
            ]
        plain = client.with_options(provider=["groq", "together"])
        assert (await plain.chat_completion(MESSAGES, model="org/m")).facts.provider == "groq"
    assert sum(request.method == "GET" for request in transport.requests) == 1


@pytest.mark.dealt
async def test_where_all_lack_it_nothing_is_sent(driver: Driver) -> None:
    transport = router([offer("groq", False, None), offer("together", False, None)])
    options: dict[str, Any] = {"token": TOKEN, "transport": transport, "model_mapping": {"org/m": "org/m"}}
    for provider in ("auto", ["groq", "together"]):
        async with driver.client(provider=provider, **options) as client:
            with pytest.raises(UnsupportedModelError):
                await client.chat_completion(MESSAGES, model="org/m", tools=TOOLS)
    assert asked(transport) == []


@pytest.mark.dealt
async def test_one_provider_is_asked_whatever_is_said_of_it(driver: Driver) -> None:
    transport = router()
    options: dict[str, Any] = {"provider": "groq", "model_mapping": {"org/m": "org/m"}}
    async with driver.client(token=TOKEN, transport=transport, **options) as client:
        await client.chat_completion(MESSAGES, model="org/m", tools=TOOLS)
    assert [request.method for request in transport.requests] == ["POST"]


@pytest.mark.dealt
@pytest.mark.parametrize("status", [404, 500])
async def test_a_list_that_cannot_be_had_is_no_reason(driver: Driver, status: int) -> None:
    transport = router(listed=status)
    async with driver.client(provider="auto", token=TOKEN, transport=transport, retries=0) as client:
        facts = (await client.chat_completion(MESSAGES, model="org/m", tools=TOOLS)).facts
    assert asked(transport) == [" org/m"]
    assert [type(attempt.error) for attempt in facts.attempts if attempt.error] in ([NotFoundError], [ServerError])


def test_policies() -> None:
    assert best([], "cheapest") is None
    offers = [ModelOffer(provider="a"), ModelOffer(provider="b", throughput=3)]
    assert best(offers, "cheapest") is offers[0] and best(offers, "") is offers[1]
