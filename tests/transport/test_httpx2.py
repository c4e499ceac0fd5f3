"""httpx2: its transports under our clients, and our pool under its clients; under packages on it, in tests/parity."""

from __future__ import annotations

import gc
import json
from typing import Any

import httpx
import pytest
from support.drivers import Driver

from headwater import AsyncInferenceClient, ConnectError, InferenceClient, InvalidParameterError
from headwater.transport.pool import Pool
from headwater.transport.proxy import Proxy

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


async def test_an_answer_that_is_left_under_its_client(serve: Any) -> None:
    """In the middle of its iterator, which trio would warn of, were it a generator."""
    from headwater.integrations.httpx2 import PoolTransport

    server, pool = serve(answering), Pool(max_connections=1)
    transport = PoolTransport(pool)
    for _ in range(3):
        answer = await transport.handle_async_request(httpx2.Request("POST", server.url, json={"stream": True}))
        assert isinstance(answer.stream, httpx2.AsyncByteStream)
        async for piece in answer.stream:
            assert piece.startswith(b"data:")
            break
        await answer.aclose()
        gc.collect()
    assert (pool.counts().active, pool.counts().open) == (0, 0)


async def test_a_proxys_refusal_is_one_there(serve: Any) -> None:
    from headwater.integrations.httpx2 import PoolTransport

    proxy = serve(lambda peer: peer.request() and peer.answer(b"who are you", status="407 Who"))
    async with httpx2.AsyncClient(transport=PoolTransport(Pool(proxy=Proxy(proxy.url)))) as client:
        with pytest.raises(httpx2.ProxyError, match="407"):
            await client.get("https://far.example/")
