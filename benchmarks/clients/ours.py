"""headwater, async on any loop and blocking: the public names, no settings."""

import functools
from collections.abc import Callable, Iterator
from typing import Any, Self

from benchmarks import wire
from headwater import AsyncInferenceClient, InferenceClient


class Headwater:
    """One `AsyncInferenceClient`."""

    def __init__(self, url: str) -> None:
        self.client = AsyncInferenceClient(base_url=url, api_key="bench")
        self.openai = AsyncInferenceClient(base_url=url + "/v1", api_key="bench")  # for OpenAI's embeddings

    async def __aenter__(self) -> Self:
        await self.client.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.client.close()
        await self.openai.close()

    async def chat(self) -> str:
        answer = await self.client.chat_completion(wire.MESSAGES, model=wire.MODEL, max_tokens=wire.MAX_TOKENS)
        return answer.choices[0].message.content or ""

    async def stream(self, chunks: int) -> list[str]:
        call = self.client.chat_completion.stream(wire.MESSAGES, model=wire.MODEL, max_tokens=chunks)
        async with call as run:
            return [chunk.choices[0].delta.content or "" async for chunk in run]

    async def watch(self, chunks: int, take: Callable[[str], object]) -> None:
        call = self.client.chat_completion.stream(wire.MESSAGES, model=wire.MODEL, max_tokens=chunks)
        async with call as run:
            async for chunk in run:
                take(chunk.choices[0].delta.content or "")

    async def embed(self, texts: list[str], *, packed: bool) -> Any:
        if packed:
            return await self.openai.feature_extraction(texts, model=wire.MODEL, encoding_format="base64")
        return await self.client.feature_extraction(texts)


class HeadwaterMap(Headwater):
    """The same, which works off a queue by its own `map`."""

    async def mapped(self, inputs: Iterator[wire.Messages], at_once: int, take: Callable[[str], object]) -> None:
        """Ask for a chat completion for each input, so many at once, and hand over their texts as they come."""
        ask = functools.partial(self.client.chat_completion, model=wire.MODEL, max_tokens=wire.MAX_TOKENS)
        async with self.client.map(ask, inputs, concurrency=at_once) as results:
            async for result in results:
                take(result.value.choices[0].message.content or "")


class HeadwaterSync:
    """One `InferenceClient`."""

    def __init__(self, url: str) -> None:
        self.client = InferenceClient(base_url=url, api_key="bench")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.client.close()

    def chat(self) -> str:
        answer = self.client.chat_completion(wire.MESSAGES, model=wire.MODEL, max_tokens=wire.MAX_TOKENS)
        return answer.choices[0].message.content or ""

    def stream(self, chunks: int) -> list[str]:
        call = self.client.chat_completion.stream(wire.MESSAGES, model=wire.MODEL, max_tokens=chunks)
        with call as run:
            return [chunk.choices[0].delta.content or "" for chunk in run]
