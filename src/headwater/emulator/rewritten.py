"""An httpx transport that takes requests for the providers' real hosts to a running emulator.

Refuses (ConnectError) hosts that the emulator does not stand in for, so that nothing leaves the machine.
"""

from __future__ import annotations

import httpx

from .places import CDNS, ENDPOINT, ENDPOINTS, HOSTS, HUB, PROVIDERS, ROUTER

FILES = frozenset(CDNS.values()) | {"cdn.invalid"}


class Rewriting(httpx.AsyncBaseTransport):
    """Keeps method, query, headers and body; the host goes to ``x-emulator-host``, and into the path."""

    def __init__(self, url: str) -> None:
        self.url = httpx.URL(url)
        self.inner = httpx.AsyncHTTPTransport(verify=False)  # it speaks plain http alone: no certificates to load

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == self.url.host:
            return await self.inner.handle_async_request(request)
        headers = request.headers.copy()
        headers["x-emulator-host"] = request.url.host
        headers["host"] = self.url.netloc.decode("ascii")
        url = self.url.copy_with(raw_path=place(request).encode() + request.url.raw_path)
        sent = httpx.Request(request.method, url, headers=headers, stream=request.stream, extensions=request.extensions)
        return await self.inner.handle_async_request(sent)

    async def aclose(self) -> None:
        await self.inner.aclose()


def place(request: httpx.Request) -> str:
    """What the path of a request to a real host gets in front."""
    host = request.url.host
    if request.url.scheme != "https":
        raise httpx.ConnectError(f"the emulator stands in for https alone, not for {request.url}", request=request)
    if host == ROUTER:
        return "/routed" if request.url.path.split("/", 2)[1] in PROVIDERS else ""
    if host == HUB or host in ENDPOINTS:
        return ""
    if host.endswith(ENDPOINT):
        return f"/at-endpoint/{host.partition('.')[0]}"
    if host in FILES:
        return "/cdn"
    if host not in HOSTS:
        raise httpx.ConnectError(f"the emulator does not stand in for {host}", request=request)
    return f"/direct/{HOSTS[host]}"
