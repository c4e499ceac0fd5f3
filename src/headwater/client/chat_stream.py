"""OpenAI's stream of a chat's events: `with client.chat.completions.stream(...) as stream: for event in stream`.

It is the run of `chat_completion.stream`, each of whose chunks becomes the events that OpenAI's client makes of it.
https://github.com/openai/openai-python/blob/main/helpers.md#chat-completions-events
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeAlias, cast

import msgspec

from ..engine.run import AsyncRun
from ..schema.codec import Codec, codec_of, is_type
from ..tasks.chat_types import (
    ChatCompletionOutput,
    ChatCompletionStreamOutput,
    ChatCompletionStreamOutputChoice,
    ChatCompletionStreamOutputDeltaToolCall,
)
from ..tasks.tool_call_fold import ToolCalls

if TYPE_CHECKING:
    from ..blocking.run import Run

ChatCompletionStreamEventType: TypeAlias = Literal[
    "chunk",
    "content.delta",
    "content.done",
    "refusal.delta",
    "refusal.done",
    "tool_calls.function.arguments.delta",
    "tool_calls.function.arguments.done",
    "logprobs.content.delta",
    "logprobs.refusal.delta",
    "logprobs.content.done",
    "logprobs.refusal.done",
]


class ChatCompletionStreamEvent(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An event of `client.chat.completions.stream(...)`; which fields say something depends on its `type`.

    "chunk": `chunk`, and `snapshot`, the answer so far. "content.delta" and "refusal.delta": `delta`, and `snapshot`,
    the text so far, and `parsed`, what that is of a `response_format` that is a type. "content.done": `content` and
    `parsed`. "refusal.done": `refusal`. "tool_calls.function.arguments.delta": `name`, `index`, `arguments_delta`, and
    `arguments`, those so far; ".done" the same without the delta, and `parsed_arguments`, which are None where they
    are no JSON. "logprobs.content.delta" and "logprobs.refusal.delta": `content` or `refusal`, and `snapshot`, a list
    each; ".done" without the snapshot.
    """

    type: ChatCompletionStreamEventType
    chunk: ChatCompletionStreamOutput | None = None
    delta: str | None = None
    snapshot: Any = None
    parsed: Any = None
    content: Any = None
    refusal: Any = None
    name: str = ""
    index: int = 0
    arguments: str = ""
    arguments_delta: str = ""
    parsed_arguments: Any = None


class _ChoiceEvents:
    """What one choice has said so far, and the events of its next chunk.

    Calls of tools are told apart as in the answer, but for what shows at the end alone: one that a server tells under
    two indexes is told as two.
    """

    def __init__(self, codec: Codec[Any] | None) -> None:
        self._reader = None if codec is None else codec.partial()
        self._texts: dict[str, str] = {}
        self._calls = ToolCalls()
        self._arguments: dict[int, str] = {}
        self._called: int | None = None
        """The call whose arguments come now."""
        self._logprobs: dict[str, list[Any]] = {}

    def of(self, choice: ChatCompletionStreamOutputChoice) -> Iterator[ChatCompletionStreamEvent]:
        delta = choice.delta
        if delta.content is not None:
            yield self._text("content", delta.content)
        if delta.refusal is not None:
            yield self._text("refusal", delta.refusal)
        if delta.tool_calls:
            yield from self._called_so_far(delta.tool_calls)
        yield from self._probabilities(choice)
        if choice.finish_reason is not None:
            yield from self._all_done()

    def _called_so_far(
        self, pieces: list[ChatCompletionStreamOutputDeltaToolCall]
    ) -> Iterator[ChatCompletionStreamEvent]:
        for number in self._calls.add(pieces, pieces, [{}] * len(pieces)):
            if self._called not in (None, number):
                yield self._call_done()
            self._called = number
            name, said = self._calls.so_far(number)
            before, arguments = self._arguments.get(number, ""), _json_text(said)
            self._arguments[number] = arguments
            yield ChatCompletionStreamEvent(
                type="tool_calls.function.arguments.delta",
                name=name,
                index=number,
                arguments=arguments,
                arguments_delta=arguments.removeprefix(before),
            )

    def _all_done(self) -> Iterator[ChatCompletionStreamEvent]:
        texts, self._texts = self._texts, {}
        if content := texts.get("content"):
            yield ChatCompletionStreamEvent(type="content.done", content=content, parsed=self._parsed(content))
        if refusal := texts.get("refusal"):
            yield ChatCompletionStreamEvent(type="refusal.done", refusal=refusal)
        if self._called is not None:
            yield self._call_done()
        for kind, listed in self._logprobs.items():
            yield _logprobs_event(kind, "done", listed)
        self._logprobs = {}

    def _text(self, kind: Literal["content", "refusal"], more: str) -> ChatCompletionStreamEvent:
        so_far = self._texts[kind] = self._texts.get(kind, "") + more
        if kind == "refusal":
            return ChatCompletionStreamEvent(type="refusal.delta", delta=more, snapshot=so_far)
        return ChatCompletionStreamEvent(
            type="content.delta", delta=more, snapshot=so_far, parsed=self._parsed(so_far) if so_far else None
        )

    def _parsed(self, content: str) -> Any:
        """The value that the text is so far; whether a whole one is of its type is the run's to say."""
        return None if self._reader is None or self._arguments else self._reader.read(content)

    def _call_done(self) -> ChatCompletionStreamEvent:
        number, self._called = cast("int", self._called), None
        arguments = self._arguments[number]
        return ChatCompletionStreamEvent(
            type="tool_calls.function.arguments.done",
            name=self._calls.so_far(number)[0],
            index=number,
            arguments=arguments,
            parsed_arguments=_json_value(arguments),
        )

    def _probabilities(self, choice: ChatCompletionStreamOutputChoice) -> Iterator[ChatCompletionStreamEvent]:
        for kind in ("content", "refusal"):
            more = getattr(choice.logprobs, kind, None)
            if more:
                listed = self._logprobs.setdefault(kind, [])
                listed += more
                yield _logprobs_event(kind, "delta", more, list(listed))


