"""Calls through every kind of proxy: whole, streamed, left, cancelled and timed as direct ones, on every driver."""

from __future__ import annotations

import gc
import json
import os
import random
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

import anyio
import anyio.to_thread
import psutil  # type: ignore[import-untyped]
import pytest
import trustme
from hyperframe.frame import GoAwayFrame, SettingsFrame
from support.drivers import Driver
from support.proxy_server import ProxyServer, proxying

from headwater import AsyncInferenceClient, ConnectError, InferenceTimeoutError, Timeout
from headwater.errors import ConnectionLostError, TLSError
from headwater.protocol.transport import TransportRequest
from headwater.protocol.url import parse_url
from headwater.transport.pool import Pool, PoolCounts
from headwater.transport.proxied_pool import ProxiedPool
from headwater.transport.proxy import Proxy

pytestmark = pytest.mark.anyio
T = TypeVar("T")

MESSAGES = [{"role": "user", "content": "hi"}]
LOGIN = ("us:er", "pr0xy/passw@rd ß")
KINDS = [(proxy, origin) for proxy in ("http", "https", "socks5", "socks5h") for origin in ("http", "https")]
PATIENCE = 20.0
CANCELLED = [kind for kind in KINDS if kind[0] != "socks5h"]
CANCELS = int(os.environ.get("HEADWATER_CANCELS", 900)) // len(CANCELLED)
"""Through each kind of proxy; the session `proxies` makes 10,000 in all on each event loop."""


class Certificates(NamedTuple):
    """`old`, `old_h2`: servers' of TLS 1.2, in which the server has the last word of a handshake."""

    server: ssl.SSLContext
    client: ssl.SSLContext
    old: ssl.SSLContext
    old_h2: ssl.SSLContext
    offering: ssl.SSLContext
    authority: trustme.CA


@pytest.fixture(scope="module")
def certificates() -> Certificates:
    authority = trustme.CA()
    server, old, old_h2 = (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for _ in range(3))
    for context in (server, old, old_h2):
        authority.issue_cert("localhost", "far.example").configure_cert(context)
    old.maximum_version = old_h2.maximum_version = ssl.TLSVersion.TLSv1_2
    old_h2.set_alpn_protocols(["h2"])
    client, offering = ssl.create_default_context(), ssl.create_default_context()
    for context in (client, offering):
        authority.configure_trust(context)
    offering.set_alpn_protocols(["h2", "http/1.1"])
    return Certificates(server, client, old, old_h2, offering, authority)


@pytest.fixture(scope="module")
def plain_proxy() -> Iterator[ProxyServer]:
    with proxying(LOGIN) as server:
        server.hosts["far.example"] = "127.0.0.1"
        yield server


@pytest.fixture(scope="module")
def tls_proxy(certificates: Certificates) -> Iterator[ProxyServer]:
    with proxying(LOGIN, certificates.server) as server:
        server.hosts["far.example"] = "127.0.0.1"
        yield server


class Way:
    """A proxy of some kind, and an origin behind it."""

    def __init__(self, kind: tuple[str, str], proxy: ProxyServer, origin: Any, context: ssl.SSLContext) -> None:
        self.scheme, self.proxy, self.origin = kind[0], proxy, origin
        self.accepted, self.asked = proxy.accepted, len(proxy.asked)
        name = "localhost" if self.scheme == "socks5" else "far.example"  # which no resolver knows
        self.place = f"{name}:{origin.port}"
        self.base_url = f"{kind[1]}://{self.place}/v1"
        self.context = context

    def pool(self, **more: Any) -> Pool:
        return Pool(proxy=Proxy(self.proxy.url(self.scheme)), ssl_context=self.context, **more)

    def transport(self) -> ProxiedPool:
        return ProxiedPool(self.pool())

    def connections(self) -> int:
        return self.proxy.accepted - self.accepted

    def first_asked(self) -> str:
        return self.proxy.asked[self.asked]

    def opening(self) -> str:
        """What the proxy must have been asked first."""
        if self.scheme.startswith("socks"):
            return f"SOCKS {'127.0.0.1' if self.scheme == 'socks5' else 'far.example'}:{self.origin.port}"
        if self.base_url.startswith("https"):
            return f"CONNECT {self.place} HTTP/1.1"
        return f"POST {self.base_url}/chat/completions HTTP/1.1"


