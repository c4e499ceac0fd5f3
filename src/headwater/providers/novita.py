"""Novita's videos: jobs of its asynchronous interface, which has no way to cancel them.

https://novita.ai/docs/api-reference/model-apis-task-result
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from ..media.media import Media
from ..protocol.events import Job, Queued
from ..protocol.flow import Call, Flow, Reply, ResumeFlow, TaskFlow
from ..responses.decode import decode
from .bodies import STEPS, arguments, join_texts, model_of
from .jobs import (
    JobState,
    ResultURL,
    download,
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
from .urls import at_model

_QUICK: Final = 10
"""Answers after which a job is no short one, and is asked for less often."""


class _Video(msgspec.Struct):
    video_url: str | None = None


class _Submission(msgspec.Struct):
    """A task's name; older models answer with their video at once."""

    task_id: str | None = None
    video: _Video | None = None


class _Task(msgspec.Struct):
    status: str = ""
    reason: str | None = None
    progress_percent: float | None = None


class _Result(msgspec.Struct):
    task: _Task
    videos: list[_Video] | None = None


def text_to_video(call: Call) -> Flow[Media]:
    """A video of a text."""
    given = arguments(call, renamed=STEPS)
    join_texts(given, "negative_prompt")
    reply = yield from submit(at_model(call.base, "/v3/async/", model_of(call)), given)
    found = decode(reply, _Submission)
    if found.task_id:
        return (yield from follow(call, job_of(call, found.task_id)))
    if found.video is None or not found.video.video_url:
        raise no_result(reply)
    return (yield from download(found.video.video_url, "video"))


def follow(call: Call, job: Job) -> Flow[Media]:
    """The job's video, once there is one."""
    request = poll(f"{call.base}/v3/async/task-result?task_id={segment(job.id)}")
    url = yield from watch(job, request, _read, pause=_pause, first=0.5)
    return (yield from download(url, "video"))


def _pause(asked: int, _: Reply) -> float:
    return 0.5 if asked <= _QUICK else 1.0


def _read(job: Job, reply: Reply) -> JobState:
    found = read_state(reply, _Result)
    task = found.task
    match task.status.removeprefix("TASK_STATUS_"):
        case "QUEUED":
            return Queued()
        case "PROCESSING":
            return started(None if task.progress_percent is None else task.progress_percent / 100)
        case "SUCCEED":
            url = next((video.video_url for video in found.videos or () if video.video_url), None)
            if url is None:
                raise no_result(reply)
            return ResultURL(url)
        case _:
            raise failed(job, reply, task.status, task.reason)


TASKS: Final[Mapping[str, TaskFlow]] = {"text-to-video": text_to_video}
RESUME: Final[Mapping[str, ResumeFlow]] = {"text-to-video": follow}
