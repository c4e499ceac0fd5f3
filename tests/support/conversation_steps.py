"""The steps of a conversation at which tests leave it, its MCP server, and what of it may be open afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest

from headwater import ChatCompletionStreamOutput, ToolCalled, ToolReturned, TurnEnded

from .mcp_http_server import McpHttpServer

ASKED = [{"role": "user", "content": "Go."}]
KEY = {"authorization": "Bearer key-of-a-server"}
STEPS: dict[str, type[Any]] = {
    "chunk": ChatCompletionStreamOutput,
    "called": ToolCalled,
    "returned": ToolReturned,
    "turn": TurnEnded,
}


@pytest.fixture(scope="module")
def server() -> Iterator[McpHttpServer]:
    with McpHttpServer() as running:
        yield running


def connections(*ports: int) -> list[Any]:
    """This process's open connections to these ports."""
    found = psutil.Process().net_connections("tcp")
    return [
        each for each in found if each.raddr and each.raddr.port in ports and each.status == psutil.CONN_ESTABLISHED
    ]
