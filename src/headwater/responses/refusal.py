"""What a server says when it does not answer: a status, or an error inside an answer, made into our error.

Servers agree neither on where an error stands nor on what says that it is one. What is asked, in this order:

    where                           the question                                         who asks
    a status outside 2xx            none: it is an error                                 error_from_response
    an event named "error"          none: it is an error                                 error_in_body
    an `error` member that says     is it more than null, false, {} or {"code": 0}?      error_in_body
      something, or `object` or
      `type` "error"
    an `error` in a choice          has it one, and (`hollow`) nothing to say beside?    error_in_choice
    no member that the task wants   any other sign (`detail`, `success: false`, a code)  error_in_place_of_answer
    a whole answer, task unknown    nothing in it but what belongs to refusals?          error_alone

The later the question, the weaker its sign, and the less may be at stake: `detail`, `code` and `message` stand in good
answers as well, so that they count only where the answer was looked for and is not there. A paid answer is never
refused for a member that nobody asked about.

The class comes from the status, which an error inside a 200 answer has by its codes: the first of `error_type` (TGI's),
words of moderation, a model that is loading, and the table of statuses (`classify`). Whether to ask again is the
class's, but for statuses that never change (501, 505), a spent quota, and `x-should-retry`; when is `retry_after`'s.
The words are `message`'s, and secrets are masked before anything is cut.

Pure: it sends nothing, waits for nothing, and puts no secret that `redact` knows into an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urljoin, urlsplit

import msgspec

from ..errors import (
    AuthenticationError,
    ModelLoadingError,
    NotFoundError,
    PermissionDeniedError,
    ProviderError,
    RedirectError,
    ServerError,
    UnknownError,
)
from ..protocol.flow import Reply
from ..protocol.framing import DONE, frames_of, is_events
from ..protocol.json_text import UNREADABLE
from ..protocol.lazy import lazy_modules, lazy_pattern
from . import json_decoder

if TYPE_CHECKING:
    from ..auth import redaction  # noqa: TC004 - loaded when it is used, below
    from . import classify, message  # noqa: TC004 - loaded when it is used, below
else:
    globals().update(lazy_modules("headwater.auth", "redaction"))
    globals().update(lazy_modules(__package__, "classify message"))

T = TypeVar("T")

ERROR_BODY_BYTES: Final = 64 * 1024
EXCERPT_BYTES: Final = 512
REQUEST_IDS: Final = (
    "x-request-id",
    "request-id",
    "x-fal-request-id",
    "x-amzn-requestid",
    "x-amzn-trace-id",
    "x-amz-cf-id",
    "cf-ray",
)
_QUOTED_CHARACTERS: Final = 500


def request_id(headers: Mapping[str, str]) -> str | None:
    """The server's name for this request, of the headers that servers use for it."""
    return next((message.one_line(headers[name])[:200] for name in REQUEST_IDS if headers.get(name)), None)


def retry_after(headers: dict[str, str], body: bytes = b"", now: float | None = None) -> float | None:
    """Seconds to wait by any hint of an answer: Retry-After and its spellings, rate limits, `estimated_time`.

    `headers`: by lower-case name. `now`: epoch seconds, for hints that are dates. Garbage counts as no hint.
    """
    from .retry_after import parse_rate_limit_reset, parse_retry_after

    named = parse_retry_after(headers, message.parse(body) if body else None, now)
    return parse_rate_limit_reset(headers, now) if named is None else named


def error_from_response(
    reply: Reply,
    *,
    provider: str,
    model: str | None = None,
    redact: Callable[[str], str] = str,
    now: float | None = None,
    keys: tuple[str, ...] = (),
    sleeps: bool = False,
) -> ProviderError:
    """The error that an answer outside 2xx is.

    `now`: epoch seconds, for a Retry-After that is a date. `keys`: the environment variables that can hold
    this provider's key, for the message of a 401. `sleeps`: the server scales to zero, and a 503 says that it wakes.
    """
    reply = _masked_reply(reply, redact)
    value = message.parse(reply.body)
    words = classify.codes_in(value)
    kind = classify.error_class(reply.status, value, words)
    error = (ModelLoadingError if sleeps and reply.status == 503 and kind is ServerError else kind)("")
    error.provider, error.model = provider, model
    error.headers = kept_headers(reply)
    error.request_id = request_id(reply.headers)
    _set_facts(error, reply.status, words, reply.body)
    wanted = reply.headers.get("x-should-retry", "").strip().lower()
    if wanted in ("true", "false"):  # https://github.com/openai/openai-python: the server knows best
        error.retryable = wanted == "true"
    if error.retryable or reply.status == 429:
        set_retry_after(error, reply.headers, now, value)
    said = message.for_refusal(reply.content_type, reply.body, value, reply.headers)
    if isinstance(error, RedirectError):
        said = f"it wants the request sent to {_origin_of_location(reply)}, which is not followed"
    _set_message(error, said, f"{provider} answered {reply.status}", _hint(error, said, keys))
    redaction.redacted(error, redact)
    return error


