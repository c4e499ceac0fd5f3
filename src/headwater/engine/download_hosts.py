"""Where a download may lead: what an address is, and what a host's addresses are.

A host's name is looked up once, every address that it has is judged, and the connection goes to one of those: a name
that means something else a moment later cannot lead inside. Pure but for that look-up; nothing is opened here.
"""

from __future__ import annotations

import ipaddress
from typing import Final

from ..auth.hosts import is_loopback
from ..errors import InputError
from ..protocol.lazy import lazy_pattern
from ..protocol.url import Url
from ..resolver import look_up

ALLOW: Final = ", where nothing is downloaded from; input_policy=InputPolicy(allow_private=True) lets it be"

_NUMBER: Final = lazy_pattern(r"(?:[0-9]+|0[xX][0-9a-fA-F]*)\Z")
_TRANSLATED: Final = {
    "a NAT64 address": ("64:ff9b::/96", "64:ff9b:1::/48"),
    "a 6to4 address": ("2002::/16",),
    "a Teredo address": ("2001::/32",),
    "an IPv4 address in IPv6's notation": ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96"),
    "a site-local address": ("fec0::/10",),
    "a reserved address": ("2001::/23", "3fff::/20"),
}
_RANGES: Final = tuple((ipaddress.IPv6Network(text), what) for what, texts in _TRANSLATED.items() for text in texts)
_CARRIERS: Final = ipaddress.IPv4Network("100.64.0.0/10")
_RESERVED: Final = (ipaddress.IPv4Network("192.0.0.0/24"), ipaddress.IPv4Network("192.88.99.0/24"))
_GIVEN_OUT: Final = ipaddress.IPv6Network("2000::/3")
"""Where all public IPv6 addresses are: https://www.iana.org/assignments/ipv6-address-space"""


def refused_address(address: str) -> str | None:
    """What an IP address is that no URL may lead to ("a loopback address"); None for a public one."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.is_loopback or ip.is_unspecified:
            return "a loopback address"
        for network, what in _RANGES:
            if ip in network:
                return what
    elif ip in _CARRIERS:
        return "a carrier's private address"
    elif any(ip in network for network in _RESERVED):
        return "a reserved address"
    kinds = (
        (ip.is_loopback or ip.is_unspecified, "a loopback address"),
        (ip.is_link_local, "a link-local address"),
        (ip.is_multicast, "a multicast address"),
        (ip.is_private or not ip.is_global, "a private address"),
        (ip.version == 6 and ip not in _GIVEN_OUT, "a reserved address"),
    )
    return next((what for is_it, what in kinds if is_it), None)


def refused_host(host: str) -> str | None:
    """What a host's name alone says that no URL may lead to; None for a name that must be looked up first."""
    bare = host.rstrip(".").lower()
    if is_loopback(bare) or not bare:
        return "a loopback address"
    try:
        return refused_address(bare)
    except ValueError:
        pass
    return "an IPv4 address in an odd notation" if _NUMBER.match(bare.rpartition(".")[2]) else None


def check_host(url: Url) -> None:
    """Raise `InputError` for a host whose name alone is refused: all that can be done where a proxy looks it up."""
    if what := refused_host(url.host):
        raise InputError(f"{url.origin} is {what}{ALLOW}")


async def public_addresses(url: Url) -> list[str]:
    """The host's addresses, all of them public, in the order in which to try them.

    Raises `InputError` where one is not, and for a name that is not known.
    """
    check_host(url)
    try:
        found = await look_up(url.host, url.port)
    except (OSError, UnicodeError) as error:
        raise InputError(f"the host of {url.origin} is not known") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        if what := refused_address(address):
            raise InputError(f"{url.origin} leads to {what}{ALLOW}")
    return addresses
