"""Which transport carries a request: the caller's own, the pool, or a pool behind a proxy."""

from __future__ import annotations

import os
import select
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from ..errors import InvalidParameterError
from ..protocol.lazy import lazy_modules
from ..protocol.transport import Transport
from ..protocol.url import Url
from .interposer import Interposer, MakeTransport, interposer
from .pool import Pool
from .tls import Trust

if TYPE_CHECKING:
    import httpx

    from . import proxied_pool, proxies, proxy  # noqa: TC004 - loaded where there is one, below
    from .http2_pool import Http2Pool
else:
    globals().update(lazy_modules(__package__, "proxied_pool proxies proxy"))


Http2: TypeAlias = 'bool | Literal["prior-knowledge"]'
"""Whether HTTP/2 is offered to servers; or whether it is spoken over plain http as well, without asking."""
PRIOR_KNOWLEDGE: Final = "prior-knowledge"


class Transports:
    """A client's transports, each made when the first request needs it.

    `proxies`: a proxy's URL, or one by scheme; without it the environment's, unless `trust_env` is False. `verify`,
    `ssl_context`: see `Trust`. `http2`: whether servers may choose HTTP/2. `given`: what the caller has to send with,
    which brings all of that itself. `beside`: transports of the same client, made before. `interposed`: whether what
    stands between clients and their transports, such as a cassette, stands before these as well.

    Raises `InvalidParameterError` for what cannot be used, or would be without effect, such as HTTP/2 where the system
    has no epoll, and `ImportError` where HTTP/2 is wanted and its extra is not installed.
    """

    def __init__(
        self,
        *,
        proxies: str | Mapping[str, str] | None = None,
        trust_env: bool = True,
        verify: object = None,
        ssl_context: object = None,
        http2: Http2 = False,
        given: httpx.AsyncBaseTransport | Transport | None = None,
        beside: Transports | None = None,
        interposed: bool = True,
    ) -> None:
        own = interposer() if interposed else None
        self._interposer: Interposer | None = own if beside is None else beside._interposer
        self._http2: Http2 = _http2_choice(http2)
        self._proxies = _by_scheme(proxies)
        self._trust_env = trust_env
        self._trust = Trust(verify, ssl_context)
        self._given = given
        if given is not None and (self._proxies or verify is not None or ssl_context is not None or http2):
            raise InvalidParameterError(
                "transport= brings proxies, certificates and HTTP/2 of its own: give them to it"
            )
        self._made: dict[str | None, Transport] = {}
        if given is not None:
            theirs = _adapted(given)
            self._made[None] = self._interposed(lambda: theirs)
        self._by_route: dict[tuple[object, ...], Transports] = {}
        self._plain = given is None and not self._proxies and not (trust_env and _proxy_variables())

    def for_url(self, url: Url) -> Transport:
        """What carries requests to this URL."""
        if self._plain:
            return self._made.get(None) or self._get(None)
        return self._get(None if self._given is not None else self._proxy(url))

    def for_route(self, proxy: str | None, verify: object, ssl_context: object) -> Transports:
        """The transports of a route that has these of its own, the rest being this client's; the same ones each time.

        Raises `InvalidParameterError`.
        """
        key = (proxy, verify, ssl_context)
        made = self._by_route.get(key)
        if made is None:
            made = Transports(
                proxies=proxy,
                trust_env=self._trust_env,
                verify=verify,
                ssl_context=ssl_context,
                http2=False if self._given is not None else self._http2,
                given=self._given,
                beside=self,
            )
            if proxy is None:
                made._proxies, made._plain = self._proxies, self._plain
            if verify is None and ssl_context is None:
                made._trust = self._trust
            made = self._by_route.setdefault(key, made)  # several threads may have made one
        return made

    def _proxy(self, url: Url) -> str | None:
        for name in (url.scheme, "all"):
            if name in self._proxies:
                return self._proxies[name]
        return proxies.proxy_for(url, os.environ) if self._trust_env else None

    def _get(self, proxy: str | None) -> Transport:
        made = self._made.get(proxy)
        if made is None:
            made = self._made.setdefault(proxy, self._interposed(lambda: self._make(proxy)))
        return made

    @property
    def instant(self) -> bool:
        """Whether answers come without a network and at once, so that waiting before a request is of no use."""
        return self._interposer is not None and self._interposer.instant

    @property
    def is_taped(self) -> bool:
        """Whether answers are recorded, or come from a recording."""
        return self._interposer is not None

    def _interposed(self, make: MakeTransport) -> Transport:
        return make() if self._interposer is None else self._interposer.around(make)

    def _make(self, proxy: str | None) -> Transport:
        through = None if proxy is None else _usable(proxy)
        pool = Pool(ssl_context=self._trust, proxy=through)
        made: Pool | Http2Pool = pool
        if self._http2:
            from .http2_pool import Http2Pool

            made = Http2Pool(pool, prior_knowledge=self._http2 == PRIOR_KNOWLEDGE)
        # SOCKS opens a way for all: there is nothing that it reads.
        return made if through is None or through.tunnels_all else proxied_pool.ProxiedPool(made)

    async def aclose(self) -> None:
        """Close what is idle in the running event loop."""
        for made in list(self._made.values()):
            await made.aclose()
        for of_route in list(self._by_route.values()):
            await of_route.aclose()


def _by_scheme(given: object) -> dict[str, str | None]:
    return {} if given is None else proxies.proxies_by_scheme(given)


def _usable(named: str) -> proxy.Proxy:
    try:
        return proxy.Proxy(named)
    except InvalidParameterError as error:  # what a caller gives was looked at before
        raise InvalidParameterError(f"the environment's HTTPS_PROXY, HTTP_PROXY or ALL_PROXY: {error}") from None


def _http2_choice(given: object) -> Http2:
    if given in (None, False):
        return False
    if given is not True and given != PRIOR_KNOWLEDGE:
        raise InvalidParameterError(f'http2 must be True, False or "{PRIOR_KNOWLEDGE}"')
    if not hasattr(select, "epoll"):
        raise InvalidParameterError(
            f"http2={given!r} cannot be used here: its streams share sockets by way of epoll, which this system has"
            " not; leave it out for HTTP/1.1"
        )
    from importlib.util import find_spec

    if find_spec("h2") is None:
        raise ImportError('http2=True needs h2: pip install "headwater[http2]"', name="h2")
    return True if given is True else "prior-knowledge"


def _adapted(given: Any) -> Transport:
    from .httpx_adapter import adapted

    return adapted(given)


def _proxy_variables() -> bool:
    environ = os.environ
    return any(name in environ for name in _NAMES)


_NAMES = tuple(name for scheme in ("http", "https", "all") for name in (f"{scheme}_proxy", f"{scheme.upper()}_PROXY"))
