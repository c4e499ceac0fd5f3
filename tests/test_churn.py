"""Thousands of streams cancelled at random, once and twice, on a pool of ten connections: no slot is ever lost."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any

import anyio
import anyio.to_thread
import pytest
from soak import in_memory
from soak.load import PATIENCE, Server, churn, client_of, open_at, served, serving, slots

from headwater.transport.pool import Pool

pytestmark = [pytest.mark.anyio, pytest.mark.crowd]
CANCELS = 2000


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as found:
        yield found


def nothing_open_at(server: Server) -> bool:
    until = time.monotonic() + PATIENCE
    while open_at(server) and time.monotonic() < until:
        time.sleep(0.05)
    return open_at(server) == 0


async def test_no_slot_is_lost(server: Server) -> None:
    pool = Pool(max_connections=10)
    async with client_of(server.url, "uneven", pool) as client:
        counts = await churn(client, CANCELS, random.Random(4))
        assert counts["once"] + counts["twice"] >= CANCELS
        assert min(counts["once"], counts["twice"]) > CANCELS // 4
        assert slots(pool) == (0, 0)
        assert await served(client) == 10
        assert slots(pool) == (0, 0)
    await pool.aclose()
    assert await anyio.to_thread.run_sync(nothing_open_at, server)


async def test_nor_is_one_at_any_step(anyio_backend: Any) -> None:
    """Cancelled between any two steps of a stream that has no socket."""
    pool = Pool(max_connections=10)
    with in_memory.client_of(pool) as client:
        counts = await in_memory.churn(client, CANCELS // 4, random.Random(4))
        assert min(counts["once"], counts["twice"], counts["whole"]) > CANCELS // 20
        assert slots(pool) == (0, 0)
        assert await served(client) == 10
    await pool.aclose()
