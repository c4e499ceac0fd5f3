"""The deadline holds wherever a call can be: looking a name up, waiting for a connection, downloading, decoding.

What hangs here is set free at the end of a test; only a failing one waits for that.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from support.drivers import Driver

from headwater import InferenceTimeoutError, InputPolicy, Timeout
from headwater.emulator import faults
from headwater.testing import MemoryTransport, ScriptedResponse
from headwater.transport.pool import Pool

pytestmark = pytest.mark.anyio

MESSAGES = [{"role": "user", "content": "hi"}]
LIMIT = Timeout(total=0.3)
PATIENCE = 20.0
BODY = b'{"id":"1","choices":[{"index":0,"message":{"role":"assistant","content":"w"},"finish_reason":"stop"}]}'


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What hangs, hangs until this is set."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture(scope="module")
def server() -> Iterator[faults.FaultServer]:
    with faults.running() as found:
        yield found


@pytest.fixture
def deaf_resolver(gate: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that are not numbers are looked up for ever."""
    looked_up = socket.getaddrinfo

    def hang(host: Any, *more: Any, flags: int = 0, **named: Any) -> Any:
        flags = more[4] if len(more) > 4 else flags
        if not flags & socket.AI_NUMERICHOST and host != "127.0.0.1":
            gate.wait(PATIENCE)
            raise socket.gaierror(socket.EAI_AGAIN, "let go")
        return looked_up(host, *more[:4], flags=flags, **named)  # type: ignore[misc]

    monkeypatch.setattr(socket, "getaddrinfo", hang)


async def ends(call: Any) -> None:
    with anyio.fail_after(PATIENCE), pytest.raises(InferenceTimeoutError) as caught:
        await call
    assert caught.value.phase == "total"
    assert caught.value.elapsed is not None
    assert caught.value.elapsed < PATIENCE / 2


async def test_looking_a_host_up(driver: Driver, deaf_resolver: None, gate: threading.Event) -> None:
    async with driver.client(base_url="http://host.invalid/v1", timeout=LIMIT) as client:
        await ends(client.chat_completion(MESSAGES))
        await ends(client.chat_completion.stream(MESSAGES).result())
        await ends(client.image_to_image("http://host.invalid/a.png"))
    async with driver.client("org/m", provider="groq", api_key="key-of-a-test", timeout=LIMIT) as client:
        await ends(client.chat_completion(MESSAGES))  # which asks the Hub first
    gate.set()


@pytest.mark.parametrize("fault", ["hang_before_headers", "slow_headers", "sse_forever"])
async def test_downloading_an_input(driver: Driver, server: faults.FaultServer, fault: str) -> None:
    policy = InputPolicy(allow_private=True)
    async with driver.client(base_url=server.at("ok"), timeout=LIMIT, input_policy=policy) as client:
        await ends(client.image_to_image(f"{server.at(fault)}/a.png"))


async def test_waiting_for_a_connection(driver: Driver, server: faults.FaultServer) -> None:
    pool = Pool(max_connections=1)
    async with driver.client(base_url=f"{server.at('sse_stall')}/v1", transport=pool) as client:
        async with client.chat_completion.stream(MESSAGES) as run:
            await anext(run)
            waiting = client.with_options(base_url=f"{server.at('ok')}/v1", timeout=LIMIT)
            await ends(waiting.chat_completion(MESSAGES))
            await ends(waiting.chat_completion.stream(MESSAGES).result())
        assert (await waiting.chat_completion(MESSAGES)).choices


async def test_decoding(driver: Driver, gate: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(*_: Any) -> Any:
        gate.wait(PATIENCE)

    monkeypatch.setattr("headwater.engine.driver.IN_THREAD_BYTES", 10)
    monkeypatch.setattr("headwater.providers.openai_chat.decode", decode)
    async with driver.client(
        base_url="http://127.0.0.1:9/v1", transport=MemoryTransport(lambda _: ScriptedResponse(BODY)), timeout=LIMIT
    ) as client:
        await ends(client.chat_completion(MESSAGES))
    gate.set()
