"""What the soak and the tests of churn and scale do to a client: cancel, reset, break and pace its streams.

Nothing here decides whether that went well: the callers assert on what is returned.
"""

from __future__ import annotations

import asyncio
import ctypes
import random
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import anyio
import psutil  # type: ignore[import-untyped]
from anyio import CancelScope, create_task_group, current_time
from anyio.lowlevel import current_token
from soak.server import LATEST, LONG, SHORT, text_of

from headwater import AsyncInferenceClient, HeadwaterError, Timeout
from headwater.transport.pool import Pool

MESSAGES = [{"role": "user", "content": "hi"}]
PATIENCE = 20.0
"""Seconds, generous: only what fails waits that long."""


class Server(NamedTuple):
    """The server's URL, the fault server's in the same process, and that process."""

    url: str
    fault_url: str
    pid: int


@contextmanager
def serving() -> Iterator[Server]:
    """The server in a process of its own, which ends with this block."""
    command = [sys.executable, str(Path(__file__).with_name("server.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            url, fault_url = process.stdout.readline().split()
            yield Server(url, fault_url, process.pid)
        finally:
            process.communicate(timeout=PATIENCE)


def client_of(
    url: str, kind: str, pool: Pool, timeout: Timeout | None = None, retries: int = 2
) -> AsyncInferenceClient:
    return AsyncInferenceClient(base_url=f"{url}/{kind}/v1", transport=pool, timeout=timeout, retries=retries)


async def read(client: AsyncInferenceClient, parts: list[str]) -> None:
    """Read one stream; its text goes into `parts` as it comes."""
    async with client.chat_completion.stream(MESSAGES) as run:
        async for event in run:
            for choice in event.choices:
                parts.append(choice.delta.content or "")


async def by_turns(number: int, workers: int, work: Callable[[], Awaitable[object]]) -> None:
    """Do it `number` times, `workers` at once."""
    left = iter(range(number))

    async def worker() -> None:
        for _ in left:
            await work()

    async with create_task_group() as group:
        for _ in range(workers):
            group.start_soon(worker)


# cancels


async def churn(client: AsyncInferenceClient, cancels: int, rand: random.Random, workers: int = 25) -> Counter[str]:
    """Cancel streams at random moments, half of them twice; how many of each kind, and how many were whole before."""
    counts: Counter[str] = Counter()
    is_asyncio = on_asyncio()

    async def cancel_one() -> None:
        twice, natively = rand.random() < 0.5, is_asyncio and rand.random() < 0.5
        whole = await (_cancel_task if natively else _cancel_scope)(client, rand, twice)
        counts["whole" if whole else "twice" if twice else "once"] += 1

    while counts["once"] + counts["twice"] < cancels:
        await by_turns(cancels - counts["once"] - counts["twice"], workers, cancel_one)
    return counts


async def _cancel_scope(client: AsyncInferenceClient, rand: random.Random, twice: bool) -> bool:
    first = current_time() + rand.random() * SHORT * LATEST
    again = first + rand.choice((0, 1e-5, 1e-4, 1e-3)) if twice else float("inf")
    parts: list[str] = []
    with CancelScope(deadline=again), CancelScope(deadline=first):
        await read(client, parts)
    return "".join(parts) == text_of(SHORT)


async def _cancel_task(client: AsyncInferenceClient, rand: random.Random, twice: bool) -> bool:
    """As asyncio's own users do; a second time while the first is still under way."""
    parts: list[str] = []
    task = asyncio.get_running_loop().create_task(read(client, parts))
    await anyio.sleep(rand.random() * SHORT * LATEST)
    task.cancel()
    for _ in range(rand.randint(0, 3) if twice else 0):
        await asyncio.sleep(0)
    if twice:
        task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()
    return "".join(parts) == text_of(SHORT)


async def served(client: AsyncInferenceClient, calls: int = 10) -> int:
    """How many of so many calls at once are answered right, and soon."""
    right = 0

    async def ask() -> None:
        nonlocal right
        parts: list[str] = []
        with anyio.move_on_after(PATIENCE):
            await read(client, parts)
            right += "".join(parts) == text_of(SHORT)

    await by_turns(calls, calls, ask)
    return right


def slots(pool: Pool) -> tuple[int, int]:
    """Slots in use, and callers that wait for one."""
    return pool.counts().active, pool.counts().waiting


# resets


async def resets(client: AsyncInferenceClient, streams: int, workers: int = 10) -> Counter[str]:
    """Read streams that are reset: `wrong` is what no stream may be, `whole`, `lost` and `early` what they are."""
    counts: Counter[str] = Counter()
    whole = text_of(LONG)

    async def read_one() -> None:
        parts: list[str] = []
        try:
            await read(client, parts)
        except HeadwaterError as error:
            text = "".join(parts)
            kept = error.partial.choices[0].message.content if error.partial is not None else ""
            right = whole.startswith(text) and kept == text
            counts[("lost" if text else "early") if right else "wrong"] += 1
        else:
            counts["whole" if "".join(parts) == whole else "wrong"] += 1

    await by_turns(streams, workers, read_one)
    return counts


# faults


async def break_one(client: AsyncInferenceClient, counts: Counter[str]) -> None:
    """One call at a fault: it is answered, or raises a typed error; anything else gets out."""
    try:
        await read(client, [])
        counts["answered"] += 1
    except HeadwaterError as error:
        counts[type(error).__name__] += 1


# scale


async def paced(client: AsyncInferenceClient, streams: int) -> tuple[float, int]:
    """So many paced streams at once: seconds until the last has ended, and how many were wrong."""
    wrong = 0

    async def read_one() -> None:
        nonlocal wrong
        parts: list[str] = []
        await read(client, parts)
        wrong += "".join(parts) != text_of(SHORT)

    began = current_time()
    await by_turns(streams, streams, read_one)
    return current_time() - began, wrong


# what is left


class Census(NamedTuple):
    """What a process holds."""

    descriptors: int
    threads: int
    tasks: int


def census() -> Census:
    process = psutil.Process()
    return Census(process.num_fds(), process.num_threads(), living_tasks())


def on_asyncio() -> bool:
    return isinstance(current_token().native_token, asyncio.AbstractEventLoop)


def open_at(server: Server) -> int:
    """How many connections the server has; blocks."""
    with urllib.request.urlopen(f"{server.url}/connections") as answer:
        return int(answer.read())


def living_tasks() -> int:
    if on_asyncio():
        return len(asyncio.all_tasks())
    import trio

    return trio.lowlevel.current_statistics().tasks_living


def resident() -> float:
    """MiB, without what the C allocator keeps for later where it can be told to let go (glibc)."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
    return float(psutil.Process().memory_info().rss) / 2**20


def processor_seconds(server: int) -> tuple[float, float]:
    """What this process and the server's have used."""
    used = [psutil.Process(pid).cpu_times() for pid in (None, server)]
    ours, theirs = (times.user + times.system for times in used)
    return float(ours), float(theirs)
