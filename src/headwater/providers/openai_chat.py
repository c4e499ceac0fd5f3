"""OpenAI's chat dialect: the request, the answer, and the chunks of a stream.

What differs between the providers that speak it is a `ChatDialect`, which is data. A server's own URL takes the
plain one. Nothing here knows a provider's name or maps a model.

https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from ..errors import DecodeError, MalformedEventError, ServerError, UnexpectedContentError
from ..protocol.flow import END, Call, End, Flow, Reply, Request, Send, Stream
from ..protocol.framing import DONE, Frame
from ..protocol.json_text import UNREADABLE, dumps, has_halves, loads
from ..protocol.json_value import encoded_plain
from ..protocol.lazy import lazy_modules, lazy_pattern
from ..responses.decode import decode
from ..responses.json_decoder import convert, decode_json, loads_before
from ..responses.refusal import EXCERPT_BYTES, error_in_body, error_in_choice, error_in_place_of_answer
from ..schema.rules import STRICT, NamedSchema, SchemaRules
from ..tasks.chat import wire_messages, wire_tool_choice
from ..tasks.chat_types import ChatCompletionOutput, ChatCompletionStreamOutput, kept
from ..tasks.content_blocks import MEMBER, without_blocks
from . import unrequested_stream
from .bodies import model_of, parameters, post

if TYPE_CHECKING:
    from ..responses import message  # noqa: TC004 - loaded when it is used, below
    from ..tasks import chat_fold  # noqa: TC004 - loaded when it is used, below
    from . import response_format  # noqa: TC004 - loaded when it is used, below
    from .response_format import Rewrite
else:
    globals().update(lazy_modules("headwater.responses", "message"))
    globals().update(lazy_modules("headwater.tasks", "chat_fold"))
    globals().update(lazy_modules(__package__, "response_format"))

T = TypeVar("T")

ERROR: Final = b'"error"'
PIECE: Final = b'"delta"'
"""What only the chunks of a chat have."""
_FAULT: Final = lazy_pattern("error|exception|fail|fault", re.IGNORECASE)
_BLOCKS: Final = f'"{MEMBER}"'.encode()
_NULL: Final = b":null"
_UNREADABLE_EVENT: Final = "an event of the stream cannot be read"
"""As the dict of an answer may have it, whose messages are looked at one by one then."""
_FRAME: Final = frozenset(ChatCompletionStreamOutput.__struct_fields__)
_OF_ANSWERS: Final = frozenset(
    {
        "candidates",
        "content",
        "data",
        "delta",
        "generated_text",
        "message",
        "output",
        "response",
        "result",
        "text",
        "token",
    }
)
"""Members that have the answer in other dialects: an event with one is none of this."""


_ENDS: Final = frozenset({b"DONE", b"END", b"EOF", b"EOS", b"STREAM_END", b"END_OF_STREAM"})
"""End markers, without what is around them. An answer is whole by what it says, with any of them or without."""
_OF_LIFE: Final = lazy_pattern(
    r"(?:ping|pong|heart-?beat|keep[-_]?alive|status|open|close|end|start|finish|complete|connect|stop|done)(?:e?d|ped)?\Z",
    re.IGNORECASE,
)
"""Names of events that say how a stream is, and have no part of the answer."""
_EMPTY: Final = frozenset({b"", b"{}", b'""'})
_ALIVE: Final = lazy_pattern(rb"(?i)[\"'\[<|]*(?:ping|pong|heart-?beat|keep[-_ ]?alive)(?![\w-])")
"""A word that keeps a connection alive, whatever follows it: starlette's pings have the date."""
_LONGEST_WORD: Final = 32


class ChatDialect(msgspec.Struct, frozen=True, kw_only=True):
    """Where a provider's chats depart from OpenAI's: how it wants `response_format`, what it takes of JSON Schema in
    it (`schema`), what else is done where that is a type of the caller's (`types`), the parameters that it calls
    otherwise (`renamed`) and that it refuses (`dropped`), what it has in place of `reasoning_effort="none"`
    (`unthinking`), the members of an answer that it refuses as history (`unsent`), and the `system_fingerprint`s of
    servers that may end a whole answer without a finish reason (`unfinished`): everywhere else such an end is a cut."""

    response_format: Rewrite | None = None
    renamed: dict[str, str] = {}
    schema: SchemaRules = STRICT
    types: Rewrite | None = None
    dropped: frozenset[str] = frozenset()
    unfinished: frozenset[str] = frozenset()
    unsent: frozenset[str] = frozenset()
    unthinking: dict[str, Any] = {}


