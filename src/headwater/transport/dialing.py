"""New connections: TCP with Happy Eyeballs, then TLS, under one bound, with errors in plain words.

The event loop does it where it calls back (`native`), anyio where it does not (trio). Knows no pool and no HTTP.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio
from anyio import BrokenResourceError, EndOfStream, move_on_after, to_thread
from anyio.lowlevel import current_token
from anyio.streams.tls import TLSStream

from ..errors import ConnectError, InferenceTimeoutError, TLSError
from ..wire import Url
from .native import attach
from .racing import addresses, first_connected
from .streams import AnyioStream, Stream, close_now
from .tls import default_context

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


async def dial(url: Url, seconds: float | None, context: ssl.SSLContext | None, address: str | None = None) -> Stream:
    """A connection to the URL's origin, within so many seconds for TCP and TLS together.

    `address`: an IP address to connect to, where the host was looked up before; TLS still wants the host's name.

    Raises `ConnectError`, `TLSError`, and `InferenceTimeoutError` with phase connect.
    """
    stream: Stream | None = None
    loop: Any = current_token().native_token
    open_ = _open_native if hasattr(loop, "create_connection") else _open_anyio
    with move_on_after(seconds):
        if url.scheme == "http":
            context = None
        elif context is None:
            context = await to_thread.run_sync(default_context)
        stream = await open_(loop, url, address or url.host, context)
    if stream is None:
        error = InferenceTimeoutError(f"no connection to {_place(url)} within {seconds:g} s")
        error.phase = "connect"
        error.elapsed = seconds
        raise error
    return stream


async def _open_native(loop: Any, url: Url, host: str, context: ssl.SSLContext | None) -> Stream:
    with _connecting(url):
        raw = await first_connected(loop, await addresses(host, url.port))
    with _securing(url):
        return await attach(loop, raw, context, url.host)


async def _open_anyio(loop: Any, url: Url, host: str, context: ssl.SSLContext | None) -> Stream:
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
