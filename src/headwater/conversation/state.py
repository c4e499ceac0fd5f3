"""Where a conversation stands, as plain JSON: it can be kept, and taken up by another process.

Tools, model and options are no part of it: whoever takes it up gives them again. Pure.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ..errors import InvalidParameterError
from ..responses.json_decoder import convert
from ..tasks.chat_types import ChatCompletionOutputMessage, ChatCompletionOutputUsage
from .tool_call import ToolCallState, answers

VERSION: Final = 1


class ConversationState(msgspec.Struct, kw_only=True):
    """Where a conversation stands. `messages` are those that are complete; `calls` those of the last of them, until
    all have their answers; `turns` and `usage` what it has taken so far."""

    messages: list[dict[str, Any]]
    calls: list[ToolCallState] = []
    turns: int = 0
    usage: dict[str, Any] = {}
    version: int = VERSION

    def to_json(self) -> str:
        """The state as JSON text; `ConversationState.from_json` reads it, and so does `converse`."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> ConversationState:
        """The state that `to_json` wrote. Raises `InvalidParameterError` for any other text."""
        try:
            state = msgspec.json.decode(text, type=cls)
        except (msgspec.MsgspecError, UnicodeError, TypeError) as error:
            raise InvalidParameterError(f"this is no state of a conversation: {error}") from None
        if state.version != VERSION:
            raise InvalidParameterError(f"a conversation's state of version {state.version} cannot be read")
        return state

    @property
    def transcript(self) -> list[dict[str, Any]]:
        """All messages, in which every call has an answer; of one that is not answered yet, that it was not."""
        return [*self.messages, *answers(self.calls)]

    @property
    def undecided(self) -> list[ToolCallState]:
        """The calls that nobody has allowed or refused."""
        return [call for call in self.calls if call.decision is None and not call.is_answered]

    def decide(self, call_id: str, decision: bool | str) -> None:
        """Allow a call, True, or refuse it, False or a text that says why.

        Raises `InvalidParameterError` where no such call waits.
        """
        for call in self.undecided:
            if call.id == call_id:
                call.decision = decision
                return
        raise InvalidParameterError(f"no call {call_id!r} waits to be decided")

    def totals(self) -> ChatCompletionOutputUsage:
        """The usage as what a call says it by."""
        return convert(self.usage, ChatCompletionOutputUsage)


def revived(messages: list[dict[str, Any]]) -> list[Any]:
    """The messages of a state with a model's answers as what they were, so that they go to each provider as it wants
    them."""
    return [_answer(message) if message.get("role") == "assistant" else message for message in messages]


def _answer(message: dict[str, Any]) -> ChatCompletionOutputMessage:
    answer = convert(message, ChatCompletionOutputMessage)
    answer.part_of(msgspec.json.encode(message))
    return answer
