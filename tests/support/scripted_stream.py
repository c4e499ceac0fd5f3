"""The far side of connections that have no sockets, under the real pool: bytes on the wire, each as it would come.

`FarSide.dial` stands in for the pool's own. What is sent to it is kept; nothing here knows what an answer means.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

import anyio
from anyio import BrokenResourceError
from anyio.lowlevel import checkpoint

Step: TypeAlias = "bytes | float"
"""Bytes that come at once, or seconds of silence."""
END: Final = b""
"""The peer closes its side; without it the connection stays open for the next request."""
RESET: Final = -1.0


class Wire:
    """A connected stream (`transport.streams.Stream`)."""

    def __init__(self, script: Callable[[bytes], Iterable[Step]]) -> None:
        self.closed = False
        self._script = script
        self._asked = b""
        self._due = 0.0
        self._steps: deque[Step] = deque()

    async def send(self, data: memoryview) -> None:
        await checkpoint()
        if self.closed:
            raise BrokenResourceError
        self._asked += data
        head, found, body = self._asked.partition(b"\r\n\r\n")
        length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0")
        if found and len(body) >= int(length.partition(b":")[2]):
            request, self._asked = self._asked, b""
            self._steps.extend(self._script(request))

    def keep(self, waiting: Any) -> None:
        """What is taken is returned."""

    def wait_until(self, moment: float) -> bool:
        return False

    async def receive(self) -> bytes:
        while True:
            await checkpoint()
            if self.closed:
                raise BrokenResourceError
            if not self._steps:
                await anyio.sleep_forever()
            step = self._steps[0]
            if isinstance(step, bytes):
                if step != END:  # an end stays one
                    self._steps.popleft()
                return step
            if step == RESET:
                raise BrokenResourceError
            self._due = self._due or anyio.current_time() + step  # it passes whether or not somebody waits
            await anyio.sleep_until(self._due)
            self._due = 0.0
            self._steps.popleft()

    def readable(self) -> bool:
        return self.closed or bool(self._steps)

    stale = readable

    def close(self) -> None:
        self.closed = True

    disown = close

    shut = close


class FarSide:
    """Answers each request by `script(request)`; `dial` is for `headwater.transport.pool.dial`."""

    def __init__(self, script: Callable[[bytes], Iterable[Step]]) -> None:
        self.requests: list[bytes] = []
        self._script = script
        self._wires: list[Wire] = []

    async def dial(self, *_: Any) -> Wire:
        await checkpoint()
        self._wires = [wire for wire in self._wires if not wire.closed]
        self._wires.append(Wire(self._answer))
        return self._wires[-1]

    def open(self) -> int:
        """How many connections are open."""
        return sum(not wire.closed for wire in self._wires)

    def _answer(self, request: bytes) -> Iterable[Step]:
        self.requests.append(request)
        return self._script(request)


def head(content_type: str, *fields: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", f"Content-Type: {content_type}", *fields, "", ""]).encode()


def chunks(body: bytes, size: int) -> bytes:
    """The body in chunks of this size, without the last one."""
    pieces = (body[start : start + size] for start in range(0, len(body), size))
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
