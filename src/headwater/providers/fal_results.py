"""What fal answers with, job or not: an image, a video or a sound by its URL, a transcript, or a refusal.

The models' answers differ in the field that holds the file; each of those is read. Nothing is asked for here but the
file itself, and no job is watched.

https://docs.fal.ai/model-apis/errors and the models' own pages, such as https://fal.ai/models/fal-ai/whisper/api
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from ..errors import ContentRefusedError, ProviderError
from ..media.media import Media
from ..protocol.events import Job
from ..protocol.flow import Flow, Reply, Request, Send
from ..responses import message
from ..responses.decode import decode
from ..responses.refusal import ERROR_BODY_BYTES
from ..tasks.audio import (
    AudioToAudioOutputElement,
    AutomaticSpeechRecognitionOutput,
    AutomaticSpeechRecognitionOutputChunk,
)
from ..tasks.lenient_types import Unneeded
from ..tasks.vision import ImageSegmentationOutputElement
from .jobs import download, download_image, download_sound, no_result

if TYPE_CHECKING:
    from PIL.Image import Image

_ReadResult: TypeAlias = Callable[[Job, Reply], Flow[Any]]

UNCHECKED: Final = "unchecked"
"""In a job's state: its caller switched the safety checker off."""
_VIOLATION: Final = "content_policy_violation"


class _File(msgspec.Struct):
    url: str = ""


class _Pictures(msgspec.Struct):
    images: list[_File] | None = None
    image: _File | None = None
    has_nsfw_concepts: list[bool | None] | None = None


class _Video(msgspec.Struct):
    video: _File


class _Sound(msgspec.Struct):
    audio: _File | None = None
    audio_file: _File | None = None
    text: str | None = None


class _Piece(msgspec.Struct):
    text: Unneeded[str] = ""
    timestamp: list[float | None] | None = None
    start: float | None = None
    end: float | None = None


class _Transcript(msgspec.Struct):
    """`text` and `chunks` are Whisper's names, `output` and `segments` those of others."""

    text: str | None = None
    output: str | None = None
    chunks: list[_Piece] | None = None
    segments: list[_Piece] | None = None


def _read_image(job: Job, reply: Reply) -> Flow[Image]:
    """The first image. One that the safety checker found unsafe is black, and refused here."""
    found = decode(reply, _Pictures)
    file = found.images[0] if found.images else found.image
    if file is None or not file.url:
        raise no_result(reply)
    if found.has_nsfw_concepts and found.has_nsfw_concepts[0] and UNCHECKED not in job.state:
        raise nsfw_error(job, reply)
    return (yield from download_image(file.url))


def nsfw_error(job: Job, reply: Reply) -> ContentRefusedError:
    error = ContentRefusedError(
        f"{job.provider}'s safety checker blackened the image of job {job.id}; some models can be asked without it:"
        " extra_body={'enable_safety_checker': False}"
    )
    error.code = "has_nsfw_concepts"
    error.text = reply.body[:ERROR_BODY_BYTES].decode(errors="replace")
    return error


def _read_video(job: Job, reply: Reply) -> Flow[Media]:
    url = decode(reply, _Video).video.url
    if not url:
        raise no_result(reply)
    return (yield from download(url, "video"))


def read_sound(reply: Reply) -> Flow[Media]:
    """The sound that an answer names."""
    return (yield from _sound(decode(reply, _Sound), reply))


def _sound(found: _Sound, reply: Reply) -> Flow[Media]:
    file = found.audio_file or found.audio
    if file is None or not file.url:
        raise no_result(reply)
    return (yield from download_sound(file.url))


def read_audio(job: Job, reply: Reply) -> Flow[list[AudioToAudioOutputElement]]:
    """One sound, labelled with the words in it where the model says them."""
    found = decode(reply, _Sound)
    media = yield from _sound(found, reply)
    return [AudioToAudioOutputElement(label=found.text or "speech", blob=media, content_type=media.mime_type)]


def read_mask(job: Job, reply: Reply) -> Flow[list[ImageSegmentationOutputElement]]:
    """One mask, which has neither a label nor a score here."""
    mask = yield from _read_image(job, reply)
    return [ImageSegmentationOutputElement(label="mask", mask=mask)]


RESULT_READERS: Final[Mapping[str, _ReadResult]] = {
    "audio-to-audio": read_audio,
    "image-segmentation": read_mask,
    "image-text-to-image": _read_image,
    "image-text-to-video": _read_video,
    "image-to-image": _read_image,
    "image-to-video": _read_video,
    "text-to-audio": lambda job, reply: read_sound(reply),
    "text-to-image": _read_image,
    "text-to-video": _read_video,
}
"""By the task's name: how the answer of its job is read."""


def read_transcript(reply: Reply) -> AutomaticSpeechRecognitionOutput:
    """What was said, and when."""
    found = decode(reply, _Transcript)
    text = found.text if found.text is not None else found.output
    if text is None:
        raise no_result(reply)
    pieces = found.chunks if found.chunks is not None else found.segments
    output = AutomaticSpeechRecognitionOutput(text=text, chunks=[_chunk(piece) for piece in pieces or ()] or None)
    vars(output)["_body"] = reply.body
    return output


def _chunk(piece: _Piece) -> AutomaticSpeechRecognitionOutputChunk:
    timestamp = piece.timestamp if piece.timestamp is not None else [piece.start, piece.end]
    return AutomaticSpeechRecognitionOutputChunk(text=piece.text, timestamp=timestamp)


def as_content_refusal(refused: ProviderError) -> ProviderError:
    """The refusal; where one of its details is of the type of a violated policy, as that of the content."""
    value = message.parse(refused.text.encode())
    details = value.get("detail") if isinstance(value, dict) else None
    items = details if isinstance(details, list) else []
    if not any(isinstance(item, dict) and item.get("type") == _VIOLATION for item in items):
        return refused
    error = ContentRefusedError(*refused.args)
    vars(error).update(vars(refused), code=_VIOLATION, retryable=False)
    return error


def ask(request: Request) -> Flow[Reply]:
    """Send it; refusals have the class that their details tell."""
    try:
        reply: Reply = yield Send(request)
    except ProviderError as refused:
        raise as_content_refusal(refused) from None
    return reply