def answering(requests: list[bytes]) -> Any:
    """A script of chats; a stream stops after its first chunk until the client has gone."""

    def script(peer: Any) -> None:
        while request := peer.request():
            requests.append(request)
            asked = json.loads(request.partition(b"\r\n\r\n")[2])
            if asked.get("stream"):
                chunk = {"choices": [{"index": 0, "delta": {"content": "x" * 1000}}]}
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
                peer.send(f"data: {json.dumps(chunk)}\n\n".encode())
                assert peer.gone()
                requests.append(b"gone")
                return
            text = "y" * asked.get("max_tokens", 1)
            whole = {"choices": [{"index": 0, "finish_reason": "stop", "message": {"content": text}}]}
            peer.answer(json.dumps(whole).encode(), "Content-Type: application/json")

    return script


@pytest.fixture
def way(
    request: pytest.FixtureRequest, serve: Any, certificates: Certificates, plain_proxy: Any, tls_proxy: Any
) -> Iterator[Way]:
    kind: tuple[str, str] = request.param
    requests: list[bytes] = []
    origin = serve(answering(requests), certificates.server if kind[1] == "https" else None)
    found = Way(kind, tls_proxy if kind[0] == "https" else plain_proxy, origin, certificates.client)
    yield found
    assert all(b"roxy" not in request for request in requests)


@pytest.mark.parametrize("way", KINDS, ids="-".join, indirect=True)
async def test_calls_keep_their_connection(driver: Driver, way: Way) -> None:
    async with driver.client(base_url=way.base_url, transport=way.transport()) as client:
        for size in (1, 200_000, 1):
            out = await client.chat_completion([{"role": "user", "content": "h" * size}], max_tokens=size)
            assert out.choices[0].message.content == size * "y"
    assert (way.connections(), way.first_asked()) == (1, way.opening())


@pytest.mark.parametrize("way", KINDS, ids="-".join, indirect=True)
async def test_a_stream_that_is_left_ends_at_the_origin(driver: Driver, way: Way) -> None:
    async with driver.client(base_url=way.base_url, transport=way.transport()) as client:
        async with client.chat_completion.stream(MESSAGES) as run:
            async for chunk in run:
                assert chunk.choices[0].delta.content == 1000 * "x"
                break
        out = await client.chat_completion(MESSAGES)
        assert out.choices[0].message.content == "y"
    # The script fails where it does not see its client go.


@pytest.mark.parametrize("way", KINDS, ids="-".join, indirect=True)
async def test_without_epoll(way: Way, choose_form: Any, anyio_backend: Any) -> None:
    choose_form("anyio")
    async with AsyncInferenceClient(base_url=way.base_url, transport=way.transport()) as client:
        for size in (1, 200_000):
            out = await client.chat_completion([{"role": "user", "content": "h" * size}], max_tokens=size)
            assert out.choices[0].message.content == size * "y"
    assert (way.connections(), way.first_asked()) == (1, way.opening())


async def test_a_request_whose_wait_is_cancelled_is_waited_for_again(
    serve: Any, read: Any, certificates: Certificates, plain_proxy: ProxyServer, tls_proxy: ProxyServer
) -> None:
    asked: list[bytes] = []
    go = threading.Event()

    def script(peer: Any) -> None:
        while request := peer.request():
            asked.append(request)
            assert go.wait(PATIENCE)
            peer.answer(b"answer")

    servers = {"http": serve(script), "https": serve(script, certificates.server)}
    for kind in KINDS:
        go.clear()
        asked.clear()
        way = Way(kind, tls_proxy if kind[0] == "https" else plain_proxy, servers[kind[1]], certificates.client)
        pool = way.pool()
        transport = ProxiedPool(pool)
        request = TransportRequest(method="POST", url=parse_url(way.base_url), headers=[], body=b"x", kept=True)
        for _ in range(2):
            async with anyio.create_task_group() as group:
                group.start_soon(transport.send, request)
                with anyio.fail_after(PATIENCE):
                    while not asked:
                        await anyio.sleep(0.005)
                await anyio.wait_all_tasks_blocked()
                group.cancel_scope.cancel()
            assert request.pending is not None, kind
        go.set()
        assert await read(await transport.send(request)) == b"answer", kind
        assert (len(asked), way.connections(), pool.counts().active) == (1, 1, 0), kind
        await transport.aclose()


