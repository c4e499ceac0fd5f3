"""Where media calls go in and come out: credentials as each vendor wants them, the CDN, real hosts rewritten."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from support.emulator_client import client

from headwater import emulator
from headwater.emulator.dialects import media
from headwater.emulator.server import Emulator

CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("fal-ai/fal-ai/flux/dev", {"prompt": "a"}),
    ("replicate/v1/models/a/b/predictions", {"input": {"prompt": "a"}}),
    ("together/v1/images/generations", {"model": "m", "prompt": "a", "response_format": "base64"}),
    ("novita/v3/async/m", {"prompt": "a"}),
    ("nscale/v1/images/generations", {"model": "m", "prompt": "a", "response_format": "b64_json"}),
    ("wavespeed/api/v3/m", {"prompt": "a"}),
    ("zai-org/api/paas/v4/async/images/generations", {"model": "m", "prompt": "a"}),
    ("black-forest-labs/v1/flux-dev", {"prompt": "a"}),
    ("deepinfra/v1/openai/audio/speech", {"model": "m", "input": "a"}),
    ("groq/openai/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "a"}]}),
)
OWN = {"fal-ai": ("authorization", "Key key"), "black-forest-labs": ("x-key", "key")}


@pytest.mark.parametrize(
    ("path", "body"), CALLS, ids=lambda value: value.split("/")[0] if isinstance(value, str) else ""
)
def test_each_vendor_wants_its_own_credential(headwater_emulator: Emulator, path: str, body: Any) -> None:
    name, value = OWN.get(path.split("/")[0], ("authorization", "Bearer key"))
    refused: tuple[dict[str, str], ...] = ({}, {name: value.replace("key", "hf_test")}, {"authorization": "Basic key"})
    with client(headwater_emulator) as http:
        for headers in refused:
            assert http.post(f"/direct/{path}", json=body, headers=headers).status_code in (401, 403)
        assert http.post(f"/direct/{path}", json=body, headers={name: value}).is_success


@pytest.mark.parametrize(
    ("path", "body"), CALLS, ids=lambda value: value.split("/")[0] if isinstance(value, str) else ""
)
def test_the_router_wants_a_token_of_hugging_face(headwater_emulator: Emulator, path: str, body: Any) -> None:
    with client(headwater_emulator) as http:
        for value in (None, "Bearer key", "Key hf_test"):
            answer = http.post(f"/routed/{path}", json=body, headers={"authorization": value} if value else {})
            assert (answer.status_code, answer.json()) == (401, {"error": "Invalid username or password."})
        assert http.post(f"/routed/{path}", json=body, headers={"authorization": "Bearer hf_test"}).is_success


def test_keys_hold_for_every_scheme() -> None:
    with emulator.running(api_keys=["good"]) as url, client(url) as http:
        for path, body in CALLS:
            name, value = OWN.get(path.split("/")[0], ("authorization", "Bearer key"))
            assert http.post(f"/direct/{path}", json=body, headers={name: value}).status_code in (401, 403)
            good = {name: value.replace("key", "good")}
            assert http.post(f"/direct/{path}", json=body, headers=good).is_success


def test_hf_inference_needs_no_token(headwater_emulator: Emulator) -> None:
    path, body = "/routed/hf-inference/models/a/text-classification", {"inputs": "a"}
    with client(headwater_emulator) as http:
        assert http.post(path, json=body).is_success
        assert http.post(path, json=body, headers={"authorization": "Bearer other"}).status_code == 401


def test_the_cdn_is_another_origin_that_refuses_credentials(headwater_emulator: Emulator) -> None:
    file = "/files/0/64x32.png"
    assert httpx.URL(headwater_emulator.cdn).port != httpx.URL(headwater_emulator).port
    for place in (headwater_emulator.cdn + file, f"{headwater_emulator}/cdn{file}"):
        picture = httpx.get(place, trust_env=False, verify=False)
        assert picture.headers["content-type"] == "image/png" and media.size_of(picture.content) == (64, 32)
        for header in ("authorization", "cookie", "x-key"):
            assert httpx.get(place, headers={header: "Bearer x"}, trust_env=False, verify=False).status_code == 400
    assert headwater_emulator.requests[-1].path == f"/cdn{file}"
    gone = httpx.get(f"{headwater_emulator.cdn}/files/0/gone.png", trust_env=False, verify=False)
    assert gone.status_code == 404 and gone.text.startswith("<!DOCTYPE html>")
    assert httpx.get(f"{headwater_emulator.cdn}/v1/models", trust_env=False, verify=False).status_code == 404


def test_a_huge_result_comes_as_it_is_made(headwater_emulator: Emulator) -> None:
    with httpx.stream("GET", f"{headwater_emulator.cdn}/files/0/huge-40.mp4", trust_env=False) as answer:
        assert answer.headers["content-length"] == str(40 * 2**20)
        pieces = answer.iter_bytes(2**20)
        assert next(pieces)[4:8] == b"ftyp"
        assert sum(map(len, pieces)) == 39 * 2**20


@pytest.mark.anyio
async def test_real_hosts_are_rewritten() -> None:
    with emulator.running() as url:
        transport = emulator.rewriting(url)
        async with httpx.AsyncClient(transport=transport, trust_env=False) as http:
            key = {"authorization": "Key key"}
            receipt = await http.post("https://queue.fal.run/fal-ai/flux/dev", json={"prompt": "instant"}, headers=key)
            made = receipt.json()
            assert made["status_url"].startswith("https://queue.fal.run/fal-ai/flux/requests/")
            done = await http.get(made["status_url"], headers=key)
            assert done.json()["status"] == "COMPLETED"
            result = (await http.get(made["response_url"], headers=key)).json()["images"][0]["url"]
            assert result.startswith("https://fal.media/files/")
            assert (await http.get(result)).content.startswith(b"\x89PNG")
            assert (await http.get(result, headers=key)).status_code == 400
        assert url.requests[0].path == "/direct/fal-ai/fal-ai/flux/dev"
        assert url.requests[0].headers["x-emulator-host"] == "queue.fal.run"


@pytest.mark.anyio
async def test_the_router_and_the_hub_are_rewritten() -> None:
    token = {"authorization": "Bearer hf_test"}
    with emulator.running() as url:
        async with httpx.AsyncClient(transport=emulator.rewriting(url), trust_env=False, headers=token) as http:
            card = "https://huggingface.co/api/models/a/text-to-video?expand=inferenceProviderMapping"
            mapping = (await http.get(card)).json()["inferenceProviderMapping"]
            assert mapping["fal-ai"] == {
                "status": "live",
                "providerId": "fal-ai/a/text-to-video",
                "task": "text-to-video",
            }
            assert mapping["replicate"]["providerId"] == "a/text-to-video"
            router = "https://router.huggingface.co"
            job = f"{router}/fal-ai/fal-ai/a/text-to-video?_subdomain=queue"
            made = (await http.post(job, json={"prompt": "a"})).json()
            path = httpx.URL(made["response_url"]).path
            polled = await http.get(f"{router}/fal-ai{path}/status?_subdomain=queue")
            assert polled.status_code == 202
            chat = {"model": "m", "messages": [{"role": "user", "content": "a"}]}
            assert (await http.post(f"{router}/v1/chat/completions", json=chat)).is_success
        assert [request.path.split("/")[1] for request in url.requests] == ["api", "routed", "routed", "v1"]


@pytest.mark.anyio
async def test_nothing_leaves_for_hosts_that_nobody_stands_in_for(headwater_emulator: Emulator) -> None:
    async with httpx.AsyncClient(transport=emulator.rewriting(headwater_emulator), trust_env=False) as http:
        for url in ("https://example.com/", "http://api.replicate.com/v1/predictions"):
            with pytest.raises(httpx.ConnectError, match=r"does not stand in|https alone"):
                await http.get(url)
        assert (await http.get(f"{headwater_emulator}/health")).is_success


def test_a_transport_can_be_had_more_than_once(headwater_emulator: Emulator) -> None:
    assert emulator.rewriting(headwater_emulator) is not emulator.rewriting(headwater_emulator)


@pytest.mark.parametrize(
    ("model", "entry"),
    [
        ("a/text-to-image-staging", {"status": "staging"}),
        ("a/text-to-image-lora", {"adapter": "lora", "adapterWeightsPath": "lora.safetensors"}),
        ("a/text-to-image-versioned", {"providerId": "a/text-to-image-versioned:" + "0123456789abcdef" * 4}),
    ],
)
def test_what_the_hub_says_of_a_model(headwater_emulator: Emulator, model: str, entry: dict[str, str]) -> None:
    with client(headwater_emulator) as http:
        found = http.get(f"/api/models/{model}?expand=inferenceProviderMapping").json()["inferenceProviderMapping"]
    assert entry.items() <= found["replicate"].items()


def test_every_task_has_a_recommended_model(headwater_emulator: Emulator) -> None:
    with client(headwater_emulator) as http:
        tasks = http.get("/api/tasks").json()
        for task, found in tasks.items():
            (model,) = (http.get(f"/api/models/{name}").json() for name in found["widgetModels"])
            assert model["pipeline_tag"] == ("text-generation" if task == "conversational" else task)
    assert len(tasks) == 36
