"""httpx2: its transports under our clients, and our pool under its clients; under packages on it, in tests/parity."""

from __future__ import annotations

import gc
import gzip
import json
import ssl
import threading
import traceback
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import trustme
from support.drivers import Driver
from support.http2_server import serving_http2

from headwater import (
    AsyncInferenceClient,
    ConnectError,
    ConnectionLostError,
    InferenceClient,
    InvalidParameterError,
    ProxyError,
)
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


@pytest.fixture(params=["httpx", "httpx2"])
def library(request: pytest.FixtureRequest) -> Any:
    return pytest.importorskip(request.param)


def transport_of(library: Any, pool: Pool | None = None, **given: Any) -> Any:
    """Our pool as a transport of this library."""
    ours = pytest.importorskip(f"headwater.integrations.{library.__name__}")
    return ours.PoolTransport(pool, **given)


async def test_what_its_clients_send_and_get(serve: Any, library: Any) -> None:
    """A redirected request has no body that it had not before, names are looked up in ASCII, cookies stay apart."""
    asked: list[bytes] = []
    dates = "b=2; Expires=Wed, 21 Oct 2099 07:28:00 GMT"

    def script(peer: Any) -> None:
        while request := peer.request():
            asked.append(request)
            if b" /old " in request:
                peer.answer(b"", "Location: /new", status="307 Elsewhere")
            else:
                peer.answer("ö".encode(), "Set-Cookie: a=1", f"Set-Cookie: {dates}", "X-Place: K\xf6ln, b=3")

    server = serve(script)
    async with library.AsyncClient(transport=transport_of(library), follow_redirects=True) as client:
        answer = await client.get(f"{server.url}old")
        assert answer.headers.get_list("set-cookie") == ["a=1", dates] and dict(client.cookies) == {"a": "1", "b": "2"}
        assert answer.headers["x-place"] == "Köln, b=3"
        await client.post(f"{server.url}old", content=b"kept")
    assert [b"transfer-encoding" in each.lower() for each in asked] == [False] * 4
    assert asked[3].startswith(b"POST /new ") and asked[3].endswith(b"\r\n\r\nkept")
    proxy = serve(lambda peer: asked.append(peer.request()))
    async with library.AsyncClient(transport=transport_of(library, Pool(proxy=Proxy(proxy.url)))) as client:
        with pytest.raises(library.ConnectError):
            await client.get("https://bücher.example/")
    assert asked[-1].startswith(b"CONNECT xn--bcher-kva.example:443 ")


