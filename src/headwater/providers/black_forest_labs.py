"""Black Forest Labs' images: queued jobs without a way to cancel them, asked for at a URL that the vendor names.

That URL is on one of the vendor's regional hosts, also for calls through Hugging Face's router, and takes no
credential; a URL anywhere else is refused.

https://docs.bfl.ai/quick_start/generating_images and https://docs.bfl.ai/api-reference/utility/get-result
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..errors import DecodeError, InvalidParameterError
from ..protocol.events import Job, Queued
from ..protocol.flow import Call, Flow, Reply, ResumeFlow, TaskFlow
from ..protocol.transport import quoted_url
from ..protocol.url import parse_url
from ..responses.decode import decode
from ..responses.refusal import retry_after
from .bodies import STEPS, arguments, get, model_of
from .jobs import JobState, ResultURL, download_image, failed, job_of, no_result, read_state, started, submit, watch
from .urls import at_model

if TYPE_CHECKING:
    from PIL.Image import Image

_RENAMED: Final = {**STEPS, "guidance_scale": "guidance"}
_REFUSED: Final = frozenset({"Request Moderated", "Content Moderated"})
_PAUSE: Final = 1.0
_LONGEST: Final = 30.0


class _Submitted(msgspec.Struct):
    id: str
    polling_url: str


class _Result(msgspec.Struct):
    status: str = ""
    result: Any = None
    progress: float | None = None
    details: Any = None


def text_to_image(call: Call) -> Flow[Image]:
    """An image of a text."""
    body = arguments(call, renamed=_RENAMED)
    reply = yield from submit(at_model(call.base, "/v1/", model_of(call)), body)
    found = decode(reply, _Submitted)
    return (yield from follow(call, job_of(call, found.id, polling_url=found.polling_url)))


def follow(call: Call, job: Job) -> Flow[Image]:
    """The job's image, once there is one."""
    request = get(_checked(call, job.state.get("polling_url", "")), auth="none")
    url = yield from watch(job, request, _read, pause=_pause, first=_PAUSE)
    return (yield from download_image(url))


def _checked(call: Call, url: str) -> str:
    """The URL, if it is the vendor's, or of the server that took the job."""
    url = quoted_url(url)
    try:
        there = parse_url(url)
    except InvalidParameterError as wrong:
        raise DecodeError(f"{call.provider} wants its job asked for at what is no URL: {wrong.message}") from None
    is_theirs = there.scheme == "https" and f".{there.host}".endswith(".bfl.ai")
    if is_theirs or there.origin == parse_url(call.base).origin:
        return url
    raise DecodeError(f"{call.provider} wants its job asked for at {there.host}, which is not its own")


def _pause(_: int, reply: Reply) -> float:
    asked = retry_after(reply.headers)
    return _PAUSE if asked is None else min(max(asked, 0.1), _LONGEST)


def _read(job: Job, reply: Reply) -> JobState:
    found = read_state(reply, _Result)
    match found.status:
        case "Pending":
            return Queued() if found.progress is None else started(found.progress)
        case "Ready":
            sample = found.result.get("sample") if isinstance(found.result, dict) else None
            if not isinstance(sample, str) or not sample:
                raise no_result(reply)
            return ResultURL(sample)
        case other:
            raise failed(job, reply, other, _reason(found.details) or found.result, refused=other in _REFUSED)


def _reason(details: Any) -> Any:
    """Why moderation refused stands under a name of its own."""
    return details.get("Moderation Reasons", details) if isinstance(details, dict) else details


TASKS: Final[Mapping[str, TaskFlow]] = {"text-to-image": text_to_image}
RESUME: Final[Mapping[str, ResumeFlow]] = {"text-to-image": follow}
