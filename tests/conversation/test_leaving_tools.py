"""A conversation that is left: at every step, in every way, and nothing of it goes on.

What is left of the transcript is accepted by the emulator, which refuses a call without an answer.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import httpx
import pytest
from support.drivers import Driver

from headwater import (
    ChatCompletionStreamOutput,
    ClosedError,
    HeadwaterError,
    InferenceClient,
    ToolCalled,
    ToolReturned,
    TurnEnded,
    tool,
)
from headwater.emulator.server import Emulator

pytestmark = pytest.mark.anyio
ASKED = [{"role": "user", "content": "Go."}]
STEPS: dict[str, type[Any]] = {
    "chunk": ChatCompletionStreamOutput,
    "called": ToolCalled,
    "returned": ToolReturned,
    "turn": TurnEnded,
}


class Tools:
    """Two tools: a coroutine that waits until it is cancelled, and a thread that waits until it is let go."""

    def __init__(self, *, waits: bool) -> None:
        self.waits = waits
        self.begun = threading.Semaphore(0)
        self.cancelled = 0
        self.let_go = threading.Event()
        if not waits:
            self.let_go.set()

    @tool
    async def on_loop(self, number: int) -> int:
        """Wait on the event loop."""
        self.begun.release()
        try:
            if self.waits:
                await anyio.sleep_forever()
        except BaseException:
            self.cancelled += 1
            raise
        return number

    @tool
    def in_thread(self, number: int) -> int:
        """Wait in a thread."""
        self.begun.release()
        assert self.let_go.wait(20)
        return number

    @property
    def all(self) -> list[Any]:
        return [self.on_loop, self.in_thread]

    async def both_begun(self) -> None:
        for _ in range(2):
            assert await anyio.to_thread.run_sync(self.begun.acquire, True, 20)


def script(url: Emulator, name: str) -> str:
    calls = {"content": "Both.", "tool_calls": [("on_loop", {"number": 1}), ("in_thread", {"number": 2})]}
    url.script(name, calls, "Done.")
    return name


def accepted(url: Emulator, transcript: list[dict[str, Any]]) -> bool:
    body = {"model": "m", "messages": [*transcript, {"role": "user", "content": "Well?"}]}
    answer = httpx.post(f"{url}/v1/chat/completions", json=body, trust_env=False)
    assert answer.status_code == 200, answer.text
    return True


def threads_of_tools() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "headwater-tool"}


def threads_end() -> bool:
    for thread in threads_of_tools():
        thread.join(10)
    return not threads_of_tools()


@pytest.mark.parametrize("step", STEPS)
async def test_it_is_left_between_two_events(driver: Driver, headwater_emulator: Emulator, step: str) -> None:
    tools, model = Tools(waits=False), script(headwater_emulator, "leaves")
    async with driver.client(base_url=f"{headwater_emulator}/v1", retries=0) as client:
        run = client.converse(ASKED, tools=tools.all, model=model)
        async with run:
            async for event in run:
                if isinstance(event, STEPS[step]):
                    break
            else:
                pytest.fail("no such event")
        assert run.outcome == "cancelled"
        assert accepted(headwater_emulator, run.transcript)
        with pytest.raises(ClosedError):
            await run.result()
    assert threads_end()


async def scope_cancelled(run: Any, ready: Callable[[], Awaitable[None]]) -> None:
    """Read in a scope that is cancelled."""
    async with anyio.create_task_group() as group:
        group.start_soon(run.result)
        await ready()
        group.cancel_scope.cancel()


async def closed_by_another(run: Any, ready: Callable[[], Awaitable[None]]) -> None:
    """Close it while another task reads."""

    async def read() -> None:
        with pytest.raises(ClosedError):
            await run.result()

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await ready()
        await run.close()
        assert run.outcome == "cancelled"


@pytest.mark.parametrize("leave", [scope_cancelled, closed_by_another])
async def test_tools_that_run_are_given_up(headwater_emulator: Emulator, leave: Any) -> None:
    tools, model = Tools(waits=True), script(headwater_emulator, "leaves")
    async with Driver("any").client(base_url=f"{headwater_emulator}/v1", retries=0) as client:
        run = client.converse(ASKED, tools=tools.all, model=model)
        await leave(run, tools.both_begun)
        assert (tools.cancelled, run.outcome) == (1, "cancelled")
        contents = [message["content"] for message in run.transcript if message["role"] == "tool"]
        assert len(contents) == 2
        assert all("not known" in content for content in contents)
        assert accepted(headwater_emulator, run.transcript)
        tools.let_go.set()
        assert threads_end()


async def test_what_becomes_of_a_thread_is_said(driver: Driver, headwater_emulator: Emulator) -> None:
    tools, model = Tools(waits=True), script(headwater_emulator, "leaves")
    async with driver.client(base_url=f"{headwater_emulator}/v1", retries=0) as client:
        result = await client.converse(ASKED, tools=tools.all, model=model, tool_timeout=0.2).result()
    found = {returned.name: (returned.outcome, returned.runs_on) for returned in result.turns[0].returned}
    assert found == {"on_loop": ("timed out", False), "in_thread": ("timed out", True)}
    assert result.text == "Done."
    tools.let_go.set()
    assert threads_end()


@pytest.mark.skipif(os.name != "posix", reason="it looks for the process by a signal")
async def test_a_process_that_a_coroutine_waits_for_is_ended(headwater_emulator: Emulator) -> None:
    found: list[int] = []
    begun = anyio.Event()

    @tool
    async def sleeps() -> None:
        """Wait for a process."""
        async with await anyio.open_process([sys.executable, "-S", "-c", "import time; time.sleep(600)"]) as process:
            found.append(process.pid)
            begun.set()
            await process.wait()

    headwater_emulator.script("sleeps", [("sleeps", {})])
    client = Driver("any").client(base_url=f"{headwater_emulator}/v1", retries=0)
    async with client, client.converse(ASKED, tools=[sleeps], model="sleeps") as run:
        await scope_cancelled(run, begun.wait)
    with pytest.raises(ProcessLookupError):
        os.kill(found[0], 0)


async def test_a_question_to_somebody_is_asked_again_after_a_cancelled_read(headwater_emulator: Emulator) -> None:
    asked = anyio.Event()
    answers: list[bool] = []

    async def approve(call: ToolCalled) -> bool:
        asked.set()
        if not answers:
            await anyio.sleep_forever()
        return answers[0]

    tools, model = Tools(waits=False), script(headwater_emulator, "leaves")
    client = Driver("any").client(base_url=f"{headwater_emulator}/v1", retries=0)
    async with client, client.converse(ASKED, tools=tools.all, model=model, approve=approve) as run:
        while not isinstance(await run.__anext__(), ToolCalled):
            pass
        await run.__anext__()
        async with anyio.create_task_group() as group:
            group.start_soon(run.__anext__)
            await asked.wait()
            group.cancel_scope.cancel()
        answers.append(True)
        result = await run.result()
    assert [returned.outcome for returned in result.turns[0].returned] == ["returned", "returned"]
    assert threads_end()


async def test_two_cannot_read_one_conversation(headwater_emulator: Emulator) -> None:
    tools, model = Tools(waits=True), script(headwater_emulator, "leaves")
    client = Driver("any").client(base_url=f"{headwater_emulator}/v1", retries=0)
    async with client, client.converse(ASKED, tools=tools.all, model=model) as run, anyio.create_task_group() as group:
        group.start_soon(run.result)
        await tools.both_begun()
        with pytest.raises(HeadwaterError, match="another task"):
            await run.__anext__()
        group.cancel_scope.cancel()
    tools.let_go.set()
    assert threads_end()


def test_ctrl_c_leaves_it(headwater_emulator: Emulator) -> None:
    tools, model = Tools(waits=True), script(headwater_emulator, "leaves")

    def press() -> None:
        for _ in range(2):
            assert tools.begun.acquire(timeout=20)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)  # which wakes whoever waits there

    pressing = threading.Thread(target=press)
    with (
        InferenceClient(base_url=f"{headwater_emulator}/v1", retries=0) as client,
        client.converse(ASKED, tools=tools.all, model=model) as run,
    ):
        pressing.start()
        with pytest.raises(KeyboardInterrupt):
            run.result()
        run.close()
        assert run.outcome == "cancelled"
        assert accepted(headwater_emulator, run.transcript)
    pressing.join()
    assert tools.cancelled == 1
    tools.let_go.set()
    assert threads_end()
