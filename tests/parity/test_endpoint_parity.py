"""Inference Endpoints side by side with huggingface_hub: its own client and ours, with the same arguments, against the
emulator, ask the same things in the same order. Where they do not, on purpose, the reason stands beside the call.

Skipped where the peer is not installed: `nox -s parity` installs it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import anyio.to_thread
import httpx
import pytest
from parity.request_differences import differences
from parity.server import Asked

from headwater import InferenceClient, emulator

peer = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed; nox -s parity installs it")
httpx2 = pytest.importorskip("httpx2", reason="huggingface_hub's HTTP library is not installed")

TOKEN = "hf_test"
NAME = "ns/mine"
EVERYWHERE = {
    "header accept": "Accept says what can be read; the peer leaves it to its HTTP library's */*",
}
"""Differences of every request, and why."""
UNASKED = {"/api/agent-harnesses"}
"""What the peer asks the Hub once in a process, of itself."""
MACHINE: dict[str, Any] = {
    "repository": "org/model",
    "framework": "custom",
    "accelerator": "gpu",
    "instance_size": "x1",
    "instance_type": "nvidia-l4",
    "region": "us-east-1",
    "vendor": "aws",
}
IMAGE = {"url": "registry.example/mine:1", "port": 8000}
VLLM = {"vLLM": {"url": "vllm/vllm-openai:v0.23.0"}}
CREATED: dict[str, dict[str, Any]] = {
    "plain": {},
    "of its own": {"namespace": "ns"},
    "all": {
        "min_replica": 0,
        "max_replica": 4,
        "scaling_metric": "pendingRequests",
        "scaling_threshold": 2.5,
        "scale_to_zero_timeout": 60,
        "revision": "abc",
        "task": "text-generation",
        "custom_image": VLLM,
        "container_command": ["serve"],
        "container_args": ["--tp", "8"],
        "env": {"A": "1"},
        "secrets": {"B": "2"},
        "type": "public",
        "domain": "x.example",
        "path": "/p",
        "cache_http_responses": True,
        "tags": ["a"],
        "private_link_account_id": "123",
        "private_link_region": "us-east-1",
    },
    "a container": {
        "custom_image": IMAGE,
        "container_registry_username": "me",
        "container_registry_password": "made-up",
    },
}
CHANGED: dict[str, dict[str, Any]] = {
    "compute": {"accelerator": "cpu", "instance_type": "intel-spr", "instance_size": "x1"},
    "scaling": {"min_replica": 0, "max_replica": 2, "scaling_metric": "hardwareUsage", "scaling_threshold": 80},
    "model": {"repository": "a/b", "revision": "abc", "task": "text-generation", "custom_image": IMAGE, "env": {}},
    "parallel": {"tensor_parallel_size": 8, "data_parallel_size": 2},
    "parallel with an image": {"tensor_parallel_size": 8, "custom_image": VLLM},
    "rest": {"secrets": {"A": "b"}, "domain": "x.example", "cache_http_responses": False, "tags": []},
}
Both = tuple[Callable[[Any], Any], Callable[[Any], Any]]


def created(given: dict[str, Any]) -> Both:
    return (
        lambda client: client.endpoints.create("new", **MACHINE, **given),
        lambda api: api.create_inference_endpoint("new", **MACHINE, **given),
    )


def changed(given: dict[str, Any]) -> Both:
    return (
        lambda client: client.endpoints.update("mine", namespace="ns", **given),
        lambda api: api.update_inference_endpoint("mine", namespace="ns", **given),
    )


def acted(ours: str, theirs: str, **given: Any) -> Both:
    return (
        lambda client: getattr(client.endpoints, ours)("mine", namespace="ns", **given),
        lambda api: getattr(api, theirs)("mine", namespace="ns", **given),
    )


CALLS: dict[str, Both] = {
    **{f"create, {name}": created(given) for name, given in CREATED.items()},
    **{f"update, {name}": changed(given) for name, given in CHANGED.items()},
    "get": acted("get", "get_inference_endpoint"),
    "pause": acted("pause", "pause_inference_endpoint"),
    "resume one that runs": acted("resume", "resume_inference_endpoint"),
    "scale to zero": acted("scale_to_zero", "scale_to_zero_inference_endpoint"),
    "delete": acted("delete", "delete_inference_endpoint"),
    "list": (lambda client: client.endpoints.list("ns"), lambda api: api.list_inference_endpoints("ns")),
    "list its own": (lambda client: client.endpoints.list(), lambda api: api.list_inference_endpoints()),
    "hardware": (
        lambda client: client.endpoints.hardware(namespace="ns"),
        lambda api: api.list_inference_endpoints_hardware(namespace="ns"),
    ),
    "catalog": (
        lambda client: client.endpoints.catalog(task="text-generation", engine="vllm", limit=3),
        lambda api: api.list_inference_catalog(task="text-generation", engine="vllm", limit=3),
    ),
    "deploy a repository": (
        lambda client: client.endpoints.deploy("emulator/chat-8b", accelerator="gpu", name="one"),
        lambda api: api.create_inference_endpoint_from_catalog("emulator/chat-8b", accelerator="gpu", name="one"),
    ),
    "deploy a recipe": (
        lambda client: client.endpoints.deploy(recipe="recipe-embed-cpu", namespace="ns"),
        lambda api: api.create_inference_endpoint_from_catalog(recipe_id="recipe-embed-cpu", namespace="ns"),
    ),
    "wait": (
        lambda client: client.endpoints.wait("mine", namespace="ns").result(),
        lambda api: api.get_inference_endpoint("mine", namespace="ns", token=TOKEN).wait(),
    ),
}


@pytest.fixture(scope="module")
def url() -> Iterator[Any]:
    with emulator.running() as found:
        yield found


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def fresh(url: Any) -> Any:
    url.forget()
    url.endpoint(NAME, "pending", "running")
    return url


def forwarded(url: Any, asked: Asked, seen: list[Asked]) -> httpx.Response:
    """What the emulator answers to a request for the real host."""
    seen.append(asked)
    there = httpx.URL(asked.url)
    host = there.host
    place = f"/at-endpoint/{host.partition('.')[0]}" if host.endswith(".cloud") and not host.startswith("api.") else ""
    passed: dict[str, str] = {
        name: asked.headers[name] for name in ("authorization", "content-type") if name in asked.headers
    }
    target = f"{url}{place}{there.raw_path.decode()}"
    headers = {**passed, "x-emulator-host": host}
    return httpx.request(asked.method, target, headers=headers, content=asked.body, trust_env=False)


def ask_ours(url: Any, call: Callable[[Any], Any]) -> list[Asked]:
    seen: list[Asked] = []

    async def respond(request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        asked = Asked(request.method, str(request.url), dict(request.headers), body)
        answer = await anyio.to_thread.run_sync(forwarded, url, asked, seen)
        return httpx.Response(answer.status_code, content=answer.content, headers=kept(answer))

    with InferenceClient(token=TOKEN, transport=httpx.MockTransport(respond), retries=0) as client:
        call(client)
    return seen


def ask_theirs(url: Any, call: Callable[[Any], Any]) -> list[Asked]:
    seen: list[Asked] = []

    def respond(request: Any) -> Any:
        answer = forwarded(url, Asked(request.method, str(request.url), dict(request.headers), request.read()), seen)
        return httpx2.Response(answer.status_code, content=answer.content, headers=kept(answer), request=request)

    peer.set_client_factory(lambda: httpx2.Client(transport=httpx2.MockTransport(respond), follow_redirects=True))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its catalog is experimental, it says
            call(peer.HfApi(token=TOKEN))
    finally:
        peer.close_session()
    return [asked for asked in seen if httpx.URL(asked.url).path not in UNASKED]


def kept(answer: httpx.Response) -> dict[str, str]:
    return {"content-type": answer.headers.get("content-type", "application/json")}


@pytest.mark.parametrize("name", CALLS)
def test_the_same_requests(url: Any, name: str) -> None:
    ours, theirs = CALLS[name]
    asked, wanted = ask_ours(fresh(url), ours), ask_theirs(fresh(url), theirs)
    assert [(each.method, each.url) for each in asked] == [(each.method, each.url) for each in wanted]
    for mine, peers in zip(asked, wanted, strict=True):
        found = {place: pair for place, pair in differences(mine, peers).items() if place not in EVERYWHERE}
        assert found == {}


def test_everything_that_the_token_sees(url: Any) -> None:
    """The peer asks who asks twice, and without the token that it was given for the user's own namespace."""
    asked = ask_ours(fresh(url), lambda client: client.endpoints.list("*"))
    paths = [httpx.URL(each.url).path for each in asked]
    ours = ["/v2/endpoint/emulator", "/v2/endpoint/emulator-org", "/v2/endpoint/forbidden-org"]
    assert paths == ["/api/whoami-v2", *ours]
    assert all(each.headers["authorization"] == f"Bearer {TOKEN}" for each in asked)
