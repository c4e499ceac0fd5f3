"""Tools, against a real model, and real MCP servers: mcp's own over HTTP and from a process, and one from npm.

`nox -s real` runs these tests; alone they skip.
"""

from __future__ import annotations

import os
import shutil
import sys
from typing import Annotated, Any, Literal

import anyio
import msgspec
import pytest
from msgspec import Meta
from support.drivers import Driver

from headwater import ConversationLimitError, ConversationResult, InferenceClient, mcp_tools, tool

if "HEADWATER_REAL" not in os.environ:
    pytest.skip("real servers are installed and run by `nox -s real`", allow_module_level=True)
pytestmark = [pytest.mark.anyio, pytest.mark.real]

ASKED = [{"role": "user", "content": "What is the weather in Paris?"}]
STABLE: dict[str, Any] = {"model": "gpt-4o", "max_tokens": 64, "temperature": 0.0, "seed": 1}
OWN = """
from mcp.server import MCPServer
from mcp.server.mcpserver import Image

server = MCPServer("own")

@server.tool()
def add(a: int, b: int) -> int:
    return a + b

@server.tool()
def picture() -> Image:
    return Image(data=b"...", format="png")

server.run()
"""
NPM = "@modelcontextprotocol/server-everything"


@tool
async def weather(city: str, unit: Literal["celsius", "fahrenheit"] = "celsius") -> str:
    """Tell the weather in a city."""
    return f"It rains in {city}, at 12 degrees {unit}."


async def test_a_small_model_calls_a_tool_by_constrained_json(driver: Driver, llama: str) -> None:
    """It has 135 million weights, and calls tools by the grammar alone: it may go on calling."""
    async with driver.client(base_url=f"{llama}/v1", timeout=100) as client:
        run = client.converse(
            ASKED, tools=[weather], tool_mode="constrained", tool_choice="required", max_turns=2, **STABLE
        )
        async with run:
            try:
                result = await run.result()
            except ConversationLimitError as error:
                result = error.partial
    assert isinstance(result, ConversationResult)
    returned = result.turns[0].returned
    assert returned
    assert all(found.name == "weather" for found in returned)
    assert returned[0].outcome == "returned"
    assert returned[0].content.startswith("It rains in ")
    assert result.usage.total_tokens
    roles = [message["role"] for message in result.transcript[: 2 + len(returned)]]
    assert roles == ["user", "assistant", *["tool"] * len(returned)]


class Report(msgspec.Struct):
    city: Annotated[str, Meta(min_length=1, max_length=20)]
    rains: bool


async def test_the_answer_after_a_call_is_a_value_of_a_type(driver: Driver, llama: str) -> None:
    options = {"tools": [weather], "tool_mode": "constrained", "response_format": Report, **STABLE}
    async with driver.client(base_url=f"{llama}/v1", timeout=100) as client:
        run = client.converse(ASKED, tool_choice="required", max_turns=1, **options)
        with pytest.raises(ConversationLimitError) as caught:
            await run.result()
        result = await client.converse(caught.value.partial.state, tool_choice="none", **options).result()
    assert isinstance(result.parsed, Report)
    assert 1 <= len(result.parsed.city) <= 20
    assert [message["role"] for message in result.transcript][-1] == "assistant"


async def test_mcps_own_server_as_a_process(driver: Driver) -> None:
    command = [sys.executable, "-c", OWN]
    if driver.blocking:
        with mcp_tools(command) as tools:
            assert [made.name for made in tools] == ["add", "picture"]
        return
    async with mcp_tools(command) as tools:
        assert (await tools[0](a=1, b=2)).text == "3"
        assert len((await tools[1]()).images) == 1
        with anyio.fail_after(10), pytest.raises(Exception, match="add"):
            result = await tools[0](a="x")
            raise ValueError(result.text)


async def test_a_server_from_npm(driver: Driver) -> None:
    npx = shutil.which("npx")
    if npx is None:
        pytest.skip("npx is not installed")
    if driver.blocking:
        with mcp_tools([npx, "-y", NPM], connect_timeout=120) as tools:
            assert "echo" in [made.name for made in tools]
        return
    async with mcp_tools([npx, "-y", NPM], connect_timeout=120) as tools:
        found = {made.name: made for made in tools}
        assert "hello" in (await found["echo"](message="hello")).text


def test_the_model_calls_a_server_from_npm(llama: str) -> None:
    npx = shutil.which("npx")
    if npx is None:
        pytest.skip("npx is not installed")
    with (
        InferenceClient(base_url=f"{llama}/v1", timeout=100) as client,
        mcp_tools([npx, "-y", NPM], allow=["echo"], connect_timeout=120) as tools,
    ):
        asked = [{"role": "user", "content": "Echo the word river."}]
        run = client.converse(
            asked, tools=tools, tool_mode="constrained", tool_choice="required", max_turns=1, **STABLE
        )
        with run, pytest.raises(ConversationLimitError) as caught:
            run.result()
    assert caught.value.partial.turns[0].returned[0].content.lower().startswith("echo")
