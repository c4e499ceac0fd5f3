"""New connections: TCP with Happy Eyeballs, then TLS, under one bound, with errors in plain words.

The event loop's own `Sockets` do it, or anyio where it has none. Knows no pool and no HTTP.
"""

from __future__ import annotations

import errno
import select
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
from anyio import BrokenResourceError, EndOfStream, move_on_after, to_thread
from anyio.streams.tls import TLSStream

from ..errors import ConnectError, InferenceTimeoutError, TLSError
from ..protocol.url import Url
from .anyio_streams import AnyioStream, ByteStream, close_now
from .happy_eyeballs import literal
from .tls import default_context

if TYPE_CHECKING:
    from .asyncio_streams import AsyncioPoller
    from .trio_streams import TrioPoller

_WORDS = {
    errno.ECONNREFUSED: "connection refused by {}",
    errno.EMFILE: "no connection to {}: too many open files: raise ulimit -n or set max_connections",
    errno.ENFILE: "no connection to {}: the system has too many open files",
    errno.ETIMEDOUT: "{} does not answer",
    errno.ENETUNREACH: "no network route to {}",
    errno.EHOSTUNREACH: "no route to {}",
    errno.ECONNRESET: "connection reset by {}",
    errno.EADDRNOTAVAIL: "no local port is free for a connection to {}; set max_connections",
}


async def dial(
    sockets: AsyncioPoller | TrioPoller | None,
    url: Url,
    seconds: float | None,
    context: ssl.SSLContext | None,
    address: str | None = None,
) -> ByteStream:
    """A connection to the URL's origin, within so many seconds for TCP and TLS together.

    `sockets`: the event loop's (`sockets_of`). `address`: an IP address to connect to, where the host was looked up
    before; TLS still wants the host's name.

    Raises `ConnectError`, `TLSError`, and `InferenceTimeoutError` with phase connect.
    """
    host = address or url.host
    known = literal(host, url.port) if sockets is not None and url.scheme == "http" else None
    stream: ByteStream | None = None
    if sockets is not None and known is not None:  # one wait, for which the event loop's own timer will do
        with _connecting(url):
            try:
                stream = sockets.attach(await sockets.connect(known, seconds))
            except TimeoutError as late:
                if late.errno is not None:  # the system's own, of a host that does not answer
                    raise
    else:
        with move_on_after(seconds):
            if url.scheme == "http":
                context = None
            elif context is None:
                context = await to_thread.run_sync(default_context)
            stream = await (_open(sockets, url, host, context) if sockets else _open_anyio(url, host, context))
    if stream is None:
        assert seconds is not None
        error = InferenceTimeoutError(f"no connection to {_place(url)} within {seconds:g} s")
        error.phase = "connect"
        error.elapsed = seconds
        raise error
    return stream


def sockets_of(loop: Any) -> AsyncioPoller | TrioPoller | None:
    """What waits for the sockets of this event loop (its own token); None where only anyio can."""
    if not hasattr(select, "epoll"):
        return None
    if hasattr(loop, "add_reader"):
        from .asyncio_streams import AsyncioPoller

        return AsyncioPoller(loop)
    from .trio_streams import TrioPoller

    return TrioPoller()


async def _open(sockets: AsyncioPoller | TrioPoller, url: Url, host: str, context: ssl.SSLContext | None) -> ByteStream:
    with _connecting(url):
        raw = await sockets.hosts.connect(sockets.connect, host, url.port)
    if context is None:
        return sockets.attach(raw)
    with _securing(url):
        return sockets.attach(await sockets.secure(raw, context, url.host))


async def _open_anyio(url: Url, host: str, context: ssl.SSLContext | None) -> ByteStream:
    with _connecting(url):
        plain = await anyio.connect_tcp(host, url.port)
    if context is None:
        return AnyioStream(plain, plain)
    try:
        with _securing(url):
            secure = await TLSStream.wrap(
                plain, server_side=False, hostname=url.host, ssl_context=context, standard_compatible=False
            )
    except BaseException:
        close_now(plain)
        raise
    return AnyioStream(secure, plain)


@contextmanager
def _connecting(url: Url) -> Iterator[None]:
    try:
        yield
    except (OSError, UnicodeError, ExceptionGroup) as error:
        cause = _root(error)
        raise ConnectError(_words(url, cause)) from cause


@contextmanager
def _securing(url: Url) -> Iterator[None]:
    try:
        yield
    except ssl.SSLError as error:
        raise TLSError(f"no TLS connection to {_place(url)}: {error.reason or error}") from error
    except (BrokenResourceError, EndOfStream, OSError, UnicodeError) as error:
        raise ConnectError(f"{_place(url)} closed the connection during the TLS handshake") from error


def _root(error: BaseException) -> BaseException:
    # anyio says "all attempts failed" from the attempt's error, or from a group of several.
    cause = error.__cause__ if isinstance(error, OSError) and error.__cause__ is not None else error
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    return cause


def _words(url: Url, cause: BaseException) -> str:
    place = _place(url)
    if isinstance(cause, (socket.gaierror, UnicodeError)):
        return f"cannot resolve the host {url.host}"
    number = cause.errno if isinstance(cause, OSError) else None
    return _WORDS.get(number or 0, f"no connection to {{}}: {cause}").format(place)


def _place(url: Url) -> str:
    return f"[{url.host}]:{url.port}" if ":" in url.host else f"{url.host}:{url.port}"
