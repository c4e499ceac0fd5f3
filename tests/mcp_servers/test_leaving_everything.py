"""A conversation with a coroutine, a thread and an MCP server, left in every way at every step: nothing of it goes on.

Its transcript is accepted by the emulator, which refuses a call without an answer.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

import anyio
import httpx
import pytest
from support.conversation_steps import ASKED, KEY, STEPS, connections
from support.conversation_steps import server as server
from support.drivers import Driver, in_thread
from support.mcp_http_server import McpHttpServer

from headwater import (
    InferenceTimeoutError,
    mcp_tools,
    tool,
)
from headwater.emulator.server import Emulator

pytestmark = [pytest.mark.anyio, pytest.mark.dealt]


@tool
async def on_loop(number: int) -> int:
    """Wait a moment on the event loop."""
    await anyio.lowlevel.checkpoint()
    return number


@tool
def in_a_thread(number: int) -> int:
    """Count in a thread."""
    return number


async def read_to(run: Any, kind: type[Any]) -> None:
    async for event in run:
        if isinstance(event, kind):
            return


@pytest.mark.parametrize("way", ["closed", "cancelled", "late"])
@pytest.mark.parametrize("step", STEPS)
async def test_nothing_is_left(
    driver: Driver, headwater_emulator: Emulator, server: McpHttpServer, step: str, way: str
) -> None:
    if driver.blocking and way == "cancelled":
        way = "closed"  # blocking code is interrupted, which has tests of its own
    calls = [("on_loop", {"number": 1}), ("in_a_thread", {"number": 2}), ("add", {"a": 1, "b": 2})]
    headwater_emulator.script("all", {"content": "All three.", "tool_calls": calls}, [("hangs", {})], "Done.")
    ports = [int(str(url).rpartition(":")[2].partition("/")[0]) for url in (headwater_emulator, server.url)]
    tasks = set() if driver.blocking else {task.id for task in anyio.get_running_tasks()}
    tools = mcp_tools(server.url, headers=KEY)
    limit = {"timeout": 0.4} if way == "late" else {}
    async with driver.client(base_url=f"{headwater_emulator}/v1", retries=0) as client:
        entered: Any = await in_thread(tools.__enter__) if driver.blocking else await tools.__aenter__()
        try:
            run = client.converse(ASKED, tools=[on_loop, in_a_thread, *entered], model="all", **limit)
            with anyio.CancelScope() as scope:
                async with run:
                    with suppress(InferenceTimeoutError):  # on a slow machine before the step, too
                        await read_to(run, STEPS[step])
                        if way == "cancelled":
                            scope.cancel()
                            await run.result()
                        if way == "late":
                            with pytest.raises(InferenceTimeoutError):
                                await run.result()
            transcript = run.transcript
        finally:
            if driver.blocking:
                await in_thread(tools.__exit__, None, None, None)
            else:
                await tools.__aexit__(None, None, None)
    body = {"model": "m", "messages": [*transcript, {"role": "user", "content": "Well?"}]}
    answer = httpx.post(f"{headwater_emulator}/v1/chat/completions", json=body, trust_env=False)
    assert answer.status_code == 200, answer.text
    for thread in [each for each in threading.enumerate() if each.name == "headwater-tool"]:
        thread.join(10)
        assert not thread.is_alive()
    if not driver.blocking:
        assert {task.id for task in anyio.get_running_tasks()} <= tasks
        with anyio.fail_after(10):
            while connections(*ports):
                await anyio.sleep(0.01)
