"""Takes credentials out of what a cassette is to hold, before it is written.

Two masks. In an answer each byte of a credential becomes an asterisk: lengths, chunk borders and JSON stay as they are.
In a request, which is only compared, it becomes `MASK`: whoever replays has another key, of another length.

What is a credential: every secret that the process knows, in every spelling (`auth.secret`); what a header, a URL's
query or user name, or a member of JSON has under a credential's name; and what in a query is too long to be anything
else, such as a signature. Of the last the first letters of a digest are kept, so that two signed URLs stay two.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, Final
from urllib.parse import unquote

from ..auth.secret import MASK, Secret, TextSecret, is_like_secret, is_secret_name, live_secrets, secrets_in
from ..protocol.transport import TransportRequest

_LEAST: Final = 6
"""Characters of the shortest key that is looked for in bodies."""
_WORD: Final = 8
"""Characters of the longest text of letters alone that is a word (`unused`, `password`), and no key that anybody has:
to mask it everywhere would change what a model says."""
_HEADER: Final = re.compile(
    r"set-cookie|cookie|authorization|api-?key|secret|passw|(?:access|auth|security|session|refresh|bearer)-?token|jwt"
)
"""Names of an answer's headers that hold a credential; `x-ratelimit-remaining-tokens` holds none."""
_MEMBERS: Final = (
    "authorization|proxy[_-]authorization|x[_-]api[_-]key|api[_-]?key|access[_-]?token|refresh[_-]?token|id[_-]token"
    "|auth[_-]?token|session[_-]token|hf[_-]token|bearer[_-]token|client[_-]secret|secret[_-]key|private[_-]key|secret"
    "|password|passwd|cookie|set-cookie"
)
_MEMBER: Final = re.compile(rf'(\\*"(?:{_MEMBERS})\\*"\s*:\s*\\*")([^"\\]+)'.encode(), re.IGNORECASE)
_IS_MEMBER: Final = re.compile(rf"(?:{_MEMBERS})\Z", re.IGNORECASE)
_FORM_FIELD: Final = re.compile(
    rf'form-data; name="(?:{_MEMBERS})"(?:\r\n[^\r\n]+)*\r\n\r\n([^\r\n]{{1,4096}})\r\n'.encode(), re.IGNORECASE
)
_URL: Final = re.compile(rb"(https?:(?:\\?/){2})([^\s\"'<>`]+)", re.IGNORECASE)
_USER: Final = re.compile(rb"[^/?#@\\]+(?=@)")
_PARAMETER: Final = re.compile(rb"((?:[?&;]|\\u0026)([A-Za-z0-9._~%\[\]-]+)=)([^&\s\"'<>\\#;]+)", re.IGNORECASE)
_MASKED: Final = re.compile(rb"[0-9a-f]{8}\*+\Z|\*+\Z")
_DIGITS: Final = 8
SAME: Final = re.compile(re.escape(MASK) + r"|\*{4,}")
"""The masks, which are all one where requests are compared."""


class Scrubber:
    """Masks these secrets, and what looks like one."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        found = {
            text
            for secret in secrets
            if not _is_word(secret)
            for text in secret.spellings
            if text == secret.reveal() or not _is_common(text)
        }
        needles = sorted((text.encode("utf-8", "surrogatepass") for text in found), key=lambda raw: (-len(raw), raw))
        self._known = re.compile(b"|".join(map(re.escape, needles))) if needles else None

    def blank(self, data: bytes) -> bytes:
        """An answer's bytes, with an asterisk for each of a credential's."""
        if self._known is not None:
            data = self._known.sub(lambda found: b"*" * len(found[0]), data)
        data = _MEMBER.sub(lambda found: found[1] + b"*" * len(found[2]), data)
        return _URL.sub(lambda found: found[1] + _blank_place(found[2]), data)

    def header(self, name: str, value: str) -> str:
        """The value of an answer's header."""
        if _HEADER.search(name):
            return "*" * len(value)
        return self.blank(value.encode("latin-1", "replace")).decode("latin-1")

    def text(self, text: str) -> str:
        """A text of a request, or of an error."""
        raw = text.encode("utf-8", "surrogatepass")
        if self._known is not None:
            raw = self._known.sub(MASK.encode(), raw)
        raw = _URL.sub(lambda found: found[1] + _masked_place(found[2]), raw) if b"://" in raw else raw
        return raw.decode("utf-8", "surrogatepass")

    def value(self, value: Any, name: str = "") -> Any:
        """A request's JSON; `name` is that of the member which has it."""
        if isinstance(value, str):
            return MASK if _IS_MEMBER.match(name) else self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self.value(inner, key) for key, inner in value.items()}
        return [self.value(inner) for inner in value] if isinstance(value, list) else value


def secrets_now(request: TransportRequest, body: bytes) -> list[Secret]:
    """What this process knows for secrets, and what a request has in its headers, query and body under such a name."""
    query = [part.partition("=") for part in request.url.target.partition("?")[2].split("&")]
    pairs = [(name.lower(), value) for name, value in request.headers]
    pairs += [(name.lower(), text) for name, _, value in query for text in {value, unquote(value)}]
    return [*live_secrets(), *secrets_in(pairs), *_secrets_in_body(body)]


def _secrets_in_body(body: bytes) -> list[Secret]:
    """Credentials in a body's JSON, and in the fields of a form: a server may repeat them elsewhere."""
    found = [part.decode("utf-8", "replace") for part in _FORM_FIELD.findall(body)]
    if _MEMBER.search(body):
        with suppress(ValueError, RecursionError):
            found += _credentials(json.loads(body))
    texts = {text.strip() for text in found if len(text.strip()) >= _LEAST}
    return [*map(TextSecret, texts), *secrets_in(("secret", text) for text in texts)]


def _credentials(value: Any, name: str = "") -> Iterator[str]:
    if isinstance(value, str):
        if _IS_MEMBER.match(name):
            yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _credentials(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _credentials(inner, name)


def _is_common(text: str) -> bool:
    """Whether a key's end, by which it is known as well, is a word or a number, as answers are full of them."""
    return len(text) <= _WORD and (text.isalpha() or text.isdigit())


def _is_word(secret: Secret) -> bool:
    text = secret.reveal()
    return len(text) < _LEAST or (len(text) <= _WORD and text.isalpha())


def _blank_place(place: bytes) -> bytes:
    """What follows a URL's scheme, its credentials as asterisks."""
    place = _USER.sub(lambda found: b"*" * len(found[0]), place, count=1)
    return _PARAMETER.sub(lambda found: found[1] + _blank_parameter(found[2], found[3]), place)


def _blank_parameter(name: bytes, value: bytes) -> bytes:
    if _MASKED.match(value):
        return value
    if is_secret_name(name.decode()):
        return b"*" * len(value)
    return _digested(value) if is_like_secret(name.decode(), value.decode("latin-1")) else value


def _masked_place(place: bytes) -> bytes:
    """The same for a request."""
    place = _USER.sub(MASK.encode(), place, count=1)
    return _PARAMETER.sub(lambda found: found[1] + _masked_parameter(found[2], found[3]), place)


def _masked_parameter(name: bytes, value: bytes) -> bytes:
    return MASK.encode() if is_secret_name(name.decode()) else _blank_parameter(name, value)


def _digested(value: bytes) -> bytes:
    return hashlib.sha256(value).hexdigest()[:_DIGITS].encode() + b"*" * (len(value) - _DIGITS)
