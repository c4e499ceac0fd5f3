"""Which proxy a URL has: by the caller's word, or by the environment's: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY,
in both cases.

Lower case wins, as in curl; HTTP_PROXY is not believed inside a CGI script, where a request's header could
set it. Reads no system settings.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final, NamedTuple

from ..auth.hosts import is_loopback
from ..auth.secret import Masked
from ..errors import InvalidParameterError
from ..protocol.lazy import lazy_pattern
from ..protocol.url import Url
from .proxy import Proxy


def proxies_by_scheme(given: object) -> dict[str, str | None]:
    """What a caller gave as `proxies=`: a URL for all, or URLs by scheme, with "://" or without; None is none.

    Raises `InvalidParameterError` for what is none of it, which repeats nothing of it.
    """
    if given is None or given == "":
        return {}
    if isinstance(given, str):
        given = {"all": given}
    if not isinstance(given, Mapping):
        raise InvalidParameterError("proxies must be a proxy's URL, or a dict of them by scheme")
    found: dict[str, str | None] = {}
    for name, proxy in given.items():
        scheme = name.removesuffix("://") if isinstance(name, str) else ""
        if scheme not in ("http", "https", "all"):
            raise InvalidParameterError("a dict of proxies has the keys 'http', 'https' and 'all'")
        if proxy is not None and not isinstance(proxy, str):
            raise InvalidParameterError("proxies must be a proxy's URL, or a dict of them by scheme")
        found[scheme] = _with_scheme(proxy) if proxy else None
    for proxy in filter(None, found.values()):
        Proxy(proxy)
    return found


def _with_scheme(proxy: str) -> str:
    return Masked(proxy if "://" in proxy else f"http://{proxy}")


def proxy_for(url: Url, environ: Mapping[str, str]) -> str | None:
    """The proxy's URL by the environment, which a client's `proxies=` go before; None to connect directly.

    To this machine always directly: a proxy's own loopback is another one, and a key that goes to it over plain http
    would be read on its way.
    """
    if is_loopback(url.host):
        return None
    proxy = _variable(environ, url.scheme) or _variable(environ, "all")
    if not proxy or _excepted(url, _variable(environ, "no")):
        return None
    return _with_scheme(proxy)


def _variable(environ: Mapping[str, str], name: str) -> str:
    believed = name != "http" or "REQUEST_METHOD" not in environ
    upper = environ.get(f"{name.upper()}_PROXY", "") if believed else ""
    return environ.get(f"{name}_proxy", upper).strip()


_SEPARATOR: Final = lazy_pattern(r"[\s,]+")
_PORT: Final = lazy_pattern(r"(.*):([0-9]{1,5})\Z")


class _Exception(NamedTuple):
    """One place that NO_PROXY names: hosts, at a port or at all of them, by a scheme or by both."""

    scheme: str
    hosts: str
    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None
    port: int | None

    def holds(self, url: Url, host: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
        if self.scheme not in ("", "all", url.scheme) or self.port not in (None, url.port):
            return False
        if self.network is not None:
            return address is not None and address in self.network
        return host == self.hosts or host.endswith(f".{self.hosts}") or fnmatchcase(host, self.hosts)


def _excepted(url: Url, names: str) -> bool:
    """Whether NO_PROXY names it: hosts, with all below them (with a dot, `*.` or nothing before them), `*`, addresses
    and networks (`10.0.0.0/8`, `fd00::/8`), each with a port or without, between commas or blanks; or
    a URL, for its scheme alone."""
    host = url.host.lower().rstrip(".")
    address = _address(host)
    return any(each.holds(url, host, address) for each in _exceptions(names))


@lru_cache(maxsize=64)
def _exceptions(names: str) -> tuple[_Exception, ...]:
    return tuple(_read(name) for name in _SEPARATOR.split(names.lower()) if name)


def _read(name: str) -> _Exception:
    scheme, found, rest = name.partition("://")
    scheme, name = (scheme, rest.partition("/")[0]) if found else ("", name.rstrip("/"))  # as httpx has it: a URL
    network, port = None if "]:" in name else _network(name), None
    if network is None and (match := _PORT.match(name)):
        name, port = match[1], int(match[2])
        network = _network(name)
    return _Exception(scheme, _in_ascii(name.removeprefix("*.").strip(".") or name), network, port)


def _in_ascii(name: str) -> str:
    """A host's name as URLs have it here."""
    try:
        return name if name.isascii() else name.encode("idna").decode()
    except UnicodeError:
        return name


def _network(name: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    bare = name.replace("[", "").replace("]", "")
    try:
        found = ipaddress.ip_network(bare, strict=False)
    except ValueError:
        return None
    mapped = getattr(found.network_address, "ipv4_mapped", None)
    return found if mapped is None else ipaddress.ip_network(f"{mapped}/{max(0, found.prefixlen - 96)}", strict=False)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
