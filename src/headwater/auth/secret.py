"""Where credentials come from, and what keeps them from being seen.

The order: what was passed, then the environment, then the token that the Hugging Face login saved. What was not
passed is called ambient, and goes only to the party that its variable names. Nothing here sends anything.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn
from urllib.parse import quote, unquote, unquote_to_bytes, urlsplit
from weakref import WeakValueDictionary

from ..errors import InvalidCredentialError, InvalidParameterError
from ..protocol.lazy import lazy_pattern

_SENDABLE = lazy_pattern(r"[\x21-\x7e]{1,4096}\Z")
# As html.escape does, whose import is 2 ms.
_IN_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})
_HEADER_NAME = lazy_pattern(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}\Z")
_HEADER_VALUE = lazy_pattern(r"[\t\x20-\x7e]{0,4096}\Z")
_HOLDS_SECRET = lazy_pattern(r"auth|key|token|secret|cookie|session|passw|pwd|credential|signature|jwt|bearer")
_SHORT_NAMES = frozenset({"sig", "code", "pat", "pw"})
_SAYS_WHAT = lazy_pattern(r"version|model|deployment|region|route|path|url")
_LONG = 24
_PIECES = lazy_pattern(r"[\x21\x23-\x2b\x2d-\x3a\x3c\x3e-\x7e]{8,4096}")  # between blanks, quotes, commas, ; and =
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection"})
_SHOWN_END = 8
"""Vendors quote a key's last characters."""
_LONGEST_REST = 5
"""So many of a secret's first characters may be left where a text was cut: most are the vendor's own ("hf_")."""
_LEAST = _LONGEST_REST + 1
MASK = "[secret]"


class Masked(str):
    """A text that holds a secret, such as a header's value: it prints as a mask, also in a traceback that shows locals,
    and cannot be pickled."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"'{MASK}'"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a text that holds a secret cannot be pickled")


def mask(given: Any) -> Any:
    """What was given, for use and not to be seen: texts are masked, also those in a dict; of anything else that could
    hold a secret only the type is left, for whoever refuses it."""
    if given is None or isinstance(given, Secret):
        return given
    if isinstance(given, Opaque):
        return given.value
    if isinstance(given, str):
        return Masked(given)
    if isinstance(given, Mapping):
        return {_name(name): mask(value) for name, value in given.items()}
    return type(given)


def _name(name: Any) -> Any:
    return name if isinstance(name, str) and _HEADER_NAME.match(name) else mask(name)


class Opaque:
    """What `mask` gave, for later; it is no text, so that whoever writes out what an object has writes none of it."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce__(self) -> NoReturn:
        raise TypeError("what may hold a secret cannot be pickled")


class Secret:
    """A credential that never prints itself: only `reveal` gives it out, to whoever puts it into a header."""

    __slots__ = ("__weakref__", "_needles", "_together", "_value")

    def __init__(self, value: str, *, what: str = "token") -> None:
        self._value = value.strip()
        value = MASK  # a traceback that shows locals shows this
        if not _SENDABLE.match(self._value):
            raise InvalidCredentialError(
                f"the {what} is empty, too long, or has characters that a header cannot carry"
                " (a line break, a space or a letter outside ASCII); it was not sent"
            )
        self._needles = _spellings(self._value)
        self._together = "\n".join(self._needles)
        _live_secrets[id(self)] = self

    def reveal(self) -> str:
        """The value itself."""
        return self._value

    @property
    def routed(self) -> bool:
        """Whether it is a Hugging Face token, which the router takes (https://huggingface.co/docs/hub/security-tokens)."""
        return self._value.startswith("hf_")

    @property
    def spellings(self) -> tuple[str, ...]:
        """The texts by which it is known, longest first: itself, as JSON, URLs, HTML, base64 write it, and its end."""
        return self._needles

    def redact(self, text: str) -> str:
        """The text with every spelling of this secret masked, and the beginning of one at which the text was cut."""
        return redact_together((self,), text)

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled")


_live_secrets: WeakValueDictionary[int, Secret] = WeakValueDictionary()


