"""The types of the tasks whose plain call can also stream (`stream=True`), or be a value of a type.

The overloads here are the only ones written by hand: the flags, and a type that the answer is to be of, pick the
type of what comes back. It is for type checkers alone, and no program loads it.
"""

from __future__ import annotations

from collections.abc import Coroutine
from types import UnionType
from typing import Any, Literal, Self, TypeAlias, TypeVar, Unpack, overload

from ..blocking.run import Run
from ..engine.run import AsyncRun
from ..tasks.chat import ChatParameters, Messages, TypedChatParameters
from ..tasks.chat_types import ChatCompletionOutput, ChatCompletionStreamOutput
from ..tasks.message_types import Message, MessageStreamEvent
from ..tasks.messages import MessageParameters, MessageParams, TypedMessageParameters
from ..tasks.model_response import ModelResponse
from ..tasks.parsed_types import (
    ParsedChatCompletion,
    ParsedMessage,
    ParsedModelResponse,
    ParsedText,
    ParsedTextGeneration,
)
from ..tasks.response_events import ResponseStreamEvent
from ..tasks.responses import Input, ResponseParameters, TypedResponseParameters
from ..tasks.text import TextGenerationOutput, TextGenerationStreamOutput, TextParameters, TypedTextParameters
from .bound_task import Asynchronous, AsyncTask, Blocking, SyncTask, Task

Chunks: TypeAlias = AsyncRun[ChatCompletionStreamOutput, ChatCompletionOutput]
SyncChunks: TypeAlias = Run[ChatCompletionStreamOutput, ChatCompletionOutput]
MessageEvents: TypeAlias = AsyncRun[MessageStreamEvent, Message]
SyncMessageEvents: TypeAlias = Run[MessageStreamEvent, Message]
ResponseEvents: TypeAlias = AsyncRun[ResponseStreamEvent, ModelResponse]
SyncResponseEvents: TypeAlias = Run[ResponseStreamEvent, ModelResponse]
Text: TypeAlias = str | TextGenerationOutput
Tokens: TypeAlias = AsyncRun[TextGenerationStreamOutput, Text]
SyncTokens: TypeAlias = Run[TextGenerationStreamOutput, Text]
Pieces: TypeAlias = AsyncRun[str, Text]
SyncPieces: TypeAlias = Run[str, Text]
Yes: TypeAlias = Literal[True]
No: TypeAlias = Literal[False]


T = TypeVar("T")


class AsyncChatCalls(AsyncTask[..., Any, Any]):
    """The calls of `chat_completion` of `AsyncInferenceClient`."""

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
    @overload
    def __call__(
        self,
        messages: Messages,
        *,
        response_format: type[T],
        stream: No = ...,
        **parameters: Unpack[TypedChatParameters],
    ) -> Coroutine[Any, Any, ParsedChatCompletion[T]]: ...
    @overload
    def __call__(
        self,
        messages: Messages,
        *,
        response_format: type[T],
        stream: Yes,
        **parameters: Unpack[TypedChatParameters],
    ) -> Coroutine[Any, Any, AsyncRun[ChatCompletionStreamOutput, ParsedChatCompletion[T]]]: ...
    @overload
    def __call__(
        self,
        messages: Messages,
        *,
        response_format: UnionType,
        stream: No = ...,
        **parameters: Unpack[TypedChatParameters],
    ) -> Coroutine[Any, Any, ParsedChatCompletion[Any]]: ...
    def __call__(self, *args: Any, **parameters: Any) -> Any: ...

    @overload
    def stream(self, messages: Messages, **parameters: Unpack[ChatParameters]) -> Chunks: ...
    @overload
    def stream(
        self, messages: Messages, *, response_format: type[T], **parameters: Unpack[TypedChatParameters]
    ) -> AsyncRun[ChatCompletionStreamOutput, ParsedChatCompletion[T]]: ...
    @overload
    def stream(
        self, messages: Messages, *, response_format: UnionType, **parameters: Unpack[TypedChatParameters]
    ) -> AsyncRun[ChatCompletionStreamOutput, ParsedChatCompletion[Any]]: ...
    def stream(self, *args: Any, **parameters: Any) -> Any: ...


