"""The API's calls: what they send, what they make of an answer, and what is never sent twice or shown."""

from __future__ import annotations

import json
import pickle
import traceback
from typing import Any

import pytest
from support.drivers import Driver
from support.endpoint_api import CREATE, NAME, EndpointApi, said
from support.flow_player import call, play, reply

from headwater import (
    AuthenticationError,
    ConflictError,
    ConnectError,
    ConnectionLostError,
    InferenceTimeoutError,
    InvalidParameterError,
    InvalidRequestError,
    MissingCredentialError,
    NotFoundError,
    ProviderError,
    ServerError,
)
from headwater.endpoints import bodies, flows
from headwater.endpoints.addresses import API_URL, CATALOG_URL, split
from headwater.endpoints.types import EndpointInfo, endpoint_in
from headwater.engine.retry import RAISE, Retries, decide
from headwater.testing import MemoryTransport, ScriptedResponse, SentRequest

TOKEN = "hf_token"
ME = reply({"name": "me", "type": "user", "orgs": [{"name": "org"}, {"name": "closed"}]})


def asking() -> Any:
    return call("endpoints", "inference-endpoints", base=API_URL)


# what is sent


def test_a_creation_says_what_was_given_and_no_null_task() -> None:
    given = {**CREATE, "env": {"A": "1"}, "secrets": {"B": "2"}, "scaling_metric": "pendingRequests"}
    body = bodies.creation("mine", {**given, "scaling_threshold": 2, "domain": "x.org", "tags": ["a"], "path": "/p"})
    assert body["model"] == {
        "repository": "org/model",
        "framework": "custom",
        "revision": None,
        "image": {"huggingface": {}},
        "env": {"A": "1"},
        "secrets": {"B": "2"},
    }
    scaling = {"minReplica": 1, "maxReplica": 1, "scaleToZeroTimeout": None, "measure": {"pendingRequests": 2}}
    assert body["compute"]["scaling"] == scaling
    assert (body["type"], body["route"], body["tags"]) == ("authenticated", {"domain": "x.org", "path": "/p"}, ["a"])
    assert bodies.creation("mine", {**CREATE, "task": "text-generation"})["model"]["task"] == "text-generation"


@pytest.mark.parametrize(
    ("given", "image"),
    [
        ({"custom_image": {"url": "u", "port": 8}}, {"custom": {"url": "u", "port": 8}}),
        ({"custom_image": {"vLLM": {"url": "u"}}}, {"vLLM": {"url": "u"}}),
        (
            {"custom_image": {"url": "u"}, "container_registry_username": "me", "container_registry_password": "pw"},
            {"custom": {"url": "u", "credentials": {"username": "me", "password": "pw"}}},
        ),
    ],
)
def test_images(given: dict[str, Any], image: dict[str, Any]) -> None:
    assert bodies.creation("mine", {**CREATE, **given})["model"]["image"] == image


@pytest.mark.parametrize(
    "given",
    [
        {"type": "protected"},
        {"container_registry_password": "pw"},
        {"container_registry_username": "me"},
        {"custom_image": {"vLLM": {"url": "u"}}, "container_registry_username": "me"},
        {"custom_image": "vllm/vllm"},
        {"private_link_account_id": "1"},
        {"scaling_threshold": 2},
        {"container_args": "--tp 8"},
    ],
)
def test_arguments_that_do_not_go_together(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError):
        bodies.creation("mine", {**CREATE, **given})


def test_a_change_says_what_changes_alone() -> None:
    given = {"min_replica": 0, "secrets": {"A": "b"}, "task": None, "cache_http_responses": False}
    body = {"compute": {"scaling": {"minReplica": 0}}, "model": {"secrets": {"A": "b"}}, "cacheHttpResponses": False}
    assert bodies.change(given) == body
    with pytest.raises(InvalidParameterError):
        bodies.change({"min_replica": None})


def test_parallel_sizes_go_into_the_image_that_there_is() -> None:
    update = flows.update_endpoint(asking(), name=NAME, namespace=None, given={"tensor_parallel_size": 8})
    there = {**said("running"), "model": {"image": {"vLLM": {"url": "u"}}}}
    played = play(update, reply(there), reply(said("updating")))
    assert [request.method for request in played.requests] == ["GET", "PUT"]
    assert played.body == {"model": {"image": {"vLLM": {"url": "u", "tensorParallelSize": 8}}}}
    held = {"model": {"image": {"custom": {"url": "u", "credentials": {"username": "***"}}}}}
    again = flows.update_endpoint(asking(), name=NAME, namespace=None, given={"tensor_parallel_size": 8})
    with pytest.raises(InvalidParameterError, match="custom_image"):
        play(again, reply({**said("running"), **held}))


