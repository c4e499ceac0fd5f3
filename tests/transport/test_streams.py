"""The streams below the pool: back-pressure, ends that nobody polls for, TLS's ends, and racing for an address."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
import trustme
from anyio import BrokenResourceError

from headwater.errors import ConnectError, ConnectionLostError, InferenceTimeoutError
from headwater.transport import native, racing
from headwater.transport.native import UNREAD, NativeStream
from headwater.transport.pool import Pool
from headwater.transport.streams import AnyioStream
from headwater.wire import Outgoing, parse_url

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024
AT_ONCE = 512 * 1024
"""Bytes that one read may bring: 256 KiB of a socket, and as much again that a TLS layer kept while it was paused."""
CLOSED_BODY = b"HTTP/1.1 200 OK\r\n\r\nhello"


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's."""
    authority, server = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


@pytest.fixture
def calls_back(loop_name: str) -> None:
    if loop_name == "trio":
        pytest.skip("trio has no callbacks: anyio does this there")


def stream_of(pool: Pool) -> Any:
    (loop,) = pool._loops.values()
    (connection,) = loop.open
    return connection.stream


async def wait(event: threading.Event) -> None:
    assert await anyio.to_thread.run_sync(event.wait, 20)


async def test_each_loop_has_its_own_kind(serve: Any, echo: Any, read: Any, loop_name: str) -> None:
    server, pool = serve(echo), Pool()
    await read(await pool.send(server.outgoing()))
    assert type(stream_of(pool)) is (AnyioStream if loop_name == "trio" else NativeStream)


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
async def test_a_consumer_that_stops_stops_the_server(serve: Any, contexts: Any, secure: bool) -> None:
    total, sent, stuck = 32 * MIB, [0], threading.Event()

    def script(peer: Any) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        while sent[0] < total:
            if not select.select([], [peer.sock], [], 1)[1]:
                stuck.set()
            peer.send(b"x" * 65536)
            sent[0] += 65536
        stuck.set()
        peer.request()

    server, pool = serve(script, contexts[0] if secure else None), Pool(ssl_context=contexts[1])
    answer = await pool.send(server.outgoing())
    got = len(await answer.receive())
    await wait(stuck)
    assert sent[0] <= 8 * MIB
    stream = stream_of(pool)
    assert getattr(stream, "_waiting", 0) <= UNREAD + AT_ONCE
    while piece := await answer.receive():
        got += len(piece)
        assert len(piece) <= UNREAD + AT_ONCE
    assert (got, sent[0], stream.stale()) == (total, total, False)


@pytest.mark.usefixtures("calls_back")
@pytest.mark.parametrize("more", [b"", b"HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n"], ids=["end", "unasked"])
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
async def test_the_loop_itself_says_that_a_connection_is_stale(
    serve: Any, read: Any, contexts: Any, monkeypatch: pytest.MonkeyPatch, more: bytes, secure: bool
) -> None:
    go, gone = threading.Event(), threading.Event()

    def script(peer: Any) -> None:
        peer.request()
        peer.answer()
        assert go.wait(20)
        if more:
            peer.send(more)
            assert peer.gone()
        gone.set()

    server, pool = serve(script, contexts[0] if secure else None), Pool(ssl_context=contexts[1])
    await read(await pool.send(server.outgoing()))
    monkeypatch.setattr(native, "readable", lambda raw: False)
    stream = stream_of(pool)
    assert not stream.stale()
    go.set()
    with anyio.fail_after(20):
        while not stream.stale():
            await anyio.sleep(0.001)
    (origin,) = next(iter(pool._loops.values())).origins.values()
    assert origin.take() is None
    await wait(gone)


async def test_what_came_while_the_loop_had_no_turn_is_seen(serve: Any, read: Any) -> None:
    go, gone = threading.Event(), threading.Event()

    def script(peer: Any) -> None:
        peer.request()
        peer.answer()
        assert go.wait(20)
        peer.sock.close()
        gone.set()

    server, pool = serve(script), Pool()
    await read(await pool.send(server.outgoing()))
    go.set()
    assert gone.wait(20)  # holds the loop up
    assert stream_of(pool).stale()


