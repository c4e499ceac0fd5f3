"""Streams that are cancelled without sockets, at random steps rather than moments: a million take minutes.

The pool, its parser and the engine are the real ones. Asserts nothing: the callers do, on what is returned.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from anyio import CancelScope, create_task_group
from anyio.lowlevel import checkpoint
from soak import load
from soak.server import SHORT, STREAMS, text_of
from support.scripted_stream import FarSide, Step, head

from headwater import AsyncInferenceClient
from headwater.transport.pool import Pool

STEPS = 16
"""A stream has some ten steps of its own; where it waits for a connection it has more."""
FIRST, *REST = STREAMS[SHORT]
PIECES = (head("text/event-stream", "Transfer-Encoding: chunked"), FIRST, b"".join(REST[:-1]), REST[-1])


def script(_: bytes) -> Iterator[Step]:
    return iter(PIECES)


@contextmanager
def client_of(pool: Pool) -> Iterator[AsyncInferenceClient]:
    """A client whose connections are to a far side in this process."""
    with mock.patch("headwater.transport.pool.dial", FarSide(script).dial):
        yield AsyncInferenceClient(base_url="http://127.0.0.1:9/v1", transport=pool)


async def churn(client: AsyncInferenceClient, cancels: int, rand: random.Random, workers: int = 25) -> Counter[str]:
    """Cancel streams at random steps, half of them twice; how many of each kind, and how many were whole before."""
    counts: Counter[str] = Counter()
    is_asyncio = load.on_asyncio()

    async def cancel_one() -> None:
        twice, natively = rand.random() < 0.5, is_asyncio and rand.random() < 0.5
        whole = await (_cancel_task if natively else _cancel_scope)(client, rand, twice)
        counts["whole" if whole else "twice" if twice else "once"] += 1

    while counts["once"] + counts["twice"] < cancels:
        await load.by_turns(cancels - counts["once"] - counts["twice"], workers, cancel_one)
    return counts


async def _steps(number: int) -> None:
    for _ in range(number):
        await checkpoint()


async def _cancel_scope(client: AsyncInferenceClient, rand: random.Random, twice: bool) -> bool:
    parts: list[str] = []
    scope = CancelScope()

    async def read() -> None:
        with scope:
            await load.read(client, parts)

    async with create_task_group() as group:
        group.start_soon(read)
        await _steps(rand.randrange(STEPS))
        scope.cancel()
        if twice:
            await _steps(rand.randrange(3))
            group.cancel_scope.cancel()
    return "".join(parts) == text_of(SHORT)


async def _cancel_task(client: AsyncInferenceClient, rand: random.Random, twice: bool) -> bool:
    parts: list[str] = []
    task = asyncio.get_running_loop().create_task(load.read(client, parts))
    await _steps(rand.randrange(STEPS))
    task.cancel()
    if twice:
        await _steps(rand.randrange(3))
        task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()
    return "".join(parts) == text_of(SHORT)
