"""Speech recognition in OpenAI's dialect: a file in a form, answered whole or in segments as they are heard.

Where a provider departs is a `Hearing`, which is data. A server that ignores `stream` and answers whole is read as
one that sent all its segments at once. Nothing here looks into the sound.

https://platform.openai.com/docs/api-reference/audio/createTranscription
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import msgspec

from ..flow import Call, Flow, Load, Loaded, Part, Request, Send, Stream
from ..media import kind_of
from ..mime import file_name
from ..tasks.audio import AutomaticSpeechRecognitionOutput
from .arguments import arguments, warn
from .openai import Flows
from .requests import model_of, names_model
from .transcript import TEXTS, Transcript, read_whole
from .urls import TRANSCRIPTIONS, openai_url

_GRANULARITIES: Final = "timestamp_granularities"
_NEVER_STREAMED: Final = frozenset({"srt", "vtt"})
"""Forms whose pieces are no such file themselves."""


class Hearing(msgspec.Struct, frozen=True, kw_only=True):
    """`route`; `takes_urls`: whether an http(s) URL may stand for the file; `lists`: how a list's fields are named, a
    field an item ("name[]"), or None where a list is one field of JSON; `streams`: whether it knows `stream`."""

    route: str = "/v1/audio/transcriptions"
    takes_urls: bool = False
    lists: str | None = "[]"
    streams: bool = False


OPENAI: Final = Hearing(streams=True)
# https://console.groq.com/docs/speech-to-text
GROQ: Final = Hearing(route="/openai/v1/audio/transcriptions")
# https://deepinfra.com/docs/openai_api
DEEPINFRA: Final = Hearing(route="/v1/openai/audio/transcriptions")
# https://docs.together.ai/reference/audio-transcriptions
TOGETHER: Final = Hearing(takes_urls=True, lists=None)
SERVER: Final = Hearing(streams=True)


def hearing(dialect: Hearing) -> Flows:
    """The flow of a provider with this dialect."""
    return partial(_at_provider, dialect=dialect)


def _at_provider(call: Call, dialect: Hearing) -> Flow[AutomaticSpeechRecognitionOutput]:
    return (yield from _transcribe(call, call.base + dialect.route, dialect))


def transcribe_at_url(call: Call) -> Flow[AutomaticSpeechRecognitionOutput]:
    """What is said, from a server's own URL."""
    return (yield from _transcribe(call, openai_url(call.url or call.base, TRANSCRIPTIONS), SERVER))


def _transcribe(call: Call, url: str, dialect: Hearing) -> Flow[AutomaticSpeechRecognitionOutput]:
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
    if not call.stream or form in _NEVER_STREAMED:
        return read_whole((yield Send(request)), by_word=by_word, form=form)
    transcript = Transcript(by_word=by_word, form=form)
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
        return "text/event-stream"
    return "*/*" if form in TEXTS else "application/json"


def _file(source: Any, dialect: Hearing) -> Flow[Part]:
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


def _fields(call: Call, dialect: Hearing) -> dict[str, Any]:
    given = arguments(call)
    del given["audio"]
    generation = dict(given.pop("generation_parameters", {}))
    if "temperature" in generation:
        given.setdefault("temperature", generation.pop("temperature"))
    if generation:
        warn(call, sorted(generation))
    timestamps = given.pop("return_timestamps", False)
    if timestamps:
        given.setdefault("response_format", "verbose_json")
        given.setdefault(_GRANULARITIES, ["segment"] if timestamps is True else ["word"])
    if timestamps == "char":
        warn(call, ["return_timestamps='char' (the words' are asked for)"])
    if call.stream and dialect.streams and given.get("response_format") not in _NEVER_STREAMED:
        given["stream"] = True
    return given


def _parts(fields: dict[str, Any], dialect: Hearing) -> list[Part]:
    parts: list[Part] = []
    for name, value in fields.items():
        if isinstance(value, list | tuple) and dialect.lists is not None:
            named = name.removesuffix(dialect.lists) + dialect.lists
            parts += [Part(name=named, data=_text(item)) for item in value]
        else:
            parts.append(Part(name=name, data=_text(value)))
    return parts


def _text(value: Any) -> bytes:
    """A text as it is; true and false, numbers, lists and objects as JSON says them."""
    return value.encode() if isinstance(value, str) else msgspec.json.encode(value)
