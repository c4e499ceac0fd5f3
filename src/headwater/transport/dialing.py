"""New connections: TCP with Happy Eyeballs, then TLS, under one bound, with errors in plain words.

Resolves and connects through anyio; knows no pool and no HTTP.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Coroutine
from typing import Any, TypeAlias

import anyio
from anyio import BrokenResourceError, EndOfStream, move_on_after, to_thread
from anyio.abc import SocketStream
from anyio.streams.tls import TLSStream

from ..errors import ConnectError, InferenceTimeoutError, TLSError
from ..wire import Url
from .tls import default_context

Stream: TypeAlias = SocketStream | TLSStream

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
    with move_on_after(seconds):
        plain = await _connect(url, address)
        stream = await _secure(plain, url, context) if url.scheme == "https" else plain
    if stream is None:
        error = InferenceTimeoutError(f"no connection to {_place(url)} within {seconds:g} s")
        error.phase = "connect"
        error.elapsed = seconds
        raise error
    return stream


def close_now(stream: SocketStream) -> None:
    """Close a socket without waiting, in its event loop's own thread.

    Both backends close in the first step of `aclose`; what follows only yields to the event loop.
    """
    closing: Coroutine[Any, Any, None] = stream.aclose()
    try:
        closing.send(None)
    except StopIteration:
        return
    closing.close()


async def _connect(url: Url, address: str | None) -> SocketStream:
    try:
        return await anyio.connect_tcp(address or url.host, url.port)
    except (OSError, UnicodeError, ExceptionGroup) as error:
        cause = _root(error)
        raise ConnectError(_words(url, cause)) from cause


async def _secure(stream: SocketStream, url: Url, context: ssl.SSLContext | None) -> TLSStream:
    try:
        context = context or await to_thread.run_sync(default_context)
        return await TLSStream.wrap(
            stream, server_side=False, hostname=url.host, ssl_context=context, standard_compatible=False
        )
    except ssl.SSLError as error:
        close_now(stream)
        raise TLSError(f"no TLS connection to {_place(url)}: {error.reason or error}") from error
    except (BrokenResourceError, EndOfStream, OSError, UnicodeError) as error:
        close_now(stream)
        raise ConnectError(f"{_place(url)} closed the connection during the TLS handshake") from error
    except BaseException:
        close_now(stream)
        raise


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
