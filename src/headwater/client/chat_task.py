"""The chat as a method of both clients, which can also be asked for a list's elements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from .bound_task import AsyncTask, SyncTask, Task

if TYPE_CHECKING:
    from typing import Unpack

    from ..tasks.chat import Messages, TypedChatParameters
    from .bound_task import Asynchronous, Blocking
    from .items import AsyncItems, SyncItems
    from .overloads import AsyncChatCalls, SyncChatCalls
else:  # what else there is to say of their calls is for type checkers
    AsyncChatCalls, SyncChatCalls = AsyncTask, SyncTask

T = TypeVar("T")


class AsyncChat(AsyncChatCalls):
    """`chat_completion` of `AsyncInferenceClient`."""

    def items(self, messages: Messages, *, of: type[T], **parameters: Unpack[TypedChatParameters]) -> AsyncItems[T]:
        """Ask for a list of this type, and have each of its elements as soon as it is whole.

        `async with client.chat_completion.items(messages, of=Row) as rows: async for row in rows`. The
        parameters are those of the chat. An element that is none of the type is an `InvalidAnswerError`.
        """
        from .items import AsyncItems, check_items

        check_items(parameters)
        return AsyncItems(self.stream(messages, response_format=list[of], **parameters), of)  # type: ignore[valid-type]


class SyncChat(SyncChatCalls):
    """`chat_completion` of `InferenceClient`."""

    def items(self, messages: Messages, *, of: type[T], **parameters: Unpack[TypedChatParameters]) -> SyncItems[T]:
        """Ask for a list of this type, and have each of its elements as soon as it is whole.

        `with client.chat_completion.items(messages, of=Row) as rows: for row in rows`. The
        parameters are those of the chat. An element that is none of the type is an `InvalidAnswerError`.
        """
        from .items import SyncItems, check_items

        check_items(parameters)
        return SyncItems(self.stream(messages, response_format=list[of], **parameters), of)  # type: ignore[valid-type]


class ChatTask(Task[..., Any, Any]):
    """The row of `chat_completion`."""

    bound_types = (AsyncChat, SyncChat)

    if TYPE_CHECKING:

        @overload
        def __get__(self, client: None, owner: type[Any]) -> Self: ...
        @overload
        def __get__(self, client: Asynchronous, owner: type[Any]) -> AsyncChat: ...
        @overload
        def __get__(self, client: Blocking, owner: type[Any]) -> SyncChat: ...
        def __get__(self, client: Any, owner: type[Any]) -> Any: ...
