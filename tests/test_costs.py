"""What calls cost, in facts and in budgets: tables, the router's list, every way in which usage is told, and in which
a call can end."""

from __future__ import annotations

import base64
import contextlib
import copy
import io
import json
import pickle
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from PIL import Image
from support.drivers import Driver

from headwater import (
    Budget,
    BudgetExceededError,
    ConversationLimitError,
    Cost,
    CountedTokens,
    HeadwaterError,
    InferenceClient,
    InvalidAnswerError,
    InvalidParameterError,
    Price,
    ServerError,
    UnknownPriceError,
)
from headwater.cost.usage import Charge, charge_of, counted_tokens, tokens_of, usages_of
from headwater.protocol.flow import Reply
from headwater.responses.decode import decode
from headwater.tasks.audio import AutomaticSpeechRecognitionOutput
from headwater.tasks.embeddings import CreateEmbeddingResponse
from headwater.tasks.message_types import Message
from headwater.tasks.model_response import ModelResponse
from headwater.tasks.passages import RerankOutput
from headwater.tasks.text import TextGenerationOutput
from headwater.testing import FOREVER, MemoryTransport, ScriptedResponse, SentRequest

pytestmark = pytest.mark.anyio

MESSAGES = [{"role": "user", "content": "Say hello, would you?"}]
URL = "https://model.test/v1"
ROUTER = "https://router.huggingface.co"
TOKEN = "hf_0123456789abcdefghij"
USAGE = {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}
TABLE = {"m": Price(input=1.0, output=2.0)}
"""At which USAGE is 0.002 dollars."""


def answer(usage: Any = USAGE, text: str = "hello") -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    return body if usage is None else {**body, "usage": usage}


def chunks(text: str = "hello", *, end: bool = True) -> list[dict[str, Any]]:
    return [
        {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]},
        *([{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}] if end else []),
    ]


def always(make: Callable[[], ScriptedResponse]) -> MemoryTransport:
    return MemoryTransport(lambda _: make())


def server(usage: Any = USAGE) -> MemoryTransport:
    return always(lambda: ScriptedResponse.json(answer(usage)))


def offer(provider: str, into: float, out: float, **more: Any) -> dict[str, Any]:
    return {"provider": provider, "status": "live", "pricing": {"input": into, "output": out}, **more}


def router(offers: list[dict[str, Any]], chosen: str | None = "groq", listed: int = 200) -> MemoryTransport:
    """Hugging Face's router: its list has one model, and it says whom it chose."""

    def respond(request: SentRequest) -> ScriptedResponse:
        if request.url == f"{ROUTER}/v1/models":
            return ScriptedResponse.json({"data": [{"id": "org/m", "providers": offers}]}, status=listed)
        return ScriptedResponse.json(answer(), headers={} if chosen is None else {"x-inference-provider": chosen})

    return MemoryTransport(respond)


def paths(transport: MemoryTransport) -> list[str]:
    return [f"{each.method} {each.url.partition('//')[2].partition('/')[2]}" for each in transport.requests]


# usage

COUNTS = {
    "openai, cached and thought": (
        {
            **USAGE,
            "prompt_tokens_details": {"cached_tokens": 400},
            "completion_tokens_details": {"reasoning_tokens": 9},
        },
        CountedTokens(1000, 500, cached=400, reasoning=9),
    ),
    "thoughts counted beside": (
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 22,
            "completion_tokens_details": {"reasoning_tokens": 7},
        },
        CountedTokens(10, 12, reasoning=7),
    ),
    "responses": (
        {
            "input_tokens": 10,
            "output_tokens": 5,
            "input_tokens_details": {"cached_tokens": 4},
            "output_tokens_details": {"reasoning_tokens": 2},
        },
        CountedTokens(10, 5, cached=4, reasoning=2),
    ),
    "messages, where those cached are beside": (
        {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 40},
        CountedTokens(150, 5, cached=100, cache_write=40),
    ),
    "deepseek": ({**USAGE, "prompt_cache_hit_tokens": 300}, CountedTokens(1000, 500, cached=300)),
    "moonshot": ({**USAGE, "cached_tokens": 300}, CountedTokens(1000, 500, cached=300)),
    "openrouter": (
        {**USAGE, "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 7}},
        CountedTokens(1000, 500, cached=0, cache_write=7),
    ),
    "a gateway's, in both words": (
        {**USAGE, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 0},
        CountedTokens(1000, 500, cached=100, cache_write=0),
    ),
    "messages, where nothing was cached": (
        {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 0, "cache_creation_input_tokens": None},
        CountedTokens(10, 5, cached=0),
    ),
    "more is cached than there is": (
        {**USAGE, "prompt_tokens_details": {"cached_tokens": 5000}},
        CountedTokens(1000, 500, cached=1000),
    ),
    "embeddings": ({"prompt_tokens": 8, "total_tokens": 8}, CountedTokens(8, 0)),
    "reranking": ({"total_tokens": 8}, CountedTokens(8, 0)),
    "half": ({"prompt_tokens": 8}, CountedTokens(8, None)),
    "odd": ({"prompt_tokens": "8", "completion_tokens": -1, "prompt_tokens_details": []}, CountedTokens()),
    "none": (None, CountedTokens()),
}


