"""Strict http(s) URLs: the parts that a request is sent by, and the origin that a credential belongs to."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import force_setattr

from ..errors import InvalidParameterError
from .lazy import lazy_pattern

_USER = lazy_pattern(r"[^/?#]*//[^/?#]*@")
_NO_USER = "a URL must not carry a user name or password; pass the key as token="
_HOST = lazy_pattern(r"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])\Z")
USUAL_PORTS = {"http": 80, "https": 443}


class Url(msgspec.Struct, frozen=True):
    """An absolute http(s) URL in the parts that a connection needs; `target` is path and query.

    `authority`: what the Host header says, the host and the port where it is not the scheme's own. `origin`: the scheme
    and the authority. Both are of the other parts, and made with them: each request asks for them several times.
    """

    scheme: str
    host: str
    port: int
    target: str
    authority: str = ""
    origin: str = ""

    def __post_init__(self) -> None:
        shown = f"[{self.host}]" if ":" in self.host else self.host
        authority = shown if self.port == USUAL_PORTS[self.scheme] else f"{shown}:{self.port}"
        force_setattr(self, "authority", authority)
        force_setattr(self, "origin", f"{self.scheme}://{authority}")

    def __str__(self) -> str:
        return self.origin + self.target

    def named(self, host: str | None) -> Url:
        """The same URL, where the Host header says this; None for its own host."""
        if not host or host == self.authority:
            return self
        other = self.at(self.target)
        force_setattr(other, "authority", host)
        return other

    def at(self, target: str) -> Url:
        """The URL of this origin with another path and query."""
        return Url(self.scheme, self.host, self.port, target)


def _is_target(text: str) -> bool:
    """Whether it is printable ASCII without space and quote; "#" is cut off before."""
    return text.isascii() and text.isprintable() and " " not in text and '"' not in text


@lru_cache(maxsize=4096)
def parse_url(text: str) -> Url:
    """Read an http(s) URL strictly; user names, other schemes and odd characters are refused.

    Raises `InvalidParameterError`, which never repeats the query, because secrets hide there.
    """
    shown = text.split("?")[0].rpartition("@")[2][:200]
    if "@" in text and _USER.match(text):
        raise InvalidParameterError(_NO_USER)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise InvalidParameterError(f"{shown!r} is not a URL") from None
    if parts.scheme not in USUAL_PORTS or not parts.hostname:
        raise InvalidParameterError(f"{shown!r} is not an http or https URL")
    if "@" in parts.netloc:
        raise InvalidParameterError(_NO_USER)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not _is_target(target) or not _HOST.match(parts.netloc.removesuffix(f":{port}")) or port == 0:
        why = (
            "percent-encode them" if parts.netloc.isascii() else "write a host's name as xn--, percent-encode the rest"
        )
        raise InvalidParameterError(f"{shown!r} has characters that a URL cannot have; {why}")
    return Url(parts.scheme, parts.hostname, port or USUAL_PORTS[parts.scheme], target)
