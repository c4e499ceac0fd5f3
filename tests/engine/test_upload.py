"""How much of a large body has gone out can be seen while it goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from support.drivers import Driver

from headwater import Transferred

pytestmark = pytest.mark.anyio

SIZE = 3 * 1024 * 1024


class Reading(httpx.AsyncBaseTransport):
    """Takes a request's body piece by piece, and looks at the run after each."""

    def __init__(self) -> None:
        self.run: Any = None
        self.seen: list[Transferred] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.AsyncByteStream)
        async for _ in request.stream:
            self.seen.append(self.run.upload)
        return httpx.Response(200, json=[{"label": "speech", "score": 1.0}])


async def test_an_upload_is_counted(driver: Driver, tmp_path: Path) -> None:
    sound = tmp_path / "talk.flac"
    sound.write_bytes(b"fLaC" + bytes(SIZE - 4))
    server = Reading()
    client = driver.client("https://server.example/model", transport=server)
    async with client, client.audio_classification.stream(sound) as run:
        assert run.upload is None
        server.run = run
        result = await run.result()
        assert run.upload == Transferred("upload", SIZE, SIZE)
    assert result[0].label == "speech"
    sizes = [sent.size for sent in server.seen]
    assert sizes == sorted(sizes) and len(set(sizes)) > 10