@pytest.mark.parametrize(("usage", "expected"), COUNTS.values(), ids=COUNTS)
def test_usage_in_one_form(usage: Any, expected: CountedTokens) -> None:
    assert counted_tokens(usage) == expected
    assert tokens_of({"usage": usage}) == expected


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        (CreateEmbeddingResponse, {"data": [], "usage": COUNTS["embeddings"][0]}, COUNTS["embeddings"][1]),
        (RerankOutput, {"results": [], "usage": {"prompt_tokens": 4, "total_tokens": 4}}, CountedTokens(4, 0)),
        (TextGenerationOutput, {"generated_text": "", "details": {"generated_tokens": 3}}, CountedTokens(None, 3)),
        (
            AutomaticSpeechRecognitionOutput,
            {"text": "", "usage": {"type": "tokens", "input_tokens": 3, "output_tokens": 1, "total_tokens": 4}},
            CountedTokens(3, 1),
        ),
        (ModelResponse, {"output": [], "usage": COUNTS["responses"][0]}, COUNTS["responses"][1]),
    ],
)
def test_usage_of_each_kind_of_result(kind: Any, body: dict[str, Any], expected: CountedTokens) -> None:
    assert tokens_of(decode(Reply(status=200, headers={}, body=json.dumps(body).encode()), kind)) == expected


@pytest.mark.dealt
@pytest.mark.parametrize("kind", ["openai, cached and thought", "deepseek", "moonshot", "openrouter", "half"])
@pytest.mark.parametrize("stream", [False, True])
async def test_what_a_provider_tells_of_its_cache_lowers_the_price(driver: Driver, kind: str, stream: bool) -> None:
    usage, counted = COUNTS[kind]
    price = Price(input=1.0, output=2.0, cached=0.1, cache_write=3.0)
    end = ScriptedResponse.events(*chunks(), {"choices": [], "usage": usage}) if stream else None
    transport = always(lambda: end or ScriptedResponse.json(answer(usage)))
    async with driver.client(base_url=URL, model="m", prices={"m": price}, transport=transport) as client:
        result = await client.chat_completion.stream(MESSAGES).result()
    cost = result.facts.cost
    assert cost is not None
    if kind != "half":
        assert cost.tokens == counted
        assert not cost.estimated
        assert cost.usd == price.of(counted)
    else:
        assert (cost.tokens.input, cost.estimated) == (8, True)


@pytest.mark.dealt
@pytest.mark.parametrize(("price", "usd"), [(Price(input=1.0, output=40.0), None), (Price(call=0.04), 0.04)])
async def test_what_a_picture_cost_by_tokens_that_were_not_told_is_not_guessed(
    driver: Driver, price: Price, usd: float | None
) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (1, 1)).save(picture, "PNG")
    transport = always(lambda: ScriptedResponse(picture.getvalue(), content_type="image/png"))
    budget = Budget(calls=5)
    options: dict[str, Any] = {"base_url": "http://127.0.0.1:9/model", "prices": {"": price}, "budget": budget}
    async with driver.client(**options, transport=transport) as client:
        run = client.text_to_image.stream("a cat")
        await run.result()
    assert (run.facts.cost and run.facts.cost.usd) == usd
    assert (budget.unpriced, budget.spent) == (usd is None, usd or 0.0)


BESIDE: dict[str, dict[str, Any]] = {
    "text_to_image": {"data": [{"b64_json": ""}], "usage": {"input_tokens": 1000, "output_tokens": 500}},
    "feature_extraction": {"data": [{"index": 0, "embedding": [0.5]}], "usage": USAGE},
}


