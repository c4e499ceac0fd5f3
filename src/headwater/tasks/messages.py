"""Anthropic's Messages as tasks: their parameters, and what is wrong with a conversation by its shape.

https://platform.claude.com/docs/en/api/messages; what they answer with is in `message_types`. Anthropic speaks it, and
so do llama.cpp, vLLM, Ollama, LM Studio, and routes of DeepSeek's, Moonshot's, OpenRouter's and others.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, Unpack

import msgspec
from msgspec import Meta

from ..protocol.json_value import is_array, is_object
from .declaration import CallOptions, task
from .message_types import Message, MessageStreamEvent, MessageTokensCount
from .output import OpenOutput
from .typed_options import TypedAnswerOptions, check_answer_type

_OBJECT = {"type": "object"}
_OBJECTS = {"type": "array", "items": _OBJECT}

if TYPE_CHECKING:
    Object: TypeAlias = Mapping[str, object]
    MessageParams: TypeAlias = Sequence[Object | Message]
    MessageObject: TypeAlias = Object
    MessageObjects: TypeAlias = Sequence[Object]
    SystemPrompt: TypeAlias = str | Sequence[Object]
else:  # A type that takes dicts and Structs alike is beyond msgspec: `_check` looks at these.
    MessageParams = Annotated[Any, Meta(extra_json_schema={**_OBJECTS, "minItems": 1})]
    MessageObjects = Annotated[Any, Meta(extra_json_schema=_OBJECTS)]
    MessageObject = Annotated[Any, Meta(extra_json_schema=_OBJECT)]
    SystemPrompt = Annotated[Any, Meta(extra_json_schema={"type": ["string", "array"]})]

_EXAMPLE = "[{'role': 'user', 'content': '...'}]"
_OBJECT_NAMES = frozenset({"cache_control", "context_management", "metadata", "output_config", "thinking"})


def _check(given: Mapping[str, Any]) -> str | None:
    messages = given["messages"]
    if not isinstance(messages, list | tuple):
        return f"messages must be a list like {_EXAMPLE}, not {type(messages).__name__}"
    if not messages:
        return f"messages is empty; it must have at least one, like {_EXAMPLE}"
    for index, message in enumerate(messages):
        if wrong := _check_message(message):
            return f"messages[{index}]{wrong}"
    wrong = check_answer_type(given, "output_format", "a format like {'type': 'json_schema', ...}")
    return wrong or _check_others(given)


def _check_message(message: object) -> str | None:
    if not is_object(message):
        return f" must be a dict like {_EXAMPLE[1:-1]} or a Message, not {type(message).__name__}"
    role, content = member_of(message, "role"), member_of(message, "content")
    role = role.value if isinstance(role, Enum) else role
    if not isinstance(role, str) or not role:
        return " has no 'role'; it is 'user' or 'assistant'"
    if isinstance(content, str) or is_array(content):
        return None
    return f".content of type {type(content).__name__} is neither text nor a list of blocks"


def member_of(message: object, name: str) -> object:
    """A member of a message, whatever it is in Python."""
    return message.get(name) if isinstance(message, Mapping) else getattr(message, name, None)


def _check_others(given: Mapping[str, Any]) -> str | None:
    system = given.get("system", "")
    if not isinstance(system, str | list | tuple):
        return f"system must be a text or a list of blocks, not {type(system).__name__}"
    for name in _OBJECT_NAMES & given.keys():
        if not is_object(given[name]):
            return f"{name} must be a dict, not {type(given[name]).__name__}"
    if "tool_choice" in given and not is_object(given["tool_choice"]):
        return "tool_choice must be a dict: {'type': 'auto'}, 'any', 'none', or {'type': 'tool', 'name': '...'}"
    for name in ("tools", "mcp_servers"):
        found = given.get(name, ())
        if not isinstance(found, list | tuple) or not all(map(is_object, found)):
            return f"{name} must be a list of dicts"
    return None


def wire_conversation(messages: Sequence[Any]) -> list[Any]:
    """The messages as they are sent: a `Message` as the message of the assistant's that it is, a block of one as it
    came, with its signature."""
    return [_wire_message(message) for message in messages]


def _wire_message(message: Any) -> Any:
    if isinstance(message, Message):
        return {"role": message.role, "content": [block.to_dict() for block in message.content]}
    if not isinstance(message, dict):
        return message
    content = message.get("content")
    if not isinstance(content, list | tuple) or not any(isinstance(part, msgspec.Struct) for part in content):
        return message
    return {**message, "content": [_wire_block(part) for part in content]}


def _wire_block(part: Any) -> Any:
    return part.to_dict() if isinstance(part, OpenOutput) else part


class PromptParameters(CallOptions, total=False):
    """What a message is made of, beside the messages, and what its tokens are counted of."""

    model: str | None
    system: SystemPrompt | None
    tools: MessageObjects | None
    tool_choice: MessageObject | None
    thinking: MessageObject | None
    output_config: MessageObject | None
    cache_control: MessageObject | None
    context_management: MessageObject | None
    mcp_servers: MessageObjects | None
    betas: list[str] | None
    anthropic_version: str | None


class UntypedMessageParameters(PromptParameters, total=False):
    """The parameters of `create_message` but `max_tokens`, the messages, `stream`, `output_format` and what goes with a
    type."""

    temperature: float | None
    top_k: int | None
    top_p: float | None
    stop_sequences: list[str] | None
    metadata: MessageObject | None
    service_tier: str | None
    container: Any
    inference_geo: str | None
    speed: str | None


class TypedMessageParameters(UntypedMessageParameters, TypedAnswerOptions, total=False):
    """The same, and what may stand beside an `output_format` that is a type."""


class MessageParameters(UntypedMessageParameters, TypedAnswerOptions, total=False):
    """The parameters of `create_message` but `max_tokens`, the messages and `stream`."""

    output_format: MessageObject | None


@task("messages", events=MessageStreamEvent, check=_check)
def create_message(
    messages: MessageParams, *, max_tokens: int, stream: bool = False, **parameters: Unpack[MessageParameters]
) -> Message:
    """Answer a conversation, in Anthropic's dialect.

    `client.messages.create(...)` is the same. What is not set is not sent, so that the server's own defaults hold; not
    every server knows every parameter. The meanings are Anthropic's:
    https://platform.claude.com/docs/en/api/messages/create

    Args:
        messages: The conversation, oldest first: dicts with "role" ("user", "assistant") and "content", which is text
            or a list of blocks. An answer may be put in as it is, and so may its `content`: they go back unchanged,
            with the thinking and its signatures.
        max_tokens: The most tokens of the answer, thinking included.
        stream: Hand the answer over in events of type `MessageStreamEvent`, as they come.
        model: Whom to ask; the client's model where it is not given.
        system: What the model is to be or do: a text, or blocks of it.
        tools: What the model may call: [{"name": ..., "description": ..., "input_schema": JSON schema}], and tools of
            the server's.
        tool_choice: {"type": "auto"}, "any", "none", or {"type": "tool", "name": ...}; with
            "disable_parallel_tool_use": True one call at most.
        thinking: Whether to think first: {"type": "adaptive"}, {"type": "enabled", "budget_tokens": ...}, {"type":
            "disabled"}.
        output_config: How much effort to make, {"effort": "low"}, and the form of the answer, {"format": {"type":
            "json_schema", "schema": ...}}.
        cache_control: {"type": "ephemeral"}: that the conversation so far is to be kept for the next call.
        context_management: What of a long conversation may be left out, as a beta has it.
        mcp_servers: MCP servers that the provider asks, as a beta has them.
        betas: Names of betas, which go as `anthropic-beta`.
        anthropic_version: The version of the API, which goes as `anthropic-version` ("2023-06-01").
        temperature: From 0 to 1.
        top_k: Only so many of the likeliest tokens.
        top_p: Only the likeliest tokens that together have this probability, 0 to 1.
        stop_sequences: Texts at which to stop. The answer does not contain them.
        metadata: {"user_id": ...}: your own name for whoever asks, against abuse.
        service_tier: "auto" or "standard_only".
        container: The container of an earlier answer, for tools that run code.
        inference_geo: Where the model is to run.
        speed: "standard" or "fast", where a model has both.
        on_invalid: What follows an answer that is no value of the type in `output_format`: "raise" the error,
            "repair" the JSON (needs the extra `repair`), or "ask again", with what is wrong with it.
        max_tries: With "ask again": the most answers in all; 3 where it is not given.
        token_budget: With "ask again": the most tokens that all answers with their prompts may come to.
        output_format: The type that the answer is to be of: a Struct, a dataclass, a TypedDict, a pydantic model,
            list[...] and so on; the message has its value as `parsed_output`. Or the `format` in `output_config`.
        extra_body: More fields for the request's root, over those above.

    Returns:
        The message: its text is `text`, its blocks are `content`.

    Raises:
        IncompleteStreamError: A stream stopped before its end; `partial` is the message so far.
        DecodeError: The server's answer is no message.
    """
    raise NotImplementedError


@task("count-tokens", events=MessageTokensCount, check=_check)
def count_message_tokens(messages: MessageParams, **parameters: Unpack[PromptParameters]) -> MessageTokensCount:
    """Count the tokens that a message's request would have.

    `client.messages.count_tokens(...)` is the same: https://platform.claude.com/docs/en/api/messages/count_tokens

    Args:
        messages: The conversation, as in `create_message`, whose other parameters mean what they mean there.
        model: Whose tokens are counted; the client's model where it is not given.
        system: What the model is to be or do: a text, or blocks of it.
        tools: What the model may call.
        tool_choice: How it may choose.
        thinking: Whether to think first.
        output_config: The form of the answer.
        cache_control: That the conversation so far is to be kept.
        context_management: What of a long conversation may be left out, as a beta has it.
        mcp_servers: MCP servers that the provider asks, as a beta has them.
        betas: Names of betas, which go as `anthropic-beta`.
        anthropic_version: The version of the API, which goes as `anthropic-version` ("2023-06-01").
        extra_body: More fields for the request's root, over those above.

    Returns:
        The count: `input_tokens`.
    """
    raise NotImplementedError