class InnerTls:
    """The origin's side of TLS within the TLS of a proxy's connection."""

    def __init__(self, outer: ssl.SSLSocket, context: ssl.SSLContext) -> None:
        self._outer = outer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def shake_hands(self, behind: bytes) -> None:
        """With these bytes behind its last words, in one record."""
        self._do(self._tls.do_handshake)
        self.sendall(behind)

    def unwrap(self) -> None:
        with suppress(ssl.SSLError):
            self._tls.unwrap()
        self.sendall(b"")

    def recv(self, size: int) -> bytes:
        return self._do(lambda: self._tls.read(size))

    def sendall(self, data: bytes) -> None:
        if data:
            self._tls.write(data)
        self._outer.sendall(self._outgoing.read())

    def _do(self, what: Callable[[], T]) -> T:
        while True:
            try:
                return what()
            except ssl.SSLWantReadError:
                self.sendall(b"")
                came = self._outer.recv(65536)
                self._incoming.write(came) if came else self._incoming.write_eof()
            except ssl.SSLEOFError:
                return b""  # type: ignore[return-value]


@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
async def test_what_comes_along_with_a_handshake_within_another(
    driver: Driver, serve: Any, certificates: Certificates, http2: bool
) -> None:
    """It is in memory then, and no event loop tells of it."""
    whole = b'{"choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "yes"}}]}'
    early = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Type: application/json\r\n\r\n%b" % (len(whole), whole)
    ended = SettingsFrame(0).serialize() + GoAwayFrame(0, last_stream_id=0).serialize()

    def script(peer: Any) -> None:
        assert peer.request().startswith(b"CONNECT ")
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        inner = InnerTls(peer.sock, certificates.old_h2 if http2 and server.accepted == 1 else certificates.old)
        inner.shake_hands(early if not http2 else ended if server.accepted == 1 else b"")
        while inner.recv(65536):
            if http2 and server.accepted == 2:
                inner.sendall(early)

    server = serve(script, certificates.server)
    async with driver.client(
        base_url="https://far.example/v1",
        proxies=f"https://localhost:{server.port}",
        ssl_context=certificates.offering if http2 else certificates.client,
        http2=http2,
        retries=0,
    ) as client:
        out = await client.chat_completion(MESSAGES)
    assert (out.choices[0].message.content, server.accepted) == ("yes", 2 if http2 else 1)


ENDS = [
    (way, end, end in ("close", "farewell"))
    for way in ("plain", "TLS", "absolute form", "TLS within TLS")
    for end in ("close", "reset", "farewell", "no TLS")
    if way != "plain" or end in ("close", "reset")
]
"""A way, how the connection ends behind an answer that has no length, and whether that is the answer's end."""


