"""What stands around a recorded exchange with a provider of jobs: the job that it belongs to, and plain answers for
the steps that were not recorded with it.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from headwater.protocol.events import Job
from headwater.protocol.flow import Request
from support.recordings.exchange import Exchange, Recognised

FILE: Final = "https://files.example/output"
DONE: Final[dict[str, Any]] = {
    "black-forest-labs": {"status": "Ready", "result": {"sample": FILE}},
    "fal-ai": {"status": "COMPLETED", **{name: {"url": FILE} for name in ("image", "video", "audio")}},
    "novita": {"task": {"status": "TASK_STATUS_SUCCEED"}, "videos": [{"video_url": FILE}]},
    "replicate": {"id": "p", "status": "succeeded", "output": FILE},
    "together": {"id": "j", "status": "completed", "outputs": {"video_url": FILE}},
    "wavespeed": {"code": 200, "data": {"id": "p", "status": "completed", "outputs": [FILE]}},
    "zai-org": {"task_status": "SUCCESS", "image_result": [{"url": FILE}]},
}
"""How each says that a job is done, of any task: its status and its result in one."""
_NAME: Final = re.compile(r"/(?:requests|predictions|videos|async-result)/([^/]+)")


def job_of(exchange: Exchange, what: Recognised) -> Job:
    """The job that a recorded question is about."""
    path, query = urlsplit(what.route).path, parse_qs(urlsplit(exchange.url).query)
    found = _NAME.search(path)
    name = found[1] if found else (query.get("id") or query.get("task_id") or ["j"])[0]
    state = {"path": path.removesuffix("/status"), "polling_url": exchange.url}
    return Job(provider=what.provider, task=what.task, id=name, routed=what.place != "direct", state=state)


def around(exchange: Exchange, what: Recognised, request: Request, *, is_used: bool) -> Any:
    """The answer to a request that is not the recorded one, None where it is. `is_used`: the recorded one was made."""
    done = DONE.get(what.provider)
    if done is None or exchange.reply.status >= 400:
        return None
    if what.step == "poll":
        is_same = ("/status" in request.url) == ("/status" in exchange.url)
        return None if is_same and not is_used else done
    is_synchronous = what.provider == "fal-ai" and "request_id" not in (exchange.said or {})
    if is_synchronous and "queue" in request.url:  # fal's answer is the result of a job that is submitted here
        return _of_queue(request)
    return None if request.method == "POST" else done


def _of_queue(request: Request) -> Any:
    if request.method == "POST":
        return {"request_id": "r"}
    return DONE["fal-ai"] if "/status" in request.url else None
