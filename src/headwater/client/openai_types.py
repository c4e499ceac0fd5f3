"""OpenAI's spellings of our tasks: `client.images.generate` and its like, each the task under another name.

The tasks that they map onto say what can be asked; what only OpenAI's client knows goes to the server as
`extra_body`. Nothing is sent from here.

https://platform.openai.com/docs/api-reference
"""

from __future__ import annotations

import binascii
import json
import os
import re
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec
from anyio import to_thread

from ..errors import InvalidParameterError
from ..media.images import encode_image
from ..media.media import Media
from ..providers.media_results import DecodedImage, DecodedImages
from ..providers.openai_transcription import TEXT_FORMATS
from ..responses.json_decoder import convert
from ..schema.pydantic_schema import pydantic_schema
from ..tasks.audio import AutomaticSpeechRecognitionOutput, AutomaticSpeechRecognitionOutputChunk
from ..tasks.image_generation import edit_image
from ..tasks.lenient_types import Unneeded
from ..tasks.output import Output
from ..tasks.text import TextGenerationOutput, TextGenerationStreamOutput

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..engine.facts import Facts

_SIZE: Final = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})\Z")


class _Dumped:
    """What is no `Output`, and says what it holds in the same words; subclasses have a `to_dict`."""

    def to_dict(self) -> dict[str, Any]:
        """What it holds, as `json` writes it."""
        raise NotImplementedError

    def to_json(self, *, indent: int | None = None) -> str:
        """The object as JSON text."""
        return json.dumps(self.to_dict(), indent=indent)

    def model_dump(self, **how: Any) -> dict[str, Any]:
        """`to_dict()` under pydantic's name; with `exclude_none` less what is None. All else says nothing here."""
        plain: dict[str, Any] = _without_nones(self.to_dict()) if how.get("exclude_none") else self.to_dict()
        return plain

    def model_dump_json(self, *, indent: int | None = None, **how: Any) -> str:
        """What `model_dump` gives as JSON text."""
        return json.dumps(self.model_dump(**how), indent=indent)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        return pydantic_schema(cls._taken, lambda value, _: value.to_dict())

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> Any:
        return {"type": "object", "title": cls.__name__}

    @classmethod
    def _taken(cls, value: Any) -> Self:
        if isinstance(value, cls):
            return value
        raise ValueError(f"this is no {cls.__name__}: none is made of its JSON")


def _without_nones(plain: Any) -> Any:
    if isinstance(plain, dict):
        return {name: _without_nones(value) for name, value in plain.items() if value is not None}
    return [_without_nones(value) for value in plain] if isinstance(plain, list) else plain


class GeneratedImage(_Dumped):
    """An image as OpenAI's client has it, and as a PIL image: `image`.

    `url`: where the server said that it is. `revised_prompt`: what the server made of the prompt. Both may be None.
    """

    def __init__(self, drawn: DecodedImage | Image) -> None:
        found = drawn if isinstance(drawn, DecodedImage) else None
        self.image: Image = drawn if found is None else found.image  # type: ignore[assignment]
        self.url = found.url if found else None
        self.revised_prompt = found.revised_prompt if found else None
        self._data = found.data if found else None

    @property
    def b64_json(self) -> str:
        """The image's file in base64: as the server sent it, else as a PNG or JPEG that is made now."""
        data = self._data if self._data is not None else encode_image(self.image)[0]
        return binascii.b2a_base64(data, newline=False).decode()

    def to_dict(self) -> dict[str, Any]:
        """`url`, `b64_json` and `revised_prompt`, as `json` writes them."""
        return {"url": self.url, "b64_json": self.b64_json, "revised_prompt": self.revised_prompt}


class ImagesUsage(Output):
    """What images cost, in tokens, as far as the server says."""

    total_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: Any = None


