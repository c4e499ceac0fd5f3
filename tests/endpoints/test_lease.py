"""An Inference Endpoint for the length of a block: whatever starts it, and however the block is left, what was started
is given back or named, nothing that ran before is stopped, and no request is left under way."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import anyio
import pytest
from support.drivers import LOOPS, Driver
from support.endpoint_api import CREATE, NAME, STARTED, EndpointApi

from headwater import (
    AsyncInferenceClient,
    EndpointState,
    InferenceClient,
    InferenceEndpointError,
    InvalidParameterError,
    NotFoundError,
)
from headwater.endpoints import lease as lease_file

MESSAGES = [{"role": "user", "content": "hi"}]
TOKEN = "hf_token"
LIFE = ("paused", *STARTED)
CALLED_FOR = {
    "pause": ["resume", "pause"],
    "scale-to-zero": ["resume", "scale-to-zero"],
    "delete": ["resume", "delete"],
}


class LeftError(Exception):
    """What a block is left with."""


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")
    monkeypatch.setattr(lease_file, "LOOK_SECONDS", 0.001)


def made(driver: Driver, api: EndpointApi, **options: Any) -> Any:
    return driver.client(token=TOKEN, transport=api.transport, **options)


@pytest.mark.anyio
@pytest.mark.parametrize("after", CALLED_FOR)
async def test_it_is_resumed_and_given_back(driver: Driver, after: Any) -> None:
    api = EndpointApi("paused")
    states: list[EndpointState] = []
    async with made(driver, api) as client:
        lease = client.endpoints.running(NAME, after=after, each=states.append)
        async with lease as at_it:
            answer = await at_it.chat_completion(MESSAGES)
            assert answer.choices[0].message.content == "hi"
            assert api.asked[-1] == "health"
    assert (lease.outcome, api.actions) == ("given-back", CALLED_FOR[after])
    assert [state.state for state in states] == ["initializing", "running"]
    assert api.transport.unfinished() == []


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("life", "options", "actions", "outcome"),
    [
        (("paused",), {}, ["resume", "pause"], "given-back"),
        (("scaledToZero",), {}, ["resume", "scale-to-zero"], "given-back"),
        (("paused",), {"after": "leave"}, ["resume"], "detached"),
        (("running",), {}, [], "detached"),
        (("running",), {"after": "delete"}, [], "detached"),
        (("pending", "initializing", "running"), {"after": "pause"}, [], "detached"),
        (("updating", "running"), {"after": "pause"}, [], "detached"),
        (("hibernating", "running"), {"after": "pause"}, [], "detached"),
        (("running",), {"always": True}, ["pause"], "given-back"),
        (("running",), {"always": True, "after": "scale-to-zero"}, ["scale-to-zero"], "given-back"),
        ((), {"create": CREATE}, ["create", "pause"], "given-back"),
        ((), {"create": CREATE, "after": "delete"}, ["create", "delete"], "given-back"),
        (("paused",), {"create": CREATE}, ["resume", "pause"], "given-back"),
    ],
)
async def test_it_is_left_as_it_was_found(
    driver: Driver, life: tuple[str, ...], options: dict[str, Any], actions: list[str], outcome: str
) -> None:
    api = EndpointApi(*life)
    async with made(driver, api) as client:
        lease = client.endpoints.running(NAME, **options)
        async with lease as at_it:
            await at_it.chat_completion(MESSAGES)
    assert (lease.outcome, api.actions) == (outcome, actions)


@pytest.mark.anyio
@pytest.mark.parametrize("life", [("failed",), ("updateFailed",), ("pending", "failed")])
async def test_one_that_failed_is_not_touched(driver: Driver, life: tuple[str, ...]) -> None:
    api = EndpointApi(*life)
    async with made(driver, api) as client:
        lease = client.endpoints.running(NAME, after="delete")
        with pytest.raises(InferenceEndpointError) as caught:
            async with lease:
                raise AssertionError("it never ran")
    assert (caught.value.endpoint, caught.value.state) == (NAME, life[-1])
    assert api.actions == []


@pytest.mark.anyio
async def test_one_that_fails_after_it_was_started_is_given_back(driver: Driver) -> None:
    api = EndpointApi("paused", resumed=["pending", "failed"])
    async with made(driver, api) as client:
        lease = client.endpoints.running(NAME)
        with pytest.raises(InferenceEndpointError):
            async with lease:
                raise AssertionError("it never ran")
    assert (lease.outcome, api.actions) == ("given-back", ["resume", "pause"])


@pytest.mark.anyio
async def test_one_that_is_not_there_is_made_only_if_asked_for(driver: Driver) -> None:
    api = EndpointApi()
    async with made(driver, api) as client:
        lease = client.endpoints.running(NAME)
        with pytest.raises(NotFoundError):
            async with lease:
                raise AssertionError("there is none")
    assert (lease.outcome, api.asked) == ("given-back", ["look"])


# every way out, in every state


def leave_by_error() -> None:
    raise LeftError


MOMENTS = ("look", "resume", "pending", "initializing", "hibernating", "running", "health", "block")
RESUMED = ("pending", "pending", "initializing", "hibernating", "running")
DRIVERS = (*LOOPS, "sync")


def drive(name: str, api: EndpointApi, moment: str, way: str, **given: Any) -> tuple[Any, BaseException | None]:
    """Leave a lease in this way at this moment; the lease, and what came out."""
    given["timeout"] = 0.05 if way == "timeout" else None
    return (drive_blocking if name == "sync" else partial(drive_loop, name))(api, moment, way, given)


def drive_blocking(api: EndpointApi, moment: str, way: str, given: dict[str, Any]) -> tuple[Any, BaseException | None]:
    def at() -> None:
        if way == "interrupt" and threading.current_thread() is threading.main_thread():
            os.kill(os.getpid(), signal.SIGINT)
        elif way == "interrupt":
            pressed.set()
        elif way == "error":
            raise LeftError

    hold(api, moment, way, at)
    pressed = interrupted_on_request() if way == "interrupt" and moment != "block" else threading.Event()
    with InferenceClient(token=TOKEN, transport=api.transport) as client:
        lease = client.endpoints.running(NAME, **given)
        try:
            with lease:
                if moment == "block":
                    at()
                    if way == "timeout":
                        raise TimeoutError
        except (LeftError, TimeoutError, KeyboardInterrupt) as error:
            return lease, error
    return lease, None


def interrupted_on_request() -> threading.Event:
    """What brings Ctrl-C to the main thread once it is set, until it is felt: one that comes in the moment before the
    thread waits wakes it only when the wait ends."""
    felt, pressed = threading.Event(), threading.Event()

    def once(*_: object) -> None:
        if not felt.is_set():
            felt.set()
            raise KeyboardInterrupt

    def press() -> None:
        while pressed.wait(10) and not felt.wait(0.005):
            os.kill(os.getpid(), signal.SIGINT)

    signal.signal(signal.SIGINT, once)
    threading.Thread(target=press, daemon=True).start()
    return pressed


def drive_loop(
    name: str, api: EndpointApi, moment: str, way: str, given: dict[str, Any]
) -> tuple[Any, BaseException | None]:
    leases: list[Any] = []

    async def main() -> None:
        scope = anyio.CancelScope()

        def at() -> None:
            if way == "interrupt":
                os.kill(os.getpid(), signal.SIGINT)
            elif way == "cancel":
                scope.cancel()
            elif way == "error":
                raise LeftError

        hold(api, moment, way, at)
        async with AsyncInferenceClient(token=TOKEN, transport=api.transport) as client:
            leases.append(client.endpoints.running(NAME, **given))
            with scope:
                async with leases[0]:
                    if moment == "block":
                        at()
                        if way == "timeout":
                            raise TimeoutError
                        await anyio.sleep(60 if way in ("interrupt", "cancel") else 0)

    backend, options = LOOPS[name]
    try:
        anyio.run(
            main, backend=backend, backend_options={**options, **({"debug": False} if "debug" in options else {})}
        )
    except (LeftError, TimeoutError, KeyboardInterrupt) as error:
        return leases[0], error
    return leases[0], None


def hold(api: EndpointApi, moment: str, way: str, at: Callable[[], None]) -> None:
    """Have this called at that moment, which is not answered then."""
    if moment == "block":
        return
    api.at[moment] = (
        (lambda: api.hangs.add(action_of(moment))) if way == "timeout" else partial(at_and_hold, api, moment, at)
    )


def at_and_hold(api: EndpointApi, moment: str, at: Callable[[], None]) -> None:
    api.hangs.add(action_of(moment))
    at()


def action_of(moment: str) -> str:
    return moment if moment in ("look", "resume", "create", "health") else "look"


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def ways_out() -> Iterator[tuple[str, str, str]]:
    """Blocking code is interrupted, and not cancelled; an error is the block's own."""
    for name in DRIVERS:
        for moment in MOMENTS:
            yield from ((name, moment, way) for way in ("timeout", "interrupt"))
            if name != "sync":
                yield name, moment, "cancel"
        yield name, "block", "error"


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize(("name", "moment", "way"), list(ways_out()))
def test_every_way_out_gives_back_what_was_started(name: str, moment: str, way: str) -> None:
    api = EndpointApi("paused", resumed=RESUMED)
    lease, error = drive(name, api, moment, way)
    expected = {"cancel": type(None), "timeout": TimeoutError, "error": LeftError, "interrupt": KeyboardInterrupt}
    assert isinstance(error, expected[way])
    assert way == "timeout" or not api.at, "the moment came"
    assert (lease.outcome, api.state) == ("given-back", "paused")
    if way != "timeout":  # which may come sooner
        assert api.actions == ([] if moment == "look" else ["resume", "pause"])
    assert api.transport.unfinished() == []


