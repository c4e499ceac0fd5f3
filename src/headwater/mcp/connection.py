"""A connection to one MCP server, by the package `mcp`: its tools, and their calls."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx2
from mcp import Client, MCPError
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from pydantic import ValidationError

from ..errors import HeadwaterError, InvalidParameterError, ToolError
from ..transport.transports import Transports
from .pool_transport import McpTransport
from .process import ProcessLog, process_streams
from .servers import McpServer

MAX_PAGES: Final = 100
MAX_TOOLS: Final = 10_000

logging.getLogger("mcp").addHandler(logging.NullHandler())  # what goes wrong is raised, and need not be printed besides


class McpConnection:
    """An open connection. `tools` are the server's, each with `name`, `description`, `input_schema`, `annotations`."""

    def __init__(self, server: McpServer, client: Client, log: ProcessLog) -> None:
        self.server = server
        self.tools: list[Any] = []
        self._client = client
        self._log = log

    @property
    def version(self) -> str:
        """The version of the protocol that both speak."""
        return self._client.protocol_version

    async def list_tools(self) -> None:
        """Read the server's tools, page by page. Raises `ToolError` for a list without an end."""
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            page = await self._client.list_tools(cursor=cursor, cache_mode="bypass")
            self.tools += page.tools
            if not page.next_cursor:
                return
            if page.next_cursor == cursor or len(self.tools) > MAX_TOOLS:
                break
            cursor = page.next_cursor
        raise ToolError(f"the list of tools of {self.server.label} has no end")

    def allowed(self) -> list[Any]:
        """The tools that the server's `allow` names. Raises `InvalidParameterError` for one that there is not."""
        allow = self.server.allow
        if allow is None:
            return self.tools
        names = [tool.name for tool in self.tools]
        if unknown := sorted(set(allow) - set(names)):
            known = ", ".join(names) or "none"
            raise InvalidParameterError(f"{self.server.label} has no tool {', '.join(unknown)}; it has: {known}")
        return [tool for tool in self.tools if tool.name in allow]

    async def call(self, name: str, arguments: dict[str, Any], seconds: float | None) -> Any:
        """Call a tool, and return what the server returned. Raises `ToolError`, in which no secret is."""
        try:
            return await self._client.call_tool(name, arguments, read_timeout_seconds=seconds)
        except (MCPError, ValidationError, RuntimeError, httpx2.HTTPError, OSError) as error:
            raise self.as_tool_error(error) from None

    def as_tool_error(self, error: BaseException) -> ToolError:
        """What has gone wrong, for a program and for a model."""
        return server_error(self.server, error, self._log)


def server_error(server: McpServer, error: BaseException, log: ProcessLog) -> ToolError:
    """What has gone wrong with a server, in a text without its secrets."""
    found = error
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    words = f"{type(found).__name__}: {found}" if not isinstance(found, MCPError | HeadwaterError) else str(found)
    text = "; ".join(filter(None, (words[:500], log.text())))
    return ToolError(f"the MCP server {server.label} failed: {server.redact(text)}")


@asynccontextmanager
async def connected(
    server: McpServer, transports: Transports, log: ProcessLog, seconds: float
) -> AsyncIterator[McpConnection]:
    """A connection to a server, whose tools are known. `seconds`: the most that one of its answers takes meanwhile."""
    async with _transport(server, transports, log, seconds) as transport:
        client = Client(transport, read_timeout_seconds=seconds, cache=None)
        async with client:
            connection = McpConnection(server, client, log)
            await connection.list_tools()
            yield connection


@asynccontextmanager
async def _transport(server: McpServer, transports: Transports, log: ProcessLog, seconds: float) -> AsyncIterator[Any]:
    if server.url is None:
        yield process_streams(server, log)
        return
    asks_others = server.auth is not None
    carrier = McpTransport(server.url, list(server.headers), transports.for_url, asks_others=asks_others)
    limits = httpx2.Timeout(seconds, read=None)

    def make(headers: Any = None, timeout: Any = None, auth: Any = None) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=carrier, timeout=limits, headers=headers, auth=server.auth, trust_env=False)

    if server.kind == "sse":
        yield sse_client(str(server.url), httpx_client_factory=make)
        return
    async with make() as http:
        yield streamable_http_client(str(server.url), http_client=http)