@pytest.mark.dealt
@pytest.mark.parametrize("http2", [False, True])
async def test_what_our_transport_is_given(serve: Any, library: Any, http2: bool, tmp_path: Path) -> None:
    """Certificates, HTTP/2 and a proxy, which the library's own client gives to no transport."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    authority.issue_cert("localhost").configure_cert(context)
    context.set_alpn_protocols(["h2"] if http2 else ["http/1.1"])

    async def yes(stream: Any) -> None:
        stream.head()
        await stream.data(b"yes", ended=True)

    def old() -> Any:
        return serve(lambda peer: peer.request() and peer.answer(b"yes"), context)

    given: dict[str, Any] = {"verify": tmp_path / "authority.pem", "http2": http2}
    refusing = serve(lambda peer: peer.request() and peer.answer(b"", status="403 No"))
    proxies = f"http://me:horse-staple@127.0.0.1:{refusing.port}"
    with serving_http2(yes, context) if http2 else nullcontext(old()) as server:
        url = f"https://localhost:{server.port}/"
        async with library.AsyncClient(transport=transport_of(library, **given)) as client:
            assert (await client.get(url)).text == "yes"
        async with library.AsyncClient(transport=transport_of(library, proxies=proxies, **given)) as client:
            with pytest.raises(library.ProxyError, match=rf"127\.0\.0\.1:{refusing.port} refused: 403"):
                await client.get(url)
    async with library.AsyncClient(transport=transport_of(library)) as client:
        with pytest.raises(library.ConnectError, match="not known"):
            await client.get(f"https://localhost:{serve(lambda peer: None, context).port}/")


def test_what_our_transport_cannot_be_given(library: Any) -> None:
    refused: tuple[dict[str, Any], ...] = (
        {"proxies": "ftp://me:horse-staple@far.example"},
        {"verify": False},
        {"pool": Pool(), "http2": True},
    )
    for wrong in refused:
        with pytest.raises(InvalidParameterError) as caught:
            transport_of(library, **wrong)
        trace = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        ours = [frame for frame in trace.stack if "headwater" in frame.filename and "tests" not in frame.filename]
        assert "horse-staple" not in "".join(traceback.StackSummary.from_list(ours).format()), wrong


async def test_which_host_its_clients_name_and_what_they_cannot_send(serve: Any, library: Any) -> None:
    asked: list[bytes] = []

    def script(peer: Any) -> None:
        while request := peer.request():
            asked.append(request.partition(b"\r\n\r\n")[0])
            peer.answer(b"")

    server = serve(script)
    async with library.AsyncClient(transport=transport_of(library)) as client:
        await client.get(server.url, headers={"Host": "inside.example"})
        await client.get(server.url)
        for refused, error in (
            (client.get("ftp://files.example/"), library.UnsupportedProtocol),
            (client.get(server.url, headers={"X Team": "a"}), library.LocalProtocolError),
            (client.get(server.url, headers={"": "a"}), library.LocalProtocolError),
            (client.get(server.url, headers={"Host": "a\r\nb: c"}), library.LocalProtocolError),
            (client.request("GET /other", server.url), library.LocalProtocolError),
        ):
            with pytest.raises(error) as caught:
                await refused
            assert type(caught.value) is error
    hosts = [line for each in asked for line in each.split(b"\r\n") if line.lower().startswith(b"host:")]
    assert hosts == [b"Host: inside.example", b"Host: 127.0.0.1:%d" % server.port] and server.accepted == 1


async def test_a_transport_that_has_read_its_answers_itself(serve: Any, library: Any, driver: Driver) -> None:
    """As one does that logs or keeps them: what it has read is the answer, unpacked."""
    packed, body = gzip.compress(json.dumps(WHOLE).encode()), json.dumps(WHOLE).encode()

    def script(peer: Any) -> None:
        while peer.request():
            peer.answer(packed, "Content-Type: application/json", "Content-Encoding: gzip")

    class Reads(library.AsyncHTTPTransport):  # type: ignore[misc]
        async def handle_async_request(self, request: Any) -> Any:
            answer = await super().handle_async_request(request)
            assert await answer.aread() == body
            return answer

    class Closes(library.AsyncHTTPTransport):  # type: ignore[misc]
        async def handle_async_request(self, request: Any) -> Any:
            answer = await super().handle_async_request(request)
            await answer.aclose()
            return answer

    url = f"{serve(script).url}v1"
    async with driver.client(base_url=url, transport=Reads()) as client:
        for _ in range(2):
            assert (await client.chat_completion(MESSAGES)).choices[0].message.content == "yes"
    async with driver.client(base_url=url, transport=Closes(), retries=0) as client:
        with pytest.raises(ConnectionLostError, match="has closed its answer"):
            await client.chat_completion(MESSAGES)


async def test_a_refusal_of_its_own_proxy(serve: Any, library: Any, driver: Driver) -> None:
    """The proxy's, and with none of its words: these may repeat the password, which the transport alone knows."""
    said = "407 Who is horse-staple"
    proxy = serve(lambda peer: peer.request() and peer.answer(b"horse-staple", "X-Said: horse-staple", status=said))
    for url in ("https://far.example/v1", "http://far.example/v1"):
        there = library.AsyncHTTPTransport(proxy=f"http://me:horse-staple@127.0.0.1:{proxy.port}")
        async with driver.client(base_url=url, token="", transport=there, retries=2) as client:
            with pytest.raises(ProxyError, match="refused: 407; give the transport") as caught:
                await client.chat_completion(MESSAGES)
        assert (caught.value.status, len(caught.value.attempts)) == (407, 1)
        trace = "".join(traceback.format_exception(caught.value))
        assert "horse-staple" not in f"{caught.value!r} {vars(caught.value)} {trace}", url


@pytest.mark.parametrize("size", [0, 5, 200_000])
@pytest.mark.parametrize("pieces", [False, True], ids=["whole", "in pieces"])
async def test_its_read_timeout_holds_for_the_head(serve: Any, library: Any, size: int, pieces: bool) -> None:
    done = threading.Event()

    async def in_pieces() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield bytes(size // 4)

    def script(peer: Any) -> None:
        peer.request()
        assert done.wait(20)

    server, pool = serve(script), Pool()
    timeout = library.Timeout(20, read=0.05)
    async with library.AsyncClient(transport=transport_of(library, pool), timeout=timeout) as client:
        with anyio.fail_after(20), pytest.raises(library.ReadTimeout):
            await client.post(server.url, content=in_pieces() if pieces else bytes(size))
        done.set()
    assert (pool.counts().active, pool.counts().open) == (0, 0)


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
