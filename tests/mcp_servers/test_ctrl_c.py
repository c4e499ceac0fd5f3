"""Ctrl-C at every step of a conversation with a coroutine, a thread and an MCP server: nothing of it goes on.

Its transcript is accepted by the emulator, which refuses a call without an answer.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest
import trio
from support.conversation_steps import ASKED, KEY, STEPS, connections
from support.conversation_steps import server as server
from support.mcp_http_server import McpHttpServer

from headwater import (
    AsyncInferenceClient,
    InferenceClient,
    mcp_tools,
    tool,
)
from headwater.emulator.server import Emulator

if sys.platform == "win32":
    pytest.skip("a thread is interrupted by a signal", allow_module_level=True)


def press() -> None:
    """Press Ctrl-C, which is the main thread's."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


class Loop:
    """Where the conversation is held: what was cancelled of it, and which tasks it has left."""

    def __init__(self, *, presses: bool) -> None:
        """`presses`: whether the coroutine presses Ctrl-C, while all of them run."""
        self.presses = presses
        self.is_pressed = False
        self.ended = threading.Event()
        self.cancelled = 0
        self.run: Any = None
        self.left: set[int] = set()

    @tool
    async def on_loop(self, number: int) -> int:
        """Press Ctrl-C, and wait; or return."""
        try:
            if self.presses:
                press()
                await anyio.sleep_forever()
        except BaseException:
            self.cancelled += 1
            raise
        return number

    @tool
    def in_a_thread(self, number: int) -> int:
        """Wait a little in a thread, which cannot be stopped."""
        self.ended.wait(0.05)
        return number

    def see(self, event: Any, step: str) -> None:
        """Press Ctrl-C at the first event of this step."""
        if not self.is_pressed and isinstance(event, STEPS.get(step, ())):
            self.is_pressed = True
            press()

    def asked(self, client: Any, tools: Any) -> Any:
        own = [self.on_loop, self.in_a_thread, *tools]
        self.run = client.converse(ASKED, tools=own, model="ctrl-c")
        return self.run


async def hold(url: str, server: str, loop: Loop, step: str) -> None:
    before = {task.id for task in anyio.get_running_tasks()}
    try:
        async with (
            mcp_tools(server, headers=KEY) as tools,
            AsyncInferenceClient(base_url=url, retries=0) as client,
            loop.asked(client, tools) as run,
        ):
            async for event in run:
                loop.see(event, step)
    finally:
        loop.left = {task.id for task in anyio.get_running_tasks()} - before


def hold_in_blocking_code(url: str, server: str, loop: Loop, step: str) -> None:
    with (
        mcp_tools(server, headers=KEY) as tools,
        InferenceClient(base_url=url, retries=0) as client,
        loop.asked(client, tools) as run,
    ):
        for event in run:
            loop.see(event, step)


def on_asyncio(*given: Any) -> None:
    asyncio.run(hold(*given))


def on_uvloop(*given: Any) -> None:
    uvloop = pytest.importorskip("uvloop")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(hold(*given))


def on_trio(*given: Any) -> None:
    trio.run(hold, *given)


@pytest.mark.parametrize("step", [*STEPS, "running"])
@pytest.mark.parametrize("held", [on_asyncio, on_uvloop, on_trio, hold_in_blocking_code])
def test_ctrl_c_leaves_nothing(
    headwater_emulator: Emulator, server: McpHttpServer, held: Callable[..., None], step: str
) -> None:
    calls = [("on_loop", {"number": 1}), ("in_a_thread", {"number": 2}), ("add", {"a": 1, "b": 2})]
    hangs: list[Any] = [("hangs", {})] if step == "running" else []
    headwater_emulator.script("ctrl-c", {"content": "All.", "tool_calls": [*calls, *hangs]}, "Done.")
    loop = Loop(presses=step == "running")
    with pytest.raises(KeyboardInterrupt):
        held(f"{headwater_emulator}/v1", server.url, loop, step)
    assert loop.run.outcome == "cancelled"
    assert loop.cancelled == (step == "running")
    assert not loop.left
    body = {"model": "m", "messages": [*loop.run.transcript, {"role": "user", "content": "Well?"}]}
    answer = httpx.post(f"{headwater_emulator}/v1/chat/completions", json=body, trust_env=False)
    assert answer.status_code == 200, answer.text
    loop.ended.set()
    for thread in [each for each in threading.enumerate() if each.name == "headwater-tool"]:
        thread.join(10)
        assert not thread.is_alive()
    ports = [int(str(url).rpartition(":")[2].partition("/")[0]) for url in (headwater_emulator, server.url)]
    until = time.monotonic() + 10
    while connections(*ports):
        assert time.monotonic() < until
        time.sleep(0.01)
