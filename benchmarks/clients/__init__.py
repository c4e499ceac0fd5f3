"""The clients under test: one file each, all with the same methods.

A client is made with the base URL of its benchmark (`http://127.0.0.1:1234/stream-2000`), is entered once and
then asked for work; what it returns is compared by the caller, so a client that loses or merges anything
fails. A client refuses to measure or verify.
"""

import importlib
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol, Self


class AsyncClient(Protocol):
    """What an async client does."""

    def __init__(self, url: str) -> None: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *error: object) -> None: ...

    async def chat(self) -> str:
        """Ask for one chat completion; returns its text."""
        ...

    async def stream(self, chunks: int) -> list[str]:
        """Stream a chat completion of that many chunks into typed chunks; returns the text of each."""
        ...

    async def watch(self, chunks: int, take: Callable[[str], object]) -> None:
        """The same, and hand each chunk's text over as soon as the loop over the chunks has it."""
        ...

    async def embed(self, texts: list[str], *, packed: bool) -> Any:
        """Embed; returns a numpy float32 array of shape (texts, width). `packed` asks for base64."""
        ...


class SyncClient(Protocol):
    """What a blocking client does."""

    def __init__(self, url: str) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...

    def chat(self) -> str:
        """Ask for one chat completion; returns its text."""
        ...

    def stream(self, chunks: int) -> list[str]:
        """Stream a chat completion of that many chunks into typed chunks; returns the text of each."""
        ...


class Row(NamedTuple):
    """Where a client is, what runs it (asyncio, uvloop, trio or sync: no loop) and how it works off a queue."""

    module: str
    name: str
    loop: str
    way: Literal["workers", "semaphore", "map"] = "workers"


CLIENTS = {
    "raw": Row("raw", "Raw", "asyncio"),
    "headwater-asyncio": Row("ours", "Headwater", "asyncio"),
    "headwater-uvloop": Row("ours", "Headwater", "uvloop"),
    "headwater-trio": Row("ours", "Headwater", "trio"),
    "headwater-map-asyncio": Row("ours", "HeadwaterMap", "asyncio", "map"),
    "headwater-map-uvloop": Row("ours", "HeadwaterMap", "uvloop", "map"),
    "headwater-map-trio": Row("ours", "HeadwaterMap", "trio", "map"),
    "aiohttp": Row("aiohttp_msgspec", "Aiohttp", "asyncio"),
    "httpx": Row("httpx_msgspec", "Httpx", "asyncio"),
    "httpx2": Row("httpx2_msgspec", "Httpx2", "asyncio"),
    "huggingface_hub": Row("huggingface", "HuggingFace", "asyncio", "semaphore"),
    "openai": Row("openai_sdk", "OpenAI", "asyncio", "semaphore"),
    "openai-pool": Row("openai_sdk", "OpenAIOnPool", "asyncio"),
    "openai-trio": Row("openai_sdk", "OpenAI", "trio"),
    "openai-pool-trio": Row("openai_sdk", "OpenAIOnPool", "trio"),
    "anthropic": Row("anthropic_sdk", "Anthropic", "asyncio"),
    "anthropic-pool": Row("anthropic_sdk", "AnthropicOnPool", "asyncio"),
    "anthropic-trio": Row("anthropic_sdk", "Anthropic", "trio"),
    "anthropic-pool-trio": Row("anthropic_sdk", "AnthropicOnPool", "trio"),
    "huggingface_hub-pool": Row("huggingface", "HuggingFaceOnPool", "asyncio"),
    "huggingface_hub-trio": Row("huggingface", "HuggingFace", "trio"),
    "huggingface_hub-pool-trio": Row("huggingface", "HuggingFaceOnPool", "trio"),
    "mcp": Row("mcp_session", "Mcp", "asyncio"),
    "mcp-pool": Row("mcp_session", "McpOnPool", "asyncio"),
    "mcp-trio": Row("mcp_session", "Mcp", "trio"),
    "mcp-pool-trio": Row("mcp_session", "McpOnPool", "trio"),
    "raw-sync": Row("raw_sync", "RawSync", "sync"),
    "headwater-sync": Row("ours", "HeadwaterSync", "sync"),
    "httpx-sync": Row("httpx_msgspec", "HttpxSync", "sync"),
    "huggingface_hub-sync": Row("huggingface", "HuggingFaceSync", "sync"),
    "openai-sync": Row("openai_sdk", "OpenAISync", "sync"),
}
LABELS = {
    "aiohttp": "aiohttp + msgspec",
    "httpx": "httpx + msgspec",
    "httpx2": "httpx2 + msgspec",
    "httpx-sync": "httpx + msgspec (sync)",
}


def load(name: str) -> Any:
    """Import a client's class; ImportError when its library is not installed."""
    row = CLIENTS[name]
    return getattr(importlib.import_module(f"benchmarks.clients.{row.module}"), row.name)
