"""What a chat answers with, whole and in pieces, under the names of Hugging Face's types.

Decoding is lenient, because servers are: anything but `choices` may be missing, null or odd (`json_decoder` says
how), and what no field holds is kept beside the fields (`OpenOutput`). `choices` must be there, so that an error object
is never taken for an answer. Nothing here folds a stream.

Field meanings: https://platform.openai.com/docs/api-reference/chat/object and .../chat/streaming.
"""

from typing import Any, ClassVar, Final

import msgspec

from ..protocol.lazy import lazy_pattern
from ..responses.json_decoder import convert
from .lenient_types import (
    ContentPart,
    ContentParts,
    Identifier,
    Kept,
    Needed,
    Nullable,
    Thoughts,
    Unneeded,
    is_no_reason,
    text_of,
    thought_of,
    thoughts_of,
)
from .output import OpenOutput, Output


class ChatCompletionOutputTopLogprob(OpenOutput):
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


class ChatCompletionOutputLogprobs(OpenOutput):
    """The log probabilities of a choice, token by token. What servers have in place of it, such as `tokens` and
    `token_logprobs` of completions, is there under its name."""

    content: list[ChatCompletionOutputLogprob] | None = None
    refusal: list[ChatCompletionOutputLogprob] | None = None


class ChatCompletionOutputFunctionDefinition(OpenOutput):
    """The function that the model wants called.

    `arguments` is what the server sent: JSON text from nearly all (a model's text: it may not parse), an
    object from older text-generation servers.
    """

    TEXT_MEMBER: ClassVar[str] = "name"

    name: Nullable[str] = ""
    arguments: Any = ""
    description: str | None = None

    def __post_init__(self) -> None:
        if self.name is None:
            self.name = ""
        if self.arguments is None:
            self.arguments = ""

    def take_from(self, call: Any) -> None:
        """Take name and arguments from a call as it came, where they stand elsewhere or have another name."""
        name, arguments = function_in(call)
        self.name, self.arguments = self.name or name, self.arguments or arguments or ""


_ARGUMENTS: Final = ("arguments", "parameters", "args", "input")
"""What arguments are called: by OpenAI, in Llama's own format, in langchain's, in Anthropic's."""


def function_in(call: Any) -> tuple[str, Any]:
    """The name and the arguments of a call as it came, in its function or in the call itself, under whichever name;
    "" and None where they are not there.

    https://developers.cloudflare.com/workers-ai/features/function-calling/traditional/ and
    https://www.llama.com/docs/model-cards-and-prompt-formats/llama3_1/#json-based-tool-calling
    """
    places = [each for each in (call.get("function"), call) if isinstance(each, dict)] if isinstance(call, dict) else []
    named = [place.get("name") for place in places]
    found = [place.get(spelled) for spelled in _ARGUMENTS for place in places]
    return (
        next((name for name in named if isinstance(name, str) and name), ""),
        next((arguments for arguments in found if arguments is not None), None),
    )


class ChatCompletionOutputToolCall(OpenOutput):
    """One call of a tool; `id` goes into the `tool_call_id` of the message that answers it.

    `function` is None where `type` is "custom": such a call has `custom`, {"name": ..., "input": text}. `extra_content`
    is what a provider wants back with the call, such as Gemini's thought signature
    (https://ai.google.dev/gemini-api/docs/openai#thought-signatures).
    """

    id: Identifier = ""
    type: Nullable[str] = "function"
    function: Nullable[ChatCompletionOutputFunctionDefinition] = msgspec.field(
        default_factory=ChatCompletionOutputFunctionDefinition
    )
    custom: Any = None
    extra_content: Any = None

    def __post_init__(self) -> None:
        self.id = "" if self.id is None else str(self.id)
        if self.type is None:
            self.type = "function"
        if self.custom is not None:
            if self.function is not None and not self.function.name:
                self.function = None  # type: ignore[assignment]
        elif self.function is None:
            self.function = ChatCompletionOutputFunctionDefinition()


def read_thoughts(said: Any) -> None:
    """Bring what a message or a delta says was thought to its text, where it came as parts or as an object."""
    for name in ("reasoning", "reasoning_content"):
        if (thought := getattr(said, name)).__class__ not in _TEXTS:
            setattr(said, name, thought_of(thought))


