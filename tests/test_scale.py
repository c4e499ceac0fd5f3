"""Many streams at once: each gets its own words, all of them, and about when they were sent.

Two thousand are in the soak.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from soak.load import Server, client_of, paced, resets, serving, slots

from headwater import Timeout
from headwater.transport.pool import Pool

pytestmark = [pytest.mark.anyio, pytest.mark.crowd]
STREAMS = 200
GENEROUS = 20.0
"""Seconds for what takes 3.6: one stream after another would take 720."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as found:
        yield found


async def test_two_hundred_paced_streams(server: Server) -> None:
    pool = Pool()
    async with client_of(server.url, "paced", pool, Timeout(total=60)) as client:
        seconds, wrong = await paced(client, STREAMS)
        assert wrong == 0
        assert 3.3 < seconds < GENEROUS
        assert slots(pool) == (0, 0)
    await pool.aclose()


async def test_a_thousand_streams_that_are_reset(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was delivered never repeats and never skips, whether it was tried again or not."""
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")
    pool = Pool(max_connections=10)
    async with client_of(server.url, "reset", pool) as client:
        counts = await resets(client, 1000)
        assert counts["wrong"] == 0
        assert min(counts["whole"], counts["lost"]) > 0
        assert slots(pool) == (0, 0)
    await pool.aclose()