@pytest.mark.dealt
@pytest.mark.parametrize("task", BESIDE)
async def test_tokens_are_counted_of_which_the_result_says_nothing(driver: Driver, task: str) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (1, 1)).save(picture, "PNG")
    said = json.dumps(BESIDE[task]).replace('""', json.dumps(base64.b64encode(picture.getvalue()).decode()))
    transport, budget = always(lambda: ScriptedResponse.json(json.loads(said))), Budget(usd=1)
    async with driver.client(base_url=URL, model="m", prices=TABLE, budget=budget, transport=transport) as client:
        run = getattr(client, task).stream("a cat")
        await run.result()
    assert run.facts.cost == Cost(usd=0.002, price=TABLE["m"], tokens=CountedTokens(1000, 500))
    assert (budget.spent, budget.spent_tokens, budget.unpriced) == (0.002, 1500, 0)


@pytest.mark.dealt
async def test_to_count_tokens_costs_nothing(driver: Driver) -> None:
    transport = always(lambda: ScriptedResponse.json({"input_tokens": 3}))
    budget = Budget(usd=1, calls=1)
    options: dict[str, Any] = {"base_url": URL, "model": "m", "prices": TABLE, "budget": budget}
    async with driver.client(**options, transport=transport) as client:
        for _ in range(2):
            count = await client.count_message_tokens(MESSAGES)
    assert (count.input_tokens, count.facts.cost) == (3, None)
    assert (budget.begun, budget.spent, budget.spent_tokens) == (0, 0.0, 0)


async def test_an_answer_that_was_asked_for_again_costs_all_of_its_tries(driver: Driver) -> None:
    texts = iter(["no number", "7"])
    usage = {**USAGE, "prompt_tokens_details": {"cached_tokens": 400}}
    transport = always(lambda: ScriptedResponse.json(answer(usage, next(texts))))
    budget, price = Budget(usd=1), Price(input=1.0, output=2.0, cached=0.5)
    options: dict[str, Any] = {"base_url": URL, "model": "m", "prices": {"m": price}, "budget": budget}
    async with driver.client(**options, transport=transport) as client:
        found = await client.chat_completion(MESSAGES, response_format=int, on_invalid="ask again")
    assert found.parsed == 7
    assert found.facts.cost.tokens == CountedTokens(2000, 1000, cached=800)
    assert budget.spent == found.facts.cost.usd == 2 * price.of(CountedTokens(1000, 500, cached=400))


async def test_a_typed_answer_that_failed_costs_all_of_its_tries(driver: Driver) -> None:
    usage = {**USAGE, "prompt_tokens_details": {"cached_tokens": 400}}
    transport = always(lambda: ScriptedResponse.json(answer(usage, "no number")))
    budget, price = Budget(usd=1), Price(input=1.0, output=2.0, cached=0.5)
    options: dict[str, Any] = {"base_url": URL, "model": "m", "prices": {"m": price}, "budget": budget}
    async with driver.client(**options, transport=transport) as client:
        with pytest.raises(InvalidAnswerError):
            await client.chat_completion(MESSAGES, response_format=int, on_invalid="ask again", max_tries=2)
    assert budget.spent == 2 * price.of(CountedTokens(1000, 500, cached=400))


def test_a_price_by_kinds_of_tokens() -> None:
    tokens = CountedTokens(1000, 500, cached=400, cache_write=100, reasoning=200)
    assert Price(1, 2).of(tokens) == pytest.approx((1000 * 1 + 500 * 2) / 1e6)
    dear = Price(1, 2, cached=0.1, cache_write=1.25, reasoning=3, call=0.5)
    assert dear.of(tokens) == pytest.approx(0.5 + (500 * 1 + 400 * 0.1 + 100 * 1.25 + 300 * 2 + 200 * 3) / 1e6)
    assert Price(call=0.04).of(CountedTokens()) == 0.04


WRONG: list[Any] = [-1, float("nan"), float("inf"), True, "1"]


@pytest.mark.parametrize("dollars", WRONG)
def test_a_price_is_a_number(dollars: Any) -> None:
    with pytest.raises(InvalidParameterError):
        Price(output=dollars)


# facts


