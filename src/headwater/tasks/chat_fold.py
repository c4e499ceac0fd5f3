"""Folds the chunks of a streamed chat into the answer that the plain call returns.

Linear in the number of chunks: pieces are kept in lists and joined when the result is asked for. Nothing here waits or
refuses a chunk. What a piece says beside its fields is gathered as `member_fold` says, and which pieces are one tool
call's is told by `tool_call_fold`.

A choice is known by its index; where one was asked for, an index that goes up with every chunk counts tokens. What a
server says in an unusual place is put where it belongs, in the chunk as well: a whole `message` or a `text` in place of
a delta, the usage of a choice (Kimi) or of `x_groq`, and a character of which two chunks have a half each. A whole
message takes the place of what came before it; a chunk then shows what is new in it.

Nearly all chunks are the same but for their text, and so is their length without it: only those of another length are
looked through for what no field holds. Of these, most still have nothing but fields (the first chunk, the last, a piece
of a tool call): one strict decoding tells that, and such a chunk costs 6.6 µs in place of 12.7.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any, Final, TypeVar

import msgspec

from ..protocol.json_text import UNREADABLE
from ..responses.json_decoder import convert, numbered
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
    ChatCompletionStreamOutputFunction,
    usage_beside,
)
from .lenient_types import is_no_reason
from .member_fold import MemberFold
from .output import OpenOutput, odd_members
from .surrogates import TextPieces, repair_all_surrogates
from .tool_call_fold import ToolCalls

T = TypeVar("T")

_OLD_OBJECT: Final = "text_completion"
"""What text-generation-inference 1.4 and 2.0 call a chunk; their `index` counts tokens of the only choice."""

_OF_CHUNK: Final = frozenset(ChatCompletionStreamOutput.__struct_fields__)
_OF_CHOICE: Final = frozenset({*ChatCompletionStreamOutputChoice.__struct_fields__, "message", "text", "usage"})
_SAID_OF_CHOICE: Final = frozenset({"index", "logprobs"})
_OF_MESSAGE: Final = ("audio", "annotations", "reasoning_details")
"""Fields of a message that are gathered as what no field holds."""
_OF_DELTA: Final = frozenset({*ChatCompletionStreamOutputDelta.__struct_fields__, "function_call"})
_OF_ONE_CHUNK: Final = frozenset({"obfuscation", "token_id"})
"""Members that say something about their chunk alone."""
_CALLS: Final = ("tool_calls", "function_call")
"""Reasons that a "stop" after them does not take back."""
_encode: Final = msgspec.json.Encoder().encode
_NOTHING: Final[dict[str, Any]] = {}


class _PlainFunction(msgspec.Struct, forbid_unknown_fields=True):
    name: str | None = None
    arguments: str | None = None


class _PlainToolCall(msgspec.Struct, forbid_unknown_fields=True):
    function: _PlainFunction
    index: int | None = None
    id: str | None = None
    type: str | None = None


class _PlainDelta(msgspec.Struct, forbid_unknown_fields=True):
    role: str | None = None
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    tool_call_id: str | None = None
    tool_calls: list[_PlainToolCall] | None = None


class _PlainTopLogprob(msgspec.Struct, forbid_unknown_fields=True):
    token: str = ""
    logprob: float | None = None
    bytes: list[int] | None = None


class _PlainLogprob(_PlainTopLogprob, forbid_unknown_fields=True):
    top_logprobs: list[_PlainTopLogprob] | None = None


class _PlainLogprobs(msgspec.Struct, forbid_unknown_fields=True):
    content: list[_PlainLogprob] | None = None
    refusal: list[_PlainLogprob] | None = None


class _PlainChoice(msgspec.Struct, forbid_unknown_fields=True):
    delta: _PlainDelta
    index: int = 0
    finish_reason: str | None = None
    logprobs: msgspec.Raw = msgspec.Raw()


class _PlainUsage(msgspec.Struct, forbid_unknown_fields=True):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: msgspec.Raw = msgspec.Raw()
    completion_tokens_details: msgspec.Raw = msgspec.Raw()


class _PlainChunk(msgspec.Struct, forbid_unknown_fields=True):
    """A chunk that says nothing beside its fields, or about itself alone (`_OF_ONE_CHUNK`)."""

    choices: list[_PlainChoice]
    id: str = ""
    created: int | None = None
    model: str = ""
    object: str | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    usage: _PlainUsage | None = None
    obfuscation: msgspec.Raw = msgspec.Raw()


_read_plain: Final = msgspec.json.Decoder(_PlainChunk).decode
_read_tokens: Final = msgspec.json.Decoder(_PlainLogprobs | None).decode


def _is_plain(event: ChatCompletionStreamOutput, look: bool) -> bool:
    """Whether the chunk says nothing but what its fields hold; `look`: its tokens' log probabilities, too."""
    beside = vars(event)
    if "_halves" in beside or (body := beside.get("_body")) is None:
        return False
    try:
        plain = _read_plain(body)
        for choice in plain.choices if look else ():
            if text := bytes(choice.logprobs):
                _read_tokens(text)
    except UNREADABLE:
        return False
    return True