_TEXTS: Final = frozenset({str, type(None)})


class ChatCompletionOutputMessage(OpenOutput):
    """The model's message; put into `messages` as it is, it goes back with all that the provider gave.

    `content` is None where the model only called tools. `reasoning` is what it thought first, whether the
    server spells it `reasoning` or `reasoning_content` (vLLM, DeepSeek); the latter is None where it was not
    sent. `reasoning_details` is the same in the provider's own pieces, with their signatures
    (https://openrouter.ai/docs/use-cases/reasoning-tokens). `function_call` is what `tool_calls` was before there were
    several, `audio` a spoken answer with its `id`, `annotations` the places that were quoted.
    """

    TEXT_MEMBER: ClassVar[str] = "content"

    role: Nullable[str] = "assistant"
    content: ContentParts = None
    reasoning: Thoughts = None
    reasoning_content: Thoughts = None
    refusal: str | None = None
    tool_call_id: str | None = None
    tool_calls: list[ChatCompletionOutputToolCall] | None = None
    name: str | None = None
    function_call: ChatCompletionOutputFunctionDefinition | None = None
    reasoning_details: Any = None
    audio: Any = None
    annotations: Any = None

    def __post_init__(self) -> None:
        if not self.role:
            self.role = "assistant"
        if self.function_call is not None and not (self.function_call.name or self.function_call.arguments):
            self.function_call = None
        if self.reasoning.__class__ not in _TEXTS or self.reasoning_content.__class__ not in _TEXTS:
            read_thoughts(self)
        content = self.content
        if content is not None and content.__class__ is not str:
            self.content, self.reasoning = text_of(content), self.reasoning or thoughts_of(content)
        if not self.reasoning and self.reasoning_content:
            self.reasoning = self.reasoning_content
            self.mirror()

    def mirror(self) -> None:
        """Remember that `reasoning` is but `reasoning_content` under its other name."""
        vars(self)["_mirrored"] = True

    @property
    def mirrored(self) -> bool:
        """Whether `reasoning` is but `reasoning_content` under its other name."""
        return "_mirrored" in self.__dict__ and self.reasoning == self.reasoning_content

    def content_parts(self) -> list[Any] | None:
        """The parts in which the provider gave content and reasoning; None where it gave a text, and where they are
        others by now."""
        sent = self.told or self.sent()
        parts = sent.get("content") if isinstance(sent, dict) else None
        if not isinstance(parts, list):
            return None
        try:
            read = msgspec.convert(parts, list[ContentPart | str])
        except msgspec.ValidationError:
            return None
        return parts if (text_of(read), thoughts_of(read)) == (self.content, self.reasoning) else None


class ChatCompletionOutputComplete(OpenOutput):
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
        if is_no_reason(self.finish_reason):
            self.finish_reason = None
        if self.message is None:
            self.message = ChatCompletionOutputMessage()


