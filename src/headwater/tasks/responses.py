"""The task of OpenAI's Responses API: its declaration, and how its input is sent.

It looks at the shape of the input only; what an item of one means is the server's business. The types that it answers
with are in `model_response` and `response_events`.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias, Unpack

import msgspec
from msgspec import Meta

from ..protocol.json_value import is_object
from .declaration import CallOptions, Declare
from .output import OpenOutput
from .typed_options import TypedAnswerOptions, check_answer_type

_OBJECT: Final = {"type": "object"}
_OBJECTS: Final = {"type": "array", "items": _OBJECT}

if TYPE_CHECKING:
    from .model_response import ModelResponse
    from .response_events import ResponseStreamEvent as ResponseStreamEvent

    JsonObject: TypeAlias = Mapping[str, object]
    Input: TypeAlias = str | Sequence[JsonObject | OpenOutput]
    ResponseTools: TypeAlias = Sequence[JsonObject]
    TextOrObject: TypeAlias = str | JsonObject
else:  # A type that takes dicts and Structs alike is beyond msgspec: `_check` looks at these.
    Input = Annotated[Any, Meta(extra_json_schema={"type": ["string", "array"], "items": _OBJECT})]
    JsonObject = Annotated[Any, Meta(extra_json_schema=_OBJECT)]
    ResponseTools = Annotated[Any, Meta(extra_json_schema=_OBJECTS)]
    TextOrObject = Annotated[Any, Meta(extra_json_schema={"type": ["string", "object"]})]

_OBJECT_NAMES: Final = ("text", "reasoning", "prompt", "stream_options")
_EITHER_NAMES: Final = ("tool_choice", "conversation")


def _check(given: Mapping[str, Any]) -> str | None:
    wrong = _check_input(given.get("input"))
    wrong = wrong or check_answer_type(given, "text_format", "a format like {'type': 'json_schema', ...}")
    if wrong is not None:
        return wrong
    for name in _OBJECT_NAMES:
        if name in given and not is_object(given[name]):
            return f"{name} must be a dict, not {type(given[name]).__name__}"
    for name in _EITHER_NAMES:
        if name in given and not isinstance(given[name], str) and not is_object(given[name]):
            return f"{name} must be a text or a dict, not {type(given[name]).__name__}"
    tools = given.get("tools", ())
    if not isinstance(tools, list | tuple) or not all(map(is_object, tools)):
        return "tools must be a list of dicts like {'type': 'function', 'name': '...', 'parameters': {...}}"
    return None


def _check_input(given: Any) -> str | None:
    if given is None or isinstance(given, str):
        return None
    if not isinstance(given, list | tuple):
        return f"input must be a text or a list of items, not {type(given).__name__}"
    for index, item in enumerate(given):
        if not is_object(item):
            return f"input[{index}] must be a dict like {{'role': 'user', 'content': '...'}}, not {type(item).__name__}"
    return None


def wire_input(given: Any) -> Any:
    """The input as it is sent. An item of an answer goes back as the server gave it, with what no field holds, and
    nulls where it gave those: some servers refuse a null that is not theirs, some want theirs back."""
    return [_wire_item(item) for item in given] if isinstance(given, list | tuple) else given


def _wire_item(item: Any) -> Any:
    if isinstance(item, OpenOutput):
        from .model_response import sent_members

        return sent_members(item)
    if isinstance(item, msgspec.Struct):
        return {name: value for name, value in msgspec.to_builtins(item).items() if value is not None}
    if isinstance(item, dict) and isinstance(item.get("content"), list | tuple):
        return {**item, "content": [_wire_item(part) for part in item["content"]]}
    return item


class UntypedResponseParameters(CallOptions, total=False):
    """The parameters of `create_response` but the input, `stream`, `text_format` and what goes with a type."""

    model: str | None
    instructions: str | None
    max_output_tokens: int | None
    tools: ResponseTools | None
    tool_choice: TextOrObject | None
    parallel_tool_calls: bool | None
    max_tool_calls: int | None
    text: JsonObject | None
    reasoning: JsonObject | None
    temperature: float | None
    top_p: float | None
    top_logprobs: int | None
    include: list[str] | None
    previous_response_id: str | None
    conversation: TextOrObject | None
    store: bool | None
    background: bool | None
    truncation: str | None
    prompt: JsonObject | None
    prompt_cache_key: str | None
    prompt_cache_retention: str | None
    metadata: dict[str, str] | None
    service_tier: str | None
    safety_identifier: str | None
    user: str | None
    stream_options: JsonObject | None


class TypedResponseParameters(UntypedResponseParameters, TypedAnswerOptions, total=False):
    """The same, and what may stand beside a `text_format` that is a type."""


class ResponseParameters(UntypedResponseParameters, TypedAnswerOptions, total=False):
    """The parameters of `create_response` but the input and `stream`; what each means stands there."""

    text_format: JsonObject | None


@Declare["ResponseStreamEvent"]("responses", _check)
def create_response(
    input: Input | None = None,  # noqa: A002 - OpenAI's name
    *,
    stream: bool = False,
    **parameters: Unpack[ResponseParameters],
) -> "ModelResponse":
    """Answer an input, by OpenAI's Responses API.

    What is not set is not sent, so that the server's own defaults hold; and not every server knows every parameter.
    The meanings are OpenAI's: https://platform.openai.com/docs/api-reference/responses/create

    Args:
        input: A text, or a list of items, oldest first: messages, dicts with "role" ("user", "system", "developer",
            "assistant") and "content", and items of other types, such as {"type": "function_call_output",
            "call_id": ..., "output": ...}. The items of a response's `output` may be put in as they are, and go back
            with all that the server gave.
        model: Whom to ask; the client's model where it is not given.
        stream: Hand the response over in events, as they come.
        instructions: What the model is told first, in place of a system message.
        max_output_tokens: The most tokens of the answer and the reasoning; an answer that comes to it has the `status`
            "incomplete".
        tools: What the model may call: [{"type": "function", "name": ..., "description": ..., "parameters": JSON
            schema}], and the server's own, {"type": "web_search"}, ...
        tool_choice: "auto", "none", "required", or a dict that names a tool, {"type": "function", "name": ...}.
        parallel_tool_calls: Whether one answer may call several tools.
        max_tool_calls: The most calls of the server's own tools.
        text: The form of the text: {"format": {"type": "json_schema", "name": ..., "schema": ..., "strict": True}},
            {"verbosity": "low"}.
        reasoning: How to think first: {"effort": "low", "summary": "auto"}.
        temperature: From 0 (always the likeliest token) to 2.
        top_p: Only the likeliest tokens that together have this probability, 0 to 1.
        top_logprobs: How many of the likeliest tokens to list at every place, 0 to 20.
        include: What else to send, such as "reasoning.encrypted_content", "message.output_text.logprobs".
        previous_response_id: The stored response that this one goes on from.
        conversation: The id of a conversation that the server keeps, or {"id": ...}.
        store: Whether the server may keep the response; OpenAI does where it is not said.
        background: Have the server go on without a connection: the plain call returns at once, with the `status`
            "queued", and a stream can be taken up again.
        truncation: "auto" leaves out the oldest items of an input that is too long, "disabled" refuses it.
        prompt: A prompt that the server keeps: {"id": ..., "variables": {...}}.
        prompt_cache_key: What requests have in common whose beginning is the same, for the server's cache.
        prompt_cache_retention: How long the server may keep that cache: "in_memory", "24h".
        metadata: Names and values to keep with the response.
        service_tier: "auto", "default", "flex", "priority".
        safety_identifier: A name for whoever asks, such as a hash, against abuse.
        user: The same, by its older name.
        stream_options: {"include_obfuscation": False} leaves out what hides the lengths of pieces.
        on_invalid: What follows an answer that is no value of the type in `text_format`: "raise" the error,
            "repair" the JSON (needs the extra `repair`), or "ask again", with what is wrong with it.
        max_tries: With "ask again": the most answers in all; 3 where it is not given.
        token_budget: With "ask again": the most tokens that all answers with their prompts may come to.
        text_format: The type that the answer is to be of: a Struct, a dataclass, a TypedDict, a pydantic model,
            list[...] and so on; the response has its value as `output_parsed`. Or the `format` in `text`.
        extra_body: More fields for the request's root, over those above.

    Returns:
        The response: its text is `output_text`, its items are `output`.

    Raises:
        IncompleteStreamError: A stream stopped before its end; `partial` is the response so far.
        JobFailedError: The response was cancelled.
        DecodeError: The server's answer is no response.
    """
    raise NotImplementedError