class SyncChatCalls(SyncTask[..., Any, Any]):
    """The calls of `chat_completion` of `InferenceClient`."""

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
    @overload
    def __call__(
        self,
        messages: Messages,
        *,
        response_format: type[T],
        stream: No = ...,
        **parameters: Unpack[TypedChatParameters],
    ) -> ParsedChatCompletion[T]: ...
    @overload
    def __call__(
        self,
        messages: Messages,
        *,
        response_format: type[T],
        stream: Yes,
        **parameters: Unpack[TypedChatParameters],
    ) -> Run[ChatCompletionStreamOutput, ParsedChatCompletion[T]]: ...
    @overload
    def __call__(
        self,
        messages: Messages,
        *,
        response_format: UnionType,
        stream: No = ...,
        **parameters: Unpack[TypedChatParameters],
    ) -> ParsedChatCompletion[Any]: ...
    def __call__(self, *args: Any, **parameters: Any) -> Any: ...

    @overload
    def stream(self, messages: Messages, **parameters: Unpack[ChatParameters]) -> SyncChunks: ...
    @overload
    def stream(
        self, messages: Messages, *, response_format: type[T], **parameters: Unpack[TypedChatParameters]
    ) -> Run[ChatCompletionStreamOutput, ParsedChatCompletion[T]]: ...
    @overload
    def stream(
        self, messages: Messages, *, response_format: UnionType, **parameters: Unpack[TypedChatParameters]
    ) -> Run[ChatCompletionStreamOutput, ParsedChatCompletion[Any]]: ...
    def stream(self, *args: Any, **parameters: Any) -> Any: ...


class AsyncText(AsyncTask[..., Any, Any]):
    """`text_generation` of `AsyncInferenceClient`."""

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
    @overload
    def __call__(
        self,
        prompt: str,
        *,
        grammar: type[T],
        details: No = ...,
        stream: No = ...,
        **parameters: Unpack[TypedTextParameters],
    ) -> Coroutine[Any, Any, ParsedText[T]]: ...
    @overload
    def __call__(
        self,
        prompt: str,
        *,
        grammar: type[T],
        details: Yes,
        stream: No = ...,
        **parameters: Unpack[TypedTextParameters],
    ) -> Coroutine[Any, Any, ParsedTextGeneration[T]]: ...
    @overload
    def __call__(
        self,
        prompt: str,
        *,
        grammar: type[T],
        details: No = ...,
        stream: Yes,
        **parameters: Unpack[TypedTextParameters],
    ) -> Coroutine[Any, Any, AsyncRun[str, ParsedText[T]]]: ...
    def __call__(self, *args: Any, **parameters: Any) -> Any: ...

    @overload
    def stream(self, prompt: str, *, details: bool = ..., **parameters: Unpack[TextParameters]) -> Tokens: ...
    @overload
    def stream(
        self, prompt: str, *, grammar: type[T], details: No = ..., **parameters: Unpack[TypedTextParameters]
    ) -> AsyncRun[TextGenerationStreamOutput, ParsedText[T]]: ...
    @overload
    def stream(
        self, prompt: str, *, grammar: type[T], details: Yes, **parameters: Unpack[TypedTextParameters]
    ) -> AsyncRun[TextGenerationStreamOutput, ParsedTextGeneration[T]]: ...
    def stream(self, *args: Any, **parameters: Any) -> Any: ...


