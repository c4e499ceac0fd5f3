"""Tells a client's observers of one conversation, and of the tools that it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..cost.usage import NOT_COUNTED, tokens_of
from ..engine.observer import (
    CURRENT_TOOL,
    ConversationBegun,
    ConversationEnded,
    ObservedConversation,
    ObservedTool,
    Observer,
    ToolBegun,
    ToolEnded,
)
from ..engine.watch import tell
from .events import ConversationResult, ToolReturned


class ConversationWatch:
    """What a conversation tells: its beginning and its end, once each."""

    def __init__(self, observers: Sequence[Observer], parameters: Mapping[str, Any], messages: list[Any]) -> None:
        self.conversation = ObservedConversation(
            model=parameters.get("model"), parameters=parameters, messages=messages, parent=CURRENT_TOOL.get()
        )
        self._observers = observers
        self._is_begun = self._is_over = False

    def begin(self, tools: tuple[str, ...]) -> None:
        """It begins, with these tools."""
        if not self._is_begun:
            self._is_begun = True
            self.conversation.tools = tools
            tell(self._observers, ConversationBegun(conversation=self.conversation))

    def end(self, outcome: Any, result: ConversationResult, error: BaseException | None) -> None:
        """It is over, or paused."""
        if not self._is_begun or self._is_over:
            return
        self._is_over = True
        tell(
            self._observers,
            ConversationEnded(
                conversation=self.conversation,
                outcome=outcome,
                usage=None if (used := tokens_of(result)) == NOT_COUNTED else used,
                turns=len(result.turns),
                result=result,
                error=error,
            ),
        )

    def begin_tool(self, name: str, id: str, description: str, arguments: Any, turn: int) -> ObservedTool:  # noqa: A002 - as the wire has it
        """A tool runs, in this task: calls that it makes are its."""
        tool = ObservedTool(
            name=name, id=id, description=description, arguments=arguments, turn=turn, parent=self.conversation
        )
        CURRENT_TOOL.set(tool)
        tell(self._observers, ToolBegun(tool=tool))
        return tool

    def end_tool(self, tool: ObservedTool, returned: ToolReturned) -> None:
        """It has ended, in the same task."""
        event = ToolEnded(tool=tool, outcome=returned.outcome, content=returned.content, error=returned.error)
        tell(self._observers, event)
