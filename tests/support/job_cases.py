"""How every vendor's jobs go: what it answers with, and what we make of that. Data for test_media_jobs.py.

Facts are the vendors' documentation, and what Hugging Face's clients are recorded to exchange with them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from support.media_cases import ANIMATE, BOTH_IMAGE, BOTH_VIDEO, CDN, DRAW, FILM, REDRAW


class JobCase(msgspec.Struct, kw_only=True):
    """How a vendor's job goes: what it answers with, and what we make of that."""

    provider: str
    task: str
    submitted: dict[str, Any]
    poll: str
    states: list[tuple[dict[str, Any], str]]
    done: dict[str, Any]
    failures: list[tuple[dict[str, Any], str, str]]
    waits: list[float]
    hollow: dict[str, Any]
    cancel: str | None = None
    auth: str = "provider"
    state: dict[str, str] = {}
    name: str = "j-1"


def wavespeed(status: str, **more: Any) -> dict[str, Any]:
    """WaveSpeed's answer to a poll."""
    return {"code": 200, "message": "success", "data": {"id": "j-1", "status": status, **more}}


def novita(status: str, **more: Any) -> dict[str, Any]:
    """Novita's answer to a poll."""
    return {"task": {"task_id": "j-1", "status": f"TASK_STATUS_{status}", **more}}


BFL_POLL = "https://api.us1.bfl.ai/v1/get_result?id=j-1"
FAILED, REFUSED = "JobFailedError", "ContentRefusedError"

JOBS = [
    *(
        JobCase(
            provider="together",
            task=task,
            submitted={"id": "j-1", "status": "queued", "error": None},
            poll="/v2/videos/j-1",
            states=[
                ({"id": "j-1"}, "Queued"),
                ({"id": "j-1", "status": "queued"}, ""),
                ({"id": "j-1", "status": "in_progress", "outputs": None}, "Started"),
                ({"id": "j-1", "status": "in_progress"}, ""),
            ],
            done={"id": "j-1", "status": "completed", "error": None, "outputs": {"video_url": CDN, "cost": 1}},
            hollow={"status": "completed", "outputs": {}},
            failures=[
                ({"status": "failed", "error": {"message": "out of memory", "code": "oom"}}, FAILED, "out of memory"),
                ({"status": "failed", "error": {"message": "flagged by content policy"}}, REFUSED, "content policy"),
                ({"status": "failed"}, FAILED, "no reason"),
                ({"status": "cancelled"}, FAILED, "'cancelled'"),
                ({"status": "dreaming"}, FAILED, "'dreaming'"),
            ],
            waits=[2.0] * 5,
        )
        for task in (FILM, ANIMATE)
    ),
    JobCase(
        provider="novita",
        task=FILM,
        submitted={"task_id": "j-1"},
        poll="/v3/async/task-result?task_id=j-1",
        states=[
            (novita("QUEUED", progress_percent=0), "Queued"),
            (novita("PROCESSING", progress_percent=40), "Progress 0.4"),
            (novita("PROCESSING", progress_percent=40), ""),
            (novita("PROCESSING", progress_percent=140), "Progress 1.0"),
            (novita("PROCESSING"), "Started"),
        ],
        done={**novita("SUCCEED"), "extra": {}, "images": [], "videos": [{"video_url": CDN, "video_type": "mp4"}]},
        hollow={**novita("SUCCEED"), "videos": []},
        failures=[
            (novita("FAILED", reason="no GPU"), FAILED, "no GPU"),
            (novita("FAILED", reason="NSFW detected"), REFUSED, "NSFW"),
            (novita("FAILED", reason=""), FAILED, "no reason"),
            (novita("PAUSED"), FAILED, "TASK_STATUS_PAUSED"),
        ],
        waits=[0.5] * 6,
    ),
    *(
        JobCase(
            provider="wavespeed",
            task=task,
            submitted=wavespeed("created", urls={"get": "https://api.wavespeed.ai/api/v3/predictions/j-1/result"}),
            state={"path": "/api/v3/predictions/j-1/result"},
            poll="/api/v3/predictions/j-1/result",
            states=[
                (wavespeed("created"), "Queued"),
                (wavespeed("processing"), "Started"),
                (wavespeed("processing"), ""),
            ],
            done=wavespeed("completed", outputs=[CDN], has_nsfw_contents=[False], timings={"inference": 5}),
            hollow=wavespeed("completed", outputs=[]),
            failures=[
                (wavespeed("failed", error="bad prompt"), FAILED, "bad prompt"),
                (wavespeed("failed", error="NSFW content"), REFUSED, "NSFW"),
                (wavespeed("failed", error=""), FAILED, "no reason"),
                (wavespeed("deleted"), FAILED, "'deleted'"),
            ],
            waits=[0.5, *[pause] * 3],
            cancel="/api/v3/predictions/j-1",
        )
        for task, pause in [
            (DRAW, 2.0),
            (REDRAW, 2.0),
            (BOTH_IMAGE, 2.0),
            (FILM, 5.0),
            (ANIMATE, 5.0),
            (BOTH_VIDEO, 5.0),
        ]
    ),
    JobCase(
        provider="zai-org",
        task=DRAW,
        submitted={"id": "j-1", "task_status": "PROCESSING", "request_id": "r", "model": "m"},
        poll="/api/paas/v4/async-result/j-1",
        states=[({"task_status": "PROCESSING"}, "Started"), ({"task_status": "PROCESSING", "id": "j-1"}, "")],
        done={"task_status": "SUCCESS", "image_result": [{"url": CDN}]},
        hollow={"task_status": "SUCCESS", "image_result": []},
        failures=[
            ({"task_status": "FAIL"}, FAILED, "no reason"),
            ({"task_status": "FAIL", "error": {"code": "1301", "message": "sensitive content"}}, REFUSED, "sensitive"),
            ({"task_status": "LOST"}, FAILED, "'LOST'"),
        ],
        waits=[5.0, 5.0],
    ),
    JobCase(
        provider="black-forest-labs",
        task=DRAW,
        submitted={"id": "j-1", "polling_url": BFL_POLL},
        state={"polling_url": BFL_POLL},
        poll=BFL_POLL,
        auth="none",
        states=[
            ({"id": "j-1", "status": "Pending", "result": None}, "Queued"),
            ({"id": "j-1", "status": "Pending", "result": None, "progress": 0.3}, "Progress 0.3"),
            ({"id": "j-1", "status": "Pending", "result": None, "progress": 0.3}, ""),
        ],
        done={"id": "j-1", "status": "Ready", "result": {"sample": CDN, "seed": 1}, "progress": None},
        hollow={"id": "j-1", "status": "Ready", "result": None},
        failures=[
            ({"status": "Content Moderated", "result": None}, REFUSED, "'Content Moderated'"),
            ({"status": "Request Moderated", "details": {"message": "a face"}}, REFUSED, "a face"),
            ({"status": "Task not found"}, FAILED, "'Task not found'"),
            ({"status": "Error", "result": {"error": "it broke"}}, FAILED, "it broke"),
            ({"status": "Elsewhere"}, FAILED, "'Elsewhere'"),
        ],
        waits=[1.0] * 4,
    ),
]
