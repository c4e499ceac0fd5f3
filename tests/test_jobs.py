"""Queued jobs end to end: left early, refused, failing to be asked for, and taken up again.

The emulator's jobs go on by being polled; words in the prompt change their course. See `headwater.emulator`.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from subprocess import Popen
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest
import scripts
from drivers import Driver
from job_vendors import CANCELLING, KEY, VENDORS, Vendor, cancelling, vendors
from job_vendors import everywhere as everywhere
from job_vendors import running as running

from headwater import (
    AsyncInferenceClient,
    ContentRefusedError,
    InferenceTimeoutError,
    JobFailedError,
    NotFoundError,
    ServerError,
    Timeout,
    emulator,
)
from headwater.emulator.server import Emulator
from headwater.events import Job, Progress, Started, Submitted, Transferred
from headwater.media import Media

pytestmark = pytest.mark.anyio

SOON = 2.0
"""Seconds in which a job that was left is cancelled."""
PATIENCE = 30.0
"""Seconds that only a failing test waits."""


async def cancelled(url: Emulator) -> None:
    """Fails unless the one job is cancelled, now or soon."""
    await anyio.to_thread.run_sync(url.job_cancelled, SOON)
    assert [job.cancelled for job in url.jobs] == [True]


def submissions(url: Emulator) -> int:
    """How often the job was submitted: a cancellation has no body."""
    return sum(request.method == "POST" and request.json is not None for request in url.requests)


def polls(url: Emulator) -> int:
    return sum(job.polls for job in url.jobs)


# what they say


@vendors
async def test_what_is_told(vendor: Vendor, driver: Driver, everywhere: Emulator) -> None:
    async with vendor.client(driver, everywhere) as client, vendor.of(client).stream("waves") as run:
        events = [event async for event in run]
        assert await run.result()
        assert (run.outcome, run.job) == ("complete", events[0].job)
    kinds = [type(event) for event in events]
    assert tuple(kind for at, kind in enumerate(kinds) if kind not in kinds[:at]) == vendor.events
    assert (run.job.provider, run.job.task, run.job.model) == (vendor.provider, vendor.task, f"org/{vendor.task}")
    assert run.job.id == everywhere.jobs[0].id
    assert KEY not in run.job.to_json()
    shown = [event for event in events if not isinstance(event, Transferred)]
    assert all(event not in shown[:at] for at, event in enumerate(shown))


@pytest.mark.parametrize("vendor", CANCELLING[:2], ids=str)
async def test_the_log_is_told_once(vendor: Vendor, driver: Driver, everywhere: Emulator) -> None:
    async with vendor.client(driver, everywhere) as client, vendor.of(client).stream("waves") as run:
        lines = [line async for event in run if isinstance(event, Progress) for line in event.logs]
    assert lines == ["step 1 of 2"]


# left early


@cancelling
async def test_breaking_out_cancels(vendor: Vendor, driver: Driver, everywhere: Emulator) -> None:
    async with vendor.client(driver, everywhere) as client:
        async with vendor.of(client).stream("forever") as run:
            async for event in run:
                if isinstance(event, Started):
                    break
        await cancelled(everywhere)
    assert run.outcome == "cancelled"
    assert submissions(everywhere) == 1


@cancelling
async def test_a_deadline_cancels(
    vendor: Vendor, driver: Driver, everywhere: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEADWATER_TEST_MODE")
    async with vendor.client(driver, everywhere, timeout=Timeout(total=1.0)) as client:
        run = vendor.of(client).stream("forever")
        with pytest.raises(InferenceTimeoutError):
            await run.result()
        await cancelled(everywhere)
        assert run.outcome == "cancelled"
    assert submissions(everywhere) == 1


@cancelling
@pytest.mark.parametrize("plain", [True, False], ids=["plain", "run"])
async def test_a_cancel_scope_cancels(vendor: Vendor, anyio_backend: Any, everywhere: Emulator, plain: bool) -> None:
    async with vendor.client(Driver("async"), everywhere) as client:
        assert isinstance(client, AsyncInferenceClient)
        run = vendor.of(client).stream("forever")

        async def use() -> None:
            await (vendor.of(client)("forever") if plain else run.result())

        async with anyio.create_task_group() as group:
            group.start_soon(use)
            await anyio.to_thread.run_sync(everywhere.wait_for, lambda: polls(everywhere) > 2, PATIENCE)
            group.cancel_scope.cancel()
        await cancelled(everywhere)
        assert plain or run.outcome == "cancelled"


CTRL_C = """
from headwater import emulator
from headwater.events import Started
client = InferenceClient(sys.argv[3], provider=sys.argv[2], api_key="key-of-a-test", transport=emulator.rewriting(URL))
run = None
try:
    if sys.argv[4] == "plain":
        print("begun", flush=True)
        client.text_to_video("forever")
    with client.text_to_video.stream("forever") as run:
        for event in run:
            if isinstance(event, Started):
                print("begun", flush=True)
