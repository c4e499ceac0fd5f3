"""The types of the two tasks whose plain call can also stream (`stream=True`).

The overloads here are the only ones written by hand: the flags pick the type of what comes back. No call is prepared
or performed here.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, Unpack, overload

from .bound_task import Asynchronous, AsyncTask, Blocking, SyncTask, Task

if TYPE_CHECKING:
    from ..blocking.run import Run
    from ..engine.run import AsyncRun
    from ..tasks.chat import ChatParameters, Messages
    from ..tasks.chat_types import ChatCompletionOutput, ChatCompletionStreamOutput
    from ..tasks.text import TextGenerationOutput, TextGenerationStreamOutput, TextParameters

    Chunks: TypeAlias = AsyncRun[ChatCompletionStreamOutput, ChatCompletionOutput]
    SyncChunks: TypeAlias = Run[ChatCompletionStreamOutput, ChatCompletionOutput]
    Text: TypeAlias = str | TextGenerationOutput
    Tokens: TypeAlias = AsyncRun[TextGenerationStreamOutput, Text]
    SyncTokens: TypeAlias = Run[TextGenerationStreamOutput, Text]
    Pieces: TypeAlias = AsyncRun[str, Text]
    SyncPieces: TypeAlias = Run[str, Text]
    Yes: TypeAlias = Literal[True]
    No: TypeAlias = Literal[False]


class AsyncChat(AsyncTask[..., Any, Any]):
    """`chat_completion` of `AsyncInferenceClient`."""

    if TYPE_CHECKING:

        @overload
        def __call__(
            self, messages: Messages, *, stream: No = ..., **parameters: Unpack[ChatParameters]
        ) -> Coroutine[Any, Any, ChatCompletionOutput]: ...
        @overload
        def __call__(
            self, messages: Messages, *, stream: Yes, **parameters: Unpack[ChatParameters]
        ) -> Coroutine[Any, Any, Chunks]: ...
        @overload
        def __call__(
            self, messages: Messages, *, stream: bool, **parameters: Unpack[ChatParameters]
        ) -> Coroutine[Any, Any, ChatCompletionOutput | Chunks]: ...
        def __call__(self, *args: Any, **parameters: Any) -> Any: ...

        def stream(self, messages: Messages, **parameters: Unpack[ChatParameters]) -> Chunks: ...


class SyncChat(SyncTask[..., Any, Any]):
    """`chat_completion` of `InferenceClient`."""

    if TYPE_CHECKING:

        @overload
        def __call__(
            self, messages: Messages, *, stream: No = ..., **parameters: Unpack[ChatParameters]
        ) -> ChatCompletionOutput: ...
        @overload
        def __call__(self, messages: Messages, *, stream: Yes, **parameters: Unpack[ChatParameters]) -> SyncChunks: ...
        @overload
        def __call__(
            self, messages: Messages, *, stream: bool, **parameters: Unpack[ChatParameters]
        ) -> ChatCompletionOutput | SyncChunks: ...
        def __call__(self, *args: Any, **parameters: Any) -> Any: ...

        def stream(self, messages: Messages, **parameters: Unpack[ChatParameters]) -> SyncChunks: ...


class AsyncText(AsyncTask[..., Any, Any]):
    """`text_generation` of `AsyncInferenceClient`."""

    if TYPE_CHECKING:

        @overload
        def __call__(
            self, prompt: str, *, details: No = ..., stream: No = ..., **parameters: Unpack[TextParameters]
        ) -> Coroutine[Any, Any, str]: ...
        @overload
        def __call__(
            self, prompt: str, *, details: Yes, stream: No = ..., **parameters: Unpack[TextParameters]
        ) -> Coroutine[Any, Any, TextGenerationOutput]: ...
        @overload
        def __call__(
            self, prompt: str, *, details: No = ..., stream: Yes, **parameters: Unpack[TextParameters]
        ) -> Coroutine[Any, Any, Pieces]: ...
        @overload
        def __call__(
            self, prompt: str, *, details: Yes, stream: Yes, **parameters: Unpack[TextParameters]
        ) -> Coroutine[Any, Any, Tokens]: ...
        @overload
        def __call__(
            self, prompt: str, *, details: bool, stream: bool, **parameters: Unpack[TextParameters]
        ) -> Coroutine[Any, Any, Text | Tokens | Pieces]: ...
        def __call__(self, *args: Any, **parameters: Any) -> Any: ...

        def stream(self, prompt: str, *, details: bool = ..., **parameters: Unpack[TextParameters]) -> Tokens: ...


class SyncText(SyncTask[..., Any, Any]):
    """`text_generation` of `InferenceClient`."""

    if TYPE_CHECKING:

        @overload
        def __call__(
            self, prompt: str, *, details: No = ..., stream: No = ..., **parameters: Unpack[TextParameters]
        ) -> str: ...
        @overload
        def __call__(
            self, prompt: str, *, details: Yes, stream: No = ..., **parameters: Unpack[TextParameters]
        ) -> TextGenerationOutput: ...
        @overload
        def __call__(
            self, prompt: str, *, details: No = ..., stream: Yes, **parameters: Unpack[TextParameters]
        ) -> SyncPieces: ...
        @overload
        def __call__(
            self, prompt: str, *, details: Yes, stream: Yes, **parameters: Unpack[TextParameters]
        ) -> SyncTokens: ...
        @overload
        def __call__(
            self, prompt: str, *, details: bool, stream: bool, **parameters: Unpack[TextParameters]
        ) -> Text | SyncTokens | SyncPieces: ...
        def __call__(self, *args: Any, **parameters: Any) -> Any: ...

        def stream(self, prompt: str, *, details: bool = ..., **parameters: Unpack[TextParameters]) -> SyncTokens: ...


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


class TextTask(Task[..., Any, Any]):
    """The row of `text_generation`."""

    bound_types = (AsyncText, SyncText)

    if TYPE_CHECKING:

        @overload
        def __get__(self, client: None, owner: type[Any]) -> Self: ...
        @overload
        def __get__(self, client: Asynchronous, owner: type[Any]) -> AsyncText: ...
        @overload
        def __get__(self, client: Blocking, owner: type[Any]) -> SyncText: ...
        def __get__(self, client: Any, owner: type[Any]) -> Any: ...