def test_the_namespace_is_the_tokens_own() -> None:
    played = play(flows.get_endpoint(asking(), name="mine", namespace=None), ME, reply(said("running")))
    assert [request.url for request in played.requests] == [
        "https://huggingface.co/api/whoami-v2",
        f"{API_URL}/endpoint/me/mine",
    ]
    assert [request.auth for request in played.requests] == ["hub", "provider"]
    assert played.result.namespace == "me"
    with pytest.raises(InvalidParameterError, match="namespace='org'"):
        play(flows.get_endpoint(asking(), name="mine", namespace=None), reply({"name": "org", "type": "org"}))


def test_all_that_the_token_sees() -> None:
    refused = AuthenticationError("no billing")
    items: list[Any] = [reply({"items": [said("running")]}), reply({"items": [said("paused")]}), refused]
    played = play(flows.list_endpoints(asking(), namespace="*"), ME, *items)
    assert [each.full_name for each in played.result] == ["me/mine", "org/mine"]
    assert all(request.auth == "provider" for request in played.requests[1:])
    with pytest.raises(ServerError):
        play(flows.list_endpoints(asking(), namespace="*"), ME, reply({"items": []}), ServerError("away"))


@pytest.mark.parametrize("name", ["", "a/b/c", "../x", "a b", "ns/", None, 7])
def test_no_name_leads_elsewhere(name: Any) -> None:
    with pytest.raises(InvalidParameterError):
        split(name)


def test_a_deployment_by_repository_or_recipe() -> None:
    given: dict[str, Any] = {"recipe": None, "name": None, "namespace": "ns", "accelerator": None, "gguf_file": None}
    answer = reply({"endpoint": said("pending")})
    played = play(flows.deploy_endpoint(asking(), repository="org/model", **{**given, "accelerator": "gpu"}), answer)
    assert (played.request.url, played.body) == (
        f"{CATALOG_URL}/model/org/model/deploy",
        {"namespace": "ns", "accelerator": "gpu"},
    )
    played = play(
        flows.deploy_endpoint(asking(), repository=None, **{**given, "recipe": "r 1", "name": "mine"}), answer
    )
    assert (played.request.url, played.body) == (
        f"{CATALOG_URL}/recipe/r%201/deploy",
        {"namespace": "ns", "config": {"name": "mine"}},
    )
    for wrong in ({"repository": None}, {"repository": "a/b", "recipe": "r"}, {"recipe": "r", "gguf_file": "f"}):
        with pytest.raises(InvalidParameterError):
            play(flows.deploy_endpoint(asking(), **{"repository": None, **given, **wrong}))


# what was lost, and what runs already


def lost_creation(*after: Any) -> Any:
    return play(flows.create_endpoint(asking(), name=NAME, namespace=None, given=CREATE), *after)


def test_a_creation_is_sent_once_and_found_by_its_name() -> None:
    played = lost_creation(ConnectionLostError("reset"), NotFoundError("not yet"), reply(said("pending")))
    assert [request.method for request in played.requests] == ["POST", "GET", "GET"]
    assert (played.requests[0].unique, played.requests[0].resend) == (True, False)
    assert played.result.full_name == NAME
    for lost in (ServerError("500"), ConnectionLostError("reset")):
        with pytest.raises(type(lost)):
            lost_creation(lost, *[NotFoundError("no")] * flows.LOOKS)
    other = {**said("running"), "model": {"repository": "org/other"}}
    with pytest.raises(ConnectionLostError, match="another one"):
        lost_creation(ConnectionLostError("reset"), reply(other))


@pytest.mark.parametrize("refused", [ConflictError("there is one"), InvalidRequestError("no"), ConnectError("refused")])
def test_what_was_surely_not_made_is_not_looked_for(refused: Any) -> None:
    refused.status = 409
    with pytest.raises(type(refused)):
        lost_creation(refused)


def test_a_deadline_leaves_no_time_to_look_and_says_so() -> None:
    with pytest.raises(InferenceTimeoutError, match="look for ns/mine, it costs money"):
        lost_creation(InferenceTimeoutError("late"))


@pytest.mark.parametrize(
    ("status", "again"), [(500, False), (502, False), (504, False), (409, False), (429, True), (503, True)]
)
def test_what_makes_something_is_sent_again_only_where_it_was_not_taken(status: int, again: bool) -> None:
    error = ServerError("refused")
    error.status = status
    verdict = decide(error, 1, 100.0, Retries(), resend=False, rand=0.5, unique=True)
    assert (verdict is not RAISE) == again
    assert decide(error, 1, 100.0, Retries(), resend=False, rand=0.5) is not RAISE