class ChatCompletionOutputUsage(OpenOutput):
    """What the call cost, in tokens; None where the server did not say. What else it said, such as OpenRouter's `cost`
    or DeepSeek's `prompt_cache_hit_tokens`, is there under its name: `usage["cost"]`."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: dict[str, Any] | None = None
    completion_tokens_details: dict[str, Any] | None = None

    def after(self, earlier: "ChatCompletionOutputUsage | None") -> "ChatCompletionOutputUsage":
        """The counts so far of a stream that tells them more than once: what is not told again still holds, and a count
        does not become nothing."""
        if earlier is None:
            return self
        before = msgspec.structs.asdict(earlier)
        told = {
            name: value
            for name, value in msgspec.structs.asdict(self).items()
            if value or (value is not None and before[name] is None)
        }
        usage = ChatCompletionOutputUsage(**{**before, **told})
        if odd := {**(earlier.told or {}), **(self.told or {})}:
            usage.tell(odd)
        if further := {**earlier.undeclared(), **self.undeclared()}:
            usage.hold(further)
        return usage


def added(total: ChatCompletionOutputUsage, more: ChatCompletionOutputUsage | None) -> ChatCompletionOutputUsage:
    """The sum of what two calls cost; None is what neither said."""
    if more is None:
        return total
    return ChatCompletionOutputUsage(
        prompt_tokens=_sum(total.prompt_tokens, more.prompt_tokens),
        completion_tokens=_sum(total.completion_tokens, more.completion_tokens),
        total_tokens=_sum(total.total_tokens, more.total_tokens),
        prompt_tokens_details=_details(total.prompt_tokens_details, more.prompt_tokens_details),
        completion_tokens_details=_details(total.completion_tokens_details, more.completion_tokens_details),
    )


def _sum(one: int | None, other: int | None) -> int | None:
    return one if other is None else other if one is None else one + other


def _details(one: dict[str, Any] | None, other: dict[str, Any] | None) -> dict[str, Any] | None:
    if not one or not other:
        return one or other
    summed: dict[str, Any] = dict(one)
    for name, value in other.items():
        if isinstance(value, int | float) and isinstance(summed.get(name), int | float):
            summed[name] += value
        else:
            summed[name] = value
    return summed


class ChatCompletionOutput(OpenOutput):
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


def kept(answer: ChatCompletionOutput) -> ChatCompletionOutput:
    """A plain answer whose messages and tool calls know what was sent for them, and its usage and text where the server
    put them elsewhere."""
    body = vars(answer).get("_body")
    if body is None:
        return answer
    if answer.usage is not None:
        answer.usage.part_of(body, "usage")
    elif b'"usage"' in body:
        answer.usage = usage_beside(answer.sent())
    for place, choice in enumerate(answer.choices):
        message = choice.message
        message.part_of(body, "choices", place, "message")
        if choice.logprobs is not None:
            choice.logprobs.part_of(body, "choices", place, "logprobs")
        for number, call in enumerate(message.tool_calls or ()):
            call.part_of(body, "choices", place, "message", "tool_calls", number)
            if call.function is not None and not (call.function.name and call.function.arguments):
                call.function.take_from(call.sent())
        if message.tool_calls:
            message.tool_calls = separate(message.tool_calls)
        if not message.content and not message.tool_calls:
            _take_beside(message, answer.sent(), place)
    return answer


def separate(calls: list[ChatCompletionOutputToolCall]) -> list[ChatCompletionOutputToolCall]:
    """The calls, where one that has the arguments of several, one text after the other, is as many.

    So Gemini's parallel calls come through some gateways: https://github.com/NousResearch/hermes-agent/issues/62937
    """
    found: list[ChatCompletionOutputToolCall] = []
    for call in calls:
        found.append(call)
        if call.function is None or not (texts := _objects_in(call.function.arguments)):
            continue
        call.function.arguments = texts[0]
        for number, text in enumerate(texts[1:], 2):
            function = ChatCompletionOutputFunctionDefinition(name=call.function.name, arguments=text)
            id_ = f"{call.id}_{number}" if call.id else ""
            found.append(ChatCompletionOutputToolCall(id=id_, type=call.type, function=function))
    return found


def _objects_in(text: Any) -> list[str]:
    """The objects whose JSON texts follow one another in a text, each once, and no empty one beside others; [] where
    the text is anything else."""
    if not isinstance(text, str) or not _NEXT_TO.search(text):
        return []
    from json import JSONDecoder

    found: dict[str, None] = {}
    rest, decoder = text.strip(), JSONDecoder()
    while rest:
        try:
            value, end = decoder.raw_decode(rest)
        except (ValueError, RecursionError):
            return []
        if not isinstance(value, dict):
            return []
        found[rest[:end]] = None
        rest = rest[end:].lstrip()
    return [each for each in found if each.strip("{ }\r\n\t")] or ["{}"]


_NEXT_TO: Final = lazy_pattern(r"\}\s*\{")


def _take_beside(message: ChatCompletionOutputMessage, sent: Any, place: int) -> None:
    """Take what a choice says in place of its message: a completion's text, a delta, messages, or its own members."""
    choices = sent.get("choices") if isinstance(sent, dict) else None
    choice = choices[place] if isinstance(choices, list) and place < len(choices) else None
    if not isinstance(choice, dict):
        return
    if isinstance(choice.get("text"), str):
        message.content = choice["text"]
        return
    for other in (choice.get("delta"), choice.get("messages"), choice):
        given = other[-1] if isinstance(other, list) and other else other
        said = convert(given, ChatCompletionOutputMessage) if isinstance(given, dict) else message
        if said.content or said.tool_calls:
            message.content, message.tool_calls = said.content, said.tool_calls
            message.reasoning = message.reasoning or said.reasoning
            return


