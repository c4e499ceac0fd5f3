"""OpenAI's completions as text generation: its parameters, its answers and its stream in TGI's terms.

A provider that has chats alone gets the prompt as one user message. What the dialect lacks is not invented:
no token ids, no prefill.

https://platform.openai.com/docs/api-reference/completions
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Container
from functools import partial
from typing import Any, Final, TypeAlias

import msgspec

from ..errors import DecodeError
from ..protocol.flow import Call, End, Flow, Reply, Request, Send, Stream
from ..protocol.framing import Frame
from ..protocol.json_text import UNREADABLE, has_halves, loads
from ..responses.decode import decode
from ..responses.refusal import EXCERPT_BYTES, error_in_choice, error_in_place_of_answer
from ..schema.rules import NamedSchema
from ..tasks.chat_fold import ChatFold
from ..tasks.chat_types import ChatCompletionOutput, kept
from ..tasks.lenient_types import Kept, Spoken, is_no_reason, text_of
from ..tasks.surrogates import REPLACEMENT
from ..tasks.text import (
    TextFold,
    TextGenerationOutput,
    TextGenerationOutputDetails,
    TextGenerationOutputToken,
    TextGenerationStreamOutput,
    TextGenerationStreamOutputStreamDetails,
)
from . import unrequested_stream
from .bodies import extra, model_of, parameters, post
from .openai_chat import (
    ERROR,
    PIECE,
    PLAIN,
    ChatDialect,
    check_choices,
    decode_chunk,
    framed,
    odd_event,
    raise_error,
    spelled_once,
    unfinished_of,
    write_format,
)

_RENAMED: Final = {"max_new_tokens": "max_tokens"}
_TGI_ONLY: Final = frozenset(
    {
        "adapter_id",
        "decoder_input_details",
        "do_sample",
        "grammar",
        "return_full_text",
        "top_n_tokens",
        "truncate",
        "typical_p",
        "watermark",
    }
)


class CompletionTokens(msgspec.Struct, frozen=True):
    """What a completion cost, in tokens."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class CompletionText(msgspec.Struct, frozen=True):
    """One text, or a piece of it in a stream."""

    text: Spoken[str | list[str] | None] = None
    finish_reason: Kept[str | None] = None
    seed: int | None = None

    @property
    def said(self) -> str | None:
        """The text, in whichever form it came."""
        return self.text if self.text is None or isinstance(self.text, str) else text_of(self.text)


class Completion(msgspec.Struct, frozen=True):
    """An answer, or a chunk of one."""

    choices: list[CompletionText]
    usage: CompletionTokens | None = None


DecodeFrame: TypeAlias = Callable[[Frame], Completion | End | None]
_completion: Final = msgspec.json.Decoder(Completion).decode


def complete(call: Call, url: str, dialect: ChatDialect = PLAIN) -> Flow[str | TextGenerationOutput]:
    """A completion, whole or streamed. `dialect`: that of the provider's chats, whose `schema`, `response_format` and
    `unfinished` hold here, too."""
    body = _body(call, dialect, {"prompt": call.parameters["prompt"]})
    unfinished = dialect.unfinished
    request = post(url, body, stream=call.stream)
    if call.stream:
        return (yield from _streamed(call, request, decode_completion, unfinished))
    reader = _reader(call, decode_completion, unfinished)
    return unrequested_stream.read_unrequested(
        (yield Send(request)), partial(_whole, call), reader.decode, reader.restart, piece=PIECE
    )


def _whole(call: Call, reply: Reply) -> str | TextGenerationOutput:
    answer = decode(reply, Completion)
    if reply.names_error() and (error := error_in_choice(reply.body)) is not None:
        raise error
    if not answer.choices or answer.choices[0].said is None:
        return _chat_whole(call, reply)
    first, usage = answer.choices[0], answer.usage or CompletionTokens()
    return _result(call, first.said or "", first.finish_reason, first.seed, usage.completion_tokens, reply.body)


def complete_as_chat(call: Call, url: str, dialect: ChatDialect = PLAIN) -> Flow[str | TextGenerationOutput]:
    """A completion by a chat model: the prompt is one user message, the answer's content the text."""
    messages = [{"role": "user", "content": call.parameters["prompt"]}]
    body = _body(call, dialect, {"messages": messages})
    request = post(url, body, stream=call.stream)
    if call.stream:
        return (yield from _streamed(call, request, decode_chat_chunk))
    reader = _reader(call, decode_chat_chunk)
    return unrequested_stream.read_unrequested(
        (yield Send(request)), partial(_chat_whole, call), reader.decode, reader.restart, piece=PIECE
    )


def _chat_whole(call: Call, reply: Reply) -> str | TextGenerationOutput:
    answer = kept(decode(reply, ChatCompletionOutput))
    check_choices(answer, reply)
    if not answer.choices or answer.choices[0].message.content is None:
        raise _without_text(reply.body)
    first = answer.choices[0]
    tokens = answer.usage.completion_tokens if answer.usage else None
    return _result(call, first.message.content or "", first.finish_reason, None, tokens, reply.body)


def _body(call: Call, dialect: ChatDialect, asked: dict[str, Any]) -> dict[str, Any]:
    body = {"model": model_of(call), **asked, **_translated(call), "stream": call.stream}
    if isinstance(body.get("response_format"), NamedSchema):
        write_format(body, dialect)
    return {**body, **extra(call)}


