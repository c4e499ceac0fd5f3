"""OpenAI's objects whose `create` is a task: `client.chat.completions`, `client.embeddings`, `client.moderations`."""

from __future__ import annotations

from types import UnionType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Unpack, overload

from .bound_task import RawResponses

if TYPE_CHECKING:
    from ..tasks.chat import ChatParameters, Messages, TypedChatParameters
    from .chat_stream import AsyncChatCompletionStream, ChatCompletionStream
    from .chat_task import AsyncChat, SyncChat

T = TypeVar("T")


class CreateNamespace(RawResponses, Generic[T]):
    """An object of OpenAI's whose `create` is one of our tasks."""

    def __init__(self, create: T) -> None:
        self.create = create
        """The task, in OpenAI's spelling: its parameters are the task's, all by name."""


class ChatCompletions(CreateNamespace[T]):
    """`client.chat.completions`."""

    @property
    def parse(self) -> T:
        """The same task; OpenAI's name for it where `response_format` is a type."""
        return self.create

    @overload
    def stream(
        self: ChatCompletions[SyncChat], *, messages: Messages, **parameters: Unpack[ChatParameters]
    ) -> ChatCompletionStream: ...
    @overload
    def stream(
        self: ChatCompletions[AsyncChat], *, messages: Messages, **parameters: Unpack[ChatParameters]
    ) -> AsyncChatCompletionStream: ...
    @overload
    def stream(
        self: ChatCompletions[SyncChat],
        *,
        messages: Messages,
        response_format: type[Any] | UnionType,
        **parameters: Unpack[TypedChatParameters],
    ) -> ChatCompletionStream: ...
    @overload
    def stream(
        self: ChatCompletions[AsyncChat],
        *,
        messages: Messages,
        response_format: type[Any] | UnionType,
        **parameters: Unpack[TypedChatParameters],
    ) -> AsyncChatCompletionStream: ...
    def stream(self, *, messages: Any, **parameters: Any) -> Any:
        """The chat as OpenAI's stream of events: `with client.chat.completions.stream(...) as stream`.

        Its events are `ChatCompletionStreamEvent`s; `get_final_completion()` is the whole answer. The parameters are
        those of `chat_completion`, whose own `.stream` is a run of the chunks.
        """
        from .chat_stream import chat_stream

        return chat_stream(self.create, messages, parameters)


class Chat(RawResponses, Generic[T]):
    """`client.chat`, which has `completions`."""

    def __init__(self, create: T) -> None:
        self.completions = ChatCompletions(create)
