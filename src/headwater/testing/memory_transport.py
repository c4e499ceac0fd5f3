"""A transport without a network: a response is a script of pieces, silences and failures.

It stands where the connections would: all above it is the real client, with its retries, deadlines and cancellation.
A silence is anyio's sleep, so a test that has a clock of its own needs no real seconds.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from typing import Any, Self, TypeAlias

import anyio
import msgspec
from anyio.lowlevel import checkpoint

from ..errors import ConnectionLostError
from ..protocol.framing import EVENT_STREAM
from ..protocol.transport import TransportRequest

ScriptStep: TypeAlias = "bytes | float | BaseException"
"""Bytes of a body that come at once, seconds of silence (`FOREVER` for no end), or what is raised in their place."""


class SentRequest(msgspec.Struct, kw_only=True, frozen=True):
    """What a client sent. `headers`: by lower-case name. `connect_timeout`: seconds that it would wait to connect."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    connect_timeout: float | None = None

    def json(self) -> Any:
        """The body, decoded; `ValueError` where it is no JSON."""
        return json.loads(self.body)

    def __repr__(self) -> str:
        """Without the headers, which have the key."""
        return f"<SentRequest {self.method} {self.url}>"


class ScriptedResponse:
    """A response whose body comes step by step.

    `head`: steps before its status and headers arrive, none of them bytes. Afterwards `whole` says whether the client
    has read it to its end, `closed` whether it gave it up. One response serves one request.
    """

    def __init__(
        self,
        *steps: ScriptStep,
        status: int = 200,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
        head: Iterable[float | BaseException] = (),
    ) -> None:
        self.status = status
        self.headers = {
            "content-type": content_type,
            **{name.lower(): value for name, value in (headers or {}).items()},
        }
        self.surplus = self.kept = False
        self.closed = self.whole = False
        self.head = list(head)
        self._steps = list(steps)
        self._silent_until: float | None = None

    @classmethod
    def json(cls, value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Self:
        """A whole JSON body."""
        return cls(json.dumps(value).encode(), status=status, headers=headers)

    @classmethod
    def events(cls, *data: object, last: str | None = "[DONE]") -> Self:
        """A stream of server-sent events, each with this value as JSON; then `last` as it is, unless it is None."""
        texts = [json.dumps(value) for value in data] + ([] if last is None else [last])
        return cls(*(f"data: {text}\n\n".encode() for text in texts), content_type=EVENT_STREAM)

    async def receive(self) -> bytes:
        """The body's next piece; b"" at its end."""
        await checkpoint()
        while self._steps:
            if self.closed:
                raise ConnectionLostError("closed")
            step = self._steps[0]
            if isinstance(step, bytes):
                self._steps.pop(0)
                return step
            if isinstance(step, BaseException):
                raise step
            await self._silence(step)
            self._steps.pop(0)
        self.whole = True
        return b""

    async def _silence(self, seconds: float) -> None:
        """Wait for as long as is left of it: a read that was cancelled has waited for a part."""
        if self._silent_until is None:
            self._silent_until = anyio.current_time() + seconds
        await anyio.sleep_until(self._silent_until)
        self._silent_until = None

    def ready(self) -> bool:
        """Whether `receive` would return at once."""
        return not self._steps or isinstance(self._steps[0], bytes)

    async def aclose(self) -> None:
        """Give the rest up."""
        self.closed = True
        await checkpoint()

    def drop(self) -> None:
        """Give the rest up, from any thread."""
        self.closed = True


class MemoryTransport:
    """Answers each request by `respond(request)`; where that returns an exception, it is raised as the network's.

    Pass it as `transport=` to either client. `headwater.ConnectError`, `ConnectionLostError` and the like are what a
    network would raise: the client retries them as it would there. `requests`: all that was sent, in order;
    `responses`: what was answered.
    """

    def __init__(self, respond: Callable[[SentRequest], ScriptedResponse | BaseException]) -> None:
        self.requests: list[SentRequest] = []
        self.responses: list[ScriptedResponse] = []
        self._respond = respond

    @classmethod
    def in_turn(cls, *responses: ScriptedResponse | BaseException) -> MemoryTransport:
        """One that gives these, one a request; a request more than there are raises `AssertionError`."""
        waiting = list(responses)

        def respond(request: SentRequest) -> ScriptedResponse | BaseException:
            try:
                return waiting.pop(0)
            except IndexError:
                return AssertionError(f"no response is left for {request!r}")

        return MemoryTransport(respond)

    async def send(self, request: TransportRequest) -> ScriptedResponse:
        """The response once its head is there."""
        sent = SentRequest(
            method=request.method,
            url=str(request.url),
            headers={name.lower(): value for name, value in request.headers},
            body=await _gathered(request.body),
            connect_timeout=request.connect_timeout,
        )
        self.requests.append(sent)
        await checkpoint()
        response = self._respond(sent)
        if isinstance(response, BaseException):
            raise response
        self.responses.append(response)
        try:
            for step in response.head:
                await _pass(step)
        except BaseException:
            response.closed = True
            raise
        return response

    async def aclose(self) -> None:
        """There is nothing to close."""

    def unfinished(self) -> list[ScriptedResponse]:
        """The responses that were neither read whole nor closed: empty once a client has let go of its calls."""
        return [response for response in self.responses if not response.closed and not response.whole]


async def _gathered(body: bytes | AsyncIterable[bytes]) -> bytes:
    return body if isinstance(body, bytes) else b"".join([bytes(piece) async for piece in body])


async def _pass(step: float | BaseException) -> None:
    if isinstance(step, BaseException):
        raise step
    await anyio.sleep(step)
