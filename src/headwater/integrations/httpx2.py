"""Our pool for programs on httpx2, such as those on the openai, anthropic and huggingface_hub of 2026."""

from __future__ import annotations

from collections.abc import AsyncIterator

from . import require_extra

with require_extra("httpx2", "httpx2"):
    import httpx2

from ..transport.httpx_adapter import PoolBody, PoolBridge
from ..transport.pool import Pool

__all__ = ["PoolTransport"]


class PoolTransport(httpx2.AsyncBaseTransport):
    """headwater's pool as the transport of an `httpx2.AsyncClient`: `AsyncClient(transport=PoolTransport())`.

    httpx2's timeouts for connecting and reading hold; those for writing and for the pool do not. `pool`: with limits or
    certificates of its own. It serves any number of event loops, and has no sockets to close when one of them ends.
    """

    def __init__(self, pool: Pool | None = None) -> None:
        self._bridge = PoolBridge(httpx2, pool)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request the way httpx2 wants it."""
        status, headers, body = await self._bridge.send(request)
        return httpx2.Response(status, headers=headers, stream=_Body(body))

    async def aclose(self) -> None:
        """Close the pool's idle connections."""
        await self._bridge.aclose()


class _Body(httpx2.AsyncByteStream):
    def __init__(self, body: PoolBody) -> None:
        self._body = body

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._body

    async def aclose(self) -> None:
        await self._body.aclose()
