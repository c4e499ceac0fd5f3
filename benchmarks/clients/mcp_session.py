"""A session of the package mcp over streamable HTTP, of which a chat is one call of a tool."""

import contextlib
from typing import Self

from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from benchmarks.clients.on_pool import on_own, on_pool


class Mcp:
    """One `ClientSession`."""

    http = staticmethod(on_own)

    def __init__(self, url: str) -> None:
        self.url = url + "/mcp"

    async def __aenter__(self) -> Self:
        self.stack = contextlib.AsyncExitStack()
        http = await self.stack.enter_async_context(self.http())
        streams = await self.stack.enter_async_context(streamable_http_client(self.url, http_client=http))
        self.session = await self.stack.enter_async_context(ClientSession(*streams))
        await self.session.initialize()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stack.aclose()

    async def chat(self) -> str:
        answer = await self.session.call_tool("chat", {"about": "rivers"})
        return "".join(block.text for block in answer.content if block.type == "text")


class McpOnPool(Mcp):
    """The same on headwater's pool."""

    http = staticmethod(on_pool)
