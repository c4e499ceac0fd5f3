"""Look-ups that hang hold up nothing but themselves: files are read, and other hosts asked, on every loop."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from support.drivers import Driver

from headwater import HeadwaterError, emulator

pytestmark = pytest.mark.anyio

MANY = 100
PATIENCE = 60.0


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Hosts called `slow-...` are looked up until the event is set."""
    gate, looked_up = threading.Event(), socket.getaddrinfo

    def hang(host: Any, *more: Any, **named: Any) -> Any:
        if str(host).startswith("slow-"):
            gate.wait(PATIENCE)
            raise socket.gaierror(socket.EAI_AGAIN, "let go")
        return looked_up(host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    yield gate
    gate.set()


async def test_files_are_read_meanwhile(driver: Driver, hanging: threading.Event, tmp_path: Path) -> None:
    path = tmp_path / "talk.flac"
    path.write_bytes(b"fLaC" + bytes(2_000_000))
    failed = 0

    async def ask(number: int) -> None:
        nonlocal failed
        async with driver.client(base_url=f"http://slow-{number}.invalid/v1", retries=0) as slow:
            try:
                await slow.chat_completion([{"role": "user", "content": "Hi"}])
            except HeadwaterError:
                failed += 1

    many = 20 if driver.blocking else MANY  # the driver itself needs a thread for each call that blocks
    with emulator.running() as url, anyio.fail_after(PATIENCE / 2):
        async with driver.client(base_url=f"{url}/v1") as client, anyio.create_task_group() as group:
            for number in range(many):
                group.start_soon(ask, number)
            await anyio.sleep(0.1)
            with path.open("rb") as file:
                assert (await client.automatic_speech_recognition(file, model="whisper")).text
            assert (await client.automatic_speech_recognition(path, model="whisper")).text
            assert failed == 0
            hanging.set()
    assert failed == many
