"""httpx with msgspec, async and blocking. The limit of connections is lifted."""

from collections.abc import Callable
from typing import Any, Self

import httpx

from benchmarks import shapes

HEADERS = {"authorization": "Bearer bench", "content-type": "application/json"}
LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=20)
TIMEOUT = httpx.Timeout(600)


class Httpx:
    """One `httpx.AsyncClient`."""

    def __init__(self, url: str, library: Any = httpx) -> None:
        self.url = url
        # Keeping more than the default of idle connections makes the pool slower: it polls each for each request.
        limits = library.Limits(max_connections=None, max_keepalive_connections=20)
        self.client = library.AsyncClient(headers=HEADERS, limits=limits, timeout=library.Timeout(600))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.client.aclose()

    async def chat(self) -> str:
        return shapes.text_of(await self._whole("/v1/chat/completions", shapes.chat_request(stream=False)))

    async def stream(self, chunks: int) -> list[str]:
        events = shapes.Events()
        texts: list[str] = []
        body = shapes.chat_request(stream=True, max_tokens=chunks)
        url = self.url + "/v1/chat/completions"
        async with self.client.stream("POST", url, content=body) as response:
            response.raise_for_status()
            async for data in response.aiter_bytes():
                texts += shapes.texts_of(events.feed(data))
        return texts

    async def watch(self, chunks: int, take: Callable[[str], object]) -> None:
        events = shapes.Events()
        body = shapes.chat_request(stream=True, max_tokens=chunks)
        async with self.client.stream("POST", self.url + "/v1/chat/completions", content=body) as response:
            response.raise_for_status()
            async for data in response.aiter_bytes():
                shapes.hand_over(events.feed(data), take)

    async def embed(self, texts: list[str], *, packed: bool) -> Any:
        path = "/v1/embeddings" if packed else ""
        body = await self._whole(path, shapes.embed_request(texts, packed=packed))
        return shapes.matrix_of(body, packed=packed)

    async def _whole(self, path: str, body: bytes) -> bytes:
        response = await self.client.post(self.url + path, content=body)
        return response.raise_for_status().content


class HttpxSync:
    """One `httpx.Client`."""

    def __init__(self, url: str) -> None:
        self.url = url + "/v1/chat/completions"
        self.client = httpx.Client(headers=HEADERS, limits=LIMITS, timeout=TIMEOUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.client.close()

    def chat(self) -> str:
        response = self.client.post(self.url, content=shapes.chat_request(stream=False))
        return shapes.text_of(response.raise_for_status().content)

    def stream(self, chunks: int) -> list[str]:
        events = shapes.Events()
        texts: list[str] = []
        body = shapes.chat_request(stream=True, max_tokens=chunks)
        with self.client.stream("POST", self.url, content=body) as response:
            response.raise_for_status()
            for data in response.iter_bytes():
                texts += shapes.texts_of(events.feed(data))
        return texts
