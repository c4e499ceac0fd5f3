"""This project's connections under the HTTP of the package `mcp`, which is httpx2's.

A request goes to one origin, that of the server, and to no other, whatever a server names; and an answer has a limit.
Where the caller gave an `auth`, this may ask an authorization server as well, without what the server alone is given:
over https, and on this machine only for a server that is on it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Final

import httpx2

from ..protocol.transport import Transport, TransportRequest, TransportResponse
from ..protocol.url import Url
from ..transport.httpx_adapter import PoolBody, own_url, raw_headers, their_errors
from .servers import is_here

MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
"""Bytes of one answer of a server that is no event stream."""
_OURS: Final = frozenset({"host", "content-length", "transfer-encoding"})


class McpTransport(httpx2.AsyncBaseTransport):
    """Carries the requests to one server, with what it alone is given."""

    def __init__(
        self, url: Url, headers: list[tuple[str, str]], transport_for: Callable[[Url], Transport], *, asks_others: bool
    ) -> None:
        """`asks_others`: whether an `auth` may send requests to an authorization server."""
        self._url = url
        self._own = headers
        self._transport_for = transport_for
        self._asks_others = asks_others

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request the way httpx2 wants it."""
        target = own_url(httpx2, request)
        is_own = target.origin == self._url.origin
        if not is_own and not (self._asks_others and self._may_be_asked(target)):
            raise httpx2.LocalProtocolError(f"the server's origin is {self._url.origin}", request=request)
        seconds = request.extensions.get("timeout") or {}
        body = await request.aread()
        with their_errors(httpx2, request):
            answer = await self._transport_for(target).send(
                TransportRequest(
                    method=request.method,
                    url=target,
                    headers=self._headers(request, self._own if is_own else []),
                    body=body,
                    length=len(body) if body or request.method == "POST" else None,
                    connect_timeout=seconds.get("connect"),
                    resend=request.method == "GET",
                )
            )
        return httpx2.Response(
            answer.status, headers=raw_headers(answer.headers), stream=_Body(answer, request, seconds.get("read"))
        )

    def _may_be_asked(self, url: Url) -> bool:
        return is_here(self._url) if is_here(url) else url.scheme == "https"

    def _headers(self, request: httpx2.Request, given: list[tuple[str, str]]) -> list[tuple[str, str]]:
        own = {name.lower() for name, _ in given}
        sent = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
        kept = [(name, value) for name, value in sent if name.lower() not in _OURS and name.lower() not in own]
        return [*kept, *given]


class _Body(httpx2.AsyncByteStream):
    def __init__(self, answer: TransportResponse, request: httpx2.Request, seconds: float | None) -> None:
        self._pieces = PoolBody(httpx2, answer, request, seconds)
        self._request = request
        self._size, self._most = 0, MAX_ANSWER_BYTES
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            self._most = 0  # its events have a limit each

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = await anext(self._pieces)
        self._size += len(piece)
        if self._most and self._size > self._most:
            await self.aclose()
            raise httpx2.ReadError(f"an answer of more than {self._most} bytes", request=self._request)
        return piece

    async def aclose(self) -> None:
        await self._pieces.aclose()
