"""Anthropic's Messages against llama.cpp's server: plain, streamed, tools, the count of tokens, chats in them; and side
by side with Anthropic's own client, where that is installed."""

from __future__ import annotations

import os
from typing import Any

import pytest
from support.drivers import Driver

from headwater import Timeout

if "HEADWATER_REAL" not in os.environ:
    pytest.skip("real servers are installed and run by `nox -s real`", allow_module_level=True)
pytestmark = [pytest.mark.anyio, pytest.mark.real]

ASKED: list[dict[str, Any]] = [{"role": "user", "content": "What is a river? Answer in one sentence."}]
TOOL: dict[str, Any] = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
USED: list[dict[str, Any]] = [
    {"role": "user", "content": "What is the weather in Bern?"},
    {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Bern"}}],
    },
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "Rain, 9 degrees."}]},
]


def client_of(driver: Driver, url: str) -> Any:
    return driver.client(base_url=url, timeout=Timeout(total=60))


async def test_a_message_whole_and_streamed(driver: Driver, llama: str) -> None:
    async with client_of(driver, llama) as client:
        given = {"max_tokens": 24, "temperature": 0.0, "model": "m", "system": "Answer shortly."}
        plain = await client.create_message(ASKED, **given)
        async with client.create_message.stream(ASKED, **given) as run:
            events = [event async for event in run]
            result = await run.result()
        assert run.outcome == "complete"
    assert plain.text and plain.stop_reason in {"end_turn", "max_tokens"} and plain.usage.output_tokens <= 24
    assert result.text == plain.text and result.stop_reason == plain.stop_reason
    assert result.usage.total_tokens == plain.usage.total_tokens
    kinds = [event.type for event in events]
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop" and "content_block_delta" in kinds


async def test_a_stop_and_a_stream_that_is_left(driver: Driver, llama: str) -> None:
    async with client_of(driver, llama) as client:
        cut = await client.create_message(ASKED, max_tokens=2, model="m", temperature=0.0)
        assert cut.stop_reason == "max_tokens"
        stopped = await client.create_message(ASKED, max_tokens=60, model="m", temperature=0.0, stop_sequences=["a"])
        assert stopped.stop_reason in {"end_turn", "stop_sequence"} and "a" not in stopped.text
        async with client.create_message.stream(ASKED, max_tokens=400, model="m") as run:
            async for event in run:
                if event.type == "content_block_delta":
                    break
        assert run.outcome == "cancelled" and run.partial.text


async def test_tools_and_the_count_of_tokens(driver: Driver, llama: str) -> None:
    async with client_of(driver, llama) as client:
        given = {"model": "m", "tools": [TOOL]}
        count = await client.count_message_tokens(USED, **given)
        fewer = await client.count_message_tokens(USED[:1], **given)
        assert count.input_tokens > fewer.input_tokens > 0
        answer = await client.create_message(USED, max_tokens=24, temperature=0.0, **given)
        assert answer.content and answer.usage.total_tokens - answer.usage.output_tokens == count.input_tokens
        used = await client.create_message(
            USED[:1], max_tokens=64, temperature=0.0, tool_choice={"type": "any"}, **given
        )
        for block in used.content:
            assert block.type != "tool_use" or (block.name == "get_weather" and "city" in block.input)


async def test_a_chat_in_messages(driver: Driver, llama: str) -> None:
    """At a URL that ends so: the same as at the route of its chats."""
    async with client_of(driver, f"{llama}/v1/messages") as messages, client_of(driver, llama) as chats:
        given = {"model": "m", "max_tokens": 24, "temperature": 0.0}
        asked = [{"role": "system", "content": "Answer shortly."}, *ASKED]
        there, here = await messages.chat_completion(asked, **given), await chats.chat_completion(asked, **given)
        assert there.choices[0].message.content == here.choices[0].message.content
        assert there.choices[0].finish_reason == here.choices[0].finish_reason
        assert there.usage.completion_tokens == here.usage.completion_tokens
        run = messages.chat_completion.stream(asked, **given)
        assert (await run.result()).choices[0].message.content == here.choices[0].message.content


async def test_anthropics_own_client_is_told_the_same(driver: Driver, llama: str) -> None:
    anthropic = pytest.importorskip("anthropic", reason="anthropic is not installed")
    async with anthropic.AsyncAnthropic(base_url=llama, api_key="key-of-a-test", max_retries=0) as theirs:
        given: dict[str, Any] = {"max_tokens": 24, "extra_body": {"temperature": 0.0}, "model": "m"}
        async with theirs.messages.stream(messages=ASKED, **given) as stream:
            wanted = await stream.get_final_message()
        count = await theirs.messages.count_tokens(messages=ASKED, model="m")
    async with client_of(driver, llama) as client:
        found = await client.create_message.stream(ASKED, **given).result()
        assert found.text == wanted.content[0].text and found.stop_reason == wanted.stop_reason
        assert found.usage.output_tokens == wanted.usage.output_tokens
        assert (await client.count_message_tokens(ASKED, model="m")).input_tokens == count.input_tokens
