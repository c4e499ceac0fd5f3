"""Four thousand streams cancelled at random, once and twice, on a pool of ten connections: no slot is ever lost."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any

import anyio
import anyio.to_thread
import pytest
from drivers import LOOPS
from soak.load import PATIENCE, Server, churn, client_of, open_at, served, serving, slots

from headwater.transport.pool import Pool

pytestmark = pytest.mark.anyio
CANCELS = 4000


@pytest.fixture
def anyio_backend(loop_name: str) -> Any:
    """Without asyncio's debug mode, which costs more than all the rest."""
    backend, options = LOOPS[loop_name]
    return backend, {name: value for name, value in options.items() if name != "debug"}


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