def test_one_that_runs_already_is_as_good_as_resumed() -> None:
    refused = InvalidRequestError("refused")
    refused.status, refused.text = 400, '{"error": "the endpoint is already running"}'
    resumed = flows.resume_endpoint(asking(), name=NAME, namespace=None, running_ok=True)
    assert play(resumed, refused, reply(said("running"))).result.status == "running"
    with pytest.raises(InvalidRequestError):
        play(flows.resume_endpoint(asking(), name=NAME, namespace=None, running_ok=False), refused)


# what is read


@pytest.mark.parametrize(
    "odd",
    [
        {"compute": None, "provider": 7, "tags": "a", "healthRoute": None},
        {"model": "gone"},
        {"status": {"state": "asleep", "readyReplica": "many", "createdAt": "yesterday", "url": ""}},
        {"compute": {"scaling": {"minReplica": None}}},
    ],
)
def test_an_odd_member_refuses_no_endpoint(odd: dict[str, Any]) -> None:
    found = endpoint_in({**said("running"), **odd}, "ns")
    assert found.full_name == NAME and found.raw == {**said("running"), **odd}


SECRET, VALUE, PASSWORD = "tomorrow-never", "value-of-env-x", "registry-pass"
GUARDED: dict[str, Any] = {
    **CREATE,
    "secrets": {"S": SECRET},
    "env": {"E": VALUE},
    "custom_image": {"url": "u"},
    "container_registry_username": "me",
    "container_registry_password": PASSWORD,
}


def test_no_secret_is_shown_or_leaves_the_process() -> None:
    model = {
        "env": {"E": VALUE},
        "secrets": {"S": SECRET},
        "image": {"custom": {"credentials": {"password": PASSWORD}}},
    }
    found = endpoint_in({**said("running"), "model": model}, "ns")
    assert found.raw["model"]["env"]["E"] == VALUE
    copy = pickle.loads(pickle.dumps(found))
    assert isinstance(copy, EndpointInfo) and copy == found
    shown = f"{found!r} {found.raw!r} {found.to_json()} {pickle.dumps(found)!r}"
    assert not any(text in shown for text in (SECRET, VALUE, PASSWORD))


@pytest.mark.anyio
async def test_a_refusal_that_repeats_a_secret_is_masked(driver: Driver) -> None:
    def refuse(request: SentRequest) -> ScriptedResponse:
        assert SECRET in request.body.decode()
        return ScriptedResponse.json({"error": f"bad {SECRET} and {VALUE} and {PASSWORD} and true"}, status=400)

    async with driver.client(token=TOKEN, transport=MemoryTransport(refuse)) as client:
        with pytest.raises(InvalidRequestError) as caught:
            await client.endpoints.create(NAME, **GUARDED)
    error = caught.value
    told = f"{error} {error.text} {error.body} {error.attempts!r} {''.join(traceback.format_exception(error))}"
    assert "and true" in told
    assert not any(text in told for text in (SECRET, VALUE, PASSWORD))


# on a client


@pytest.mark.anyio
async def test_the_calls_of_an_endpoint(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")
    api = EndpointApi("paused")
    async with driver.client(token=TOKEN, transport=api.transport) as client:
        for action in ("resume", "pause", "resume", "scale_to_zero", "delete"):
            await getattr(client.endpoints, action)(NAME)
        with pytest.raises(NotFoundError):
            await client.endpoints.get(NAME)
        assert api.actions == ["resume", "pause", "resume", "scale-to-zero", "delete"]
        made = await client.endpoints.create("mine", namespace="ns", **CREATE)
        assert (type(made).__name__, made.status) == ("SyncEndpoint" if driver.blocking else "AsyncEndpoint", "pending")
        with pytest.raises(ProviderError, match="no URL yet"):
            made.client()
        with pytest.raises(InvalidParameterError, match="nonsense"):
            await client.endpoints.create("mine", **CREATE, nonsense=1)
    assert api.transport.unfinished() == []


@pytest.mark.anyio
async def test_who_asks_is_asked_once(driver: Driver) -> None:
    def answer(request: SentRequest) -> ScriptedResponse:
        return ScriptedResponse.json(json.loads(ME.body) if "whoami" in request.url else said("running"))

    transport = MemoryTransport(answer)
    async with driver.client(token=TOKEN, transport=transport) as client:
        for _ in range(3):
            await client.endpoints.get("mine")
    assert [request.url.rpartition("/")[2] for request in transport.requests] == ["whoami-v2", "mine", "mine", "mine"]


@pytest.mark.anyio
async def test_there_is_nothing_without_a_token(driver: Driver) -> None:
    transport = MemoryTransport(lambda _: ScriptedResponse.json({}))
    async with driver.client(transport=transport) as client:
        with pytest.raises(MissingCredentialError):
            await client.endpoints.list("ns")
    assert transport.requests == []
