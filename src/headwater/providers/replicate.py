"""Replicate: predictions, which may have their output at once, are asked for until they do, and can be cancelled.

Of the URLs that an answer names only the path is used, at our own base. It refuses states that it does not know. The
event stream at `urls.stream` is not read: it says no more than the polls do, but for models that write text.

https://replicate.com/docs/reference/http and https://replicate.com/docs/topics/predictions/lifecycle
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ..auth.hosts import HUB_URL
from ..protocol.events import Job, JobEvent, Submitted
from ..protocol.flow import Call, Emit, Flow, OnCancel, Reply, Request, ResumeFlow, Send, Sleep, TaskFlow
from ..responses.decode import unreadable
from ..tasks.lenient_types import Unneeded
from .bodies import arguments, join_texts, model_of, post, take_target_size, take_transcript_format
from .input_urls import audio_url, image_url
from .jobs import ProgressDeduplicator, failed, job_of, path_of, poll, read_state, segment
from .replicate_results import RESULT_READERS, is_whole
from .urls import at_model

_JOBS: Final = "predictions"
BASE: Final = "https://api.replicate.com"

_PREDICTIONS: Final = "/v1/predictions"
_WAIT: Final = "wait"
"""The answer is held for up to 60 s, until there is output."""
_HARDLY_WAIT: Final = "wait=1"
"""For whoever reads the events: while an answer is held there are none, and no id to cancel by."""
_PAUSE: Final = 0.5
"""Seconds between two questions, as the vendor's own clients wait."""
_SHORTEST_LIFE: Final = 5
"""Seconds; less is refused as `Cancel-After`."""
_OVER: Final = frozenset({"failed", "canceled", "aborted"})
_PERCENT: Final = re.compile(r"(?<![\d.])(100|\d{1,2})(?:\.\d+)?%")


class _Urls(msgspec.Struct):
    get: Unneeded[str] = ""


class _Prediction(msgspec.Struct):
    id: str = ""
    status: str = ""
    output: Any = None
    error: Any = None
    logs: str | None = None
    urls: _Urls | None = None


# What is asked of it


def text_to_image(call: Call) -> Flow[Any]:
    """An image of a text."""
    return (yield from _predict(call, _with_weights(call, _given(call))))


def text_to_video(call: Call) -> Flow[Any]:
    """A video of a text."""
    return (yield from _predict(call, _given(call)))


def text_to_speech(call: Call) -> Flow[Any]:
    """A text, read out."""
    return (yield from _predict(call, arguments(call)))


def image_to_image(call: Call) -> Flow[Any]:
    """An image of an image, which goes under four names.

    The models have one of them each, and only their schemas say which; they ignore inputs that they do not know
    (recorded: a `model` among them). A large image is better given by its URL.
    """
    url = yield from image_url(call, "image/jpeg")
    given = _given(call)
    del given["image"]
    named = {"image": url, "images": [url], "input_image": url, "input_images": [url]}
    return (yield from _predict(call, _with_weights(call, {**named, **given})))


def automatic_speech_recognition(call: Call) -> Flow[Any]:
    """What is said in a sound."""
    take_transcript_format(call)
    url = yield from audio_url(call, "audio/wav", {})
    return (yield from _predict(call, {**arguments(call), "audio": url}))


def _given(call: Call) -> dict[str, Any]:
    """The inputs; sizes as width and height, which are the models' names, and one text of each."""
    given = arguments(call)
    take_target_size(given)
    join_texts(given, "negative_prompt")
    return given


def _with_weights(call: Call, given: dict[str, Any]) -> dict[str, Any]:
    if call.adapter is not None:
        given.setdefault("lora_weights", f"{HUB_URL}/{(call.hub_id or '').partition(':')[0]}")
    return given


# Predictions


def _predict(call: Call, given: dict[str, Any]) -> Flow[Any]:
    """Submit the prediction, once, and see it through. An id with a colon names a version."""
    model, _, version = model_of(call).partition(":")
    body: dict[str, Any] = {"input": given}
    url = call.base + _PREDICTIONS
    if version:
        body["version"] = version
    else:
        url = at_model(call.base, "/v1/models/", model, "/predictions")
    reply: Reply = yield Send(_submission(call, url, body))
    found = read_state(reply, _Prediction)
    if not found.id:
        raise unreadable(reply, ValueError("a prediction without an id"))
    path = path_of(found.urls.get, _JOBS) if found.urls else None
    state = {"path": path} if path else {}
    return (yield from _see_through(call, job_of(call, found.id, **state), reply))


def _submission(call: Call, url: str, body: dict[str, Any]) -> Request:
    request = post(url, body)
    headers = {**request.headers, "prefer": _HARDLY_WAIT if call.stream else _WAIT}
    if call.seconds is not None and math.isfinite(call.seconds):
        headers["cancel-after"] = f"{max(_SHORTEST_LIFE, math.ceil(call.seconds))}s"
    return msgspec.structs.replace(request, headers=headers, resend=False)


def follow(call: Call, job: Job) -> Flow[Any]:
    """The prediction's result, once there is one."""
    return (yield from _see_through(call, job, None))


def _see_through(call: Call, job: Job, reply: Reply | None) -> Flow[Any]:
    """Watch the prediction to its end, from the answer to its submission on where there is one."""
    own = f"{_PREDICTIONS}/{segment(job.id)}"
    request = poll(call.base + (path_of(job.state.get("path", ""), _JOBS) or own))
    yield OnCancel(Request(method="POST", url=f"{call.base}{own}/cancel"))
    yield Emit(Submitted(job))
    told = ProgressDeduplicator()
    answer: Reply = (yield Send(request)) if reply is None else reply
    while True:
        found = read_state(answer, _Prediction)
        if found.status in _OVER:
            yield OnCancel(None)
        for event in _news(job, answer, found, told):
            yield Emit(event)
        if found.status == "succeeded" or is_whole(job, found.output):
            break
        yield Sleep(_PAUSE)
        answer = yield Send(request)
    yield OnCancel(None)
    return (yield from RESULT_READERS[job.task](answer, found.output))


def _news(job: Job, reply: Reply, found: _Prediction, told: ProgressDeduplicator) -> list[JobEvent]:
    """The events of this answer. Raises the error of a prediction that ended, or is in a state that is not known."""
    match found.status:
        case "starting":
            return told.waiting()
        case "processing":
            return told.running(*_logged(found.logs or "", is_over=False))
        case "succeeded":
            return told.logged(*_logged(found.logs or "", is_over=True))
        case other:
            raise failed(job, reply, other, found.error)


def _logged(logs: str, *, is_over: bool) -> tuple[list[str], float | None]:
    """The lines that are whole, and how far the last one says that it is."""
    lines = logs.splitlines()
    percents = _PERCENT.findall(lines[-1][:1000]) if lines else []
    fraction = int(percents[-1]) / 100 if percents else None
    is_cut = bool(lines) and not is_over and not logs.endswith(("\n", "\r"))
    return lines[:-1] if is_cut else lines, fraction


TASKS: Final[Mapping[str, TaskFlow]] = {
    "automatic-speech-recognition": automatic_speech_recognition,
    "image-to-image": image_to_image,
    "text-to-image": text_to_image,
    "text-to-speech": text_to_speech,
    "text-to-video": text_to_video,
}
RESUME: Final[Mapping[str, ResumeFlow]] = dict.fromkeys(TASKS, follow)
