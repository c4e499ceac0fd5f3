"""A message of Anthropic's as a chat's answer, whole and in chunks: the half of the translation that comes in. Pure.

    Messages                                            chat
    text blocks, thinking blocks, tool_use blocks       content, reasoning, tool_calls
    all blocks, where those do not say it all           the message's `content_blocks`, which go back unchanged
    end_turn, stop_sequence                             finish_reason stop
    max_tokens, model_context_window_exceeded           length
    tool_use; refusal                                   tool_calls; content_filter
    pause_turn, and words that are new                  as they are
    input_tokens with both of the cache's               prompt_tokens, in whose details are cached_tokens

A stream is folded as a message is, and its answer is that of the message: a stream and a plain call cannot differ. What
a chunk has no word for is in it under `event`, as it came. Each choice has the `stop_reason` beside.
"""

from __future__ import annotations

from typing import Any, Final

from ..protocol.flow import END, End
from ..protocol.framing import Frame
from ..tasks.chat_types import (
    ChatCompletionOutput,
    ChatCompletionOutputComplete,
    ChatCompletionOutputFunctionDefinition,
    ChatCompletionOutputMessage,
    ChatCompletionOutputToolCall,
    ChatCompletionOutputUsage,
    ChatCompletionStreamOutput,
    ChatCompletionStreamOutputChoice,
    ChatCompletionStreamOutputDelta,
    ChatCompletionStreamOutputDeltaToolCall,
    ChatCompletionStreamOutputFunction,
)
from ..tasks.content_blocks import MEMBER, arguments_text, plain_blocks, text_in, thinking_in
from ..tasks.message_fold import MessageFold
from ..tasks.message_types import ContentBlock, Message, MessageStreamEvent, MessageUsage
from .anthropic_messages import decode_message_event

FINISH: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_SILENT: Final = frozenset({"content_block_stop", "ping"})
_EVENT: Final = "event"
"""The member of a chunk that has an event of which the chunk says nothing."""
_OF_ANSWER: Final = frozenset({"content", "id", "model", "role", "stop_reason", "stop_sequence", "type", "usage"})


def chat_answer(message: Message) -> ChatCompletionOutput:
    """The chat's answer that a message is."""
    told = message.to_dict()
    answer = ChatCompletionOutput(
        choices=[_choice(message, told)],
        id=message.id,
        model=message.model,
        object="chat.completion",
        usage=chat_usage(message.usage),
    )
    answer.hold({name: value for name, value in told.items() if name not in _OF_ANSWER and value is not None})
    return answer


def _choice(message: Message, told: dict[str, Any]) -> ChatCompletionOutputComplete:
    choice = ChatCompletionOutputComplete(
        message=_message(message, told), finish_reason=FINISH.get(str(message.stop_reason), message.stop_reason)
    )
    reasons = {"stop_reason": message.stop_reason, "stop_sequence": message.stop_sequence}
    choice.hold({name: reason for name, reason in reasons.items() if reason is not None})
    return choice


def _message(message: Message, told: dict[str, Any]) -> ChatCompletionOutputMessage:
    blocks = told["content"]
    calls = [
        {"id": block.id or "", "name": block.name or "", "arguments": arguments_text(block.input)}
        for block in message.content
        if block.type == "tool_use"
    ]
    text = text_in(blocks)
    made = ChatCompletionOutputMessage(
        content=text or (None if calls else ""),
        reasoning=thinking_in(blocks) or None,
        refusal=_refusal(told),
        tool_calls=[_call(call) for call in calls] or None,
    )
    bare = [{name: value for name, value in block.items() if value is not None} for block in blocks]
    made.hold({} if bare == plain_blocks(text, calls) else {MEMBER: blocks})
    return made


def _call(call: dict[str, str]) -> ChatCompletionOutputToolCall:
    function = ChatCompletionOutputFunctionDefinition(name=call["name"], arguments=call["arguments"])
    return ChatCompletionOutputToolCall(id=call["id"], function=function)


def _refusal(told: dict[str, Any]) -> str | None:
    """What is said of a refusal. https://platform.claude.com/docs/en/test-and-evaluate/strengthen-guardrails"""
    details = told.get("stop_details")
    explanation = details.get("explanation") if isinstance(details, dict) else None
    return explanation if isinstance(explanation, str) else None


def chat_usage(usage: MessageUsage | None) -> ChatCompletionOutputUsage | None:
    """A message's usage in a chat's counts, whose prompt has what was read from the cache and written to it."""
    if usage is None:
        return None
    read, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    prompt = None if usage.input_tokens is None else usage.input_tokens + read + written
    spent, details = usage.output_tokens, usage.get("output_tokens_details")
    thought = details.get("thinking_tokens") if isinstance(details, dict) else None
    said = usage.cache_read_input_tokens is not None or usage.cache_creation_input_tokens is not None
    return ChatCompletionOutputUsage(
        prompt_tokens=prompt,
        completion_tokens=spent,
        total_tokens=None if prompt is None or spent is None else prompt + spent,
        prompt_tokens_details={"cached_tokens": read, "cache_creation_tokens": written} if said else None,
        completion_tokens_details=None if thought is None else {"reasoning_tokens": thought},
    )


