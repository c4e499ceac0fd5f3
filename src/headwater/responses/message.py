"""A server's own words, out of every shape in which servers put them. HTML is never quoted.

Pure; it takes what was read and gives one printable line, or None where nothing was said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ..protocol.json_text import UNREADABLE, loads_document
from ..protocol.lazy import lazy_pattern

MOST_CHARACTERS: Final = 2000
_DEEPEST: Final = 6
_MOST_ITEMS: Final = 10
_KEYS: Final = (
    "message",
    "error",
    "detail",
    "errors",
    "msg",
    "error_msg",
    "error_message",
    "errorMessage",
    "error_description",
    "status_msg",
    "base_resp",
    "errmsg",
    "err_msg",
    "retMsg",
    "fault",
    "faultstring",
    "Message",
    "Error",
    "Response",
    "header",
    "exception",
    "failure_reason",
    "fail_reason",
    "reason",
    "title",
    "description",
    "data",
    "body",
    "result",
)
_LAST_RESORT: Final = ("type", "code")
_TITLE: Final = lazy_pattern(rb"<title[^>]{0,200}>(.{1,300}?)</title", re.IGNORECASE | re.DOTALL)


def parse(body: bytes) -> Any:
    """The body as JSON, with U+FFFD for bytes that are no Unicode; `msgspec.UNSET` where it is none."""
    try:
        return loads_document(body)
    except UNREADABLE:
        return msgspec.UNSET


def one_line(text: str) -> str:
    """The text as one printable line of at most `MOST_CHARACTERS` characters."""
    printable = "".join(c if c.isprintable() else " " for c in text[: 4 * MOST_CHARACTERS])
    return " ".join(printable.split())[:MOST_CHARACTERS]


def extract(value: Any) -> str | None:
    """The message in a decoded body: a string, list or object, as deep as servers nest it."""
    found = _extract(value, _DEEPEST)
    return one_line(found) or None if found else None


def _extract(value: Any, depth: int) -> str | None:
    if isinstance(value, str):
        inner = parse(value.encode(errors="replace")) if value[:1] == "{" and depth else None
        return (_extract(inner, depth - 1) if isinstance(inner, dict) else None) or value.strip() or None
    if not depth:
        return None
    if isinstance(value, list):
        return "; ".join(filter(None, (_extract(item, depth - 1) for item in value[:_MOST_ITEMS]))) or None
    return _object(value, depth - 1) if isinstance(value, dict) else None


def _object(value: dict[str, Any], depth: int) -> str | None:
    if "msg" in value and isinstance(value.get("loc"), list):  # FastAPI
        return f"{'.'.join(map(str, value['loc'][:_MOST_ITEMS]))}: {value['msg']}"
    title, detail, error = value.get("title"), value.get("detail"), value.get("error")
    if isinstance(title, str) and isinstance(detail, str):  # RFC 9457
        return f"{title}: {detail}"
    if isinstance(error, str) and isinstance(value.get("error_description"), str):  # RFC 6749
        return f"{error}: {value['error_description']}"
    if isinstance(error, str) and error and error[:1] != "{":
        return error.strip() + _continued(error, value.get("warnings"))
    found = (_extract(value.get(key), depth) for key in _KEYS)
    codes = (value[key] for key in _LAST_RESORT if isinstance(value.get(key), str))
    return next(filter(None, found), None) or _by_field(value.get("errors")) or next(filter(None, codes), None)


def _by_field(errors: Any) -> str | None:
    """What Rails, Laravel and ASP.NET say of each field that is wrong."""
    if not isinstance(errors, dict):
        return None
    said = ((name, _extract(what, 2)) for name, what in list(errors.items())[:_MOST_ITEMS])
    return "; ".join(f"{name}: {what}" for name, what in said if what) or None


def _continued(error: str, warnings: Any) -> str:
    """What hf-inference's warning says beyond the error that it repeats ("unknown error" helps nobody)."""
    first = warnings[0] if isinstance(warnings, list) and warnings else None
    return first.partition(error)[2].rstrip() if isinstance(first, str) else ""


def is_html(content_type: str, body: bytes) -> bool:
    """Whether this is a page for people, by its type or its first characters."""
    return "html" in content_type or body.lstrip()[:15].lower().startswith((b"<!doctype", b"<html", b"<?xml"))


def for_refusal(content_type: str, body: bytes, value: Any, headers: Mapping[str, str]) -> str | None:
    """What a refusal says: its body's message, its text, a page's title, or the X-Error-Message header."""
    if value is not msgspec.UNSET:
        found = extract(value)
    elif is_html(content_type, body):
        title = _TITLE.search(body[:65536])
        import html

        found = f"an HTML page titled {one_line(html.unescape(title[1].decode(errors='replace')))!r}" if title else None
    else:
        found = one_line(body[:8192].decode(errors="replace")) or None
    return found or one_line(headers.get("x-error-message", "")) or None