class _Choice:
    """One choice so far."""

    __slots__ = (
        "_beside",
        "_content",
        "_function",
        "_further",
        "_has_thoughts",
        "_logprobs",
        "_mirrored",
        "_parts",
        "_reasoning",
        "_refusal",
        "_role",
        "_spelled",
        "_told",
        "_told_beside",
        "_tool_call_id",
        "_tool_calls",
        "append",
        "around",
        "finish_reason",
        "index",
        "is_message",
    )

    def __init__(self, index: int) -> None:
        self.index = index
        self.around = 0  # the length of a chunk with nothing but text, without that
        self.finish_reason: str | None = None
        self._role: str | None = None
        self._content = TextPieces()
        self.append = self._content.pieces.append
        self._reasoning: TextPieces | None = None  # as rare as what follows: not made for every stream
        self._refusal: TextPieces | None = None
        self._has_thoughts = False  # whether `reasoning_content` was there, if only as an empty text
        self._spelled = False  # whether some of it was called `reasoning_content`,
        self._mirrored = True  # and none of it `reasoning`
        self._tool_call_id: str | None = None
        self._tool_calls: ToolCalls | None = None
        self._function: ToolCalls | None = None
        self._logprobs: list[ChatCompletionOutputLogprobs] | None = None
        self._further: MemberFold | None = None
        self._beside: MemberFold | None = None
        self._parts: MemberFold | None = None
        self._told: dict[str, Any] = {}  # what the message's fields do not take of what was sent for them,
        self._told_beside: dict[str, Any] = {}  # and the choice's
        self.is_message = False

    def learn(self, length: int, text: str) -> bool:
        """Remember how long a chunk is without its text, if that is written as it is; whether it is."""
        if len(_encode(text)) != len(text) + 2:
            return False
        self.around = length - len(text)
        return True

    @property
    def waits(self) -> bool:
        """Whether its text stopped inside a character."""
        return bool(self._content.half)

    def add(
        self, choice: ChatCompletionStreamOutputChoice, shown: ChatCompletionStreamOutputChoice, sent: dict[str, Any]
    ) -> bool:
        """Take a choice's part of a chunk. `shown`: the same as the caller sees it; `sent`: the same as it came.

        Returns whether there was something new in it beside its fields.
        """
        delta = choice.delta
        given = sent.get("delta")
        given = given if isinstance(given, dict) else {}
        self._take_texts(delta, shown.delta)
        if delta.tool_calls is not None:
            calls = _each(given.get("tool_calls"), len(delta.tool_calls))
            self._tool_calls = self._tool_calls or ToolCalls()
            self._tool_calls.add(delta.tool_calls, shown.delta.tool_calls or [], calls)
        if choice.logprobs is not None:
            _hold(choice.logprobs, sent.get("logprobs"))
            self._logprobs = _with(self._logprobs, choice.logprobs)
        if sent and choice.finish_reason is None:
            choice.finish_reason = shown.finish_reason = _reason_beside(given, sent)
        if choice.finish_reason and not (self.finish_reason in _CALLS and choice.finish_reason == "stop"):
            self.finish_reason = choice.finish_reason
        if delta.role and self._role is None:
            self._role = delta.role
        if delta.tool_call_id is not None:
            self._tool_call_id = delta.tool_call_id
        if not sent:
            return False
        self._told.update(odd_members(delta, given))
        self._told_beside.update(odd_members(choice, {name: sent[name] for name in _SAID_OF_CHOICE & sent.keys()}))
        return self._take_others(delta, shown.delta, given, sent)

    def _take_others(
        self,
        delta: ChatCompletionStreamOutputDelta,
        shown: ChatCompletionStreamOutputDelta,
        given: dict[str, Any],
        sent: dict[str, Any],
    ) -> bool:
        """Take what no field holds, or holds otherwise than it came; whether there was something new in it."""
        if isinstance(given.get("function_call"), dict) and any(map(given["function_call"].get, ("name", "arguments"))):
            self._take_function(given["function_call"])
        message = sent.get("message")
        if message is not None and not (delta.content or delta.tool_calls or delta.reasoning):
            message = {"content": message} if isinstance(message, str) else message
            if not isinstance(message, dict):
                raise msgspec.ValidationError("Expected `object` - at `$.choices[0].message`")
            self._take_message(message, shown)
            self.is_message = True
        elif not given:
            self._take_beside(shown, sent)
        if isinstance(given.get("content"), list):
            self._parts = self._parts or MemberFold(pieces=True)
            self._parts.add({"content": given["content"]})
        more = {
            name: value
            for name, value in given.items()
            if name not in ChatCompletionStreamOutputDelta.__struct_fields__
        }
        if more:
            shown.hold(repair_all_surrogates(more))
        return self._keep(given, sent)

    def _take_texts(self, delta: ChatCompletionStreamOutputDelta, shown: ChatCompletionStreamOutputDelta) -> None:
        if delta.content is not None:
            shown.content = self._content.take(delta.content)
        if delta.reasoning is not None:
            self._reasoning = self._reasoning or TextPieces()
            if delta.reasoning_content:
                self._spelled = True
            self._mirrored = self._mirrored and delta.reasoning is delta.reasoning_content
            shown.reasoning = self._reasoning.take(delta.reasoning)
            if delta.reasoning_content is not None:
                shown.reasoning_content = shown.reasoning
        elif delta.reasoning_content is not None:
            self._has_thoughts = True
        if delta.refusal is not None:
            self._refusal = self._refusal or TextPieces()
            shown.refusal = self._refusal.take(delta.refusal)

    def _take_beside(self, shown: ChatCompletionStreamOutputDelta, sent: dict[str, Any]) -> None:
        """Take what a choice says itself, in place of a delta."""
        if isinstance(sent.get("text"), str):
            shown.content = self._content.take(sent["text"])
        elif sent.keys() & _OF_DELTA:
            delta = convert(sent, ChatCompletionStreamOutputDelta)
            self._take_texts(delta, shown)
            if delta.tool_calls:
                shown.tool_calls = delta.tool_calls
                self._tool_calls = self._tool_calls or ToolCalls()
                calls = _each(sent.get("tool_calls"), len(delta.tool_calls))
                self._tool_calls.add(delta.tool_calls, delta.tool_calls, calls)

    def _take_function(self, sent: dict[str, Any]) -> None:
        """The one call of a server that knows no tools: a tool call with an id of ours."""
        self._function = self._function or ToolCalls()
        function = convert(sent, ChatCompletionStreamOutputFunction)
        piece = ChatCompletionStreamOutputDeltaToolCall(index=0, id="0", function=function)
        self._function.add([piece], [piece], [{}])

    def _take_message(self, sent: dict[str, Any], shown: ChatCompletionStreamOutputDelta) -> None:
        """A whole message: it takes the place of what came, and `shown` gets what is new in it.

        Raises `msgspec.ValidationError` for one that a plain answer could not have.
        """
        message = convert(sent, ChatCompletionOutputMessage)
        if message.content or (message.content is not None and not self._content.pieces):
            shown.content = self._content.follow(message.content)
        if isinstance(sent.get("content"), list):
            self._parts = MemberFold(pieces=True)
            self._parts.add({"content": sent["content"]})
        if message.reasoning:
            self._reasoning = self._reasoning or TextPieces()
            shown.reasoning = self._reasoning.follow(message.reasoning)
            if message.reasoning_content:
                self._spelled, shown.reasoning_content = True, shown.reasoning
            self._mirrored = self._mirrored and message.reasoning is message.reasoning_content
        if message.refusal:
            self._refusal = self._refusal or TextPieces()
            shown.refusal = self._refusal.follow(message.refusal)
        self._has_thoughts |= message.reasoning_content is not None
        self._role = message.role
        self._tool_call_id = message.tool_call_id or self._tool_call_id
        pieces = [_piece_of(call) for call in message.tool_calls or []]
        if pieces:
            shown.tool_calls = pieces if self._tool_calls is None else None
            self._tool_calls = ToolCalls()
            self._tool_calls.add(pieces, pieces, _each(sent.get("tool_calls"), len(pieces)))
        if message.function_call is not None:
            self._function = None
            self._take_function(sent["function_call"])
        further = {name: value for name, value in sent.items() if name not in _OF_DELTA and value is not None}
        if further:
            if self._further is None or any(further.values()):
                self._further = MemberFold(pieces=True)
            self._further.add(further)

    def _keep(self, given: dict[str, Any], sent: dict[str, Any]) -> bool:
        """Gather what no field holds; whether that was something new."""
        further = {name: value for name, value in given.items() if name not in _OF_DELTA and name not in _OF_ONE_CHUNK}
        beside = {name: value for name, value in sent.items() if name not in _OF_CHOICE and name not in _OF_ONE_CHUNK}
        fresh = False
        if further:
            self._further = self._further or MemberFold(pieces=True)
            fresh = self._further.add(further)
        if beside:
            self._beside = self._beside or MemberFold(pieces=True)
            fresh |= self._beside.add(beside)
        return fresh

    def result(self) -> ChatCompletionOutputComplete:
        choice = ChatCompletionOutputComplete(
            index=self.index,
            message=self._message(),
            finish_reason=self.finish_reason,
            logprobs=self._all_logprobs(),
        )
        if self._beside is not None:
            choice.hold(self._beside.result())
        if self._told_beside:
            choice.tell(self._told_beside)
        return choice

    def _message(self) -> ChatCompletionOutputMessage:
        tool_calls = self._tool_calls.result() if self._tool_calls is not None else None
        content = self._content.whole()
        reasoning = self._reasoning.whole() or None if self._reasoning is not None else None
        further = self._further.result() if self._further is not None else {}
        of_fields = {name: further.pop(name, None) for name in _OF_MESSAGE}
        if isinstance(further.get("name"), str):
            of_fields["name"] = further.pop("name")
        message = ChatCompletionOutputMessage(
            role=self._role or "assistant",
            # With tool calls a plain answer's content is null, where many streams begin with an empty piece.
            content=content if content or (self._content.pieces and (self.is_message or not tool_calls)) else None,
            reasoning=reasoning,
            # DeepSeek wants even an empty one back: https://api-docs.deepseek.com/guides/thinking_mode
            reasoning_content=reasoning if self._spelled else "" if self._has_thoughts and not reasoning else None,
            refusal=self._refusal.whole() or None if self._refusal is not None else None,
            tool_call_id=self._tool_call_id,
            tool_calls=tool_calls,
            function_call=self._function_call(),
            **of_fields,
        )
        message.hold(further)
        _tell(message, self._told)
        if self._spelled and self._mirrored:
            message.mirror()
        if self._parts is not None:
            message.tell({"content": _with_rest(self._parts.result()["content"], content)})
        return message

    def _function_call(self) -> ChatCompletionOutputFunctionDefinition | None:
        calls = self._function.result() if self._function is not None else None
        return calls[0].function if calls else None

    def _all_logprobs(self) -> ChatCompletionOutputLogprobs | None:
        if not self._logprobs:
            return None
        logprobs = ChatCompletionOutputLogprobs(
            content=_flat([part.content for part in self._logprobs]),
            refusal=_flat([part.refusal for part in self._logprobs]),
        )
        further: dict[str, Any] = {}
        for name, value in (member for part in self._logprobs if part.held for member in part.held.items()):
            known = further.get(name)
            further[name] = [*known, *value] if isinstance(known, list) and isinstance(value, list) else value
        logprobs.hold(further)
        return logprobs


