"""Every provider x task pair once end to end: the plain call and the run, directly and through the router.

The emulator is as strict as the vendors are; the pairs and what they are asked with are `support.provider_task_pairs`.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any, NamedTuple, get_args, get_origin

import numpy
import pytest
from PIL.Image import Image
from support.drivers import Driver
from support.provider_task_pairs import (
    ARGUMENTS,
    IN_MESSAGES,
    KEYLESS,
    MORE,
    NOT_ROUTED,
    OWN_KEYS,
    ROUTER_ONLY,
    ROWS,
    STREAMED,
    model_of,
    places_of,
    tasks_of,
)

from headwater import InvalidCredentialError, JobEvent, emulator
from headwater.client.task_table import Tasks
from headwater.emulator import secrets
from headwater.emulator.dialects.offers import OFFERS
from headwater.emulator.places import PROVIDERS as EMULATED
from headwater.emulator.server import Emulator
from headwater.emulator.traffic import RecordedRequest
from headwater.media.media import Media
from headwater.providers.model_ids import HUB_TASKS
from headwater.tasks.declaration import Declaration
from headwater.tasks.model_response import ModelResponse
from headwater.tasks.output import Output
from headwater.tasks.response_events import ResponseStreamEvent

pytestmark = [pytest.mark.anyio, pytest.mark.dealt]

KEY, TOKEN = "key-of-a-test", "hf_of_a_test"
METHODS: dict[str, Declaration[Any, Any, Any]] = {
    row.declaration.name: row.declaration for row in vars(Tasks).values() if hasattr(row, "declaration")
}
BEARER = ("authorization", "Bearer ***")


@pytest.fixture(scope="module")
def everywhere() -> Iterator[Emulator]:
    with emulator.running() as url:
        yield url


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")


def test_every_provider_that_the_emulator_knows_is_tested() -> None:
    assert ROWS.keys() == EMULATED | {"auto", "url"} and ROWS.keys() >= ROUTER_ONLY | NOT_ROUTED


def test_every_task_is_tested() -> None:
    assert ARGUMENTS.keys() == {task for name, row in ROWS.items() if name != "auto" for task in row.tasks}


@pytest.mark.parametrize("provider", [name for name in ROWS if name not in ROUTER_ONLY | {"url"}])
async def test_directly(provider: str, driver: Driver, everywhere: Emulator) -> None:
    """With the provider's own key, at its own place."""
    place = Place(f"/direct/{provider}/", KEY, OWN_KEYS.get(provider, BEARER))
    async with client_of(driver, everywhere, provider, KEY) as client:
        for task in tasks_of(provider):
            await check(client, everywhere, provider, task, place)


@pytest.mark.parametrize("provider", [name for name in ROWS if name not in NOT_ROUTED])
async def test_through_the_router(provider: str, driver: Driver, everywhere: Emulator) -> None:
    """With a token of Hugging Face; "auto" chats at the router itself, and does the rest at a provider of the Hub's."""
    async with client_of(driver, everywhere, provider, TOKEN) as client:
        for task in tasks_of(provider):
            chosen = chosen_for(task) if provider == "auto" else provider
            place = f"/routed/{chosen}/" if chosen else "/v1/"
            await check(client, everywhere, provider, task, Place(place, TOKEN))


@pytest.mark.parametrize("provider", sorted(NOT_ROUTED - {"url"}))
async def test_what_the_router_does_not_reach(provider: str, driver: Driver, everywhere: Emulator) -> None:
    everywhere.forget()
    async with client_of(driver, everywhere, provider, TOKEN) as client:
        with pytest.raises(InvalidCredentialError, match="its own key"):
            task = tasks_of(provider)[0]
            await getattr(client, METHODS[task].method)(**ARGUMENTS[task], model=model_of(task))
    assert everywhere.requests == []


async def test_at_a_url(driver: Driver, everywhere: Emulator) -> None:
    """A server's own, as a user gives it."""
    async with driver.client(api_key=KEY, base_url=str(everywhere)) as client:
        for task in tasks_of("url"):
            for place in places_of(task):
                there = client.with_options(base_url=f"{everywhere}{place}")
                own = (OWN_KEYS["anthropic"],) if task in IN_MESSAGES else ()
                await check(there, everywhere, place, task, Place(place, KEY, beside=own))


