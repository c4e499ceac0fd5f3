"""Every provider x task pair once end to end: the plain call and the run, directly and through the router.

The emulator is as strict as the vendors are; the pairs and what they are asked with are data, in pair_cases.py.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any, get_args, get_origin

import numpy
import pytest
from drivers import Driver
from pair_cases import ARGUMENTS, NOT_ROUTED, OWN_KEYS, PAIRS, ROUTER_ONLY, STREAMED, WITH_V1, model_of, tasks_of
from PIL.Image import Image

from headwater import emulator
from headwater.emulator.offers import OFFERS
from headwater.emulator.server import Emulator
from headwater.media import Media
from headwater.providers import PROVIDERS
from headwater.providers.mapping import HUB_TASKS
from headwater.providers.rows import SERVER
from headwater.task_rows import Tasks
from headwater.tasks.declare import Declaration
from headwater.tasks.output import Output

pytestmark = pytest.mark.anyio

KEY, TOKEN = "key-of-a-test", "hf_of_a_test"
METHODS: dict[str, Declaration[Any, Any, Any]] = {
    row.declaration.name: row.declaration for row in vars(Tasks).values() if hasattr(row, "declaration")
}
CREDENTIALS = ("authorization", "cookie", "x-key", "proxy-authorization")


@pytest.fixture(scope="module")
def everywhere() -> Iterator[Emulator]:
    with emulator.running() as url:
        yield url


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")


def test_every_pair_is_tested() -> None:
    rows = {**PROVIDERS, "url": SERVER}
    assert {name: sorted(tasks_of(name)) for name in PAIRS} == {name: sorted(row.tasks) for name, row in rows.items()}
    assert sum(len(tasks_of(name)) for name in PROVIDERS) == 151
    assert len(tasks_of("url")) == 36
    assert ROUTER_ONLY | NOT_ROUTED <= PAIRS.keys()


def test_every_task_is_tested() -> None:
    assert ARGUMENTS.keys() == METHODS.keys()


@pytest.mark.parametrize("provider", [name for name in PAIRS if name not in ROUTER_ONLY | {"url"}])
async def test_directly(provider: str, driver: Driver, everywhere: Emulator) -> None:
    """With the provider's own key, at its own place."""
    async with client_of(driver, everywhere, provider, KEY) as client:
        for task in tasks_of(provider):
            await check(client, everywhere, task, lambda: seen(everywhere, f"/direct/{provider}/", KEY, OWN_KEYS.get(provider)))


@pytest.mark.parametrize("provider", [name for name in PAIRS if name not in NOT_ROUTED])
async def test_through_the_router(provider: str, driver: Driver, everywhere: Emulator) -> None:
    """With a token of Hugging Face."""
    place = "/" if provider == "auto" else f"/routed/{provider}/"
    async with client_of(driver, everywhere, provider, TOKEN) as client:
        for task in tasks_of(provider):
            await check(client, everywhere, task, lambda: seen(everywhere, place, TOKEN))


async def test_at_a_url(driver: Driver, everywhere: Emulator) -> None:
    async with driver.client(api_key=KEY, base_url=str(everywhere)) as client:
        for task in tasks_of("url"):
            place = "/v1" if task in WITH_V1 else f"/tasks/{task}"
            there = client.with_options(base_url=f"{everywhere}{place}")
            await check(there, everywhere, task, lambda place=place: seen(everywhere, place, KEY))


def client_of(driver: Driver, url: Emulator, provider: str, key: str) -> Any:
    """A client whose models the Hub looks up where it knows them."""
    mapping = {
        model_of(task): model_of(task).lower()
        for task in tasks_of(provider)
        if provider not in OFFERS.get(HUB_TASKS.get(task, task), "").split()
    }
    return driver.client(
        provider=provider,
        api_key=key,
        transport=emulator.rewriting(str(url)),
        model_mapping={} if provider in ROUTER_ONLY else mapping,
    )


async def check(client: Any, url: Emulator, task: str, check_traffic: Any) -> None:
    """The plain call and the run, which give the same."""
    method = getattr(client, METHODS[task].method)
    url.forget()
    plain = await method(**ARGUMENTS[task], model=model_of(task))
    check_traffic()
    assert fits(plain, declared(task)), (task, plain)
    url.forget()
    async with method.stream(**ARGUMENTS[task], **STREAMED.get(task, {}), model=model_of(task)) as run:
        async for _ in run:
            pass
        result = await run.result()
        assert run.outcome == "complete"
    check_traffic()
    assert comparable(result) == comparable(plain), task


def seen(url: Emulator, place: str, key: str, sent: tuple[str, str] | None = None) -> None:
    """What the emulator saw: every request at this place and with the key, none with it anywhere else."""
    name, value = sent or ("authorization", "Bearer ***")
    asked = [request for request in url.requests if not request.path.startswith(("/api/", "/cdn/"))]
    assert asked
    for request in asked:
        assert request.path.startswith(place)
        assert request.carries(key)
        assert {header: request.headers[header] for header in CREDENTIALS if header in request.headers} == {name: value}
    for request in url.requests:
        if request.path.startswith("/cdn/"):
            assert not any(header in request.headers for header in CREDENTIALS)
        if request.path.startswith("/api/"):
            assert request.carries(key) == (key == TOKEN)


def declared(task: str) -> Any:
    """The type of the task's result, as its declaration says."""
    function = METHODS[task]._function
    names = {**function.__globals__, "Image": Image, "Vectors": numpy.ndarray}
    return eval(function.__annotations__["return"], names)


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