class SyncText(SyncTask[..., Any, Any]):
    """`text_generation` of `InferenceClient`."""

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
    @overload
    def __call__(
        self,
        prompt: str,
        *,
        grammar: type[T],
        details: No = ...,
        stream: No = ...,
        **parameters: Unpack[TypedTextParameters],
    ) -> ParsedText[T]: ...
    @overload
    def __call__(
        self,
        prompt: str,
        *,
        grammar: type[T],
        details: Yes,
        stream: No = ...,
        **parameters: Unpack[TypedTextParameters],
    ) -> ParsedTextGeneration[T]: ...
    @overload
    def __call__(
        self,
        prompt: str,
        *,
        grammar: type[T],
        details: No = ...,
        stream: Yes,
        **parameters: Unpack[TypedTextParameters],
    ) -> Run[str, ParsedText[T]]: ...
    def __call__(self, *args: Any, **parameters: Any) -> Any: ...

    @overload
    def stream(self, prompt: str, *, details: bool = ..., **parameters: Unpack[TextParameters]) -> SyncTokens: ...
    @overload
    def stream(
        self, prompt: str, *, grammar: type[T], details: No = ..., **parameters: Unpack[TypedTextParameters]
    ) -> Run[TextGenerationStreamOutput, ParsedText[T]]: ...
    @overload
    def stream(
        self, prompt: str, *, grammar: type[T], details: Yes, **parameters: Unpack[TypedTextParameters]
    ) -> Run[TextGenerationStreamOutput, ParsedTextGeneration[T]]: ...
    def stream(self, *args: Any, **parameters: Any) -> Any: ...


class TextTask(Task[..., Any, Any]):
    """The row of `text_generation`."""

    @overload
    def __get__(self, client: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, client: Asynchronous, owner: type[Any]) -> AsyncText: ...
    @overload
    def __get__(self, client: Blocking, owner: type[Any]) -> SyncText: ...
    def __get__(self, client: Any, owner: type[Any]) -> Any: ...


class AsyncCreateResponse(AsyncTask[..., Any, Any]):
    """`create_response` of `AsyncInferenceClient`."""

    @overload
    def __call__(
        self, input: Input | None = ..., *, stream: No = ..., **parameters: Unpack[ResponseParameters]
    ) -> Coroutine[Any, Any, ModelResponse]: ...
    @overload
    def __call__(
        self, input: Input | None = ..., *, stream: Yes, **parameters: Unpack[ResponseParameters]
    ) -> Coroutine[Any, Any, ResponseEvents]: ...
    @overload
    def __call__(
        self, input: Input | None = ..., *, stream: bool, **parameters: Unpack[ResponseParameters]
    ) -> Coroutine[Any, Any, ModelResponse | ResponseEvents]: ...
    @overload
    def __call__(
        self,
        input: Input | None = ...,
        *,
        text_format: type[T],
        stream: No = ...,
        **parameters: Unpack[TypedResponseParameters],
    ) -> Coroutine[Any, Any, ParsedModelResponse[T]]: ...
    @overload
    def __call__(
        self,
        input: Input | None = ...,
        *,
        text_format: UnionType,
        stream: No = ...,
        **parameters: Unpack[TypedResponseParameters],
    ) -> Coroutine[Any, Any, ParsedModelResponse[Any]]: ...
    @overload
    def __call__(
        self,
        input: Input | None = ...,
        *,
        text_format: type[T],
        stream: Yes,
        **parameters: Unpack[TypedResponseParameters],
    ) -> Coroutine[Any, Any, AsyncRun[ResponseStreamEvent, ParsedModelResponse[T]]]: ...
    def __call__(self, *args: Any, **parameters: Any) -> Any: ...

    @overload
    def stream(
        self,
        input: Input | None = ...,
        **parameters: Unpack[ResponseParameters],
    ) -> ResponseEvents: ...
    @overload
    def stream(
        self,
        input: Input | None = ...,
        *,
        text_format: type[T],
        **parameters: Unpack[TypedResponseParameters],
    ) -> AsyncRun[ResponseStreamEvent, ParsedModelResponse[T]]: ...
    @overload
    def stream(
        self,
        input: Input | None = ...,
        *,
        text_format: UnionType,
        **parameters: Unpack[TypedResponseParameters],
    ) -> AsyncRun[ResponseStreamEvent, ParsedModelResponse[Any]]: ...
    def stream(self, *args: Any, **parameters: Any) -> Any: ...


