"""Cancel open streams at random, round after round, then ask what is left.

Each round opens 1,000 streams at once and cancels each at a moment of its own: some while connecting, most in
the middle of the stream. Afterwards: connections and streams that the server still holds, tasks, warnings,
unraisable errors, and whether the same client serves the next 1,000 requests. Refuses to tidy up itself.
"""

import asyncio
import gc
import json
import random
import sys
import time
import urllib.request
import warnings
from collections.abc import Callable
from typing import Any, Self

import anyio
import sniffio

from benchmarks import work

SPREAD = 0.4  # seconds within which the streams of a round are cancelled
GRACE = 5.0  # seconds given to the kernel and the server to notice what was closed


class Complaints:
    """Warnings, unraisable errors and the loop's complaints, while installed."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def __enter__(self) -> Self:
        self.caught = warnings.catch_warnings()
        self.caught.__enter__()
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *_rest, **_named: self.heard.append(repr(message))
        self.hook, sys.unraisablehook = sys.unraisablehook, lambda e: self.heard.append(repr(e.exc_value))
        if sniffio.current_async_library() == "asyncio":
            asyncio.get_running_loop().set_exception_handler(lambda _, c: self.heard.append(str(c)))
        return self

    def __exit__(self, *error: object) -> None:
        gc.collect()
        sys.unraisablehook = self.hook
        self.caught.__exit__(None, None, None)


def living_tasks() -> int:
    """How many tasks the event loop has, this one included."""
    if sniffio.current_async_library() == "asyncio":
        return len(asyncio.all_tasks())
    import trio

    return trio.lowlevel.current_statistics().tasks_living


def at_server(url: str) -> dict[str, int]:
    """What the server counts, this question not included."""
    with urllib.request.urlopen(url + "/stats") as answer:
        seen: dict[str, int] = json.load(answer)
    return seen


async def settled(url: str) -> dict[str, int]:
    """What the server counts once nothing is left, or when the grace is over."""
    until = time.monotonic() + GRACE
    while (seen := at_server(url))["connections"] and time.monotonic() < until:
        await anyio.sleep(0.05)
    return seen


async def run(job: work.Job, make: Callable[[str], Any], url: str, spawn: work.Spawn) -> dict[str, Any]:
    """Cancel `job.repeats` rounds of `job.calls` streams; report the time of each and what was left."""
    dice = random.Random(2026)
    cpu: list[float] = []
    wall: list[float] = []
    before = living_tasks()

    async def cancelled_stream() -> None:
        with anyio.move_on_after(dice.uniform(0, SPREAD)):
            await client.stream(500)
            raise work.MismatchError("a stream of ten seconds that is cancelled within one")

    async def short_stream() -> None:
        work.check_stream(await client.stream(2), 2)

    with Complaints() as complaints:
        async with make(url + job.path) as client:
            for _ in range(job.repeats):
                begun = (time.process_time(), time.perf_counter())
                await spawn(cancelled_stream, job.calls)
                cpu.append((time.process_time() - begun[0]) / job.calls)
                wall.append((time.perf_counter() - begun[1]) / job.calls)
            gc.collect()
            left = await settled(url)
            tasks = living_tasks() - before
            await spawn(short_stream, job.calls)
        closed = await settled(url)
    return {
        "cpu": cpu,
        "wall": wall,
        "cancelled": job.repeats * job.calls,
        "connections_left": left["connections"],
        "streams_left": left["streams"],
        "tasks_left": tasks,
        "then_succeeded": job.calls,
        "connections_after_close": closed["connections"],
        "warnings": len(complaints.heard),
        "first_warnings": complaints.heard[:3],
    }