@pytest.mark.parametrize("farewell", [False, True])
async def test_the_end_of_a_tls_connection(serve: Any, read: Any, contexts: Any, farewell: bool) -> None:
    def script(peer: Any) -> None:
        peer.request()
        peer.send(CLOSED_BODY)
        if farewell:
            peer.sock.unwrap()

    server, pool = serve(script, contexts[0]), Pool(ssl_context=contexts[1])
    answer = await pool.send(server.outgoing())
    assert (answer.framed, await read(answer)) == ("close", b"hello")


@pytest.mark.usefixtures("calls_back")
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
async def test_data_and_the_end_together(serve: Any, contexts: Any, secure: bool) -> None:
    def script(peer: Any) -> None:
        peer.request()
        peer.send(CLOSED_BODY)

    server, pool = serve(script, contexts[0] if secure else None), Pool(ssl_context=contexts[1])
    answer = await pool.send(server.outgoing())
    stream = stream_of(pool)
    with anyio.fail_after(20):
        while not stream._over:  # both have come, nobody has read
            await anyio.sleep(0.001)
    body = await answer.receive()
    assert body + await answer.receive() == b"hello"


@pytest.mark.usefixtures("calls_back")
async def test_data_comes_before_the_loss() -> None:
    loop: Any = anyio.lowlevel.current_token().native_token
    stream = NativeStream(loop, socket.socket(), secure=False)
    stream.data_received(b"one")
    stream.data_received(b"two")
    stream.connection_lost(ConnectionResetError())
    assert (stream.readable(), await stream.receive()) == (True, b"onetwo")
    for _ in range(2):
        with pytest.raises(BrokenResourceError):
            await stream.receive()
    with pytest.raises(BrokenResourceError):
        await stream._send_all(memoryview(b"x"))
    stream._raw.close()


@pytest.mark.usefixtures("calls_back")
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
async def test_a_loss_while_sending_waits(serve: Any, contexts: Any, secure: bool) -> None:
    go = threading.Event()

    def script(peer: Any) -> None:
        peer.sock.recv(10)
        assert go.wait(20)
        peer.reset()

    server, pool = serve(script, contexts[0] if secure else None), Pool(ssl_context=contexts[1])
    async with anyio.create_task_group() as group:

        async def ask() -> None:
            with pytest.raises(ConnectionLostError):
                await pool.send(server.outgoing(body=b"x" * 64 * MIB))

        group.start_soon(ask)
        with anyio.fail_after(20):
            while not any(getattr(c.stream, "_drained", None) for loop in pool._loops.values() for c in loop.open):
                await anyio.sleep(0.001)
        go.set()
    assert [len(loop.open) for loop in pool._loops.values()] == [0]


# -- connecting


@pytest.fixture
def unanswering() -> Iterator[int]:
    """A port where connecting neither succeeds nor fails: its backlog is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fill = [socket.socket() for _ in range(3)]
        for sock in fill:
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for sock in fill:
            sock.close()


@pytest.fixture
def refusing() -> Iterator[int]:
    """A port that nobody listens on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def resolve_to(monkeypatch: pytest.MonkeyPatch, *ports: int) -> None:
    async def getaddrinfo(*_: Any, **__: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]

    monkeypatch.setattr(anyio, "getaddrinfo", getaddrinfo)


def opened(monkeypatch: pytest.MonkeyPatch) -> list[socket.socket]:
    """Every socket that an attempt opens from here on."""
    seen: list[socket.socket] = []

    def make(*args: Any) -> socket.socket:
        seen.append(socket.socket(*args))
        return seen[-1]

    monkeypatch.setattr(native, "socket", SimpleNamespace(**vars(socket) | {"socket": make}))
    return seen