# what cannot be given back is named


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("how", "outcome", "words"),
    [
        ({"refuses": {"pause": 403}}, "detached", "goes on, and costs money"),
        ({"refuses": {"pause": 400}}, "detached", "goes on, and costs money"),
        ({"refuses": {"pause": 500}}, "unknown", "nobody said"),
        ({"hangs": {"pause"}}, "unknown", "nobody said"),
    ],
)
async def test_what_could_not_be_given_back_is_said(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, how: dict[str, Any], outcome: str, words: str
) -> None:
    monkeypatch.setattr(lease_file, "GIVE_BACK_SECONDS", 0.2)
    api = EndpointApi("paused", **how)
    async with made(driver, api, retries=0) as client:
        lease = client.endpoints.running(NAME)
        with pytest.warns(UserWarning, match=words) as said, pytest.raises(LeftError) as caught:
            async with lease:
                raise LeftError
    assert lease.outcome == outcome
    [warning] = said
    for text in (NAME, "headwater endpoints pause ns/mine", "https://ui.endpoints.huggingface.co/ns/endpoints/mine"):
        assert text in str(warning.message)
    assert caught.value.__notes__ == [str(warning.message)]


@pytest.mark.anyio
async def test_a_pause_whose_answer_was_lost_is_asked_for_again(driver: Driver) -> None:
    api = EndpointApi("paused", lost={"pause"})
    async with made(driver, api) as client:
        lease = client.endpoints.running(NAME)
        async with lease:
            pass
    assert (lease.outcome, api.actions) == ("given-back", ["resume", "pause", "pause"])


