"""Which proxy the environment names for a URL: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, in both cases.

Lower case wins, as in curl; HTTP_PROXY is not believed inside a CGI script, where a request's header could
set it. Reads no system settings.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..auth import is_loopback
from ..wire import Url


def proxy_for(url: Url, environ: Mapping[str, str]) -> str | None:
    """The proxy's URL, None to connect directly; to this machine always directly: a proxy's own loopback is another
    one, and a key that goes to it over plain http would be read on its way."""
    if is_loopback(url.host):
        return None
    proxy = _variable(environ, url.scheme) or _variable(environ, "all")
    if not proxy or _excepted(url, _variable(environ, "no")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _variable(environ: Mapping[str, str], name: str) -> str:
    believed = name != "http" or "REQUEST_METHOD" not in environ
    upper = environ.get(f"{name.upper()}_PROXY", "") if believed else ""
    return environ.get(f"{name}_proxy", upper).strip()


def _excepted(url: Url, names: str) -> bool:
    host, place = url.host.lower(), f"{url.host.lower()}:{url.port}"
    for name in names.lower().split(","):
        name = name.strip().lstrip(".").strip("[]")
        if name == "*" or (name and (name in (host, place) or host.endswith(f".{name}"))):
            return True
    return False