class ImagesResponse(_Dumped):
    """What `images.generate` gives: `data`, a list of images, `created` in epoch seconds, and `usage` if it is told."""

    def __init__(self, answers: Sequence[DecodedImages | Image]) -> None:
        drawn = [answer for answer in answers if isinstance(answer, DecodedImages)]
        self.created = next((answer.created for answer in drawn if answer.created), None) or int(time.time())
        self.data = [
            GeneratedImage(image)
            for answer in answers
            for image in (answer.images if isinstance(answer, DecodedImages) else [answer])
        ]
        self.facts: Facts | None = next((answer.facts for answer in drawn), None)
        """How the first of the answers came about."""
        self.usage = next((_images_usage(answer.usage) for answer in drawn if isinstance(answer.usage, dict)), None)

    def to_dict(self) -> dict[str, Any]:
        """`created`, `data` and `usage`, as `json` writes them."""
        usage = None if self.usage is None else self.usage.to_dict()
        return {"created": self.created, "data": [image.to_dict() for image in self.data], "usage": usage}


def _images_usage(said: dict[str, Any]) -> ImagesUsage:
    tokens = {
        name: said[name] for name in ("total_tokens", "input_tokens", "output_tokens") if type(said.get(name)) is int
    }
    usage = ImagesUsage(**tokens, input_tokens_details=said.get("input_tokens_details"))
    vars(usage)["_body"] = msgspec.json.encode(said)
    return usage


