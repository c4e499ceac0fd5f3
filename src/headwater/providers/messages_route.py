"""The Messages dialect as the rows have it, and the header of its key; what speaks it, `anthropic_messages` and
`anthropic_chat`, is loaded by the first call."""

from __future__ import annotations

from typing import Any, Final

from ..auth.credentials import KeyHeader
from ..protocol.flow import Call, Flow, TaskFlowAtURL
from ..schema.rules import ANTHROPIC, SchemaRules

KEY_HEADER: Final = KeyHeader("x-api-key", scheme="")


def message_at(call: Call, url: str, rules: SchemaRules = ANTHROPIC) -> Flow[Any]:
    """A message, whole or streamed, at this URL. `rules`: what its typed answers may have of JSON Schema."""
    from . import anthropic_messages

    return (yield from anthropic_messages.create_message(call, url, rules))


def token_count_at(call: Call, url: str) -> Flow[Any]:
    """How many tokens a message's request would have, at this URL of the messages."""
    from . import anthropic_messages

    return (yield from anthropic_messages.count_message_tokens(call, url))


def message_chat_at(call: Call, url: str) -> Flow[Any]:
    """A chat that is put into Messages, at this URL of theirs."""
    from . import anthropic_chat

    return (yield from anthropic_chat.message_chat(call, url))


MESSAGES_TASKS: Final[dict[str, TaskFlowAtURL]] = {"messages": message_at, "count-tokens": token_count_at}
"""The tasks of the dialect, each at the URL of the messages."""
