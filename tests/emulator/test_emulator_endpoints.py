"""The emulator's Inference Endpoints: what it refuses, and the lives that tests script."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from support.emulator_client import client

from headwater import emulator

AUTH = {"authorization": "Bearer hf_test"}
CHAT = {"model": "m", "messages": [{"role": "user", "content": "a b"}]}
BODY: dict[str, Any] = {
    "name": "mine",
    "type": "authenticated",
    "provider": {"vendor": "aws", "region": "us-east-1"},
    "compute": {
        "accelerator": "gpu",
        "instanceType": "nvidia-l4",
        "instanceSize": "x1",
        "scaling": {"minReplica": 1, "maxReplica": 1, "scaleToZeroTimeout": None},
    },
    "model": {"repository": "a/b", "framework": "custom", "revision": None, "image": {"huggingface": {}}},
}


def changed(way: str, value: Any) -> dict[str, Any]:
    """The body with one member changed, or without it."""
    body = copy.deepcopy(BODY)
    *path, last = way.split(".")
    inner = body
    for name in path:
        inner = inner[name]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return body


@pytest.fixture
def url(headwater_emulator: Any) -> Any:
    headwater_emulator.forget()
    return headwater_emulator


def asked(url: str, method: str, path: str, **more: Any) -> Any:
    with client(url, headers=AUTH) as http:
        return http.request(method, path, **more)


@pytest.mark.parametrize(
    ("way", "value", "words"),
    [
        ("model.task", None, "model.task: null is not allowed"),
        ("model.tasks", "x", "unknown field model.tasks"),
        ("accountId", None, "unknown field accountId"),
        ("type", "protected", "'protected' is none of"),
        ("name", "Not A Name", "is no name"),
        ("name", ..., "missing field name"),
        ("provider.region", ..., "missing field provider.region"),
        ("compute.scaling.minReplica", 2, "minReplica is above maxReplica"),
        ("compute.scaling.maxReplica", "1", "a integer is wanted"),
        ("compute.scaling.scaleToZeroTimeout", 1, "is below 15"),
        ("compute.instanceSize", "x3", "there is no nvidia-l4 x3"),
        ("model.image", {"vLLM": {}}, "missing field model.image.vLLM.url"),
        ("model.image", {"a": {}, "b": {}}, "model.image: one of"),
        ("model.env", {"A": 1}, "model.env: strings are wanted"),
        ("tags", [1], "tags: strings are wanted"),
    ],
)
def test_what_the_api_does_not_take_is_refused(url: Any, way: str, value: Any, words: str) -> None:
    answer = asked(url, "POST", "/v2/endpoint/ns", json=changed(way, value))
    assert (answer.status_code, url.endpoints) == (400, [])
    assert words in answer.json()["error"]


def test_an_endpoint_is_made_once_and_goes_through_its_life(url: Any) -> None:
    assert asked(url, "POST", "/v2/endpoint/ns", json=BODY).json()["status"]["state"] == "pending"
    assert asked(url, "POST", "/v2/endpoint/ns", json=BODY).status_code == 409
    states = [asked(url, "GET", "/v2/endpoint/ns/mine").json()["status"]["state"] for _ in range(3)]
    assert states == ["initializing", "running", "running"]
    assert asked(url, "POST", "/v2/endpoint/ns/mine/resume").status_code == 400
    assert asked(url, "PUT", "/v2/endpoint/ns/mine", json={}).status_code == 400
    change = {"compute": {"scaling": {"maxReplica": 3}}}
    assert asked(url, "PUT", "/v2/endpoint/ns/mine", json=change).json()["status"]["state"] == "updating"
    assert asked(url, "POST", "/v2/endpoint/ns/mine/pause").json()["status"]["state"] == "paused"
    for action in ("pause", "scale-to-zero"):
        assert asked(url, "POST", f"/v2/endpoint/ns/mine/{action}").status_code == 400
    assert asked(url, "DELETE", "/v2/endpoint/ns/mine").status_code == 204
    assert asked(url, "GET", "/v2/endpoint/ns/mine").status_code == 404
    [made] = url.endpoints
    assert (made.actions, made.is_deleted) == (["create", "update", "pause", "delete"], True)
    assert made.body["compute"]["scaling"] == {"minReplica": 1, "maxReplica": 3, "scaleToZeroTimeout": None}


def test_no_secret_comes_back(url: Any) -> None:
    image = {"custom": {"url": "u", "credentials": {"username": "me", "password": "pw-of-mine"}}}
    body = changed("model", {**BODY["model"], "secrets": {"A": "s-of-mine"}, "image": image})
    assert "of-mine" not in asked(url, "POST", "/v2/endpoint/ns", json=body).text
    assert "of-mine" not in asked(url, "GET", "/v2/endpoint/ns").text


@pytest.mark.parametrize(
    ("headers", "path"),
    [
        ({}, "/v2/endpoint/ns"),
        ({"authorization": "Bearer key"}, "/v2/endpoint/ns"),
        (AUTH, "/v2/endpoint/forbidden-org"),
    ],
)
def test_who_may_not_is_refused(url: Any, headers: dict[str, str], path: str) -> None:
    with client(url, headers=headers) as http:
        assert http.get(path).status_code == 401


def test_an_endpoint_answers_while_it_runs(url: Any) -> None:
    there = url.endpoint("ns/mine", "initializing", "running", unhealthy=1)
    assert asked(there, "POST", f"{there}/v1/chat/completions", json=CHAT).status_code == 503
    asked(url, "GET", "/v2/endpoint/ns/mine")
    assert asked(there, "POST", f"{there}/v1/chat/completions", json=CHAT).status_code == 200
    assert [asked(there, "GET", f"{there}/health").status_code for _ in range(2)] == [503, 200]
    with client(url) as http:
        assert http.get(f"{there}/health").status_code == 401
        assert http.get(f"{url.endpoint('ns/open', 'running', type='public')}/health").status_code == 200
    paused = url.endpoint("ns/paused", "paused")
    assert asked(paused, "GET", f"{paused}/health").status_code == 400


@pytest.mark.parametrize(
    ("headers", "statuses"),
    [({}, [503, 503, 200]), ({"x-scale-up-timeout": "600"}, [200]), ({"x-scale-up-timeout": "601"}, [400])],
)
def test_one_that_scaled_to_zero_wakes(url: Any, headers: dict[str, str], statuses: list[int]) -> None:
    there = url.endpoint("ns/mine", "scaledToZero")
    for status in statuses:
        answer = asked(there, "POST", f"{there}/v1/chat/completions", json=CHAT, headers=headers)
        assert answer.status_code == status


def test_the_catalog(url: Any) -> None:
    assert [each["repoId"] for each in asked(url, "GET", "/api/v1/catalog/list?engine=tei").json()["items"]] == [
        "emulator/embed-small"
    ]
    assert asked(url, "GET", "/api/v1/catalog/list?colour=red").status_code == 400
    deploy = "/api/v1/catalog/model/emulator/chat-8b/deploy"
    made = asked(url, "POST", deploy, json={"namespace": "ns", "accelerator": "cpu"}).json()["endpoint"]
    assert "llamacpp" in made["model"]["image"]
    assert asked(url, "POST", deploy, json={"namespace": "ns", "colour": "red"}).status_code == 400
    assert asked(url, "POST", "/api/v1/catalog/recipe/none/deploy", json={"namespace": "ns"}).status_code == 404


async def reached(url: str) -> Any:
    import httpx

    async with httpx.AsyncClient(transport=emulator.rewriting(url), headers=AUTH) as http:
        listed = await http.get("https://api.endpoints.huggingface.cloud/v2/endpoint/ns")
        there = listed.json()["items"][0]["status"]["url"]
        return there, (await http.get(f"{there}/health")).status_code


def test_the_real_hosts_lead_here(url: Any) -> None:
    import anyio

    url.endpoint("ns/mine", "running")
    there, status = anyio.run(reached, str(url))
    assert there.startswith("https://") and there.endswith(".endpoints.huggingface.cloud") and status == 200
