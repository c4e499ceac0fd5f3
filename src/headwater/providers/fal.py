"""fal: images, videos and sounds as queued jobs, which can be cancelled; speech, both ways, is in `fal_speech`.

The queue has a host of its own; through Hugging Face's router, and at any other base, it is told by a query. Of the
URLs that an answer names only the path is used, at our own base. It refuses states that it does not know.

https://docs.fal.ai/model-apis/model-endpoints/queue
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import msgspec

from ..auth.hosts import HUB_URL
from ..errors import InvalidParameterError, ProviderError, TransportError
from ..media.media import Media
from ..protocol.events import Job, JobEvent, Submitted
from ..protocol.flow import Call, Emit, Flow, OnCancel, Reply, Request, ResumeFlow, Send, Sleep, TaskFlow
from ..responses.decode import decode
from ..tasks.audio import AutomaticSpeechRecognitionOutput
from ..tasks.lenient_types import Unneeded
from .bodies import arguments, join_texts, model_of, post, take_transcript_format, warn_left_out
from .fal_results import RESULT_READERS, UNCHECKED, as_content_refusal, ask, read_sound, read_transcript
from .input_urls import audio_url, image_url
from .jobs import ProgressDeduplicator, failed, job_of, path_of, poll, read_state, segment
from .urls import at_model

_AUDIO: Final = {"audio/wav": "audio/x-wav", "audio/x-wav": "audio/x-wav"} | dict.fromkeys(
    ("audio/webm", "video/webm"), "video/webm"
)
"""fal refuses data URLs of other types (400 "Unsupported data URL", recorded)."""
_OTHER_AUDIO: Final = "audio/mpeg"
"""FLAC by this name is recorded to be taken: the label is checked, not the bytes."""
_LEVELS: Final = {True: "segment", "word": "word"}
"""Whisper's `chunk_level` for `return_timestamps`, https://fal.ai/models/fal-ai/whisper/api."""


def heard_url(call: Call) -> Flow[str]:
    """The call's sound as a URL, under a type that fal takes."""
    return (yield from audio_url(call, _OTHER_AUDIO, _AUDIO, _OTHER_AUDIO))


def text_to_speech(call: Call) -> Flow[Media]:
    """A text, read out; without a queue."""
    reply = yield from ask(post(at_model(call.base, "/", model_of(call)), arguments(call)))
    return (yield from read_sound(reply))


def automatic_speech_recognition(call: Call) -> Flow[AutomaticSpeechRecognitionOutput]:
    """What is said; without a queue."""
    take_transcript_format(call)
    url = yield from heard_url(call)
    given = arguments(call, dropped=frozenset({"generation_parameters"}))
    del given["audio"]
    asked = given.pop("return_timestamps", False)
    if asked in _LEVELS:
        given.setdefault("chunk_level", _LEVELS[asked])
    elif asked:
        warn_left_out(call, [f"return_timestamps={asked!r}"])
    request = post(at_model(call.base, "/", model_of(call)), {"audio_url": url, **given})
    return read_transcript((yield from ask(request)))


_JOBS: Final = "requests"
BASE: Final = "https://fal.run"
QUEUE: Final = "https://queue.fal.run"
_AT_QUEUE: Final = "_subdomain=queue"

_LORA: Final = "fal-ai/lora"
_LORA_BASE: Final = "stabilityai/stable-diffusion-xl-base-1.0"
"""`fal-ai/lora` has no base model of its own."""

_SHORTEST, _LONGEST = 0.1, 1.0
"""Seconds between two questions; it grows by the shortest each time."""


class _Submitted(msgspec.Struct):
    request_id: str
    response_url: Unneeded[str] = ""


class _Line(msgspec.Struct):
    message: str | None = None


class _Status(msgspec.Struct):
    status: str = ""
    queue_position: int | None = None
    logs: list[_Line] | None = None
    error: Any = None
    error_type: str | None = None


# What is asked of it


