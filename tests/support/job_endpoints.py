"""How each vendor's jobs are submitted and polled: a row for each vendor, and a caller that goes by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from headwater.emulator.server import Emulator
from support.emulator_client import client

PNG = "data:image/png;base64,iVBORw0KGgo="


@dataclass(frozen=True)
class Vendor:
    """How one vendor's jobs are asked about: ``states`` of submission and polls, ``ends`` by what was wished for."""

    name: str
    submit: Callable[[str], tuple[str, dict[str, Any]]]
    poll: Callable[[dict[str, Any]], str]
    state: Callable[[dict[str, Any]], str]
    result: Callable[[dict[str, Any]], str]
    states: tuple[str, ...]
    ends: dict[str, str]
    headers: dict[str, str] = field(default_factory=lambda: {"authorization": "Bearer key"})
    query: dict[str, str] = field(default_factory=dict)


def path_of(url: str) -> str:
    """The path that a vendor's link has at the emulator."""
    return httpx.URL(url).raw_path.decode()


VENDORS = (
    Vendor(
        "fal-ai",
        lambda words: (f"/fal-ai/ltx/text-to-video-{words}", {"prompt": "a river"}),
        lambda made: path_of(made["status_url"]),
        lambda made: str(made["status"]),
        lambda made: str(made["video"]["url"]),
        ("IN_QUEUE", "IN_QUEUE", "IN_PROGRESS", "COMPLETED"),
        {"fail": "COMPLETED", "moderated": "COMPLETED", "unknown-state": "PAUSED", "forever": "IN_PROGRESS"},
        {"authorization": "Key key"},
        {"_subdomain": "queue"},
    ),
    Vendor(
        "replicate",
        lambda words: ("/v1/models/a/text-to-image/predictions", {"input": {"prompt": f"a river {words}"}}),
        lambda made: path_of(made["urls"]["get"]),
        lambda made: str(made["status"]),
        lambda made: str(made["output"][0]),
        ("starting", "starting", "processing", "succeeded"),
        {"fail": "failed", "moderated": "failed", "unknown-state": "hibernating", "forever": "processing"},
    ),
    Vendor(
        "together",
        lambda words: ("/v2/videos", {"model": "m", "prompt": f"a river {words}", "steps": 4}),
        lambda made: f"/direct/together/v2/videos/{made['id']}",
        lambda made: str(made["status"]),
        lambda made: str(made["outputs"]["video_url"]),
        ("queued", "queued", "in_progress", "completed"),
        {"fail": "failed", "moderated": "failed", "unknown-state": "paused", "forever": "in_progress"},
    ),
    Vendor(
        "novita",
        lambda words: ("/v3/async/wan-t2v", {"prompt": f"a river {words}", "steps": 4}),
        lambda made: f"/direct/novita/v3/async/task-result?task_id={made.get('task_id') or made['task']['task_id']}",
        lambda made: str(made.get("task", {}).get("status", "")).removeprefix("TASK_STATUS_"),
        lambda made: str(made["videos"][0]["video_url"]),
        ("", "QUEUED", "PROCESSING", "SUCCEED"),
        {"fail": "FAILED", "moderated": "FAILED", "unknown-state": "PAUSED", "forever": "PROCESSING"},
    ),
    Vendor(
        "wavespeed",
        lambda words: (f"/api/v3/a/text-to-video-{words}", {"prompt": "a river"}),
        lambda made: path_of(made["data"]["urls"]["get"]),
        lambda made: str(made["data"]["status"]),
        lambda made: str(made["data"]["outputs"][0]),
        ("created", "created", "processing", "completed"),
        {"fail": "failed", "moderated": "failed", "unknown-state": "paused", "forever": "processing"},
    ),
    Vendor(
        "zai-org",
        lambda words: ("/api/paas/v4/async/images/generations", {"model": "cogview", "prompt": f"a river {words}"}),
        lambda made: f"/direct/zai-org/api/paas/v4/async-result/{made['id']}",
        lambda made: str(made["task_status"]),
        lambda made: str(made["image_result"][0]["url"]),
        ("PROCESSING", "PROCESSING", "PROCESSING", "SUCCESS"),
        {"fail": "FAIL", "moderated": "FAIL", "unknown-state": "PAUSED", "forever": "PROCESSING"},
    ),
    Vendor(
        "black-forest-labs",
        lambda words: ("/v1/flux-dev", {"prompt": f"a river {words}", "width": 64, "height": 32}),
        lambda made: path_of(made["polling_url"]) if "polling_url" in made else POLLED.format(made["id"]),
        lambda made: str(made.get("status", "")),
        lambda made: str(made["result"]["sample"]),
        ("", "Pending", "Pending", "Ready"),
        {"fail": "Error", "moderated": "Request Moderated", "unknown-state": "Paused", "forever": "Pending"},
        {"x-key": "key"},
    ),
)
POLLED = "/direct/black-forest-labs/v1/get_result?id={}"


class Caller:
    """One job of a vendor at one emulator."""

    def __init__(self, url: Emulator, vendor: Vendor) -> None:
        self.url, self.vendor = url, vendor
        self.made: dict[str, Any] = {}

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        with client(self.url) as http:
            query = dict(httpx.URL(path).params) | self.vendor.query
            return http.request(
                method,
                path.partition("?")[0],
                params=query,
                headers=self.vendor.headers | options.pop("headers", {}),
                **options,
            )

    def submit(self, words: str = "", **headers: str) -> str:
        path, body = self.vendor.submit(words)
        answer = self.send("POST", f"/direct/{self.vendor.name}{path}", json=body, headers=headers)
        answer.raise_for_status()
        self.made = answer.json()
        return self.vendor.state(self.made)

    def poll(self) -> str:
        answer = self.send("GET", self.vendor.poll(self.made))
        answer.raise_for_status()
        self.last: dict[str, Any] = answer.json()
        return self.vendor.state(self.last)

    def result(self) -> httpx.Response:
        """What is at the link of a job that is done; fal has the link in another answer."""
        if self.vendor.name == "fal-ai":
            self.last = self.send("GET", path_of(self.made["response_url"])).raise_for_status().json()
        return httpx.get(self.vendor.result(self.last), trust_env=False, verify=False)
