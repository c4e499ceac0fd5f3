"""A read that is cancelled, and the reads after it: the stream goes on without a loss, or says that it was left.

Never an end that was none, and never a part of an answer as its result.
"""

from __future__ import annotations

import asyncio
import gc
import gzip
import inspect
import json
import sys
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import anyio
import pytest
import trio
from support.drivers import Driver
from support.job_providers import VENDORS, Vendor, submissions
from support.job_providers import everywhere as everywhere
from support.job_providers import running as running
from support.scripted_stream import FarSide, Step, chunks, head
from trio.testing import MockClock

from headwater import AsyncInferenceClient, ClosedError, InferenceTimeoutError, InputPolicy, Timeout
from headwater.client.router import Router
from headwater.emulator import faults
from headwater.emulator.server import Emulator
from headwater.media.media import Media
from headwater.protocol.events import Submitted
from headwater.testing import EVENT_STREAM, MemoryTransport, ScriptedResponse, SentRequest
from headwater.transport.pool import Pool

pytestmark = pytest.mark.anyio

MESSAGES = [{"role": "user", "content": "hi"}]
NOTHING = object()
URL = "http://127.0.0.1:9/v1"


def event(word: str) -> bytes:
    return f'data: {{"id":"1","choices":[{{"index":0,"delta":{{"content":"{word}"}}}}]}}\n\n'.encode()


WORDS = [f"w{i} " for i in range(6)]
LAST = b'data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
TEXT = "".join(WORDS)


def text_of(events: Iterable[Any]) -> str:
    return "".join(event.choices[0].delta.content or "" for event in events)


# the ways of cancelling a read


async def by_move_on_after(read: Callable[[], Awaitable[Any]], seconds: float) -> Any:
    with anyio.move_on_after(seconds):
        return await read()
    return NOTHING


async def by_fail_after(read: Callable[[], Awaitable[Any]], seconds: float) -> Any:
    try:
        with anyio.fail_after(seconds):
            return await read()
    except TimeoutError:
        return NOTHING


async def by_timeout(read: Callable[[], Awaitable[Any]], seconds: float) -> Any:
    try:
        async with asyncio.timeout(seconds):
            return await read()
    except TimeoutError:
        return NOTHING


async def by_wait_for(read: Callable[[], Awaitable[Any]], seconds: float) -> Any:
    try:
        return await asyncio.wait_for(read(), seconds)
    except TimeoutError:
        return NOTHING


async def by_task(read: Callable[[], Awaitable[Any]], seconds: float) -> Any:
    task = asyncio.ensure_future(read())
    await asyncio.wait([task], timeout=seconds)
    task.cancel()
    try:
        return await task
    except asyncio.CancelledError:
        return NOTHING


async def by_a_scope_of_trio(read: Callable[[], Awaitable[Any]], seconds: float) -> Any:
    with trio.move_on_after(seconds):
        return await read()
    return NOTHING


WAYS = (by_move_on_after, by_fail_after, by_timeout, by_wait_for, by_task, by_a_scope_of_trio)
ways = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)


def skip_where_it_is_none(way: Any, loop_name: str) -> None:
    if way in {by_timeout, by_wait_for, by_task} and loop_name == "trio":
        pytest.skip("it is asyncio's")
    if way is by_a_scope_of_trio and loop_name != "trio":
        pytest.skip("it is trio's")


async def impatient(run: Any, way: Any, seconds: float) -> tuple[list[Any], int]:
    """All events, by reads that are cancelled after so many seconds, and later each time; and how many were."""
    found: list[Any] = []
    cancelled = 0
    while True:
        try:
            got = await way(run.__anext__, seconds)
        except StopAsyncIteration:
            return found, cancelled
        if got is NOTHING:
            cancelled += 1
            seconds *= 1.1  # or a busy machine would never answer a question in time
        else:
            found.append(got)


