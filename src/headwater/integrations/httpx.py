"""Our pool for programs on httpx."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator, Mapping

import httpx

from ..auth.secret import mask
from ..transport.httpx_adapter import PoolBody, PoolBridge
from ..transport.pool import Pool
from ..transport.transports import Http2, Transports

__all__ = ["PoolTransport"]


class PoolTransport(httpx.AsyncBaseTransport):
    """headwater's pool as the transport of an `httpx.AsyncClient`: `AsyncClient(transport=PoolTransport())`.

    httpx's timeouts for connecting and reading hold; those for writing and for the pool do not. `proxies`, `verify`,
    `ssl_context`, `http2`: as a headwater client has them, since httpx gives its own to no transport that it is
    given; proxies of the environment are not looked at. `pool`: in place of them, a pool that there is. It serves any
    number of event loops, and has no sockets to close when one of them ends.

    Raises `InvalidParameterError` for what cannot be used.
    """

    def __init__(
        self,
        pool: Pool | None = None,
        *,
        proxies: str | Mapping[str, str] | None = None,
        verify: str | os.PathLike[str] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        http2: Http2 = False,
    ) -> None:
        proxies = mask(proxies)
        self._transports = Transports(
            proxies=proxies,
            trust_env=False,
            verify=verify,
            ssl_context=ssl_context,
            http2=http2,
            given=pool,
            interposed=False,
        )
        self._bridge = PoolBridge(httpx, self._transports.for_url)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request the way httpx wants it."""
        status, headers, body = await self._bridge.send(request)
        return httpx.Response(status, headers=headers, stream=_Body(body))

    async def aclose(self) -> None:
        """Close the idle connections."""
        await self._transports.aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(self, body: PoolBody) -> None:
        self._body = body

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._body

    async def aclose(self) -> None:
        await self._body.aclose()