except KeyboardInterrupt:
    print("interrupted", run and run.outcome, flush=True)
    sys.stdin.readline()
"""


@cancelling
@pytest.mark.parametrize("how", ["plain", "run"])
def test_ctrl_c_cancels(vendor: Vendor, everywhere: Emulator, how: str) -> None:
    arguments = (str(everywhere), vendor.provider, f"org/{vendor.task}", how)
    with interruptible(CTRL_C, *arguments) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        everywhere.wait_for(lambda: polls(everywhere) > 2, PATIENCE)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        everywhere.job_cancelled(SOON)  # while the process lives on
        assert process.stdout.readline() == ("interrupted None\n" if how == "plain" else "interrupted cancelled\n")
        assert time.monotonic() - began < PATIENCE
        _, errors = process.communicate("", timeout=PATIENCE)
        assert process.returncode == 0
        assert "Traceback" not in errors
    assert [job.cancelled for job in everywhere.jobs] == [True]


def interruptible(script: str, *arguments: str) -> AbstractContextManager[Popen[str]]:
    """The script, with the usual SIGINT, also where whoever started the tests ignores it."""
    usual = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    return scripts.running(usual + script, *arguments, strict=False)


@pytest.mark.parametrize("vendor", [vendor for vendor in VENDORS if not vendor.cancels], ids=str)
async def test_what_cannot_be_cancelled_is_left_detached(vendor: Vendor, driver: Driver, everywhere: Emulator) -> None:
    async with vendor.client(driver, everywhere) as client:
        async with vendor.of(client).stream("forever") as run:
            async for event in run:
                if not isinstance(event, Submitted):
                    break
        assert (run.outcome, run.job.id) == ("detached", everywhere.jobs[0].id)


async def test_a_job_that_was_over_is_left_detached(driver: Driver, everywhere: Emulator) -> None:
    """fal says 400 to a cancellation that comes too late: the result is there, and the job's id finds it."""
    fal = VENDORS[0]
    async with fal.client(driver, everywhere) as client:
        async with fal.of(client).stream("instant waves") as run:
            async for _ in run:
                break
        assert run.outcome == "detached"
        assert await client.resume(run.job).result()


class Deaf(httpx.AsyncBaseTransport):
    """Takes all requests to the emulator but cancellations, which it loses, or never answers."""

    def __init__(self, url: Emulator, lose: bool) -> None:
        self.inner = emulator.rewriting(str(url))
        self.lose = lose

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method in ("PUT", "DELETE") or request.url.path.endswith("/cancel"):
            if self.lose:
                raise httpx.ReadError("lost", request=request)
            await anyio.sleep_forever()
        return await self.inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self.inner.aclose()


@pytest.mark.parametrize(
    ("vendor", "lose"), [*((vendor, True) for vendor in CANCELLING), (CANCELLING[0], False)], ids=str
)
async def test_a_cancellation_that_nobody_confirms_leaves_it_unknown(
    vendor: Vendor, driver: Driver, everywhere: Emulator, lose: bool
) -> None:
    async with vendor.client(driver, everywhere, transport=Deaf(everywhere, lose)) as client:
        async with vendor.of(client).stream("forever") as run:
            async for _ in run:
                break
            began = time.monotonic()
        assert run.outcome == "unknown"
        assert time.monotonic() - began < PATIENCE
        assert run.job.id == everywhere.jobs[0].id