async def test_the_cost_is_in_facts_whole_and_streamed(driver: Driver) -> None:
    def respond(request: SentRequest) -> ScriptedResponse:
        if not request.json().get("stream"):
            return ScriptedResponse.json(answer())
        asked = request.json()["stream_options"]["include_usage"]
        return ScriptedResponse.events(*chunks(), *([{"choices": [], "usage": USAGE}] if asked else []))

    async with driver.client(base_url=URL, prices=TABLE, transport=MemoryTransport(respond)) as client:
        whole = (await client.chat_completion(MESSAGES, model="m")).facts.cost
        assert whole == Cost(usd=0.002, price=TABLE["m"], tokens=CountedTokens(1000, 500))
        async with client.chat_completion.stream(MESSAGES, model="m") as run:
            assert run.facts.cost is None
            result = await run.result()
        assert result.facts.cost == run.facts.cost == whole
        assert (await client.chat_completion(MESSAGES, model="other")).facts.cost is None
        unpriced = client.with_options(prices=None)
        assert (await unpriced.chat_completion(MESSAGES, model="m")).facts.cost is None


NAMES: dict[str, Any] = {
    "url/m": {"url/m": (1, 2), "m": (9, 9), "url": (9, 9), "": (9, 9)},
    "m": {"other/m": (9, 9), "m": (1, 2), "url": (9, 9), "": (9, 9)},
    "url": {"x": (9, 9), "url": (1, 2), "": (9, 9)},
    "all": {"": (1, 2)},
    "in turn": [{"x": (9, 9)}, {"m": (1, 2)}, {"m": (9, 9)}],
}


@pytest.mark.dealt
@pytest.mark.parametrize("prices", NAMES.values(), ids=NAMES)
async def test_the_narrowest_name_counts(driver: Driver, prices: Any) -> None:
    async with driver.client(base_url=URL, prices=prices, transport=server()) as client:
        assert (await client.chat_completion(MESSAGES, model="m")).facts.cost.usd == pytest.approx(0.002)


@pytest.mark.parametrize("prices", ["routers", {"m": 3}, {"m": (1, 2, 3)}, {1: (1, 2)}, {"m": ("a", 1)}, [3]])
def test_prices_that_are_none(prices: Any) -> None:
    with pytest.raises(InvalidParameterError):
        InferenceClient(base_url=URL, prices=prices)


async def test_what_is_not_counted_is_estimated_and_said_so(driver: Driver) -> None:
    for usage in (None, {}, dict.fromkeys(USAGE, 0)):
        budget = Budget(tokens=1)
        async with driver.client(base_url=URL, prices=TABLE, budget=budget, transport=server(usage)) as client:
            cost = (await client.chat_completion(MESSAGES, model="m")).facts.cost
        assert cost.estimated, usage
        assert cost.tokens.output == 2, usage  # "hello", at four bytes a token
        assert cost.tokens.input >= 5 and budget.is_spent, usage


@pytest.mark.dealt
async def test_a_price_of_the_call_needs_no_tokens(driver: Driver) -> None:
    sound = b"RIFF" + bytes(40)
    options: dict[str, Any] = {"base_url": "https://model.test", "prices": {"": Price(call=0.04)}}
    transport = always(lambda: ScriptedResponse(sound, content_type="audio/wav"))
    async with driver.client(transport=transport, **options) as client, client.text_to_speech.stream("a") as run:
        assert await run.result() == sound
        assert run.facts.cost == Cost(usd=0.04, price=Price(call=0.04))


# the router's list


@pytest.mark.dealt
@pytest.mark.parametrize(
    ("provider", "model", "chosen", "usd", "estimated"),
    [
        ("auto", "org/m", "groq", 0.002, False),
        ("auto", "org/m:cheapest", "together", 0.004, False),
        ("auto", "org/m", None, 0.004, True),
        ("auto", "org/m", "elsewhere", 0.004, True),
        ("auto", "org/m:groq", "elsewhere", 0.002, False),
        ("auto", "org/m:groq", None, 0.002, False),
        ("auto", "org/other", "groq", None, None),
        ("groq", "org/m", None, 0.002, False),
    ],
)
async def test_the_router_tells_prices(
    driver: Driver, provider: str, model: str, chosen: str | None, usd: float | None, estimated: bool | None
) -> None:
    transport = router([offer("groq", 1, 2), offer("together", 2, 4), offer("gone", 90, 90, status="error")], chosen)
    options = {"provider": provider, "model_mapping": {"org/m": "m"}} if provider != "auto" else {"provider": provider}
    async with driver.client(token=TOKEN, prices="router", transport=transport, **options) as client:
        costs = [(await client.chat_completion(MESSAGES, model=model)).facts.cost for _ in range(2)]
    for cost in costs:
        if usd is None:
            assert cost is None
        else:
            assert (cost.usd, cost.estimated, cost.source) == (pytest.approx(usd), estimated, "router")
    assert paths(transport).count("GET v1/models") == 1


