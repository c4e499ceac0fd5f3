"""What a conversation hands over besides the chunks of its answers, and what it has at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar, cast

import msgspec

from ..engine.facts import Facts
from ..tasks.chat_types import ChatCompletionOutputMessage, ChatCompletionOutputUsage, ChatCompletionStreamOutput
from ..tasks.parsed_types import ParsedChatCompletionMessage, parsed_value
from .state import ConversationState
from .tool_call import ToolOutcome

T = TypeVar("T")


class ToolCalled(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The model has called a tool, which is not begun yet. `arguments` is an object, or the model's text where it is
    none; `turn` counts from 1."""

    id: str
    name: str
    arguments: Any
    turn: int


class ToolReturned(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A call of a tool has its answer.

    `content` is what the model is told, `outcome` what came of the call ("returned" where all is well), `value` what
    the function returned, `error` what it raised, `seconds` how long it took. `runs_on`: it was given up, and its
    thread, which cannot be stopped, was still running.
    """

    id: str
    name: str
    turn: int
    outcome: ToolOutcome
    content: str
    value: Any = None
    error: BaseException | None = None
    seconds: float = 0.0
    runs_on: bool = False

    @property
    def is_error(self) -> bool:
        """Whether it has no result."""
        return self.outcome != "returned"


class TurnEnded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A turn is over: the model has answered, and the tools that it called have.

    `number` counts from 1. `facts` are those of the model's call, `usage` its tokens where the server said them.
    """

    number: int
    message: ChatCompletionOutputMessage
    facts: Facts
    finish_reason: str | None = None
    usage: ChatCompletionOutputUsage | None = None
    returned: tuple[ToolReturned, ...] = ()


ConversationEvent: TypeAlias = ChatCompletionStreamOutput | ToolCalled | ToolReturned | TurnEnded


class ConversationResult(msgspec.Struct, kw_only=True):
    """What a conversation has come to.

    `message` is the model's last one; `transcript` all messages as plain dicts, the caller's own first, which can be
    sent again; `usage` the sum of all turns; `turns` what is known of each. `ended`: "answered", or "paused" where
    `pending` calls wait for somebody to allow them: `state` goes on from there, in another process too.
    """

    message: ChatCompletionOutputMessage | None
    transcript: list[dict[str, Any]]
    usage: ChatCompletionOutputUsage
    turns: tuple[TurnEnded, ...]
    ended: Literal["answered", "paused", "left"]
    pending: tuple[ToolCalled, ...]
    state: ConversationState

    @property
    def text(self) -> str:
        """The text of the last message."""
        return "" if self.message is None else self.message.content or ""


class ParsedConversationResult(ConversationResult, Generic[T]):
    """What a conversation has come to whose answer is a value of a type."""

    if TYPE_CHECKING:
        message: ParsedChatCompletionMessage[T] | None  # pyright: ignore[reportIncompatibleVariableOverride]

    @property
    def parsed(self) -> T:
        """The last message's value. Of a conversation that is not over, what has come of it; None where the last
        message calls tools, and before anything has come."""
        return cast("T", None if self.message is None else parsed_value(self.message))
