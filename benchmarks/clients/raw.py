"""The limit: an asyncio protocol, the llhttp parser and msgspec, and nothing that a library must have.

No timeouts, no cancellation, no backpressure, no error handling, no redirects, no headers kept.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Self, cast
from urllib.parse import urlsplit

import httptools

from benchmarks import shapes


class Wire(asyncio.Protocol):
    """One connection; its reader takes whatever has come since it last asked."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.done = False
        self.waiter: asyncio.Future[None] | None = None
        self.parser: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.done = True
        self._wake()

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)
        if self.parts or self.done:
            self._wake()

    def on_body(self, data: bytes) -> None:
        self.parts.append(data)

    def on_message_complete(self) -> None:
        self.done = True

    def send(self, request: bytes) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.done = False
        self.transport.write(request)

    async def more(self) -> bytes:
        """The next bytes of the body; empty at its end."""
        while not self.parts and not self.done:
            self.waiter = asyncio.get_running_loop().create_future()
            await self.waiter
        data = b"".join(self.parts)
        self.parts.clear()
        return data

    def _wake(self) -> None:
        waiter, self.waiter = self.waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


class Raw:
    """A list of idle connections and the work."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.url = url
        self.host, self.port = str(parts.hostname), parts.port or 80
        self.context = ssl.create_default_context() if parts.scheme == "https" else None
        self.idle: list[Wire] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        for wire in self.idle:
            wire.transport.abort()
        await asyncio.sleep(0)

    async def chat(self) -> str:
        return shapes.text_of(await self._whole("/v1/chat/completions", shapes.chat_request(stream=False)))

    async def stream(self, chunks: int) -> list[str]:
        events = shapes.Events()
        texts: list[str] = []
        wire = await self._send("/v1/chat/completions", shapes.chat_request(stream=True, max_tokens=chunks))
        while data := await wire.more():
            texts += shapes.texts_of(events.feed(data))
        self.idle.append(wire)
        return texts

    async def watch(self, chunks: int, take: Callable[[str], object]) -> None:
        events = shapes.Events()
        wire = await self._send("/v1/chat/completions", shapes.chat_request(stream=True, max_tokens=chunks))
        while data := await wire.more():
            shapes.hand_over(events.feed(data), take)
        self.idle.append(wire)

    async def embed(self, texts: list[str], *, packed: bool) -> Any:
        path = "/v1/embeddings" if packed else ""
        body = await self._whole(path, shapes.embed_request(texts, packed=packed))
        return shapes.matrix_of(body, packed=packed)

    async def _whole(self, path: str, body: bytes) -> bytes:
        wire = await self._send(path, body)
        parts = []
        while data := await wire.more():
            parts.append(data)
        self.idle.append(wire)
        return b"".join(parts)

    async def _send(self, path: str, body: bytes) -> Wire:
        wire = self.idle.pop() if self.idle else await self._connect()
        wire.send(shapes.post(self.url + path, body))
        return wire

    async def _connect(self) -> Wire:
        loop = asyncio.get_running_loop()
        _, wire = await loop.create_connection(Wire, self.host, self.port, ssl=self.context)
        return wire
