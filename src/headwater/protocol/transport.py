"""The seam between the engine and whatever carries its requests.

Two implementations stand behind it: the project's own HTTP/1.1 pool, and any `httpx.AsyncBaseTransport`.
Nothing here does I/O, decodes a body, or knows a provider.
"""

from __future__ import annotations

import math
import re
from collections.abc import AsyncIterable
from contextvars import ContextVar
from typing import Final, Protocol
from urllib.parse import quote

import msgspec

from .lazy import lazy_pattern
from .url import Url

_ODD = lazy_pattern(r"[^\x21\x23-\x7e]+")
_BREAKS = lazy_pattern(r"[\t\r\n]+")
_AROUND = "".join(map(chr, range(0x21)))
_PARTS = lazy_pattern(r"((?:[A-Za-z][A-Za-z0-9+.-]*:)?//|)((?<=//)[^/?#]*|)(.*)", re.DOTALL)
FOREVER: Final = math.inf
"""A moment that never comes."""
RACE: Final[ContextVar[object]] = ContextVar("headwater_race", default=None)
"""The race that the requests of this task belong to, where a call and its hedge run beside each other."""


class Lapse(Protocol):
    """Counts seconds that have not passed as if they had, so that a deadline ends what it ended once."""

    def __call__(self, seconds: float, *, silent: float | None = None) -> bool:
        """Whether a deadline is over then, where the answer came no further.

        `silent`: seconds in which nothing came of it, 0 where it had not begun; None: something comes now.
        """
        ...


class ReadDeadline(Exception):  # noqa: N818 - between a transport and the engine, which knows what to call it
    """The moment that `TransportResponse.wait_until` named has passed, and nothing has come."""


def quoted_url(text: str, encoding: str = "utf-8") -> str:
    """A URL that a server named, its blanks and letters outside ASCII percent-encoded, as browsers do with them.

    `encoding`: of the letters; a header's are latin-1, which gives back the bytes that were sent. What still is no URL
    is left to `parse_url`. https://url.spec.whatwg.org/#concept-basic-url-parser
    """
    text = _BREAKS.sub("", text.strip(_AROUND))
    if not _ODD.search(text):
        return text
    parts = _PARTS.match(text)
    assert parts is not None, "it matches any text"
    scheme, host, rest = parts.groups()
    shown = _ODD.sub(lambda found: quote(_bytes_of(found[0], encoding)), rest)
    return f"{scheme}{_ascii_host(_bytes_of(host, encoding)) or host}{shown}"


def _bytes_of(text: str, encoding: str) -> bytes:
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def _ascii_host(host: bytes) -> str | None:
    """A name as the DNS knows it; None for one that has none."""
    try:
        name, colon, port = host.decode().partition(":")
        return host.decode() if host.isascii() else name.encode("idna").decode() + colon + port
    except UnicodeError:
        return None


class RequestHead:
    """What requests have in common that have the same method, URL and headers. `written` is how a transport has written
    it, which may keep that here; `forwarded` is the same for a proxy: whose that is, and what it wants instead."""

    __slots__ = ("forwarded", "headers", "url", "written")

    def __init__(self, url: Url, headers: list[tuple[str, str]]) -> None:
        self.url = url
        self.headers = headers
        self.written = b""
        self.forwarded: tuple[object, RequestHead] | None = None


class Pending(Protocol):
    """A request that was sent, and whose answer nobody waits for at the moment."""

    def close(self) -> None:
        """Give it up, in the event loop's own thread. Idempotent."""
        ...

    def drop(self) -> None:
        """Give it up from any thread or finalizer."""
        ...


class TransportRequest(msgspec.Struct, kw_only=True, gc=False):
    """A request as it goes out: every header but Host and the body's length is there already.

    `length`: the body's, where it is not bytes; None sends it in chunks. `connect_timeout`: seconds for TCP
    and TLS together. `resend`: whether it may go out a second time when a kept connection turns out to be
    closed. `address`: the IP address to connect to in place of looking the host up; a
    transport that does so has the attribute `dials`. `loop`: the running event loop's own token, where the sender knows
    it: to ask anyio for it takes a microsecond. `head`: what it shares with others, as long as its URL and headers are
    that one's; nobody changes those.
    `kept`: whether a `send` that is cancelled while the answer is waited for leaves its wait in `pending`, where the
    transport can; `send` of the same request then waits on. Who sets it closes what is pending. `read_timeout`: seconds
    that our own pools wait for the answer's head once the request is out, after which `send` raises `ReadDeadline`;
    None where a cancel scope does it. `lapse`: whom a
    transport whose answers take no time tells of the seconds that they took once (`Lapse`).
    """

    method: str
    url: Url
    headers: list[tuple[str, str]]
    body: bytes | AsyncIterable[bytes] = b""
    length: int | None = None
    connect_timeout: float | None = None
    read_timeout: float | None = None
    resend: bool = True
    address: str | None = None
    loop: object = None
    head: RequestHead | None = None
    kept: bool = False
    pending: Pending | None = None
    lapse: Lapse | None = None


class TransportResponse(Protocol):
    """An answer whose head has arrived.

    One that can keep the time of its reads has a method `wait_until(moment: float) -> bool`: whether from now on
    `receive` raises `ReadDeadline` when it would wait past that moment on anyio's clock. For others a cancel scope
    does it. One whose `receive` can be cancelled without a loss, and called again, has an attribute `kept`, False: who
    sets it to True wants that, and closes the answer. One whose body may have come with its head has a method
    `at_once() -> bytes | None`, which gives all of it then, in place of `receive`.
    """

    status: int
    headers: dict[str, str]
    """By lower-case name; a repeated header's values are joined by ", "."""
    surplus: bool
    """Whether more bytes came than the answer has, as far as is known: its length may have been too short."""

    async def receive(self) -> bytes:
        """The next piece of the body as it was sent, b"" at its end; `TransportError` where it was cut."""
        ...

    def ready(self) -> bool:
        """Whether `receive` would return without waiting, as far as is known."""
        ...

    async def aclose(self) -> None:
        """Give up: the peer sees the connection close at once. Idempotent; safe in a shielded scope.

        Needless after `receive` has returned b"": the connection is back in its pool by then.
        """
        ...

    def drop(self) -> None:
        """Give up from any thread, at any moment (a finalizer's way): shut the socket, clean up later."""
        ...


class Transport(Protocol):
    """Sends requests; an answer's body belongs to whoever called `send` until it is read whole or closed."""

    async def send(self, request: TransportRequest) -> TransportResponse:
        """The answer once its head is there.

        Raises `ConnectError`, `TLSError`, `ConnectionLostError`, `ProtocolError`, `ResponseTooLargeError`,
        and `InferenceTimeoutError` with phase connect.
        """
        ...

    async def aclose(self) -> None:
        """Close every idle connection of the running event loop, and drop those of other loops."""
        ...