def _logprobs_event(
    kind: str, when: Literal["delta", "done"], listed: list[Any], snapshot: Any = None
) -> ChatCompletionStreamEvent:
    named = cast("ChatCompletionStreamEventType", f"logprobs.{kind}.{when}")
    said: dict[str, Any] = {kind: listed}
    return ChatCompletionStreamEvent(type=named, snapshot=snapshot, **said)


def _json_text(arguments: Any) -> str:
    """Arguments, which a few servers send as an object, as JSON text."""
    if arguments is None or isinstance(arguments, str):
        return arguments or ""
    return msgspec.json.encode(arguments).decode()


def _json_value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


class _Events:
    """The events of a run's chunks."""

    def __init__(self, run: Any, response_format: Any) -> None:
        self._run = run
        self._codec = codec_of(response_format) if is_type(response_format) else None
        self._choices: dict[int, _ChoiceEvents] = {}
        self._waiting: deque[ChatCompletionStreamEvent] = deque()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._run, name)  # its facts: `headers`, `request_id`, ...

    def _take(self, chunk: Any) -> None:
        if not isinstance(chunk, ChatCompletionStreamOutput):
            return  # what a job says on its way
        self._waiting.append(ChatCompletionStreamEvent(type="chunk", chunk=chunk, snapshot=self._run.partial))
        for choice in chunk.choices:
            events = self._choices.setdefault(choice.index, _ChoiceEvents(self._codec))
            self._waiting.extend(events.of(choice))

    @property
    def current_completion_snapshot(self) -> ChatCompletionOutput:
        """The answer so far, which may be further than the newest event."""
        return cast("ChatCompletionOutput", self._run.partial)


class ChatCompletionStream(_Events):
    """A chat as OpenAI's stream of events, for blocking code: a context manager, and an iterator."""

    if TYPE_CHECKING:
        _run: Run[ChatCompletionStreamOutput, ChatCompletionOutput]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ChatCompletionStreamEvent:
        while not self._waiting:
            self._take(next(self._run))
        return self._waiting.popleft()

    def get_final_completion(self) -> ChatCompletionOutput:
        """Read to the end, and return the whole answer."""
        return self._run.result()

    def until_done(self) -> Self:
        """Read to the end."""
        self._run.result()
        return self

    def close(self) -> None:
        """Leave the stream: its socket is closed."""
        self._run.close()


class AsyncChatCompletionStream(_Events):
    """A chat as OpenAI's stream of events: an asynchronous context manager, and iterator."""

    if TYPE_CHECKING:
        _run: AsyncRun[ChatCompletionStreamOutput, ChatCompletionOutput]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ChatCompletionStreamEvent:
        while not self._waiting:
            self._take(await anext(self._run))
        return self._waiting.popleft()

    async def get_final_completion(self) -> ChatCompletionOutput:
        """Read to the end, and return the whole answer."""
        return await self._run.result()

    async def until_done(self) -> Self:
        """Read to the end."""
        await self._run.result()
        return self

    async def close(self) -> None:
        """Leave the stream: its socket is closed."""
        await self._run.close()


_KINDS: Final = (ChatCompletionStream, AsyncChatCompletionStream)


def chat_stream(
    create: Any, messages: Any, parameters: dict[str, Any]
) -> ChatCompletionStream | AsyncChatCompletionStream:
    """The stream of the events of a chat that `create`, the task of a client, makes."""
    run = create.stream(messages, **parameters)
    return _KINDS[isinstance(run, AsyncRun)](run, parameters.get("response_format"))