def usage_beside(sent: Any) -> ChatCompletionOutputUsage | None:
    """The usage that a choice has (Kimi), or `x_groq`; None where neither has one."""
    if not isinstance(sent, dict):
        return None
    choices = sent.get("choices")
    found = [*(choices if isinstance(choices, list) else ()), sent.get("x_groq")]
    usages = [part.get("usage") for part in found if isinstance(part, dict)]
    told = next((usage for usage in usages if isinstance(usage, dict) and usage), None)
    if told is None:
        return None
    usage = convert(told, ChatCompletionOutputUsage)
    if further := {name: value for name, value in told.items() if name not in usage.__struct_fields__}:
        usage.hold(further)
    return usage


ChatCompletionStreamOutputTopLogprob = ChatCompletionOutputTopLogprob
ChatCompletionStreamOutputLogprob = ChatCompletionOutputLogprob
ChatCompletionStreamOutputLogprobs = ChatCompletionOutputLogprobs
ChatCompletionStreamOutputUsage = ChatCompletionOutputUsage


class ChatCompletionStreamOutputFunction(Output):
    """A piece of a function's call: its name once (or again and again), its arguments bit by bit."""

    TEXT_MEMBER: ClassVar[str] = "name"

    name: str | None = None
    arguments: Any = None


class ChatCompletionStreamOutputDeltaToolCall(Output):
    """A piece of a tool call; `index` says which, where the server numbers them. The rest is as in
    `ChatCompletionOutputToolCall`."""

    index: int | None = None
    id: Identifier = ""
    type: str | None = None
    function: Nullable[ChatCompletionStreamOutputFunction] = msgspec.field(
        default_factory=ChatCompletionStreamOutputFunction
    )
    custom: Any = None
    extra_content: Any = None

    def __post_init__(self) -> None:
        if self.function is None:
            self.function = ChatCompletionStreamOutputFunction()
        self.id = "" if self.id is None else str(self.id)


class ChatCompletionStreamOutputDelta(OpenOutput):
    """What this chunk adds to a choice's message, whose fields these are. What else it adds, such as
    `reasoning_details`, is there under its name: `delta["reasoning_details"]`."""

    role: str | None = None
    content: ContentParts = None
    reasoning: Thoughts = None
    reasoning_content: Thoughts = None
    refusal: str | None = None
    tool_call_id: str | None = None
    tool_calls: list[ChatCompletionStreamOutputDeltaToolCall] | None = None

    @property
    def function_call(self) -> ChatCompletionStreamOutputFunction | None:
        """A piece of the call of a function, where the chat was asked with `functions`."""
        sent = self.undeclared().get("function_call")
        return convert(sent, ChatCompletionStreamOutputFunction) if isinstance(sent, dict) else None


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
        if delta.reasoning.__class__ not in _TEXTS or delta.reasoning_content.__class__ not in _TEXTS:
            read_thoughts(delta)
        if content is not None and content.__class__ is not str:
            delta.content, delta.reasoning = text_of(content), delta.reasoning or thoughts_of(content)
        if delta.reasoning_content and not delta.reasoning:
            delta.reasoning = delta.reasoning_content
        if self.index is None:
            self.index = 0
        if self.finish_reason is not None and is_no_reason(self.finish_reason):
            self.finish_reason = None


class ChatCompletionStreamOutput(OpenOutput):
    """One chunk of a streamed answer. `choices` is empty in a chunk that only carries `usage`."""

    choices: list[ChatCompletionStreamOutputChoice]
    id: Unneeded[str] = ""
    created: int | float | None = None
    model: Unneeded[str] = ""
    object: str | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    usage: ChatCompletionStreamOutputUsage | None = None

    def keep_halves(self, chunk: "ChatCompletionStreamOutput", sent: dict[str, Any]) -> None:
        """Remember the same chunk with halves of characters, and what was sent for it."""
        vars(self)["_halves"] = chunk, sent

    def in_halves(self) -> "tuple[ChatCompletionStreamOutput, dict[str, Any]]":
        """The chunk and what was sent for it, with the halves of characters that are U+FFFD in itself."""
        found: tuple[ChatCompletionStreamOutput, Any] = self.__dict__.get("_halves") or (self, self.sent())
        return found if isinstance(found[1], dict) else (found[0], {})
