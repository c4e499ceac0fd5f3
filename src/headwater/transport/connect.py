"""New connections: TCP with Happy Eyeballs, the proxy where there is one, then TLS, under one bound, with errors in
plain words.

The event loop's own `Sockets` do it, or anyio where it has none. Knows no pool and no HTTP.
"""

from __future__ import annotations

import errno
import select
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
from anyio import BrokenResourceError, EndOfStream, move_on_after
from anyio.abc import SocketStream
from anyio.streams.tls import TLSAttribute, TLSStream

from ..errors import ConnectError, InferenceTimeoutError, TLSError
from ..protocol.url import Url
from .happy_eyeballs import addresses, literal
from .sockets import BROKEN, READ_BYTES, WOULD_BLOCK, Socket, shut
from .tls import OTHER_SIDE, SYSTEM, Trust, check_protocol, handshake_error, refused_afterwards

if TYPE_CHECKING:
    from .anyio_streams import AnyioStream, ByteStream
    from .asyncio_streams import AsyncioSockets
    from .proxy import Proxy
    from .trio_streams import TrioSockets

_WORDS = {
    errno.ECONNREFUSED: "connection refused by {}",
    errno.EMFILE: "no connection to {}: too many open files: raise ulimit -n, or have fewer calls at once",
    errno.ENFILE: "no connection to {}: the system has too many open files",
    errno.ETIMEDOUT: "{} does not answer",
    errno.ENETUNREACH: "no network route to {}",
    errno.EHOSTUNREACH: "no route to {}",
    errno.ECONNRESET: "connection reset by {}",
    errno.EADDRNOTAVAIL: "no local port is free for a connection to {}; have fewer calls at once",
}


class ConnectTarget(msgspec.Struct, frozen=True):
    """Where a connection leads. `trust`: what verifies, and `context` what it has made; `proxy_trust` and
    `proxy_context`: for the proxy, who is offered no HTTP/2. `address`: an IP address to connect to, where the host was
    looked up before; TLS still wants the host's name. `proxy`: what is on the way. `http2`: whether a server may choose
    HTTP/2."""

    url: Url
    trust: Trust = SYSTEM
    context: ssl.SSLContext | None = None
    proxy_trust: Trust = SYSTEM
    proxy_context: ssl.SSLContext | None = None
    address: str | None = None
    proxy: Proxy | None = None
    http2: bool = False

    @property
    def hop(self) -> tuple[str, int]:
        """The host and port that TCP connects to."""
        if self.proxy is not None:
            return self.proxy.host, self.proxy.port
        return self.address or self.url.host, self.url.port

    @property
    def place(self) -> str:
        """Where it leads, for people."""
        return _place(self.url) + ("" if self.proxy is None else f" through the proxy {self.proxy.place}")

    @property
    def hop_place(self) -> str:
        """The hop, for people."""
        return _place(self.url) if self.proxy is None else f"the proxy {self.proxy.place}"

    @property
    def peer(self) -> str:
        """Who reads the requests, for people."""
        reads = self.proxy is not None and self.proxy.forwards(self.url)
        return self.hop_place if reads else OTHER_SIDE

    def is_plain(self) -> bool:
        """Whether a TCP connection is all that it takes."""
        if self.url.scheme != "http":
            return False
        return self.proxy is None or (self.proxy.scheme == "http" and self.proxy.forwards(self.url))


async def dial(
    sockets: AsyncioSockets | TrioSockets | None, target: ConnectTarget, seconds: float | None
) -> ByteStream:
    """A connection, within so many seconds for all of it: TCP, the proxy, TLS. `sockets`: what `sockets_of` gave.

    Raises `ConnectError`, `TLSError`, `ProxyError`, and `InferenceTimeoutError` with phase connect.
    """
    known = literal(*target.hop) if sockets is not None and target.is_plain() else None
    stream: ByteStream | None = None
    if sockets is not None and known is not None:  # one wait, for which the event loop's own timer will do
        with _connecting(target.hop_place):
            try:
                stream = sockets.attach(await sockets.connect(known, seconds))
            except TimeoutError as late:
                if late.errno is not None:  # the system's own, of a host that does not answer
                    raise
    else:
        with move_on_after(seconds):
            stream = await _open(sockets, await _prepared(target))
    if stream is None:
        assert seconds is not None
        raise connect_timed_out(target, seconds)
    return stream


