"""aiohttp with msgspec: what a careful programmer writes by hand. The limit of connections is lifted."""

from collections.abc import Callable
from typing import Any, Self

import aiohttp

from benchmarks import shapes

HEADERS = {"authorization": "Bearer bench", "content-type": "application/json"}


class Aiohttp:
    """One session."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=600)
        self.session = aiohttp.ClientSession(connector=connector, headers=HEADERS, timeout=timeout)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.session.close()

    async def chat(self) -> str:
        return shapes.text_of(await self._whole("/v1/chat/completions", shapes.chat_request(stream=False)))

    async def stream(self, chunks: int) -> list[str]:
        events = shapes.Events()
        texts: list[str] = []
        body = shapes.chat_request(stream=True, max_tokens=chunks)
        async with self.session.post(self.url + "/v1/chat/completions", data=body) as response:
            response.raise_for_status()
            async for data in response.content.iter_any():
                texts += shapes.texts_of(events.feed(data))
        return texts

    async def watch(self, chunks: int, take: Callable[[str], object]) -> None:
        events = shapes.Events()
        body = shapes.chat_request(stream=True, max_tokens=chunks)
        async with self.session.post(self.url + "/v1/chat/completions", data=body) as response:
            response.raise_for_status()
            async for data in response.content.iter_any():
                shapes.hand_over(events.feed(data), take)

    async def embed(self, texts: list[str], *, packed: bool) -> Any:
        path = "/v1/embeddings" if packed else ""
        body = await self._whole(path, shapes.embed_request(texts, packed=packed))
        return shapes.matrix_of(body, packed=packed)

    async def _whole(self, path: str, body: bytes) -> bytes:
        async with self.session.post(self.url + path, data=body) as response:
            response.raise_for_status()
            return await response.read()