class SyncCreateResponse(SyncTask[..., Any, Any]):
    """`create_response` of `InferenceClient`."""

    @overload
    def __call__(
        self, input: Input | None = ..., *, stream: No = ..., **parameters: Unpack[ResponseParameters]
    ) -> ModelResponse: ...
    @overload
    def __call__(
        self, input: Input | None = ..., *, stream: Yes, **parameters: Unpack[ResponseParameters]
    ) -> SyncResponseEvents: ...
    @overload
    def __call__(
        self, input: Input | None = ..., *, stream: bool, **parameters: Unpack[ResponseParameters]
    ) -> ModelResponse | SyncResponseEvents: ...
    @overload
    def __call__(
        self,
        input: Input | None = ...,
        *,
        text_format: type[T],
        stream: No = ...,
        **parameters: Unpack[TypedResponseParameters],
    ) -> ParsedModelResponse[T]: ...
    @overload
    def __call__(
        self,
        input: Input | None = ...,
        *,
        text_format: UnionType,
        stream: No = ...,
        **parameters: Unpack[TypedResponseParameters],
    ) -> ParsedModelResponse[Any]: ...
    @overload
    def __call__(
        self,
        input: Input | None = ...,
        *,
        text_format: type[T],
        stream: Yes,
        **parameters: Unpack[TypedResponseParameters],
    ) -> Run[ResponseStreamEvent, ParsedModelResponse[T]]: ...
    def __call__(self, *args: Any, **parameters: Any) -> Any: ...

    @overload
    def stream(
        self,
        input: Input | None = ...,
        **parameters: Unpack[ResponseParameters],
    ) -> SyncResponseEvents: ...
    @overload
    def stream(
        self,
        input: Input | None = ...,
        *,
        text_format: type[T],
        **parameters: Unpack[TypedResponseParameters],
    ) -> Run[ResponseStreamEvent, ParsedModelResponse[T]]: ...
    @overload
    def stream(
        self,
        input: Input | None = ...,
        *,
        text_format: UnionType,
        **parameters: Unpack[TypedResponseParameters],
    ) -> Run[ResponseStreamEvent, ParsedModelResponse[Any]]: ...
    def stream(self, *args: Any, **parameters: Any) -> Any: ...


class ResponseTask(Task[..., Any, Any]):
    """The row of `create_response`."""

    @overload
    def __get__(self, client: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, client: Asynchronous, owner: type[Any]) -> AsyncCreateResponse: ...
    @overload
    def __get__(self, client: Blocking, owner: type[Any]) -> SyncCreateResponse: ...
    def __get__(self, client: Any, owner: type[Any]) -> Any: ...


class AsyncCreateMessage(AsyncTask[..., Any, Any]):
    """`create_message` of `AsyncInferenceClient`."""

    @overload
    def __call__(
        self, messages: MessageParams, *, max_tokens: int, stream: No = ..., **parameters: Unpack[MessageParameters]
    ) -> Coroutine[Any, Any, Message]: ...
    @overload
    def __call__(
        self, messages: MessageParams, *, max_tokens: int, stream: Yes, **parameters: Unpack[MessageParameters]
    ) -> Coroutine[Any, Any, MessageEvents]: ...
    @overload
    def __call__(
        self, messages: MessageParams, *, max_tokens: int, stream: bool, **parameters: Unpack[MessageParameters]
    ) -> Coroutine[Any, Any, Message | MessageEvents]: ...
    @overload
    def __call__(
        self,
        messages: MessageParams,
        *,
        max_tokens: int,
        output_format: type[T],
        stream: No = ...,
        **parameters: Unpack[TypedMessageParameters],
    ) -> Coroutine[Any, Any, ParsedMessage[T]]: ...
    @overload
    def __call__(
        self,
        messages: MessageParams,
        *,
        max_tokens: int,
        output_format: UnionType,
        stream: No = ...,
        **parameters: Unpack[TypedMessageParameters],
    ) -> Coroutine[Any, Any, ParsedMessage[Any]]: ...
    @overload
    def __call__(
        self,
        messages: MessageParams,
        *,
        max_tokens: int,
        output_format: type[T],
        stream: Yes,
        **parameters: Unpack[TypedMessageParameters],
    ) -> Coroutine[Any, Any, AsyncRun[MessageStreamEvent, ParsedMessage[T]]]: ...
    def __call__(self, *args: Any, **parameters: Any) -> Any: ...

    @overload
    def stream(
        self, messages: MessageParams, *, max_tokens: int, **parameters: Unpack[MessageParameters]
    ) -> MessageEvents: ...
    @overload
    def stream(
        self,
        messages: MessageParams,
        *,
        max_tokens: int,
        output_format: type[T],
        **parameters: Unpack[TypedMessageParameters],
    ) -> AsyncRun[MessageStreamEvent, ParsedMessage[T]]: ...
    @overload
    def stream(
        self,
        messages: MessageParams,
        *,
        max_tokens: int,
        output_format: UnionType,
        **parameters: Unpack[TypedMessageParameters],
    ) -> AsyncRun[MessageStreamEvent, ParsedMessage[Any]]: ...
    def stream(self, *args: Any, **parameters: Any) -> Any: ...