def _translated(call: Call) -> dict[str, Any]:
    """The call's parameters under the names of OpenAI's dialect."""
    given = parameters(call)
    given.pop("prompt")
    given.pop("details", None)
    if isinstance(wanted := given.get("grammar"), NamedSchema):  # as vLLM and llama.cpp take it here, too
        del given["grammar"]
        given["response_format"] = wanted
    lost = sorted(name for name in given.keys() & _TGI_ONLY if given[name])
    if lost:
        names = ", ".join(lost)
        warnings.warn(f"{call.provider}'s completions have no {names}; left out", stacklevel=2)
    kept = {name: value for name, value in given.items() if name not in _TGI_ONLY}
    return {_RENAMED.get(name, name): value for name, value in kept.items()}


def _result(
    call: Call, text: str, finish: str | None, seed: int | None, tokens: int | None, body: bytes
) -> str | TextGenerationOutput:
    if not call.parameters.get("details"):
        return text
    finish = None if is_no_reason(finish) else finish
    details = TextGenerationOutputDetails(finish_reason=finish, generated_tokens=tokens, seed=seed)
    output = TextGenerationOutput(generated_text=text, details=details)
    output._body = body  # type: ignore[attr-defined]
    return output


def _without_text(body: bytes) -> DecodeError:
    error = DecodeError("the server answered a completion without a text")
    error.body, error.path = body[:EXCERPT_BYTES], "$.choices"
    return error


def _streamed(
    call: Call, request: Request, read: DecodeFrame, unfinished: frozenset[str] = frozenset()
) -> Flow[str | TextGenerationOutput]:
    reader = _reader(call, read, unfinished)
    answer: str | TextGenerationOutput = yield Stream(
        request=request, framing="sse", decode=reader.decode, fold=reader.restart
    )
    return answer


def _reader(call: Call, read: DecodeFrame, unfinished: frozenset[str] = frozenset()) -> CompletionStream:
    return CompletionStream(
        read, details=bool(call.parameters.get("details")), unfinished=unfinished_of(call, unfinished)
    )


class CompletionStream:
    """One stream's reader, which makes its fold: the usage often comes in a chunk of its own, which is no event."""

    def __init__(self, read: DecodeFrame, *, details: bool, unfinished: Container[object]) -> None:
        self._read = read
        self._empty = partial(TextFold, details, unfinished)
        self._fold = self._empty()

    def restart(self) -> TextFold:
        """The fold of a stream that begins, for the first time or anew."""
        self._fold = self._empty()
        return self._fold

    def decode(self, frame: Frame) -> TextGenerationStreamOutput | End | None:
        """A chunk as a text's event. Raises the error that it is, or `MalformedEventError`."""
        chunk = self._read(frame)
        if chunk is None or isinstance(chunk, End):
            return chunk
        usage = chunk.usage or CompletionTokens()
        self._fold.count(usage.completion_tokens)
        return _event(chunk.choices[0], usage, spelled_once(frame.data)) if chunk.choices else None


def decode_completion(frame: Frame) -> Completion | End | None:
    """A chunk of a streamed completion. Raises the error that it is, or `MalformedEventError`."""
    data = frame.data
    if data.find(ERROR) >= 0 or frame.event == "error":
        raise_error(frame)
    try:
        chunk = _completion(data)
    except UNREADABLE:
        odd = odd_event(frame, Completion, framed)
        if odd is None or isinstance(odd, End):
            return odd
        chunk = odd
    if not chunk.choices and (error := error_in_place_of_answer(data, sure=True)) is not None:
        raise error
    if chunk.choices and chunk.choices[0].text is None and (PIECE in data or b'"message"' in data):
        return decode_chat_chunk(frame)
    return chunk


def decode_chat_chunk(frame: Frame) -> Completion | End | None:
    """A chunk of a streamed chat as a completion's. Raises the error that it is, or `MalformedEventError`."""
    chunk = decode_chunk(frame)
    if chunk is None or isinstance(chunk, End):
        return chunk
    if any(choice.delta.content is None or choice.finish_reason for choice in chunk.choices):
        ChatFold().add(chunk)  # which puts what is in unusual places where it belongs
    used = chunk.usage
    usage = (
        CompletionTokens(prompt_tokens=used.prompt_tokens, completion_tokens=used.completion_tokens) if used else None
    )
    choices = [
        CompletionText(text=choice.delta.content, finish_reason=choice.finish_reason) for choice in chunk.choices[:1]
    ]
    return Completion(choices=choices, usage=usage)


def _text_in(sent: dict[str, Any]) -> Any:
    """What was sent as the text of a chunk's first choice."""
    choice = next(choice for choice in sent["choices"] if isinstance(choice, dict))
    delta = choice.get("delta")
    return choice.get("text") or (delta.get("content") if isinstance(delta, dict) else None)


def _event(choice: CompletionText, usage: CompletionTokens, data: bytes) -> TextGenerationStreamOutput | None:
    text, finish = choice.said or "", choice.finish_reason
    if is_no_reason(finish):
        finish = None
    if not text and not finish:
        return None
    event = TextGenerationStreamOutput(token=TextGenerationOutputToken(text=text))
    if REPLACEMENT in text and has_halves(data):
        event.keep_halves(_text_in(loads(data, halves=True, replace=True)))
    if finish:
        event.details = TextGenerationStreamOutputStreamDetails(
            finish_reason=finish,
            generated_tokens=usage.completion_tokens,
            input_length=usage.prompt_tokens,
            seed=choice.seed,
        )
    event._body = data  # type: ignore[attr-defined]
    return event