@pytest.mark.dealt
async def test_a_users_own_table_comes_before_the_router(driver: Driver) -> None:
    transport = router([offer("groq", 9, 9)])
    prices = [{"org/m": (1, 2)}, "router"]
    async with driver.client(provider="auto", token=TOKEN, prices=prices, transport=transport) as client:
        cost = (await client.chat_completion(MESSAGES, model="org/m")).facts.cost
    assert (cost.usd, cost.source) == (0.002, "table")
    assert "GET v1/models" not in paths(transport)


@pytest.mark.dealt
async def test_a_list_that_cannot_be_had_costs_no_call(driver: Driver) -> None:
    transport = router([offer("groq", 1, 2)], listed=404)
    async with driver.client(provider="auto", token=TOKEN, prices="router", transport=transport) as client:
        assert (await client.chat_completion(MESSAGES, model="org/m")).facts.cost is None
        with pytest.raises(UnknownPriceError):
            await client.with_options(budget=Budget(usd=1)).chat_completion(MESSAGES, model="org/m")


# what the provider says that it charges

CHARGES: dict[str, tuple[dict[str, Any], Charge | None]] = {
    "openrouter": ({"cost": 0.95, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.95}}, Charge(0.95)),
    "openrouter, a key of one's own": (
        {"cost": 0.5, "is_byok": True, "cost_details": {"upstream_inference_cost": 1}},
        Charge(1.5),
    ),
    "xai": ({"cost_in_usd_ticks": 37756000}, Charge(0.0037756)),
    "perplexity": ({"cost": {"request_cost": 0.014, "total_cost": 0.015}}, Charge(0.015)),
    "deepinfra": ({"estimated_cost": 0.00001}, Charge(0.00001, estimated=True)),
    "a text": ({"cost": "0.25"}, Charge(0.25)),
    "nothing": ({"cost": 0}, Charge(0.0)),
    "not told": ({}, None),
    "odd": ({"cost": "free", "cost_in_usd_ticks": -1, "estimated_cost": "nan"}, None),
    "true": ({"cost": True}, None),
}
CHARGED = {
    "response": {
        "object": "response",
        "id": "r",
        "status": "completed",
        "model": "m",
        "output": [],
        "usage": {"input_tokens": 10, "output_tokens": 5, "cost": 0.5},
    },
    "message": {
        "type": "message",
        "id": "m",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 10, "output_tokens": 5, "cost": 0.5},
    },
    "embeddings": {
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
        "usage": {"prompt_tokens": 8, "total_tokens": 8, "cost": 0.5},
    },
}


@pytest.mark.dealt
@pytest.mark.parametrize(("told", "charge"), CHARGES.values(), ids=CHARGES)
async def test_what_the_provider_charges(driver: Driver, told: dict[str, Any], charge: Charge | None) -> None:
    assert charge_of([{**USAGE, **told}], {}) == charge
    end = ScriptedResponse.events(*chunks(), {"choices": [], "usage": {**USAGE, **told}})
    transport = MemoryTransport(lambda _: end)
    async with driver.client(base_url=URL, model="m", prices="provider", transport=transport) as client:
        cost = (await client.chat_completion.stream(MESSAGES).result()).facts.cost
    if charge is None:
        assert cost is None
    else:
        assert (cost.usd, cost.estimated, cost.source) == (*charge, "provider")
        assert cost.tokens == CountedTokens(1000, 500)


def test_the_charge_of_every_kind_of_answer() -> None:
    def read(kind: Any, name: str) -> Any:
        return decode(Reply(status=200, headers={}, body=json.dumps(CHARGED[name]).encode()), kind)

    for name, kind in (("response", ModelResponse), ("message", Message), ("embeddings", CreateEmbeddingResponse)):
        assert charge_of(usages_of(read(kind, name)), {}) == Charge(0.5)
    assert charge_of(usages_of(None), {"x-litellm-response-cost": "0.0125"}) == Charge(0.0125)
    assert charge_of(usages_of(None), {"x-litellm-response-cost": "0.0"}) is None
    assert charge_of([{"cost": 1}, USAGE], {"x-litellm-response-cost": "0.0125"}) is None


@pytest.mark.dealt
async def test_a_streamed_response_says_what_it_costs(driver: Driver) -> None:
    end = {"type": "response.completed", "response": CHARGED["response"], "sequence_number": 1}
    transport = always(lambda: ScriptedResponse.events(end))
    async with driver.client(base_url=URL, model="m", prices="provider", transport=transport) as client:
        result = await client.create_response.stream("hi").result()
    assert result.facts.cost.usd == 0.5


