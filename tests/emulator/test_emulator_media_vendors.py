"""What is particular to each vendor of jobs: fal's queue, replicate's headers, what each of them refuses."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from support.emulator_client import client
from support.job_endpoints import PNG, VENDORS, Caller, path_of

from headwater import emulator
from headwater.emulator.server import Emulator


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
