"""Which transport carries a request: the caller's own, HTTP/2, the pool, or a pool behind a proxy.

httpx is loaded only where one of its transports is asked for.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from ..protocol.transport import Transport
from ..protocol.url import Url
from .pool import Pool
from .proxied_pool import ProxiedPool
from .proxies import proxies_by_scheme, proxy_for
from .proxy import Proxy

if TYPE_CHECKING:
    import httpx


class Transports:
    """A client's transports, each made when the first request needs it."""

    def __init__(
        self,
        *,
        proxies: str | Mapping[str, str] | None = None,
        trust_env: bool = True,
        http2: bool = False,
        given: httpx.AsyncBaseTransport | Transport | None = None,
    ) -> None:
        self._proxies = proxies_by_scheme(proxies)
        self._trust_env = trust_env
        self._http2 = http2
        self._given = given
        self._made: dict[str | None, Transport] = {}
        self._plain = given is None and not http2 and not self._proxies and not (trust_env and _proxy_variables())

    def for_url(self, url: Url) -> Transport:
        """What carries requests to this URL."""
        if self._plain:
            return self._get(None)
        return self._get(None if self._given is not None else self._proxy(url))

    def for_asset(self, url: Url) -> Transport:
        """What carries a download from this URL: the same, but that our own pool stands in for HTTP/2."""
        carrier = self._given or self._proxy(url) is not None
        return self.for_url(url) if carrier or not self._http2 else self._pool()

    def _pool(self) -> Transport:
        return self._made.setdefault("", Pool())

    def _proxy(self, url: Url) -> str | None:
        for name in (url.scheme, "all"):
            if name in self._proxies:
                return self._proxies[name]
        return proxy_for(url, os.environ) if self._trust_env else None

    def _get(self, proxy: str | None) -> Transport:
        made = self._made.get(proxy)
        if made is None:
            made = self._made[proxy] = self._make(proxy)
        return made

    def _make(self, proxy: str | None) -> Transport:
        given: Any = self._given
        if given is None and not self._http2:
            return Pool() if proxy is None else ProxiedPool(Pool(proxy=Proxy(proxy)))
        if given is not None and "httpx" not in sys.modules:  # so it is none of httpx's, which is not loaded for it
            return cast("Transport", given)
        from . import httpx_adapter, log_filters

        log_filters.install()
        if given is not None:
            return httpx_adapter.adapted(given)
        return httpx_adapter.proxied(proxy, http2=self._http2)

    async def aclose(self) -> None:
        """Close what is idle in the running event loop."""
        for made in list(self._made.values()):
            await made.aclose()


def _proxy_variables() -> bool:
    environ = os.environ
    return any(name in environ for name in _NAMES)


_NAMES = tuple(name for scheme in ("http", "https", "all") for name in (f"{scheme}_proxy", f"{scheme.upper()}_PROXY"))