@pytest.mark.dealt
async def test_every_try_of_a_typed_answer_is_charged(driver: Driver) -> None:
    texts, budget = iter(["no", "neither", "no", "7"]), Budget(usd=10)
    transport = always(lambda: ScriptedResponse.json(answer({**USAGE, "cost": 0.25}, next(texts))))
    options: dict[str, Any] = {"base_url": URL, "model": "m", "prices": "provider", "budget": budget}
    asked: dict[str, Any] = {"response_format": int, "on_invalid": "ask again", "max_tries": 2}
    async with driver.client(**options, transport=transport) as client:
        with pytest.raises(InvalidAnswerError):
            await client.chat_completion(MESSAGES, **asked)
        assert (budget.spent, budget.unpriced) == (0.5, 0)
        assert (await client.chat_completion(MESSAGES, **asked)).facts.cost.usd == 0.5
    assert budget.spent == 1.0


@pytest.mark.dealt
@pytest.mark.parametrize(
    ("prices", "usd"),
    [
        (["provider", TABLE], 5.0),
        ([TABLE, "provider"], 0.002),
        (None, 5.0),
        (["router", "provider"], 5.0),
        ([{"other": (1, 1)}, "provider"], 5.0),
    ],
)
async def test_the_first_that_knows_counts(driver: Driver, prices: Any, usd: float) -> None:
    budget = Budget(usd=100, unknown="free")
    transport = server({**USAGE, "cost": 5})
    async with driver.client(base_url=URL, model="m", prices=prices, budget=budget, transport=transport) as client:
        assert (await client.chat_completion(MESSAGES)).facts.cost.usd == budget.spent == usd


@pytest.mark.dealt
async def test_a_budget_lets_in_what_the_caller_says_that_the_provider_prices(driver: Driver) -> None:
    transport = server({**USAGE, "cost": 5})
    options: dict[str, Any] = {"base_url": URL, "model": "m", "budget": Budget(usd=5), "transport": transport}
    async with driver.client(**options) as client:
        with pytest.raises(UnknownPriceError, match="provider"):
            await client.chat_completion(MESSAGES)
        told = client.with_options(prices="provider")
        await told.chat_completion(MESSAGES)
        with pytest.raises(BudgetExceededError):
            await told.chat_completion(MESSAGES)
    assert len(transport.requests) == 1


# budgets


async def test_a_spent_budget_sends_nothing(driver: Driver) -> None:
    transport, budget = server(), Budget(usd=0.004)
    async with driver.client(base_url=URL, model="m", prices=TABLE, budget=budget, transport=transport) as client:
        await client.chat_completion(MESSAGES)
        assert (budget.spent, budget.left, budget.is_spent) == (0.002, 0.002, False)
        await client.chat_completion(MESSAGES)
        with pytest.raises(BudgetExceededError) as caught:
            await client.chat_completion(MESSAGES)
        with pytest.raises(BudgetExceededError):
            await client.chat_completion.stream(MESSAGES).result()
        assert (caught.value.spent, caught.value.spent_tokens, caught.value.retryable) == (0.004, 3000, False)
        assert (caught.value.limit, caught.value.allowed) == ("usd", 0.004)
        assert (budget.spent, budget.left, budget.begun, budget.is_spent) == (0.004, 0.0, 2, True)
        await client.with_options(budget=None).chat_completion(MESSAGES)
    assert len(transport.requests) == 3


async def test_other_limits_and_several_budgets(driver: Driver) -> None:
    transport, calls = server(), Budget(calls=3)
    async with driver.client(base_url=URL, budget=[calls, 2000], transport=transport) as client:
        await client.chat_completion(MESSAGES)
        await client.chat_completion(MESSAGES)
        with pytest.raises(BudgetExceededError, match="tokens"):
            await client.chat_completion(MESSAGES)
        others = client.with_options(budget=calls)
        await others.chat_completion(MESSAGES)
        with pytest.raises(BudgetExceededError, match="calls"):
            await others.chat_completion(MESSAGES)
    assert (calls.begun, len(transport.requests)) == (3, 3)


async def test_calls_without_a_known_price(driver: Driver) -> None:
    transport, free = server(), Budget(usd=1, unknown="free")
    async with driver.client(base_url=URL, model="x", prices=TABLE, transport=transport) as client:
        with pytest.raises(UnknownPriceError, match="x"):
            await client.with_options(budget=Budget(usd=1)).chat_completion(MESSAGES)
        assert transport.requests == []
        await client.with_options(budget=free).chat_completion(MESSAGES)
    assert (free.spent, free.unpriced, free.spent_tokens) == (0.0, 1, 1500)


