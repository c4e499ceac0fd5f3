"""How an answer goes out: event by event at the pace asked for, and no further once the client has left."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import anyio
from starlette.types import Receive, Send

from .traffic import Traffic
from .wire import DialectAnswer, StreamAnswer, WholeAnswer


@dataclass(frozen=True, slots=True)
class EventPace:
    """``delay`` seconds lie between events; from event ``after`` on none is sent before ``gate`` is open."""

    delay: float = 0.0
    gate: anyio.Event | None = None
    after: int = 0

    async def before(self, number: int) -> None:
        """Wait until event ``number`` may go."""
        if self.gate is not None and number >= self.after:
            await self.gate.wait()
        # Without a delay too: it gives other connections their turn in a long stream.
        await anyio.sleep(self.delay if number else 0)


class AnswerSender:
    """One answer on its way to one client."""

    def __init__(self, traffic: Traffic, pace: EventPace, receive: Receive, send: Send) -> None:
        self.traffic, self.pace, self.receive, self.send = traffic, pace, receive, send
        self.finished = False

    async def run(self, answer: DialectAnswer, headers: dict[str, str]) -> None:
        """Send ``answer``; stop, and count it, when the client goes away before the end."""
        async with anyio.create_task_group() as group:
            group.start_soon(self.watch, group.cancel_scope)
            if isinstance(answer, StreamAnswer):
                await self.stream(answer, headers)
            else:
                await self.whole(answer, headers)
            group.cancel_scope.cancel()

    async def watch(self, sending: anyio.CancelScope) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        if not self.finished:
            self.traffic.left()
            sending.cancel()

    async def whole(self, answer: WholeAnswer, headers: dict[str, str]) -> None:
        if self.pace.gate is not None:
            await self.pace.gate.wait()
        await anyio.sleep(self.pace.delay)
        body = answer.encoded()
        length = {"content-length": str(len(body))}
        await self.start(answer.status, answer.media_type, {**headers, **answer.headers, **length})
        await self.end(body)

    async def stream(self, answer: StreamAnswer, headers: dict[str, str]) -> None:
        await self.pace.before(0)
        await self.start(200, answer.media_type, {**headers, **answer.headers, "cache-control": "no-cache"})
        for number, frame in enumerate(answer.frames):
            await self.pace.before(number)
            await self.send({"type": "http.response.body", "body": frame, "more_body": True})
        await self.end(b"")

    async def start(self, status: int, media_type: str, headers: dict[str, str]) -> None:
        pairs: Iterable[tuple[str, str]] = ({"content-type": media_type} | headers).items()
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})

    async def end(self, body: bytes) -> None:
        # Set first: the server reports a disconnect as soon as the last byte is handed over.
        self.finished = True
        await self.send({"type": "http.response.body", "body": body})