def text_to_image(call: Call) -> Flow[Any]:
    """An image of a text."""
    given = _sized(call, arguments(call))
    if call.adapter is not None and call.model == _LORA:
        given.setdefault("model_name", _LORA_BASE)
    return (yield from _submit(call, given))


def text_to_video(call: Call) -> Flow[Any]:
    """A video of a text."""
    return (yield from _submit(call, arguments(call)))


def image_to_image(call: Call) -> Flow[Any]:
    """An image of an image; some models read `image_url`, others `image_urls`."""
    url = yield from image_url(call, "image/jpeg")
    return (yield from _submit(call, {"image_url": url, "image_urls": [url], **_beside_image(call)}))


def image_to_video(call: Call) -> Flow[Any]:
    """A video that begins with an image."""
    url = yield from image_url(call, "image/jpeg")
    return (yield from _submit(call, {"image_url": url, **_beside_image(call)}))


def image_text_to_image(call: Call) -> Flow[Any]:
    """An image of an image, a text, or both.

    Without an image fal's own id is that of the model without its way of editing: fal-ai/flux-2 for
    fal-ai/flux-2/edit. The router knows the mapped id alone.
    """
    if "image" in call.parameters:
        return (yield from image_to_image(call))
    owner, _, rest = model_of(call).partition("/")
    name, _, _ = rest.rpartition("/")
    model = f"{owner}/{name}" if name and not call.routed else model_of(call)
    return (yield from _submit(call, _beside_image(call), model))


def image_text_to_video(call: Call) -> Flow[Any]:
    """A video of an image, a text, or both.

    The id stays, image or not: fal's endpoints of this kind take prompts alone, and their parents are none
    (https://github.com/huggingface/huggingface.js, packages/inference/test/fal-ai.spec.ts).
    """
    if "image" in call.parameters:
        return (yield from image_to_video(call))
    return (yield from _submit(call, _beside_image(call)))


def image_segmentation(call: Call) -> Flow[Any]:
    """The mask of an image, in the answer itself."""
    url = yield from image_url(call, "image/png")
    return (yield from _submit(call, {"image_url": url, "sync_mode": True, **_beside_image(call)}))


def audio_to_audio(call: Call) -> Flow[Any]:
    """A sound of a sound."""
    url = yield from heard_url(call)
    given = arguments(call)
    del given["audio"]
    return (yield from _submit(call, {"audio_url": url, **given}))


def text_to_audio(call: Call) -> Flow[Any]:
    """A sound of a text."""
    dropped = frozenset({"generation_parameters"})
    return (yield from _submit(call, arguments(call, renamed={"text": "prompt"}, dropped=dropped)))


def _beside_image(call: Call) -> dict[str, Any]:
    renamed = {"target_size": "image_size"} if call.task.endswith("to-image") else {}
    given = arguments(call, renamed=renamed)
    given.pop("image", None)
    return given


def _sized(call: Call, given: dict[str, Any]) -> dict[str, Any]:
    """Width and height as one `image_size`; one side alone stays, for the models that know it."""
    if "width" in given and "height" in given:
        size = {"width": given.pop("width"), "height": given.pop("height")}
        if "image_size" in given:
            warn_left_out(call, ["width", "height"])
        given.setdefault("image_size", size)
    return given


# The queue


def _submit(call: Call, body: dict[str, Any], model: str | None = None) -> Flow[Any]:
    """Submit the job, once, and see it through."""
    join_texts(body, "negative_prompt")
    if call.adapter is not None:  # fal fetches them itself, and a mirror of the caller's may be out of its reach
        weights = f"{HUB_URL}/{(call.hub_id or '').partition(':')[0]}/resolve/main/{quote(call.adapter)}"
        body.setdefault("loras", [{"path": weights, "scale": 1}])
    named = model or model_of(call)
    url = at_model(_queue(call), "/", named, _query(call))
    reply = yield from ask(msgspec.structs.replace(post(url, body), resend=False))
    found = decode(reply, _Submitted)
    state = {"path": path_of(found.response_url, _JOBS) or _path(named, found.request_id)}
    if body.get("enable_safety_checker") is False:
        state[UNCHECKED] = "1"
    return (yield from follow(call, job_of(call, found.request_id, **state)))


