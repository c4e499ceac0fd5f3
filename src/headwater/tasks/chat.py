"""The chat task's declaration: its parameters, their bounds, and what is wrong with a conversation.

It looks at the shape of messages only; what a part of one means is the server's business. The types that it
answers with are in `chat_types`.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias, Unpack

import msgspec
from msgspec import Meta

from ..protocol.json_value import is_array, is_object
from .chat_types import (
    ChatCompletionOutput,
    ChatCompletionOutputMessage,
    ChatCompletionOutputToolCall,
    ChatCompletionStreamOutput,
)
from .declaration import CallOptions, task
from .output import OpenOutput
from .typed_options import OPTIONS, TypedAnswerOptions, check_answer_type

_OBJECT = {"type": "object"}
_OBJECTS = {"type": "array", "items": _OBJECT}

if TYPE_CHECKING:
    from .chat_input import (
        ChatCompletionInputGrammarType,
        ChatCompletionInputMessage,
        ChatCompletionInputStreamOptions,
        ChatCompletionInputTool,
        ChatCompletionInputToolChoiceClass,
    )

    Object: TypeAlias = Mapping[str, object]
    Messages: TypeAlias = Sequence[Object | ChatCompletionInputMessage | ChatCompletionOutputMessage]
    Tools: TypeAlias = Sequence[Object | ChatCompletionInputTool]
    ToolChoice: TypeAlias = str | Object | ChatCompletionInputToolChoiceClass
    ResponseFormat: TypeAlias = Object | ChatCompletionInputGrammarType
    StreamOptions: TypeAlias = Object | ChatCompletionInputStreamOptions
    LogitBias: TypeAlias = Mapping[str, float] | Mapping[int, float] | Sequence[float]
else:  # A type that takes dicts and Structs alike is beyond msgspec: `_check` looks at these.
    Messages = Annotated[Any, Meta(extra_json_schema={**_OBJECTS, "minItems": 1})]
    Tools = Annotated[Any, Meta(extra_json_schema=_OBJECTS)]
    ToolChoice = Annotated[Any, Meta(extra_json_schema={"type": ["string", "object"]})]
    ResponseFormat = StreamOptions = Annotated[Any, Meta(extra_json_schema=_OBJECT)]
    LogitBias = dict[str | int, float] | list[float]


_CHECKED_NAMES = OPTIONS | {
    *("response_format", "stream_options", "tool_choice", "tools"),
    *("functions", "function_call"),
}
_EXAMPLE = "[{'role': 'user', 'content': '...'}]"


def _check(given: Mapping[str, Any]) -> str | None:
    wrong = _check_messages(given["messages"])
    return _check_objects(given) if wrong is None and not _CHECKED_NAMES.isdisjoint(given) else wrong


def _check_messages(messages: object) -> str | None:
    if not isinstance(messages, (list, tuple)):
        return f"messages must be a list like {_EXAMPLE}, not {type(messages).__name__}"
    if not messages:
        return f"messages is empty; it must have at least one, like {_EXAMPLE}"
    for index, message in enumerate(messages):
        if type(message) is dict and type(message.get("content")) is str:  # as nearly all are
            role = message.get("role")
            if type(role) is str and role:
                continue
        wrong = _check_message(message)
        if wrong:
            return f"messages[{index}]{wrong}"
    return None


def _check_message(message: object) -> str | None:
    if isinstance(message, dict):  # nearly all are, and looking for a Mapping takes ten times as long
        role, content = message.get("role"), message.get("content")
    elif is_object(message):
        role, content = _field(message, "role"), _field(message, "content")
    else:
        return f" must be a dict like {_EXAMPLE[1:-1]}, not {type(message).__name__}"
    role = role.value if isinstance(role, Enum) else role
    if not isinstance(role, str) or not role:
        return " has no 'role'; it is 'system', 'user', 'assistant' or 'tool'"
    if isinstance(content, (str, list, tuple)) or content is None or is_array(content):
        return None
    return f".content of type {type(content).__name__} is neither text nor a list of parts"


def _field(message: object, name: str) -> object:
    return message.get(name) if isinstance(message, Mapping) else getattr(message, name, None)


def _check_objects(given: Mapping[str, Any]) -> str | None:
    if "stream_options" in given and not is_object(given["stream_options"]):
        return f"stream_options must be a dict, not {type(given['stream_options']).__name__}"
    if (wrong := check_answer_type(given, "response_format", "a dict like {'type': 'json_object'}")) is not None:
        return wrong
    choice = given.get("function_call", "")
    if not isinstance(choice, str) and not is_object(choice):
        return f"function_call must be 'auto', 'none' or a dict, not {type(choice).__name__}"
    functions = given.get("functions", ())
    if not isinstance(functions, list | tuple) or not all(map(is_object, functions)):
        return "functions must be a list of dicts like {'name': '...', 'parameters': JSON schema}"
    choice = given.get("tool_choice", "")
    if not isinstance(choice, str) and not is_object(choice):
        return f"tool_choice must be 'auto', 'none', 'required' or a dict, not {type(choice).__name__}"
    tools = given.get("tools", ())
    if not isinstance(tools, list | tuple) or not all(map(is_object, tools)):
        return "tools must be a list of dicts like {'type': 'function', 'function': {'name': '...'}}"
    return None


_SIMPLE: Final = frozenset({str, bool, int, float})
"""Types of members that are sent as they are."""


def wire_messages(messages: Messages, unsent: frozenset[str] = frozenset()) -> list[Any]:
    """The messages as they are sent.

    Dicts go as they are, but for the Structs in them. A Struct loses the fields that are not set, which some servers
    refuse as null, and so does the dict of an answer, whose `model_dump()` has them all. An answer goes back as the
    provider gave it, with what no field holds: a server may refuse a conversation without its own thoughts
    (https://api-docs.deepseek.com/guides/thinking_mode) or signatures
    (https://ai.google.dev/gemini-api/docs/thought-signatures). `unsent`: members of an answer that this provider
    refuses.
    """
    return [_wire_message(message, unsent) for message in messages]


def _wire_message(message: Any, unsent: frozenset[str]) -> Any:
    if type(message) is dict and _SIMPLE.issuperset(map(type, message.values())):  # as nearly all are
        return message
    if isinstance(message, ChatCompletionOutputMessage):
        return {name: value for name, value in _answer(message).items() if name not in unsent}
    if isinstance(message, msgspec.Struct):
        return _without_nulls(msgspec.to_builtins(message))
    if not isinstance(message, dict):
        return message
    if message.get("role") == "assistant":
        return _dumped_answer(message)
    if not any(isinstance(value, msgspec.Struct | list | tuple) for value in message.values()):
        return message
    return {name: _wire_value(value) for name, value in message.items()}


def _dumped_answer(message: dict[str, Any]) -> dict[str, Any]:
    members = {n: _wire_value(value) for n, value in message.items() if value is not None or n == "content"}
    if isinstance(calls := members.get("tool_calls"), list | tuple):
        members["tool_calls"] = [_call(call) if type(call) is dict else call for call in calls]
    return members


def _wire_value(value: Any) -> Any:
    """A member of a message that is a dict: a tool call of an answer may be a Struct still."""
    if isinstance(value, list | tuple) and any(isinstance(item, msgspec.Struct) for item in value):
        return [_wire_value(item) for item in value]
    if isinstance(value, ChatCompletionOutputToolCall):
        return _call(value.to_dict())
    return _without_nulls(_plain(value)) if isinstance(value, msgspec.Struct) else value


def _plain(value: msgspec.Struct) -> Any:
    return value.to_dict() if isinstance(value, OpenOutput) else msgspec.to_builtins(value)


def _answer(message: ChatCompletionOutputMessage) -> dict[str, Any]:
    """An answer's message as it came, with what was changed since."""
    plain = _set(message.to_dict())
    if message.mirrored:
        plain.pop("reasoning", None)
    if (parts := message.content_parts()) is not None:
        plain["content"] = parts
        plain.pop("reasoning", None)
    if isinstance(plain.get("function_call"), dict):
        plain["function_call"] = _set(plain["function_call"])
    calls = plain.pop("tool_calls", None)
    return {**plain, "tool_calls": [_call(call) for call in calls]} if calls else plain


def _call(call: dict[str, Any]) -> dict[str, Any]:
    call = _set(call)
    return {**call, "function": _set(call["function"])} if isinstance(call.get("function"), dict) else call


def _set(members: dict[str, Any]) -> dict[str, Any]:
    """The members that are not null. Below them, where a model's arguments may be, null says something."""
    return {name: value for name, value in members.items() if value is not None}


def wire_tool_choice(choice: Any) -> Any:
    """A tool choice as OpenAI has it: Hugging Face's names a function without its type."""
    plain = _without_nulls(msgspec.to_builtins(choice)) if isinstance(choice, msgspec.Struct) else choice
    named = isinstance(plain, Mapping) and plain.get("type") is None and is_object(plain.get("function"))
    return {**plain, "type": "function"} if named else plain


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


class TurnParameters(CallOptions, total=False):
    """The parameters of `chat_completion` that a turn of a conversation has as well."""

    model: str | None
    frequency_penalty: float | None
    logit_bias: LogitBias | None
    logprobs: bool | None
    max_tokens: int | None
    presence_penalty: float | None
    seed: int | None
    stop: str | list[str] | None
    temperature: float | None
    tool_choice: ToolChoice | None
    tool_prompt: str | None
    top_logprobs: int | None
    top_p: float | None
    reasoning_effort: str | None
    max_completion_tokens: int | None
    parallel_tool_calls: bool | None
    service_tier: str | None
    store: bool | None
    metadata: dict[str, str] | None
    user: str | None
    modalities: list[str] | None
    audio: dict[str, Any] | None
    prediction: dict[str, Any] | None
    verbosity: str | None
    web_search_options: dict[str, Any] | None
    prompt_cache_key: str | None
    safety_identifier: str | None


class UntypedChatParameters(TurnParameters, total=False):
    """The parameters of `chat_completion` but the messages, `stream`, `response_format` and what goes with a type."""

    n: int | None
    stream_options: StreamOptions | None
    tools: Tools | None
    functions: Tools | None
    function_call: ToolChoice | None


class TypedChatParameters(UntypedChatParameters, TypedAnswerOptions, total=False):
    """The same, and what may stand beside a `response_format` that is a type."""


class ChatParameters(UntypedChatParameters, TypedAnswerOptions, total=False):
    """The parameters of `chat_completion` but the messages and `stream`; what each means stands there."""

    response_format: ResponseFormat | None


@task("chat-completion", events=ChatCompletionStreamOutput, check=_check)
def chat_completion(
    messages: Messages, *, stream: bool = False, **parameters: Unpack[ChatParameters]
) -> ChatCompletionOutput:
    """Answer a conversation.

    What is not set is not sent, so that the server's own defaults hold; and not every server knows every
    parameter. The meanings are OpenAI's: https://platform.openai.com/docs/api-reference/chat/create

    Args:
        messages: The conversation, oldest first: dicts with "role" ("system", "user", "assistant", "tool")
            and "content", which is text or a list of parts, {"type": "text", "text": ...} or
            {"type": "image_url", "image_url": {"url": ...}}. An answer's `message` may be put in as it is, and
            goes back with all that the provider gave.
        model: Whom to ask; the client's model where it is not given.
        stream: Hand the answer over in chunks of type `ChatCompletionStreamOutput`, as they come.
        frequency_penalty: From -2 to 2; above 0, tokens are the less likely the more often they have come.
        logit_bias: What to add to the logits of tokens, by token id: from -100 (never) to 100 (always).
        logprobs: Whether to give the log probability of every token of the answer.
        max_tokens: The most tokens of the answer.
        n: How many answers to give; each is one of `choices`.
        presence_penalty: From -2 to 2; above 0, tokens that have come are less likely.
        seed: The same seed asks for the same answer; no server promises it.
        stop: Where to stop: text, or a list of up to four texts. The answer does not contain them.
        stream_options: {"include_usage": True} ends a stream with a chunk that has `usage` and no choices.
        temperature: From 0 (always the likeliest token) to 2.
        tool_choice: "auto", "none", "required", or {"type": "function", "function": {"name": ...}}; the type of a
            choice that names a function may be left out.
        tool_prompt: What text-generation-inference puts before the tools' descriptions.
        tools: What the model may call: [{"type": "function", "function": {"name": ..., "description": ...,
            "parameters": JSON schema}}].
        functions: What `tools` were before there were several kinds: [{"name": ..., "parameters": JSON schema}]; the
            call is then the message's `function_call`.
        function_call: The `tool_choice` among `functions`: "auto", "none" or {"name": ...}.
        top_logprobs: How many of the likeliest tokens to list at every place, 0 to 20; needs `logprobs`.
        top_p: Only the likeliest tokens that together have this probability, 0 to 1.
        reasoning_effort: How much to think first: "none", "minimal", "low", "medium", "high", ...
        max_completion_tokens: The most tokens of the answer and the reasoning; OpenAI's newer `max_tokens`.
        parallel_tool_calls: Whether one answer may call several tools.
        service_tier: "auto", "default", "flex", "priority", or a provider's own.
        store: Whether the provider may keep the answer.
        metadata: Names and values to keep with a stored answer.
        user: Your own name for whoever asks, against abuse.
        modalities: What the answer may be: ["text"], or ["text", "audio"].
        audio: How a spoken answer is to be: {"voice": ..., "format": ...}.
        prediction: What much of the answer will be, which makes it faster: {"type": "content", "content": ...}.
        verbosity: How long the answer is to be: "low", "medium" or "high".
        web_search_options: That the model may search the web, and how; {} for as it likes.
        prompt_cache_key: What requests have in common whose beginning is the same, for the provider's cache.
        safety_identifier: A name for whoever asks, such as a hash, against abuse.
        on_invalid: What follows an answer that is no value of the type in `response_format`: "raise" the error,
            "repair" the JSON (needs the extra `repair`), or "ask again", with what is wrong with it.
        max_tries: With "ask again": the most answers in all; 3 where it is not given.
        token_budget: With "ask again": the most tokens that all answers with their prompts may come to, as the server
            counts them; without a limit where it is not given. The first answer has its own, `max_tokens`.
        response_format: The type that the answer is to be of: a Struct, a dataclass, a TypedDict, a pydantic model,
            list[...] and so on; the answer has its value as `parsed`. Or {"type": "json_object"}, {"type": "text"},
            {"type": "json_schema", "json_schema": {"name": ..., "schema": {...}, "strict": True}}; rewritten for
            providers that spell it otherwise.
        extra_body: More fields for the request's root, over those above.

    Returns:
        The answer: its text is `choices[0].message.content`.

    Raises:
        IncompleteStreamError: A stream stopped before its end; `partial` is the answer so far.
        DecodeError: The server's answer is not a chat's; as `InvalidAnswerError`, no value of the type asked for.
    """
    raise NotImplementedError