class TextSecret(Secret):
    """A secret that goes into no header, and may have any character."""

    __slots__ = ()

    def __init__(self, value: str) -> None:
        self._value = value
        value = MASK
        self._needles = _spellings(self._value)
        self._together = "\n".join(self._needles)
        _live_secrets[id(self)] = self


def redact_together(secrets: Sequence[Secret], text: str) -> str:
    """The text without any of these secrets: the longest spelling first, whosever it is, or the end by which one is
    known would leave another's beginning."""
    found = [needle for secret in secrets for needle in secret._needles if needle in text]
    for needle in sorted(found, key=len, reverse=True):
        # The mask's own word may be somebody's password: masked again and again, it would grow.
        parts = text.split(MASK) if needle in MASK else [text]
        text = MASK.join(part.replace(needle, MASK) for part in parts)
    for secret in secrets:
        if text[-_LEAST:] in secret._together:  # as it is not with nearly all that is looked at, and each answer is
            rest = max((_rest(needle, text) for needle in secret._needles), default=0)
            text = text[:-rest] + MASK if rest else text
    return text


def may_hold(secrets: Sequence[Secret], text: str) -> bool:
    """Whether `redact_together` may find any of these secrets in the text, or the beginning of one at its end."""
    end = text[-_LEAST:]
    for secret in secrets:
        if end in secret._together:
            return True
        for needle in secret._needles:
            if needle in text:
                return True
    return False


PROXY_SECRETS: dict[str, tuple[TextSecret, ...]] = {}
"""The passwords of proxies, which are no call's own and masked in all of them, by the proxy's URL; kept for as long as
the process lasts."""


def proxy_parts(proxy: str) -> tuple[str, str | None, str, str]:
    """A proxy's URL as its scheme, user name (None where there is none), password, and host with port; the two that log
    in are percent-encoded still.

    Liberal: a password may hold "/", "#" or "@" as they are.
    """
    scheme, found, rest = Masked(proxy.strip()).partition("://")
    if not found:
        scheme, rest = "http", scheme
    login, at, place = rest.rpartition("@")
    place = Masked(re.split("[/?#]", place, maxsplit=1)[0])
    if not at:
        return scheme.lower(), None, "", place
    user, _, password = login.partition(":")
    return scheme.lower(), Masked(user), Masked(password), place


def login_of(quoted: str) -> str:
    """A user name or a password of a proxy's URL, decoded: the bytes that are meant, which need not be UTF-8, as
    latin-1's characters."""
    return Masked(_meant(quoted).decode("latin-1"))


def _meant(quoted: str) -> bytes:
    return unquote_to_bytes(quoted.encode("utf-8", "surrogateescape"))  # as the environment gives what is no UTF-8


def basic_login(user: str, password: str) -> str:
    """The two, as a proxy's URL has them, in the form of HTTP's Basic."""
    return Masked(base64.b64encode(f"{login_of(user)}:{login_of(password)}".encode("latin-1")).decode())


def _decoded(quoted: str) -> str:
    try:
        return Masked(_meant(quoted).decode())
    except UnicodeDecodeError:
        return login_of(quoted)


def guard_proxy(proxy: str) -> None:
    """See to it that the password in a proxy's URL is masked from now on, wherever it is repeated.

    A user name without a password is taken for a key.
    """
    if proxy in PROXY_SECRETS:
        return
    _, user, password, _ = proxy_parts(proxy)
    texts: set[str] = set()
    if user is not None:
        quoted = Masked((password or user).encode("utf-8", "replace").decode())
        texts = {_decoded(password or user), quoted, basic_login(user, password)}
    PROXY_SECRETS[Masked(proxy)] = tuple(map(TextSecret, sorted(filter(None, texts))))


def redact_all(text: str) -> str:
    """The text without any secret that this process knows: for loggers, which do not know whose call they tell of."""
    return redact_together(live_secrets(), text)


def live_secrets() -> list[Secret]:
    """All secrets that this process knows now, the passwords of proxies among them."""
    # At once: a walk through the dictionary's own views fails where another thread makes a secret meanwhile.
    return [secret for each in _live_secrets.valuerefs() if (secret := each()) is not None]