# what fails


@vendors
@pytest.mark.parametrize(
    ("wish", "kind", "words"),
    [
        ("fail", JobFailedError, lambda vendor: vendor.failed),
        ("moderated", ContentRefusedError, lambda vendor: vendor.moderated),
        ("unknown-state", JobFailedError, lambda vendor: vendor.unknown),
    ],
)
async def test_a_job_that_ends_badly_says_why(
    vendor: Vendor, driver: Driver, everywhere: Emulator, wish: str, kind: type[Exception], words: Callable[..., str]
) -> None:
    async with vendor.client(driver, everywhere) as client:
        with pytest.raises(kind, match=words(vendor)) as caught:
            await vendor.of(client)(wish)
    assert submissions(everywhere) == 1
    assert KEY not in str(caught.value)


@vendors
async def test_a_result_that_is_gone(vendor: Vendor, driver: Driver, everywhere: Emulator) -> None:
    async with vendor.client(driver, everywhere) as client:
        with pytest.raises(NotFoundError):
            await vendor.of(client)("gone")
    assert submissions(everywhere) == 1


@vendors
async def test_polls_that_fail_are_tried_again(vendor: Vendor, driver: Driver, everywhere: Emulator) -> None:
    async with vendor.client(driver, everywhere, retries=3) as client:
        assert await vendor.of(client)("flaky")
    assert (submissions(everywhere), [job.submits for job in everywhere.jobs]) == (1, [1])
    assert everywhere.jobs[0].flaked == 3


@vendors
async def test_a_poll_that_fails_three_times_submits_nothing_twice(
    vendor: Vendor, driver: Driver, everywhere: Emulator
) -> None:
    async with vendor.client(driver, everywhere) as client:
        run = vendor.of(client).stream("flaky")
        with pytest.raises(ServerError):
            await run.result()
        assert (submissions(everywhere), len(everywhere.jobs)) == (1, 1)
        assert run.job.id == everywhere.jobs[0].id
        assert everywhere.jobs[0].cancelled == vendor.cancels
        assert run.outcome == ("cancelled" if vendor.cancels else "error")


# taken up again


@vendors
async def test_a_job_is_taken_up_again(vendor: Vendor, driver: Driver, everywhere: Emulator) -> None:
    async with vendor.client(driver, everywhere) as client, vendor.of(client).stream("waves") as run:
        async for _ in run:
            break
        async with vendor.client(driver, everywhere) as other:
            again = other.resume(run.job)
            events = [event async for event in again]
            assert events[0] == Submitted(run.job)
            found = await again.result()
            from_json = await other.resume(run.job.to_json()).result()
        result = await run.result()
    assert submissions(everywhere) == 1
    if isinstance(result, Media):
        assert result == found == from_json
    else:
        assert result.tobytes() == found.tobytes() == from_json.tobytes()


SUBMITS = """
from headwater import emulator
client = InferenceClient(sys.argv[3], provider=sys.argv[2], api_key="key-of-a-test", transport=emulator.rewriting(URL))
with getattr(client, sys.argv[4]).stream("waves") as run:
    next(run)
    print(run.job.to_json(), flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize("vendor", VENDORS[:4], ids=str)
def test_a_job_outlives_its_process(vendor: Vendor, everywhere: Emulator) -> None:
    """The process that submitted it is killed, and this one takes the job up by its JSON."""
    from headwater import InferenceClient

    method = vendor.task.replace("-", "_")
    arguments = (str(everywhere), vendor.provider, f"org/{vendor.task}", method)
    with scripts.running(SUBMITS, *arguments, strict=False) as process:
        assert process.stdout is not None
        job = process.stdout.readline()
        process.kill()
    transport = emulator.rewriting(str(everywhere))
    with InferenceClient(provider=vendor.provider, api_key=KEY, transport=transport) as client:
        assert client.resume(job).result()
    assert (submissions(everywhere), Job.from_json(job).id) == (1, everywhere.jobs[0].id)
    assert not everywhere.jobs[0].cancelled
