"""httpx2: its transports under our clients, and our pool under its clients and those that are built on it."""

from __future__ import annotations

import json
import random
from typing import Any

import anyio
import httpx
import pytest
from support.drivers import Driver

from headwater import AsyncInferenceClient, ConnectError, InferenceClient, InvalidParameterError
from headwater.transport.pool import Pool

httpx2 = pytest.importorskip("httpx2", reason="httpx2 is not installed")

pytestmark = pytest.mark.anyio

MESSAGES = [{"role": "user", "content": "hi"}]
WHOLE = {"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "yes"}}]}


def chat(request: Any) -> Any:
    assert json.loads(request.content)["messages"] == MESSAGES
    return httpx2.Response(200, json=WHOLE)


async def test_its_transport_under_our_client(driver: Driver) -> None:
    async with driver.client(base_url="http://far.example/v1", transport=httpx2.MockTransport(chat)) as client:
        assert (await client.chat_completion(MESSAGES)).choices[0].message.content == "yes"

    def refuse(request: Any) -> Any:
        raise httpx2.ConnectError("no way")

    client = driver.client(base_url="http://far.example/v1", transport=httpx2.MockTransport(refuse), retries=0)
    async with client:
        with pytest.raises(ConnectError, match="no way"):
            await client.chat_completion(MESSAGES)


@pytest.mark.parametrize("kind", [AsyncInferenceClient, InferenceClient])
def test_what_is_no_transport(kind: Any) -> None:
    for library in (httpx, httpx2):
        wrong = (library.HTTPTransport(), library.AsyncClient, library.AsyncHTTPTransport, library.Client(), "x", 7)
        for given in (*wrong, library.AsyncClient()):
            with pytest.raises(InvalidParameterError, match="transport must be"):
                kind(transport=given)
        kind(transport=library.MockTransport(chat))
    kind(transport=Pool())


def answering(peer: Any) -> None:
    while request := peer.request():
        if b'"stream":true' in request.replace(b" ", b""):
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
            peer.send(b'data: {"choices": [{"index": 0, "delta": {"content": "ye"}}]}\n\n')
            peer.gone()
            return
        peer.answer(json.dumps(WHOLE).encode(), "Content-Type: application/json")


async def test_our_pool_under_its_client(serve: Any) -> None:
    from headwater.integrations.httpx2 import PoolTransport

    server = serve(answering)
    async with httpx2.AsyncClient(transport=PoolTransport()) as client:
        for _ in range(3):
            answer = await client.post(server.url, json={"messages": MESSAGES})
            assert (answer.status_code, answer.json()) == (200, WHOLE)
        assert server.accepted == 1
        with pytest.raises(httpx2.ConnectError):
            await client.post("http://127.0.0.1:9/", json={})


async def test_our_pool_under_openai(serve: Any) -> None:
    """Calls, streams that are left, and calls that are cancelled at any moment: the next ones are served."""
    openai = pytest.importorskip("openai", reason="openai is not installed")
    if not issubclass(openai.DefaultAsyncHttpxClient, httpx2.AsyncClient):
        pytest.skip("this openai is not on httpx2")
    from headwater.integrations.httpx2 import PoolTransport

    server, rand = serve(answering), random.Random(3)
    pool = Pool(max_connections=5)
    http = httpx2.AsyncClient(transport=PoolTransport(pool))
    client = openai.AsyncOpenAI(api_key="k", base_url=server.url + "v1", http_client=http, max_retries=0)

    async def ask() -> None:
        made = await client.chat.completions.create(model="m", messages=MESSAGES)
        assert made.choices[0].message.content == "yes"

    async def leave() -> None:
        with anyio.move_on_after(rand.random() * 0.02):
            async for _ in await client.chat.completions.create(model="m", messages=MESSAGES, stream=True):
                break

    await ask()
    for work, times in ((leave, 60), (ask, 10)):
        async with anyio.create_task_group() as group:
            for _ in range(times):
                group.start_soon(work)
    await client.close()
