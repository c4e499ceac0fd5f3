"""A transport without sockets: it answers chats as a test says, and counts what it is asked and what is given up."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from anyio.lowlevel import checkpoint

Answer = Callable[[str], Awaitable[tuple[int, Mapping[str, str]]]]
"""What becomes of a question: a status and headers."""


async def at_once(question: str) -> tuple[int, Mapping[str, str]]:
    await checkpoint()
    return 200, {}


class Body:
    """An answer that is there."""

    surplus = False

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = {"content-type": "application/json", **headers}
        self._body = body

    async def receive(self) -> bytes:
        body, self._body = self._body, b""
        return body

    def ready(self) -> bool:
        return True

    async def aclose(self) -> None:
        self._body = b""

    def drop(self) -> None:
        self._body = b""


class Chats:
    """Echoes the last message. `open`: requests in flight, `most` of them at once; `cancelled`: that were given up."""

    def __init__(self, answer: Answer = at_once) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.open = self.most = self.cancelled = 0

    async def send(self, outgoing: Any) -> Body:
        question = json.loads(bytes(outgoing.body))["messages"][-1]["content"]
        self.asked.append(question)
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            status, headers = await self.answer(question)
        except BaseException:
            self.cancelled += 1
            raise
        finally:
            self.open -= 1
        if status != 200:
            return Body(status, headers, b'{"error": {"message": "no"}}')
        message = {"role": "assistant", "content": question}
        body = {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        }
        return Body(200, headers, json.dumps(body).encode())

    async def aclose(self) -> None:
        pass


def chat(question: object) -> list[dict[str, str]]:
    return [{"role": "user", "content": str(question)}]
