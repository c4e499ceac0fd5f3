"""Leaving a call early, by any road: control comes back at once, the server sees the connection close, nothing stays.

On real sockets through every client, and, without sockets, cancelled at every single checkpoint of a call.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import threading
import warnings
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import anyio
import psutil  # type: ignore[import-untyped]
import pytest
import trio
from support.drivers import Driver
from trio.testing import MockClock

from headwater import AsyncInferenceClient, CallError, ClosedError, HeadwaterError, IncompleteStreamError, Timeout
from headwater.emulator import faults
from headwater.testing import EVENT_STREAM, FOREVER, MemoryTransport, ScriptedResponse

pytestmark = pytest.mark.anyio

MESSAGES = [{"role": "user", "content": "hi"}]
SOON = 30.0
"""Seconds, generous: only a failing test waits that long."""
WORD = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"w"},"finish_reason":null}]}\n\n'
END = b'data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


@pytest.fixture
def server() -> Iterator[faults.FaultServer]:
    with faults.running() as found:
        yield found


async def closed(server: faults.FaultServer, n: int = 1) -> bool:
    """Whether the server has seen `n` connections close, each by the client."""
    if not await anyio.to_thread.run_sync(server.wait_closed, n, SOON):
        return False
    return all(c.closed_by == "client" for c in server.connections if c.closed is not None)


def url_of(server: faults.FaultServer, fault: str = "sse_forever") -> str:
    return f"{server.at(fault)}/v1"


class FailedError(Exception):
    pass


# leaving a stream


async def test_breaking_out_closes(driver: Driver, server: faults.FaultServer) -> None:
    async with driver.client(base_url=url_of(server)) as client:
        async with client.chat_completion.stream(MESSAGES) as run:
            async for _ in run:
                break
        assert await closed(server)
        assert run.outcome == "cancelled"
        assert run.partial.choices[0].message.content
        with pytest.raises(ClosedError):
            await run.result()
        await run.close()


async def test_close_closes(driver: Driver, server: faults.FaultServer) -> None:
    async with driver.client(base_url=url_of(server)) as client:
        stream = await client.chat_completion(MESSAGES, stream=True)
        async for _ in stream:
            break
        await stream.close()
        assert await closed(server)
        await stream.close()
        with pytest.raises(ClosedError):  # and no end, which it has not come to
            await anext(stream)


async def test_an_exception_in_the_body_closes_and_comes_out(driver: Driver, server: faults.FaultServer) -> None:
    async with driver.client(base_url=url_of(server)) as client:
        with pytest.raises(FailedError):
            async with client.chat_completion.stream(MESSAGES) as run:
                async for _ in run:
                    raise FailedError
        assert await closed(server)


async def test_a_run_that_was_never_read_sends_nothing(driver: Driver, server: faults.FaultServer) -> None:
    async with driver.client(base_url=url_of(server)) as client:
        async with client.chat_completion.stream(MESSAGES):
            pass
        client.chat_completion.stream(MESSAGES)
    assert server.requests == []


async def test_a_deadline_closes(driver: Driver, server: faults.FaultServer) -> None:
    timeout = Timeout(total=1.0)
    async with driver.client(base_url=url_of(server), timeout=timeout) as client:
        with pytest.raises(TimeoutError):
            async with client.chat_completion.stream(MESSAGES) as run:
                async for _ in run:
                    pass
        assert await closed(server)


@pytest.mark.parametrize("of", ["call", "conversation"])
async def test_the_collector_closes_and_warns(driver: Driver, server: faults.FaultServer, of: str) -> None:
    """Nobody should rely on it, but nothing stays open for ever."""
    async with driver.client(base_url=url_of(server)) as client:
        if of == "call":
            stream = await client.chat_completion(MESSAGES, stream=True)
        else:
            stream = client.converse(MESSAGES)
        async for _ in stream:
            break
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del stream
            gc.collect()
            assert await closed(server)
            gc.collect()
        assert {w.category for w in caught} == {ResourceWarning}
        assert any("context manager" in str(w.message) for w in caught)


async def test_what_has_ended_may_be_dropped(driver: Driver, server: faults.FaultServer) -> None:
    async with driver.client(base_url=url_of(server, "ok")) as client:
        stream = await client.chat_completion(MESSAGES, stream=True)
        assert len([chunk async for chunk in stream]) == 11
        del stream
        gc.collect()


async def test_a_connection_that_was_left_is_not_used_again(driver: Driver, server: faults.FaultServer) -> None:
    async with driver.client(base_url=url_of(server)) as client:
        for _ in range(3):
            async with client.chat_completion.stream(MESSAGES) as run:
                async for chunk in run:
                    assert chunk.choices[0].delta.content == "w0 "
                    break
        assert await closed(server, 3)


async def test_one_reader_at_a_time(anyio_backend: Any, server: faults.FaultServer) -> None:
    async with AsyncInferenceClient(base_url=url_of(server, "sse_stall")) as client:
        async with client.chat_completion.stream(MESSAGES) as run:
            for _ in range(3):
                await anext(run)
            async with anyio.create_task_group() as group:

                async def read() -> None:
                    await anext(run)

                group.start_soon(read)
                await anyio.wait_all_tasks_blocked()
                with pytest.raises(CallError, match="another task"):
                    await anext(run)
                group.cancel_scope.cancel()
        assert await closed(server)


# cancel scopes


@pytest.mark.parametrize("fault", ["hang_before_headers", "slow_headers", "sse_stall", "sse_forever", "sse_keepalives"])
async def test_a_cancel_scope_closes(anyio_backend: Any, server: faults.FaultServer, fault: str) -> None:
    async with AsyncInferenceClient(base_url=url_of(server, fault)) as client:

        async def use() -> None:
            async with client.chat_completion.stream(MESSAGES) as run:
                async for _ in run:
                    pass

        async with anyio.create_task_group() as group:
            group.start_soon(use)
            assert await anyio.to_thread.run_sync(server.wait_requests, 1, SOON)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        assert await closed(server)


async def test_cancelling_the_plain_call_closes(anyio_backend: Any, server: faults.FaultServer) -> None:
    async with AsyncInferenceClient(base_url=url_of(server, "hang_before_headers")) as client:
        async with anyio.create_task_group() as group:
            group.start_soon(client.chat_completion, MESSAGES)
            assert await anyio.to_thread.run_sync(server.wait_requests, 1, SOON)
            group.cancel_scope.cancel()
        assert await closed(server)


async def test_cancelling_while_connecting(anyio_backend: Any, server: faults.FaultServer) -> None:
    async with AsyncInferenceClient(base_url=server.silent_url) as client:
        with anyio.move_on_after(0.05) as scope:
            await client.chat_completion(MESSAGES)
        assert scope.cancelled_caught


async def test_cancelling_a_backoff(anyio_backend: Any) -> None:
    transport = MemoryTransport(lambda _: ScriptedResponse(b"{}", status=429, headers={"retry-after": "50"}))
    client = AsyncInferenceClient(base_url="http://127.0.0.1:9/v1", transport=transport)
    async with anyio.create_task_group() as group:
        group.start_soon(client.chat_completion, MESSAGES)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert len(transport.requests) == 1


# at every checkpoint


def script(_: Any) -> ScriptedResponse:
    return ScriptedResponse(WORD, 0.001, WORD, 0.001, END, content_type=EVENT_STREAM, head=[0.001])


def refusing() -> Callable[[Any], ScriptedResponse]:
    """A refusal with a body, an empty stream, a stream cut before its first event, then one that is whole."""
    answers = iter(
        [
            ScriptedResponse(b'{"error":', 0.001, b'"no"}', status=500),
            ScriptedResponse(content_type=EVENT_STREAM),
            script(None),
        ]
    )
    return lambda _: next(answers)


async def stream(client: AsyncInferenceClient) -> None:
    async with client.chat_completion.stream(MESSAGES) as run:
        async for _ in run:
            await anyio.lowlevel.checkpoint()


async def plain(client: AsyncInferenceClient) -> None:
    await client.chat_completion(MESSAGES)


BODY = b'{"id":"1","choices":[{"index":0,"message":{"role":"assistant","content":"w"},"finish_reason":"stop"}]}'
CALLS: dict[str, tuple[Callable[[], Callable[[Any], ScriptedResponse]], Any]] = {
    "stream": (lambda: script, stream),
    "retried": (refusing, stream),
    "plain": (lambda: lambda _: ScriptedResponse(BODY[:20], 0.001, BODY[20:], head=[0.001]), plain),
    "large": (lambda: lambda _: ScriptedResponse(b'{"pad":"' + b"x" * 2_000_000 + b'",' + BODY[1:]), plain),
}


@pytest.mark.parametrize("name", CALLS)
def test_cancelled_at_every_checkpoint_of_trio(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The k-th time that the call gives control away it is cancelled, for every k."""
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")
    make, use = CALLS[name]

    async def play(k: int) -> bool:
        transport = MemoryTransport(make())
        client = AsyncInferenceClient(base_url="http://127.0.0.1:9/v1", transport=transport)
        steps = Steps(k)
        with trio.CancelScope() as scope:
            steps.scope = scope
            trio.lowlevel.add_instrument(steps)
            try:
                await use(client)
            except HeadwaterError:
                pass  # it came to its end
            finally:
                trio.lowlevel.remove_instrument(steps)
        assert transport.unfinished() == [], f"at checkpoint {k}"
        return scope.cancelled_caught

    async def all_of_them() -> int:
        k = 1
        while await play(k):
            k += 1
        return k

    assert trio.run(all_of_them, clock=MockClock(autojump_threshold=0)) > 3


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


