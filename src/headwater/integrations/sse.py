"""A run as server-sent events, in any ASGI application: the model stops when the browser goes away.

    await EventStream(client.chat_completion.stream(messages))(scope, receive, send)

Every event is a `data:` line of JSON, sent as soon as it is there; the last one is `data: [DONE]`, as OpenAI has it. A
run that fails before anything was sent gives an HTTP error; after that, `event: error` with the same JSON, so that no
stream ends in silence. It reads from the model only as fast as the browser takes what was read.

It refuses to resume: a connection that broke is a new call, which costs again. Let pages use `fetch`: an `EventSource`
connects again by itself. https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any, Final, TypeAlias

import anyio
import anyio.lowlevel
import msgspec

from ..engine.run import AsyncRun
from ..errors import (
    CallError,
    ContentRefusedError,
    HeadwaterError,
    InferenceTimeoutError,
    InvalidParameterError,
    InvalidRequestError,
    ModelLoadingError,
    OverloadedError,
    RateLimitError,
)
from ..tasks.output import to_json

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
_Send: TypeAlias = Callable[[Message], Awaitable[None]]
_Headers: TypeAlias = Iterable[tuple[bytes, bytes]]
Encode: TypeAlias = Callable[[Any], str | bytes | None]

HEARTBEAT: Final = 15.0
"""Seconds of silence before a comment is sent, below the 30 or 60 after which proxies close a connection."""
HEADERS: Final = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering
)
_COMMENT: Final = b":\n\n"
_DONE: Final = b"data: [DONE]\n\n"
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_STATUSES: Final = (
    (InferenceTimeoutError, 504),
    ((RateLimitError, OverloadedError, ModelLoadingError), 503),
    (ContentRefusedError, 422),
    ((InvalidRequestError, InvalidParameterError), 400),
    (CallError, 500),
)


def public_error(error: HeadwaterError) -> Mapping[str, Any]:
    """What a browser may know of a failure: its class, and whether and when (seconds) to try again.

    The server's words are left out: they may name hosts, accounts and models that are nobody's business there.
    """
    return {"type": type(error).__name__, "retryable": error.retryable, "retry_after": error.retry_after}


class EventStream:
    """An ASGI application that answers one request with the events of a run, which it closes in the end.

    `encode` makes an event's data, by default JSON with media as base64; None leaves the event out. `describe`
    makes the JSON object of a failure (`{"error": ...}`), and is the place to log it. `heartbeat`: seconds of
    silence after which a comment is sent; it also settles the status as 200. `headers` are the answer's, in place
    of `HEADERS`.

    Raises `InvalidParameterError` for a heartbeat that is not positive. Once it answers it raises what `encode` and
    `describe` do, in a group.
    """

    def __init__(
        self,
        run: AsyncRun[Any, Any],
        *,
        encode: Encode = to_json,
        describe: Callable[[HeadwaterError], Mapping[str, Any]] = public_error,
        heartbeat: float = HEARTBEAT,
        headers: _Headers = HEADERS,
    ) -> None:
        if not heartbeat > 0:
            raise InvalidParameterError("heartbeat must be a number of seconds above 0")
        self.headers = headers
        self._run = run
        self._encode = encode
        self._describe = describe
        self._heartbeat = heartbeat

    async def __call__(self, scope: Message, receive: Receive, send: _Send) -> None:
        """Answer the request, whose body has been read."""
        # The run is closed after the group has ended, so that nothing reads it any more, and outside of its scope.
        async with self._run, anyio.create_task_group() as group:
            answer = _Answer(send, self.headers, group.cancel_scope)
            group.start_soon(answer.watch, receive)
            group.start_soon(answer.beat, self._heartbeat)
            await self._pass_on(answer)
            group.cancel_scope.cancel()

    async def _pass_on(self, answer: _Answer) -> None:
        try:
            while events := await self._run.drain():
                await answer.put(b"".join(map(self._frame, events)))
        except HeadwaterError as error:
            body = msgspec.json.encode({"error": self._describe(error)})
            await answer.fail(error, body)
        else:
            await answer.end(_DONE)

    def _frame(self, event: Any) -> bytes:
        data = self._encode(event)
        return b"" if data is None else format_event(data)


def format_event(data: str | bytes, event: str = "") -> bytes:
    """One server-sent event; every line of its data is a line of its own."""
    lines = _LINE_END.split(data.encode() if isinstance(data, str) else data)
    name = f"event: {event}\n".encode() if event else b""
    return name + b"".join(b"data: %b\n" % line for line in lines) + b"\n"


class _Answer:
    """The answer as far as it was sent. One part at a time: heartbeats come from a task of their own."""

    def __init__(self, send: _Send, headers: _Headers, scope: anyio.CancelScope) -> None:
        self._send = send
        self._headers = list(headers)
        self._scope = scope
        self._turn = anyio.Lock(fast_acquire=True)
        self._is_started = False
        self._is_ending = False
        self._last = anyio.current_time()

    async def watch(self, receive: Receive) -> None:
        """Cancel everything when the browser goes away."""
        while (await receive())["type"] != "http.disconnect":
            pass
        # The last part was sent: the server says so too, and may itself have to end what it does in that `send`.
        if not self._is_ending:
            self._scope.cancel()

    async def put(self, data: bytes) -> None:
        """Send this part, once the browser has taken enough of the others."""
        if data:
            await self._part(200, self._headers, data)

    async def end(self, data: bytes) -> None:
        """Send the last part."""
        await self._part(200, self._headers, data, is_last=True)

    async def fail(self, error: HeadwaterError, body: bytes) -> None:
        """End with this failure: as an event, or as a status where nothing was sent before."""
        if self._is_started:
            await self.end(format_event(body, "error"))
            return
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        if error.retry_after is not None:
            headers.append((b"retry-after", str(math.ceil(error.retry_after)).encode()))
        await self._part(http_status(error), headers, body, is_last=True)

    async def beat(self, seconds: float) -> None:
        """Break every silence of that length with a comment."""
        while True:
            await anyio.sleep_until(self._last + seconds)
            if anyio.current_time() >= self._last + seconds:
                await self.put(_COMMENT)

    async def _part(
        self, status: int, headers: list[tuple[bytes, bytes]], data: bytes, *, is_last: bool = False
    ) -> None:
        async with self._turn:
            if self._is_ending:  # a heartbeat that waited for its turn meanwhile
                return
            if not self._is_started:
                self._is_started = True
                await self._deliver({"type": "http.response.start", "status": status, "headers": headers})
            self._is_ending = is_last
            await self._deliver({"type": "http.response.body", "body": data, "more_body": not is_last})
            self._last = anyio.current_time()

    async def _deliver(self, message: Message) -> None:
        try:
            await self._send(message)
        except OSError:  # how servers of ASGI 2.4 say that the browser is gone
            self._scope.cancel()
            await anyio.lowlevel.checkpoint()


def http_status(error: HeadwaterError) -> int:
    """The HTTP status that a backend answers with where its call failed like this: 502 where the model's server did."""
    return next((status for kinds, status in _STATUSES if isinstance(error, kinds)), 502)
