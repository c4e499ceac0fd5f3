"""OpenAI's audio calls: ``*/audio/transcriptions``, ``*/audio/translations`` (forms) and ``*/audio/speech`` (JSON).

Refuses, in the vendor's shape, what OpenAI refuses: no form, no file, a file that is no sound or has a name that
says so, unknown formats, fields that are no numbers. A voice is required by OpenAI and Together, not by the others.
A name of a model with "sse" in it answers ``stream=true``, which others ignore, as whisper-1 does.
https://platform.openai.com/docs/api-reference/audio
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..wire import Dialect, DialectAnswer, DialectRequest, StreamAnswer, WholeAnswer, event, post, raw
from . import checks, media, multipart
from .checks import FieldRule
from .fal import media_text
from .jobs import asked_for, wishes_of
from .openai import refuse
from .vendors import vendor

FORMATS = ("json", "text", "srt", "verbose_json", "vtt", "diarized_json")
NAMES = re.compile(r".+\.(flac|m4a|mp3|mp4|mpeg|mpga|oga|ogg|wav|webm|aac|opus)", re.IGNORECASE)
STREAMED = re.compile(r"transcribe|sse")
VOICED = frozenset({"openai", "together"})
SPEECH = {
    "model": checks.STRING,
    "input": checks.STRING,
    "voice": FieldRule("string or object"),
    "response_format": checks.STRING,
    "speed": FieldRule("number", 0.25, 4),
    "stream_format": checks.STRING,
    "instructions": checks.STRING,
    "stream": checks.BOOLEAN,
}
SOUNDS = {"mp3": "audio/mpeg", "wav": "audio/wav", "pcm": "audio/pcm", "flac": "audio/flac", "opus": "audio/opus"}
SOUNDS["aac"] = "audio/aac"
PIECE = 1024


def transcribe(call: DialectRequest) -> DialectAnswer:
    form = read(call)
    given, model = texts(form), form["model"].text if "model" in form else ""
    if not model:
        raise checks.missing(call, "model")
    if "missing" in model:
        raise refuse(call, 404, f"The model `{model}` does not exist")
    text = media_text(heard(call, form))
    wish(call, model)
    check(call, given)
    if given.get("stream") == "true" and STREAMED.search(model):
        return StreamAnswer(transcript(text))
    return written(call, given.get("response_format", "json"), text)


def read(call: DialectRequest) -> dict[str, multipart.FormPart]:
    try:
        found = multipart.parts(call.body, call.headers.get("content-type", ""))
    except multipart.UnreadableError as error:
        raise checks.wrong(call, f"Could not parse multipart form: {error}", "file") from None
    return {part.name: part for part in found}


def texts(form: Mapping[str, multipart.FormPart]) -> dict[str, str]:
    return {name: part.text for name, part in form.items() if part.filename is None}


def heard(call: DialectRequest, form: Mapping[str, multipart.FormPart]) -> str:
    """What stands for the sound: its bytes as text, or its URL, which Together takes as well."""
    part = form.get("file")
    if part is None:
        raise checks.missing(call, "file")
    if part.filename is None:
        if vendor(call.path) == "together" and re.match(r"https?://", part.text):
            return part.text
        raise checks.wrong(call, "Invalid file: expected an uploaded file.", "file")
    if not NAMES.fullmatch(part.filename):
        formats = "['flac', 'm4a', 'mp3', 'mp4', 'mpeg', 'mpga', 'oga', 'ogg', 'wav', 'webm']"
        raise checks.wrong(call, f"Invalid file format. Supported formats: {formats}", "file")
    if not media.is_audio(part.data):
        raise checks.wrong(call, "Audio file might be corrupted or unsupported", "file")
    return media.in_base64(part.data)


def check(call: DialectRequest, given: Mapping[str, str]) -> None:
    form = given.get("response_format", "json")
    if form not in FORMATS:
        raise checks.wrong(call, f"Invalid value: {form!r}. Supported values are: {FORMATS}.", "response_format")
    for name in ("temperature",):
        if name in given and not number(given[name]):
            raise checks.wrong(call, f"Invalid type for '{name}': expected a number.", name, "invalid_type")
    if given.get("stream", "false") not in ("true", "false"):
        raise checks.wrong(call, "Invalid type for 'stream': expected a boolean.", "stream", "invalid_type")


def number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def written(call: DialectRequest, form: str, text: str) -> DialectAnswer:
    """The transcript in the format that was asked for; DeepInfra and Together send segments in any case."""
    if form == "text":
        return WholeAnswer(text + "\n", media_type="text/plain; charset=utf-8")
    if form in ("srt", "vtt"):
        head, times = (
            ("1", "00:00:00,000 --> 00:00:01,000") if form == "srt" else ("WEBVTT\n", "00:00.000 --> 00:01.000")
        )
        return WholeAnswer(f"{head}\n{times}\n{text}\n\n", media_type="text/plain; charset=utf-8")
    body: dict[str, Any] = {"text": text}
    if form == "verbose_json" or vendor(call.path) in ("deepinfra", "together"):
        body |= {"task": "transcribe", "language": "english", "duration": 1.0, "segments": segments(text)}
    return WholeAnswer(body)


def segments(text: str) -> list[dict[str, Any]]:
    """Two halves of the text, in the second that everything here lasts."""
    said = text.split()
    half = len(said) // 2
    halves = [" ".join(said[:half]), " ".join(said[half:])]
    return [{"id": i, "start": i / 2, "end": (i + 1) / 2, "text": part} for i, part in enumerate(halves)]


def transcript(text: str) -> Iterator[bytes]:
    for number, word in enumerate(text.split()):
        yield event({"type": "transcript.text.delta", "delta": word if number == 0 else f" {word}"})
    tokens = {"input_tokens": 10, "output_tokens": len(text.split()), "total_tokens": 10 + len(text.split())}
    yield event({"type": "transcript.text.done", "text": text, "usage": {"type": "tokens", **tokens}})


def speak(call: DialectRequest) -> DialectAnswer:
    """Sound in pieces, as it is made; in events where ``stream_format`` is sse. The bytes are a WAV whatever
    format was asked for: nothing here encodes."""
    given = checks.known(call, SPEECH)
    if not given.get("input"):
        raise checks.missing(call, "input")
    if "voice" not in given and vendor(call.path) in VOICED:
        raise checks.missing(call, "voice")
    form = given.get("response_format", "wav" if vendor(call.path) in ("together", "groq") else "mp3")
    if form not in SOUNDS:
        raise checks.wrong(call, f"Invalid value: {form!r}. Supported values are: {tuple(SOUNDS)}.", "response_format")
    wish(call, call.model)
    sound = media.wav(f"{call.model} {given['input']}", 400 * len(given["input"]))
    if given.get("stream_format") == "sse":
        return StreamAnswer(spoken(sound))
    return StreamAnswer((sound[at : at + PIECE] for at in range(0, len(sound), PIECE)), media_type=SOUNDS[form])


def spoken(sound: bytes) -> Iterator[bytes]:
    for at in range(0, len(sound), PIECE):
        yield event({"type": "speech.audio.delta", "audio": media.in_base64(sound[at : at + PIECE])})
    yield event({"type": "speech.audio.done", "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}})


def wish(call: DialectRequest, model: str) -> None:
    """A failure, or a refusal by moderation, if the model's name or the text asks for one."""
    wishes = wishes_of(asked_for(model, call.json))
    if "fail" in wishes:
        raise refuse(call, 500, "The server had an error while processing your request.")
    if "moderated" in wishes:
        raise moderated(call)


def moderated(call: DialectRequest) -> Exception:
    message = "Your request was rejected as a result of our safety system."
    return checks.wrong(call, message, "prompt", "content_policy_violation")


DIALECT = Dialect(
    "speech",
    (
        raw("POST", r"/audio/(transcriptions|translations)$", transcribe),
        post(r"/audio/speech$", speak),
    ),
    refuse,
)