def decode_message_chunk(frame: Frame) -> ChatCompletionStreamOutput | End | None:
    """The chunk of an event, whose content the fold writes, which knows what came before; the end of a message that has
    said so. Raises the error that the event is, or `MalformedEventError`."""
    event = decode_message_event(frame)
    if not isinstance(event, MessageStreamEvent) or event.type in _SILENT:
        return None
    if event.type == "message_stop":
        return END
    chunk = ChatCompletionStreamOutput(choices=[], object="chat.completion.chunk")
    vars(chunk)["_told"] = event
    return chunk


class ChatOfMessageFold:
    """Gathers a message's events, each in the chunk that it is in, and writes what the chunk says of it."""

    __slots__ = ("_calls", "_fold", "_message")

    def __init__(self) -> None:
        self._fold = MessageFold()
        self._message = Message(content=[])
        self._calls: dict[int, int] = {}

    def add(self, event: ChatCompletionStreamOutput) -> None:
        """Take the next chunk."""
        told: MessageStreamEvent = vars(event).pop("_told")
        self._fold.add(told)
        if told.message is not None:
            self._message = told.message
        event.id, event.model = self._message.id, self._message.model
        choice = self._choice_of(told)
        if choice is None:
            event.hold({_EVENT: told.raw})
            return
        event.choices = [choice]
        if told.type in {"message", "message_delta"}:
            event.usage = chat_usage(self._fold.result().usage)

    def _choice_of(self, event: MessageStreamEvent) -> ChatCompletionStreamOutputChoice | None:
        """What an event says in a chat; None where a chat has no word for it."""
        kind, index = event.type, event.index or 0
        if kind == "message_start":
            return _delta(role="assistant", content="")
        if kind == "content_block_start" and event.content_block is not None:
            return self._begun(index, event.content_block)
        if kind == "content_block_delta" and event.delta is not None:
            delta = event.delta
            if delta.text is not None and delta.type == "text_delta":
                return _delta(content=delta.text)
            if delta.thinking is not None:
                return _delta(reasoning=delta.thinking)
            if delta.partial_json is not None and index in self._calls:
                return _delta(tool_calls=[self._piece(index, delta.partial_json)])
        if kind == "message_delta" and event.delta is not None:
            reason = event.delta.stop_reason
            return ChatCompletionStreamOutputChoice(finish_reason=FINISH.get(str(reason), reason))
        return self._whole() if kind == "message" else None

    def _begun(self, index: int, block: ContentBlock) -> ChatCompletionStreamOutputChoice | None:
        if block.type == "text":
            return _delta(content=block.text or "")
        if block.type == "thinking":
            return _delta(reasoning=block.thinking or "")
        if block.type != "tool_use":
            return None
        self._calls[index] = max(self._calls.values(), default=-1) + 1
        piece = self._piece(index, arguments_text(block.input) if block.input else "")
        piece.id, piece.type, piece.function.name = block.id or "", "function", block.name
        return _delta(tool_calls=[piece])

    def _piece(self, index: int, arguments: str) -> ChatCompletionStreamOutputDeltaToolCall:
        function = ChatCompletionStreamOutputFunction(arguments=arguments)
        return ChatCompletionStreamOutputDeltaToolCall(index=self._calls[index], function=function)

    def _whole(self) -> ChatCompletionStreamOutputChoice:
        """A whole message in place of a stream, in one."""
        choice = chat_answer(self._fold.result()).choices[0]
        made, calls = choice.message, choice.message.tool_calls or []
        self._calls = {number: number for number in range(len(calls))}
        pieces = [self._piece(number, call.function.arguments) for number, call in enumerate(calls)]
        for piece, call in zip(pieces, calls, strict=True):
            piece.id, piece.type, piece.function.name = call.id, "function", call.function.name
        delta = _delta(role="assistant", content=made.content, reasoning=made.reasoning, tool_calls=pieces or None)
        delta.finish_reason = choice.finish_reason
        return delta

    def complete(self, *, marked: bool = False) -> bool:
        """Whether the message has said that it is whole."""
        return marked or self._fold.complete()

    @property
    def is_whole_answer(self) -> bool:
        """Whether it came in one."""
        return self._fold.complete()

    def result(self) -> ChatCompletionOutput:
        """The answer as far as it has come."""
        return chat_answer(self._fold.result())


def _delta(**members: Any) -> ChatCompletionStreamOutputChoice:
    return ChatCompletionStreamOutputChoice(delta=ChatCompletionStreamOutputDelta(**members))
