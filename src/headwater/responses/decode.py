"""Whole answers to typed results, and what is said about an answer that is none."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from ..errors import (
    DecodeError,
    UnexpectedContentError,
)
from ..protocol.flow import Reply
from ..protocol.json_text import UNREADABLE, is_json
from ..protocol.lazy import lazy_modules
from . import json_decoder
from .refusal import EXCERPT_BYTES, T, error_in_body, kept_headers, request_id

if TYPE_CHECKING:
    from . import envelope, message  # noqa: TC004 - loaded when it is used, below
else:
    globals().update(lazy_modules(__package__, "envelope message"))


def decode(reply: Reply, kind: type[T], depth: int = 0) -> T:
    """A whole answer as this type, its bytes kept for the result's `raw`. Only what the type needs can be missing.

    `depth`: how many envelopes it was in; one that is in another object is looked for where it is not found itself.

    Raises the `ProviderError` of an error object inside the answer, `UnexpectedContentError` where it is
    empty, a page for people or no JSON at all, `DecodeError` where it is broken JSON or has another shape.
    """
    body = _in_utf8(reply)
    may_be_error = reply.names_error() if body is reply.body else body.find(b'"error"') >= 0
    if may_be_error and (error := error_in_body(body)) is not None:
        error.headers = kept_headers(reply)
        error.request_id = request_id(reply.headers)
        raise error
    try:
        result = json_decoder.decode_json(body, kind)
    except UNREADABLE as failure:
        inner = envelope.unwrapped(body) if depth < envelope.DEEPEST else None
        if inner is None:
            raise unreadable(reply, failure) from None
        try:
            return decode(msgspec.structs.replace(reply, body=inner), kind, depth + 1)
        except DecodeError:
            raise unreadable(reply, failure) from None
    facts = getattr(result, "__dict__", None)
    if facts is not None:
        facts["_body"] = body
    return result


def _in_utf8(reply: Reply) -> bytes:
    """The body in UTF-8, where it is not and the content type names its charset."""
    content_type = reply.headers.get("content-type", "").lower()
    if "charset=" not in content_type:  # as nearly all are
        return reply.body
    declared = content_type.partition("charset=")[2].partition(";")[0].strip("\"' ")
    if not declared or declared in {"utf-8", "utf8"} or reply.body.isascii():
        return reply.body
    try:
        reply.body.decode()
    except UnicodeDecodeError:
        try:
            return reply.body.decode(declared).encode()
        except (LookupError, UnicodeError):
            return reply.body
    return reply.body


def unreadable(reply: Reply, failure: Exception | None = None, *, media: str = "") -> DecodeError:
    """What is wrong with a 2xx answer that could not be decoded, from nothing at all to one wrong field.

    `media`: what the answer is by its first bytes, and what it was to be.
    """
    body, start = reply.body, f"{urlsplit(reply.url).hostname or 'the server'} answered {reply.status} with"
    kind = reply.content_type or "no content type"
    if not body.strip():
        error: DecodeError = UnexpectedContentError(f"{start} an empty body")
    elif message.is_html(reply.content_type, body):
        error = UnexpectedContentError(f"{start} {kind}, a page for people; check the base_url")
    elif media:
        error = UnexpectedContentError(f"{start} {media}")
    elif "json" not in kind and not is_json(body):
        error = _quoting(UnexpectedContentError, f"{start} {kind} instead of JSON", ": ", body)
    else:
        outline = f"{start} something else than this task's result: {failure}"
        error = _quoting(DecodeError, outline, "; it begins: ", body)
        error.path = str(failure).partition(" - at `")[2].rstrip("`") or None
    error.body = body[:EXCERPT_BYTES]
    error.request_id = request_id(reply.headers)
    return error


def _quoting(kind: type[DecodeError], outline: str, joint: str, body: bytes) -> DecodeError:
    error = kind(f"{outline}{joint}{message.one_line(body[:EXCERPT_BYTES].decode(errors='replace'))}")
    error.outline = outline
    return error