def refused() -> ScriptedResponse:
    return ScriptedResponse.json({"error": {"message": "no"}}, status=500)


def cut() -> ScriptedResponse:
    return ScriptedResponse.events(*chunks("x" * 400, end=False), last=None)


ENDS: dict[str, tuple[Callable[[], ScriptedResponse], bool]] = {
    "refused": (refused, False),
    "cut": (cut, True),
    "unreadable": (lambda: ScriptedResponse(b"{", content_type="application/json"), True),
}


@pytest.mark.dealt
@pytest.mark.parametrize(("make", "costs"), ENDS.values(), ids=ENDS)
async def test_what_a_failed_call_comes_to(driver: Driver, make: Any, costs: bool) -> None:
    budget = Budget(usd=1)
    options: dict[str, Any] = {"prices": TABLE, "budget": budget, "retries": 0}
    async with driver.client(base_url=URL, model="m", transport=always(make), **options) as client:
        run = client.chat_completion.stream(MESSAGES)
        with pytest.raises(HeadwaterError):
            await run.result()
    assert (budget.spent > 0) is costs
    assert budget.estimated == costs
    assert budget.begun == 1


async def test_a_stream_that_is_left_costs_what_came(driver: Driver) -> None:
    budget = Budget(usd=1)
    transport = always(lambda: ScriptedResponse(b"data: %b\n\n" % CHUNK, FOREVER, content_type="text/event-stream"))
    async with driver.client(base_url=URL, model="m", prices=TABLE, budget=budget, transport=transport) as client:
        run = client.chat_completion.stream(MESSAGES)
        async for _ in run:
            break
        await run.close()
    assert budget.spent == pytest.approx((budget.spent_tokens - 100 + 2 * 100) / 1e6)
    assert budget.estimated == 1


CHUNK = b'{"choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":null}]}' % (b"x" * 400)


def test_sums_are_exact_and_many_threads_may_spend() -> None:
    budget = Budget(usd=1)
    tenth = Cost(usd=0.1, price=Price(call=0.1))
    for _ in range(9):
        budget.enter()
        budget.add(tenth, CountedTokens())
    assert not budget.is_spent
    budget.enter()
    budget.add(tenth, CountedTokens())
    assert budget.spent == 1.0 and budget.left == 0.0
    with pytest.raises(BudgetExceededError):
        budget.enter()


@pytest.mark.parametrize("dollars", [None, *WRONG])
def test_a_budget_is_a_limit(dollars: Any) -> None:
    with pytest.raises(InvalidParameterError):
        Budget(dollars)


def test_a_budget_knows_two_ways_with_unknown_prices() -> None:
    way: Any = "maybe"
    with pytest.raises(InvalidParameterError):
        Budget(1, unknown=way)


@pytest.mark.parametrize("budget", [0, 1.5, "5", True, [object()]])
def test_what_is_no_budget(budget: Any) -> None:
    with pytest.raises(InvalidParameterError):
        InferenceClient(base_url=URL, budget=budget)


def test_a_budget_is_one_thing() -> None:
    budget = Budget(usd=1)
    assert copy.copy(budget) is budget and copy.deepcopy([budget])[0] is budget
    assert InferenceClient(base_url=URL, budget=budget).budget is budget
    with pytest.raises(TypeError, match="one process"):
        pickle.dumps(budget)
    assert "1" in repr(budget)


async def test_many_calls_at_once_spend_one_budget(driver: Driver) -> None:
    """A limit of calls is exact; one of dollars is passed by what is under way alone."""
    transport, calls, money = server(), Budget(calls=20), Budget(usd=0.01)
    async with driver.client(base_url=URL, model="m", prices=TABLE, transport=transport) as client:
        outcomes = [await_all(client, calls, driver), await_all(client, money, driver)]
        counts = [await outcome for outcome in outcomes]
    assert counts[0] == 20
    assert calls.begun == 20
    assert 5 <= counts[1] <= 40 and money.begun == counts[1]
    assert money.spent == pytest.approx(0.002 * counts[1])


