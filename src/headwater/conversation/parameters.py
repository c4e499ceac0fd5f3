"""The parameters of a conversation: those of a chat's turn, and its own."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from ..cost.budget import Budget
from ..errors import InvalidParameterError
from ..protocol.json_value import is_object
from ..tasks.chat import ResponseFormat, TurnParameters
from ..tasks.typed_options import TypedAnswerOptions
from .tool import Tool
from .tool_group import Approve

ToolMode: TypeAlias = Literal["native", "prompted", "constrained"]


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


class ConversationSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a conversation was asked for, beside its messages; `parameters` go with every call of the model."""

    tools: dict[str, Tool[..., Any]]
    parameters: dict[str, Any]
    max_turns: int = 8
    budget: int | None = None
    approve: Approve | None = None
    approval_timeout: float | None = None
    tool_timeout: float | None = None
    tools_at_once: int = 8
    tool_mode: ToolMode = "native"
    stream: bool = True

    def __post_init__(self) -> None:
        for name, least in (("max_turns", 1), ("tools_at_once", 1), ("budget", 1)):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
                raise InvalidParameterError(f"{name} must be a whole number of at least {least}")
        for name in ("approval_timeout", "tool_timeout"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int | float) or not value > 0):
                raise InvalidParameterError(f"{name} must be a number of seconds above 0")
        if self.tool_mode not in ("native", "prompted", "constrained"):
            raise InvalidParameterError("tool_mode must be 'native', 'prompted' or 'constrained'")
        if self.parameters.get("n") not in (None, 1):
            raise InvalidParameterError("a conversation has one answer in each turn: n must be 1")

    @property
    def is_native(self) -> bool:
        """Whether calls are the server's affair, and are not read from the model's text."""
        return self.tool_mode == "native" or not self.tools

    @property
    def is_typed(self) -> bool:
        """Whether the model's answer is to be a value of a type."""
        wanted = self.parameters.get("response_format")
        return wanted is not None and not is_object(wanted)
