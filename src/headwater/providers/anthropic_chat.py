"""A chat in Anthropic's Messages: `chat_completion` by a translation, both ways and pure.

    a chat's parameters ─anthropic_request─▶ a message's ─▶ Messages ─▶ a message ─anthropic_answer─▶ a chat's answer

So a list of providers may mix dialects, and a conversation that was begun in one goes on in the other.
"""

from __future__ import annotations

from ..protocol.flow import Call, Flow, Reply, Send, Stream
from ..schema.rules import ANTHROPIC, SchemaRules
from ..tasks.chat_types import ChatCompletionOutput
from . import unrequested_stream
from .anthropic_answer import ChatOfMessageFold, chat_answer, decode_message_chunk
from .anthropic_messages import MESSAGE_PIECE, message_request, whole_message
from .anthropic_request import message_body


def message_chat(call: Call, url: str, rules: SchemaRules = ANTHROPIC) -> Flow[ChatCompletionOutput]:
    """A chat, whole or streamed, at this URL of the messages. `rules`: what its typed answers may have of JSON Schema.

    Raises `UnsupportedParameterError` for what Messages cannot say; nothing was sent.
    """
    request = message_request(url, message_body(call, rules), {}, stream=call.stream)
    if call.stream:
        answer: ChatCompletionOutput = yield Stream(
            request=request, framing="sse", decode=decode_message_chunk, fold=ChatOfMessageFold
        )
        return answer
    return unrequested_stream.read_unrequested(
        (yield Send(request)), whole_message_chat, decode_message_chunk, ChatOfMessageFold, piece=MESSAGE_PIECE
    )


def whole_message_chat(reply: Reply) -> ChatCompletionOutput:
    """A whole answer. Raises the error that it is."""
    return chat_answer(whole_message(reply))
