"""Z.ai's images, which are queued jobs without a way to cancel them, and its reading of documents.

https://docs.z.ai/api-reference/image/generate-image and https://docs.z.ai/api-reference/tools/layout-parsing
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..protocol.events import Job
from ..protocol.flow import Call, Flow, Reply, ResumeFlow, Send, TaskFlow
from ..responses.decode import decode
from ..tasks.lenient_types import Unneeded
from ..tasks.vision import ImageToTextOutput
from .bodies import arguments, model_of, post
from .input_urls import image_url
from .jobs import (
    JobState,
    ResultURL,
    download_image,
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

if TYPE_CHECKING:
    from PIL.Image import Image

PREFIX: Final = "/api/paas/v4"
_PAUSE: Final = 5.0


class _Image(msgspec.Struct):
    url: str | None = None


class _Result(msgspec.Struct):
    id: Unneeded[str] = ""
    task_status: str = ""
    image_result: list[_Image] | None = None
    error: Any = None
    message: Any = None


class _Submitted(msgspec.Struct):
    id: str


class _Layout(msgspec.Struct):
    md_results: str


def text_to_image(call: Call) -> Flow[Image]:
    """An image of a text."""
    body = {"model": model_of(call), **arguments(call, sized=True)}
    reply = yield from submit(f"{call.base}{PREFIX}/async/images/generations", body)
    job = job_of(call, decode(reply, _Submitted).id)
    if read_state(reply, _Result).task_status == "FAIL":
        _read(job, reply)
    return (yield from follow(call, job))


def follow(call: Call, job: Job) -> Flow[Image]:
    """The job's image, once there is one."""
    request = poll(f"{call.base}{PREFIX}/async-result/{segment(job.id)}")
    url = yield from watch(job, request, _read, pause=every(_PAUSE))
    return (yield from download_image(url))


def _read(job: Job, reply: Reply) -> JobState:
    found = read_state(reply, _Result)
    match found.task_status:
        case "PROCESSING":
            return started(None)
        case "SUCCESS":
            url = next((image.url for image in found.image_result or () if image.url), None)
            if url is None:
                raise no_result(reply)
            return ResultURL(url)
        case other:
            raise failed(job, reply, other, found.error or found.message)


def image_to_text(call: Call) -> Flow[ImageToTextOutput]:
    """What is written in an image, as Markdown."""
    url = yield from image_url(call)
    given = arguments(call, dropped=frozenset({"max_new_tokens", "generation_parameters"}))
    body = {"model": model_of(call), **given, "file": url}
    del body["image"]
    reply = yield Send(post(f"{call.base}{PREFIX}/layout_parsing", body))
    output = ImageToTextOutput(generated_text=decode(reply, _Layout).md_results)
    vars(output)["_body"] = reply.body
    return output


TASKS: Final[Mapping[str, TaskFlow]] = {"image-to-text": image_to_text, "text-to-image": text_to_image}
RESUME: Final[Mapping[str, ResumeFlow]] = {"text-to-image": follow}
