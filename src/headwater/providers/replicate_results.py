"""What a prediction of Replicate's puts out: a file's URL in one of several shapes, or what was heard.

A model's output is as its own schema has it, https://replicate.com/docs/topics/predictions/output-files; the first
URL in it is taken. Nothing is asked for here but the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ..media.media import Media
from ..protocol.events import Job
from ..protocol.flow import Fetch, Flow, Reply, Request
from ..responses.json_decoder import convert
from ..tasks.audio import AutomaticSpeechRecognitionOutput, AutomaticSpeechRecognitionOutputChunk
from .jobs import download, download_image, download_sound, no_result
from .urls import is_result_url

if TYPE_CHECKING:
    from PIL.Image import Image

_ReadResult: TypeAlias = Callable[[Reply, Any], Flow[Any]]

_HEAR: Final = "automatic-speech-recognition"
_TEXTS: Final = ("translation", "transcription", "text")


def is_whole(job: Job, output: Any) -> bool:
    """Whether the output can be taken although the prediction is said to be running, as is recorded of files.

    A list of texts may be one that grows.
    """
    may_grow = isinstance(output, list) and job.task == _HEAR
    return bool(output) and not may_grow


def _first_file(output: Any, reply: Reply) -> str:
    """The first URL: of the output itself, of a list, or of an object."""
    found = output
    while isinstance(found, list | dict) and found:
        items = list(found.values()) if isinstance(found, dict) else found
        found = next((item for item in items if _may_be_file(item)), None)
    if not isinstance(found, str) or not _may_be_file(found):
        raise no_result(reply)
    return found


def _may_be_file(item: Any) -> bool:
    return isinstance(item, list | dict) or (
        isinstance(item, str) and (is_result_url(item) or item[:5].lower() == "data:")
    )


def _read_image(reply: Reply, output: Any) -> Flow[Image]:
    return (yield from download_image(_first_file(output, reply)))


def _read_video(reply: Reply, output: Any) -> Flow[Media]:
    return (yield from download(_first_file(output, reply), "video"))


def _read_sound(reply: Reply, output: Any) -> Flow[Media]:
    return (yield from download_sound(_first_file(output, reply)))


def _read_transcript(reply: Reply, output: Any) -> Flow[AutomaticSpeechRecognitionOutput]:
    """A text, the pieces of one, or an object with one in it or in a file that it names."""
    given = output if isinstance(output, dict) else {"text": output}
    text = _text(given)
    if text is None and isinstance(given.get("txt_file"), str):
        file: Media = yield Fetch(request=Request(method="GET", url=given["txt_file"]), mime_type="text/plain")
        text = bytes(file).decode(errors="replace")
    if text is None:
        raise no_result(reply)
    pieces = given.get("chunks") or given.get("segments")
    chunks = [_chunk(piece) for piece in pieces if isinstance(piece, dict)] if isinstance(pieces, list) else []
    heard = AutomaticSpeechRecognitionOutput(text=text, chunks=chunks or None)
    vars(heard)["_body"] = reply.body
    return heard


def _text(given: Mapping[str, Any]) -> str | None:
    """A translation goes before what it is of: it is there only where it was asked for."""
    for name in _TEXTS:
        found = given.get(name)
        if isinstance(found, list) and found and all(isinstance(item, str) for item in found):
            return "".join(found)
        if isinstance(found, str):
            return found
    return None


def _chunk(piece: Mapping[str, Any]) -> AutomaticSpeechRecognitionOutputChunk:
    timestamp = piece.get("timestamp") or [piece.get("start"), piece.get("end")]
    given = {"text": str(piece.get("text", "")), "timestamp": timestamp}
    return convert(given, AutomaticSpeechRecognitionOutputChunk)


RESULT_READERS: Final[Mapping[str, _ReadResult]] = {
    _HEAR: _read_transcript,
    "image-to-image": _read_image,
    "text-to-image": _read_image,
    "text-to-speech": _read_sound,
    "text-to-video": _read_video,
}
"""By the task's name: how a prediction's output is read."""
