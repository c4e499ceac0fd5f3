"""Vendors whose results are at URLs, played from memory: their answers up to the one that names the URL."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from headwater.testing import MemoryTransport, ScriptedResponse, SentRequest
from support.drivers import Driver

PNG = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0\x90wS\xde\0\0\0\x0cIDATx\x9cc\xf8\xcf\xc0\0\0\3\1\1\0"
    b"\xc9\xfe\x92\xef\0\0\0\0IEND\xaeB`\x82"
)
MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"
FLAC = b"fLaC\0\0\0\x22" + bytes(40)
KEY = "key-0123456789abcdef"


def fal(name: str) -> Callable[[str], Any]:
    return lambda url: {name: [{"url": url}] if name == "images" else {"url": url}}


VENDORS: dict[str, tuple[str, str, list[Any], Callable[[str], Any]]] = {
    "fal-ai": ("fal-ai", "text_to_image", [{"request_id": "j"}, {"status": "COMPLETED"}], fal("images")),
    "fal-ai video": ("fal-ai", "text_to_video", [{"request_id": "j"}, {"status": "COMPLETED"}], fal("video")),
    "fal-ai speech": ("fal-ai", "text_to_speech", [], fal("audio")),
    "replicate": (
        "replicate", "text_to_image", [], lambda url: {"id": "j", "status": "succeeded", "output": [url]},
    ),
    "replicate speech": (
        "replicate", "text_to_speech", [], lambda url: {"id": "j", "status": "succeeded", "output": url},
    ),
    "together": (
        "together", "text_to_video", [{"id": "j"}], lambda url: {"status": "completed", "outputs": {"video_url": url}},
    ),
    "together image": ("together", "text_to_image", [], lambda url: {"data": [{"url": url}]}),
    "novita": (
        "novita", "text_to_video", [{"task_id": "j"}],
        lambda url: {"task": {"status": "TASK_STATUS_SUCCEED"}, "videos": [{"video_url": url}]},
    ),
    "wavespeed": (
        "wavespeed", "text_to_image", [{"data": {"id": "j", "status": "created"}}],
        lambda url: {"data": {"id": "j", "status": "completed", "outputs": [url]}},
    ),
    "zai-org": (
        "zai-org", "text_to_image", [{"id": "j", "task_status": "PROCESSING"}],
        lambda url: {"task_status": "SUCCESS", "image_result": [{"url": url}]},
    ),
    "black-forest-labs": (
        "black-forest-labs", "text_to_image",
        [{"id": "j", "polling_url": "https://api.us1.bfl.ai/v1/get_result?id=j"}],
        lambda url: {"status": "Ready", "result": {"sample": url}},
    ),
    "openai": ("openai", "text_to_image", [], lambda url: {"data": [{"url": url}]}),
    "nscale": ("nscale", "text_to_image", [], lambda url: {"data": [{"url": url}]}),
}  # fmt: skip


class Vendor(MemoryTransport):
    """Plays a vendor whose result is at this URL; `hops`: the redirects on the way there;
    `file`: what is there in place of a result."""

    def __init__(self, vendor: str, url: str, hops: list[str] = []) -> None:  # noqa: B006 - read alone
        self.provider, self.task, answers, done = VENDORS[vendor]
        self.waiting = [json.dumps(each).encode() for each in (*answers, done(url))]
        self.hops = list(hops)
        self.file: ScriptedResponse | None = None
        super().__init__(self._play)

    def _play(self, asked: SentRequest) -> ScriptedResponse:
        if self.waiting:
            return ScriptedResponse(self.waiting.pop(0))
        if self.hops:
            return ScriptedResponse(status=302, headers={"location": self.hops.pop(0)})
        if self.file is not None:
            return self.file
        kind = {"text_to_video": MP4, "text_to_speech": FLAC}.get(self.task, PNG)
        return ScriptedResponse(kind, content_type="application/octet-stream")

    async def ask(self, driver: Driver) -> Any:
        settings: dict[str, Any] = {"provider": self.provider, "api_key": KEY, "transport": self}
        async with driver.client(**settings, model_mapping={"m/n": "m/n"}) as client:
            return await getattr(client, self.task)("a lighthouse", model="m/n")