PLAIN: Final = ChatDialect()


class _AnyServer(Container[object]):
    """Every server's fingerprint, and none: the caller says that an end marker is enough."""

    def __contains__(self, fingerprint: object) -> bool:
        return True


_ANY_SERVER: Final = _AnyServer()


def unfinished_of(call: Call, known: frozenset[str]) -> Container[object]:
    """Whose end marker alone ends a whole answer to this call: that of servers known for it, or anybody's."""
    return _ANY_SERVER if call.done_ends else known


def chat(call: Call, url: str, dialect: ChatDialect = PLAIN) -> Flow[ChatCompletionOutput]:
    """A chat, whole or streamed, at this URL."""
    request = _request(url, call, dialect)
    unfinished = unfinished_of(call, dialect.unfinished)
    if call.stream:
        number = call.extra.get("n", call.parameters.get("n", 1))
        fold = partial(_fold, number, unfinished)
        answer: ChatCompletionOutput = yield Stream(request=request, framing="sse", decode=decode_chunk, fold=fold)
        return answer
    fold = partial(_fold, 1, unfinished)
    return unrequested_stream.read_unrequested((yield Send(request)), whole_chat, decode_chunk, fold, piece=PIECE)


def _fold(number: Any, unfinished: Container[object]) -> chat_fold.ChatFold:
    """What gathers chunks; loaded where there are some, which a plain answer has not."""
    return chat_fold.ChatFold(number, unfinished)


def whole_chat(reply: Reply) -> ChatCompletionOutput:
    """A chat's whole answer. Raises the error that it is, or that a choice ended with."""
    try:
        answer = decode(reply, ChatCompletionOutput)
    except DecodeError:
        if (inner := _opened(reply)) is None:
            raise
        return whole_chat(inner)
    if not answer.choices:
        if (inner := _opened(reply)) is None:
            raise _without_choices(reply.body)
        return whole_chat(inner)
    kept(answer)
    check_choices(answer, reply)
    return answer


def _opened(reply: Reply) -> Reply | None:
    """The reply whose body is the answer that is in it."""
    inner = enclosed(message.parse(reply.body))
    return None if inner is None else msgspec.structs.replace(reply, body=dumps(inner))


def check_choices(answer: ChatCompletionOutput, reply: Reply) -> None:
    """Raise the error that a choice ended with, the answer so far being its `partial`; and the refusal beside choices
    in which nothing is said."""
    body = reply.body
    held = error_in_choice(body) if reply.names_error() else None
    silent = 0
    for choice in answer.choices:
        is_empty = not choice.message.content and not choice.message.tool_calls
        if choice.finish_reason == "error" or (held is not None and is_empty):
            error = held or _failed(body)
            error.partial = answer
            raise error
        silent += is_empty
    if silent == len(answer.choices) and (refused := error_in_place_of_answer(body, sure=True)) is not None:
        refused.partial = answer
        raise refused


def _request(url: str, call: Call, dialect: ChatDialect) -> Request:
    # The model first, so that proxies can route on the body's start.
    body: dict[str, Any] = {"model": model_of(call), **parameters(call)}
    if (choice := body.get("tool_choice")) is not None:
        body["tool_choice"] = wire_tool_choice(choice)
    body["stream"] = call.stream
    write_format(body, dialect)
    for name, theirs in dialect.renamed.items():
        if name in body:
            body[theirs] = body.pop(name)
    if dialect.unthinking and body.get("reasoning_effort") == "none":
        del body["reasoning_effort"]
        body.update(dialect.unthinking)
    body.update(call.extra)
    for name in dialect.dropped:
        body.pop(name, None)
    text = encoded_plain(body)
    if text is not None and (text.find(_BLOCKS) >= 0 or text.find(_NULL) >= 0):
        text = None
    if text is None and "messages" not in call.extra:
        body["messages"] = without_blocks(wire_messages(body["messages"], dialect.unsent))
    return post(url, body if text is None else text, stream=call.stream)


