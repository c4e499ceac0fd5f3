"""Four thousand streams cancelled at random, once and twice, on a pool of ten connections: no slot is ever lost."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from soak.load import Server, churn, client_of, served, serving, slots

from headwater.transport.pool import Pool

pytestmark = pytest.mark.anyio
CANCELS = 4000


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as found:
        yield found


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