async def await_all(client: Any, budget: Budget, driver: Driver) -> int:
    """How many of forty calls at once were let in."""
    spender, worked = client.with_options(budget=budget), []

    async def one() -> None:
        with contextlib.suppress(BudgetExceededError):
            worked.append(await spender.chat_completion(MESSAGES))

    async with anyio.create_task_group() as tasks:
        for _ in range(40):
            tasks.start_soon(one)
    return len(worked)


async def test_a_budget_stops_a_failover_and_no_provider_is_blamed(driver: Driver) -> None:
    transport = always(lambda: ScriptedResponse.json(answer()))
    budget = Budget(calls=1)
    options: dict[str, Any] = {"provider": ["together", "groq"], "token": TOKEN, "model_mapping": {"m": "m"}}
    async with driver.client("m", budget=budget, transport=transport, **options) as client:
        await client.chat_completion(MESSAGES)
        with pytest.raises(BudgetExceededError):
            await client.chat_completion(MESSAGES)
    assert len(transport.requests) == 1


@pytest.mark.dealt
async def test_a_call_that_turns_to_another_provider_is_one_call(driver: Driver) -> None:
    def respond(request: SentRequest) -> ScriptedResponse:
        return refused() if "together" in request.url else ScriptedResponse.json(answer())

    budget = Budget(usd=1, calls=1)
    options: dict[str, Any] = {"provider": ["together", "groq"], "token": TOKEN, "model_mapping": {"m": "m"}}
    prices = {"together": Price(100, 100), "groq": Price(1, 2)}
    transport = MemoryTransport(respond)
    async with driver.client("m", budget=budget, prices=prices, retries=0, transport=transport, **options) as client:
        facts = (await client.chat_completion(MESSAGES)).facts
    assert (facts.provider, facts.cost.usd, budget.begun, budget.spent) == ("groq", 0.002, 1, 0.002)


# maps, conversations


async def test_a_map_stops_when_its_budget_is_spent(driver: Driver) -> None:
    if driver.blocking:
        pytest.skip("the blocking map has its own test")
    transport, budget, read = server(), Budget(usd=0.01), []

    def inputs() -> Any:
        for number in range(1000):
            read.append(number)
            yield MESSAGES

    async with driver.client(base_url=URL, model="m", prices=TABLE, transport=transport) as client:
        got = []
        with pytest.raises(BudgetExceededError):
            async with client.map(client.chat_completion, inputs(), concurrency=2, budget=budget) as results:
                async for result in results:
                    got.append(result)
    worked = [result for result in got if result.error is None]
    assert len(transport.requests) == len(worked) == budget.begun
    assert 5 <= len(worked) <= 7
    assert len(got) - len(worked) <= 2 and all(isinstance(r.error, BudgetExceededError) for r in got if r.error)
    assert len(read) <= 10


def test_a_blocking_map_stops_too() -> None:
    transport, budget = server(), Budget(calls=5)
    client = InferenceClient(base_url=URL, transport=transport)
    got = []
    with (
        pytest.raises(BudgetExceededError),
        client.map(client.chat_completion, [MESSAGES] * 100, concurrency=2, budget=budget) as results,
    ):
        for result in results:
            got.append(result)
    assert len(transport.requests) == 5 == sum(result.error is None for result in got)
    client.close()


async def test_a_budget_that_just_suffices_ends_no_map(driver: Driver) -> None:
    if driver.blocking:
        pytest.skip("as above")
    async with driver.client(base_url=URL, transport=server()) as client:
        async with client.map(client.chat_completion, [MESSAGES] * 3, budget=Budget(calls=3)) as results:
            assert len([result async for result in results]) == 3
        with pytest.raises(InvalidParameterError, match="budget"):
            client.map(client_function, [1], budget=5)


async def client_function(value: int) -> int:
    return value


async def test_a_conversation_spends_a_budget_and_the_clients(driver: Driver) -> None:
    transport, budget = server(), Budget(usd=0.002)
    async with driver.client(base_url=URL, model="m", prices=TABLE, transport=transport) as client:
        async with client.converse(MESSAGES, budget=budget, stream=False) as run:
            await run.result()
        with pytest.raises(BudgetExceededError):
            async with client.converse(MESSAGES, budget=budget, stream=False) as run:
                await run.result()
    assert budget.spent == 0.002 and len(transport.requests) == 1


def test_one_error_says_that_a_conversation_has_used_up_its_tokens() -> None:
    import headwater

    assert issubclass(headwater.ConversationBudgetError, ConversationLimitError)
    assert issubclass(headwater.ConversationBudgetError, BudgetExceededError)
    assert not issubclass(BudgetExceededError, ServerError)