def write_format(body: dict[str, Any], dialect: ChatDialect) -> None:
    """Write the body's `response_format` as the provider wants it."""
    if isinstance(wanted := body.get("response_format"), NamedSchema):
        body["response_format"] = response_format.json_schema_format(wanted, dialect.schema)
        if dialect.types is not None:
            dialect.types(body)
    if dialect.response_format is not None:
        dialect.response_format(body)


def _first_chunk(data: bytes) -> ChatCompletionStreamOutput:
    """Make the decoder of chunks, and read the first: msgspec looks through a type and all that it holds for it."""
    global _chunk
    _chunk = msgspec.json.Decoder(ChatCompletionStreamOutput).decode
    return _chunk(data)


_chunk: Callable[[bytes], ChatCompletionStreamOutput] = _first_chunk


def decode_chunk(frame: Frame) -> ChatCompletionStreamOutput | End | None:
    """An event of a chat's stream: the hot path of the whole library, so the usual case comes first.

    Raises the error that the event is, or `MalformedEventError`.
    """
    data = frame.data
    if data.find(ERROR) >= 0 or frame.event == "error":  # `find` is nearly twice as fast as `in`
        raise_error(frame)
    try:
        chunk = _chunk(data)
    except UNREADABLE:
        if data == DONE:
            return END
        odd = odd_event(frame, ChatCompletionStreamOutput, framed)
        if odd is None or isinstance(odd, End):
            return odd
        data = read_of(frame)
        if has_halves(data):
            return in_halves(odd, data)
        chunk = odd
    if (
        not chunk.choices and (error := error_in_place_of_answer(data, sure=True)) is not None
    ):  # MiniMax's base_resp, ...
        raise error
    chunk._body = data  # type: ignore[attr-defined]
    return chunk


def in_halves(chunk: ChatCompletionStreamOutput, data: bytes) -> ChatCompletionStreamOutput:
    """The chunk, which has U+FFFD for every half of a character, and for its fold the same with the halves."""
    sent = loads(data, halves=True, replace=True)
    chunk.keep_halves(convert(framed(sent), ChatCompletionStreamOutput), sent)
    chunk.part_of(data)
    return chunk


def odd_event(frame: Frame, kind: type[T], framed: Callable[[dict[str, Any]], dict[str, Any]]) -> T | End | None:
    """An event that the strict reading refused, as far as it can be read.

    That is an end marker (`[DONE]`, in any quotes and case), nothing (also `null`, `{}`, `[]`, `""`, a word such as
    "ping" or a comment, which keep a connection alive), or the event without what is odd about it, its `data:` written
    twice included. `framed` gives the object with what a `kind` without content may lack. Raises
    `MalformedEventError`.
    """
    text = spelled_once(frame.data)
    word = text.strip(b"\"'[]<|> ").upper() if len(text) <= _LONGEST_WORD else text
    if word in _ENDS:
        return END
    if text in _EMPTY or text.startswith(b":") or _ALIVE.match(text):  # a proxy's `data: : OPENROUTER PROCESSING`
        return None
    try:
        value = _read_event(text, kind)
        if value is None or value in ({}, []):
            return None
        if isinstance(value, dict):
            value = {**value, "choices": []} if _is_fact(frame, value) else framed(value)
        return convert(value, kind)
    except UNREADABLE as failure:
        unusual(frame, failure)
        return None


def _read_event(text: bytes, kind: type[Any]) -> Any:
    """What an event's text stands for; of a list of one, that, and of what an end marker follows, what is before it."""
    value = loads_before(text, kind)
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def spelled_once(data: bytes) -> bytes:
    """An event's data, of a stream that was made an event stream once more."""
    text = data.strip()
    while text.startswith(b"data:"):
        text = text[5:].strip()
    return text


def read_of(frame: Frame) -> bytes:
    """The text of what was read of an odd event."""
    text = spelled_once(frame.data)
    if b'"choices' not in text and b'\\"choices' not in text:
        return text
    value = _read_event(text, ChatCompletionStreamOutput)
    inner = enclosed(value)
    is_plain = inner is None and text[:1] == b"{" and text[-1:] == b"}"
    return text if is_plain else dumps(value if inner is None else inner)


