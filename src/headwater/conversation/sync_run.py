"""The same conversation for blocking code: what it does is `AsyncConversation`'s, on the shared event loop."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

from ..blocking.run import Run
from ..engine.run import AsyncRun
from ..protocol.under_way import not_copied
from ..tasks.chat_types import ChatCompletionOutputUsage
from .async_run import AsyncConversation, ConversationOutcome
from .events import ConversationEvent, ConversationResult, ParsedConversationResult, ToolCalled, TurnEnded
from .state import ConversationState

T = TypeVar("T")


class Conversation:
    """A conversation under way, for blocking code: a context manager, and an iterator of its events.

    Used by one thread at a time. Synchronous tools run in threads of their own, async ones on the shared event loop. An
    exception that interrupts its reading, Ctrl-C for one, leaves it.
    """

    __reduce_ex__ = not_copied

    def __init__(self, run: AsyncConversation) -> None:
        self._conversation = run
        # A run is read by four methods, which a conversation has as well.
        self._run: Run[ConversationEvent, ConversationResult] = Run(cast("AsyncRun[Any, Any]", run))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ConversationEvent:
        return next(self._run)

    def start(self) -> Self:
        """Wait until there is an event to hand over, or the end; an early failure is raised here."""
        self._run.start()
        return self

    def result(self) -> ConversationResult:
        """Read to the end and return what it has come to."""
        return self._run.result()

    def close(self) -> None:
        """Leave the conversation: the model's stream is closed, and tools that run are cancelled. Idempotent."""
        self._run.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def transcript(self) -> list[dict[str, Any]]:
        """All messages so far as plain dicts, in which every call has an answer."""
        return self._conversation.transcript

    @property
    def state(self) -> ConversationState:
        """Where it stands, as plain JSON; `client.converse(state, tools=...)` goes on from there."""
        return self._conversation.state

    @property
    def usage(self) -> ChatCompletionOutputUsage:
        """The sum of what all turns of this run cost, in tokens."""
        return self._conversation.usage

    @property
    def turns(self) -> tuple[TurnEnded, ...]:
        """The turns of this run that are over."""
        return self._conversation.turns

    @property
    def pending(self) -> tuple[ToolCalled, ...]:
        """The calls that wait for somebody to allow them."""
        return self._conversation.pending

    @property
    def partial(self) -> ConversationResult:
        """What it has come to so far."""
        return self._conversation.partial

    @property
    def outcome(self) -> ConversationOutcome | None:
        """How it ended; None before that."""
        return self._conversation.outcome


class ParsedConversation(Conversation, Generic[T]):
    """A conversation whose answer is a value of a type: `parsed` of its result, and of its `partial` so far."""

    if TYPE_CHECKING:

        @property
        def partial(self) -> ParsedConversationResult[T]: ...

        def result(self) -> ParsedConversationResult[T]: ...
