"""A pool behind a proxy: the same rules and the same connections, each opened through the proxy.

What an HTTP proxy is to read, requests to plain http, goes to it in the absolute form, and an answer that can be told
to be the proxy's own is its refusal. Everything else is between the origin and the pool.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ConnectionLostError, ProtocolError
from ..protocol.transport import TransportRequest, TransportResponse

if TYPE_CHECKING:
    from .http2_pool import Http2Pool
    from .pool import Pool


class ProxiedPool:
    """A `Transport` through the proxy of its pool, which keeps connections for each origin."""

    def __init__(self, pool: Pool | Http2Pool) -> None:
        assert pool.proxy is not None
        self._proxy = pool.proxy
        self._pool = pool
        self.dials = pool.dials

    async def send(self, request: TransportRequest) -> TransportResponse:
        """Send a request; the answer once its head is there (see `Transport.send`). Raises `ProxyError` besides."""
        proxy = self._proxy
        if not proxy.forwards(request.url):
            return await self._pool.send(request)
        going = request if request.pending is not None else proxy.forwarded(request)
        try:
            answer = await self._pool.send(going)
        except (ConnectionLostError, ProtocolError) as error:  # the proxy's doing, as far as can be seen from here
            error.args = (f"{error} (through the proxy {proxy.place})",)
            raise
        finally:
            request.pending = going.pending
        refused = proxy.refused_page(answer.status, answer.headers)
        if refused is not None:
            await answer.aclose()
            raise refused
        return answer

    async def aclose(self) -> None:
        """Close every idle connection: this event loop's now, others' in their own time."""
        await self._pool.aclose()
