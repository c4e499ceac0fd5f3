"""Anthropic's Messages: the request, the answer, the events of a stream, and the count of tokens.

    message_start ─▶ (content_block_start ─▶ content_block_delta... ─▶ content_block_stop)... ─▶ message_delta
      ─▶ message_stop                              ping anywhere, error in place of the rest

"message_stop" ends a stream, as an end marker of OpenAI's does behind the stop reason: what ends before is cut. An
error inside one has the class that its type would have as a status (`overloaded_error` is an `OverloadedError`).
Nothing here knows a provider's name.

https://platform.claude.com/docs/en/api/messages, https://platform.claude.com/docs/en/build-with-claude/streaming,
https://platform.claude.com/docs/en/api/errors
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ..errors import MalformedEventError
from ..protocol.flow import END, Call, End, Flow, Reply, Request, Send, Stream
from ..protocol.framing import DONE, Frame
from ..protocol.json_text import UNREADABLE, loads
from ..responses.decode import decode
from ..responses.json_decoder import convert
from ..responses.message import one_line
from ..responses.refusal import EXCERPT_BYTES, error_in_body, error_in_place_of_answer
from ..schema.rules import ANTHROPIC, NamedSchema, SchemaRules
from ..tasks.message_fold import MessageFold
from ..tasks.message_types import Message, MessageStreamEvent, MessageTokensCount, kept_message
from ..tasks.messages import wire_conversation
from . import unrequested_stream
from .bodies import API_VERSION, model_of, parameters, post

MESSAGE_PIECE: Final = b'"message_start"'
"""What only the events of a message have."""
_ERROR: Final = b'"error"'
_event: Final = msgspec.json.Decoder(MessageStreamEvent).decode
_OF_HEADERS: Final = ("anthropic_version", "betas")
_EVENTS: Final = frozenset(
    {
        "content_block_delta",
        "content_block_start",
        "content_block_stop",
        "message_delta",
        "message_start",
        "message_stop",
    }
)
"""Those without which there is no message, or not all of it."""
_KNOWN: Final = _EVENTS | {"message", "ping"}


def create_message(call: Call, url: str, rules: SchemaRules = ANTHROPIC) -> Flow[Message]:
    """A message, whole or streamed, at this URL. `rules`: what its typed answers may have of JSON Schema."""
    body = _body(call, rules, stream=call.stream)
    request = message_request(url, body, call.parameters, stream=call.stream)
    if call.stream:
        message: Message = yield Stream(
            request=request, framing="sse", decode=decode_message_event, fold=MessageFold, last=MessageFold.complete
        )
        return message
    reply = yield Send(request)
    return unrequested_stream.read_unrequested(
        reply, whole_message, decode_message_event, MessageFold, piece=MESSAGE_PIECE
    )


def count_message_tokens(call: Call, url: str) -> Flow[MessageTokensCount]:
    """How many tokens a message's request would have, at this URL of the messages."""
    path, mark, query = url.partition("?")
    request = message_request(f"{path}/count_tokens{mark}{query}", _body(call, ANTHROPIC), call.parameters)
    return decode((yield Send(request)), MessageTokensCount)


def _body(call: Call, rules: SchemaRules, **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"model": model_of(call), **parameters(call), **more}
    for name in _OF_HEADERS:
        body.pop(name, None)
    body["messages"] = wire_conversation(body["messages"])
    if (wanted := body.pop("output_format", None)) is not None:
        form = (
            {"type": "json_schema", "schema": wanted.fitted(rules).schema}
            if isinstance(wanted, NamedSchema)
            else wanted
        )
        body["output_config"] = {**msgspec.to_builtins(body.get("output_config") or {}), "format": form}
    body.update(call.extra)
    return body


def message_request(url: str, body: dict[str, Any], given: dict[str, Any], *, stream: bool = False) -> Request:
    """The request with what the API wants in headers, of the parameters that were given."""
    request = post(url, body, stream=stream)
    headers = {**request.headers, "anthropic-version": given.get("anthropic_version", API_VERSION)}
    if betas := given.get("betas"):
        headers["anthropic-beta"] = ",".join(betas)
    return msgspec.structs.replace(request, headers=headers)


def whole_message(reply: Reply) -> Message:
    """A whole answer. Raises the error that it is."""
    return kept_message(decode(reply, Message))


def decode_message_event(frame: Frame) -> MessageStreamEvent | End | None:
    """An event of a message's stream. Raises the error that it is, or `MalformedEventError`."""
    data = frame.data
    if data.find(_ERROR) >= 0 or frame.event == "error":
        error = error_in_body(data, event=frame.event)
        if error is not None:
            raise error
    try:
        event = _event(data)
    except UNREADABLE as failure:
        odd = _odd_event(frame, failure)
        if not isinstance(odd, MessageStreamEvent):
            return odd
        event = odd
    if not event.type:
        event.type = frame.event
    if event.type not in _KNOWN and (refused := error_in_place_of_answer(data, sure=bool(event.type))) is not None:
        raise refused
    vars(event)["_body"] = data
    return event


def _odd_event(frame: Frame, strict: Exception) -> MessageStreamEvent | End | None:
    """An event that the strict reading refused, as far as it can be read; nothing of an empty one."""
    text = frame.data.strip()
    if not text or text == DONE:  # which proxies add that speak OpenAI's dialect as well
        return END if text else None
    try:
        value = loads(text, halves=True, replace=True)
        if isinstance(value, dict):
            event = convert(value, MessageStreamEvent)
            if _is_readable(event, value):
                return event
        elif value is None or frame.event not in {"", *_EVENTS}:
            return None if value is None else MessageStreamEvent(type=frame.event)
    except UNREADABLE as failure:
        strict = failure
    quoted = one_line(frame.data[:EXCERPT_BYTES].decode(errors="replace"))
    what = strict if text[:1] == b"{" else f"it is {quoted!r}"
    error = MalformedEventError(f"an event of the stream cannot be read: {what}")
    error.outline = "an event of the stream cannot be read"
    error.body = frame.data[:EXCERPT_BYTES]
    raise error from None


def _is_readable(event: MessageStreamEvent, sent: dict[str, Any]) -> bool:
    """Whether what a known event says was read: an odd delta or block that is left out would be lost in silence, and so
    would the content of a message."""
    if event.type not in _EVENTS:
        return True
    message = sent.get("message")
    if event.message is None and isinstance(message, dict) and message.get("content"):
        return False
    parts = (("delta", event.delta), ("content_block", event.content_block))
    return all(part is not None or sent.get(name) in (None, [], "") for name, part in parts)