@pytest.mark.anyio
async def test_one_that_somebody_else_stopped_is_given_back(driver: Driver) -> None:
    api = EndpointApi("paused", refuses={"pause": 400})
    async with made(driver, api) as client:
        lease = client.endpoints.running(NAME)
        async with lease:
            api.life = ["paused"]
    assert lease.outcome == "given-back"


@pytest.mark.anyio
async def test_one_that_somebody_else_deleted_is_given_back(driver: Driver) -> None:
    api = EndpointApi("paused")
    async with made(driver, api) as client:
        lease = client.endpoints.running(NAME)
        async with lease:
            api.life = []
    assert lease.outcome == "given-back"


# a creation whose answer was lost


@pytest.mark.anyio
async def test_a_creation_that_was_lost_is_found_by_its_name_and_not_made_twice(driver: Driver) -> None:
    api = EndpointApi(lost={"create"})
    async with made(driver, api) as client:
        lease = client.endpoints.running(NAME, create=CREATE, after="delete")
        async with lease as at_it:
            await at_it.chat_completion(MESSAGES)
    assert (lease.outcome, api.actions) == ("given-back", ["create", "delete"])


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize(
    ("name", "way"),
    [
        (name, way)
        for name in DRIVERS
        for way in ("cancel", "timeout", "interrupt")
        if (name, way) != ("sync", "cancel")
    ],
)
def test_a_creation_that_was_left_is_deleted_by_its_name(name: str, way: str) -> None:
    api = EndpointApi()
    lease, _ = drive(name, api, "create", way, create=CREATE, after="delete")
    assert (lease.outcome, api.state) == ("given-back", "")
    assert way == "timeout" or api.actions == ["create", "delete"]


@pytest.mark.anyio
async def test_a_creation_of_which_nothing_is_known_is_named(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_file, "GIVE_BACK_SECONDS", 0.1)
    api = EndpointApi(refuses={"create": 500})
    async with made(driver, api) as client:
        lease = client.endpoints.running(NAME, create=CREATE)
        with pytest.warns(UserWarning, match="nobody said"), pytest.raises(Exception, match="refused"):
            async with lease:
                raise AssertionError("there is none")
    assert (lease.outcome, api.asked.count("create")) == ("unknown", 1)


@pytest.mark.anyio
@pytest.mark.parametrize("wrong", [{"after": "stop"}, {"timeout": 0}, {"poll": 0}, {"namespace": "other"}])
async def test_wrong_arguments(driver: Driver, wrong: dict[str, Any]) -> None:
    api = EndpointApi("paused")
    async with made(driver, api) as client:
        with pytest.raises(InvalidParameterError):
            async with client.endpoints.running(NAME, **wrong):
                raise AssertionError("it is wrong")
    assert api.actions == []
