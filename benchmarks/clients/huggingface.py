"""huggingface_hub's two clients, into their own dataclasses. The limit of connections is lifted."""

from collections.abc import Callable
from typing import Any, Self

import httpx2
import huggingface_hub
from huggingface_hub.utils import _http

from benchmarks import wire
from benchmarks.clients.on_pool import TIMEOUT
from headwater.integrations.httpx2 import PoolTransport

# Keeping more than the default of idle connections makes the pool slower: it polls each one for each request.
LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=20)


HOOKS: dict[str, list[Any]] = {
    "request": [_http.async_hf_request_event_hook],
    "response": [_http.async_hf_response_event_hook],
}
"""Of the package's own session."""


def _own_session() -> httpx2.AsyncClient:
    """The package's own session with the limits lifted."""
    return httpx2.AsyncClient(event_hooks=HOOKS, follow_redirects=True, timeout=None, limits=LIMITS)


def _pool_session() -> httpx2.AsyncClient:
    """The same on headwater's pool."""
    return httpx2.AsyncClient(event_hooks=HOOKS, follow_redirects=True, timeout=TIMEOUT, transport=PoolTransport())


class HuggingFace:
    """One `AsyncInferenceClient`."""

    session = staticmethod(_own_session)

    def __init__(self, url: str) -> None:
        _http.set_async_client_factory(self.session)
        self.client = huggingface_hub.AsyncInferenceClient(base_url=url, api_key="bench", timeout=600)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.client.close()  # type: ignore[no-untyped-call]

    async def chat(self) -> str:
        answer = await self.client.chat_completion(wire.MESSAGES, max_tokens=wire.MAX_TOKENS)
        return answer.choices[0].message.content or ""

    async def stream(self, chunks: int) -> list[str]:
        run = await self.client.chat_completion(wire.MESSAGES, max_tokens=chunks, stream=True)
        return [chunk.choices[0].delta.content or "" async for chunk in run]

    async def watch(self, chunks: int, take: Callable[[str], object]) -> None:
        run = await self.client.chat_completion(wire.MESSAGES, max_tokens=chunks, stream=True)
        async for chunk in run:
            take(chunk.choices[0].delta.content or "")

    async def embed(self, texts: list[str], *, packed: bool) -> Any:
        if packed:
            raise NotImplementedError("huggingface_hub does not unpack base64")
        return await self.client.feature_extraction(texts)


class HuggingFaceOnPool(HuggingFace):
    """The same on headwater's pool."""

    session = staticmethod(_pool_session)


class HuggingFaceSync:
    """One `InferenceClient`."""

    def __init__(self, url: str) -> None:
        self.client = huggingface_hub.InferenceClient(base_url=url, api_key="bench", timeout=600)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.client.exit_stack.close()

    def chat(self) -> str:
        answer = self.client.chat_completion(wire.MESSAGES, max_tokens=wire.MAX_TOKENS)
        return answer.choices[0].message.content or ""

    def stream(self, chunks: int) -> list[str]:
        run = self.client.chat_completion(wire.MESSAGES, max_tokens=chunks, stream=True)
        return [chunk.choices[0].delta.content or "" for chunk in run]
