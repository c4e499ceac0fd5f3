"""Together's videos: ``POST /v2/videos``, ``GET /v2/videos/{id}``. Its pictures and sounds are OpenAI's.

Refuses a request without a model, or with neither prompt nor frame; frames that are no pictures, or whose text
is over 64 KiB; fields of another type. Documents no cancellation, so it has none (405).
https://docs.together.ai/reference/create-videos
"""

from __future__ import annotations

from typing import Any

from ..wire import CREATED, Dialect, DialectAnswer, DialectRequest, WholeAnswer, get, post
from . import cdn, checks, fields
from .checks import FieldRule
from .jobs import EmulatedJob
from .openai import refuse

MOST_INPUT = 64 * 1024
VIDEO = {
    "model": checks.STRING,
    "prompt": checks.STRING,
    "frame_images": checks.ARRAY,
    "steps": FieldRule("integer", 1, 50),
    "width": checks.POSITIVE,
    "height": checks.POSITIVE,
    "seed": checks.INTEGER,
    "fps": checks.POSITIVE,
    "guidance_scale": FieldRule("number"),
    "negative_prompt": checks.STRING,
}
STATES = {"queued": "queued", "running": "in_progress", "done": "completed", "unknown": "paused"}
ERRORS = {
    "failed": {"code": "internal_error", "message": "The model failed"},
    "moderated": {"code": "content_policy_violation", "message": "NSFW content detected in prompt"},
}


def submit(call: DialectRequest) -> DialectAnswer:
    given = checks.known(call, VIDEO)
    if not given.get("prompt") and not given.get("frame_images"):
        raise checks.missing(call, "prompt")
    for frame in given.get("frame_images", ()):
        image = frame.get("input_image") if isinstance(frame, dict) else None
        if not fields.is_file(image, ("image/",)):
            raise checks.wrong(call, "Invalid 'frame_images': expected input_image, a URL of an image.", "frame_images")
        if len(str(image)) > MOST_INPUT:
            raise checks.wrong(call, f"input_image is over {MOST_INPUT} bytes", "frame_images")
    return WholeAnswer(video(call, call.jobs.submit("together", call.model, call.digest(), given)))


def video(call: DialectRequest, job: EmulatedJob) -> dict[str, Any]:
    state = job.state
    body: dict[str, Any] = {"id": job.id, "object": "video", "model": job.model, "created_at": CREATED}
    body["status"] = STATES.get(state, "failed")
    if state == "done":
        body["outputs"] = {"video_url": cdn.link(call, "video", model=job.model, sent=job.sent), "cost": 0}
    if state in ERRORS:
        body["error"] = ERRORS[state]
    return body


def poll(call: DialectRequest) -> DialectAnswer:
    job = call.jobs.find("together", call.path.rpartition("/")[2])
    if job is None:
        raise refuse(call, 404, "Video not found")
    if not call.jobs.poll(job):
        raise refuse(call, 500, "Internal server error")
    return WholeAnswer(video(call, job))


DIALECT = Dialect(
    "together-videos",
    (post(r"^/together/v2/videos$", submit), get(r"^/together/v2/videos/[^/]+$", poll)),
    refuse,
)
