"""Waiting for an Inference Endpoint is a run: it hands every change over, ends with an error where waiting leads
nowhere, and keeps to its deadline."""

from __future__ import annotations

from typing import Any

import pytest
from support.drivers import Driver
from support.endpoint_api import NAME, URL, EndpointApi, said
from support.flow_player import call, play, reply

from headwater import (
    AuthenticationError,
    InferenceEndpointError,
    InferenceEndpointTimeoutError,
    InferenceTimeoutError,
    NotFoundError,
    ServerError,
)
from headwater.endpoints.addresses import API_URL
from headwater.endpoints.wait import ENDS, HEALTH_SECONDS, MOST_FAILED_LOOKS, wait

WELL = reply(b"ok", content_type="text/plain")


def waiting(*replies: Any, **how: Any) -> Any:
    asking = call("wait", "inference-endpoints", base=API_URL)
    return play(wait(asking, name=NAME, namespace=None, **how), *replies)


def test_each_change_is_handed_over_once() -> None:
    more = said("initializing", readyReplica=1)
    played = waiting(
        *map(reply, (said("pending"), said("pending"), said("initializing"), more)), reply(said("running")), WELL
    )
    told = [(event.state, event.ready, event.target) for event in played.events]
    assert told == [("pending", 0, 1), ("initializing", 0, 1), ("initializing", 1, 1), ("running", 0, 1)]
    assert (played.request.url, played.trusted) == (f"{URL}/health", [URL])
    assert (played.result.full_name, played.result.url, played.waits) == (NAME, URL, [5.0] * 4)


@pytest.mark.parametrize("state", ENDS)
def test_states_that_lead_nowhere_end_it(state: str) -> None:
    with pytest.raises(InferenceEndpointError, match="container exited") as caught:
        waiting(reply(said("pending")), reply(said(state, message="container exited")))
    assert (caught.value.endpoint, caught.value.state) == (NAME, state)
    assert "https://ui.endpoints.huggingface.co/ns/endpoints/mine" in str(caught.value)


def test_a_state_that_nobody_knows_is_shown_and_waited_through() -> None:
    played = waiting(reply(said("hibernating")), reply(said("running")), WELL)
    assert [event.state for event in played.events] == ["hibernating", "running"]


def test_it_is_not_ready_before_its_health_route_answers() -> None:
    late = InferenceTimeoutError("late")
    late.phase = "first_event"
    running = reply(said("running"))
    played = waiting(running, ServerError("503"), running, late, running, WELL)
    assert len(played.waits) == 2 and len(played.events) == 1
    no_url = {**said("running"), "status": {"state": "running"}}
    assert len(waiting(reply(no_url), running, WELL).waits) == 1


def test_a_token_that_is_not_let_in_ends_it() -> None:
    with pytest.raises(AuthenticationError):
        waiting(reply(said("running")), AuthenticationError("no"))


def test_the_state_that_it_is_to_leave_may_be_shown_for_some_looks() -> None:
    paused, running = reply(said("paused")), reply(said("running"))
    assert waiting(paused, paused, running, WELL, before="paused", looks=3).result.status == "running"
    with pytest.raises(InferenceEndpointError):
        waiting(paused, paused, paused, before="paused", looks=2)
    with pytest.raises(InferenceEndpointError):
        waiting(reply(said("pending")), paused, before="paused", looks=3)


def test_an_api_that_is_away_for_a_moment_ends_nothing() -> None:
    away = ServerError("502")
    assert waiting(away, away, reply(said("running")), WELL).result.status == "running"
    with pytest.raises(ServerError):
        waiting(*[away] * MOST_FAILED_LOOKS)
    with pytest.raises(NotFoundError):
        waiting(reply(said("pending")), NotFoundError("deleted"))


@pytest.mark.anyio
async def test_it_is_a_run_on_every_driver(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")
    api = EndpointApi("pending", "pending", "initializing", "running")
    client = driver.client(token="hf_token", transport=api.transport)
    async with client, client.endpoints.wait(NAME, timeout=20) as run:
        states = [state.state async for state in run]
        endpoint = await run.result()
    assert states == ["pending", "initializing", "running"]
    assert (endpoint.url, run.outcome, api.asked[-1]) == (URL, "complete", "health")
    assert api.transport.unfinished() == []


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("life", "hangs", "words"),
    [
        (["running"], ["health"], "runs, but has not answered its health route"),
        (["pending", "initializing", "updating"], ["updating"], "is 'initializing'"),
        (["initializing"], [], "is 'initializing'"),
    ],
)
async def test_its_deadline_holds_while_anything_hangs(
    driver: Driver, life: list[str], hangs: list[str], words: str
) -> None:
    """Seconds of the health route's own are many more than the deadline's."""
    assert HEALTH_SECONDS > 1
    api = EndpointApi(*life)
    for state in hangs:
        api.at[state] = lambda: api.hangs.update(("look", "health"))
    async with driver.client(token="hf_token", transport=api.transport) as client:
        with pytest.raises(InferenceEndpointTimeoutError, match=words) as caught:
            async with client.endpoints.wait(NAME, timeout=0.5, poll=0.001) as run:
                await run.result()
    assert isinstance(caught.value, InferenceTimeoutError) and caught.value.phase == "total"
    assert api.transport.unfinished() == []
