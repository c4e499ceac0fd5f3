"""Folds the chunks of a streamed chat into the answer that the plain call returns.

Linear in the number of chunks: pieces are kept in lists and joined when the result is asked for. Nothing here
decodes, waits, or refuses a chunk: what it does not know, it leaves out.
"""

from __future__ import annotations

from typing import Any, TypeVar

from .chat_types import (
    ChatCompletionOutput,
    ChatCompletionOutputComplete,
    ChatCompletionOutputFunctionDefinition,
    ChatCompletionOutputLogprob,
    ChatCompletionOutputLogprobs,
    ChatCompletionOutputMessage,
    ChatCompletionOutputToolCall,
    ChatCompletionOutputUsage,
    ChatCompletionStreamOutput,
    ChatCompletionStreamOutputChoice,
    ChatCompletionStreamOutputDelta,
    ChatCompletionStreamOutputDeltaToolCall,
)

T = TypeVar("T")

_OLD_OBJECT = "text_completion"
"""What text-generation-inference 1.4 and 2.0 call a chunk; their `index` counts tokens of the only choice."""


class _ToolCall:
    """One tool call so far."""

    __slots__ = ("arguments", "id", "index", "name", "type")

    def __init__(self, index: int) -> None:
        self.index = index
        self.id = ""
        self.type = ""
        self.name = ""
        self.arguments: list[Any] = []

    def add(self, piece: ChatCompletionStreamOutputDeltaToolCall) -> None:
        self.id = self.id or piece.id
        self.type = self.type or piece.type or ""
        self.name = self.name or piece.function.name or ""
        if piece.function.arguments is not None:
            self.arguments.append(piece.function.arguments)

    def result(self) -> ChatCompletionOutputToolCall:
        function = ChatCompletionOutputFunctionDefinition(name=self.name, arguments=_text_or_object(self.arguments))
        return ChatCompletionOutputToolCall(id=self.id, type=self.type or "function", function=function)


class _ToolCalls:
    """The tool calls of one choice."""

    __slots__ = ("_calls", "_latest")

    def __init__(self) -> None:
        self._calls: list[_ToolCall] = []
        self._latest: dict[int, _ToolCall] = {}

    def add(self, piece: ChatCompletionStreamOutputDeltaToolCall) -> None:
        call = self._latest.get(self._last if piece.index is None else piece.index)
        if call is None or self._starts_another(call, piece):
            call = _ToolCall(len(self._calls) if piece.index is None else piece.index)
            self._calls.append(call)
            self._latest[call.index] = call
        call.add(piece)

    @property
    def _last(self) -> int:
        return self._calls[-1].index if self._calls else 0

    @staticmethod
    def _starts_another(call: _ToolCall, piece: ChatCompletionStreamOutputDeltaToolCall) -> bool:
        # A name comes with every call's first piece. Some servers repeat it, and the id, in every piece; old
        # vLLM makes a new id up for every piece, and leaves the name out.
        if not piece.function.name:
            return False
        return piece.id != call.id if piece.id else piece.index is None

    def result(self) -> list[ChatCompletionOutputToolCall] | None:
        return [call.result() for call in sorted(self._calls, key=lambda call: call.index)] or None


class _Choice:
    """One choice so far."""

    __slots__ = (
        "_content",
        "_logprobs",
        "_other_spelling",
        "_reasoning",
        "_refusal",
        "_role",
        "_tool_call_id",
        "_tool_calls",
        "finish_reason",
        "index",
    )

    def __init__(self, index: int) -> None:
        self.index = index
        self.finish_reason: str | None = None
        self._role: str | None = None
        self._content: list[str] = []
        self._reasoning: list[str] | None = None  # as rare as what follows: not made for every stream
        self._refusal: list[str] | None = None
        self._other_spelling = False
        self._tool_call_id: str | None = None
        self._tool_calls: _ToolCalls | None = None
        self._logprobs: list[ChatCompletionOutputLogprobs] | None = None

    def add_text(self, event: ChatCompletionStreamOutput) -> bool:
        """Take a chunk that has nothing but text for this choice, as nearly all do; False for any other."""
        choices = event.choices
        if len(choices) != 1 or event.usage is not None:
            return False
        choice = choices[0]
        delta = choice.delta
        text = delta.content
        if (
            text is None
            or choice.finish_reason is not None
            or choice.index != self.index
            or choice.logprobs is not None
            or delta.reasoning is not None
            or delta.tool_calls is not None
            or delta.refusal is not None
        ):
            return False
        self._content.append(text)
        return True

    def add(self, choice: ChatCompletionStreamOutputChoice) -> None:
        delta = choice.delta
        if delta.content is not None:
            self._content.append(delta.content)
        if delta.reasoning is not None:
            self._reason(delta)
        if delta.refusal is not None:
            self._refusal = _with(self._refusal, delta.refusal)
        if delta.tool_calls is not None:
            self._tool_calls = self._tool_calls or _ToolCalls()
            for piece in delta.tool_calls:
                self._tool_calls.add(piece)
        if choice.logprobs is not None:
            self._logprobs = _with(self._logprobs, choice.logprobs)
        if choice.finish_reason:
            self.finish_reason = choice.finish_reason
        if delta.role and self._role is None:
            self._role = delta.role
        if delta.tool_call_id is not None:
            self._tool_call_id = delta.tool_call_id

    def _reason(self, delta: ChatCompletionStreamOutputDelta) -> None:
        self._reasoning = _with(self._reasoning, delta.reasoning or "")
        if delta.reasoning_content:
            self._other_spelling = True

    def result(self) -> ChatCompletionOutputComplete:
        return ChatCompletionOutputComplete(
            index=self.index,
            message=self._message(),
            finish_reason=self.finish_reason,
            logprobs=self._all_logprobs(),
        )

    def _message(self) -> ChatCompletionOutputMessage:
        tool_calls = self._tool_calls.result() if self._tool_calls is not None else None
        content = "".join(self._content)
        reasoning = "".join(self._reasoning or ()) or None
        return ChatCompletionOutputMessage(
            role=self._role or "assistant",
            # With tool calls a plain answer's content is null, where many streams begin with an empty piece.
            content=content if content or (self._content and not tool_calls) else None,
            reasoning=reasoning,
            reasoning_content=reasoning if self._other_spelling else None,
            refusal="".join(self._refusal or ()) or None,
            tool_call_id=self._tool_call_id,
            tool_calls=tool_calls,
        )

    def _all_logprobs(self) -> ChatCompletionOutputLogprobs | None:
        if not self._logprobs:
            return None
        return ChatCompletionOutputLogprobs(
            content=_flat([part.content for part in self._logprobs]),
            refusal=_flat([part.refusal for part in self._logprobs]),
        )