def connect_timed_out(target: ConnectTarget, seconds: float) -> InferenceTimeoutError:
    """The error for a connection that was not there in time."""
    error = InferenceTimeoutError(f"no connection to {target.place} within {seconds:g} s")
    error.phase = "connect"
    error.elapsed = seconds
    return error


def sockets_of(loop: Any) -> AsyncioSockets | TrioSockets | None:
    """What waits for the sockets of this event loop (its own token); None where only anyio can."""
    if not hasattr(select, "epoll"):
        return None
    if hasattr(loop, "add_reader"):
        from .asyncio_streams import AsyncioSockets

        return AsyncioSockets(loop)
    from .trio_streams import TrioSockets

    return TrioSockets()


async def _prepared(target: ConnectTarget) -> ConnectTarget:
    """The target with all that is looked up here: the TLS context, and the address that SOCKS wants."""
    proxy, context, proxy_context, address = target.proxy, None, None, target.address
    if target.url.scheme == "https":
        context = await _made(target.trust)
    if proxy is not None and proxy.scheme == "https":
        proxy_context = await _made(target.proxy_trust)
    if proxy is not None and proxy.wants_address and address is None:
        with _connecting(_place(target.url)):
            found = await addresses(target.url.host, target.url.port)
        # A proxy has one address, and not every proxy has IPv6.
        address = min(found, key=lambda each: each.family != socket.AF_INET).place[0]
    return msgspec.structs.replace(target, context=context, proxy_context=proxy_context, address=address)


async def _made(trust: Trust) -> ssl.SSLContext:
    from anyio import to_thread

    made = trust.context
    return await to_thread.run_sync(trust.make) if made is None else made


async def _open(sockets: AsyncioSockets | TrioSockets | None, target: ConnectTarget) -> ByteStream:
    if sockets is None:
        return await _open_anyio(target)
    host, port = target.hop
    with _connecting(target.hop_place):
        raw: Socket = await sockets.hosts.connect(sockets.connect, host, port)
    if target.proxy is not None:
        raw = await _through_proxy(sockets, raw, target)
    if target.url.scheme == "http":
        return sockets.attach(raw)
    assert target.context is not None
    with _securing(target.place):
        secure = await sockets.secure(raw, target.context, target.url.host)
    try:
        check_protocol(_place(target.url), secure.selected_alpn_protocol(), http2=target.http2)
    except TLSError:
        secure.close()
        raise
    return sockets.attach(secure)


async def _through_proxy(sockets: AsyncioSockets | TrioSockets, raw: Socket, target: ConnectTarget) -> Socket:
    if target.proxy_context is not None:
        with _securing(target.hop_place):
            raw = await sockets.secure(raw, target.proxy_context, target.hop[0])
    try:
        if isinstance(raw, ssl.SSLSocket):
            check_protocol(target.hop_place, raw.selected_alpn_protocol())
        await _shake_hands(_SocketWire(sockets, raw), target)
    except BaseException:
        shut(raw)
        raw.close()
        raise
    return raw


