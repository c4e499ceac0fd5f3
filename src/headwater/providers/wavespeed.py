"""WaveSpeed's images and videos: queued jobs, which can be cancelled.

https://wavespeed.ai/docs/docs-api/prediction
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ..media.media import Media
from ..protocol.events import Job, Queued
from ..protocol.flow import Call, Flow, Reply, Request, ResumeFlow, TaskFlow
from ..responses.decode import decode
from ..tasks.lenient_types import Unneeded
from .bodies import arguments, model_of
from .input_urls import image_url
from .jobs import (
    Family,
    JobState,
    ResultURL,
    download,
    download_image,
    every,
    failed,
    job_of,
    no_result,
    path_of,
    poll,
    read_state,
    segment,
    started,
    submit,
    watch,
)
from .urls import at_model

_JOBS: Final = "predictions"
_FIRST: Final = 0.5
_PAUSES: Final[dict[Family, float]] = {"image": 2.0, "video": 5.0}
"""As the vendor asks for."""
_NOTHING: Final = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNg"
    "YGBgAAAABQABeqhXUAAAAABJRU5ErkJggg=="
)
"""A PNG of one clear pixel, for models that refuse to work without an image."""


class _Urls(msgspec.Struct):
    get: str | None = None


class _Prediction(msgspec.Struct):
    id: str = ""
    status: str = ""
    urls: _Urls | None = None
    outputs: list[str] | None = None
    error: Any = None


class _Answer(msgspec.Struct):
    """`code`: 200, or what an HTTP status would be, beside a `message`."""

    code: Unneeded[int] = 200
    message: str | None = None
    data: _Prediction | None = None


def of_text(call: Call) -> Flow[Any]:
    """An image or a video of a text."""
    return (yield from _make(call, _fields(call)))


def of_image(call: Call) -> Flow[Any]:
    """An image or a video of an image."""
    url = yield from image_url(call, "image/jpeg")
    return (yield from _make(call, {**_fields(call), "image": url}))


def of_image_and_text(call: Call) -> Flow[Any]:
    """An image or a video of an image, a text, or both; models differ in whether they read `image` or `images`."""
    url = (yield from image_url(call, "image/jpeg")) if "image" in call.parameters else _NOTHING
    return (yield from _make(call, {"images": [url], **_fields(call), "image": url}))


def _fields(call: Call) -> dict[str, Any]:
    given = arguments(call)
    given.pop("image", None)
    if call.adapter is not None:
        given.setdefault("loras", [{"path": call.hub_id, "scale": 1}])
    return given


def _make(call: Call, body: dict[str, Any]) -> Flow[Any]:
    reply = yield from submit(at_model(call.base, "/api/v3/", model_of(call)), body)
    answer = decode(reply, _Answer)
    data = answer.data
    if data is None or not data.id:
        raise failed(job_of(call, "without a name"), reply, str(answer.code), answer.message)
    path = path_of(data.urls.get, _JOBS) if data.urls is not None and data.urls.get else None
    state = {"path": path} if path else {}
    return (yield from follow(call, job_of(call, data.id, **state)))


def follow(call: Call, job: Job) -> Flow[Any]:
    """The job's image or video, once there is one. The path that the vendor gave is asked for at our own base."""
    family: Family = "video" if job.task.endswith("video") else "image"
    name = segment(job.id)
    path = path_of(job.state.get("path", ""), _JOBS) or f"/api/v3/predictions/{name}/result"
    cancel = Request(method="DELETE", url=f"{call.base}/api/v3/predictions/{name}")
    pause = every(_PAUSES[family])
    url = yield from watch(job, poll(call.base + path), _read, pause=pause, first=_FIRST, cancel=cancel)
    if family == "image":
        return (yield from download_image(url))
    media: Media = yield from download(url, "video")
    return media


def _read(job: Job, reply: Reply) -> JobState:
    answer = read_state(reply, _Answer)
    found = answer.data or _Prediction()
    match found.status:
        case "created":
            return Queued()
        case "processing":
            return started(None)
        case "completed":
            if not found.outputs:
                raise no_result(reply)
            return ResultURL(found.outputs[0])
        case other:
            said = found.error or (answer.message if answer.code != 200 else None)
            raise failed(job, reply, other or str(answer.code), said)


TASKS: Final[Mapping[str, TaskFlow]] = {
    "image-text-to-image": of_image_and_text,
    "image-text-to-video": of_image_and_text,
    "image-to-image": of_image,
    "image-to-video": of_image,
    "text-to-image": of_text,
    "text-to-video": of_text,
}
RESUME: Final[Mapping[str, ResumeFlow]] = dict.fromkeys(TASKS, follow)
