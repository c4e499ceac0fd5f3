"""Strict http(s) URLs: the parts that a request is sent by, and the origin that a credential belongs to."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from ..errors import InvalidParameterError

_TARGET = re.compile(r"[\x21\x23-\x7e]*\Z")  # printable ASCII without space and quote; "#" is cut off before
_USER = re.compile(r"[^/?#]*//[^/?#]*@")
_NO_USER = "a URL must not carry a user name or password; pass the key as token="
_HOST = re.compile(r"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])\Z")
_PORTS = {"http": 80, "https": 443}


class Url(NamedTuple):
    """An absolute http(s) URL in the parts that a connection needs; `target` is path and query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def origin(self) -> str:
        """scheme://host, and the port where it is not the scheme's own."""
        return f"{self.scheme}://{_authority(self.scheme, self.host, self.port)}"

    @property
    def authority(self) -> str:
        """What the Host header says."""
        return _authority(self.scheme, self.host, self.port)

    def __str__(self) -> str:
        return self.origin + self.target


@lru_cache(maxsize=4096)
def _authority(scheme: str, host: str, port: int) -> str:
    shown = f"[{host}]" if ":" in host else host
    return shown if port == _PORTS[scheme] else f"{shown}:{port}"


@lru_cache(maxsize=4096)
def parse_url(text: str) -> Url:
    """Read an http(s) URL strictly; user names, other schemes and odd characters are refused.

    Raises `InvalidParameterError`, which never repeats the query, because secrets hide there.
    """
    shown = text.split("?")[0].rpartition("@")[2][:200]
    if _USER.match(text):
        raise InvalidParameterError(_NO_USER)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise InvalidParameterError(f"{shown!r} is not a URL") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise InvalidParameterError(f"{shown!r} is not an http or https URL")
    if "@" in parts.netloc:
        raise InvalidParameterError(_NO_USER)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not _TARGET.match(target) or not _HOST.match(parts.netloc.removesuffix(f":{port}")) or port == 0:
        raise InvalidParameterError(f"{shown!r} has characters that a URL cannot have; percent-encode them")
    return Url(parts.scheme, parts.hostname, port or _PORTS[parts.scheme], target)