class ChatFold:
    """Gathers a chat's chunks. `choices`: how many answers were asked for (`n`).

    `unfinished`: the `system_fingerprint`s of servers that may end a whole answer without a finish reason.
    """

    __slots__ = (
        "_choices",
        "_counted",
        "_created",
        "_expected",
        "_fingerprint",
        "_further",
        "_id",
        "_knows_tokens",
        "_model",
        "_object",
        "_plain",
        "_tier",
        "_told",
        "_unfinished",
        "_usage",
    )

    def __init__(self, choices: int = 1, unfinished: Container[object] = frozenset()) -> None:
        self._expected = choices
        self._unfinished = unfinished
        self._choices: dict[int, _Choice] = {}
        self._counted = False  # whether the index of the only choice counts tokens
        self._told: dict[str, Any] = {}  # what the answer's fields do not take of what was sent for them
        self._knows_tokens = False  # that nothing is said of them but what fields hold
        self._id = ""
        self._model = ""
        self._created: int | float | None = None
        self._object: str | None = None
        self._fingerprint: str | None = None
        self._tier: str | None = None
        self._usage: ChatCompletionOutputUsage | None = None
        self._further: MemberFold | None = None
        self._plain: _Choice | None = None  # the only choice so far, once the stream has said what it is

    def add(self, event: ChatCompletionStreamOutput) -> None:
        """Take the next chunk; its cost does not grow with what came before.

        Nearly all have nothing but text for the only choice, and are taken here.
        """
        plain, choices = self._plain, event.choices
        if plain is None or len(choices) != 1 or event.usage is not None:
            return self._add(event)
        choice = choices[0]
        delta = choice.delta
        text = delta.content
        if (
            text is None
            or choice.finish_reason is not None
            or choice.index != plain.index
            or choice.logprobs is not None
            or delta.reasoning is not None
            or delta.tool_calls is not None
            or delta.refusal is not None
        ):
            return self._add(event)
        try:
            length = len(event._body) - plain.around  # type: ignore[attr-defined]
        except AttributeError:  # it was not read from bytes
            return self._add(event)
        if length != len(text) and length + 2 != len(_encode(text)):
            return self._add(event)
        plain.append(text)
        return None

    def _add(self, event: ChatCompletionStreamOutput) -> None:
        plain = _is_plain(event, not self._knows_tokens)
        source, sent = (event, _NOTHING) if plain else event.in_halves()
        parts = [_NOTHING] * len(event.choices) if plain else _each(sent.get("choices"), len(event.choices))
        fresh = not plain and self._keep(sent)
        for choice, shown, part in zip(source.choices, event.choices, parts, strict=True):
            known = self._choice(event, choice)
            fresh |= known.add(choice, shown, part)
            if plain and choice.logprobs is not None:
                self._knows_tokens = True
        if not plain:
            self._told.update(odd_members(source, sent))
            _complete_usage(event, sent)
        if event.usage is not None:
            self._usage = event.usage.after(self._usage)
        self._id = self._id or event.id
        self._model = self._model or event.model
        self._created = self._created or event.created
        self._object = self._object or event.object
        self._fingerprint = self._fingerprint or event.system_fingerprint
        self._tier = self._tier or event.service_tier
        only = next(iter(self._choices.values())) if len(self._choices) == 1 else None
        known_well = only is not None and self._id and self._object != _OLD_OBJECT and not only.waits
        if only is None or not known_well:
            self._plain = None
        elif not fresh and event is source and self._learns(only, event, parts, plain):
            self._plain = only

    def _choice(self, event: ChatCompletionStreamOutput, choice: ChatCompletionStreamOutputChoice) -> _Choice:
        index = 0 if event.object == _OLD_OBJECT else choice.index
        known = self._choices.get(index)
        if known is None and self._counts(event, choice):
            self._counted = True
            known = next(iter(self._choices.values()))
            known.index = 0  # as the plain answer has it
        if known is None:
            known = self._choices[index] = _Choice(index)
        return known

    def _counts(self, event: ChatCompletionStreamOutput, choice: ChatCompletionStreamOutputChoice) -> bool:
        """Whether a new index is but that of the next token: another choice begins with its role and no text."""
        if self._expected != 1 or len(self._choices) != 1 or len(event.choices) != 1 or self._counted:
            return self._counted
        delta, only = choice.delta, next(iter(self._choices.values()))
        begins = delta.role and not (delta.content or delta.tool_calls or delta.reasoning or choice.finish_reason)
        return not only.finish_reason and not begins

    def _keep(self, sent: dict[str, Any]) -> bool:
        further = {name: value for name, value in sent.items() if name not in _OF_CHUNK and name not in _OF_ONE_CHUNK}
        if not further:
            return False
        self._further = self._further or MemberFold(pieces=False)
        return self._further.add(further)

    def _learns(self, only: _Choice, event: ChatCompletionStreamOutput, parts: list[Any], plain: bool) -> bool:
        """Whether the chunk says nothing but its text, so that others can be known by it."""
        body = vars(event).get("_body")
        if body is None or event.usage is not None or len(event.choices) != 1 or event.choices[0].index != only.index:
            return False
        choice = event.choices[0]
        delta = choice.delta
        says_more = (
            choice.finish_reason is not None
            or choice.logprobs is not None
            or delta.reasoning is not None
            or delta.tool_calls is not None
            or delta.refusal is not None
        )
        text: Any = delta.content
        if not plain:
            given = parts[0].get("delta")
            text = given.get("content") if isinstance(given, dict) and not given.get("function_call") else None
        return isinstance(text, str) and text == delta.content and not says_more and only.learn(len(body), text)

    @property
    def unknown(self) -> dict[str, Any]:
        """What was said where nothing of an answer was: members that nobody knows."""
        return {} if self._choices or self._further is None else self._further.result()

    def complete(self, *, marked: bool = False) -> bool:
        """Whether a choice has begun, and every one says why it ended: a server that ignores `n` gives one, as it does
        in a plain answer.

        `marked`: the server has sent its end marker; servers in `unfinished` say no more than that.
        """
        if marked and self._fingerprint in self._unfinished:
            return True
        return bool(self._choices) and all(choice.finish_reason for choice in self._choices.values())

    @property
    def is_whole_answer(self) -> bool:
        """Whether every choice has come as a message, as in a plain answer, which need not say why it ended."""
        return bool(self._choices) and all(choice.is_message for choice in self._choices.values())

    def result(self) -> ChatCompletionOutput:
        """The answer as far as it has come."""
        answer = ChatCompletionOutput(
            choices=[self._choices[index].result() for index in sorted(self._choices)],
            id=self._id,
            created=self._created,
            model=self._model,
            object=self._object.removesuffix(".chunk") if self._object else None,
            system_fingerprint=self._fingerprint,
            service_tier=self._tier,
            usage=self._usage,
        )
        answer.hold(self._further.result() if self._further is not None else {})
        _tell(answer, self._told)
        return answer


