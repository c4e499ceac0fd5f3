"""Jobs in every vendor's dialect: how they go on, how they end, how they are cancelled, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from _emulator_calls import client

from headwater import emulator
from headwater.emulator.server import Emulator

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
every_vendor = pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)


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


@every_vendor
def test_a_job_goes_on_by_being_polled(vendor: Vendor) -> None:
    with emulator.running() as url:
        job = Caller(url, vendor)
        assert (job.submit(), *(job.poll() for _ in range(3))) == vendor.states
        assert job.poll() == vendor.states[-1]
        found = job.result()
        assert found.status_code == 200 and found.headers["content-type"] in ("image/png", "video/mp4")
        (record,) = url.jobs
        assert (record.provider, record.polls, record.submits) == (vendor.name, 4, 1)
        assert record.state == "done" and not record.cancelled


@every_vendor
def test_how_jobs_end(vendor: Vendor) -> None:
    with emulator.running() as url:
        for words, state in vendor.ends.items():
            job = Caller(url, vendor)
            job.submit(words)
            assert [job.poll() for _ in range(5)][-1] == state, words


@every_vendor
def test_an_instant_job_is_done_at_the_first_poll(vendor: Vendor) -> None:
    with emulator.running() as url:
        job = Caller(url, vendor)
        job.submit("instant")
        assert job.poll() == vendor.states[-1] and job.result().status_code == 200


@every_vendor
def test_a_flaky_job_fails_three_polls_and_is_not_behind_for_it(vendor: Vendor) -> None:
    with emulator.running() as url:
        job = Caller(url, vendor)
        job.submit("flaky")
        polls = [job.send("GET", vendor.poll(job.made)).status_code for _ in range(3)]
        assert polls == [500, 500, 500]
        assert tuple(job.poll() for _ in range(3)) == vendor.states[1:]
        assert [(record.submits, record.polls) for record in url.jobs] == [(1, 6)]


@every_vendor
def test_what_is_sent_twice_counts_twice(vendor: Vendor) -> None:
    with emulator.running() as url:
        for _ in range(2):
            Caller(url, vendor).submit()
        assert [record.submits for record in url.jobs] == [1, 2]
        assert len({record.id for record in url.jobs}) == 2
        url.forget()
        assert url.jobs == []


@every_vendor
def test_a_result_can_be_gone(vendor: Vendor) -> None:
    with emulator.running() as url:
        job = Caller(url, vendor)
        job.submit("instant-gone")
        job.poll()
        assert job.result().status_code == 404


@every_vendor
def test_jobs_of_nobody(vendor: Vendor) -> None:
    with emulator.running() as url:
        job = Caller(url, vendor)
        job.submit()
        path = vendor.poll(job.made).replace(url.jobs[0].id, "00000000-none")
        assert job.send("GET", path).status_code == 404


@pytest.mark.parametrize(
    ("name", "method", "ending", "state"),
    [
        ("fal-ai", "PUT", "/cancel", "COMPLETED"),
        ("replicate", "POST", "/cancel", "canceled"),
        ("wavespeed", "DELETE", "", "failed"),
    ],
)
def test_cancelling(name: str, method: str, ending: str, state: str) -> None:
    vendor = next(vendor for vendor in VENDORS if vendor.name == name)
    with emulator.running() as url:
        job = Caller(url, vendor)
        job.submit("forever")
        path = vendor.poll(job.made).removesuffix("/status").removesuffix("/result") + ending
        with pytest.raises(TimeoutError, match="a job is cancelled"):
            url.job_cancelled(0.01)
        job.send(method, path).raise_for_status()
        url.job_cancelled()
        assert url.jobs[0].cancelled and job.poll() == state
        job.send(method, path)
        assert url.jobs[0].state == "cancelled"


def test_wavespeed_deletes_many() -> None:
    vendor = VENDORS[4]
    with emulator.running() as url:
        job = Caller(url, vendor)
        job.submit("forever")
        body = {"ids": [url.jobs[0].id]}
        job.send("POST", "/direct/wavespeed/api/v3/predictions/delete", json=body).raise_for_status()
        url.job_cancelled()


def test_fal_tells_the_queue_from_the_model() -> None:
    key = {"authorization": "Key key"}
    with emulator.running() as url, client(url, headers=key) as http:
        path, body = "/direct/fal-ai/fal-ai/flux/dev", {"prompt": "a river", "image_size": {"width": 64, "height": 32}}
        at_once = http.post(path, json=body).json()
        assert at_once["images"][0]["width"] == 64 and at_once["images"][0]["url"].startswith(url.cdn)
        receipt = http.post(f"{path}?_subdomain=queue", json=body).json()
        assert receipt["status"] == "IN_QUEUE" and "/fal-ai/flux/requests/" in receipt["response_url"]
        early = http.get(f"{receipt['response_url']}?_subdomain=queue")
        assert (early.status_code, early.json()) == (400, {"detail": "Request is still in progress"})
        assert http.get(receipt["status_url"]).status_code == 404
        again = http.get(receipt["status_url"], params={"_subdomain": "queue", "logs": "1"})
        assert again.status_code == 202 and again.json()["queue_position"] == 1
        logs = http.get(receipt["status_url"], params={"_subdomain": "queue", "logs": "1"}).json()["logs"]
        assert logs[0]["message"] == "step 1 of 2"
        forwarded = http.post(path, json=body, headers={"x-emulator-host": "queue.fal.run"}).json()
        assert forwarded["response_url"].startswith("https://queue.fal.run/fal-ai/flux/requests/")


@pytest.mark.parametrize(
    ("words", "status", "detail"), [("fail", 500, "The model failed"), ("moderated", 422, "content_policy_violation")]
)
def test_fal_says_why_a_job_has_no_result(words: str, status: int, detail: str) -> None:
    with emulator.running() as url:
        job = Caller(url, VENDORS[0])
        job.submit(f"instant-{words}")
        job.poll()
        answer = job.send("GET", path_of(job.made["response_url"]))
        assert answer.status_code == status and detail in answer.text and "x-fal-error-type" in answer.headers


@pytest.mark.parametrize(
    ("model", "body", "status", "found"),
    [
        ("fal-ai/whisper", {"audio_url": "data:audio/wav;base64,AAAA"}, 400, "Unsupported data URL"),
        ("fal-ai/whisper", {}, 422, "audio_url"),
        ("fal-ai/flux/dev", {"prompt": 3}, 422, "type_error"),
        ("fal-ai/flux/dev", {"prompt": "a", "loras": [{"path": None}]}, 422, "str type expected"),
        ("fal-ai/image-to-image", {"prompt": "a"}, 422, "image_url"),
        ("fal-ai/image-to-image", {"image_url": "data:image/png;base64,?"}, 422, "value_error"),
        ("fal-ai/tts", {"inputs": "a"}, 422, "text"),
    ],
)
def test_what_fal_refuses(headwater_emulator: Emulator, model: str, body: Any, status: int, found: str) -> None:
    with client(headwater_emulator, headers={"authorization": "Key key"}) as http:
        answer = http.post(f"/direct/fal-ai/{model}", json=body)
    assert answer.status_code == status and found in answer.text and "detail" in answer.json()


@pytest.mark.parametrize(
    ("model", "body", "kind"),
    [
        ("whisper", {"audio_url": "data:audio/x-wav;base64,AAAA"}, "text"),
        ("tts", {"text": "a"}, "audio"),
        ("text-to-audio", {"prompt": "a"}, "audio_file"),
        ("audio-to-audio", {"audio_url": "https://a/b.mp3"}, "audio"),
        ("image-segmentation", {"image_url": PNG, "sync_mode": True}, "image"),
        ("image-to-video", {"image_url": PNG}, "video"),
    ],
)
def test_what_fal_makes(headwater_emulator: Emulator, model: str, body: Any, kind: str) -> None:
    with client(headwater_emulator, headers={"authorization": "Key key"}) as http:
        assert http.post(f"/direct/fal-ai/fal-ai/{model}", json=body).raise_for_status().json()[kind]


def test_replicate_waits_when_it_is_asked_to() -> None:
    with emulator.running() as url:
        job = Caller(url, VENDORS[1])
        path, body = VENDORS[1].submit("")
        answer = job.send("POST", f"/direct/replicate{path}", json=body, headers={"prefer": "wait=5"})
        assert (answer.status_code, answer.json()["output"]) == (202, None)
        assert answer.headers["preference-applied"] == "wait=5" and answer.headers["location"]
        job.submit("instant", prefer="wait")
        assert job.made["status"] == "succeeded" and len(job.made["output"]) == 1
        events = httpx.get(job.made["urls"]["stream"], trust_env=False, verify=False)
        assert events.headers["content-type"].startswith("text/event-stream")
        assert events.text.startswith("event: output\n") and events.text.endswith("event: done\nid: done\ndata: {}\n\n")


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("/v1/predictions", {"input": {}}, {}, 422),
        ("/v1/predictions", {"version": "v", "input": {}, "provider": "x"}, {}, 422),
        ("/v1/models/a/b/predictions", {"input": {}, "version": "v"}, {}, 422),
        ("/v1/models/a/b/predictions", {"inputs": {}}, {}, 422),
        ("/v1/models/a/b/predictions", {"input": {"prompt": 3}}, {}, 422),
        ("/v1/models/a/b/predictions", {"input": {"image": "c:/x.png"}}, {}, 422),
        ("/v1/models/a/b/predictions", {"input": {}}, {"prefer": "wait=61"}, 400),
        ("/v1/models/a/b/predictions", {"input": {}}, {"cancel-after": "1s"}, 400),
        ("/v1/models/a/b/predictions", {"input": {}}, {"cancel-after": "soon"}, 400),
        ("/v1/models/a/b/predictions", {"input": {}}, {"cancel-after": "1m"}, 201),
        ("/v1/predictions", {"version": "v", "input": {}}, {}, 201),
    ],
)
def test_what_replicate_refuses(headwater_emulator: Emulator, path: str, body: Any, headers: Any, status: int) -> None:
    with client(headwater_emulator, headers={"authorization": "Bearer key"} | headers) as http:
        answer = http.post(f"/direct/replicate{path}", json=body)
    assert answer.status_code == status
    assert status == 201 or (answer.headers["content-type"], answer.json()["status"]) == (
        "application/problem+json",
        status,
    )


@pytest.mark.parametrize(
    ("path", "body", "found"),
    [
        ("together/v2/videos", {"model": "m"}, "prompt"),
        ("together/v2/videos", {"model": "m", "prompt": "a", "steps": "4"}, "steps"),
        ("together/v2/videos", {"model": "m", "frame_images": [{"input_image": "x"}]}, "frame_images"),
        ("together/v2/videos", {"model": "m", "frame_images": [{"input_image": PNG[:22] + "A" * 2**17}]}, "65536"),
        ("novita/v3/async/m", {}, "prompt"),
        ("novita/v3/hf/m", {"prompt": "a", "seed": "x"}, "seed"),
        ("wavespeed/api/v3/m", {}, "prompt"),
        ("wavespeed/api/v3/image-to-image", {"prompt": "a"}, "image"),
        ("wavespeed/api/v3/image-to-image", {"image": "c:/x.png"}, "image"),
        ("zai-org/api/paas/v4/async/images/generations", {"model": "m"}, "prompt"),
        ("zai-org/api/paas/v4/async/images/generations", {"model": "m", "prompt": "a", "size": "big"}, "size"),
        ("zai-org/api/paas/v4/layout_parsing", {"model": "m", "file": "x"}, "file"),
    ],
)
def test_what_others_refuse(headwater_emulator: Emulator, path: str, body: Any, found: str) -> None:
    with client(headwater_emulator, headers={"authorization": "Bearer key"}) as http:
        answer = http.post(f"/direct/{path}", json=body)
    assert answer.status_code == 400 and found in answer.text


def test_what_the_others_answer_at_once(headwater_emulator: Emulator) -> None:
    with client(headwater_emulator, headers={"authorization": "Bearer key"}) as http:
        video = http.post("/direct/novita/v3/hf/wan-t2v", json={"prompt": "a"}).json()["video"]["video_url"]
        assert httpx.get(video, trust_env=False, verify=False).content[4:8] == b"ftyp"
        page = {"model": "glm-ocr", "file": PNG}
        assert http.post("/direct/zai-org/api/paas/v4/layout_parsing", json=page).json()["md_results"].startswith("# ")
    with client(headwater_emulator, headers={"x-key": "key"}) as http:
        assert http.post("/direct/black-forest-labs/v1/flux-dev", json={}).status_code == 422
