"""Queued jobs end to end: what they tell, how they fail, how failing polls are asked again, and taking them up again.

The emulator's jobs go on by being polled; words in the prompt change their course. See `headwater.emulator`.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support import python_subprocess
from support.drivers import Driver
from support.job_providers import CANCELLING, KEY, VENDORS, Vendor, submissions, vendors
from support.job_providers import everywhere as everywhere
from support.job_providers import running as running

from headwater import ContentRefusedError, JobFailedError, NotFoundError, ServerError, emulator
from headwater.emulator.server import Emulator
from headwater.media.media import Media
from headwater.protocol.events import Job, Progress, Submitted, Transferred

pytestmark = pytest.mark.anyio


# what they say


@vendors
async def test_what_is_told(vendor: Vendor, driver: Driver, everywhere: Emulator) -> None:
    async with vendor.client(driver, everywhere) as client, vendor.of(client).stream("waves") as run:
        *events, last = [event async for event in run]
        assert last is await run.result()
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
    with python_subprocess.running(SUBMITS, *arguments, strict=False) as process:
        assert process.stdout is not None
        job = process.stdout.readline()
        process.kill()
    transport = emulator.rewriting(str(everywhere))
    with InferenceClient(provider=vendor.provider, api_key=KEY, transport=transport) as client:
        assert client.resume(job).result()
    assert (submissions(everywhere), Job.from_json(job).id) == (1, everywhere.jobs[0].id)
    assert not everywhere.jobs[0].cancelled
