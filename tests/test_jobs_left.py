"""Queued jobs that are left early: by `break`, a deadline, a cancel scope, Ctrl-C; and what cannot be cancelled."""

from __future__ import annotations

import signal
import time
from contextlib import AbstractContextManager
from subprocess import Popen
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest
from support import python_subprocess
from support.drivers import Driver
from support.job_providers import CANCELLING, VENDORS, Vendor, cancelling, submissions
from support.job_providers import everywhere as everywhere
from support.job_providers import running as running

from headwater import AsyncInferenceClient, InferenceTimeoutError, Timeout, emulator
from headwater.emulator.server import Emulator
from headwater.protocol.events import Started, Submitted

pytestmark = pytest.mark.anyio

PATIENCE = 30.0
"""Seconds that only a failing test waits."""


async def cancelled(url: Emulator) -> None:
    """Fails unless the one job is cancelled, now or soon."""
    await anyio.to_thread.run_sync(url.job_cancelled, PATIENCE)
    assert [job.cancelled for job in url.jobs] == [True]


def polls(url: Emulator) -> int:
    return sum(job.polls for job in url.jobs)


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


async def test_a_deadline_cancels(driver: Driver, everywhere: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADWATER_TEST_MODE")
    fal = CANCELLING[0]
    async with fal.client(driver, everywhere, timeout=Timeout(total=2.0)) as client:
        run = fal.of(client).stream("forever")
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
from headwater.protocol.events import Started
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
        everywhere.job_cancelled(PATIENCE)  # while the process lives on
        assert process.stdout.readline() == ("interrupted None\n" if how == "plain" else "interrupted cancelled\n")
        _, errors = process.communicate("", timeout=PATIENCE)
        assert process.returncode == 0
        assert "Traceback" not in errors
    assert [job.cancelled for job in everywhere.jobs] == [True]


def interruptible(script: str, *arguments: str) -> AbstractContextManager[Popen[str]]:
    """The script, with the usual SIGINT, also where whoever started the tests ignores it."""
    usual = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    return python_subprocess.running(usual + script, *arguments, strict=False)


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