async def _open_anyio(target: ConnectTarget) -> ByteStream:
    from .anyio_streams import AnyioStream, close_now

    host, port = target.hop
    with _connecting(target.hop_place):
        plain = await anyio.connect_tcp(host, port)
    stream: SocketStream | TLSStream = plain
    try:
        if target.proxy is not None:
            if target.proxy.scheme == "https":
                stream = await _wrapped(stream, target.proxy_context, target.proxy.host, target.hop_place)
                check_protocol(target.hop_place, _chosen(stream))
            await _shake_hands(AnyioStream(stream, plain), target)
        if target.url.scheme == "https":
            stream = await _wrapped(stream, target.context, target.url.host, target.place)
            check_protocol(_place(target.url), _chosen(stream))
    except BaseException:
        close_now(plain)
        raise
    return AnyioStream(stream, plain)


def _chosen(stream: TLSStream) -> str | None:
    protocol: str | None = stream.extra(TLSAttribute.alpn_protocol)  # noqa: S610 - no Django
    return protocol


async def _wrapped(
    stream: SocketStream | TLSStream, context: ssl.SSLContext | None, hostname: str, place: str
) -> TLSStream:
    with _securing(place):
        return await TLSStream.wrap(
            stream,
            server_side=False,
            hostname=hostname.rstrip("."),  # no certificate has the dot that ends a whole name
            ssl_context=context,
            standard_compatible=False,
        )


class _SocketWire:
    """A socket that is no stream yet."""

    def __init__(self, sockets: AsyncioSockets | TrioSockets, raw: Socket) -> None:
        self._sockets = sockets
        self._raw = raw

    async def receive(self) -> bytes:
        while True:
            try:
                return self._raw.recv(READ_BYTES)
            except WOULD_BLOCK:
                await self._sockets.readable(self._raw)

    async def send(self, data: memoryview) -> None:
        while data:
            try:
                data = data[self._raw.send(data) :]
            except WOULD_BLOCK:
                await self._sockets.writable(self._raw)


async def _shake_hands(wire: _SocketWire | AnyioStream, target: ConnectTarget) -> None:
    """Have the proxy open the way, where it has to."""
    proxy = target.proxy
    handshake = None if proxy is None else proxy.handshake(target.url, target.address)
    if handshake is None:
        return
    try:
        saying = memoryview(next(handshake))  # it holds the password: a view does not show it in a traceback
        while True:
            if saying:
                with suppress(*BROKEN):  # why it takes no more is in what it has said
                    await wire.send(saying)
            saying = memoryview(handshake.send(await wire.receive()))
    except StopIteration:
        return
    except BROKEN as error:
        closed = ConnectError(f"{target.hop_place} closed the connection before it had answered")
        raise refused_afterwards(error, target.hop_place) or closed from error
    finally:
        handshake.close()


@contextmanager
def _connecting(place: str) -> Iterator[None]:
    try:
        yield
    except (OSError, UnicodeError, ExceptionGroup) as error:
        cause = _root(error)
        raise ConnectError(_words(place, cause)) from cause


@contextmanager
def _securing(place: str) -> Iterator[None]:
    try:
        yield
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError, BrokenResourceError, EndOfStream) as error:
        raise ConnectError(f"{place} closed the connection during the TLS handshake") from error
    except ssl.SSLError as error:
        raise handshake_error(place, error) from error
    except (OSError, UnicodeError) as error:
        raise ConnectError(f"{place} closed the connection during the TLS handshake") from error


def _root(error: BaseException) -> BaseException:
    # anyio says "all attempts failed" from the attempt's error, or from a group of several.
    cause = error.__cause__ if isinstance(error, OSError) and error.__cause__ is not None else error
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    return cause


def _words(place: str, cause: BaseException) -> str:
    if isinstance(cause, (socket.gaierror, UnicodeError)):
        host = f"of {place}" if " " in place else place.rpartition(":")[0].strip("[]")
        return f"cannot resolve the host {host}"
    number = cause.errno if isinstance(cause, OSError) else None
    return _WORDS.get(number or 0, f"no connection to {{}}: {cause}").format(place)


def _place(url: Url) -> str:
    return f"[{url.host}]:{url.port}" if ":" in url.host else f"{url.host}:{url.port}"
