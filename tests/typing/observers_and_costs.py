"""The types of observers, costs, budgets, caches and cassettes, checked by mypy and pyright; nothing here is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, assert_type

from headwater import (
    AsyncInferenceClient,
    Budget,
    Cache,
    Cost,
    CountedTokens,
    Facts,
    InferenceClient,
    Price,
    RateLimit,
    RateLimits,
)
from headwater.errors import Attempt
from headwater.telemetry import (
    AttemptEnded,
    CallEnded,
    ConversationEnded,
    ObservedCall,
    Observer,
    ObserverEvent,
    OpenTelemetryObserver,
    WaitBegun,
)
from headwater.testing import Cassette, MemoryTransport, ScriptedResponse, SentRequest, cassette


def observe(event: ObserverEvent) -> None:
    match event:
        case AttemptEnded(attempt=attempt, status=status):
            assert_type(attempt, Attempt)
            assert_type(status, int | None)
        case WaitBegun(wait=wait):
            assert_type(wait, float | None)
        case CallEnded():
            assert_type(event.call, ObservedCall)
            assert_type(event.facts, Facts)
            assert_type(event.usage, CountedTokens | None)
        case ConversationEnded():
            assert_type(event.usage, CountedTokens | None)
        case _:
            pass


def observers() -> None:
    one: Observer = OpenTelemetryObserver(names="both", propagate_to=["https://own.example"])
    AsyncInferenceClient(observer=observe)
    InferenceClient(observer=[observe, one, print])
    InferenceClient(observer=5)  # type: ignore[arg-type]
    OpenTelemetryObserver(names="new")  # type: ignore[arg-type]


def costs(facts: Facts) -> None:
    budget = Budget(usd=5, calls=100, unknown="free")
    InferenceClient(prices={"m": Price(input=1.0, output=2.0), "n": (1.0, 2.0)}, budget=budget)
    InferenceClient(prices=["provider", {"m": (1.0, 2.0)}, "router"])
    assert_type(facts.cost, Cost | None)
    assert_type(facts.cached, bool)
    assert_type(facts.limits, RateLimits)
    assert_type(facts.limits.tokens, RateLimit | None)
    assert_type(budget.left, float | None)
    if facts.cost is not None:
        assert_type(facts.cost.usd, float)
        assert_type(facts.cost.tokens.cached, int | None)
    Budget(unknown="guess")  # type: ignore[arg-type]


async def caches() -> None:
    def repeats(task: str, given: Any) -> bool:
        return task == "chat-completion" and "seed" in given

    cache = Cache(Path("answers.sqlite"), ttl=60.0, repeatable=repeats)
    AsyncInferenceClient(cache=cache)
    assert_type(cache.info().answers, int)
    assert_type((await cache.ainfo()).size, int)
    Cache("a", repeatable="some")  # type: ignore[arg-type]


async def cassettes() -> None:
    with cassette("chat.jsonl", "replay", times=0.5, ignore=["seed"]) as tape:
        assert_type(tape, Cassette)
        assert_type(tape.unplayed, list[str])
    async with cassette(Path("chat.jsonl")) as tape:
        assert_type(tape, Cassette)
    cassette("chat.jsonl", "play")  # type: ignore[arg-type]

    def respond(request: SentRequest) -> ScriptedResponse:
        return ScriptedResponse.json(request.json())

    InferenceClient(transport=MemoryTransport(respond))