def set_retry_after(
    error: ProviderError, headers: dict[str, str], now: float | None, value: Any = msgspec.UNSET
) -> None:
    """Set the error's `retry_after` by the headers of its answer and its body (decoded, if it is at hand)."""
    from .retry_after import parse_rate_limit_reset, parse_retry_after, retry_after_in_sentence

    if value is msgspec.UNSET:
        value = message.parse(error.text.encode())
    error.retry_after = parse_retry_after(headers, value, now)
    if error.retry_after is None and error.status == 429:
        error.retry_after = parse_rate_limit_reset(headers, now)
        if error.retry_after is None:
            error.retry_after = retry_after_in_sentence(error.server_message or message.extract(value) or "")


def error_in_body(
    data: bytes, *, event: str = "", provider: str = "", redact: Callable[[str], str] = str
) -> ProviderError | None:
    """The error inside a 200 answer or an event of a stream; None where there is none.

    It has the class that its HTTP status would have. `event`: the event's name, of which "error" makes any
    data an error.
    """
    return _error_of(data, provider, redact) if event == "error" or _is_error(data) else None


def error_in_place_of_answer(
    data: bytes, *, provider: str = "", redact: Callable[[str], str] = str, sure: bool = False
) -> ProviderError | None:
    """The refusal that came in place of an answer, by any sign of one; None where there is none.

    Only for what was read and has nothing in it that its task wants: `detail`, `code`, `message` and `success` stand
    in good answers as well. `sure`: words alone are no sign.
    """
    if _is_error(data):
        return _error_of(data, provider, redact)
    value = message.parse(data) if len(data) <= ERROR_BODY_BYTES else None  # no refusal is that long
    return _error_of(data, provider, redact) if classify.says_refused(value, sure=sure) else None


def error_in_choice(data: bytes, *, hollow: bool = False) -> ProviderError | None:
    """The error of a choice (https://openrouter.ai/docs/api-reference/errors), or of `x_groq`, which says why a stream
    was stopped early (https://github.com/groq/groq-python, `XGroq`), with the class of its code: the server failed,
    where it has none. None where no choice has one, and with `hollow` where one has something to say."""
    try:
        answer = json_decoder.decode_json(data, _FailedChoices)
    except UNREADABLE:
        return None
    choices = answer.choices
    if hollow and any(choice.speaks for choice in choices):
        return None
    beside = [] if answer.x_groq is None else [bytes(answer.x_groq.error)]
    for failure in (*(choice.failure for choice in choices), *beside):
        if failure not in _NOT_SAID:
            said = _error_of(b'{"error":%b}' % failure, "", str)
            return _error_of(b'{"code":502,"error":%b}' % failure, "", str) if said.status is None else said
    return None


def error_alone(reply: Reply) -> ProviderError | None:
    """The refusal that a 200 answer is and nothing else; None for any other answer.

    It can be told apart without knowing the task: a job's state and a result have members of their own. A choice that
    has an error and nothing else is one as well.
    """
    body = reply.body
    if len(body) > ERROR_BODY_BYTES or (body[:1] != b"{" and not _OBJECT.match(body)):
        return None
    # As nearly all answers are, and nobody waits for them to be read twice.
    if body.find(_PLAINLY_CHOSEN) >= 0 or _CHOSEN.search(body):
        error = error_in_choice(body, hollow=True) if reply.names_error() else None
    else:
        error = error_in_place_of_answer(body) if classify.is_refusal_alone(message.parse(body)) else None
    if error is None:
        return None
    error.headers = kept_headers(reply)
    error.request_id = request_id(reply.headers)
    return error


def _error_of(data: bytes, provider: str, redact: Callable[[str], str]) -> ProviderError:
    data = redaction.masked_bytes(_excerpt(data), redact)
    value = message.parse(data)
    words = classify.codes_in(value)
    status = classify.status_of(value, words)
    if status is None:
        kind = classify.error_class_by_type(value) or UnknownError
    else:
        kind = classify.error_class(status, value, words)
    error = kind("")
    _set_facts(error, status, words, data)
    set_retry_after(error, {}, None, value)
    plain = value is msgspec.UNSET
    said = message.one_line(data[:8192].decode(errors="replace")) if plain else message.extract(value)
    _set_message(error, said, f"{provider or 'the server'} sent an error inside its answer", "")
    error.provider = provider or None
    redaction.redacted(error, redact)
    return error


class _ErrorMembers(msgspec.Struct):
    """What says that an object is an error; all else is passed over, however much of it there is."""

    error: msgspec.Raw = msgspec.Raw(b"null")
    object: msgspec.Raw = msgspec.Raw()
    type: msgspec.Raw = msgspec.Raw()