@ways
async def test_a_slow_stream_is_read_to_its_end(way: Any, anyio_backend: Any, loop_name: str) -> None:
    skip_where_it_is_none(way, loop_name)
    with faults.running() as server:
        async with AsyncInferenceClient(base_url=f"{server.at('ok', pause=0.06)}/v1") as client:
            run = await client.chat_completion(MESSAGES, stream=True)
            found, cancelled = await impatient(run, way, 0.02)
            assert text_of(found) == faults.TEXT
            assert (await run.result()).choices[0].message.content == faults.TEXT
            assert cancelled
            assert run.outcome == "complete"
        assert len(server.connections) == 1


@ways
async def test_the_first_read_is_cancelled(way: Any, anyio_backend: Any, loop_name: str) -> None:
    """Before the answer's head: the request would have to be paid for twice."""
    skip_where_it_is_none(way, loop_name)
    with faults.running() as server:
        async with AsyncInferenceClient(base_url=f"{server.at('hang_before_headers')}/v1") as client:
            run = client.chat_completion.stream(MESSAGES)
            assert await way(run.__anext__, 0.3) is NOTHING
            for again in (run.__anext__, run.result):
                with pytest.raises(ClosedError):
                    await again()
            assert run.outcome == "cancelled"
        assert len(server.requests) <= 1


async def test_what_came_while_nobody_read_is_there(anyio_backend: Any) -> None:
    with faults.running() as server:
        async with AsyncInferenceClient(base_url=f"{server.at('ok', pause=0.05)}/v1") as client:
            run = client.chat_completion.stream(MESSAGES)
            first = await anext(run)
            assert await by_move_on_after(run.__anext__, 0.001) is NOTHING
            await anyio.sleep(1)
            assert text_of([first] + [chunk async for chunk in run]) == faults.TEXT


async def test_a_second_loop_after_a_break_goes_on(driver: Driver) -> None:
    with faults.running() as server:
        async with driver.client(base_url=f"{server.at('ok')}/v1") as client:
            found = []
            async with client.chat_completion.stream(MESSAGES) as run:
                async for chunk in run:
                    found.append(chunk)
                    if len(found) == 3:
                        break
                async for chunk in run:
                    found.append(chunk)
            assert text_of(found) == faults.TEXT
            assert [chunk async for chunk in run] == []  # it has come to its end


async def test_a_loop_after_its_with_block_was_left_is_no_end(driver: Driver) -> None:
    with faults.running() as server:
        async with driver.client(base_url=f"{server.at('sse_forever')}/v1") as client:
            async with client.chat_completion.stream(MESSAGES) as run:
                async for _ in run:
                    break
            came = run.partial.choices[0].message.content
            with pytest.raises(ClosedError) as read:
                async for _ in run:
                    pass
            with pytest.raises(ClosedError) as asked:
                await run.result()
            assert [error.value.partial.choices[0].message.content for error in (read, asked)] == [came, came]


@ways
async def test_a_cancelled_result_has_left_the_run(way: Any, anyio_backend: Any, loop_name: str) -> None:
    skip_where_it_is_none(way, loop_name)
    with faults.running() as server:
        async with AsyncInferenceClient(base_url=f"{server.at('sse_stall')}/v1") as client:
            run = client.chat_completion.stream(MESSAGES)
            assert await way(run.result, 0.3) is NOTHING
            for again in (run.result, run.__anext__):
                with pytest.raises(ClosedError):
                    await again()
            assert await anyio.to_thread.run_sync(server.wait_closed, 1, 10.0)


async def test_a_stream_that_its_transport_cannot_read_on_is_left(anyio_backend: Any) -> None:
    def once_only(request: SentRequest) -> ScriptedResponse:
        response = ScriptedResponse(event("w"), 50, LAST, content_type=EVENT_STREAM)
        del response.kept
        return response

    transport = MemoryTransport(once_only)
    run = AsyncInferenceClient(base_url=URL, transport=transport).chat_completion.stream(MESSAGES)
    await anext(run)
    assert await by_move_on_after(run.__anext__, 0.01) is NOTHING
    with pytest.raises(ClosedError):
        await anext(run)
    assert transport.unfinished() == []