def _is_fact(frame: Frame, event: dict[str, Any]) -> bool:
    """Whether an event of a server's own says something about the answer, and is no part of it, nor a refusal: the
    `sources` of Open WebUI (https://github.com/openai-php/client/issues/545)."""
    if frame.bare or frame.event or "choices" in event or not _OF_ANSWERS.isdisjoint(event):
        return False
    from ..responses.classify import says_refused  # loaded where a server says more than its dialect has

    return not says_refused(event)


def framed(chunk: dict[str, Any]) -> dict[str, Any]:
    """The chunk, or the one that is in it; one without choices has an empty list of them, if it is a frame alone, has
    the usage, or says that it is a piece."""
    if not chunk.get("choices") and (inner := enclosed(chunk)) is not None:
        return inner
    is_piece = str(chunk.get("object")).startswith(("chat.completion", "text_completion"))
    is_hollow = not chunk.get("choices") and ("usage" in chunk or is_piece or chunk.keys() <= _FRAME)
    return {**chunk, "choices": []} if is_hollow else chunk


def enclosed(sent: Any) -> dict[str, Any] | None:
    """The answer that the only member of an object is which has choices; None where there is none.

    OpenRouter is reported to put it into `provider` (https://github.com/pydantic/pydantic-ai/issues/3994), gateways put
    it into `data` or `result`, beside a code that says that all is well.
    """
    members = map(_once_read, sent.values()) if isinstance(sent, dict) and not sent.get("choices") else ()
    found = [each for each in members if isinstance(each, dict) and each.get("choices")]
    return found[0] if len(found) == 1 and isinstance(found[0]["choices"], list) else None


def _once_read(member: Any) -> Any:
    """A member, which a gateway may have written as text."""
    return message.parse(member.encode(errors="replace")) if isinstance(member, str) and member[:1] == "{" else member


def unusual(frame: Frame, failure: Exception) -> None:
    """Pass over an event of another protocol. Raises the error that it says by its name or by its members, and
    `MalformedEventError` for any other that nobody can read."""
    if frame.event not in ("", "message"):
        named = _FAULT.search(frame.event) is not None
        refused = error_in_body(frame.data, event="error") if named else error_in_place_of_answer(frame.data, sure=True)
        if refused is not None:
            raise refused
        if isinstance(failure, msgspec.ValidationError):  # `event: ping` with an object of its own
            return
    opening = frame.data.lstrip()[:1]
    if _OF_LIFE.match(frame.event) and opening not in (b"{", b"["):  # `event: close` with words
        return
    is_json = opening == b"{" or (opening == b"[" and isinstance(failure, msgspec.ValidationError))
    quoted = message.one_line(frame.data[:EXCERPT_BYTES].decode(errors="replace"))
    what = f"{failure}; it begins: {quoted}" if is_json else f"it is {quoted!r}"
    error = MalformedEventError(f"{_UNREADABLE_EVENT}: {what}")
    error.outline = f"{_UNREADABLE_EVENT}: {failure}" if is_json else _UNREADABLE_EVENT
    error.body = frame.data[:EXCERPT_BYTES]
    raise error from None


def raise_error(frame: Frame) -> None:
    """Raise the error that the event is; a chunk that only has the word in it passes."""
    error = error_in_body(frame.data, event=frame.event)
    if error is not None:
        raise error
    if (error := error_in_choice(frame.data)) is not None:
        raise error
    if b'"finish_reason"' not in frame.data:
        return
    try:
        choices = decode_json(frame.data, ChatCompletionStreamOutput).choices
    except UNREADABLE:
        return
    if any(choice.finish_reason == "error" for choice in choices):
        raise _failed(frame.data)


def _without_choices(body: bytes) -> UnexpectedContentError:
    error = UnexpectedContentError("the server answered without a single choice")
    error.body = body[:EXCERPT_BYTES]
    return error


def _failed(body: bytes) -> ServerError:
    error = ServerError("the server stopped the answer with finish_reason 'error'")
    error.text = body.decode(errors="replace")
    return error
