"""httpx's transports behind our seam, and our pool inside httpx's clients."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx
import pytest

from headwater.emulator import faults
from headwater.errors import (
    ConnectError,
    ConnectionLostError,
    HeadwaterError,
    InferenceTimeoutError,
    InvalidParameterError,
    ProtocolError,
    ProxyError,
)
from headwater.integrations.httpx import PoolTransport
from headwater.protocol.transport import TransportRequest
from headwater.protocol.url import parse_url
from headwater.transport.httpx_adapter import FromHTTPX, adapted
from headwater.transport.pool import Pool
from headwater.transport.proxies import proxy_for

pytestmark = pytest.mark.anyio


def outgoing(url: str = "http://server.example:81/v1?x=1", body: Any = b"hello", **more: Any) -> TransportRequest:
    return TransportRequest(method="POST", url=parse_url(url), headers=[("X-Test", "1")], body=body, **more)


def mock(answer: Any) -> FromHTTPX:
    return FromHTTPX(httpx.MockTransport(answer), httpx)


async def test_the_request_arrives_as_it_is(read: Any) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        headers = [("X-Two", "1"), ("x-two", "2"), ("Content-Encoding", "gzip")]
        text = f"{request.method} {request.url} {sorted(request.headers.items())} {request.content!r}"
        assert request.extensions["timeout"] == {"connect": 3, "read": None, "write": None, "pool": None}
        return httpx.Response(201, headers=headers, stream=httpx.ByteStream(text.encode()))

    got = await mock(answer).send(outgoing(connect_timeout=3))
    headers = [("content-length", "5"), ("host", "server.example:81"), ("x-test", "1")]
    assert await read(got) == f"POST http://server.example:81/v1?x=1 {headers} b'hello'".encode()
    assert (got.status, got.headers["x-two"], got.ready()) == (201, "1, 2", True)


async def test_bodies_in_pieces_both_ways(read: Any) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"hel", b"", b"lo"):
            yield piece

    async def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers.get("transfer-encoding") == "chunked"
        assert await request.aread() == b"hello"
        return httpx.Response(200, content=pieces())

    got = await mock(answer).send(outgoing(body=pieces()))
    assert [await got.receive() for _ in range(4)] == [b"hel", b"lo", b"", b""]


REASONS = [
    (httpx.ConnectTimeout("x"), InferenceTimeoutError),
    (httpx.PoolTimeout("x"), InferenceTimeoutError),
    (httpx.ConnectError("x"), ConnectError),
    (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] x"), ConnectError),
    (httpx.ProxyError("x"), ProxyError),
    (httpx.UnsupportedProtocol("x"), ConnectError),
    (httpx.RemoteProtocolError("Server disconnected without sending a response."), ConnectionLostError),
    (httpx.RemoteProtocolError("peer closed connection without sending complete message body"), ConnectionLostError),
    (httpx.RemoteProtocolError("illegal status line"), ProtocolError),
    (httpx.ReadError(""), ConnectionLostError),
    (httpx.WriteError("x"), ConnectionLostError),
    (httpx.ReadTimeout("x"), ConnectionLostError),
    (OSError("x"), ConnectionLostError),
]


@pytest.mark.parametrize(("raised", "expected"), REASONS)
async def test_no_exception_of_httpx_gets_out(raised: Exception, expected: type[HeadwaterError]) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise raised

    async def pieces() -> AsyncIterator[bytes]:
        yield b"hello"
        raise raised

    with pytest.raises(expected) as caught:
        await mock(refuse).send(outgoing())
    assert (type(caught.value), caught.value.__cause__, str(caught.value) != "") == (expected, raised, True)
    got = await mock(lambda request: httpx.Response(200, content=pieces())).send(outgoing())
    assert await got.receive() == b"hello"
    for _ in range(2):
        with pytest.raises(expected):
            await got.receive()


async def test_leaving_closes_the_others_stream() -> None:
    closed: list[str] = []

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"x"
            finally:
                closed.append("iterator")

        async def aclose(self) -> None:
            closed.append("stream")

    transport = mock(lambda request: httpx.Response(200, stream=Endless()))
    got = await transport.send(outgoing())
    assert await got.receive() == b"x"
    await got.aclose()
    await got.aclose()
    assert closed == ["iterator", "stream"]
    with pytest.raises(ConnectionLostError):
        await got.receive()
    dropped = await transport.send(outgoing())
    dropped.drop()
    del dropped
    gc.collect()


async def test_a_stream_that_will_not_close_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stuck(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"x"

        async def aclose(self) -> None:
            await anyio.sleep_forever()

    monkeypatch.setattr("headwater.transport.httpx_adapter.CLOSE_SECONDS", 0.01)
    got = await mock(lambda request: httpx.Response(200, stream=Stuck())).send(outgoing())
    await got.aclose()


async def test_a_blocking_transport_is_refused() -> None:
    def pieces() -> Any:
        yield b"x"

    with pytest.raises(InvalidParameterError, match="not asynchronous"):
        await mock(lambda request: httpx.Response(200, content=pieces())).send(outgoing())


async def test_an_application(read: Any) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-path", scope["raw_path"])]})
        await send({"type": "http.response.body", "body": body})

    got = await FromHTTPX(httpx.ASGITransport(application), httpx).send(outgoing())
    assert (got.headers, await read(got)) == ({"x-path": b"/v1".decode()}, b"hello")


def test_what_a_caller_passes() -> None:
    pool = Pool()
    assert adapted(pool) is pool
    assert isinstance(adapted(PoolTransport()), FromHTTPX)


async def test_our_pool_in_an_httpx_client(serve: Any, echo: Any) -> None:
    server = serve(echo)
    async with httpx.AsyncClient(transport=PoolTransport()) as client:
        for body in (b"hello", b"", b"x" * 1_000_000):
            answer = await client.post(server.url, content=body)
            assert (answer.status_code, answer.http_version) == (200, "HTTP/1.1")
            assert answer.content == body or body == b""
        async with client.stream("POST", server.url, content=_pieces()) as streamed:
            assert await streamed.aread() == b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
    assert server.accepted == 1


async def _pieces() -> AsyncIterator[bytes]:
    yield b"hel"
    yield b"lo"


async def test_our_errors_are_httpx_errors_there(serve: Any) -> None:
    go = threading.Event()

    def script(peer: Any) -> None:
        path = peer.request().split()[1]
        if path == b"/garbage":
            peer.send(b"garbage\r\n")
        elif path == b"/half":
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")
        elif path == b"/slow":
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")
            assert go.wait(20)

    server = serve(script)
    async with httpx.AsyncClient(transport=PoolTransport(), timeout=httpx.Timeout(20, read=0.1)) as client:
        for path, expected in (
            ("garbage", httpx.RemoteProtocolError),
            ("nothing", httpx.ReadError),
            ("half", httpx.ReadError),
            ("slow", httpx.ReadTimeout),
        ):
            with pytest.raises(expected) as caught:
                await client.get(server.url + path)
            assert caught.value.request.url.path == f"/{path}"
        go.set()
        server.stop()
        with pytest.raises(httpx.ConnectError):
            await client.get(server.url)


PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("environ", "url", "expected"),
    [
        ({}, "http://a.example/", None),
        ({"HTTP_PROXY": PROXY}, "http://a.example/", PROXY),
        ({"HTTP_PROXY": PROXY}, "https://a.example/", None),
        ({"https_proxy": "proxy:1", "HTTPS_PROXY": PROXY}, "https://a.example/", "http://proxy:1"),
        ({"https_proxy": "", "HTTPS_PROXY": PROXY}, "https://a.example/", None),
        ({"ALL_PROXY": PROXY}, "https://a.example/", PROXY),
        ({"HTTP_PROXY": PROXY, "REQUEST_METHOD": "GET"}, "http://a.example/", None),
        ({"http_proxy": PROXY, "REQUEST_METHOD": "GET"}, "http://a.example/", PROXY),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "*"}, "http://a.example/", None),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "b, .Example"}, "http://a.example/", None),
        ({"ALL_PROXY": PROXY, "no_proxy": "a.example:81"}, "http://a.example/", PROXY),
        ({"ALL_PROXY": PROXY, "no_proxy": "a.example:81"}, "http://a.example:81/", None),
        ({"ALL_PROXY": PROXY, "no_proxy": "example"}, "http://myexample/", PROXY),
        ({"ALL_PROXY": PROXY, "no_proxy": "127.0.0.1,::1"}, "http://[::1]:8000/", None),
    ],
)
def test_proxies_of_the_environment(environ: dict[str, str], url: str, expected: str | None) -> None:
    assert proxy_for(parse_url(url), environ) == expected


def test_httpx_is_loaded_only_when_asked_for() -> None:
    code = "import sys, headwater.transport.transports; sys.exit('httpx' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


async def test_leaving_an_upload_closes_what_was_read_for_it() -> None:
    """Also where httpx's request makes the iterator of its body: trio warns of one that is left to the collector."""
    closed: list[str] = []

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            try:
                for number in range(1_000):
                    if number == 3:
                        scope.cancel()
                    yield b"x"
            finally:
                closed.append("iterator")

    with faults.running() as server:
        async with PoolTransport() as transport:
            with anyio.CancelScope() as scope:
                await transport.handle_async_request(httpx.Request("POST", server.at("ok"), stream=Endless()))
            assert (scope.cancelled_caught, closed) == (True, ["iterator"])
