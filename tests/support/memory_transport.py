"""A transport without sockets: an answer is a script of body pieces, waits and failures.

What the clients sent is kept in `requests`, every answer in `answers`. No event loop of its own: a wait is anyio's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import anyio
from anyio.lowlevel import checkpoint

from headwater.errors import ConnectionLostError
from headwater.protocol.transport import TransportRequest

Step: TypeAlias = "bytes | float | BaseException"
FOREVER = math.inf
SSE = "text/event-stream"


class Answer:
    """An answer: `steps` are pieces of its body, seconds of silence, or what is raised in the body's place."""

    def __init__(
        self,
        *steps: Step,
        status: int = 200,
        content_type: str = "application/json",
        head: Iterable[Step] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.headers = {"content-type": content_type, **(headers or {})}
        self.surplus = False
        self.closed = False
        self.whole = False
        self.head = list(head)
        self._steps = list(steps)

    async def receive(self) -> bytes:
        await checkpoint()
        while self._steps:
            if self.closed:
                raise ConnectionLostError("closed")
            step = self._steps[0]
            if isinstance(step, bytes):
                self._steps.pop(0)
                return step
            await _wait(step)
            self._steps.pop(0)
        self.whole = True
        return b""

    def ready(self) -> bool:
        return not self._steps or isinstance(self._steps[0], bytes)

    async def aclose(self) -> None:
        self.closed = True
        await checkpoint()

    def drop(self) -> None:
        self.closed = True


async def _wait(step: Step) -> None:
    if isinstance(step, BaseException):
        raise step
    assert not isinstance(step, bytes)
    await anyio.sleep(step)


class Memory:
    """Answers each request by `script(request)`; an exception in an answer's place is raised."""

    def __init__(self, script: Callable[[TransportRequest], Answer | BaseException]) -> None:
        self._script = script
        self.requests: list[TransportRequest] = []
        self.answers: list[Answer] = []

    async def send(self, request: TransportRequest) -> Answer:
        self.requests.append(request)
        await checkpoint()
        answer = self._script(request)
        if isinstance(answer, BaseException):
            raise answer
        self.answers.append(answer)
        try:
            for step in answer.head:
                await _wait(step)
        except BaseException:
            answer.closed = True
            raise
        return answer

    async def aclose(self) -> None:
        pass

    def open(self) -> list[Answer]:
        """The answers that were neither read whole nor closed."""
        return [answer for answer in self.answers if not answer.closed and not answer.whole]


def in_turn(*answers: Answer | BaseException) -> Memory:
    """A transport that gives these answers, one a request; more requests than answers fail the test."""
    waiting = list(answers)
    return Memory(lambda _: waiting.pop(0))
