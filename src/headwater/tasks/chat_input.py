"""What a chat is asked with, for those who prefer types to dicts, under the names of Hugging Face's types.

A plain dict of the same shape does everywhere. Nothing here is checked beyond its types: the server knows
better.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec


class Input(msgspec.Struct, omit_defaults=True):
    """A part of a request; fields that were not set are not sent."""


class ChatCompletionInputURL(Input):
    """An image's address: https, or a data URL (`data:image/png;base64,...`)."""

    url: str


ChatCompletionInputMessageChunkType: TypeAlias = Literal["text", "image_url"]


class ChatCompletionInputMessageChunk(Input):
    """A part of a message's content: text, or an image."""

    type: ChatCompletionInputMessageChunkType
    image_url: ChatCompletionInputURL | None = None
    text: str | None = None


class ChatCompletionInputFunctionDefinition(Input):
    """A function; `parameters` is a JSON schema. In a call that is sent back, `arguments` is JSON text."""

    name: str
    parameters: Any = None
    description: str | None = None
    arguments: Any = None


class ChatCompletionInputToolCall(Input):
    """A tool call of an earlier answer, sent back."""

    function: ChatCompletionInputFunctionDefinition
    id: str
    type: str


class ChatCompletionInputMessage(Input):
    """A message: `role` is "system", "user", "assistant" or "tool" (this one with its `tool_call_id`)."""

    role: str
    content: list[ChatCompletionInputMessageChunk] | str | None = None
    name: str | None = None
    tool_calls: list[ChatCompletionInputToolCall] | None = None
    tool_call_id: str | None = None


class ChatCompletionInputJSONSchema(Input):
    """A JSON schema that the answer must follow."""

    name: str
    description: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class ChatCompletionInputResponseFormatText(Input):
    """Any text."""

    type: Literal["text"]


class ChatCompletionInputResponseFormatJSONSchema(Input):
    """JSON that follows a schema."""

    type: Literal["json_schema"]
    json_schema: ChatCompletionInputJSONSchema


class ChatCompletionInputResponseFormatJSONObject(Input):
    """Any JSON object."""

    type: Literal["json_object"]


ChatCompletionInputGrammarType: TypeAlias = (
    ChatCompletionInputResponseFormatText
    | ChatCompletionInputResponseFormatJSONSchema
    | ChatCompletionInputResponseFormatJSONObject
)


class ChatCompletionInputStreamOptions(Input):
    """`include_usage`: end the stream with a chunk that says how many tokens it took."""

    include_usage: bool | None = None


class ChatCompletionInputFunctionName(Input):
    """The name of a function."""

    name: str


class ChatCompletionInputToolChoiceClass(Input):
    """The one function that the model must call."""

    function: ChatCompletionInputFunctionName
    type: str | None = None


ChatCompletionInputToolChoiceEnum: TypeAlias = Literal["auto", "none", "required"]


class ChatCompletionInputTool(Input):
    """A tool that the model may call; `type` is "function"."""

    function: ChatCompletionInputFunctionDefinition
    type: str
