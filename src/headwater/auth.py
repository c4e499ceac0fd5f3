"""Where credentials come from, and what keeps them from being seen.

The order: what was passed, then the environment, then the token that the Hugging Face login saved. What was not
passed is called ambient, and goes only to the party that its variable names. Nothing here sends anything.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

from .errors import InvalidCredentialError, InvalidParameterError

_SENDABLE = re.compile(r"[\x21-\x7e]{1,4096}\Z")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}\Z")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]{0,16384}\Z")
_HOLDS_SECRET = re.compile(r"auth|key|token|secret|cookie|session|password|signature")
_PIECES = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c\x3e-\x7e]{8,4096}")  # between blanks, quotes, commas, ; and =
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection"})
_LOOPBACK = re.compile(r"(localhost|127(\.\d{1,3}){3}|::1|.+\.localhost)\Z")
_SHORTEST_SHOWN = 8
MASK = "[secret]"


class Secret:
    """A credential that never prints itself: only `reveal` gives it out, to whoever puts it into a header."""

    __slots__ = ("_needles", "_value")

    def __init__(self, value: str, *, what: str = "token") -> None:
        value = value.strip()
        if not _SENDABLE.match(value):
            raise InvalidCredentialError(
                f"the {what} is empty, too long, or has characters that a header cannot carry"
                " (a line break, a space or a letter outside ASCII); it was not sent"
            )
        self._value = value
        self._needles = _spellings(value)

    def reveal(self) -> str:
        """The value itself."""
        return self._value

    @property
    def routed(self) -> bool:
        """Whether it is a Hugging Face token, which the router takes (https://huggingface.co/docs/hub/security-tokens)."""
        return self._value.startswith("hf_")

    def redact(self, text: str) -> str:
        """The text with every spelling of this secret masked."""
        for needle in self._needles:
            if needle in text:
                text = text.replace(needle, MASK)
        return text

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled")


def _spellings(value: str) -> tuple[str, ...]:
    raw = value.encode()
    encoded = [base64.b64encode(raw), base64.urlsafe_b64encode(raw)]
    found = {value, quote(value, safe=""), *(e.decode().rstrip("=") for e in encoded)}
    if len(value) > 2 * _SHORTEST_SHOWN:
        found.add(value[-_SHORTEST_SHOWN:])  # vendors quote a key's last characters
    return tuple(sorted((f for f in found if len(f) >= 4), key=len, reverse=True))


def check_headers(headers: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    """The caller's own headers, names in lower case; a value that cannot be sent is refused without being shown."""
    for name, value in (headers or {}).items():
        if not isinstance(value, str) or not _HEADER_NAME.match(name) or not _HEADER_VALUE.match(value):
            raise InvalidCredentialError(f"the header {name[:64]!r} has a name or value that cannot be sent")
        if name.lower() in _OURS:
            raise InvalidParameterError(f"the header {name!r} says how a request is sent, which is not the caller's")
    return tuple((name.lower(), value.strip()) for name, value in (headers or {}).items())


def secrets_in(headers: Iterable[tuple[str, str]]) -> Iterator[Secret]:
    """What is a credential in the caller's own headers, by their names; cookies one by one."""
    for name, value in headers:
        if _HOLDS_SECRET.search(name):
            yield from (Secret(piece) for piece in _PIECES.findall(value))


def ambient(variables: tuple[str, ...], environ: Mapping[str, str] = os.environ) -> Secret | None:
    """The first of these environment variables that is set."""
    for name in variables:
        if environ.get(name, "").strip():
            return Secret(environ[name], what=name)
    return None


def hugging_face_token(environ: Mapping[str, str] = os.environ) -> Secret | None:
    """The ambient Hugging Face token: HF_TOKEN, HUGGING_FACE_HUB_TOKEN, or the file that its login writes.

    https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables
    """
    found = ambient(("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"), environ)
    if found or environ.get("HF_HUB_DISABLE_IMPLICIT_TOKEN", "").upper() in {"1", "ON", "YES", "TRUE"}:
        return found
    try:
        saved = _token_path(environ).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError, RuntimeError):
        return None
    return Secret(saved, what="saved Hugging Face token") if saved else None


def _token_path(environ: Mapping[str, str]) -> Path:
    if environ.get("HF_TOKEN_PATH"):
        return Path(environ["HF_TOKEN_PATH"]).expanduser()
    cache = environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(environ.get("HF_HOME") or f"{cache}/huggingface").expanduser() / "token"


def is_hugging_face(host: str) -> bool:
    """Whether the host is Hugging Face's own: the only ones that an ambient Hugging Face token goes to."""
    return host in {"huggingface.co", "hf.co"} or host.endswith(
        (".huggingface.co", ".endpoints.huggingface.cloud", ".hf.space")
    )


def is_loopback(host: str) -> bool:
    """Whether the host is this machine by its name alone."""
    return bool(_LOOPBACK.match(host))