class ChatFold:
    """Gathers a chat's chunks. `choices`: how many answers were asked for (`n`).

    `unfinished`: the `system_fingerprint`s of servers that may end a whole answer without a finish reason.
    """

    __slots__ = (
        "_choices",
        "_created",
        "_expected",
        "_fingerprint",
        "_id",
        "_model",
        "_object",
        "_plain",
        "_tier",
        "_unfinished",
        "_usage",
    )

    def __init__(self, choices: int = 1, unfinished: frozenset[str] = frozenset()) -> None:
        self._expected = choices
        self._unfinished = unfinished
        self._choices: dict[int, _Choice] = {}
        self._id = ""
        self._model = ""
        self._created: int | float | None = None
        self._object: str | None = None
        self._fingerprint: str | None = None
        self._tier: str | None = None
        self._usage: ChatCompletionOutputUsage | None = None
        self._plain: _Choice | None = None  # the only choice so far, once the stream has said what it is

    def add(self, event: ChatCompletionStreamOutput) -> None:
        """Take the next chunk; its cost does not grow with what came before."""
        if self._plain is None or not self._plain.add_text(event):
            self._add(event)

    def _add(self, event: ChatCompletionStreamOutput) -> None:
        for choice in event.choices:
            index = choice.index if event.object != _OLD_OBJECT else 0
            known = self._choices.get(index)
            if known is None:
                known = self._choices[index] = _Choice(index)
            known.add(choice)
        if event.usage is not None:
            self._usage = event.usage
        self._id = self._id or event.id
        self._model = self._model or event.model
        self._created = self._created or event.created
        self._object = self._object or event.object
        self._fingerprint = self._fingerprint or event.system_fingerprint
        self._tier = self._tier or event.service_tier
        only = len(self._choices) == 1 and self._id and self._object != _OLD_OBJECT
        self._plain = next(iter(self._choices.values())) if only else None

    def complete(self, *, marked: bool = False) -> bool:
        """Whether as many choices as were asked for have begun, and each of them says why it ended.

        `marked`: the server has sent its end marker, so that no other choice begins; servers in `unfinished` say no
        more than that.
        """
        choices = self._choices.values()
        if marked and self._fingerprint in self._unfinished:
            return True
        enough = len(choices) >= (1 if marked else self._expected)
        return enough and all(choice.finish_reason for choice in choices)

    def result(self) -> ChatCompletionOutput:
        """The answer as far as it has come."""
        return ChatCompletionOutput(
            choices=[self._choices[index].result() for index in sorted(self._choices)],
            id=self._id,
            created=self._created,
            model=self._model,
            object=self._object.removesuffix(".chunk") if self._object else None,
            system_fingerprint=self._fingerprint,
            service_tier=self._tier,
            usage=self._usage,
        )


def _with(items: list[T] | None, item: T) -> list[T]:
    """The list with one more, made with the first."""
    if items is None:
        return [item]
    items.append(item)
    return items


def _text_or_object(pieces: list[Any]) -> Any:
    """Arguments joined, or the last object where the server sends objects and not text."""
    objects = [piece for piece in pieces if not isinstance(piece, str)]
    return objects[-1] if objects else "".join(pieces)


def _flat(
    parts: list[list[ChatCompletionOutputLogprob] | None],
) -> list[ChatCompletionOutputLogprob] | None:
    if all(part is None for part in parts):
        return None
    return [token for part in parts if part for token in part]
