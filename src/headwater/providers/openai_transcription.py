"""Speech recognition in OpenAI's dialect: a file in a form, answered whole or in segments as they are heard.

Where a provider departs is a `TranscriptionDialect`, which is data. A server that ignores `stream` and answers whole
is read as one that sent all its segments at once. Nothing here looks into the sound.

Translations into English are the same at another route.

https://platform.openai.com/docs/api-reference/audio/createTranscription and
https://platform.openai.com/docs/api-reference/audio/createTranslation
"""

from __future__ import annotations

from typing import Any, Final, Self

import msgspec

from ..errors import MalformedEventError, UnexpectedContentError
from ..media.mime import file_name
from ..media.source import kind_of
from ..protocol.flow import END, Call, End, Flow, Load, Loaded, Part, Reply, Request, Send, Stream
from ..protocol.framing import DONE, EVENT_STREAM, WHOLE, Frame, frames_of
from ..protocol.json_text import UNREADABLE, opening
from ..protocol.json_value import encoded, once_read
from ..protocol.lazy import lazy_pattern
from ..responses import json_decoder
from ..responses.decode import decode, unreadable
from ..responses.message import is_html
from ..responses.refusal import EXCERPT_BYTES, error_in_body, error_in_place_of_answer
from ..tasks.audio import AutomaticSpeechRecognitionOutput, AutomaticSpeechRecognitionOutputChunk
from ..tasks.lenient_types import Needed, Unneeded
from .bodies import arguments, model_of, names_model, warn_left_out
from .unrequested_stream import folded

TEXT_FORMATS: Final = frozenset({"text", "srt", "vtt"})
"""The forms of an answer that are no JSON."""
_NULL: Final = b"null"


class _Piece(msgspec.Struct):
    """A segment has a `text`, a word a `word`."""

    text: Unneeded[str] = ""
    word: Unneeded[str] = ""
    start: float | None = None
    end: float | None = None


class _Whole(msgspec.Struct):
    text: str
    segments: list[_Piece] | None = None
    words: list[_Piece] | None = None


class _Event(msgspec.Struct):
    type: Unneeded[str] = ""
    delta: Needed[str | None] = None
    text: Needed[str | None] = None
    start: float | None = None
    end: float | None = None
    segments: list[_Piece] | None = None


def _chunk(text: str, start: float | None, end: float | None) -> AutomaticSpeechRecognitionOutputChunk:
    return AutomaticSpeechRecognitionOutputChunk(text=text, timestamp=[start, end])


def read_whole(reply: Reply, *, by_word: bool, form: str | None = None) -> AutomaticSpeechRecognitionOutput:
    """A whole answer; `by_word`: the words' times rather than the segments', where the server says both.

    `form`: what was asked for, of which one of `TEXT_FORMATS` is the result's `text` as it was sent.
    """
    if form in TEXT_FORMATS:
        return _in_form(reply, str(form))
    if "json" not in reply.content_type and opening(reply.body) != "{":
        return _plain(reply)
    found = decode(reply, _Whole)
    pieces = (found.words if by_word else None) or found.segments or found.words
    chunks = [_chunk(piece.text or piece.word, piece.start, piece.end) for piece in pieces or ()]
    output = AutomaticSpeechRecognitionOutput(text=found.text, chunks=chunks or None)
    vars(output)["_body"] = reply.body
    return output


def _plain(reply: Reply) -> AutomaticSpeechRecognitionOutput:
    """An answer in text, SRT or VTT, as `response_format` can ask for."""
    if is_html(reply.content_type, reply.body) or not reply.content_type.startswith("text/"):
        raise unreadable(reply, ValueError(reply.content_type))
    return AutomaticSpeechRecognitionOutput(text=reply.body.decode(errors="replace").removesuffix("\n"))


_ARROW: Final = " --> "
"""What every cue of subtitles has."""


def _in_form(reply: Reply, form: str) -> AutomaticSpeechRecognitionOutput:
    """An answer in text, SRT or VTT, whatever it is called (whisper.cpp's server calls a text a page); some servers
    write that as a text of JSON, or into JSON's `text`."""
    body = reply.body.lstrip()
    if is_html("", body) or not body:
        raise unreadable(reply, ValueError(reply.content_type))
    if body[:1] == b"{":
        whole = decode(reply, _Whole)
        if form == "text" or _ARROW in whole.text:
            return AutomaticSpeechRecognitionOutput(text=whole.text)
        error = UnexpectedContentError(f"the server was asked for {form}, and answered with JSON: it may not know it")
        error.body = reply.body[:EXCERPT_BYTES]
        raise error
    text = (
        decode(reply, str) if body[:1] == b'"' and "json" in reply.content_type else reply.body.decode(errors="replace")
    )
    return AutomaticSpeechRecognitionOutput(text=text)


