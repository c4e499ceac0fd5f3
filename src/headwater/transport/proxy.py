"""A proxy on the way: what its URL says, what is said to it, and what its answers mean. No I/O.

    HTTP proxy, http origin    ──▶ the request itself, its URL in the absolute form (RFC 9112, section 3.2.2)
    HTTP proxy, https origin   ──▶ CONNECT host:port, and through it TLS with the origin (RFC 9110, section 9.3.6)
    SOCKS5 proxy               ──▶ its handshake (RFC 1928), and through it whatever the origin speaks

A handshake is a generator: it yields what to send (b"" for nothing), and is sent what was received, b"" at the end. A
refusal is the proxy's, not the provider's: `ProxyError` has its host and port, and never who logs in there.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from copy import copy
from ipaddress import ip_address
from typing import Final, TypeAlias

from ..auth.secret import Masked, basic_login, guard_proxy, login_of, proxy_parts, redact_all
from ..errors import ConnectError, InvalidParameterError, ProxyError
from ..protocol.lazy import lazy_pattern
from ..protocol.transport import RequestHead, TransportRequest
from ..protocol.url import Url

Handshake: TypeAlias = Generator[bytes, bytes, None]

PORTS: Final = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
"""The schemes, and the ports that they have where the URL names none."""
SOCKS4: Final = frozenset({"socks4", "socks4a"})
MAX_CONNECT_ANSWER_BYTES: Final = 64 * 1024
"""Bytes that an answer to CONNECT may have before its end, interim ones included."""
TLS_ALERT: Final = b"\x15"
MAX_WORDS: Final = 200
"""Characters of a proxy's own words that an error repeats."""
SOCKS_BYTES: Final = 255
"""Bytes that a name, a user name or a password can have in SOCKS."""
OWN_STATUSES: Final = frozenset({407, 511})
"""Statuses that no server has: https://www.rfc-editor.org/rfc/rfc6585#section-6"""
OWN_PAGES: Final = ("squid", "tinyproxy", "privoxy")
"""Who signs the pages of its own with these names in `Server`; an origin's answer is passed on with the origin's."""
_PLACE: Final = lazy_pattern(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(?::([0-9]{0,5}))?\Z")
_STATUS: Final = lazy_pattern(rb"HTTP/[0-9](?:\.[0-9])? +([1-5][0-9]{2})(?: ([^\r\n]*))?\r?\n", re.IGNORECASE)
_END: Final = lazy_pattern(rb"\r?\n\r?\n")
_CHALLENGE: Final = lazy_pattern(rb"\nproxy-authenticate:([^\r\n]*)", re.IGNORECASE)
_QUOTED: Final = lazy_pattern(r'"(?:[^"\\]|\\.)*"')
_SCHEME: Final = lazy_pattern(r"(?:^|,)[ \t]*([A-Za-z][A-Za-z0-9-]*)(?![A-Za-z0-9-])(?![ \t]*=)")
"""An authentication scheme among challenges: a comma stands between parameters, too."""

_REPLIES: Final = {
    1: "general failure",
    2: "its rules do not allow this connection",
    3: "the network cannot be reached",
    4: "the host cannot be reached",
    5: "the server refused the connection",
    6: "the time to live has expired",
    7: "it cannot connect to anything",
    8: "it does not know this kind of address",
}


class Proxy:
    """A proxy. `place`: its host and port, which is all that is ever told of it.

    Raises `InvalidParameterError`, which repeats nothing of it, for a URL that names none.
    """

    __slots__ = ("_authorization", "_password", "_user", "host", "place", "port", "scheme")

    def __init__(self, url: str) -> None:
        self.place = "?"
        self.scheme, user, password, rest = proxy_parts(url)
        found = _PLACE.match(rest)
        if self.scheme not in PORTS or found is None or (found[2] and not 0 < int(found[2]) < 65536):
            why = "SOCKS4 is not spoken" if self.scheme in SOCKS4 else "this one cannot be used"
            if not rest.isascii():
                why = "a host's name beyond ASCII is written as xn--"
            raise InvalidParameterError(
                "a proxy's URL must be http, https, socks5 or socks5h with a host, as in http://user:password@host:3128;"
                f" {why}"
            )
        self.host = found[1].strip("[]")
        self.port = int(found[2] or PORTS[self.scheme])
        self.place = f"{found[1]}:{self.port}"
        self._user, self._password = None if user is None else login_of(user), login_of(password)
        self._authorization: str | None = None
        if user is not None:
            if self.tunnels_all and not (0 < len(self._user or "") <= SOCKS_BYTES >= len(self._password)):
                raise InvalidParameterError("the user name or password of a SOCKS proxy has 1 to 255 bytes")
            self._authorization = Masked(f"Basic {basic_login(user, password)}")
        guard_proxy(url)

    def __repr__(self) -> str:
        return f"Proxy({self.scheme}://{self.place})"

    @property
    def tunnels_all(self) -> bool:
        """Whether it speaks SOCKS, and so knows no HTTP."""
        return self.scheme.startswith("socks")

    @property
    def wants_address(self) -> bool:
        """Whether the host is looked up here, as with curl: `socks5h` leaves that to the proxy, as HTTP does."""
        return self.scheme == "socks5"

    def forwards(self, url: Url) -> bool:
        """Whether requests to this URL are the proxy's to read: in the absolute form."""
        return url.scheme == "http" and not self.tunnels_all

    def forwarded(self, request: TransportRequest) -> TransportRequest:
        """The request as the proxy wants it."""
        going, head = copy(request), request.head
        if head is None or head.url is not request.url or head.headers is not request.headers:
            wanted = self._forwarded(request.url, request.headers)
        elif head.forwarded is not None and head.forwarded[0] is self:
            wanted = head.forwarded[1]
        else:
            wanted = self._forwarded(head.url, head.headers)
            head.forwarded = self, wanted
        going.head, going.url, going.headers = wanted, wanted.url, wanted.headers
        return going

    def _forwarded(self, url: Url, headers: list[tuple[str, str]]) -> RequestHead:
        own = [] if self._authorization is None else [("Proxy-Authorization", self._authorization)]
        return RequestHead(url.at(str(url)), [*headers, *own])

    def handshake(self, url: Url, address: str | None) -> Handshake | None:
        """What opens the way to this URL's origin; None where there is nothing to open.

        `address`: the origin's, where it was looked up here.
        """
        if self.tunnels_all:
            return self._socks5(address or url.host, url.port)
        return None if self.forwards(url) else self._connect(url, address or url.host)

    def refused_page(self, status: int, headers: Mapping[str, str]) -> ProxyError | None:
        """The error that an answer in the absolute form is, where it can be told that it is the proxy's own."""
        signed = headers.get("server", "").lower().startswith(OWN_PAGES) or "x-squid-error" in headers
        # What a proxy has from a server it passes on with a `Via` (RFC 9110, section 7.6.3): a page without one that
        # forbids is its own, since servers of inference refuse in JSON.
        page = headers.get("content-type", "").lower().startswith("text/html") and "via" not in headers
        if status not in OWN_STATUSES and not (status >= 400 and signed) and not (status == 403 and page):
            return None
        words = headers.get("x-squid-error", "")
        return self._refusal(f"{status} {words}".strip(), status, headers.get("proxy-authenticate", ""))

    # -- CONNECT

    def _connect(self, url: Url, host: str) -> Handshake:
        authority = f"[{host}]:{url.port}" if ":" in host else f"{host}:{url.port}"
        said = f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n"
        if self._authorization is not None:
            said = Masked(f"{said}Proxy-Authorization: {self._authorization}\r\n")
        head, room = (yield f"{said}\r\n".encode("latin-1")), MAX_CONNECT_ANSWER_BYTES
        while True:
            head = head.lstrip()  # an empty line before an answer is none
            end = _END.search(head)
            while end is None:
                if len(head) > room or head[:5].upper() != b"HTTP/"[: len(head)]:
                    raise self._odd("HTTP", "; is it https://?" if head[:1] == TLS_ALERT else "")
                seen = len(head)
                head = (head + (yield from self._more())).lstrip()
                end = _END.search(head, max(0, seen - 3))
            status = _STATUS.match(head)
            if status is None:
                raise self._odd("HTTP")
            if not status[1].startswith(b"1") or status[1] == b"101":
                break
            head, room = head[end.end() :], room - end.end()  # an interim answer, which another one follows
        code, words = int(status[1]), b" ".join(filter(None, status.groups())).decode("latin-1")
        if status[1].startswith(b"2"):
            if len(head) > end.end():  # nobody was asked for anything yet
                raise self._refusal(f"it sent a page of its own in place of the connection ({words})", code)
            return
        asked = b",".join(_CHALLENGE.findall(head[: end.end()])).decode("latin-1")
        raise self._refusal(words, code, asked)

    # -- SOCKS5

    def _socks5(self, host: str, port: int) -> Handshake:
        got = yield from self._read((yield b"\5\1\0" if self._user is None else b"\5\2\0\2"), 2)
        if got[0] != 5:
            raise self._odd("SOCKS5")
        if got[1:] == b"\2" and self._user is not None:  # RFC 1929
            got = yield from self._read((yield self._login()), 2)
            if got[1] != 0:
                raise self._refusal("it does not know this user name and password")
        elif got[1:] == b"\xff":
            raise self._refusal(
                "it takes no call without a user name and password; give them in its URL"
                if self._user is None
                else "it takes no user name and password"
            )
        elif got[1:] == b"\2":
            raise self._refusal("it takes no call without a user name and password; give them in its URL")
        elif got[1:] != b"\0":
            raise self._odd("SOCKS5")
        got = yield from self._read((yield b"\5\1\0" + _socks_place(host) + port.to_bytes(2, "big")), 2)
        if got[0] == 5 and got[1] != 0:  # what follows may be missing
            raise self._refusal(f"{_REPLIES.get(got[1], 'an unknown reason')} (SOCKS reply {got[1]})")
        got = yield from self._read(got, 5)
        if got[0] != 5 or got[3] not in (1, 3, 4):
            raise self._odd("SOCKS5")
        length = 4 + {1: 4, 3: 1 + got[4], 4: 16}[got[3]] + 2
        if len((yield from self._read(got, length))) > length:
            raise self._odd("SOCKS5")

    def _login(self) -> bytes:
        user, password = (self._user or "").encode("latin-1"), self._password.encode("latin-1")
        return b"\1%c%b%c%b" % (len(user), user, len(password), password)

    def _read(self, got: bytes, size: int) -> Generator[bytes, bytes, bytes]:
        while len(got) < size:
            got += yield from self._more()
        return got

    def _more(self) -> Generator[bytes, bytes, bytes]:
        more = yield b""
        if not more:
            raise ConnectError(f"the proxy {self.place} closed the connection before it had answered")
        return more

    # -- refusals

    def _refusal(self, words: str, status: int | None = None, challenges: str = "") -> ProxyError:
        hint = ""
        if status in (401, 407):  # tinyproxy says 401 to a wrong password
            hint = "; give its user name and password in its URL"
            if self._user is not None:
                hint = "; its user name or password is another one"
            schemes = _SCHEME.findall(_QUOTED.sub("", challenges))
            if schemes and not any(scheme.lower() == "basic" for scheme in schemes):
                hint = f"; it asks for {_shown(', '.join(schemes))}, and only Basic is spoken here"
        error = ProxyError(f"the proxy {self.place} refused: {_shown(words)}{hint}")
        error.proxy, error.status = self.place, status
        return error

    def _odd(self, language: str, hint: str = "") -> ProxyError:
        error = ProxyError(f"the proxy {self.place} refused: what it answered is not {language}{hint}")
        error.proxy = self.place
        return error


def _shown(words: str) -> str:
    """A proxy's words for people: without secrets, and on one line."""
    text = redact_all(words)
    return "".join([each if each.isprintable() else " " for each in text]).strip()[:MAX_WORDS]


def _socks_place(host: str) -> bytes:
    try:
        address = ip_address(host)
    except ValueError:
        name = host.encode("ascii")
        if len(name) > SOCKS_BYTES:
            raise InvalidParameterError("the host's name is longer than SOCKS can carry") from None
        return b"\3%c%b" % (len(name), name)
    return (b"\1" if address.version == 4 else b"\4") + address.packed
