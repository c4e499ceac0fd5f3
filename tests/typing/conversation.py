"""What a conversation and its tools are, checked by mypy and pyright; nothing here is run."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, assert_type

from headwater import (
    AsyncConversation,
    AsyncInferenceClient,
    ChatCompletionStreamOutput,
    Conversation,
    ConversationResult,
    ConversationState,
    Facts,
    InferenceClient,
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
    client.converse(MESSAGES, temprature=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.converse(MESSAGES, tool_mode="magic")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def blocking(client: InferenceClient) -> None:
    with client.converse(MESSAGES, tools=[add, fetch], model="m", approve=allows) as run:
        assert_type(run, Conversation)
        for event in run:
            assert_type(event, ChatCompletionStreamOutput | ToolCalled | ToolReturned | TurnEnded)
        assert_type(run.result(), ConversationResult)
