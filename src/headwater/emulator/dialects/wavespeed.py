"""WaveSpeed's dialect: ``POST /api/v3/{id}``, and the prediction that comes of it, which DELETE cancels.

Refuses, as ``{"code", "message"}``, a request with no prompt and no picture, pictures that are neither URL nor
base64, fields of another type, predictions that it does not know.
https://wavespeed.ai/docs/docs-api
"""

from __future__ import annotations

import re
from typing import Any

from ..wire import Dialect, DialectAnswer, DialectRequest, RefusedError, WholeAnswer, get, post, raw
from . import cdn, fields, media
from .jobs import EmulatedJob
from .offers import task_of

TYPES = fields.TYPES | {"enable_base64_output": "boolean", "enable_sync_mode": "boolean"}
STATES = {"queued": "created", "running": "processing", "done": "completed", "unknown": "paused"}
ERRORS = {
    "failed": "The model failed",
    "moderated": "Content flagged as potentially sensitive.",
    "cancelled": "cancelled",
}


def submit(call: DialectRequest) -> DialectAnswer:
    check(call)
    job = call.jobs.submit("wavespeed", call.model, call.digest(), call.json)
    return WholeAnswer(data(call, job))


def check(call: DialectRequest) -> None:
    body = call.json
    needs = () if body.get("image") or body.get("images") else ("prompt",)
    if "image-to" in task_of(call.model) and needs:
        raise refuse(call, 400, "property 'image' is missing")
    if found := fields.problem(body, needs, TYPES):
        raise refuse(call, 400, f"property '{found.name}': {found.message}")
    pictures = [body["image"]] if body.get("image") is not None else []
    for picture in [*pictures, *(body.get("images") or ())]:
        if not fields.is_file(picture, ("image/",)) and media.base64_of(picture) is None:
            raise refuse(call, 400, "property 'image' is neither a URL nor base64")
    for lora in body.get("loras") or ():
        if not isinstance(lora, dict) or not isinstance(lora.get("path"), str):
            raise refuse(call, 400, "property 'loras.path' is missing")


def data(call: DialectRequest, job: EmulatedJob) -> dict[str, Any]:
    state = job.state
    done = state == "done"
    kind = "video" if task_of(job.model).endswith("video") else "image"
    url = cdn.link(call, kind, model=job.model, sent=job.sent)
    body = {
        "id": job.id,
        "model": job.model,
        "outputs": [url] if done else [],
        "urls": {"get": f"{call.place.home}/api/v3/predictions/{job.id}/result"},
        "has_nsfw_contents": [False] if done else [],
        "status": STATES.get(state, "failed"),
        "created_at": "2026-01-01T00:00:00Z",
        "error": ERRORS.get(state, ""),
        "executionTime": 500 if done else 0,
        "timings": {"inference": 500 if done else 0},
    }
    return {"code": 200, "message": "success", "data": body}


def poll(call: DialectRequest) -> DialectAnswer:
    job = found(call, re.sub(r"/result$", "", call.path).rpartition("/")[2])
    if not call.jobs.poll(job):
        raise refuse(call, 500, "internal server error")
    return WholeAnswer(data(call, job))


def delete(call: DialectRequest) -> DialectAnswer:
    return deleted(call, [call.path.rpartition("/")[2]])


def delete_many(call: DialectRequest) -> DialectAnswer:
    ids = call.json.get("ids")
    if not isinstance(ids, list) or not all(isinstance(name, str) for name in ids):
        raise refuse(call, 400, "property 'ids' is missing")
    return deleted(call, ids)


def deleted(call: DialectRequest, ids: list[str]) -> DialectAnswer:
    for job in [found(call, name) for name in ids]:
        call.jobs.cancel(job)
    return WholeAnswer({"code": 200, "message": "success", "data": {"ids": ids}})


def found(call: DialectRequest, name: str) -> EmulatedJob:
    job = call.jobs.find("wavespeed", name)
    if job is None:
        raise refuse(call, 404, "prediction not found")
    return job


def refuse(call: DialectRequest, status: int, message: str) -> RefusedError:
    return RefusedError(WholeAnswer({"code": status, "message": message}, status))


JOB = r"^/wavespeed/api/v3/predictions/[^/]+"
DIALECT = Dialect(
    "wavespeed",
    (
        get(JOB + r"(?:/result)?$", poll),
        raw("DELETE", JOB + "$", delete),
        post(r"^/wavespeed/api/v3/predictions/delete$", delete_many),
        post(r"^/wavespeed/api/v3/(?P<model>(?!predictions/).+)$", submit),
    ),
    refuse,
)