class _ChoiceMessage(msgspec.Struct):
    content: msgspec.Raw = msgspec.Raw(b"null")
    tool_calls: msgspec.Raw = msgspec.Raw(b"null")
    error: msgspec.Raw = msgspec.Raw(b"null")


class _FailedChoice(msgspec.Struct):
    error: msgspec.Raw = msgspec.Raw(b"null")
    text: msgspec.Raw = msgspec.Raw(b"null")
    message: _ChoiceMessage | None = None
    delta: _ChoiceMessage | None = None

    @property
    def speaks(self) -> bool:
        message = self.message or self.delta or _ChoiceMessage()
        return any(bytes(said) not in _NOT_SAID for said in (self.text, message.content, message.tool_calls))

    @property
    def failure(self) -> bytes:
        """The error, or that of a message without anything else."""
        inner = self.message or self.delta
        is_own = inner is None or self.speaks or bytes(self.error) not in _NOT_SAID
        return bytes(self.error if is_own or inner is None else inner.error)


class _Beside(msgspec.Struct):
    error: msgspec.Raw = msgspec.Raw(b"null")


class _FailedChoices(msgspec.Struct):
    choices: list[_FailedChoice] = []
    x_groq: _Beside | None = None


_NOT_SAID: Final = frozenset(
    {b"null", b"false", b"0", b"0.0", b'""', b"[]", b"{}", b'"none"', b'"null"', b'"ok"', b'"success"'}
)
_NOTHING: Final = frozenset({"", "none", "null", "false", "0", "[]", "{}", "ok", "success", "no error"})
_PLAINLY_CHOSEN: Final = b'"choices":[{'
"""As most servers write it, and found for less than half of what the pattern costs."""
_CHOSEN: Final = lazy_pattern(rb'"choices"\s*:\s*\[\s*\{')
_OBJECT: Final = lazy_pattern(rb"\s*\[?\s*\{")


def _is_error(data: bytes) -> bool:
    try:
        signs = json_decoder.decode_json(data, _ErrorMembers)
    except UNREADABLE:
        return False
    said = bytes(signs.error)
    is_said = said.lower() not in _NOT_SAID and not (said[:1] == b"{" and len(said) < EXCERPT_BYTES and _is_empty(said))
    return is_said or b'"error"' in (bytes(signs.object), bytes(signs.type))


def _is_empty(said: bytes) -> bool:
    """Whether an `error` object says that there is none: {"code": 0, "message": ""}, or "success" for a message."""
    value = message.parse(said)
    return isinstance(value, dict) and all(str(word).strip().lower() in _NOTHING for word in value.values())


def _excerpt(data: bytes) -> bytes:
    """What is worth reading of an error: all of it, or where there is far more than an error needs its error alone."""
    if len(data) <= ERROR_BODY_BYTES:
        return data
    try:
        held = bytes(json_decoder.decode_json(data, _ErrorMembers).error)
    except UNREADABLE:
        held = b""
    return b'{"error":%b}' % held if 4 < len(held) <= ERROR_BODY_BYTES else data[:ERROR_BODY_BYTES]


def _set_facts(error: ProviderError, status: int | None, words: list[str], body: bytes) -> None:
    error.status = status
    error.code = next((w for w in words if not w.isdigit()), words[0] if words else None)
    error.text = body[:ERROR_BODY_BYTES].decode(errors="replace")
    error.retryable = status is not None and classify.is_retryable(error, status, words)


def _set_message(error: ProviderError, said: str | None, start: str, hint: str) -> None:
    error.__dict__["said"] = said
    quoted = f"{said[:_QUOTED_CHARACTERS]}..." if said and len(said) > _QUOTED_CHARACTERS else said
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


def kept_headers(reply: Reply) -> dict[str, str]:
    return {name: text for name, text in reply.headers.items() if name != "set-cookie"}


def _masked_reply(reply: Reply, redact: Callable[[str], str]) -> Reply:
    """The answer without secrets, before anything of it is cut to a length. Nearly always it is so already."""
    whole = "\n".join([*reply.headers.values(), reply.body.decode(errors="surrogateescape")])
    if redact(whole) == whole:
        return reply
    headers = {name: redact(text) for name, text in reply.headers.items()}
    return msgspec.structs.replace(reply, headers=headers, body=redaction.masked_bytes(reply.body, redact))


def without_frame(reply: Reply) -> Reply:
    """A whole answer that came as an event stream of one event, without its frame; an end marker does not count.

    Any other as it is. Raises the error of an event of that name, where it is the only one.
    """
    if not is_events(reply.body):
        return reply
    frames = [frame for frame in frames_of(reply.body) if frame.data.strip() != DONE]
    if len(frames) != 1:
        return reply
    if frames[0].event == "error" and (error := error_in_body(frames[0].data, event="error")) is not None:
        error.headers = kept_headers(reply)
        error.request_id = request_id(reply.headers)
        raise error
    return msgspec.structs.replace(reply, body=frames[0].data)
