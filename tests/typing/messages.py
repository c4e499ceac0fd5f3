"""The types of Anthropic's Messages, checked by mypy and pyright; nothing here is run."""

from __future__ import annotations

from typing import assert_type

from headwater import (
    AsyncInferenceClient,
    AsyncRun,
    ContentBlock,
    InferenceClient,
    Message,
    MessageDelta,
    MessageStreamEvent,
    MessageTokensCount,
    MessageUsage,
    Run,
)

ASKED = [{"role": "user", "content": "a"}]


async def asynchronous(client: AsyncInferenceClient) -> None:
    message = await client.messages.create(ASKED, max_tokens=9, model="m", betas=["a"], thinking={"type": "adaptive"})
    assert_type(message, Message)
    assert_type(message.content, list[ContentBlock])
    assert_type(message.usage, MessageUsage | None)
    assert_type(message.text, str)
    run = await client.messages.create(messages=[*ASKED, message], max_tokens=9, stream=True)
    assert_type(run, AsyncRun[MessageStreamEvent, Message])
    async with client.messages.stream(ASKED, max_tokens=9) as events:
        async for event in events:
            assert_type(event.delta, MessageDelta | None)
    assert_type(await client.messages.count_tokens(ASKED), MessageTokensCount)
    await client.messages.create(ASKED)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


def blocking(client: InferenceClient) -> None:
    assert_type(client.messages.create(ASKED, max_tokens=9), Message)
    assert_type(client.messages.create(ASKED, max_tokens=9, stream=True), Run[MessageStreamEvent, Message])
    with client.messages.stream(ASKED, max_tokens=9, system=[{"type": "text", "text": "be"}]) as run:
        assert_type(run.result(), Message)
    assert_type(client.messages.count_tokens(ASKED), MessageTokensCount)