@pytest.mark.parametrize("size", [1, 5_000_000])
async def test_what_ends_an_answer_that_has_no_length(serve: Any, certificates: Certificates, size: int) -> None:
    """An end does, with TLS's farewell or without; a reset never, whoever meets it first: who sends, or who reads."""
    for way, end, whole in ENDS:
        ended = threading.Event()

        def script(peer: Any, way: str = way, end: str = end, ended: threading.Event = ended) -> None:
            peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            talk = peer.sock
            if way == "TLS within TLS":
                peer.request()
                peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
                talk = InnerTls(peer.sock, certificates.server)
                talk.shake_hands(b"")
            first = talk.recv(65536)
            left = first.index(b"\r\n\r\n") + 4 + size - len(first)
            # With nothing left unread, or it would be a reset. Once a send has failed by one, OpenSSL 3.6 does not tell
            # of the farewell before it.
            while left > 0 and end in ("close", "farewell"):
                left -= len(talk.recv(65536))
            talk.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"y" * 40_000)
            finish(peer, talk, end)
            ended.set()

        server = serve(script, None if way == "plain" else certificates.server)
        pool = Pool(ssl_context=certificates.client)
        transport: Any = pool
        url = f"{'http' if way == 'plain' else 'https'}://localhost:{server.port}/"
        if way in ("absolute form", "TLS within TLS"):
            pool = Pool(ssl_context=certificates.client, proxy=Proxy(url))
            transport = ProxiedPool(pool)
            url = "http://far.example/" if way == "absolute form" else "https://far.example/"
        request = TransportRequest(method="POST", url=parse_url(url), headers=[], body=b"x" * size)
        answer, body = await transport.send(request), b""
        assert ended.wait(PATIENCE)  # nobody reads meanwhile
        try:
            while piece := await answer.receive():
                body += piece
            outcome = True
        except ConnectionLostError:
            outcome = False
        assert (len(body), outcome, pool.counts().open) == (40_000, whole, 0), (way, end)


def finish(peer: Any, talk: Any, end: str) -> None:
    """End a connection so."""
    if end == "farewell":
        peer.sock.setblocking(False)
        with suppress(ssl.SSLError):  # it would have the client's next
            talk.unwrap()
    elif end == "no TLS":
        junk = b"\x17\x03\x03\x00\x20" + bytes(32)
        peer.send(junk) if talk is not peer.sock else socket.socket.send(peer.sock, junk)
    if end == "close":
        peer.sock.close()
    else:
        peer.reset()


