"""Both ways across to httpx and httpx2: their transports behind our seam, and our pool inside their clients.

Imports neither: `library` is the one of them whose transport or client it is. Their exceptions never leave `FromHTTPX`,
nor ours `PoolBridge`. https://www.python-httpx.org, https://pypi.org/project/httpx2/
"""

from __future__ import annotations

import ssl
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final, Literal

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
from ..protocol.lazy import lazy_pattern
from ..protocol.transport import ReadDeadline, Transport, TransportRequest, TransportResponse
from ..protocol.url import USUAL_PORTS, Url
from . import log_filters
from .http11 import closed_early
from .proxy import OWN_STATUSES

_COOKIES: Final = lazy_pattern(r", (?=[^\s,;=\"]+=)")
"""Between two cookies: a date, too, has a comma, but no "=" before its next blank."""
_TOKEN: Final = lazy_pattern(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_STATUS: Final = lazy_pattern(r"[1-5][0-9]{2}(?![0-9])")
LIBRARIES: Final = ("httpx", "httpx2")
CLOSE_SECONDS = 2.0
"""Seconds that closing an answer of somebody else's transport may take."""


class FromHTTPX:
    """Any asynchronous transport of `library`'s as a `Transport`."""

    def __init__(self, transport: Any, library: Any) -> None:
        self._transport = transport
        self._library = library

    async def send(self, request: TransportRequest) -> HTTPXAnswer:
        """Send a request; the answer once its head is there (see `Transport.send`)."""
        theirs = _httpx_request(self._library, request)
        with _our_errors(self._library):
            response = await self._transport.handle_async_request(theirs)
        answer = HTTPXAnswer(response, self._library)
        if answer.status in OWN_STATUSES:
            await answer.aclose()
            raise _proxy_refused(str(answer.status))
        return answer

    async def aclose(self) -> None:
        """Close the transport with all its connections."""
        with _our_errors(self._library):
            await self._transport.aclose()


class HTTPXAnswer:
    """An answer of such a transport, as a `TransportResponse`."""

    def __init__(self, response: Any, library: Any) -> None:
        self._library = library
        self.status = response.status_code
        self.headers = _headers(response)
        self.surplus = False
        if not isinstance(response.stream, library.AsyncByteStream):
            raise InvalidParameterError("the transport is not asynchronous: its answers cannot be awaited")
        self._stream = response.stream
        if response.is_closed and not isinstance(self._stream, library.ByteStream):
            self._stream = self._read_before(response)
        self._pieces: AsyncIterator[bytes] | None = None
        self._end: HeadwaterError | Literal["whole"] | None = None

    def _read_before(self, response: Any) -> Any:
        """The body of an answer that the transport has read itself, as one does that logs answers: unpacked."""
        try:
            body = response.content
        except self._library.ResponseNotRead:
            raise ConnectionLostError("the transport has closed its answer before anybody could read it") from None
        self.headers.pop("content-encoding", None)
        self.headers.pop("content-length", None)
        return self._library.ByteStream(body)

    async def receive(self) -> bytes:
        """The next piece of the body as it was sent, b"" at its end."""
        if self._end is not None:
            if isinstance(self._end, HeadwaterError):
                raise self._end
            return b""
        pieces = self._pieces = aiter(self._stream) if self._pieces is None else self._pieces
        try:
            with _our_errors(self._library):
                async for piece in pieces:
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


class PoolBridge:
    """Our pool for a client of `library` (httpx or httpx2): answers and errors as they are there.

    Timeouts for connecting and reading hold; those for writing and for the pool do not.
    """

    def __init__(self, library: Any, transport_for: Callable[[Url], Transport]) -> None:
        self._library = library
        self._transport_for = transport_for

    async def send(self, request: Any) -> tuple[int, list[tuple[bytes, bytes]], PoolBody]:
        """The answer's status, headers and body."""
        seconds = request.extensions.get("timeout") or {}
        with their_errors(self._library, request):
            going = _transport_request(self._library, request, seconds)
            answer = await self._transport_for(going.url).send(going)
        return answer.status, raw_headers(answer.headers), PoolBody(self._library, answer, request, seconds.get("read"))


class PoolBody:
    """An answer's body for such a client: an iterator, not a generator, which trio would warn of where it is left."""

    def __init__(self, library: Any, answer: TransportResponse, request: Any, seconds: float | None) -> None:
        self._library = library
        self._answer = answer
        self._request = request
        self._seconds = seconds

    def __aiter__(self) -> PoolBody:
        return self

    async def __anext__(self) -> bytes:
        try:
            with their_errors(self._library, self._request), fail_after(self._seconds):
                piece = await self._answer.receive()
        except TimeoutError as error:
            raise self._library.ReadTimeout("the server sent nothing in time", request=self._request) from error
        if not piece:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        """Give up."""
        await self._answer.aclose()


def adapted(given: Any) -> Transport:
    """What the caller passed as `transport=`, as ours. Raises `InvalidParameterError` for what is no transport."""
    for name in LIBRARIES:
        library = sys.modules.get(name)  # where it is not loaded, this is none of its transports
        if library is not None and isinstance(given, library.AsyncBaseTransport):
            log_filters.install()
            return FromHTTPX(given, library)
    theirs = any(each.__module__.partition(".")[0] in LIBRARIES for each in type(given).__mro__)
    if theirs or isinstance(given, type) or not (callable(getattr(given, "send", None)) and hasattr(given, "aclose")):
        raise InvalidParameterError(
            "transport must be an asynchronous transport of httpx or httpx2 (such as httpx.AsyncHTTPTransport()), or"
            f" headwater's own kind, not {given if isinstance(given, type) else type(given)}"
        )
    transport: Transport = given
    return transport


def _httpx_request(library: Any, request: TransportRequest) -> Any:
    headers = [("Host", request.url.authority), *request.headers]
    if not isinstance(request.body, bytes) and request.length is not None:
        headers.append(("Content-Length", str(request.length)))
    timeout = {"connect": request.connect_timeout, "read": None, "write": None, "pool": None}
    try:
        return library.Request(
            request.method, str(request.url), headers=headers, content=request.body, extensions={"timeout": timeout}
        )
    except (ValueError, library.InvalidURL):  # holds the text, and so the credential
        raise InvalidParameterError("a header or the URL has characters that cannot be sent") from None


def _transport_request(library: Any, request: Any, seconds: Mapping[str, float | None]) -> TransportRequest:
    length = request.headers.get("content-length")
    if not all(_TOKEN.match(name) for name in (request.method.encode(), *(name for name, _ in request.headers.raw))):
        raise InvalidParameterError("the method, or a header's name, has characters that cannot be sent")
    body: Any = request.stream
    if isinstance(body, library.ByteStream):  # all that is known, also what a redirect has from the request before it
        body = b"".join(body)
    return TransportRequest(
        method=request.method,
        url=own_url(library, request).named(request.headers.get("host")),
        headers=[
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in request.headers.raw
            if name.lower() not in (b"host", b"content-length", b"transfer-encoding")
        ],
        body=body,
        length=int(length) if length else None,
        connect_timeout=seconds.get("connect"),
        read_timeout=seconds.get("read"),
    )


def own_url(library: Any, request: Any) -> Url:
    """The URL of a request of httpx's or httpx2's, its host as it is looked up: in ASCII."""
    url = request.url
    if url.scheme not in USUAL_PORTS:
        raise library.UnsupportedProtocol(f"a URL is http:// or https://, not {url.scheme}://", request=request)
    return Url(
        url.scheme,
        url.raw_host.decode("ascii"),
        url.port or USUAL_PORTS[url.scheme],
        url.raw_path.decode("ascii") or "/",
    )


def raw_headers(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """An answer's headers for those libraries: bytes as they came, and each cookie on its own."""
    found = []
    for name, value in headers.items():
        values = _COOKIES.split(value) if name == "set-cookie" else [value]
        found += [(name.encode("latin-1"), each.encode("latin-1")) for each in values]
    return found


def _headers(response: Any) -> dict[str, str]:
    """As our own pool reads them: httpx guesses at the letters, and a URL's bytes would be lost to that."""
    headers: dict[str, str] = {}
    for raw, text in response.headers.raw:
        name, value = raw.decode("latin-1").lower(), text.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


@contextmanager
def _our_errors(library: Any) -> Iterator[None]:
    try:
        yield
    except HeadwaterError:
        raise
    except (library.HTTPError, library.InvalidURL, library.StreamError, OSError) as error:
        ours = _ours(library, error)
        raise ours from (None if isinstance(ours, ProxyError) and ours.status is not None else error)


def _ours(library: Any, error: Exception) -> HeadwaterError:
    words = redact_all(str(error)) or type(error).__name__
    if isinstance(error, (library.ConnectTimeout, library.PoolTimeout)):
        late = InferenceTimeoutError("no connection in time")
        late.phase = "connect"
        return late
    if isinstance(error, library.ProxyError):
        return _proxy_refused(words)
    if isinstance(error, (library.ConnectError, library.UnsupportedProtocol)):
        return (TLSError if _is_tls(error) else ConnectError)(words)
    if isinstance(error, library.ProtocolError) and "disconnected" not in words and "closed" not in words:
        return ProtocolError(words)
    return ConnectionLostError(words)


def _proxy_refused(words: str) -> ProxyError:
    """Of a refusal the status alone, where there is one: what a proxy says besides may repeat its password, which only
    the transport knows."""
    status = _STATUS.match(words)
    hint = "; give the transport the proxy's user name and password" if words.startswith("407") else ""
    error = ProxyError(f"the proxy on the way refused: {status[0] if status else words}{hint}")
    error.status = int(status[0]) if status else None
    return error


def _is_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


_THEIRS: Final = {
    InferenceTimeoutError: "ConnectTimeout",
    ProxyError: "ProxyError",
    ConnectError: "ConnectError",
    ConnectionLostError: "ReadError",
    CallError: "LocalProtocolError",
    HeadwaterError: "RemoteProtocolError",
}


@contextmanager
def their_errors(library: Any, request: Any) -> Iterator[None]:
    """Raise our errors as those of `library`, httpx or httpx2, for this request of its."""
    try:
        yield
    except ReadDeadline as error:
        raise library.ReadTimeout("the server sent nothing in time", request=request) from error
    except HeadwaterError as error:
        name = next(name for ours, name in _THEIRS.items() if isinstance(error, ours))
        raise getattr(library, name)(str(error), request=request) from error