@pytest.mark.usefixtures("calls_back")
@pytest.mark.parametrize("dead", ["refusing", "unanswering"])
async def test_a_dead_first_address(
    serve: Any, echo: Any, read: Any, monkeypatch: pytest.MonkeyPatch, request: Any, dead: str
) -> None:
    server, pool = serve(echo), Pool()
    resolve_to(monkeypatch, request.getfixturevalue(dead), server.port)
    seen = opened(monkeypatch)
    outgoing = Outgoing(method="POST", url=parse_url("http://two.example/"), headers=[], body=b"hello")
    assert await read(await pool.send(outgoing)) == b"hello"
    assert [sock.fileno() < 0 for sock in seen[:2]] == [True, False]


@pytest.mark.usefixtures("calls_back")
async def test_every_address_is_dead(monkeypatch: pytest.MonkeyPatch, refusing: int) -> None:
    pool = Pool()
    resolve_to(monkeypatch, refusing, refusing, 1)
    seen = opened(monkeypatch)
    with pytest.raises(ConnectError, match=r"connection refused by two\.example:80"):
        await pool.send(Outgoing(method="GET", url=parse_url("http://two.example/"), headers=[]))
    assert [sock.fileno() for sock in seen] == [-1, -1]


@pytest.mark.usefixtures("calls_back")
async def test_of_two_that_answer_one_is_kept(serve: Any, echo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    both, begun = anyio.Event(), list[Any]()

    async def connect(loop: Any, family: int, place: Any) -> Any:
        begun.append(place)
        if len(begun) == 2:
            both.set()
        raw = None
        with anyio.CancelScope(shield=True):  # both come through, whoever wins
            await both.wait()
            raw = await native.connect(loop, family, place)
        return raw  # noqa: RET504 - a scope may swallow an exception, as type checkers know

    server = serve(echo)
    monkeypatch.setattr(racing, "STAGGER", 0)
    monkeypatch.setattr(racing, "connect", connect)
    seen = opened(monkeypatch)
    places = [racing.Address(socket.AF_INET, ("127.0.0.1", server.port)) for _ in range(2)]
    loop: Any = anyio.lowlevel.current_token().native_token
    with await racing.first_connected(loop, places) as raw:
        assert [sock is raw for sock in seen if sock.fileno() >= 0] == [True]
    assert len(seen) == 2


@pytest.mark.parametrize("bound", ["scope", "timeout"])
async def test_connecting_is_cancelled(monkeypatch: pytest.MonkeyPatch, unanswering: int, bound: str) -> None:
    pool = Pool(max_connections=1)
    seen = opened(monkeypatch)
    outgoing = Outgoing(method="GET", url=parse_url(f"http://127.0.0.1:{unanswering}/"), headers=[])
    if bound == "scope":
        with anyio.move_on_after(0.05) as scope:
            await pool.send(outgoing)
        assert scope.cancelled_caught
    else:
        outgoing.connect_timeout = 0.05
        with pytest.raises(InferenceTimeoutError, match="no connection to"):
            await pool.send(outgoing)
    (origin,) = next(iter(pool._loops.values())).origins.values()
    assert (origin.active, [sock.fileno() for sock in seen if sock.fileno() >= 0]) == (0, [])


def test_families_take_turns() -> None:
    six = [racing.Address(socket.AF_INET6, (name,)) for name in "abc"]
    four = [racing.Address(socket.AF_INET, (name,)) for name in "de"]
    assert racing._taking_turns([*six, *four]) == [six[0], four[0], six[1], four[1], six[2]]
    assert racing._taking_turns([*four, six[0]]) == [four[0], six[0], four[1]]


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
async def test_an_ip_address_is_not_looked_up(
    monkeypatch: pytest.MonkeyPatch, host: str, family: socket.AddressFamily
) -> None:
    resolve_to(monkeypatch)
    assert await racing.addresses(host, 80) == [(family, (host, 80))]
