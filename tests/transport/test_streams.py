"""The streams below the pool: back-pressure, ends that nobody polls for, TLS's ends, and racing for an address."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
import trustme
from anyio import BrokenResourceError

from headwater.errors import ConnectError, ConnectionLostError, InferenceTimeoutError
from headwater.protocol.transport import FOREVER, ReadDeadline, TransportRequest
from headwater.protocol.url import parse_url
from headwater.transport import epoll, happy_eyeballs, sockets
from headwater.transport.anyio_streams import AnyioStream
from headwater.transport.connect import sockets_of
from headwater.transport.pool import Pool
from headwater.transport.sockets import Address

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024
AT_ONCE = sockets.READ_BYTES + sockets.TLS_RECORD_BYTES
"""Bytes that one read may bring."""
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
        pytest.skip("trio has no callbacks: nobody looks at a socket that nobody waits for")


async def wait(event: threading.Event) -> None:
    assert await anyio.to_thread.run_sync(event.wait, 20)


@pytest.mark.parametrize("form", ["own", "anyio"])
async def test_each_loop_has_its_own_kind(
    serve: Any, streams: list[Any], echo: Any, read: Any, loop_name: str, form: str, choose_form: Any
) -> None:
    choose_form(form)
    server, pool = serve(echo), Pool()
    await read(await pool.send(server.outgoing()))
    own = "TrioStream" if loop_name == "trio" else "AsyncioStream"
    assert type(streams[-1]).__name__ == (own if form == "own" else "AnyioStream")


@pytest.mark.parametrize("form", ["own", "anyio"])
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
async def test_a_consumer_that_stops_stops_the_server(
    serve: Any, streams: list[Any], contexts: Any, secure: bool, form: str, choose_form: Any
) -> None:
    choose_form(form)
    total, sent, stuck = 32 * MIB, [0], threading.Event()

    def script(peer: Any) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        while sent[0] < total:
            if not select.select([], [peer.sock], [], 1)[1]:
                stuck.set()
            sent[0] += 65536  # before it is sent: who has read the last of it looks at this
            peer.send(b"x" * 65536)
        stuck.set()
        peer.request()

    server, pool = serve(script, contexts[0] if secure else None), Pool(ssl_context=contexts[1])
    answer = await pool.send(server.outgoing())
    got = len(await answer.receive())
    await wait(stuck)
    assert sent[0] <= 8 * MIB
    stream = streams[-1]
    assert isinstance(stream, AnyioStream) == (form == "anyio")
    while piece := await answer.receive():
        got += len(piece)
        assert len(piece) <= AT_ONCE
    assert (got, sent[0], stream.stale()) == (total, total, False)


@pytest.mark.usefixtures("calls_back")
@pytest.mark.parametrize("more", [b"", b"HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n"], ids=["end", "unasked"])
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
async def test_the_loop_itself_says_that_a_connection_is_stale(
    serve: Any, streams: list[Any], read: Any, contexts: Any, monkeypatch: pytest.MonkeyPatch, more: bytes, secure: bool
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
    monkeypatch.setattr(epoll, "prober", lambda descriptor: lambda milliseconds: [])
    stream = streams[-1]
    assert not stream.stale()
    go.set()
    with anyio.fail_after(20):
        while not stream.stale():
            await anyio.sleep(0.001)
    assert (await read(await pool.send(server.outgoing(resend=False))), server.accepted) == (b"ok", 2)
    await wait(gone)


async def test_what_came_while_the_loop_had_no_turn_is_seen(serve: Any, streams: list[Any], read: Any) -> None:
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
    assert streams[-1].stale()


@pytest.mark.parametrize("form", ["own", "anyio"])
@pytest.mark.parametrize("farewell", [False, True])
async def test_the_end_of_a_tls_connection(
    serve: Any, read: Any, contexts: Any, farewell: bool, form: str, choose_form: Any
) -> None:
    choose_form(form)

    def script(peer: Any) -> None:
        peer.request()
        peer.send(CLOSED_BODY)
        if farewell:
            peer.sock.unwrap()

    server, pool = serve(script, contexts[0]), Pool(ssl_context=contexts[1])
    answer = await pool.send(server.outgoing())
    assert await read(answer) == b"hello"


@pytest.mark.usefixtures("calls_back")
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
async def test_data_and_the_end_together(serve: Any, streams: list[Any], contexts: Any, secure: bool) -> None:
    def script(peer: Any) -> None:
        peer.request()
        peer.send(CLOSED_BODY)

    server, pool = serve(script, contexts[0] if secure else None), Pool(ssl_context=contexts[1])
    answer = await pool.send(server.outgoing())
    stream = streams[-1]
    with anyio.fail_after(20):
        while not stream.socket.peer_closed:  # both have come, nobody has read
            await anyio.sleep(0.001)
    body = await answer.receive()
    assert body + await answer.receive() == b"hello"


async def test_data_comes_before_the_loss(kept: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pair, came = Pair(kept), iter([b"one", b"two"])

    def take(_: Any) -> bytes:
        for data in came:
            return data
        raise ConnectionResetError

    monkeypatch.setattr(epoll, "read_available", take)
    with anyio.fail_after(20):
        for data in (b"one", b"two"):
            pair.far.sendall(b"x")
            assert await pair.near.receive() == data
        pair.far.sendall(b"x")
        for _ in range(2):
            with pytest.raises(BrokenResourceError):
                await pair.near.receive()
    pair.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        await pair.near.send(memoryview(b"x"))


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
async def test_a_loss_while_sending_waits(serve: Any, contexts: Any, secure: bool) -> None:
    asked, go = threading.Event(), threading.Event()

    def script(peer: Any) -> None:
        peer.sock.recv(10)
        asked.set()
        assert go.wait(20)
        peer.reset()

    server, pool = serve(script, contexts[0] if secure else None), Pool(ssl_context=contexts[1])
    await lost_while_sending(pool, server, asked, go.set)
    assert pool.counts().open == 0


async def lost_while_sending(pool: Pool, server: Any, asked: threading.Event, lose: Callable[[], object]) -> None:
    """Send more than anybody takes, and lose the connection once that waits, after it was heard."""

    async def ask() -> None:
        with pytest.raises(ConnectionLostError):
            await pool.send(server.outgoing(body=b"x" * 64 * MIB))

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await wait(asked)
        await anyio.wait_all_tasks_blocked()
        lose()


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
async def test_closing_wakes_who_waits_to_send(serve: Any, streams: list[Any], contexts: Any, secure: bool) -> None:
    asked, go = threading.Event(), threading.Event()

    def script(peer: Any) -> None:
        peer.sock.recv(10)
        asked.set()
        assert go.wait(20)

    server, pool = serve(script, contexts[0] if secure else None), Pool(ssl_context=contexts[1])
    await lost_while_sending(pool, server, asked, lambda: streams[-1].close())
    go.set()


# -- many that wait on one event loop


class Pair:
    """A stream and its far side."""

    def __init__(self, kept: Any) -> None:
        near, self.far = socket.socketpair()
        near.setblocking(False)
        self.near = kept.attach(near)

    def close(self) -> None:
        self.near.close()
        self.far.close()


@pytest.fixture
async def kept() -> Any:
    """What waits for sockets in this event loop."""
    found = sockets_of(anyio.lowlevel.current_token().native_token)
    yield found
    assert found is not None and not found.poller.watchers
    found.end()


async def test_each_gets_its_own_whoever_polls(kept: Any) -> None:
    pairs, got = [Pair(kept) for _ in range(20)], dict[int, bytes]()

    async def read(index: int) -> None:
        while piece := await pairs[index].near.receive():
            got[index] = got.get(index, b"") + piece

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            for index in range(20):
                group.start_soon(read, index)
            for _ in range(3):
                for index in (*range(0, 20, 3), *range(1, 20, 3), *range(2, 20, 3)):
                    pairs[index].far.sendall(b"%d " % index)
                    await anyio.sleep(0)
                await anyio.wait_all_tasks_blocked()
            for pair in pairs:
                pair.far.close()
    assert got == {index: b"%d " % index * 3 for index in range(20)}
    for pair in pairs:
        pair.close()


@pytest.mark.parametrize("leaver", [0, 1], ids=["first", "second"])
@pytest.mark.parametrize("way", ["cancelled", "closed"])
async def test_one_that_leaves_stops_nobody_else(kept: Any, leaver: int, way: str) -> None:
    pairs, got, scopes = [Pair(kept) for _ in range(3)], list[Any](), [anyio.CancelScope() for _ in range(3)]

    async def read(index: int) -> None:
        with scopes[index]:
            got.append((index, await pairs[index].near.receive()))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            for index in range(3):
                group.start_soon(read, index)
                await anyio.wait_all_tasks_blocked()
            if way == "closed":
                pairs[leaver].near.close()
            else:
                scopes[leaver].cancel()
            await anyio.wait_all_tasks_blocked()
            stayed = [index for index in range(3) if index != leaver]
            for index in stayed:
                pairs[index].far.sendall(b"x")
    left = [(leaver, b"")] if way == "closed" else []
    assert sorted(got) == sorted([*left, *((index, b"x") for index in stayed)])
    for pair in pairs:
        pair.close()


@pytest.mark.parametrize(
    ("limits", "order"),
    [((0.9, 0.3, 0.6, FOREVER), [1, 2, 0]), ((FOREVER, 0.2, 0.1), [2, 1])],
    ids=["the first has a limit", "the first has none"],
)
async def test_silence_is_told_to_each_at_its_moment(kept: Any, limits: tuple[float, ...], order: list[int]) -> None:
    pairs, ended, moments = [Pair(kept) for _ in limits], list[int](), dict[int, float]()
    begun = anyio.current_time()

    async def read(index: int, seconds: float) -> None:
        assert pairs[index].near.wait_until(begun + seconds)
        with pytest.raises(ReadDeadline):
            await pairs[index].near.receive()
        moments[index] = anyio.current_time()
        assert moments[index] >= begun + seconds
        ended.append(index)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            for index, seconds in enumerate(limits):
                group.start_soon(read, index, seconds)
                await anyio.wait_all_tasks_blocked()
            while len(ended) < len(order):
                await anyio.sleep(0.01)
            told = dict(moments)
            await read(1, anyio.current_time() - begun + 0.1)  # no limit is left, and now there is one again
            group.cancel_scope.cancel()
    assert sorted(ended[:-1]) == sorted(order)
    for first, second in pairwise(order):  # of those whose moments a busy machine has slept through, any may be first
        assert ended.index(first) < ended.index(second) or told[first] >= begun + limits[second]
    for pair in pairs:
        pair.close()


async def test_what_is_not_taken_at_once_is_not_lost(kept: Any) -> None:
    pair = Pair(kept)
    sender = threading.Thread(target=pair.far.sendall, args=(b"x" * MIB,))
    sender.start()
    size = 0
    with anyio.fail_after(20):
        while size < MIB:
            size += len(await pair.near.receive())
            await anyio.sleep(0.0001)
        pair.far.sendall(b"end")
        pair.far.shutdown(socket.SHUT_WR)
        await anyio.sleep(0.01)
        assert (await pair.near.receive(), await pair.near.receive()) == (b"end", b"")
    sender.join()
    pair.close()


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

    monkeypatch.setattr(happy_eyeballs, "look_up", getaddrinfo)


def opened(monkeypatch: pytest.MonkeyPatch) -> list[socket.socket]:
    """Every socket that an attempt opens from here on."""
    seen: list[socket.socket] = []

    def make(*args: Any) -> socket.socket:
        seen.append(socket.socket(*args))
        return seen[-1]

    monkeypatch.setattr(sockets, "socket", SimpleNamespace(**vars(socket) | {"socket": make}))
    return seen


@pytest.mark.parametrize("dead", ["refusing", "unanswering"])
async def test_a_dead_first_address(
    serve: Any, echo: Any, read: Any, monkeypatch: pytest.MonkeyPatch, request: Any, dead: str
) -> None:
    server, pool = serve(echo), Pool()
    resolve_to(monkeypatch, request.getfixturevalue(dead), server.port)
    seen = opened(monkeypatch)
    outgoing = TransportRequest(method="POST", url=parse_url("http://two.example/"), headers=[], body=b"hello")
    assert await read(await pool.send(outgoing)) == b"hello"
    assert [sock.fileno() < 0 for sock in seen[:2]] == [True, False]


async def test_every_address_is_dead(monkeypatch: pytest.MonkeyPatch, refusing: int) -> None:
    pool = Pool()
    resolve_to(monkeypatch, refusing, refusing, 1)
    seen = opened(monkeypatch)
    with pytest.raises(ConnectError, match=r"connection refused by two\.example:80"):
        await pool.send(TransportRequest(method="GET", url=parse_url("http://two.example/"), headers=[]))
    assert [sock.fileno() for sock in seen] == [-1, -1]


async def test_of_two_that_answer_one_is_kept(serve: Any, echo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    both, begun = anyio.Event(), list[Any]()

    waiting: Any = sockets_of(anyio.lowlevel.current_token().native_token)

    async def connect(place: Address, _: float | None) -> Any:
        begun.append(place)
        if len(begun) == 2:
            both.set()
        raw = None
        with anyio.CancelScope(shield=True):  # both come through, whoever wins
            await both.wait()
            raw = await waiting.connect(place)
        return raw  # noqa: RET504 - a scope may swallow an exception, as type checkers know

    server = serve(echo)
    monkeypatch.setattr(happy_eyeballs, "ATTEMPT_DELAY_SECONDS", 0)
    seen = opened(monkeypatch)
    places = [Address(socket.AF_INET, ("127.0.0.1", server.port)) for _ in range(2)]
    with await happy_eyeballs.first_connected(connect, places) as raw:
        assert [sock is raw for sock in seen if sock.fileno() >= 0] == [True]
    assert len(seen) == 2
    waiting.end()


async def test_many_at_once_look_a_host_up_once_and_go_where_it_answered(
    serve: Any, echo: Any, monkeypatch: pytest.MonkeyPatch, refusing: int
) -> None:
    server, looked = serve(echo), list[str]()

    async def getaddrinfo(host: str, *_: Any, **__: Any) -> Any:
        looked.append(host)
        await anyio.sleep(0)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in (refusing, server.port)]

    monkeypatch.setattr(happy_eyeballs, "look_up", getaddrinfo)
    waiting: Any = sockets_of(anyio.lowlevel.current_token().native_token)
    tried = list[Any]()

    async def connect(place: Address, seconds: float | None) -> socket.socket:
        tried.append(place.place[1])
        found: socket.socket = await waiting.connect(place, seconds)
        return found

    async def ask() -> None:
        (await waiting.hosts.connect(connect, "two.example", 80)).close()

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(ask)
    assert looked == ["two.example"]
    tried.clear()
    await ask()
    assert tried == [server.port]
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        await ask()
    monkeypatch.setattr(happy_eyeballs, "LOOK_UP_SECONDS", -1.0)
    waiting.hosts = happy_eyeballs.HostCache()
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            await ask()
    assert len(looked) == 3
    waiting.end()


@pytest.mark.parametrize("bound", ["scope", "timeout"])
async def test_connecting_is_cancelled(monkeypatch: pytest.MonkeyPatch, unanswering: int, bound: str) -> None:
    pool = Pool(max_connections=1)
    seen = opened(monkeypatch)
    outgoing = TransportRequest(method="GET", url=parse_url(f"http://127.0.0.1:{unanswering}/"), headers=[])
    if bound == "scope":
        with anyio.move_on_after(0.05) as scope:
            await pool.send(outgoing)
        assert scope.cancelled_caught
    else:
        outgoing.connect_timeout = 0.05
        with pytest.raises(InferenceTimeoutError, match="no connection to"):
            await pool.send(outgoing)
    assert (pool.counts().active, [sock.fileno() for sock in seen if sock.fileno() >= 0]) == (0, [])


def test_families_take_turns() -> None:
    six = [Address(socket.AF_INET6, (name,)) for name in "abc"]
    four = [Address(socket.AF_INET, (name,)) for name in "de"]
    assert happy_eyeballs.interleaved([*six, *four]) == [six[0], four[0], six[1], four[1], six[2]]
    assert happy_eyeballs.interleaved([*four, six[0]]) == [four[0], six[0], four[1]]


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
async def test_an_ip_address_is_not_looked_up(
    monkeypatch: pytest.MonkeyPatch, host: str, family: socket.AddressFamily
) -> None:
    resolve_to(monkeypatch)
    assert await happy_eyeballs.addresses(host, 80) == [Address(family, (host, 80))]