@pytest.mark.crowd
@pytest.mark.dealt
@pytest.mark.parametrize("way", CANCELLED, ids="-".join, indirect=True)
async def test_cancelled_calls_leave_nothing(way: Way, anyio_backend: Any) -> None:
    """Cancelled at any moment, the handshake's too: no slot, no descriptor."""
    rand = random.Random(7)
    pool = way.pool(max_connections=10)
    cut = {"before": 0, "within": 0}
    seconds, left_over = 0.03, set()

    async with AsyncInferenceClient(base_url=way.base_url, transport=ProxiedPool(pool)) as client:

        async def cancel(numbers: Iterator[int]) -> None:
            nonlocal seconds
            for _ in numbers:
                moment = "before"
                with anyio.move_on_after(rand.random() * seconds):
                    async with client.chat_completion.stream(MESSAGES) as run:
                        async for _chunk in run:
                            moment = "within"
                cut[moment] += 1
                seconds *= 1.05 if moment == "before" else 0.9  # about as long as it takes here and now

        for _ in range(3):
            numbers = iter(range(CANCELS // 3))
            async with anyio.create_task_group() as group:
                for _ in range(20):
                    group.start_soon(cancel, numbers)
            async with anyio.create_task_group() as group:  # all slots serve: more would wait for ever
                for _ in range(10):
                    group.start_soon(client.chat_completion, MESSAGES)
            await client.close()
            await settled(way.proxy)
            left_over.add((own_sockets(way), pool.counts()))
    print(f"{cut} of {CANCELS}; left: {left_over}")
    assert left_over == {(0, PoolCounts(loops=1, active=0, waiting=0, open=0, idle=0))}
    assert min(cut.values())


async def settled(proxy: ProxyServer) -> None:
    """Once the proxy has no connection left."""
    gc.collect()
    with anyio.fail_after(PATIENCE):
        while proxy.open:
            await anyio.sleep(0.01)


def own_sockets(way: Way) -> int:
    """The sockets of this process whose other end was the proxy."""
    return sum(bool(each.raddr) and each.raddr.port == way.proxy.port for each in psutil.Process().net_connections())


@pytest.mark.parametrize(("scheme", "origin"), [("http", "https"), ("socks5h", "http"), ("https", "http")])
async def test_a_silent_proxy_is_not_waited_for(driver: Driver, scheme: str, origin: str) -> None:
    with proxying(sleepy=True) as proxy:
        limits = Timeout(connect=0.2)
        client = driver.client(
            base_url=f"{origin}://far.example/v1", proxies=proxy.url(scheme), timeout=limits, retries=0
        )
        async with client:
            with pytest.raises(InferenceTimeoutError, match=f"through the proxy {proxy.place}") as caught:
                await client.chat_completion(MESSAGES)
            assert caught.value.phase == "connect"


async def test_whose_certificate_it_is(driver: Driver, serve: Any, certificates: Certificates) -> None:
    """The proxy's or the server's: what failed names it, and so does a wish for a client's certificate."""
    authority = certificates.authority
    good, wishing = certificates.server, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    wishing.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(wishing)
    wrong = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for context, name in ((wishing, "localhost"), (wrong, "elsewhere.example")):
        authority.issue_cert(name).configure_cert(context)
    with (
        proxying(context=good) as tls,
        proxying(context=wrong) as false,
        proxying() as plain,
    ):
        asking = serve(lambda peer: peer.request(), wishing)
        servers = {context: serve(answering([]), context) for context in (good, wrong, wishing)}
        unsecured = serve(answering([]))
        for proxy, scheme, server, words in (
            (false, "https", servers[good], rf"to the proxy {false.place}: .* for other hosts"),
            (asking, "https", servers[good], rf"the proxy localhost:{asking.port} ended TLS: .*load_cert_chain"),
            (false, "https", unsecured, rf"to the proxy {false.place}: .* for other hosts"),
            (asking, "https", unsecured, rf"the proxy localhost:{asking.port} ended TLS: .*load_cert_chain"),
            (plain, "http", servers[wrong], r"to localhost:\d+ through the proxy .* for other hosts"),
            (tls, "https", servers[wrong], r"to localhost:\d+ through the proxy .* for other hosts"),
            (plain, "http", servers[wishing], "the server ended TLS: .*load_cert_chain"),
            (tls, "https", servers[wishing], "the server ended TLS: .*load_cert_chain"),
        ):
            origin = "http" if server is unsecured else "https"
            async with driver.client(
                base_url=f"{origin}://localhost:{server.port}/v1",
                proxies=f"{scheme}://localhost:{proxy.port}",
                ssl_context=certificates.client,
                retries=2,
            ) as client:
                with pytest.raises(TLSError, match=words) as caught:
                    await client.chat_completion(MESSAGES)
            assert len(caught.value.attempts) == 1, words


async def test_a_name_with_its_last_dot(driver: Driver, serve: Any, certificates: Certificates) -> None:
    """No certificate has that dot, and a proxy is asked with it."""
    server = serve(answering([]), certificates.server)
    with proxying() as proxy:
        proxy.hosts["far.example."] = "127.0.0.1"
        async with driver.client(
            base_url=f"https://far.example.:{server.port}/v1",
            ssl_context=certificates.client,
            proxies=f"http://{proxy.place}",
        ) as client:
            out = await client.chat_completion(MESSAGES)
        assert out.choices[0].message.content == "y"
        assert proxy.asked == [f"CONNECT far.example.:{server.port} HTTP/1.1"]


async def test_a_proxy_that_closes_may_be_asked_again(driver: Driver, serve: Any) -> None:
    server = serve(lambda peer: peer.sock.recv(1000))
    for scheme in ("http", "socks5h"):
        client = driver.client(base_url="https://far.example/v1", proxies=f"{scheme}://127.0.0.1:{server.port}")
        async with client.with_options(retries=1) as client:
            with pytest.raises(ConnectError, match=f"proxy 127.0.0.1:{server.port} closed") as caught:
                await client.chat_completion(MESSAGES)
        assert len(caught.value.attempts) == 2
