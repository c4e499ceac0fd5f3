"""Compares two requests, and says in words where they differ.

A place is `method`, `url`, `header accept`, `body inputs.image`, `part file.content-type`, and has both values.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from parity.server import Asked

ABSENT = "(absent)"
NOISE = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "user-agent", "accept-encoding", "cookie"}
    | {"x-amzn-trace-id", "x-request-id", "traceparent"}
)
"""Headers of the transport and of tracing, which mean nothing to the task."""


def differences(ours: Asked, theirs: Asked) -> dict[str, tuple[Any, Any]]:
    """What differs: ours and theirs by place."""
    pairs = {"method": (ours.method, theirs.method), "url": (_url(ours.url), _url(theirs.url))}
    pairs |= _paired("header", _headers(ours), _headers(theirs))
    pairs |= _bodies(ours, theirs)
    return {place: pair for place, pair in pairs.items() if pair[0] != pair[1]}


def _url(url: str) -> str:
    parts = urlsplit(url)
    query = "&".join(f"{name}={value}" for name, value in sorted(parse_qsl(parts.query, keep_blank_values=True)))
    return f"{parts.scheme}://{parts.netloc}{parts.path}?{query}".rstrip("?")


def _headers(asked: Asked) -> dict[str, str]:
    found = {name.lower(): value for name, value in asked.headers.items() if name.lower() not in NOISE}
    if found.get("content-type", "").startswith("multipart/form-data"):
        found["content-type"] = "multipart/form-data"
    return found


def _paired(word: str, ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = sorted({*ours, *theirs})
    return {f"{word} {name}".strip(): (ours.get(name, ABSENT), theirs.get(name, ABSENT)) for name in names}


def _bodies(ours: Asked, theirs: Asked) -> dict[str, tuple[Any, Any]]:
    both = [_parts(asked) or _json(asked) for asked in (ours, theirs)]
    if both[0] is None or both[1] is None:
        return {"body": (_short(ours.body), _short(theirs.body))} if ours.body != theirs.body else {}
    return _paired("", both[0], both[1])


def _short(body: bytes) -> str:
    return repr(body[:60])


def _parts(asked: Asked) -> dict[str, Any] | None:
    kind = next((value for name, value in asked.headers.items() if name.lower() == "content-type"), "")
    if not kind.startswith("multipart/form-data"):
        return None
    message = BytesParser(policy=HTTP).parsebytes(b"content-type: " + kind.encode() + b"\r\n\r\n" + asked.body)
    found: dict[str, Any] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        found[f"part {name}"] = part.get_payload(decode=True)
        found[f"part {name}.filename"] = part.get_filename()
        found[f"part {name}.content-type"] = part.get_content_type() if part.get_filename() else None
    return found


def _json(asked: Asked) -> dict[str, Any] | None:
    try:
        body = json.loads(asked.body)
    except ValueError:
        return None
    return {f"body {place}": value for place, value in _leaves(body, "")}


def _leaves(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Every value of an object by its path; an empty object, and any list, is one."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves(inner, f"{place}.{name}" if place else name)
    else:
        yield place, value
