"""What the tools of MCP servers are, checked by mypy and pyright; nothing here is run."""

from __future__ import annotations

from typing import Any, assert_type

from headwater import AsyncInferenceClient, InferenceClient, McpServer, McpTools, Tool, mcp_tools

MESSAGES = [{"role": "user", "content": "hi"}]


async def asynchronous(client: AsyncInferenceClient) -> None:
    async with mcp_tools("https://host.example/mcp", ["npx", "server"], allow=["add"]) as tools:
        assert_type(tools, McpTools)
        assert_type(tools[0], Tool[..., Any])
        client.converse(MESSAGES, tools=tools)
    mcp_tools(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def blocking(client: InferenceClient) -> None:
    with mcp_tools(McpServer(["server"], env={"KEY": "b"}), timeout=5) as tools:
        client.converse(MESSAGES, tools=[*tools])