class SpeechOutput(Media):
    """A sound as OpenAI's client has it: its bytes, with that client's ways of reading and writing them."""

    @property
    def content(self) -> bytes:
        """The bytes."""
        return bytes(self)

    def read(self) -> bytes:
        """The bytes."""
        return bytes(self)

    def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """The bytes in pieces of this size, or in one."""
        size = chunk_size or max(len(self), 1)
        return (self[start : start + size] for start in range(0, len(self), size))

    def write_to_file(self, file: str | os.PathLike[str]) -> None:
        """Write the bytes to a file, over what is there."""
        self.save(file)

    def stream_to_file(self, file: str | os.PathLike[str], *, chunk_size: int | None = None) -> None:
        """Write the sound to a file: all of it is here."""
        self.save(file)

    async def aread(self) -> bytes:
        """`read`, to be awaited."""
        return self.read()

    async def aiter_bytes(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        """`iter_bytes`, to be read asynchronously."""
        for piece in self.iter_bytes(chunk_size):
            yield piece

    async def astream_to_file(self, file: str | os.PathLike[str], *, chunk_size: int | None = None) -> None:
        """`stream_to_file`, to be awaited; a worker thread writes."""
        await to_thread.run_sync(self.save, file)

    def close(self) -> None:
        """Nothing: all of it is here."""

    async def aclose(self) -> None:
        """Nothing: all of it is here."""


class TranscriptionSegment(Output):
    """A piece of what was said, from `start` to `end`, in seconds; a word has a `word` for its `text`."""

    text: str = ""
    word: str | None = None
    start: float | None = None
    end: float | None = None
    id: int | None = None


class TranscriptionVerbose(AutomaticSpeechRecognitionOutput):
    """What was said, as `response_format="verbose_json"` has it; `duration` is in seconds."""

    language: str | None = None
    duration: float | None = None
    segments: list[TranscriptionSegment] | None = None
    words: list[TranscriptionSegment] | None = None


def transcription(heard: Any, form: str | None) -> Any:
    """What was said in the form that was asked for: a text for "text", "srt" and "vtt", an object else."""
    if form in TEXT_FORMATS:
        return heard.text
    if form != "verbose_json" or not isinstance(heard.raw, dict):
        return heard
    raw = heard.raw
    duration = raw.get("duration")
    try:
        seconds = None if duration is None else float(duration)
    except (TypeError, ValueError):
        seconds = None
    language = raw.get("language")
    output = TranscriptionVerbose(
        text=heard.text,
        chunks=heard.chunks,
        language=language if isinstance(language, str) else None,
        duration=seconds,
        segments=_segments(raw.get("segments")) or [_timed(chunk) for chunk in heard.chunks or ()] or None,
        words=_segments(raw.get("words")),
    )
    vars(output).update(vars(heard))
    return output


def _timed(chunk: AutomaticSpeechRecognitionOutputChunk) -> TranscriptionSegment:
    start, end = (*chunk.timestamp, None, None)[:2]
    return TranscriptionSegment(text=chunk.text, start=start, end=end)


def _segments(said: Any) -> list[TranscriptionSegment] | None:
    if not isinstance(said, list):
        return None
    return [_segment(item) for item in said if isinstance(item, dict)]


def _segment(said: dict[str, Any]) -> TranscriptionSegment:
    try:
        segment = msgspec.convert(said, TranscriptionSegment, strict=False)
    except msgspec.ValidationError:
        segment = TranscriptionSegment(text=str(said.get("text", "")))
    vars(segment)["_body"] = msgspec.json.encode(said)
    return segment


class CompletionChoice(Output):
    """A text, or in a stream a piece of it."""

    text: str
    index: int = 0
    finish_reason: str | None = None
    logprobs: Any = None


class CompletionUsage(Output):
    """What a completion cost, in tokens; None where the server did not say."""

    completion_tokens: int | None = None
    prompt_tokens: int | None = None
    total_tokens: int | None = None


class CompletionOutput(Output):
    """What `completions.create` gives, whole or a chunk of a stream. `created` is in seconds since 1970: the server's
    word, or where it says nothing the time of the answer; 0 in a chunk that does not say it."""

    choices: list[CompletionChoice]
    model: str = ""
    id: str = ""
    created: int = 0
    object: str = "text_completion"
    usage: CompletionUsage | None = None


class _Sent(msgspec.Struct):
    """What of a server's own answer, in OpenAI's dialect, a generated text has no place for."""

    id: Unneeded[str] = ""
    model: Unneeded[str] = ""
    created: Unneeded[int] = 0
    usage: CompletionUsage | None = None
    choices: Unneeded[list[dict[str, Any]]] = []


def image_count(n: Any) -> int:
    """How many images. Raises `InvalidParameterError` for what is no number of them."""
    if n is None:
        return 1
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise InvalidParameterError("images.generate: n must be a whole number, 1 or more")
    return n


def image_arguments(
    prompt: str, model: str | None, n: int | None, size: str | None, extra_body: dict[str, Any] | None, more: Any
) -> dict[str, Any]:
    """`images.generate`'s arguments as those of `text_to_image`."""
    if n not in (None, 1):
        raise InvalidParameterError("images.generate: n must be 1; ask once for each image")
    given: dict[str, Any] = {"prompt": prompt, "model": model}
    if size is not None and size != "auto":
        found = _SIZE.match(size)
        if not found:
            raise InvalidParameterError(f"images.generate: size must be like '1024x768', not {size[:40]!r}")
        given |= {"width": int(found[1]), "height": int(found[2])}
    more.pop("response_format", None)  # the answer has both: the image, and its base64
    return _with_extra(given, more, extra_body)


def speech_arguments(
    input: str,  # noqa: A002 - OpenAI's name
    model: str | None,
    voice: str | None,
    extra_body: dict[str, Any] | None,
    more: dict[str, Any],
) -> dict[str, Any]:
    """`audio.speech.create`'s arguments as those of `text_to_speech`."""
    return _with_extra({"text": input, "model": model}, {"voice": voice, **more}, extra_body)


def _file_of(file: Any) -> Any:
    """A file as OpenAI's client takes it: also (name, content) and (name, content, MIME type, ...).

    The name tells what it is, where it has an ending and the content's first bytes tell nothing.
    """
    if not isinstance(file, tuple):
        return file
    if not 2 <= len(file) <= 4:
        raise InvalidParameterError("a tuple as a file is (name, content) or (name, content, type)")
    name, content = file[:2]
    if isinstance(content, bytes | bytearray | memoryview):
        content = BytesIO(content)
    if name is not None and isinstance(content, BytesIO):
        content.name = name
    return content


def transcription_arguments(
    file: Any,
    model: str | None,
    timestamp_granularities: Sequence[str] | None,
    extra_body: dict[str, Any] | None,
    more: dict[str, Any],
) -> dict[str, Any]:
    """`audio.transcriptions.create`'s arguments as those of `automatic_speech_recognition`."""
    given: dict[str, Any] = {"audio": _file_of(file), "model": model}
    if timestamp_granularities:
        given["return_timestamps"] = "word" if "word" in timestamp_granularities else True
    return _with_extra(given, more, extra_body)


def translation_arguments(
    file: Any, model: str | None, extra_body: dict[str, Any] | None, more: dict[str, Any]
) -> dict[str, Any]:
    """`audio.translations.create`'s arguments as those of `audio_translation`."""
    known: dict[str, Any] = {name: more.pop(name) for name in ("prompt", "temperature") if name in more}
    return _with_extra({"audio": _file_of(file), "model": model, **known}, more, extra_body)


def edit_arguments(
    image: Any, prompt: str, model: str | None, extra_body: dict[str, Any] | None, more: dict[str, Any]
) -> dict[str, Any]:
    """`images.edit`'s arguments as those of `edit_image`."""
    if "mask" in more:
        more["mask"] = _file_of(more["mask"])
    images = [_file_of(one) for one in image] if isinstance(image, list) else _file_of(image)
    known = {name: more.pop(name) for name in [*more] if name in edit_image.parameters.__struct_fields__}
    return _with_extra({"image": images, "prompt": prompt, "model": model, **known}, more, extra_body)


def completion_arguments(prompt: str, given: dict[str, Any]) -> dict[str, Any]:
    """`completions.create`'s arguments as those of `text_generation`."""
    if not isinstance(prompt, str):
        raise InvalidParameterError("completions.create: prompt must be one text; ask once for each")
    if given.pop("n", None) not in (None, 1):
        raise InvalidParameterError("completions.create: n must be 1; ask once for each text")
    stop = given.pop("stop", None)
    arguments = {
        "prompt": prompt,
        "details": True,
        "max_new_tokens": given.pop("max_tokens", None),
        "stop": [stop] if isinstance(stop, str) else stop,
        "return_full_text": given.pop("echo", None),
    }
    known = ("model", "frequency_penalty", "seed", "temperature", "top_p", "best_of")
    arguments |= {name: given.pop(name) for name in known if name in given}
    return _with_extra(arguments, given, given.pop("extra_body", None))


def _with_extra(given: dict[str, Any], more: dict[str, Any], extra_body: dict[str, Any] | None) -> dict[str, Any]:
    extra = {name: value for name, value in more.items() if value is not None} | (extra_body or {})
    return {**given, "extra_body": extra} if extra else given


def completion(output: TextGenerationOutput, model: str | None) -> CompletionOutput:
    """A generated text as OpenAI's client has it, with what the server said beside it."""
    details = output.details
    choice = CompletionChoice(text=output.generated_text, finish_reason=details.finish_reason if details else None)
    found = _with_sent(choice, output)
    found.model, found.created = found.model or model or "", found.created or int(time.time())
    if found.usage is None and details is not None and details.generated_tokens is not None:
        found.usage = CompletionUsage(completion_tokens=details.generated_tokens)
    return found


def completion_chunk(event: TextGenerationStreamOutput) -> CompletionOutput:
    """A token of a streamed text as OpenAI's client has it."""
    details = event.details
    text = "" if event.token.special else event.token.text
    found = _with_sent(CompletionChoice(text=text, finish_reason=details.finish_reason if details else None), event)
    if found.usage is None and details is not None and details.generated_tokens is not None:
        found.usage = CompletionUsage(completion_tokens=details.generated_tokens, prompt_tokens=details.input_length)
    return found


def _with_sent(choice: CompletionChoice, output: Output) -> CompletionOutput:
    """The completion of one choice, with what its server sent in OpenAI's dialect, if it spoke that."""
    raw = output.raw
    sent = convert(raw if isinstance(raw, dict) and "choices" in raw else {}, _Sent)
    if sent.choices:
        choice.logprobs = sent.choices[0].get("logprobs")
    found = CompletionOutput(choices=[choice], id=sent.id, model=sent.model, created=sent.created, usage=sent.usage)
    if (body := vars(output).get("_body")) is not None:
        vars(found)["_body"] = body
    return found
