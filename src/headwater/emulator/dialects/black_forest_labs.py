"""Black Forest Labs' dialect: ``POST /v1/{id}``, then ``GET /v1/get_result?id=``, which needs no key.

Refuses, in FastAPI's shape, a request without a prompt or with fields of another type. A job cannot be
cancelled; one that moderation stops ends as "Request Moderated".
https://docs.bfl.ai/api-reference/utility/get-result
"""

from __future__ import annotations

from ..wire import Dialect, DialectAnswer, DialectRequest, RefusedError, WholeAnswer, get, post
from . import cdn, fields
from .fal import invalid
from .jobs import EmulatedJob

TYPES = fields.TYPES | {"input_image": "string", "image_prompt": "string", "prompt_upsampling": "boolean"}
STATES = {
    "queued": "Pending",
    "running": "Pending",
    "done": "Ready",
    "failed": "Error",
    "moderated": "Request Moderated",
    "unknown": "Paused",
}


def submit(call: DialectRequest) -> DialectAnswer:
    if found := fields.problem(call.json, ("prompt",), TYPES):
        raise invalid(found)
    job = call.jobs.submit("black-forest-labs", call.model, call.digest(), call.json)
    return WholeAnswer({"id": job.id, "polling_url": f"{call.place.home}/v1/get_result?id={job.id}"})


def poll(call: DialectRequest) -> DialectAnswer:
    job = call.jobs.find("black-forest-labs", call.query.get("id", ""))
    if job is None:
        return WholeAnswer(
            {"id": call.query.get("id"), "status": "Task not found", "result": None, "progress": None}, 404
        )
    if not call.jobs.poll(job):
        raise refuse(call, 500, "Internal Server Error")
    return WholeAnswer(report(call, job), headers={} if job.over else {"retry-after": "1"})


def report(call: DialectRequest, job: EmulatedJob) -> dict[str, object]:
    state = job.state
    body: dict[str, object] = {"id": job.id, "status": STATES[state], "result": None}
    body["progress"] = {"queued": 0.0, "running": 0.3}.get(state)
    if state == "done":
        url = cdn.link(call, "image", model=job.model, sent=job.sent)
        body["result"] = {"sample": f"{url}?sig=emulator", "prompt": job.sent["prompt"], "seed": 42}
    if state == "moderated":
        body["details"] = {"Moderation Reasons": ["Derivative Works Filter"]}
    if state == "failed":
        body["details"] = {"error": "The model failed"}
    return body


def refuse(call: DialectRequest, status: int, message: str) -> RefusedError:
    """A key that is missing is a 403 there."""
    if status == 401:
        return RefusedError(WholeAnswer({"detail": "Not authenticated - Invalid Authentication"}, 403))
    return RefusedError(WholeAnswer({"detail": message}, status))


DIALECT = Dialect(
    "black-forest-labs",
    (
        get(r"^/black-forest-labs/v1/get_result$", poll),
        post(r"^/black-forest-labs/v1/(?P<model>.+)$", submit),
    ),
    refuse,
)
