"""What a conversation and its tools are, checked by mypy and pyright; nothing here is run."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, assert_type

from headwater import (
    AsyncConversation,
    AsyncInferenceClient,
    AsyncParsedConversation,
    ChatCompletionStreamOutput,
    Conversation,
    ConversationResult,
    ConversationState,
    Facts,
    InferenceClient,
    ParsedConversation,
    ParsedConversationResult,
    Tool,
    ToolCalled,
    ToolReturned,
    TurnEnded,
    tool,
)

MESSAGES = [{"role": "user", "content": "hi"}]


@tool
def add(a: int, b: int) -> int:
    return a + b


@tool(timeout=5, approval=True)
async def fetch(url: str) -> bytes:
    return b""


assert_type(add(1, 2), int)
CALLED: Coroutine[Any, Any, bytes] = fetch("a")
add("a", 2)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
kept: Tool[..., Any] = add


@dataclass
class Weather:
    city: str


def allows(call: ToolCalled) -> bool:
    return call.name == "add"


async def asks(call: ToolCalled) -> str | None:
    return None


async def asynchronous(client: AsyncInferenceClient, state: ConversationState) -> None:
    run = client.converse(MESSAGES, tools=[add, fetch, len], model="m", max_turns=3, budget=100, approve=allows)
    assert_type(run, AsyncConversation)
    async with run:
        async for event in run:
            assert_type(event, ChatCompletionStreamOutput | ToolCalled | ToolReturned | TurnEnded)
            if isinstance(event, TurnEnded):
                assert_type(event.facts, Facts)
    assert_type(await run.result(), ConversationResult)
    assert_type(run.state, ConversationState)
    client.converse(state, tools=[add], approve=asks, temperature=0.5, timeout=3)
    client.converse(state.to_json())
    client.converse(MESSAGES, tools=[3])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    client.converse(MESSAGES, temprature=1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    client.converse(MESSAGES, tool_mode="magic")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]


async def typed_asynchronous(client: AsyncInferenceClient) -> None:
    async with client.converse(MESSAGES, tools=[add], response_format=Weather, on_invalid="ask again") as run:
        assert_type(run, AsyncParsedConversation[Weather])
        async for event in run:
            assert_type(event, ChatCompletionStreamOutput | ToolCalled | ToolReturned | TurnEnded)
        assert_type(run.partial.parsed, Weather)
    result = await run.result()
    assert_type(result, ParsedConversationResult[Weather])
    assert_type(result.parsed, Weather)
    assert result.message is not None
    assert_type(result.message.parsed, Weather | None)
    untyped = client.converse(MESSAGES, response_format={"type": "json_object"})
    assert_type(untyped, AsyncConversation)
    client.converse(MESSAGES, response_format=Weather, on_invalid="guess")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]


def typed_blocking(client: InferenceClient) -> None:
    with client.converse(MESSAGES, tools=[add], response_format=list[Weather], max_turns=3) as run:
        assert_type(run, ParsedConversation[list[Weather]])
        assert_type(run.result().parsed, list[Weather])


def blocking(client: InferenceClient) -> None:
    with client.converse(MESSAGES, tools=[add, fetch], model="m", approve=allows) as run:
        assert_type(run, Conversation)
        for event in run:
            assert_type(event, ChatCompletionStreamOutput | ToolCalled | ToolReturned | TurnEnded)
        assert_type(run.result(), ConversationResult)
