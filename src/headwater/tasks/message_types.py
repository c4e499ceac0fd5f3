"""What Anthropic's Messages answer with, whole and as events: https://platform.claude.com/docs/en/api/messages

Decoding is lenient: anything but `content` may be missing, null or odd, and what no field holds is kept beside the
fields (`OpenOutput`). Blocks, deltas and events have one type each, whatever their own `type` says, so that one that is
new is handed on with all that it has: `block["name_of_a_member"]`. Nothing here folds a stream.
"""

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from ..responses.json_decoder import convert
from .lenient_types import Kept, Nullable, Unneeded
from .output import OpenOutput, Output, SparseOutput


class ContentBlock(SparseOutput):
    """A part of a message, by its `type`; fields of other types are None, and stand in no dict and no JSON of it.

    "text": `text`, with the `citations` in it. "thinking": `thinking`, with the `signature` without which it is refused
    when it goes back. "redacted_thinking": `data`. "tool_use" and "server_tool_use": `id`, `name` and `input`, the
    arguments, which are a text where the model's JSON is broken or was cut. What a server's tool gave
    ("web_search_tool_result", ...) has `tool_use_id` and `content`.
    """

    type: Unneeded[str] = ""
    text: str | None = None
    citations: list[Any] | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: Any = None
    tool_use_id: str | None = None
    content: Any = None

    def __post_init__(self) -> None:
        if not self.type and self.text is not None:
            self.type = "text"


if TYPE_CHECKING:
    ContentBlocks: TypeAlias = Annotated[list[ContentBlock], "or a text in place of a block, or the only one"]
else:
    ContentBlocks = Nullable[list[ContentBlock | str] | ContentBlock | str]


class MessageUsage(SparseOutput):
    """What a message cost, in tokens; None where the server did not say.

    All that was read is `input_tokens`, `cache_creation_input_tokens` and `cache_read_input_tokens` together.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    server_tool_use: dict[str, Any] | None = None
    service_tier: str | None = None

    @property
    def total_tokens(self) -> int | None:
        """All of them together; None where the server did not say what was read and what was written."""
        if self.input_tokens is None or self.output_tokens is None:
            return None
        cached = (self.cache_creation_input_tokens or 0) + (self.cache_read_input_tokens or 0)
        return self.input_tokens + cached + self.output_tokens


class Message(OpenOutput):
    """The model's message. Its `content`, or all of it, may be put into `messages` as it is, and goes back unchanged.

    `stop_reason`: "end_turn", "max_tokens", "stop_sequence" (which is then `stop_sequence`), "tool_use", "pause_turn"
    (a long turn, which goes on when the message is sent back), "refusal", "model_context_window_exceeded", or a word of
    the server's own.
    """

    content: ContentBlocks
    id: Nullable[str] = ""
    type: Nullable[str] = "message"
    role: Nullable[str] = "assistant"
    model: Nullable[str] = ""
    stop_reason: Kept[str | None] = None
    stop_sequence: str | None = None
    usage: MessageUsage | None = None

    def __post_init__(self) -> None:
        given = self.content if isinstance(self.content, list) else [self.content] if self.content else []
        if given is not self.content or any(isinstance(part, str) for part in given):
            self.content = [ContentBlock(text=part) if isinstance(part, str) else part for part in given]
        self.id = self.id or ""
        self.type = self.type or "message"
        self.role = self.role or "assistant"
        self.model = self.model or ""

    @property
    def text(self) -> str:
        """The text of all blocks of text."""
        return "".join([block.text for block in self.content if block.type == "text" and block.text])


class MessageTokensCount(OpenOutput):
    """How many tokens a message's request would have."""

    input_tokens: int


class MessageDelta(SparseOutput):
    """What an event adds: to a block, by its `type` "text_delta", "thinking_delta", "signature_delta",
    "input_json_delta" (`partial_json`, a piece of a tool's arguments) or "citations_delta" (`citation`); of
    "message_delta", to the message itself: why it stopped."""

    type: Unneeded[str] = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: Kept[str | None] = None
    citation: Any = None
    stop_reason: Kept[str | None] = None
    stop_sequence: str | None = None


class MessageStreamEvent(SparseOutput):
    """One event of a streamed message, by its `type`; https://platform.claude.com/docs/en/build-with-claude/streaming

    "message_start": `message`, without content yet. "content_block_start": `content_block`, which is number `index`.
    "content_block_delta": `delta`, which that block grows by. "content_block_stop": that it is whole. "message_delta":
    `delta` with the `stop_reason`, and `usage`, whose counts are those so far and no more to be added up.
    "message_stop": the end. "ping" says nothing. Any other type is handed on as it came: `event.raw`.
    """

    type: Unneeded[str] = ""
    index: int | None = None
    delta: MessageDelta | None = None
    content_block: ContentBlock | None = None
    message: Message | None = None
    usage: MessageUsage | None = None


def message_of(sent: dict[str, Any]) -> Message:
    """A message that was put together, or came as a part of an event, with all its members."""
    message = convert(sent, Message)
    message.hold(_undeclared(message, sent))
    message.keep_odd(sent)
    parts = sent.get("content")
    for block, part in zip(message.content, parts if isinstance(parts, list) else [], strict=False):
        block.hold(_undeclared(block, part))
        block.keep_odd(part)
    if message.usage is not None:
        message.usage.hold(_undeclared(message.usage, sent["usage"]))
        message.usage.keep_odd(sent["usage"])
    return message


def _undeclared(output: Output, sent: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in sent.items() if name not in output.__struct_fields__}


def kept_message(answer: Message) -> Message:
    """A plain answer whose blocks know what was sent for them."""
    body = vars(answer).get("_body")
    if body is not None:
        for place, block in enumerate(answer.content):
            block.part_of(body, "content", place)
        if answer.usage is not None:
            answer.usage.part_of(body, "usage")
    return answer
