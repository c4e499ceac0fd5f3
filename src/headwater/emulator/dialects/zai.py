"""Z.ai's pictures, as tasks, and its reading of pages: ``/api/paas/v4/async/images/generations``, ``/layout_parsing``.

Refuses, as ``{"error": {"code", "message"}}``, a request without model or prompt, sizes that are not
``WIDTHxHEIGHT``, files that are neither URL nor data URL. A task cannot be cancelled.
https://docs.z.ai/api-reference/image/generate-image-async
"""

from __future__ import annotations

import re
from typing import Any

from ..wire import Dialect, DialectAnswer, DialectRequest, RefusedError, WholeAnswer, get, post
from . import cdn, fields
from .fal import media_text
from .jobs import EmulatedJob

STATES = {"queued": "PROCESSING", "running": "PROCESSING", "done": "SUCCESS", "unknown": "PAUSED"}
CODES = {400: "1210", 401: "1001", 404: "1211", 500: "1234"}
UNSAFE = "System detected potentially unsafe or sensitive content in input or generation."


def submit(call: DialectRequest) -> DialectAnswer:
    if found := fields.problem(call.json, ("model", "prompt")):
        raise refuse(call, 400, f"{found.name}: {found.message}")
    if not re.fullmatch(r"[1-9]\d{1,3}x[1-9]\d{1,3}", call.json.get("size") or "16x16"):
        raise refuse(call, 400, "size: expected WIDTHxHEIGHT")
    job = call.jobs.submit("zai-org", call.model, call.digest(), call.json)
    return WholeAnswer(head(job, "PROCESSING"))


def head(job: EmulatedJob, status: str) -> dict[str, Any]:
    return {"id": job.id, "task_status": status, "request_id": job.id, "model": job.model}


def poll(call: DialectRequest) -> DialectAnswer:
    job = call.jobs.find("zai-org", call.path.rpartition("/")[2])
    if job is None:
        raise refuse(call, 404, "Task does not exist")
    if not call.jobs.poll(job):
        raise refuse(call, 500, "Network error")
    body = head(job, STATES.get(job.state, "FAIL"))
    if job.state == "done":
        body["image_result"] = [{"url": cdn.link(call, "image", model=job.model, sent=job.sent)}]
    if job.state in ("failed", "moderated"):
        moderated = job.state == "moderated"
        body["error"] = (
            {"code": "1301", "message": UNSAFE} if moderated else {"code": "1234", "message": "The model failed"}
        )
    return WholeAnswer(body)


def layout(call: DialectRequest) -> DialectAnswer:
    """The text of a page: https://docs.z.ai/api-reference/tools/layout-parsing."""
    if found := fields.problem(call.json, ("model", "file")):
        raise refuse(call, 400, f"{found.name}: {found.message}")
    if not fields.is_file(call.json["file"], ("image/", "application/pdf")):
        raise refuse(call, 400, "file: expected a URL or a data URL")
    text = media_text(call.json["file"])
    return WholeAnswer(
        {"id": call.digest("page"), "model": call.model, "md_results": f"# {text}", "layout_details": []}
    )


def refuse(call: DialectRequest, status: int, message: str) -> RefusedError:
    return RefusedError(WholeAnswer({"error": {"code": CODES.get(status, "1230"), "message": message}}, status))


DIALECT = Dialect(
    "zai-org-pictures",
    (
        post(r"^/zai-org/api/paas/v4/async/images/generations$", submit),
        get(r"^/zai-org/api/paas/v4/async-result/[^/]+$", poll),
        post(r"^/zai-org/api/paas/v4/layout_parsing$", layout),
    ),
    refuse,
)