def chosen_for(task: str) -> str | None:
    """Who "auto" takes: the first that the Hub names and that does the task; for a chat the router itself chooses."""
    if task in ("chat-completion", "responses"):
        return None
    return next(name for name in OFFERS[HUB_TASKS.get(task, task)].split() if task in tasks_of(name))


def client_of(driver: Driver, url: Emulator, provider: str, key: str) -> Any:
    """A client whose models the Hub looks up where it knows them."""
    unknown = {
        model_of(task): model_of(task).lower()
        for task in tasks_of(provider)
        if provider not in OFFERS.get(HUB_TASKS.get(task, task), "").split()
    }
    mapping = {} if provider in ROUTER_ONLY else unknown
    return driver.client(provider=provider, api_key=key, transport=emulator.rewriting(str(url)), model_mapping=mapping)


async def check(client: Any, url: Emulator, whose: str, task: str, place: Place) -> None:
    """The plain call and the run, which give the same; `whose`: the provider, or a server's path."""
    method = getattr(client, METHODS[task].method)
    given = {**ARGUMENTS[task], **MORE.get((whose, task), {}), "model": model_of(task)}
    url.forget()
    plain = await method(**given)
    place.check(url.requests)
    assert fits(plain, declared(task)), (task, plain)
    url.forget()
    async with method.stream(**given, **STREAMED.get(task, {})) as run:
        events = [event async for event in run]
        result = await run.result()
        assert run.outcome == "complete"
    place.check(url.requests)
    assert comparable(result) == comparable(plain), task
    check_events(task, events, result)


def check_events(task: str, events: list[Any], result: Any) -> None:
    """They are of the types that the task declares, and the last ones are the result or parts of it."""
    kinds = [eval(name, names_for(task)) for name in METHODS[task].events]
    assert all(any(fits(event, kind) for kind in kinds) for event in events), (task, events)
    parts = [event for event in events if not isinstance(event, get_args(JobEvent))]
    assert parts and events[-len(parts) :] == parts, (task, events)
    if isinstance(result, list):
        assert comparable(parts) == comparable(result), task


class Place(NamedTuple):
    """Where a call goes, with which key, and how that is sent."""

    path: str
    key: str
    sent: tuple[str, str] = BEARER
    beside: tuple[tuple[str, str], ...] = ()

    def check(self, requests: list[RecordedRequest]) -> None:
        """Every request is here and has the key; what is elsewhere has none, but that the Hub gets its own token."""
        asked = [request for request in requests if not request.path.startswith(("/api/", *KEYLESS))]
        assert asked
        for request in asked:
            assert request.path.startswith(self.path)
            assert request.carries(self.key)
            assert credentials_of(request) == dict([self.sent, *self.beside])
        for request in requests:
            if request.path.startswith(KEYLESS):
                assert credentials_of(request) == {}
            if request.path.startswith("/api/"):
                assert credentials_of(request) == (dict([BEARER]) if self.key == TOKEN else {})


def credentials_of(request: RecordedRequest) -> dict[str, str]:
    """The headers that can hold a credential, masked."""
    return {name: value for name, value in request.headers.items() if name in secrets.HEADERS}


def declared(task: str) -> Any:
    """The type of the task's result, as its declaration says."""
    told = METHODS[task].function.__annotations__["return"]
    return eval(told, names_for(task)) if isinstance(told, str) else told


def names_for(task: str) -> dict[str, Any]:
    """What the names of a task's types are."""
    lazy = {"ModelResponse": ModelResponse, "ResponseStreamEvent": ResponseStreamEvent}
    named = {"Image": Image, "Vectors": numpy.ndarray, "JobEvent": JobEvent, **lazy}
    return {**METHODS[task].function.__globals__, **named}


def fits(value: Any, kind: Any) -> bool:
    """Whether a result is of this type, with something in it."""
    if isinstance(kind, types.UnionType):
        return any(fits(value, one) for one in get_args(kind))
    if get_origin(kind) is list:
        return isinstance(value, list) and bool(value) and all(fits(item, get_args(kind)[0]) for item in value)
    return isinstance(value, kind)


def comparable(value: Any) -> Any:
    """A result as plain values."""
    if isinstance(value, list):
        return [comparable(item) for item in value]
    if isinstance(value, Output):
        return {name: comparable(item) for name, item in value.items()}
    if isinstance(value, Image):
        return (value.size, value.mode, value.tobytes())
    if isinstance(value, Media):
        return (bytes(value), value.mime_type)
    return value.tolist() if isinstance(value, numpy.ndarray) else value