class Transcript:
    """One stream's reader and fold in one: its `done` event has the whole text, which the segments may not."""

    def __init__(self, *, by_word: bool, form: str | None = None) -> None:
        self._by_word = by_word
        self._form = form
        self.restart()

    def restart(self) -> Self:
        """Forget what was read: a stream that failed before its first segment is asked for anew."""
        self._seen = False
        self._text: str | None = None
        self._output: AutomaticSpeechRecognitionOutput | None = None
        self._chunks: list[AutomaticSpeechRecognitionOutputChunk] = []
        return self

    # -- reading

    def decode(self, frame: Frame) -> AutomaticSpeechRecognitionOutputChunk | End | None:
        """An event as the segment that it brings. Raises the error that it is, or `MalformedEventError`."""
        if frame.event in WHOLE:
            return self._whole(frame)
        data = frame.data.strip()
        if not data or data in (DONE, _NULL):
            return END if data == DONE else None
        if (b'"error"' in data or frame.event == "error") and (error := error_in_body(data, event=frame.event)):
            raise error
        if self._form == "text" and data[:1] != b"{":
            return self._heard(frame.data.decode(errors="replace"))
        event = _event(data)
        kind = event.type or frame.event
        if kind == "transcript.text.done":
            self._text = event.text
            return END if self._seen else self._heard(event.text)
        if event.delta is None and event.text is None:
            if (error := error_in_place_of_answer(data, sure=bool(event.type))) is not None:
                raise error
            return None  # usage, keep-alives, what is new
        return self._heard(event.text if event.delta is None else event.delta, *_times(event))

    def _heard(
        self, text: str | None, start: float | None = None, end: float | None = None
    ) -> AutomaticSpeechRecognitionOutputChunk:
        self._seen = True
        return _chunk(text or "", start, end)

    def _whole(self, frame: Frame) -> AutomaticSpeechRecognitionOutputChunk:
        """An answer that is no stream, as one segment."""
        reply = Reply(status=200, headers={"content-type": frame.event}, body=frame.data)
        self._output = output = read_whole(reply, by_word=self._by_word, form=self._form)
        times = [chunk.timestamp for chunk in output.chunks or ()] or [[None, None]]
        return self._heard(output.text, times[0][0], times[-1][1])

    # -- folding

    def add(self, event: AutomaticSpeechRecognitionOutputChunk) -> None:
        """Take the next segment."""
        self._chunks.append(event)

    def complete(self, *, marked: bool = False) -> bool:
        """Whether the server has said the whole text, or that it was the last segment."""
        return marked or self._text is not None or self._output is not None

    def result(self) -> AutomaticSpeechRecognitionOutput:
        """What was heard so far."""
        if self._output is not None:
            return self._output
        timed = [chunk for chunk in self._chunks if chunk.timestamp[0] is not None]
        return AutomaticSpeechRecognitionOutput(text=self._text or self._joined(), chunks=timed or None)

    def _joined(self) -> str:
        """Deltas bring their blanks along; segments with times may not."""
        text = ""
        for chunk in self._chunks:
            is_segment = chunk.timestamp[0] is not None
            needs_blank = is_segment and text and not text[-1].isspace() and not chunk.text[:1].isspace()
            text += f" {chunk.text}" if needs_blank else chunk.text
        return text.strip()


def _event(data: bytes) -> _Event:
    try:
        return json_decoder.decode_json(data, _Event)
    except UNREADABLE as failure:
        error = MalformedEventError(f"an event of the stream cannot be read: {failure}")
        error.body = data[:EXCERPT_BYTES]
        raise error from None


def _times(event: _Event) -> tuple[float | None, float | None]:
    """The event's own times; or its segments', which faster-whisper-server sends as `verbose_json`."""
    pieces: list[Any] = [event] if event.start is not None else list(event.segments or ())
    return (pieces[0].start, pieces[-1].end) if pieces else (None, None)


_GRANULARITIES: Final = "timestamp_granularities"
_NEVER_STREAMED: Final = frozenset({"srt", "vtt"})
"""Forms whose pieces are no such file themselves."""


