"""Every fault of the fault server as the first of two providers: the second answers, or the error is a truthful one.

An error is that only after the first event has been handed over; nothing is asked again then.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.drivers import Driver
from test_fault_matrix import CANARY, CELLS, WHOLE, Row, ask, named, refute_secrets

from headwater import HeadwaterError, InferenceTimeoutError, Route, Timeout
from headwater.emulator import faults

pytestmark = pytest.mark.anyio

OTHER_CANARY = "sk-other-canary-0987654321fedcba"


@pytest.fixture(scope="module")
def server() -> Iterator[faults.FaultServer]:
    with faults.running() as found:
        yield found


def pair(driver: Driver, first: str, second: str, **options: Any) -> Any:
    routes = [
        Route(base_url=f"{first}/v1", model="m", api_key=CANARY),
        Route(base_url=f"{second}/v1", model="m", api_key=OTHER_CANARY),
    ]
    return driver.client(provider=routes, **options)


CHATS = [cell for cell in CELLS if cell[1] in {"stream", "unary"}]


@pytest.mark.dealt
@pytest.mark.parametrize("cell", CHATS, ids=named)
async def test_a_cell(
    cell: tuple[Row, str], driver: Driver, server: faults.FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")
    row, kind = cell
    first = server.at(row.fault, **row.parameters, id=f"{driver.name}-{kind}")
    second = server.at("ok", id=f"{driver.name}-{named(cell)}")
    error: HeadwaterError | None = None
    text = ""
    async with pair(driver, first, second, timeout=row.timeout, max_response_bytes=row.most) as client:
        try:
            text = await ask(client, kind)
        except HeadwaterError as raised:
            error = raised
    went_first, went_second = (
        [r for r in server.requests if r.fault == url.rpartition("/")[2]] for url in (first, second)
    )
    assert all(request.headers["authorization"] == f"Bearer {CANARY}" for request in went_first)
    assert all(request.headers["authorization"] == f"Bearer {OTHER_CANARY}" for request in went_second)
    assert went_first
    if error is not None:
        assert kind == "stream"
        assert error.events_received > 0
        assert went_second == []
        wanted = row.want if isinstance(row.want, type | tuple) else InferenceTimeoutError
        assert isinstance(error, wanted)
        refute_secrets(error)
    elif row.want == WHOLE:
        assert text == faults.text_of(row.fault)
    else:
        assert text == faults.TEXT
        assert len(went_second) == 1


async def test_nobody_listens(driver: Driver, server: faults.FaultServer) -> None:
    for first in (server.refused_url, server.silent_url):
        timeout = Timeout(total=20, connect=0.4)
        async with pair(driver, first, server.at("ok"), timeout=timeout, retries=0) as client:
            for kind in ("stream", "unary"):
                assert await ask(client, kind) == faults.TEXT