def _complete_usage(event: ChatCompletionStreamOutput, sent: dict[str, Any]) -> None:
    """Give the chunk its usage where that is in another place, and the usage what no field of it holds."""
    told = sent.get("usage")
    if event.usage is None:
        event.usage = usage_beside(sent)
    elif isinstance(told, dict):
        event.usage.keep_odd(told)
        if further := told.keys() - set(event.usage.__struct_fields__):
            event.usage.hold(repair_all_surrogates({name: told[name] for name in told if name in further}))


def _tell(output: OpenOutput, told: dict[str, Any]) -> None:
    """Have an output remember what was sent for fields that nothing else has filled."""
    if odd := {name: value for name, value in told.items() if not getattr(output, name)}:
        output.tell(odd)


def _hold(output: OpenOutput, sent: Any) -> None:
    """Have an output and what is in its lists keep what no field of theirs holds, or takes."""
    if not isinstance(sent, dict):
        return
    output.keep_odd(sent)
    if further := {name: value for name, value in sent.items() if name not in output.__struct_fields__}:
        output.hold(repair_all_surrogates(further))
    for name in output.__struct_fields__:
        items, given = getattr(output, name), sent.get(name)
        if isinstance(items, list) and isinstance(given, list) and len(items) == len(given):
            for item, one in zip(items, given, strict=True):
                if isinstance(item, OpenOutput):
                    _hold(item, one)


