"""Both ways across to httpx: its transports behind our seam, and our pool inside its clients.

The only file that imports httpx, and itself imported only where a transport of the user's is given. httpx's exceptions
never leave `FromHTTPX`, nor ours `PoolTransport`.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal

import httpx
from anyio import fail_after, move_on_after

from ..auth.secret import redact_all
from ..errors import (
    CallError,
    ConnectError,
    ConnectionLostError,
    HeadwaterError,
    InferenceTimeoutError,
    InvalidParameterError,
    ProtocolError,
    ProxyError,
    TLSError,
)
from ..protocol.transport import Transport, TransportRequest
from ..protocol.url import Url
from .http11 import Answer, closed_early
from .pool import Pool

CLOSE_SECONDS = 2.0
"""Seconds that closing an answer of somebody else's transport may take."""


class FromHTTPX:
    """Any httpx transport as a `Transport`."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def send(self, request: TransportRequest) -> HTTPXAnswer:
        """Send a request; the answer once its head is there (see `Transport.send`)."""
        theirs = _httpx_request(request)
        with _our_errors():
            response = await self._transport.handle_async_request(theirs)
        return HTTPXAnswer(response)

    async def aclose(self) -> None:
        """Close the transport with all its connections."""
        with _our_errors():
            await self._transport.aclose()


class HTTPXAnswer:
    """An answer of an httpx transport, as a `TransportResponse`."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.headers = _headers(response)
        self.surplus = False
        if not isinstance(response.stream, httpx.AsyncByteStream):
            raise InvalidParameterError("the transport is not asynchronous: its answers cannot be awaited")
        self._stream = response.stream
        self._pieces: AsyncIterator[bytes] | None = None
        self._end: HeadwaterError | Literal["whole"] | None = None

    async def receive(self) -> bytes:
        """The next piece of the body as it was sent, b"" at its end."""
        if self._end is not None:
            if isinstance(self._end, HeadwaterError):
                raise self._end
            return b""
        if self._pieces is None:
            self._pieces = self._stream.__aiter__()
        try:
            with _our_errors():
                async for piece in self._pieces:
                    if piece:
                        return piece
        except BaseException as error:
            await self._finish(error if isinstance(error, HeadwaterError) else closed_early())
            raise
        await self._finish("whole")
        return b""

    def ready(self) -> bool:
        """Whether the body has ended."""
        return self._end is not None

    async def aclose(self) -> None:
        """Give up, within 2 seconds. Idempotent."""
        if self._end is None:
            await self._finish(closed_early())

    def drop(self) -> None:
        """Let go: whose transport it is cleans up, or does not; nothing can be awaited here."""
        if self._end is None:
            self._end = closed_early()

    async def _finish(self, end: HeadwaterError | Literal["whole"]) -> None:
        self._end = end
        # A transport that cannot close its own stream is nobody's news: the answer is over.
        with move_on_after(CLOSE_SECONDS, shield=True), suppress(Exception):
            close = getattr(self._pieces, "aclose", None)
            if close is not None:
                await close()
            await self._stream.aclose()


class PoolTransport(httpx.AsyncBaseTransport):
    """Our pool as the transport of an `httpx.AsyncClient`: `AsyncClient(transport=PoolTransport())`.

    httpx's timeouts for connecting and reading hold; those for writing and for the pool do not.
    """

    def __init__(self, pool: Pool | None = None) -> None:
        self._pool = pool or Pool()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request the way httpx wants it."""
        seconds = request.extensions.get("timeout") or {}
        with _their_errors(request):
            answer = await self._pool.send(_transport_request(request, seconds.get("connect")))
        body = _Body(answer, request, seconds.get("read"))
        return httpx.Response(answer.status, headers=answer.headers, stream=body)

    async def aclose(self) -> None:
        """Close the pool's idle connections."""
        await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(self, answer: Answer, request: httpx.Request, seconds: float | None) -> None:
        self._answer = answer
        self._request = request
        self._seconds = seconds

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await self._receive():
            yield piece

    async def _receive(self) -> bytes:
        try:
            with _their_errors(self._request), fail_after(self._seconds):
                return await self._answer.receive()
        except TimeoutError as error:
            raise httpx.ReadTimeout("the server sent nothing in time", request=self._request) from error

    async def aclose(self) -> None:
        await self._answer.aclose()


def adapted(given: httpx.AsyncBaseTransport | Transport) -> Transport:
    """What the caller passed as `transport=`, as ours."""
    return FromHTTPX(given) if isinstance(given, httpx.AsyncBaseTransport) else given


def _httpx_request(request: TransportRequest) -> httpx.Request:
    headers = [("Host", request.url.authority), *request.headers]
    if not isinstance(request.body, bytes) and request.length is not None:
        headers.append(("Content-Length", str(request.length)))
    timeout = {"connect": request.connect_timeout, "read": None, "write": None, "pool": None}
    try:
        return httpx.Request(
            request.method, str(request.url), headers=headers, content=request.body, extensions={"timeout": timeout}
        )
    except (ValueError, httpx.InvalidURL):  # holds the text, and so the credential
        raise InvalidParameterError("a header or the URL has characters that cannot be sent") from None


def _transport_request(request: httpx.Request, seconds: float | None) -> TransportRequest:
    url, length = request.url, request.headers.get("content-length")
    target = url.raw_path.decode("ascii") or "/"
    body: Any = request.stream
    with suppress(httpx.RequestNotRead):
        body = request.content
    return TransportRequest(
        method=request.method,
        url=Url(url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80), target),
        headers=[
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in request.headers.raw
            if name.lower() not in (b"host", b"content-length", b"transfer-encoding")
        ],
        body=body,
        length=int(length) if length else None,
        connect_timeout=seconds,
    )


def _headers(response: httpx.Response) -> dict[str, str]:
    """As our own pool reads them: httpx guesses at the letters, and a URL's bytes would be lost to that."""
    headers: dict[str, str] = {}
    for raw, text in response.headers.raw:
        name, value = raw.decode("latin-1").lower(), text.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


@contextmanager
def _our_errors() -> Iterator[None]:
    try:
        yield
    except HeadwaterError:
        raise
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
        raise _ours(error) from error


def _ours(error: Exception) -> HeadwaterError:
    words = redact_all(str(error)) or type(error).__name__
    if isinstance(error, (httpx.ConnectTimeout, httpx.PoolTimeout)):
        late = InferenceTimeoutError("no connection in time")
        late.phase = "connect"
        return late
    if isinstance(error, httpx.ProxyError):
        return ProxyError(f"the proxy on the way refused: {words}")
    if isinstance(error, (httpx.ConnectError, httpx.UnsupportedProtocol)):
        return (TLSError if _is_tls(error) else ConnectError)(words)
    if isinstance(error, httpx.ProtocolError) and "disconnected" not in words and "closed" not in words:
        return ProtocolError(words)
    return ConnectionLostError(words)


def _is_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


_THEIRS: dict[type[HeadwaterError], type[httpx.RequestError]] = {
    InferenceTimeoutError: httpx.ConnectTimeout,
    ConnectError: httpx.ConnectError,
    ConnectionLostError: httpx.ReadError,
    CallError: httpx.LocalProtocolError,
    HeadwaterError: httpx.RemoteProtocolError,
}


@contextmanager
def _their_errors(request: httpx.Request) -> Iterator[None]:
    try:
        yield
    except HeadwaterError as error:
        theirs = next(theirs for ours, theirs in _THEIRS.items() if isinstance(error, ours))
        raise theirs(str(error), request=request) from error
