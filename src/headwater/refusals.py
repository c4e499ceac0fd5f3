"""What a server says when it does not answer: a status, or an error inside an answer, made into our error.

It also reads the answers that are whole, and says what is wrong with those that are no answer to the task.
Pure: it sends nothing, waits for nothing, and puts no secret that `redact` knows into an error.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Any, Final, TypeVar, cast
from urllib.parse import urljoin, urlsplit

import msgspec

from . import server_words
from .errors import (
    AuthenticationError,
    DecodeError,
    NotFoundError,
    PermissionDeniedError,
    ProviderError,
    RedirectError,
    UnexpectedContentError,
    UnknownError,
)
from .flow import Reply
from .redaction import masked_bytes
from .redaction import redacted as redacted
from .refusal_classes import is_retryable, kind_of, kind_of_type, status_of, words_of
from .retry_hints import wait_for_quota, wait_named
from .server_words import REQUEST_IDS as REQUEST_IDS

T = TypeVar("T")

SHOWN_BODY: Final = 64 * 1024
SHOWN_BYTES: Final = 512
_IN_MESSAGE: Final = 500


def retry_after(headers: dict[str, str], body: bytes = b"", now: float | None = None) -> float | None:
    """Seconds to wait by any hint of an answer: Retry-After and its spellings, rate limits, `estimated_time`.

    `headers`: by lower-case name. `now`: epoch seconds, for hints that are dates. Garbage counts as no hint.
    """
    named = wait_named(headers, server_words.parse(body) if body else None, now)
    return wait_for_quota(headers, now) if named is None else named


def refusal(
    reply: Reply,
    *,
    provider: str,
    model: str | None = None,
    redact: Callable[[str], str] = str,
    now: float | None = None,
    keys: tuple[str, ...] = (),
) -> ProviderError:
    """The error that an answer outside 2xx is.

    `now`: epoch seconds, for a Retry-After that is a date. `keys`: the environment variables that can hold
    this provider's key, for the message of a 401.
    """
    reply = _masked_reply(reply, redact)
    value = server_words.parse(reply.body)
    words = words_of(value)
    error = kind_of(reply.status, value, words)("")
    error.provider, error.model = provider, model
    error.headers = _kept(reply)
    error.request_id = server_words.request_id(reply.headers)
    _fill(error, reply.status, words, reply.body)
    if error.retryable or reply.status == 429:
        error.retry_after = wait_named(reply.headers, value, now)
        if error.retry_after is None and reply.status == 429:
            error.retry_after = wait_for_quota(reply.headers, now)
    said = server_words.described(reply.content_type, reply.body, value, reply.headers)
    if isinstance(error, RedirectError):
        said = f"it wants the request sent to {_origin_of_location(reply)}, which is not followed"
    _tell(error, said, f"{provider} answered {reply.status}", _hint(error, said, keys))
    redacted(error, redact)
    return error


def in_band(
    data: bytes, *, event: str = "", provider: str = "", redact: Callable[[str], str] = str
) -> ProviderError | None:
    """The error inside a 200 answer or an event of a stream; None where there is none.

    It has the class that its HTTP status would have. `event`: the event's name, of which "error" makes any
    data an error.
    """
    if event != "error" and not _is_error(data):
        return None
    data = masked_bytes(_excerpt(data), redact)
    value = server_words.parse(data)
    words = words_of(value)
    status = status_of(value, words)
    kind = kind_of_type(value) or (UnknownError if status is None else kind_of(status, value, words))
    error = kind("")
    _fill(error, status, words, data)
    error.retry_after = wait_named({}, value, None)
    plain = value is msgspec.UNSET
    said = server_words.line(data[:8192].decode(errors="replace")) if plain else server_words.said(value)
    _tell(error, said, f"{provider or 'the server'} sent an error inside its answer", "")
    error.provider = provider or None
    redacted(error, redact)
    return error


class _Signs(msgspec.Struct):
    """What says that an object is an error; all else is passed over, however much of it there is."""

    error: msgspec.Raw = msgspec.Raw(b"null")
    object: msgspec.Raw = msgspec.Raw()
    type: msgspec.Raw = msgspec.Raw()


_NOT_SAID: Final = frozenset({b"null", b"false", b"0", b"0.0", b'""', b"[]", b"{}"})
_SIGNS: Final = msgspec.json.Decoder(_Signs)


def _is_error(data: bytes) -> bool:
    try:
        signs = _SIGNS.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return bytes(signs.error) not in _NOT_SAID or b'"error"' in (bytes(signs.object), bytes(signs.type))


def _excerpt(data: bytes) -> bytes:
    """What is worth reading of an error: all of it, or where there is far more than an error needs its error alone."""
    if len(data) <= SHOWN_BODY:
        return data
    try:
        held = bytes(_SIGNS.decode(data).error)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        held = b""
    return b'{"error":%b}' % held if 4 < len(held) <= SHOWN_BODY else data[:SHOWN_BODY]


def _fill(error: ProviderError, status: int | None, words: list[str], body: bytes) -> None:
    error.status = status
    error.code = next((w for w in words if not w.isdigit()), words[0] if words else None)
    error.body = body[:SHOWN_BODY].decode(errors="replace")
    error.retryable = status is not None and is_retryable(error, status, words)


def _tell(error: ProviderError, said: str | None, start: str, hint: str) -> None:
    error.__dict__["said"] = said
    quoted = f"{said[:_IN_MESSAGE]}..." if said and len(said) > _IN_MESSAGE else said
    named = f" (request id {error.request_id})" if error.request_id else ""
    error.args = (f"{start}: {quoted or 'no reason was given'}{named}{hint}",)


def _hint(error: ProviderError, said: str | None, keys: tuple[str, ...]) -> str:
    if isinstance(error, AuthenticationError):
        return f"; pass a valid key as token={f', or set {keys[0]}' if keys else ''}"
    if isinstance(error, PermissionDeniedError):
        return "; this key may not use this model, or the model's terms are yet to be accepted"
    if isinstance(error, NotFoundError):
        return "; check the model's name, and the base_url where one was given"
    if error.status == 422 and said is None:
        return "; it may not take one of the parameters"
    return f"; it says to come back in {error.retry_after:.3g} s" if error.retry_after else ""


def _origin_of_location(reply: Reply) -> str:
    """The origin alone: paths and queries of redirects hold signatures."""
    try:
        target = urlsplit(urljoin(reply.url, reply.headers.get("location", "")))
        port = f":{target.port}" if target.port else ""
        return f"{target.scheme}://{target.hostname}{port}" if target.hostname else "another place"
    except ValueError:
        return "another place"


def _kept(reply: Reply) -> dict[str, str]:
    return {name: text for name, text in reply.headers.items() if name != "set-cookie"}


def _masked_reply(reply: Reply, redact: Callable[[str], str]) -> Reply:
    headers = {name: redact(text) for name, text in reply.headers.items()}
    return Reply(status=reply.status, headers=headers, body=masked_bytes(reply.body, redact), url=reply.url)


@lru_cache(maxsize=256)
def _decoder(kind: Hashable) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def decode(reply: Reply, kind: type[T]) -> T:
    """A whole answer as this type, its bytes kept for the result's `raw`.

    Raises the `ProviderError` of an error object inside the answer, `UnexpectedContentError` where it is
    empty, a page for people or no JSON at all, `DecodeError` where it is broken JSON or has another shape.
    """
    body = reply.body
    if b'"error"' in body and (error := in_band(body)) is not None:
        error.headers = _kept(reply)
        error.request_id = server_words.request_id(reply.headers)
        raise error
    try:
        result: T = _decoder(cast("Hashable", kind)).decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as failure:
        if (mended := server_words.mended(body)) != body:
            return decode(msgspec.structs.replace(reply, body=mended), kind)
        raise unreadable(reply, failure) from None
    facts = getattr(result, "__dict__", None)
    if facts is not None:
        facts["_body"] = body
    return result


def _is_json(body: bytes) -> bool:
    try:
        msgspec.json.decode(body, type=msgspec.Raw)  # checks the syntax, builds nothing
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True


def unreadable(reply: Reply, failure: Exception) -> DecodeError:
    """What is wrong with a 2xx answer that could not be decoded, from nothing at all to one wrong field."""
    body, start = reply.body, f"{urlsplit(reply.url).hostname or 'the server'} answered {reply.status} with"
    kind = reply.content_type or "no content type"
    if not body.strip():
        error: DecodeError = UnexpectedContentError(f"{start} an empty body")
    elif server_words.is_html(reply.content_type, body):
        error = UnexpectedContentError(f"{start} {kind}, a page for people; check the base_url")
    elif "json" not in kind and not _is_json(body):
        quoted = server_words.line(body[:SHOWN_BYTES].decode(errors="replace"))
        error = UnexpectedContentError(f"{start} {kind} instead of JSON: {quoted}")
    else:
        error = DecodeError(f"{start} something else than this task's result: {failure}")
        error.path = str(failure).partition(" - at `")[2].rstrip("`") or None
    error.body = body[:SHOWN_BYTES]
    error.request_id = server_words.request_id(reply.headers)
    return error