def _with(items: list[T] | None, item: T) -> list[T]:
    """The list with one more, made with the first."""
    if items is None:
        return [item]
    items.append(item)
    return items


def _reason_beside(given: dict[str, Any], sent: dict[str, Any]) -> Any:
    """Why a choice ended, where that is not said in `finish_reason`: in its delta, in camel case, as gpt-4-vision had
    it, or as Anthropic has it."""
    details = sent.get("finish_details")
    found = [
        given.get("finish_reason"),
        sent.get("finishReason"),
        details.get("type") if isinstance(details, dict) else None,
        None if "finish_reason" in sent else sent.get("stop_reason"),
    ]
    return next((reason for reason in found if isinstance(reason, str) and not is_no_reason(reason)), None)


def _each(sent: Any, count: int) -> list[Any]:
    """As many parts as were decoded, each as it came; {} for each where that cannot be told."""
    found = (numbered(sent) or [sent]) if isinstance(sent, dict) else sent
    found = [part for part in found if isinstance(part, dict)] if isinstance(found, list) else []
    return found if len(found) == count else [{}] * count


def _piece_of(call: ChatCompletionOutputToolCall) -> ChatCompletionStreamOutputDeltaToolCall:
    piece = ChatCompletionStreamOutputDeltaToolCall(
        id=call.id, type=call.type, custom=call.custom, extra_content=call.extra_content
    )
    if call.function is not None:
        piece.function.name, piece.function.arguments = call.function.name, call.function.arguments
    return piece


def _with_rest(parts: list[Any], content: str) -> list[Any]:
    """A content in parts, and the text that came after them."""
    texts = [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]
    rest = content.removeprefix("".join(texts))
    return [*parts, {"type": "text", "text": rest}] if rest else parts


def _flat(
    parts: list[list[ChatCompletionOutputLogprob] | None],
) -> list[ChatCompletionOutputLogprob] | None:
    if all(part is None for part in parts):
        return None
    return [token for part in parts if part for token in part]
