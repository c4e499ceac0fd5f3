"""Together's images of images, and its videos, which are queued jobs without a way to cancel them.

https://docs.together.ai/reference/create-videos and https://docs.together.ai/docs/images-overview
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ..media.media import Media
from ..protocol.events import Job, Queued
from ..protocol.flow import Call, Flow, Reply, ResumeFlow, TaskFlow
from ..responses.decode import decode
from ..tasks.lenient_types import Unneeded
from . import media_results
from .bodies import STEPS, arguments, join_texts, model_of, post, take_target_size
from .input_urls import image_url
from .jobs import (
    JobState,
    ResultURL,
    download,
    every,
    failed,
    job_of,
    no_result,
    poll,
    read_state,
    segment,
    started,
    submit,
    watch,
)
from .urls import IMAGES

PREFIX: Final = "/v1"
"""Where its dialect of OpenAI's is; its videos are at another."""
_VIDEOS: Final = "/v2/videos"
_NOT_TAKEN: Final = frozenset({"num_frames"})
"""A video's length is `seconds` here, by extra_body."""
_PAUSE: Final = 2.0


class _Outputs(msgspec.Struct):
    video_url: str | None = None


class _Job(msgspec.Struct):
    id: Unneeded[str] = ""
    status: str | None = None
    outputs: _Outputs | None = None
    error: Any = None


class _Submitted(msgspec.Struct):
    id: str


def image_to_image(call: Call) -> Flow[Any]:
    """An image of an image; only FLUX.1 Kontext knows `image_url`, the others `reference_images`."""
    url = yield from image_url(call)
    given = arguments(call, renamed=STEPS)
    del given["image"]
    take_target_size(given)
    model = model_of(call)
    is_kontext = all(word in model.lower() for word in ("kontext", "flux.1"))
    image = {"image_url": url} if is_kontext else {"reference_images": [url]}
    body = {"model": model, "prompt": "", "response_format": "base64", **image, **given}
    return (yield from media_results.request_image(call, post(f"{call.base}{PREFIX}/{IMAGES}", body)))


def text_to_video(call: Call) -> Flow[Media]:
    """A video of a text."""
    return (yield from _make(call, _fields(call)))


def image_to_video(call: Call) -> Flow[Media]:
    """A video that begins with an image; the vendor takes data URLs of about 60 KB, and URLs of any size."""
    url = yield from image_url(call)
    given = _fields(call)
    del given["image"]
    return (yield from _make(call, {"frame_images": [{"input_image": url, "frame": "first"}], **given}))


def _fields(call: Call) -> dict[str, Any]:
    given = arguments(call, renamed=STEPS, dropped=_NOT_TAKEN)
    take_target_size(given)
    join_texts(given, "negative_prompt")
    return given


def _make(call: Call, fields: dict[str, Any]) -> Flow[Media]:
    reply = yield from submit(call.base + _VIDEOS, {"model": model_of(call), **fields})
    return (yield from follow(call, job_of(call, decode(reply, _Submitted).id)))


def follow(call: Call, job: Job) -> Flow[Media]:
    """The job's video, once there is one."""
    request = poll(f"{call.base}{_VIDEOS}/{segment(job.id)}")
    url = yield from watch(job, request, _read, pause=every(_PAUSE), first=_PAUSE)
    return (yield from download(url, "video"))


def _read(job: Job, reply: Reply) -> JobState:
    found = read_state(reply, _Job)
    match found.status:
        case None | "queued":
            return Queued()
        case "in_progress":
            return started(None)
        case "completed":
            if found.outputs is None or not found.outputs.video_url:
                raise no_result(reply)
            return ResultURL(found.outputs.video_url)
        case other:
            raise failed(job, reply, other, found.error)


TASKS: Final[Mapping[str, TaskFlow]] = {
    "image-to-image": image_to_image,
    "image-to-video": image_to_video,
    "text-to-video": text_to_video,
}
RESUME: Final[Mapping[str, ResumeFlow]] = {"image-to-video": follow, "text-to-video": follow}
