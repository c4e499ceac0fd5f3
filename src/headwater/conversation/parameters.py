"""The parameters of a conversation: those of a chat's turn, and its own."""

from __future__ import annotations

from ..cost.budget import Budget
from ..tasks.chat import ResponseFormat, TurnParameters
from ..tasks.typed_options import TypedAnswerOptions
from .async_run import ToolMode
from .tool_group import Approve


class TypedConversationParameters(TurnParameters, TypedAnswerOptions, total=False):
    """What a conversation takes by name beside a `response_format` that is a type; what each means says `converse`."""

    max_turns: int | None
    budget: int | Budget | None
    approve: Approve | None
    approval_timeout: float | None
    tool_timeout: float | None
    tools_at_once: int | None
    tool_mode: ToolMode | None
    stream: bool | None


class ConversationParameters(TypedConversationParameters, total=False):
    """The same, with another `response_format`."""

    response_format: ResponseFormat | None
