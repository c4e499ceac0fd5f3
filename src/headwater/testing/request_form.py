"""A request as a cassette has it: method, URL and body in one form, whatever made them, and how two of them differ.

Two requests are the same if their forms are. JSON is compared as values, a multipart body by its parts without their
boundary, anything that is no text by its digest, and long base64 inside JSON by its digest as well. Headers are not
kept: they say who asks (a key, a version, a machine), and not for what.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import AsyncIterable, Iterable, Iterator
from typing import Any, Final

import msgspec

from ..auth.secret import MASK
from ..protocol.transport import TransportRequest
from .scrubber import SAME, Scrubber

_LONG_CHARACTERS: Final = 1024
_BASE64: Final = re.compile(r"(?:data:[^,\s]{1,200},)?[A-Za-z0-9+/_=%\r\n-]+\Z")
_BOUNDARY: Final = re.compile(r'boundary="?([^";,]+)"?', re.IGNORECASE)
_FIELD: Final = re.compile(r'(\w+)="([^"]*)"')
SHOWN_LINES: Final = 40
"""The most lines of a difference."""


class RequestForm(msgspec.Struct, frozen=True, kw_only=True):
    """`kind` of the body: "json", "text", "multipart" (a list of parts), "binary" (its digest and size), or "" for
    none."""

    method: str
    url: str
    kind: str = ""
    body: Any = None

    def key(self, ignore: Iterable[str] = ()) -> str:
        """What is equal for the same requests. `ignore`: members of JSON that do not count, as "a.b"."""
        body = _without(self.body, [path.split(".") for path in ignore]) if self.kind == "json" else self.body
        return SAME.sub(MASK, f"{self.method} {self.url}\n{self.kind} {json.dumps(body, sort_keys=True)}")

    def order(self) -> tuple[Any, ...]:
        """Where it stands in a file: by URL, and then the shorter body first, as the turns of a chat come."""
        text = json.dumps(self.body, sort_keys=True)
        return self.url, self.method, len(text), text

    def lines(self) -> list[str]:
        """For people to compare."""
        shown = [f"{self.method} {self.url}"]
        if self.kind:
            shown += json.dumps(self.body, indent=2, sort_keys=True, ensure_ascii=False).splitlines()
        return [SAME.sub(MASK, line) for line in shown]


async def whole_body(request: TransportRequest) -> bytes:
    """The request's body, which can be sent afterwards all the same."""
    if isinstance(request.body, bytes):
        return request.body
    pieces: AsyncIterable[bytes] = request.body
    body = b"".join([bytes(piece) async for piece in pieces])
    if aiter(pieces) is pieces:  # it can be gone through once
        request.body, request.length = body, len(body)
    return body


def form_of(request: TransportRequest, body: bytes, scrubber: Scrubber) -> RequestForm:
    """The form of a request, without credentials."""
    kind, value = _body(body, _content_type(request), scrubber)
    return RequestForm(method=request.method, url=scrubber.text(str(request.url)), kind=kind, body=value)


def difference(asked: RequestForm, recorded: Iterable[RequestForm]) -> str:
    """How a request differs from the one that is nearest to it; "" where there is none."""
    nearest = max(recorded, key=lambda form: _nearness(asked, form), default=None)
    if nearest is None:
        return ""
    lines = list(difflib.unified_diff(nearest.lines(), asked.lines(), "recorded", "asked", lineterm="", n=2))
    cut = [*lines[:SHOWN_LINES], f"... and {len(lines) - SHOWN_LINES} lines more"]
    return "\n".join(lines if len(lines) <= SHOWN_LINES else cut)


def _nearness(asked: RequestForm, form: RequestForm) -> tuple[bool, bool, float]:
    words = difflib.SequenceMatcher(None, asked.lines()[:500], form.lines()[:500], autojunk=False)
    url = difflib.SequenceMatcher(None, asked.url, form.url, autojunk=False).ratio()
    return asked.url == form.url, asked.method == form.method, words.ratio() + url


def _content_type(request: TransportRequest) -> str:
    return next((value for name, value in request.headers if name.lower() == "content-type"), "")


def _body(body: bytes, content_type: str, scrubber: Scrubber) -> tuple[str, Any]:
    if not body:
        return "", None
    kind = content_type.partition(";")[0].strip().lower()
    if kind.startswith("multipart/") and (found := _BOUNDARY.search(content_type)):
        return "multipart", list(_parts(body, found[1].encode(), scrubber))
    if "json" in kind or not kind:
        try:
            return "json", scrubber.value(_shortened(json.loads(body)))
        except (ValueError, RecursionError):
            pass
    return _plain(body, scrubber)


def _plain(body: bytes, scrubber: Scrubber) -> tuple[str, Any]:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return "binary", {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}
    return "text", scrubber.text(text)


def _parts(body: bytes, boundary: bytes, scrubber: Scrubber) -> Iterator[dict[str, Any]]:
    """The parts of a body. https://www.rfc-editor.org/rfc/rfc2046#section-5.1"""
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary)[1:-1]:
        head, _, data = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        fields: dict[str, str] = {}
        for line in head.decode("utf-8", "replace").split("\r\n"):
            name, _, value = line.partition(":")
            if name.strip().lower() == "content-disposition":
                fields |= {key: text for key, text in _FIELD.findall(value) if key in {"name", "filename"}}
            elif name.strip().lower() == "content-type":
                fields["type"] = value.strip()
        kind, value = _plain(data, scrubber)
        yield {**scrubber.value(fields), kind: scrubber.value(value, fields.get("name", ""))}


def _shortened(value: Any) -> Any:
    """JSON whose long base64, and data URLs, are their digest."""
    if isinstance(value, str):
        if len(value) < _LONG_CHARACTERS or not _BASE64.match(value):
            return value
        return f"sha256:{hashlib.sha256(value.encode()).hexdigest()} of {len(value)} characters"
    if isinstance(value, dict):
        return {key: _shortened(inner) for key, inner in value.items()}
    return [_shortened(inner) for inner in value] if isinstance(value, list) else value


def _without(value: Any, paths: list[list[str]]) -> Any:
    """JSON without the members at these paths; a list's elements all have the path that it has."""
    if isinstance(value, list):
        return [_without(inner, paths) for inner in value]
    if not isinstance(value, dict) or not paths:
        return value
    gone = {path[0] for path in paths if len(path) == 1}
    return {
        key: _without(inner, [path[1:] for path in paths if len(path) > 1 and path[0] == key])
        for key, inner in value.items()
        if key not in gone
    }
