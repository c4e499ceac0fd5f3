"""The anthropic package, on httpx2's own transport and on headwater's pool. The limit of connections is lifted."""

from typing import Self

import anthropic

from benchmarks import wire
from benchmarks.clients.on_pool import on_own, on_pool


class Anthropic:
    """One `AsyncAnthropic`."""

    http = staticmethod(on_own)

    def __init__(self, url: str) -> None:
        self.client = anthropic.AsyncAnthropic(
            base_url=url, api_key="bench", max_retries=0, timeout=600, http_client=self.http()
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.client.close()

    async def chat(self) -> str:
        question = [{"role": "user", "content": wire.MESSAGES[1]["content"]}]
        system = wire.MESSAGES[0]["content"]
        answer = await self.client.messages.create(
            model=wire.MODEL,
            system=system,
            messages=question,  # type: ignore[arg-type]
            max_tokens=wire.MAX_TOKENS,
        )
        return "".join(block.text for block in answer.content if block.type == "text")


class AnthropicOnPool(Anthropic):
    """The same on headwater's pool."""

    http = staticmethod(on_pool)