class SyncCreateMessage(SyncTask[..., Any, Any]):
    """`create_message` of `InferenceClient`."""

    @overload
    def __call__(
        self, messages: MessageParams, *, max_tokens: int, stream: No = ..., **parameters: Unpack[MessageParameters]
    ) -> Message: ...
    @overload
    def __call__(
        self, messages: MessageParams, *, max_tokens: int, stream: Yes, **parameters: Unpack[MessageParameters]
    ) -> SyncMessageEvents: ...
    @overload
    def __call__(
        self, messages: MessageParams, *, max_tokens: int, stream: bool, **parameters: Unpack[MessageParameters]
    ) -> Message | SyncMessageEvents: ...
    @overload
    def __call__(
        self,
        messages: MessageParams,
        *,
        max_tokens: int,
        output_format: type[T],
        stream: No = ...,
        **parameters: Unpack[TypedMessageParameters],
    ) -> ParsedMessage[T]: ...
    @overload
    def __call__(
        self,
        messages: MessageParams,
        *,
        max_tokens: int,
        output_format: UnionType,
        stream: No = ...,
        **parameters: Unpack[TypedMessageParameters],
    ) -> ParsedMessage[Any]: ...
    @overload
    def __call__(
        self,
        messages: MessageParams,
        *,
        max_tokens: int,
        output_format: type[T],
        stream: Yes,
        **parameters: Unpack[TypedMessageParameters],
    ) -> Run[MessageStreamEvent, ParsedMessage[T]]: ...
    def __call__(self, *args: Any, **parameters: Any) -> Any: ...

    @overload
    def stream(
        self, messages: MessageParams, *, max_tokens: int, **parameters: Unpack[MessageParameters]
    ) -> SyncMessageEvents: ...
    @overload
    def stream(
        self,
        messages: MessageParams,
        *,
        max_tokens: int,
        output_format: type[T],
        **parameters: Unpack[TypedMessageParameters],
    ) -> Run[MessageStreamEvent, ParsedMessage[T]]: ...
    @overload
    def stream(
        self,
        messages: MessageParams,
        *,
        max_tokens: int,
        output_format: UnionType,
        **parameters: Unpack[TypedMessageParameters],
    ) -> Run[MessageStreamEvent, ParsedMessage[Any]]: ...
    def stream(self, *args: Any, **parameters: Any) -> Any: ...


class MessageTask(Task[..., Any, Any]):
    """The row of `create_message`."""

    @overload
    def __get__(self, client: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, client: Asynchronous, owner: type[Any]) -> AsyncCreateMessage: ...
    @overload
    def __get__(self, client: Blocking, owner: type[Any]) -> SyncCreateMessage: ...
    def __get__(self, client: Any, owner: type[Any]) -> Any: ...