def _queue(call: Call) -> str:
    return QUEUE if call.base == BASE else call.base


def _query(call: Call, more: str = "") -> str:
    wanted = [part for part in ("" if call.base == BASE else _AT_QUEUE, more) if part]
    return f"?{'&'.join(wanted)}" if wanted else ""


def _path(model: str, name: str) -> str:
    """Where a job is: under its application, which is the id's first two segments."""
    owner, _, rest = model.partition("/")
    return f"/{owner}/{rest.partition('/')[0]}/requests/{segment(name)}"


def follow(call: Call, job: Job) -> Flow[Any]:
    """The job's result, once there is one."""
    path = path_of(job.state.get("path", ""), _JOBS)
    if path is None:
        raise InvalidParameterError(f"the job {job.id} does not say where it is: its state has no path")
    start = f"{_queue(call)}{path}"
    yield OnCancel(Request(method="PUT", url=f"{start}/cancel{_query(call)}"))
    yield Emit(Submitted(job))
    result = poll(f"{start}{_query(call)}")
    reply = yield from _watch(job, poll(f"{start}/status{_query(call, 'logs=1')}"))
    yield OnCancel(None)
    if (found := read_state(reply, _Status)).error or found.error_type:
        raise (yield from _failure(job, reply, found, result))
    return (yield from RESULT_READERS[job.task](job, (yield from ask(result))))


def _watch(job: Job, request: Request) -> Flow[Reply]:
    """Ask until the job is over, and give the last answer."""
    told, asked = ProgressDeduplicator(), 0
    while True:
        reply: Reply = yield Send(request)
        found = read_state(reply, _Status)
        events = _news(found, told)
        if events is None:  # the job may go on: its cancellation still stands
            raise failed(job, reply, found.status, found.error)
        for event in events:
            yield Emit(event)
        if found.status == "COMPLETED":
            return reply
        asked += 1
        yield Sleep(min(_SHORTEST * asked, _LONGEST))


def _news(found: _Status, told: ProgressDeduplicator) -> list[JobEvent] | None:
    """The events of this answer, None for a state that is not known."""
    lines = [line.message or "" for line in found.logs or ()]
    match found.status:
        case "IN_QUEUE":
            return told.waiting(found.queue_position)
        case "IN_PROGRESS":
            return told.running(lines)
        case "COMPLETED":
            return told.logged(lines)
        case _:
            return None


def _failure(job: Job, reply: Reply, found: _Status, result: Request) -> Flow[ProviderError]:
    """The error of a job that ended without a result: its result says why at more length than its status."""
    said, status = found.error, None
    try:
        yield Send(msgspec.structs.replace(result, resend=False))
    except ProviderError as refused:
        if (error := as_content_refusal(refused)) is not refused:
            return error
        said, status = refused.server_message or said, refused.status
    except TransportError:
        pass
    error = failed(job, reply, found.error_type or found.status, said)
    error.status = status
    return error


QUEUED: Final[Mapping[str, TaskFlow]] = {
    "audio-to-audio": audio_to_audio,
    "image-segmentation": image_segmentation,
    "image-text-to-image": image_text_to_image,
    "image-text-to-video": image_text_to_video,
    "image-to-image": image_to_image,
    "image-to-video": image_to_video,
    "text-to-audio": text_to_audio,
    "text-to-image": text_to_image,
    "text-to-video": text_to_video,
}
TASKS: Final[Mapping[str, TaskFlow]] = {
    **QUEUED,
    "automatic-speech-recognition": automatic_speech_recognition,
    "text-to-speech": text_to_speech,
}
RESUME: Final[Mapping[str, ResumeFlow]] = dict.fromkeys(QUEUED, follow)
