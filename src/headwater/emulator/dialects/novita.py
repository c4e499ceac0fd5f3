"""Novita's videos: ``POST /v3/hf/{id}`` at once, ``POST /v3/async/{id}`` as a task. Its chat is OpenAI's.

Refuses a request without a prompt or with fields of another type. A task cannot be cancelled.
https://novita.ai/docs/api-reference/model-apis-task-result
"""

from __future__ import annotations

from typing import Any

from ..wire import Dialect, DialectAnswer, DialectRequest, RefusedError, WholeAnswer, get, post
from . import cdn, fields
from .jobs import EmulatedJob, asked_for, wishes_of
from .vendors import Complaint, refusal

STATES = {"queued": "QUEUED", "running": "PROCESSING", "done": "SUCCEED", "unknown": "PAUSED"}
MODERATED = "the prompt was refused by content moderation"


def check(call: DialectRequest) -> None:
    if found := fields.problem(call.json, ("prompt",)):
        raise refuse(call, 400, f"invalid parameter {found.name}: {found.message}")


def at_once(call: DialectRequest) -> DialectAnswer:
    check(call)
    wishes = wishes_of(asked_for(call.model, call.json))
    if "moderated" in wishes:
        raise refuse(call, 400, MODERATED)
    if "fail" in wishes:
        raise refuse(call, 500, "the model failed")
    url = cdn.link(call, "video", sent=call.json)
    return WholeAnswer(
        {"video": {"video_url": url, "video_url_ttl": "0", "video_type": "mp4", "nsfw_detection_result": None}}
    )


def submit(call: DialectRequest) -> DialectAnswer:
    check(call)
    return WholeAnswer({"task_id": call.jobs.submit("novita", call.model, call.digest(), call.json).id})


def poll(call: DialectRequest) -> DialectAnswer:
    job = call.jobs.find("novita", call.query.get("task_id", ""))
    if job is None:
        raise refuse(call, 404, "task not found")
    if not call.jobs.poll(job):
        raise refuse(call, 500, "internal server error")
    return WholeAnswer(task(call, job))


def task(call: DialectRequest, job: EmulatedJob) -> dict[str, Any]:
    state = job.state
    status = f"TASK_STATUS_{STATES.get(state, 'FAILED')}"
    reason = {"failed": "the model failed", "moderated": MODERATED}.get(state, "")
    percent = {"running": 50, "done": 100}.get(state, 0)
    head = {"task_id": job.id, "task_type": "TXT_TO_VIDEO", "status": status, "reason": reason, "eta": 0}
    url = cdn.link(call, "video", model=job.model, sent=job.sent)
    videos = [{"video_url": url, "video_url_ttl": "3600", "video_type": "mp4"}] if state == "done" else []
    return {
        "extra": {"seed": "42"},
        "task": head | {"progress_percent": percent},
        "images": [],
        "videos": videos,
        "audios": [],
    }


def refuse(call: DialectRequest, status: int, message: str) -> RefusedError:
    return refusal("/novita/", Complaint(status, message))


DIALECT = Dialect(
    "novita-videos",
    (
        get(r"^/novita/v3/async/task-result$", poll),
        post(r"^/novita/v3/async/(?P<model>.+)$", submit),
        post(r"^/novita/v3/hf/(?P<model>.+)$", at_once),
    ),
    refuse,
)