def _spellings(value: str) -> tuple[str, ...]:
    quoted = [quote(value, safe=safe) for safe in ("", "/")]
    found = {value, *quoted, *(_LOWER.sub(lambda code: code[0].lower(), text) for text in quoted if "%" in text)}
    found |= {_in_json(value), value.replace("/", "\\/"), value.translate(_IN_HTML)}
    found |= {value[-_SHOWN_END:], *_in_base64(value.encode())}
    if not value.isascii():  # as a header that is read as latin-1 repeats it, and as a page does that is no UTF-8
        single = value.encode("latin-1", "replace")
        found |= {
            value.encode().decode("latin-1"),
            single.decode("utf-8", "replace"),
            *_in_base64(single),
            quote(single),
        }
    return tuple(sorted((text for text in found if len(text) >= 4), key=len, reverse=True))


_LOWER = lazy_pattern("%[0-9A-F]{2}")


def _in_json(value: str) -> str:
    """As a JSON text repeats it: most secrets as they are."""
    if value.isascii() and value.isprintable() and not {'"', "\\"} & set(value):
        return value
    import json

    return json.dumps(value)[1:-1]


def _in_base64(raw: bytes) -> Iterator[str]:
    """What base64 makes of it, alone or behind other bytes ("Bearer ..."): the letters that it alone decides."""
    for before in range(3 if len(raw) >= _SHOWN_END else 1):
        behind = bytes(before) + raw
        first, last = -(-before * 8 // 6), len(behind) * 8 // 6
        yield base64.b64encode(behind)[first:last].decode()
        yield base64.urlsafe_b64encode(behind)[first:last].decode()


def _rest(needle: str, text: str) -> int:
    """How many of the needle's first characters end the text."""
    end, place = text[-_LEAST:], 0
    if len(end) < _LEAST:
        return 0
    while (place := needle.find(end, place)) >= 0:
        if text.endswith(needle[: place + _LEAST]):
            return place + _LEAST
        place += 1
    return 0


def check_headers(headers: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    """The caller's own headers, names in lower case; a value that cannot be sent is refused without being shown."""
    headers = mask(headers)
    if headers is not None and not isinstance(headers, Mapping):
        raise InvalidParameterError("headers must be a dict of names and values")
    for name, value in (headers or {}).items():
        if not isinstance(name, str) or not _HEADER_NAME.match(name):
            raise InvalidCredentialError("a header has a name that cannot be sent")
        if not isinstance(value, str) or not _HEADER_VALUE.match(value):
            raise InvalidCredentialError(f"the header {name!r} has a value that cannot be sent")
        if name.lower() in _OURS:
            raise InvalidParameterError(f"the header {name!r} says how a request is sent, which is not the caller's")
    return tuple((name.lower(), Masked(value.strip())) for name, value in (headers or {}).items())


def secrets_in(headers: Iterable[tuple[str, str]]) -> Iterator[Secret]:
    """What is a credential in the caller's own headers, by their names; cookies one by one."""
    for name, value in headers:
        if _HOLDS_SECRET.search(name):
            yield from (Secret(piece) for piece in _PIECES.findall(value))


def secrets_in_query(url: str) -> Iterator[Secret]:
    """What is a credential in a URL's query, by its name or because nothing else is that long; as it is and decoded."""
    for name, _, value in (part.partition("=") for part in urlsplit(url).query.split("&") if part):
        if is_secret_name(name) or is_like_secret(name, value):
            yield from (Secret(text) for text in {value, unquote(value)} if _SENDABLE.match(text))


def is_secret_name(name: str) -> bool:
    """Whether what stands in a query under this name is a credential."""
    return bool(_HOLDS_SECRET.search(name.lower())) or name.lower() in _SHORT_NAMES


def is_like_secret(name: str, value: str) -> bool:
    """Whether what stands in a query under another name is long enough to be one, and says nothing else."""
    return len(value) >= _LONG and not _SAYS_WHAT.search(name.lower())
