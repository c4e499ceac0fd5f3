"""What a chat answers with, whole and in pieces, under the names of Hugging Face's types.

Decoding is lenient, because servers are: anything but `choices` may be missing, null or odd (`json_decoder` says
how), and unknown fields are ignored. `choices` must be there, so that an error object is never taken for an answer.
Nothing here folds a stream.

Field meanings: https://platform.openai.com/docs/api-reference/chat/object and .../chat/streaming.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .lenient import Identifier, Kept, Listed, Needed, Nullable, Parts, Unneeded, text_of, thoughts_of
from .output import Output


class ChatCompletionOutputTopLogprob(Output):
    """A token that the model could have taken; `bytes` is its UTF-8, `logprob` a natural logarithm."""

    token: Nullable[str] = ""
    logprob: float | None = None
    bytes: list[int] | None = None

    def __post_init__(self) -> None:
        if self.token is None:
            self.token = ""


class ChatCompletionOutputLogprob(ChatCompletionOutputTopLogprob):
    """A token of the answer, and those that were likeliest in its place."""

    top_logprobs: list[ChatCompletionOutputTopLogprob] | None = None


class ChatCompletionOutputLogprobs(Output):
    """The log probabilities of a choice, token by token."""

    content: list[ChatCompletionOutputLogprob] | None = None
    refusal: list[ChatCompletionOutputLogprob] | None = None


class ChatCompletionOutputFunctionDefinition(Output):
    """The function that the model wants called.

    `arguments` is what the server sent: JSON text from nearly all (a model's text: it may not parse), an
    object from older text-generation servers.
    """

    name: Nullable[str] = ""
    arguments: Any = ""
    description: str | None = None

    def __post_init__(self) -> None:
        if self.name is None:
            self.name = ""
        if self.arguments is None:
            self.arguments = ""


class ChatCompletionOutputToolCall(Output):
    """One call of a tool; `id` goes into the `tool_call_id` of the message that answers it."""

    id: Identifier = ""
    type: Nullable[str] = "function"
    function: Nullable[ChatCompletionOutputFunctionDefinition] = msgspec.field(
        default_factory=ChatCompletionOutputFunctionDefinition
    )

    def __post_init__(self) -> None:
        self.id = "" if self.id is None else str(self.id)
        if self.type is None:
            self.type = "function"
        if self.function is None:
            self.function = ChatCompletionOutputFunctionDefinition()


class ChatCompletionOutputMessage(Output):
    """The model's message.

    `content` is None where the model only called tools. `reasoning` is what it thought first, whether the
    server spells it `reasoning` or `reasoning_content` (vLLM, DeepSeek); the latter is None where it was not
    sent.
    """

    role: Nullable[str] = "assistant"
    content: Parts = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    tool_call_id: str | None = None
    tool_calls: list[ChatCompletionOutputToolCall] | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        if self.role is None:
            self.role = "assistant"
        content = self.content
        if content is not None and content.__class__ is not str:
            self.content, self.reasoning = text_of(content), self.reasoning or thoughts_of(content)
        if not self.reasoning and self.reasoning_content:
            self.reasoning = self.reasoning_content


class ChatCompletionOutputComplete(Output):
    """One answer of the `n` that were asked for.

    `finish_reason`: "stop", "length", "tool_calls", "content_filter", or a word of the server's own, such as
    "eos_token".
    """

    index: Nullable[int] = 0
    message: Needed[Nullable[ChatCompletionOutputMessage]] = msgspec.field(default_factory=ChatCompletionOutputMessage)
    finish_reason: Kept[str | None] = None
    logprobs: ChatCompletionOutputLogprobs | None = None

    def __post_init__(self) -> None:
        if self.index is None:
            self.index = 0
        if self.message is None:
            self.message = ChatCompletionOutputMessage()


class ChatCompletionOutputUsage(Output):
    """What the call cost, in tokens; None where the server did not say."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: dict[str, Any] | None = None
    completion_tokens_details: dict[str, Any] | None = None


class ChatCompletionOutput(Output):
    """A chat's answer. `created` is in seconds since 1970; a few servers send a fraction."""

    choices: Nullable[list[ChatCompletionOutputComplete]]
    id: Nullable[str] = ""
    created: int | float | None = None
    model: Nullable[str] = ""
    object: str | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    usage: ChatCompletionOutputUsage | None = None

    def __post_init__(self) -> None:
        if self.choices is None:
            self.choices = []
        if self.id is None:
            self.id = ""
        if self.model is None:
            self.model = ""


ChatCompletionStreamOutputTopLogprob = ChatCompletionOutputTopLogprob
ChatCompletionStreamOutputLogprob = ChatCompletionOutputLogprob
ChatCompletionStreamOutputLogprobs = ChatCompletionOutputLogprobs
ChatCompletionStreamOutputUsage = ChatCompletionOutputUsage


class ChatCompletionStreamOutputFunction(Output):
    """A piece of a function's call: its name once (or again and again), its arguments bit by bit."""

    name: str | None = None
    arguments: Any = None


class ChatCompletionStreamOutputDeltaToolCall(Output):
    """A piece of a tool call; `index` says which, where the server numbers them."""

    index: int | None = None
    id: Identifier = ""
    type: str | None = None
    function: Nullable[ChatCompletionStreamOutputFunction] = msgspec.field(
        default_factory=ChatCompletionStreamOutputFunction
    )

    def __post_init__(self) -> None:
        if self.function is None:
            self.function = ChatCompletionStreamOutputFunction()
        self.id = "" if self.id is None else str(self.id)


class ChatCompletionStreamOutputDelta(Output):
    """What this chunk adds to a choice's message. `reasoning` as in `ChatCompletionOutputMessage`."""

    role: str | None = None
    content: Parts = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    tool_call_id: str | None = None
    tool_calls: Listed[ChatCompletionStreamOutputDeltaToolCall] | None = None


class ChatCompletionStreamOutputChoice(Output):
    """One choice's part of a chunk; the last one has the `finish_reason`."""

    delta: Needed[Nullable[ChatCompletionStreamOutputDelta]] = msgspec.field(
        default_factory=ChatCompletionStreamOutputDelta
    )
    index: Nullable[int] = 0
    finish_reason: Kept[str | None] = None
    logprobs: ChatCompletionStreamOutputLogprobs | None = None

    def __post_init__(self) -> None:
        # Also for the delta: one call of Python a chunk, not two.
        delta = self.delta
        if delta is None:
            self.delta = delta = ChatCompletionStreamOutputDelta()
        content = delta.content
        if content is not None and content.__class__ is not str:
            delta.content, delta.reasoning = text_of(content), delta.reasoning or thoughts_of(content)
        if delta.reasoning_content and not delta.reasoning:
            delta.reasoning = delta.reasoning_content
        if delta.tool_calls and not isinstance(delta.tool_calls, list):
            delta.tool_calls = [delta.tool_calls]  # text-generation-inference before 3
        if self.index is None:
            self.index = 0


class ChatCompletionStreamOutput(Output):
    """One chunk of a streamed answer. `choices` is empty in a chunk that only carries `usage`."""

    choices: list[ChatCompletionStreamOutputChoice]
    id: Unneeded[str] = ""
    created: int | float | None = None
    model: Unneeded[str] = ""
    object: str | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    usage: ChatCompletionStreamOutputUsage | None = None