@pytest.mark.parametrize("name", CALLS)
def test_cancelled_at_every_step_of_asyncio(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same by asyncio's own cancellation, which comes once and not again."""
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")
    make, use = CALLS[name]

    async def play(k: int) -> bool:
        transport = MemoryTransport(make())
        client = AsyncInferenceClient(base_url="http://127.0.0.1:9/v1", transport=transport)
        task = asyncio.create_task(quiet(use, client))
        for _ in range(k):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) if not task.done() else contextlib.nullcontext():
            await task
        assert transport.unfinished() == [], f"at step {k}"
        return task.cancelled()

    async def all_of_them() -> int:
        k = 1
        while k < 200 and await play(k):
            k += 1
        return k

    assert asyncio.run(all_of_them()) > 3


async def quiet(use: Callable[[Any], Awaitable[None]], client: Any) -> None:
    with contextlib.suppress(HeadwaterError):
        await use(client)


# many


def census() -> int:
    """TCP sockets and threads; those that an event loop keeps for work to come do not count."""
    kept = ("AnyIO worker", "Trio thread", "asyncio_", "headwater-fault")
    threads = [thread for thread in threading.enumerate() if not thread.name.startswith(kept)]
    return len(threads) + len(psutil.Process().net_connections("tcp"))


@pytest.mark.crowd
async def test_many_streams_cancelled_at_random_leave_nothing(anyio_backend: Any, server: faults.FaultServer) -> None:
    rand = random.Random(3)
    async with AsyncInferenceClient(base_url=f"{server.at('sse_forever', pause=0.01)}/v1") as client:

        async def use() -> None:
            with anyio.move_on_after(rand.uniform(0, 0.2)):
                async with client.chat_completion.stream(MESSAGES) as run:
                    async for _ in run:
                        pass

        before = census()
        for _ in range(3):
            async with anyio.create_task_group() as group:
                for _ in range(100):
                    group.start_soon(use)
        opened = len(server.connections)
        assert await closed(server, opened)
        with anyio.fail_after(SOON):  # the server's own threads end in their own time
            while census() > before:
                await anyio.sleep(0.01)
        right = client.with_options(base_url=f"{server.at('ok')}/v1")
        texts: list[str] = []

        async def ask() -> None:
            texts.append((await right.chat_completion(MESSAGES)).choices[0].message.content or "")

        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(ask)
        assert texts == [faults.TEXT] * 50


async def test_nothing_runs_after_a_run(anyio_backend: Any, loop_name: str, server: faults.FaultServer) -> None:
    """The engine starts no task of its own, at any moment of a stream."""

    def tasks() -> int:
        if loop_name == "trio":
            return trio.lowlevel.current_statistics().tasks_living
        return len(asyncio.all_tasks())

    before = tasks()
    async with AsyncInferenceClient(base_url=url_of(server)) as client:
        async with client.chat_completion.stream(MESSAGES) as run:
            await anext(run)
            assert tasks() == before
        assert tasks() == before
        with pytest.raises(IncompleteStreamError):
            await client.with_options(base_url=url_of(server, "sse_reset")).chat_completion.stream(MESSAGES).result()
        assert tasks() == before


def test_a_wait_for_ever_can_be_cancelled() -> None:
    """Guards the tests above: the transport that they use does wait."""

    async def body() -> None:
        with anyio.move_on_after(50) as scope:
            await ScriptedResponse(FOREVER).receive()
        assert scope.cancelled_caught

    anyio.run(body, backend="trio", backend_options={"clock": MockClock(autojump_threshold=0)})