class TranscriptionDialect(msgspec.Struct, frozen=True, kw_only=True):
    """Where a provider departs. `takes_urls`: whether an http(s) URL may stand for the file; `lists`: how a list's
    fields are named, a field an item ("name[]"), or None where a list is one field of JSON; `streams`: whether it
    knows `stream`; `grained`: whether it is told of which pieces times are wanted, which translations are not."""

    takes_urls: bool = False
    lists: str | None = "[]"
    streams: bool = False
    grained: bool = True


_EVENTS: Final = lazy_pattern(rb"\s*(?:event: ?transcript|data: ?\{)")


def transcribe(call: Call, url: str, dialect: TranscriptionDialect) -> Flow[AutomaticSpeechRecognitionOutput]:
    """What is said in a sound, from this URL."""
    fields = _fields(call, dialect)
    form = str(fields["response_format"]) if "response_format" in fields else None
    file = yield from _file(call.parameters["audio"], dialect)
    by_word = call.parameters.get("return_timestamps") in ("word", "char")
    request = Request(
        method="POST",
        url=url,
        headers={"accept": _accepted(fields, form)},
        body=(file, *_parts(fields, dialect), *_model(call)),
    )
    transcript = Transcript(by_word=by_word, form=form)
    if not call.stream or form in _NEVER_STREAMED:
        reply: Reply = yield Send(request)
        if form not in TEXT_FORMATS and (reply.content_type == EVENT_STREAM or _EVENTS.match(reply.body)):
            return folded(frames_of(reply.body), transcript.decode, transcript.restart())
        return read_whole(reply, by_word=by_word, form=form)
    answer: AutomaticSpeechRecognitionOutput = yield Stream(
        request=request,
        framing="sse",
        decode=transcript.decode,
        fold=transcript.restart,
        finish="marked" if call.url is None else "closed",  # OpenAI says when it is done; some servers only stop
        whole=True,
    )
    return answer


def _accepted(fields: dict[str, Any], form: str | None) -> str:
    if fields.get("stream") is True:
        return EVENT_STREAM
    return "*/*" if form in TEXT_FORMATS else "application/json"


def _file(source: Any, dialect: TranscriptionDialect) -> Flow[Part]:
    is_url = dialect.takes_urls and kind_of(source) == "url"
    loaded: Loaded = yield Load(source=source, keep_url=is_url, streamed=True)
    if loaded.url is not None:
        return Part(name="file", data=loaded.url.encode())
    name = file_name(loaded.name, loaded.mime_type, "audio")
    named = name if "." in name else f"{name}.wav"  # a server tells by the ending what to decode
    return Part(name="file", data=loaded, filename=named, mime_type=loaded.mime_type)


def _model(call: Call) -> tuple[Part, ...]:
    if "model" in call.extra or not names_model(call):
        return ()  # it is among the fields, or a server of one model; one of several would look for the placeholder
    return (Part(name="model", data=model_of(call).encode()),)


def _fields(call: Call, dialect: TranscriptionDialect) -> dict[str, Any]:
    given = arguments(call)
    del given["audio"]
    generation = dict(given.pop("generation_parameters", {}))
    if "temperature" in generation:
        given.setdefault("temperature", generation.pop("temperature"))
    if generation:
        warn_left_out(call, sorted(generation))
    timestamps = given.pop("return_timestamps", False)
    if timestamps:
        given.setdefault("response_format", "verbose_json")
        if dialect.grained:
            given.setdefault(_GRANULARITIES, ["segment"] if timestamps is True else ["word"])
    if timestamps == "char":
        warn_left_out(call, ["return_timestamps='char' (the words' are asked for)"])
    if call.stream and dialect.streams and given.get("response_format") not in _NEVER_STREAMED:
        given["stream"] = True
    return given


def _parts(fields: dict[str, Any], dialect: TranscriptionDialect) -> list[Part]:
    parts: list[Part] = []
    for name, value in fields.items():
        if isinstance(value, list | tuple) and dialect.lists is not None:
            named = name.removesuffix(dialect.lists) + dialect.lists
            parts += [Part(name=named, data=form_text(item)) for item in value]
        else:
            parts.append(Part(name=name, data=form_text(value)))
    return parts


def form_text(value: Any) -> bytes:
    """A text as it is; true and false, numbers, lists and objects as JSON says them."""
    value = once_read(value)
    return value.encode() if isinstance(value, str) else encoded(value)
