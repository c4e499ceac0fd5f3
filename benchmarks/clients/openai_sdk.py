"""The openai package, async and blocking, into its own typed models.

The limit of connections is lifted, and so are the 5 seconds to connect, which a busy core exceeds. No retry.
"""

from collections.abc import Callable
from typing import Any, Self

import httpx2
import numpy as np
import openai

from benchmarks import wire
from benchmarks.clients.on_pool import LIMITS, TIMEOUT, on_pool


class OpenAI:
    """One `AsyncOpenAI`."""

    def __init__(self, url: str) -> None:
        self.client = openai.AsyncOpenAI(
            base_url=url + "/v1", api_key="bench", max_retries=0, timeout=TIMEOUT, http_client=self.http()
        )

    def http(self) -> httpx2.AsyncClient:
        return openai.DefaultAsyncHttpxClient(limits=LIMITS, timeout=TIMEOUT)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.client.close()

    async def chat(self) -> str:
        answer = await self.client.chat.completions.create(**_arguments(wire.MAX_TOKENS))
        return answer.choices[0].message.content or ""

    async def stream(self, chunks: int) -> list[str]:
        run = await self.client.chat.completions.create(**_arguments(chunks), stream=True)
        async with run:
            return [chunk.choices[0].delta.content or "" async for chunk in run]

    async def watch(self, chunks: int, take: Callable[[str], object]) -> None:
        run = await self.client.chat.completions.create(**_arguments(chunks), stream=True)
        async with run:
            async for chunk in run:
                take(chunk.choices[0].delta.content or "")

    async def embed(self, texts: list[str], *, packed: bool) -> Any:
        # With base64 named, the package hands over the text; unnamed, it asks for base64 and makes lists.
        if packed:
            answer = await self.client.embeddings.create(model=wire.MODEL, input=texts)
        else:
            answer = await self.client.embeddings.create(model=wire.MODEL, input=texts, encoding_format="float")
        return np.array([item.embedding for item in answer.data], dtype=np.float32)


class OpenAIOnPool(OpenAI):
    """The same on headwater's pool."""

    def http(self) -> httpx2.AsyncClient:
        return on_pool()


class OpenAISync:
    """One `openai.OpenAI`."""

    def __init__(self, url: str) -> None:
        transport = openai.DefaultHttpxClient(limits=LIMITS, timeout=TIMEOUT)
        self.client = openai.OpenAI(
            base_url=url + "/v1", api_key="bench", max_retries=0, timeout=TIMEOUT, http_client=transport
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.client.close()

    def chat(self) -> str:
        answer = self.client.chat.completions.create(**_arguments(wire.MAX_TOKENS))
        return answer.choices[0].message.content or ""

    def stream(self, chunks: int) -> list[str]:
        with self.client.chat.completions.create(**_arguments(chunks), stream=True) as run:
            return [chunk.choices[0].delta.content or "" for chunk in run]


def _arguments(max_tokens: int) -> dict[str, Any]:
    return {"model": wire.MODEL, "messages": wire.MESSAGES, "max_tokens": max_tokens}
