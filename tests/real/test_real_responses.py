"""OpenAI's Responses API against llama.cpp's server: plain, streamed, with a tool, and what came put back."""

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
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
USED: list[dict[str, Any]] = [
    {"role": "user", "content": "What is the weather in Bern?"},
    {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": '{"city": "Bern"}'},
    {"type": "function_call_output", "call_id": "call_1", "output": "Rain, 9 degrees."},
]


def client_of(driver: Driver, url: str) -> Any:
    return driver.client(base_url=f"{url}/v1", model="m", timeout=Timeout(total=60))


async def test_a_response_whole_and_streamed(driver: Driver, llama: str) -> None:
    async with client_of(driver, llama) as client:
        given = {"max_output_tokens": 24, "temperature": 0.0, "instructions": "Answer shortly."}
        plain = await client.create_response(ASKED, **given)
        async with client.create_response.stream(ASKED, **given) as run:
            events = [event async for event in run]
            result = await run.result()
        assert run.outcome == "complete"
    assert plain.output_text and plain.usage.output_tokens <= 24
    assert result.output_text == plain.output_text
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == plain.output_text


async def test_what_a_response_gave_and_a_tools_output_go_back(driver: Driver, llama: str) -> None:
    async with client_of(driver, llama) as client:
        first = await client.create_response(ASKED, max_output_tokens=24, temperature=0.0)
        more = [*ASKED, *first.output, {"role": "user", "content": "And a lake?"}]
        second = await client.create_response(more, max_output_tokens=24, temperature=0.0)
        told = await client.create_response(USED, tools=[TOOL], max_output_tokens=24, temperature=0.0)
    assert second.output_text and second.usage.input_tokens > first.usage.input_tokens
    assert told.output