async def test_a_scripted_silence_goes_on_where_a_cancelled_read_has_left_it(anyio_backend: Any) -> None:
    """As a real one would: a reader with less patience than that comes to the end all the same."""
    script = ScriptedResponse(event("w"), 0.05, LAST, content_type=EVENT_STREAM)
    client = AsyncInferenceClient(base_url=URL, transport=MemoryTransport.in_turn(script))
    async with client.chat_completion.stream(MESSAGES) as run:
        await anext(run)
        while (last := await by_move_on_after(run.__anext__, 0.01)) is NOTHING:
            pass
    assert last.choices[0].finish_reason == "stop"


async def test_silence_counts_through_cancelled_reads(anyio_backend: Any) -> None:
    with faults.running() as server:
        limits = Timeout(idle=0.3)
        async with AsyncInferenceClient(base_url=f"{server.at('sse_stall')}/v1", timeout=limits) as client:
            run = client.chat_completion.stream(MESSAGES)
            await anext(run)  # a read that is cancelled before the answer's head cannot be made again
            with pytest.raises(InferenceTimeoutError, match="idle"), anyio.fail_after(20):
                await impatient(run, by_move_on_after, 0.05)


# at every checkpoint


def slow(body: bytes, *fields: str) -> Callable[[bytes], list[Step]]:
    steps: list[Step] = [0.0, head(EVENT_STREAM, "Transfer-Encoding: chunked", *fields)]
    for start in range(0, len(body), 90):
        steps += [0.0, chunks(body[start : start + 90], 60)]
    return lambda _: [*steps, 0.0, b"0\r\n\r\n"]


BODY = b"".join(map(event, WORDS)) + LAST
PACKED = slow(gzip.compress(BODY), "Content-Encoding: gzip")
SCRIPTS: dict[str, Callable[[], Callable[[bytes], list[Step]]]] = {
    "plain": lambda: slow(BODY),
    "packed": lambda: PACKED,
    "at once": lambda: lambda _: [head(EVENT_STREAM, "Transfer-Encoding: chunked") + chunks(BODY, 50) + b"0\r\n\r\n"],
    "retried": lambda: iter_of(lambda _: refused(), lambda _: refused(), slow(BODY)),
}


def refused() -> list[Step]:
    body = b'{"error":{"message":"later"}}'
    return [0.0, head("application/json", f"Content-Length: {len(body)}", "Retry-After: 1", status="429 No"), body]


def iter_of(*scripts: Callable[[bytes], list[Step]]) -> Callable[[bytes], list[Step]]:
    waiting = iter(scripts)
    return lambda request: next(waiting)(request)


async def read_on(client: Any, interrupted: Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]) -> str:
    """What comes of a stream one of whose reads is cancelled: the text of its events, or "left"."""
    found = []
    run = client.chat_completion.stream(MESSAGES)
    try:
        while True:
            got = await interrupted(run.__anext__)
            if got is not NOTHING:
                found.append(got)
    except StopAsyncIteration:
        assert (await run.result()).choices[0].message.content == TEXT
        return text_of(found)
    except ClosedError:
        with pytest.raises(ClosedError):
            await run.result()
        return "left"
    finally:
        await run.close()


@pytest.mark.parametrize("name", SCRIPTS)
def test_cancelled_at_every_checkpoint_of_trio(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(k: int) -> tuple[str, bool]:
        far = FarSide(SCRIPTS[name]())
        monkeypatch.setattr("headwater.transport.pool.dial", far.dial)
        steps = Steps(k)
        trio.lowlevel.add_instrument(steps)

        async def interrupted(read: Callable[[], Awaitable[Any]]) -> Any:
            with trio.CancelScope() as steps.scope:
                return await read()
            return NOTHING

        try:
            came = await read_on(AsyncInferenceClient(base_url=URL, transport=Pool()), interrupted)
        finally:
            trio.lowlevel.remove_instrument(steps)
        assert far.open() <= 1, "one that is kept for the next request"
        return came, steps.left <= 0

    async def all_of_them() -> list[str]:
        found, more, k = [], True, 1
        while more:
            came, more = await play(k)
            found.append(came)
            k += 1
        return found

    judge(trio.run(all_of_them, clock=MockClock(autojump_threshold=0)))


def judge(found: list[str]) -> None:
    assert set(found) <= {TEXT, "left"}
    assert len(found) > 3
    assert found[-1] == TEXT


class Steps(trio.abc.Instrument):
    """Cancels a scope before the task's k-th step."""

    def __init__(self, k: int) -> None:
        self.left = k
        self.scope: trio.CancelScope | None = None
        self.task = trio.lowlevel.current_task()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self.task:
            self.left -= 1
            if self.left == 0 and self.scope is not None:
                self.scope.cancel()


@pytest.mark.parametrize("name", SCRIPTS)
def test_cancelled_at_every_step_of_asyncio(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By asyncio's own cancellation, which comes once and not again."""
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")

    async def play(k: int) -> tuple[str, bool]:
        far = FarSide(SCRIPTS[name]())
        monkeypatch.setattr("headwater.transport.pool.dial", far.dial)
        left = k

        async def interrupted(read: Callable[[], Awaitable[Any]]) -> Any:
            nonlocal left
            task = asyncio.ensure_future(quiet(read))
            while left > 0 and not task.done():
                await asyncio.sleep(0)
                left -= 1
            if left == 0 and not task.done():
                left = -1
                task.cancel()
            try:
                got = await task
            except asyncio.CancelledError:
                return NOTHING
            if isinstance(got, Exception):
                raise got
            return got

        came = await read_on(AsyncInferenceClient(base_url=URL, transport=Pool()), interrupted)
        return came, left <= 0

    async def all_of_them() -> list[str]:
        found, more, k = [], True, 1
        while more and k < 300:
            came, more = await play(k)
            found.append(came)
            k += 1
        return found

    judge(asyncio.run(all_of_them()))


async def quiet(read: Callable[[], Awaitable[Any]]) -> Any:
    """A task cannot raise what an iterator does."""
    try:
        return await read()
    except (StopAsyncIteration, ClosedError) as error:
        return error


# real sockets, in the moment in which something comes


@pytest.mark.parametrize("server_waits", [0.0, 0.002])
async def test_cancelled_as_it_comes(anyio_backend: Any, server_waits: float) -> None:
    """A read is cancelled in the very turn of the loop in which its bytes have come."""
    with faults.running() as server:
        async with AsyncInferenceClient(base_url=f"{server.at('ok', pause=server_waits)}/v1") as client:
            for seconds in (0.0001, 0.0005, 0.002, 0.002, 0.0025, 0.004):
                async with client.chat_completion.stream(MESSAGES) as run:
                    first = await anext(run)
                    found, _ = await impatient(run, by_move_on_after, seconds)
                    assert text_of([first, *found]) == faults.TEXT


# jobs


@pytest.mark.parametrize("vendor", VENDORS, ids=str)
async def test_a_job_is_waited_for_impatiently(vendor: Vendor, anyio_backend: Any, everywhere: Emulator) -> None:
    """Once it is submitted each read may be cancelled, and no job is bought twice."""
    async with vendor.client(Driver("async"), everywhere) as client, vendor.of(client).stream("waves") as run:
        async for found in run:
            if isinstance(found, Submitted):
                break
        with anyio.fail_after(30):
            found, _ = await impatient(run, by_move_on_after, 0.02)
        assert found
        assert await run.result()
    assert submissions(everywhere) == 1
    assert [job.cancelled for job in everywhere.jobs] == [False]


async def test_a_wait_between_two_questions_is_not_begun_anew(
    anyio_backend: Any, everywhere: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEADWATER_TEST_MODE")
    vendor = VENDORS[0]
    async with vendor.client(Driver("async"), everywhere) as client, vendor.of(client).stream("waves") as run:
        assert type(await anext(run)) is Submitted
        with anyio.fail_after(30):
            await impatient(run, by_move_on_after, 0.1)
        assert await run.result()


JSON = "application/json"


def job_said(status: str, url: str = "") -> bytes:
    return json.dumps({"id": "j", "status": status, "outputs": {"video_url": url} if url else None}).encode()


def job_script(asked: list[str], silence: float) -> Callable[[bytes], list[Step]]:
    """Together's jobs, which answer each question, and send each half of each answer, after a silence."""

    def answer(request: bytes) -> list[Step]:
        method, path, *_ = request.decode().split(" ", 2)
        asked.append(f"{method} {path}")
        polls = sum(place.startswith("GET /v2/videos") for place in asked)
        kind, body = JSON, job_said("queued" if polls < 3 else "completed", "https://api.together.xyz/v.mp4")
        if path == "/v.mp4":
            kind, body = "video/mp4", b"\0\0\0\x20ftypisom" + bytes(500)
        steps: list[Step] = [head(kind, f"Content-Length: {len(body)}"), body[:20], body[20:]]
        return steps if method == "POST" else [step for each in steps for step in (silence, each)]

    return answer


def job_client(far: FarSide, monkeypatch: pytest.MonkeyPatch) -> AsyncInferenceClient:
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")
    monkeypatch.setattr("headwater.transport.pool.dial", far.dial)
    return AsyncInferenceClient(
        provider="together",
        api_key="k",
        model_mapping={"m": "m"},
        transport=Pool(),
        input_policy=InputPolicy(allow_private=True),
    )


async def test_questions_longer_than_the_readers_patience(anyio_backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each answer is waited for on, and nothing is asked or downloaded twice."""
    asked: list[str] = []
    far = FarSide(job_script(asked, 0.05))
    run = job_client(far, monkeypatch).text_to_video.stream("hi", model="m")
    assert type(await anext(run)) is Submitted
    found, cancelled = await impatient(run, by_move_on_after, 0.02)
    assert cancelled and isinstance(found[-1], Media) and await run.result() == found[-1]
    assert asked == ["POST /v2/videos", *["GET /v2/videos/j"] * 3, "GET /v.mp4"]
    assert far.open() <= 1


@pytest.mark.parametrize("end", ["close", "drop"])
async def test_a_question_that_is_left_leaves_no_connection(
    end: str, anyio_backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = FarSide(job_script([], 50))
    run: Any = job_client(far, monkeypatch).text_to_video.stream("hi", model="m")
    assert type(await anext(run)) is Submitted
    assert await by_move_on_after(run.__anext__, 0.02) is NOTHING
    assert far.open() == 1
    if end == "close":
        await run.close()
    else:
        del run
        gc.collect()
        await anyio.sleep(0.01)
    assert far.open() == 0


async def test_an_answer_that_its_transport_loses_is_not_asked_for_without_end(
    anyio_backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")

    def respond(request: Any) -> ScriptedResponse:
        later = () if request.method == "POST" else (50.0,)
        return ScriptedResponse(job_said("queued"), head=later)

    transport = MemoryTransport(respond)
    client = AsyncInferenceClient(provider="together", api_key="k", model_mapping={"m": "m"}, transport=transport)
    run = client.text_to_video.stream("hi", model="m")
    assert type(await anext(run)) is Submitted
    with pytest.raises(ClosedError), anyio.fail_after(30):
        while True:
            await by_move_on_after(run.__anext__, 0.005)
    assert len(transport.requests) < 200
    assert transport.unfinished() == []


async def test_a_transport_that_waits_in_a_nursery(
    anyio_backend: Any, loop_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """trio's nurseries hand a cancellation on in a group, which is a cancellation all the same."""
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")
    said = [50.0, 50.0]  # what the first questions wait for

    def respond(request: Any) -> ScriptedResponse:
        if request.method == "POST":
            return ScriptedResponse(job_said("queued"))
        if request.url.endswith("/v.mp4"):
            return ScriptedResponse(b"\0\0\0\x20ftypisom" + bytes(500), content_type="video/mp4")
        later = said.pop(0) if said else 0.0
        return ScriptedResponse(job_said("completed", "https://api.together.xyz/v.mp4"), head=(later,) if later else ())

    transport = Nursed(MemoryTransport(respond), loop_name)
    client = AsyncInferenceClient(provider="together", api_key="k", model_mapping={"m": "m"}, transport=transport)
    run = client.text_to_video.stream("hi", model="m")
    assert type(await anext(run)) is Submitted
    with anyio.fail_after(30):
        found, cancelled = await impatient(run, by_move_on_after, 0.02)
    assert cancelled >= 2 and isinstance(found[-1], Media)


class Nursed:
    """A transport that sends from a task of a group of the loop's own."""

    def __init__(self, inner: MemoryTransport, loop_name: str) -> None:
        self.inner, self.loop_name = inner, loop_name

    async def send(self, request: Any) -> Any:
        answers: list[Any] = []

        async def go() -> None:
            answers.append(await self.inner.send(request))

        if self.loop_name == "trio":
            async with trio.open_nursery() as nursery:
                nursery.start_soon(go)
        else:
            async with asyncio.TaskGroup() as group:
                group.create_task(go())
        return answers[0]

    async def aclose(self) -> None:
        await self.inner.aclose()


# two at once


async def test_a_hedged_run_whose_race_is_cancelled_is_left(anyio_backend: Any) -> None:
    with faults.running() as server:
        url = f"{server.at('hang_before_headers')}/v1"
        async with AsyncInferenceClient(base_url=url, hedge_after=0.05) as client:
            run = client.chat_completion.stream(MESSAGES)
            assert await by_move_on_after(run.__anext__, 0.4) is NOTHING
            for again in (run.__anext__, run.result):
                with pytest.raises(ClosedError):
                    await again()
        assert await anyio.to_thread.run_sync(server.wait_closed, 2, 10.0)


@pytest.mark.parametrize("slower", [0.0, 0.05])
async def test_a_hedged_stream_goes_on_once_it_has_begun(anyio_backend: Any, slower: float) -> None:
    with faults.running() as server:
        url = f"{server.at('ok', pause=0.03)}/v1"
        async with AsyncInferenceClient(base_url=url, hedge_after=slower or 5) as client:
            run = client.chat_completion.stream(MESSAGES)
            first = await anext(run)
            found, cancelled = await impatient(run, by_move_on_after, 0.01)
            assert text_of([first, *found]) == faults.TEXT
            assert cancelled


async def test_a_hedged_run_that_is_cancelled_as_it_prepares_is_read_on(
    anyio_backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was sent yet: both the first attempt and the race begin anew."""
    settled, waits = Router.to, [50.0]

    async def slow(router: Router, *given: Any) -> Any:
        await anyio.sleep(waits.pop() if waits else 0)
        there = settled(router, *given)
        return await there if inspect.isawaitable(there) else there

    monkeypatch.setattr(Router, "to", slow)
    with faults.running() as server:
        async with AsyncInferenceClient(base_url=f"{server.at('ok')}/v1", hedge_after=20) as client:
            run = client.chat_completion.stream(MESSAGES)
            assert await by_move_on_after(run.__anext__, 0.02) is NOTHING
            assert server.requests == []
            assert text_of([chunk async for chunk in run]) == faults.TEXT
            assert (await run.result()).choices[0].message.content == faults.TEXT
        assert len(server.requests) == 1


# the plain call


async def test_a_plain_call_that_is_cancelled_leaves_nothing(anyio_backend: Any) -> None:
    """Nobody has a run to read on."""
    with faults.running() as server:
        async with AsyncInferenceClient(base_url=f"{server.at('sse_stall', n=0)}/v1") as client:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lambda: client.chat_completion(MESSAGES, stream=True))
                assert await anyio.to_thread.run_sync(server.wait_requests, 1, 10.0)
                tasks.cancel_scope.cancel()
            assert await anyio.to_thread.run_sync(server.wait_closed, 1, 10.0)
    assert sys.exc_info() == (None, None, None)
