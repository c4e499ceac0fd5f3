"""HTTP/2 on the pool: streams share connections, and each is left, cut, slowed down and timed on its own."""

from __future__ import annotations

import gc
import random
import select
import socket
import ssl
import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import anyio
import anyio.to_thread
import pytest
import trustme
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hyperframe.frame import ContinuationFrame, DataFrame, GoAwayFrame, HeadersFrame, PingFrame
from support.drivers import Driver
from support.http2_server import HEAD, Http2Server, ServedStream, pieces
from support.proxy_server import ProxyServer, proxying

from headwater import AsyncInferenceClient, InferenceClient, InferenceTimeoutError, InvalidParameterError, Timeout
from headwater.errors import (
    ConnectError,
    ConnectionLostError,
    InputError,
    ProtocolError,
    ResponseTooLargeError,
    TLSError,
)
from headwater.protocol.transport import ReadDeadline, TransportRequest
from headwater.protocol.url import parse_url
from headwater.testing import cassette
from headwater.transport import connect, http2, sockets, tls
from headwater.transport.http2_pool import Http2Pool
from headwater.transport.pool import Pool
from headwater.transport.proxy import Proxy

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not hasattr(select, "epoll"), reason="without epoll there is no HTTP/2"),
]

MESSAGES = [{"role": "user", "content": "hi"}]
PATIENCE = 20.0
STREAM_WINDOW = 512 * 1024
CHUNK = b'data: {"choices": [{"index": 0, "delta": {"content": "x"}}]}\n\n'
WHOLE = b'{"choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "yes"}}]}'


@pytest.fixture
def serve_http2() -> Iterator[Callable[..., Http2Server]]:
    servers: list[Http2Server] = []

    def start(answer: Any, context: ssl.SSLContext | None = None, **more: Any) -> Http2Server:
        servers.append(Http2Server(answer, context, **more))
        return servers[-1]

    yield start
    gc.collect()
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext, trustme.CA]:
    """A server's that takes HTTP/2, and one that takes HTTP/1.1 alone."""
    authority = trustme.CA()
    both, old = (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for _ in range(2))
    for context, offers in ((both, ["h2", "http/1.1"]), (old, ["http/1.1"])):
        authority.issue_cert("localhost").configure_cert(context)
        context.set_alpn_protocols(offers)
    return both, old, authority


@pytest.fixture(scope="module")
def tls_proxy(contexts: tuple[ssl.SSLContext, ssl.SSLContext, trustme.CA]) -> Iterator[ProxyServer]:
    with proxying(("me", "mys3lf-at-the-proxy"), contexts[1]) as proxy:
        yield proxy


class Way(NamedTuple):
    """What a server and a pool are given."""

    context: ssl.SSLContext | None
    options: dict[str, Any]


@pytest.fixture(params=["plain", "within a proxy's TLS"])
def way(
    request: pytest.FixtureRequest, contexts: tuple[ssl.SSLContext, ssl.SSLContext, trustme.CA], tls_proxy: ProxyServer
) -> Way:
    if request.param == "plain":
        return Way(None, {})
    both, _, authority = contexts
    client = ssl.create_default_context()
    authority.configure_trust(client)
    client.set_alpn_protocols(["h2", "http/1.1"])
    return Way(both, {"proxy": Proxy(tls_proxy.url("https")), "ssl_context": client})


def pool_of(**more: Any) -> tuple[Http2Pool, Pool]:
    own = Pool(**more)
    return Http2Pool(own, prior_knowledge=True), own


def outgoing(server: Http2Server, path: str = "/", method: str = "POST", body: Any = b"hello", **more: Any) -> Any:
    headers = [("X-Test", "1"), ("Authorization", "Bearer of-nobody-at-all")]
    return TransportRequest(method=method, url=parse_url(server.url + path), headers=headers, body=body, **more)


async def read(answer: Any) -> bytes:
    body = b""
    while piece := await answer.receive():
        body += piece
    return body


async def echo(stream: ServedStream) -> None:
    body = await stream.request()
    stream.head(("content-length", str(len(body))))
    await stream.data(body, ended=True)


async def hold(stream: ServedStream) -> None:
    """A head and a piece, and then nothing until the client has left."""
    await stream.request()
    stream.head()
    await stream.data(b"first")
    await stream.gone()


async def until(done: Callable[[], bool]) -> None:
    with anyio.fail_after(PATIENCE):
        while not done():
            await anyio.sleep(0.005)


async def cancelled(call: Callable[..., Any], *args: Any, once: Callable[[], bool]) -> None:
    """Have a call cancelled that waits, once this is so."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call, *args)
        await until(once)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()


# streams and connections


async def test_requests_share_a_connection(serve_http2: Any) -> None:
    server = serve_http2(echo)
    pool, own = pool_of()

    async def ask(number: int) -> None:
        assert await read(await pool.send(outgoing(server, body=b"%d" % number))) == b"%d" % number

    async with anyio.create_task_group() as group:
        for number in range(100):
            group.start_soon(ask, number)
    assert (len(server.connections), server.requests) == (1, 100)
    assert (own.counts().active, own.counts().open, own.counts().idle) == (0, 1, 1)
    await pool.aclose()
    await until(lambda: server.open == 0)


@pytest.mark.parametrize(("limit", "connections"), [(None, 12), (2, 2), (1, 1)])
async def test_who_finds_no_stream_free(serve_http2: Any, limit: int | None, connections: int) -> None:
    """A further connection, where the limits let it; else a turn, in the order in which they came."""
    came: list[bytes] = []
    order: list[bytes] = []

    async def answer(stream: ServedStream) -> None:
        order.append(await stream.request())
        stream.head()
        await stream.data(b"ok", ended=True)

    server = serve_http2(answer, most=1)
    pool, own = pool_of(max_connections=limit)

    async def ask(number: int) -> None:
        came.append(b"%d" % number)
        assert await read(await pool.send(outgoing(server, body=came[-1]))) == b"ok"

    await ask(0)
    async with anyio.create_task_group() as group:
        for number in range(1, 13):
            group.start_soon(ask, number)
    assert 1 < len(server.connections) <= connections or limit == len(server.connections) == 1
    assert limit != 1 or order == came
    assert (own.counts().active, own.counts().waiting) == (0, 0)


@pytest.mark.parametrize("apart", [False, True], ids=["in one piece", "in two"])
async def test_a_server_that_says_a_hundred_and_then_one(serve_http2: Any, apart: bool) -> None:
    """As libraries do that begin with their own settings. However often it does, nobody loses his turn."""
    came: list[bytes] = []
    order: list[bytes] = []

    async def answer(stream: ServedStream) -> None:
        order.append(await stream.request())
        settings(stream.connection)
        stream.head()
        await stream.data(b"ok", ended=True)

    def settings(connection: Any) -> None:
        connection.h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 100})
        said = connection.h2.data_to_send()
        if apart:  # nothing that anybody knows, and more than one read takes
            said += 5 * (b"\0\x3f\xff" + b"\xfa\0" + b"\0\0\0\0" + bytes(0x3FFF))
        connection.h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 1})
        connection.transport.write(said + connection.h2.data_to_send())

    server = serve_http2(answer, most=1)
    pool, own = pool_of(max_connections=1)

    async def ask(number: int) -> None:
        came.append(b"%d" % number)
        assert await read(await pool.send(outgoing(server, body=came[-1]))) == b"ok"

    async with anyio.create_task_group() as group:
        for number in range(24):
            group.start_soon(ask, number)
    assert sorted(order) == sorted(came)
    assert apart or order == came
    assert (len(server.connections), own.counts().active, own.counts().waiting) == (1, 0, 0)


async def test_settings_say_how_many(serve_http2: Any) -> None:
    """A server that takes more, or fewer, is believed; one that takes none is waited for, and not asked again."""
    server = serve_http2(hold, most=2)
    pool, own = pool_of(max_connections=1)
    answers: list[Any] = []

    async def ask() -> None:
        answers.append(await pool.send(outgoing(server)))

    def most(number: int) -> None:
        (connection,) = server.connections
        connection.h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: number})
        connection.flush()

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(ask)
        await until(lambda: len(answers) == 2)
        await anyio.wait_all_tasks_blocked()
        assert (own.counts().waiting, server.requests) == (3, 2)
        server.call(lambda: most(4))
        await until(lambda: len(answers) == 4)
        server.call(lambda: most(0))
        await until(lambda: server.connections[0].h2.local_settings.max_concurrent_streams == 0)
        await answers.pop().aclose()
        await until(lambda: len(server.resets) == 1)
        await anyio.wait_all_tasks_blocked()
        assert (own.counts().waiting, server.requests) == (1, 4)
        server.call(lambda: most(100))
        await until(lambda: len(answers) == 4)
    for answer in answers:
        await answer.aclose()
    assert len(server.connections) == 1


async def test_a_server_that_takes_no_streams_is_not_waited_for_any_longer_than_for_a_connection(
    serve_http2: Any,
) -> None:
    server = serve_http2(hold)
    pool, own = pool_of(max_connections=1)

    def none() -> None:
        (connection,) = server.connections
        connection.h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 0})
        connection.flush()

    async def ask() -> None:
        with pytest.raises(InferenceTimeoutError, match="takes no requests") as caught:
            await pool.send(outgoing(server, connect_timeout=0.05))
        assert caught.value.phase == "connect"

    async def go_on() -> None:
        with pytest.raises(ConnectionLostError):
            await first.receive()

    first = await pool.send(outgoing(server))
    assert await first.receive() == b"first"
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(go_on)
            server.call(none)
            await until(lambda: server.connections[0].h2.local_settings.max_concurrent_streams == 0)
            group.start_soon(ask)  # for its turn at first
            await anyio.wait_all_tasks_blocked()
            assert own.counts().waiting == 1
            await first.aclose()
        await ask()
    assert (len(server.connections), own.counts().active, own.counts().waiting) == (1, 0, 0)


@pytest.mark.parametrize("limits", [{}, {"max_idle": 0}], ids=["closed by the client", "too many"])
async def test_an_idle_connection_is_closed_that_somebody_waits_for(serve_http2: Any, limits: dict[str, int]) -> None:
    """Its server takes no streams for now: for who waits another one is made."""
    server = serve_http2(hold, most=1)
    pool, own = pool_of(**limits)

    def none() -> None:
        (connection,) = server.connections
        connection.h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 0})
        connection.flush()

    async def ask() -> None:
        answer = await pool.send(outgoing(server))
        await answer.aclose()

    first = await pool.send(outgoing(server))
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(first.receive)
            await anyio.wait_all_tasks_blocked()
            server.call(none)
            group.start_soon(ask)
            await until(lambda: server.connections[0].h2.local_settings.max_concurrent_streams == 0)
            await anyio.wait_all_tasks_blocked()
            await first.aclose()
            if not limits:
                await anyio.wait_all_tasks_blocked()
                await pool.aclose()
    assert (len(server.connections), own.counts().active, own.counts().waiting) == (2, 0, 0)


async def test_a_server_that_ends_and_cannot_be_reached(serve_http2: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that goes on is no connection to wait for: the failure is everybody's."""
    from headwater.transport import http2_pool

    async def fail(*_: Any) -> Any:
        await anyio.wait_all_tasks_blocked()
        raise ConnectError("refused")

    async def ask() -> None:
        with pytest.raises(ConnectError, match="refused"):
            await pool.send(outgoing(server))

    server = serve_http2(hold, most=1)
    pool, own = pool_of()
    first = await pool.send(outgoing(server))
    monkeypatch.setattr(http2_pool, "dial", fail)
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as reading:
            reading.start_soon(read, first)
            server.call(lambda: server.connections[0].raw(GoAwayFrame(0, last_stream_id=1).serialize()))
            async with anyio.create_task_group() as group:
                for _ in range(5):
                    group.start_soon(ask)
            reading.cancel_scope.cancel()
    assert (own.counts().active, own.counts().waiting) == (0, 0)


async def test_who_waits_when_the_connection_is_lost(serve_http2: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """From then on each waits no longer than for a first connection, however long another one takes to connect."""
    from headwater.transport import http2_pool

    async def hang(*_: Any) -> Any:
        await anyio.sleep_forever()

    async def lose() -> None:
        with pytest.raises(ConnectionLostError):
            await read(first)

    async def ask(seconds: float | None) -> None:
        with pytest.raises(InferenceTimeoutError):
            await pool.send(outgoing(server, connect_timeout=seconds))
        late.append(seconds)

    server = serve_http2(hold, most=1)
    pool, own = pool_of(max_connections=1)
    first = await pool.send(outgoing(server))
    late: list[float | None] = []
    monkeypatch.setattr(http2_pool, "dial", hang)
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(lose)
            for seconds in (None, 0.05, 0.05, 0.05):
                group.start_soon(ask, seconds)
                await anyio.wait_all_tasks_blocked()
            server.call(server.connections[0].transport.abort)
            await until(lambda: len(late) == 3)
            group.cancel_scope.cancel()
    assert (own.counts().active, own.counts().waiting) == (0, 0)


async def test_an_ending_connection_is_all_that_there_may_be(serve_http2: Any) -> None:
    """Who waits then waits for his turn, which has no limit of its own."""
    server = serve_http2(hold)
    pool, own = pool_of(max_connections=1)
    first = await pool.send(outgoing(server))

    async def ask() -> None:
        answer = await pool.send(outgoing(server, connect_timeout=0.05))
        await answer.aclose()

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            reading = anyio.CancelScope()

            async def reads() -> None:
                with reading:
                    await read(first)

            group.start_soon(reads)
            server.call(lambda: server.connections[0].raw(GoAwayFrame(0, last_stream_id=1).serialize()))
            for _ in range(3):
                group.start_soon(ask)
            await until(lambda: own.counts().waiting == 3)
            await anyio.sleep(0.1)  # longer than any of them would wait for a connection to be made
            assert own.counts().waiting == 3
            reading.cancel()
    assert (len(server.connections), own.counts().active, own.counts().waiting) == (2, 0, 0)


@pytest.mark.parametrize("most", [1, 3])
async def test_a_server_that_ends_after_each_answer(serve_http2: Any, most: int) -> None:
    """Whose place has gone before anything was sent in it has another one, however often that is."""

    async def answer(stream: ServedStream) -> None:
        await echo(stream)
        stream.connection.raw(GoAwayFrame(0, last_stream_id=2**31 - 1).serialize())

    async def ask() -> None:
        assert await read(await pool.send(outgoing(server))) == b"hello"

    server = serve_http2(answer, most=most)
    pool, own = pool_of(max_connections=2)
    async with anyio.create_task_group() as group:
        for _ in range(60):
            group.start_soon(ask)
    assert (server.requests, own.counts().active, own.counts().waiting) == (60, 0, 0)


async def test_what_comes_in_the_middle_of_a_read(serve_http2: Any) -> None:
    """A stream's end hands its place over before the rest of what came with it is taken."""

    async def answer(stream: ServedStream) -> None:
        await stream.request()
        stream.head()
        h2 = stream.connection.h2
        h2.send_data(stream.id, b"ok", end_stream=True)
        more = 9 * (b"\0\x3f\xff" + b"\xfa\0" + b"\0\0\0\0" + bytes(0x3FFF))  # more than one read takes
        h2_said = h2.data_to_send() + more
        h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 1})
        stream.connection.transport.write(h2_said + h2.data_to_send())

    async def ask() -> None:
        assert await read(await pool.send(outgoing(server))) == b"ok"

    server = serve_http2(answer, most=1)
    pool, own = pool_of(max_connections=1)
    async with anyio.create_task_group() as group:
        for _ in range(24):
            group.start_soon(ask)
    assert (len(server.connections), own.counts().active, own.counts().waiting) == (1, 0, 0)


async def test_what_came_before_a_reset_in_one_read(serve_http2: Any) -> None:
    """That nothing can be sent any more is found in the middle of what has come: the rest of it is read as it came."""

    async def answer(stream: ServedStream) -> None:
        await stream.request()
        stream.head()
        h2 = stream.connection.h2
        h2.send_data(stream.id, b"x" * 1000, pad_length=200)  # padding is given back at once
        h2.send_data(stream.id, b"y" * 1000, pad_length=200, end_stream=True)
        transport = stream.connection.transport
        transport.write(h2.data_to_send())
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.close()

    server = serve_http2(answer)
    pool, _ = pool_of()
    for _ in range(5):
        assert await read(await pool.send(outgoing(server))) == b"x" * 1000 + b"y" * 1000


async def test_what_came_before_a_reset_is_read_in_turns(serve_http2: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """That nothing can be sent any more is found when more has come than is read at once."""
    monkeypatch.setattr(http2, "READS_AT_ONCE", 1)
    monkeypatch.setattr(sockets, "READ_BYTES", 1000)
    server = serve_http2(lambda stream: stream.gone())
    pool, own = pool_of()
    bodies: list[bytes] = []

    async def ask() -> None:
        bodies.append(await read(await pool.send(outgoing(server))))

    def answer_and_reset() -> None:
        (connection,) = server.connections
        for number in connection.streams:
            connection.h2.send_headers(number, HEAD)
            connection.h2.send_data(number, b"x" * 10_000, end_stream=True)
        transport = connection.transport
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.flush()
        transport.abort()
        server.loop.call_soon(closed.set)

    closed = threading.Event()
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(ask)
        await until(lambda: server.requests == 3)
        server.call(answer_and_reset)
        assert closed.wait(PATIENCE)  # nobody reads meanwhile
        with pytest.raises(ConnectionLostError):
            await pool.send(outgoing(server))
    assert (bodies, own.counts().open) == ([b"x" * 10_000] * 3, 0)


async def test_a_cancelled_waiter_passes_its_place_on(serve_http2: Any) -> None:
    server = serve_http2(hold, most=1)
    pool, own = pool_of(max_connections=1)
    first = await pool.send(outgoing(server))
    done: list[str] = []

    async def ask(name: str, scope: anyio.CancelScope) -> None:
        with scope:
            answer = await pool.send(outgoing(server))
            done.append(name)
            await answer.aclose()

    scopes = [anyio.CancelScope() for _ in range(3)]
    async with anyio.create_task_group() as group:
        for name, scope in zip("abc", scopes, strict=True):
            group.start_soon(ask, name, scope)
            await anyio.wait_all_tasks_blocked()
        scopes[1].cancel()  # while waiting
        await anyio.wait_all_tasks_blocked()
        closing = first.aclose()
        with pytest.raises(StopIteration):
            closing.send(None)
        scopes[0].cancel()  # just as it was handed the place
    assert (done, own.counts().active, own.counts().waiting) == (["c"], 0, 0)


async def test_who_connects_is_cancelled(serve_http2: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one of those who wait connects."""
    from headwater.transport import http2_pool

    server = serve_http2(echo)
    pool, own = pool_of()
    dial, asked = connect.dial, anyio.Event()

    async def slowly(*where: Any) -> Any:
        if not asked.is_set():
            asked.set()
            await anyio.sleep_forever()
        return await dial(*where)

    monkeypatch.setattr(http2_pool, "dial", slowly)
    bodies: list[bytes] = []

    async def ask() -> None:
        bodies.append(await read(await pool.send(outgoing(server))))

    async with anyio.create_task_group() as group, anyio.create_task_group() as first:
        first.start_soon(ask)
        await asked.wait()
        for _ in range(5):
            group.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        first.cancel_scope.cancel()
    assert (bodies, len(server.connections), own.counts().active) == ([b"hello"] * 5, 1, 0)


async def test_a_connection_that_fails_is_everybodys(serve_http2: Any) -> None:
    server = serve_http2(echo)
    asked = outgoing(server)
    server.stop()
    pool, own = pool_of()
    failed: list[str] = []

    async def ask() -> None:
        with pytest.raises(ConnectError, match="connection refused") as caught:
            await pool.send(asked)
        failed.append(type(caught.value).__name__)

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(ask)
    assert (len(failed), own.counts().active, own.counts().waiting) == (20, 0, 0)


# what is left


async def test_a_stream_that_is_left_is_reset(serve_http2: Any) -> None:
    server = serve_http2(hold)
    pool, own = pool_of()
    answer, other = [await pool.send(outgoing(server)) for _ in range(2)]
    assert await answer.receive() == b"first"
    await answer.aclose()
    await answer.aclose()
    await until(lambda: server.resets == [ErrorCodes.CANCEL])
    with pytest.raises(ConnectionLostError, match="closed before its end"):
        await answer.receive()
    assert await other.receive() == b"first"
    await other.aclose()
    assert (own.counts().active, own.counts().open, server.open) == (0, 1, 1)


@pytest.mark.crowd
async def test_thousands_of_left_streams_cost_no_window(serve_http2: Any, way: Way) -> None:
    """30 MB for nobody, of which the connection's window is a part: what is late is given back."""

    async def flood(stream: ServedStream) -> None:
        await stream.request()
        stream.head()
        if stream.headers[":path"] == "/whole":
            await stream.data(b"y" * 300_000, ended=True)
        await stream.data(b"x" * 30_000)
        await stream.gone()

    server = serve_http2(flood, way.context)
    pool, own = pool_of(max_connections=1, **way.options)

    async def leave() -> None:
        answer = await pool.send(outgoing(server))
        if server.requests % 2:
            await answer.receive()
        await answer.aclose()

    for _ in range(20):
        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(leave)
    assert len(await read(await pool.send(outgoing(server, "/whole")))) == 300_000
    await until(lambda: len(server.resets) == 1000)
    assert (set(server.resets), len(server.connections)) == ({ErrorCodes.CANCEL}, 1)
    assert (own.counts().active, own.counts().idle) == (0, 1)


@pytest.mark.crowd
async def test_a_storm_of_cancels(serve_http2: Any, way: Way) -> None:
    """At any moment, once or twice: no place is lost, and nobody else's call fails."""

    async def slowly(stream: ServedStream) -> None:
        body = await stream.request()
        stream.head()
        for start in range(0, len(body), 2000):
            await stream.data(body[start : start + 2000])
        await stream.data(b"", ended=True)

    server = serve_http2(slowly, way.context, most=7)
    pool, own = pool_of(max_connections=3, **way.options)
    dice = random.Random(7)
    whole = 0

    async def ask(scope: anyio.CancelScope | None, size: int) -> None:
        nonlocal whole
        with scope or anyio.CancelScope():
            assert len(await read(await pool.send(outgoing(server, body=b"z" * size)))) == size
            whole += 1

    for _ in range(12):
        async with anyio.create_task_group() as group:
            scopes = [anyio.CancelScope() for _ in range(40)]
            for scope in scopes:
                group.start_soon(ask, scope, dice.choice((1, 2000, 100_000, 7)))
            for _ in range(3):
                group.start_soon(ask, None, 1000)
            for scope in dice.sample(scopes, 36):
                for _ in range(dice.choice((1, 2))):
                    scope.cancel()
                    if dice.random() < 0.5:
                        await anyio.sleep(dice.random() * 0.002)
    assert whole >= 12 * 3
    left = own.counts()
    assert (left.active, left.waiting) == (0, 0)
    assert left.open == left.idle <= 3
    async with anyio.create_task_group() as group:
        for _ in range(21):
            group.start_soon(ask, None, 1000)
    assert own.counts().active == 0


async def test_a_drop_from_anywhere(serve_http2: Any) -> None:
    server = serve_http2(hold, most=1)
    pool, own = pool_of(max_connections=1)
    answer = await pool.send(outgoing(server))
    async with anyio.create_task_group() as group:

        async def next_one() -> None:
            await (await pool.send(outgoing(server))).aclose()

        group.start_soon(next_one)
        await anyio.wait_all_tasks_blocked()
        await anyio.to_thread.run_sync(answer.drop)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        await pool.send(outgoing(server))
        gc.collect()
    assert ["neither read whole nor closed" in str(warning.message) for warning in seen] == [True]
    await until(lambda: own.counts().active == 0)
    await until(lambda: len(server.resets) == 3)


def test_nothing_needs_closing(serve_http2: Any, backend: dict[str, Any]) -> None:
    server = serve_http2(hold)
    pool, own = pool_of()
    kept: list[Any] = []

    async def main() -> None:
        kept.append(await pool.send(outgoing(server)))
        assert server.open == 1

    anyio.run(main, **backend)
    kept[0].drop()
    limit = threading.Event()
    for _ in range(1000):
        if server.open:
            limit.wait(0.01)
    assert (server.open, own.counts().loops) == (0, 0)


async def test_a_lost_pool_lets_its_answers_end(serve_http2: Any) -> None:
    go = threading.Event()

    async def answer(stream: ServedStream) -> None:
        await stream.request()
        stream.head()
        await stream.data(b"hello")
        while not go.is_set():
            await anyio.sleep(0.01)
        await stream.data(b"world", ended=True)

    server = serve_http2(answer)
    answer_of_lost = await pool_of()[0].send(outgoing(server))
    gc.collect()
    go.set()
    assert await read(answer_of_lost) == b"helloworld"
    await until(lambda: server.open == 0)


# what the server says


async def test_a_slow_reader_holds_up_nobody(serve_http2: Any, way: Way) -> None:
    sent: dict[str, int] = {}

    async def flood(stream: ServedStream) -> None:
        path = stream.headers[":path"]
        stream.head()
        for number in range(200):
            sent[path] = number
            await stream.data(b"%05d" % number * 2000)
        await stream.data(b"", ended=True)

    server = serve_http2(flood, way.context)
    pool, _ = pool_of(**way.options)
    slow = await pool.send(outgoing(server, "/slow"))
    for _ in range(3):
        assert len(await read(await pool.send(outgoing(server, "/fast")))) == 2_000_000
    stopped = sent["/slow"]
    assert stopped * 10_000 <= STREAM_WINDOW + 10_000
    body = await read(slow)
    assert body == b"".join(b"%05d" % number * 2000 for number in range(200))
    assert len(server.connections) == 1


async def test_goaway(serve_http2: Any, way: Way) -> None:
    """Streams that the server has taken go on; those after the last are sent again; nothing new goes there."""
    asked: list[bytes] = []

    async def answer(stream: ServedStream) -> None:
        body = await stream.request()
        asked.append(body)
        if body == b"first":
            stream.head()
            await stream.data(b"half")
            while not go.is_set():
                await anyio.sleep(0.01)
            await stream.data(b"whole", ended=True)
        elif len(server.connections) == 1:
            stream.connection.raw(GoAwayFrame(0, last_stream_id=1, error_code=0).serialize())
        else:
            await echo_body(stream, body)

    async def echo_body(stream: ServedStream, body: bytes) -> None:
        stream.head()
        await stream.data(body, ended=True)

    go = threading.Event()
    server: Http2Server = serve_http2(answer, way.context)
    pool, own = pool_of(**way.options)
    first = await pool.send(outgoing(server, body=b"first"))
    assert await first.receive() == b"half"
    second = await pool.send(outgoing(server, body=b"second", resend=False))
    assert await read(second) == b"second"
    go.set()
    assert await read(first) == b"whole"
    assert asked == [b"first", b"second", b"second"]
    assert (len(server.connections), own.counts().active, own.counts().open) == (2, 0, 1)


async def test_a_goaway_that_asks_for_calm(serve_http2: Any) -> None:
    async def answer(stream: ServedStream) -> None:
        stream.connection.raw(GoAwayFrame(0, last_stream_id=0, error_code=ErrorCodes.ENHANCE_YOUR_CALM).serialize())

    server = serve_http2(answer)
    pool, own = pool_of()
    with pytest.raises(ConnectionLostError, match="ENHANCE_YOUR_CALM") as caught:
        await pool.send(outgoing(server))
    assert (caught.value.sent, caught.value.retryable, server.requests, own.counts().active) == (False, True, 1, 0)


@pytest.mark.parametrize("times", [1, 100])
async def test_a_refused_stream_goes_out_again(serve_http2: Any, times: int) -> None:
    async def answer(stream: ServedStream) -> None:
        if server.requests <= times:
            stream.reset(ErrorCodes.REFUSED_STREAM)
        else:
            await echo(stream)

    server: Http2Server = serve_http2(answer)
    pool, own = pool_of()
    if times == 1:
        assert await read(await pool.send(outgoing(server, resend=False))) == b"hello"
        assert server.requests == 2
    else:
        with pytest.raises(ConnectionLostError, match="REFUSED_STREAM") as caught:
            await pool.send(outgoing(server))
        assert (caught.value.sent, server.requests) == (False, 4)
    assert (len(server.connections), own.counts().active) == (1, 0)


async def test_a_reset_stream(serve_http2: Any) -> None:
    """Before the answer and in the middle of it; the others go on."""

    async def answer(stream: ServedStream) -> None:
        await stream.request()
        if stream.headers[":path"] == "/half":
            stream.head()
            await stream.data(b"half")
        if stream.headers[":path"] != "/":
            stream.reset(ErrorCodes.INTERNAL_ERROR)
        else:
            await echo(stream)

    server = serve_http2(answer)
    pool, _ = pool_of()
    with pytest.raises(ConnectionLostError, match=r"INTERNAL_ERROR\) before") as caught:
        await pool.send(outgoing(server, "/none"))
    assert caught.value.sent
    half = await pool.send(outgoing(server, "/half"))
    assert await half.receive() == b"half"
    for _ in range(2):
        with pytest.raises(ConnectionLostError, match=r"INTERNAL_ERROR\) in the middle"):
            await half.receive()
    assert await read(await pool.send(outgoing(server))) == b"hello"
    assert len(server.connections) == 1


@pytest.mark.parametrize("how", ["goaway", "close"])
async def test_an_idle_connection_that_has_ended_is_not_used(serve_http2: Any, how: str) -> None:
    server = serve_http2(echo)
    pool, _ = pool_of()
    for number in range(3):
        assert await read(await pool.send(outgoing(server, resend=False))) == b"hello"
        assert len(server.connections) == number + 1
        connection = server.connections[-1]
        frame = GoAwayFrame(0, last_stream_id=2**31 - 1).serialize()
        server.call(lambda c=connection, f=frame: c.raw(f) if how == "goaway" else c.transport.close())
        if how == "close":
            await until(lambda: server.open == 0)


async def test_a_kept_connection_that_closes_on_the_request(serve_http2: Any) -> None:
    async def answer(stream: ServedStream) -> None:
        await stream.request()
        if stream.id == 3:
            stream.connection.transport.abort()
        else:
            await echo(stream)

    server = serve_http2(answer)
    pool, _ = pool_of()
    for _ in range(2):
        assert await read(await pool.send(outgoing(server))) == b"hello"
    assert len(server.connections) == 2
    with pytest.raises(ConnectionLostError, match="before the answer"):
        await pool.send(outgoing(server, resend=False))


async def test_pings_and_settings_are_answered(serve_http2: Any) -> None:
    """Also those that came while nobody waited for anything."""
    server = serve_http2(echo)
    pool, _ = pool_of()
    await read(await pool.send(outgoing(server)))
    (connection,) = server.connections

    def ping() -> None:
        connection.h2.ping(b"12345678")
        connection.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 100_000})
        connection.flush()

    server.call(ping)
    assert await read(await pool.send(outgoing(server, body=b"y" * 90_000))) == b"y" * 90_000
    assert connection.h2.local_settings.initial_window_size == 100_000


@pytest.mark.parametrize("last", [None, 0, 1], ids=["a reset", "a GOAWAY", "a GOAWAY after it"])
async def test_http11_is_required(serve_http2: Any, last: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(stream: ServedStream) -> None:
        if last is None:
            stream.reset(ErrorCodes.HTTP_1_1_REQUIRED)
        else:
            said = GoAwayFrame(0, last_stream_id=last, error_code=ErrorCodes.HTTP_1_1_REQUIRED)
            stream.connection.raw(said.serialize())

    server = serve_http2(answer)
    pool, own = pool_of()
    taken: list[TransportRequest] = []

    async def send(request: TransportRequest) -> Any:
        taken.append(request)
        raise ConnectError("taken")

    monkeypatch.setattr(own, "send", send)
    for _ in range(2):
        with pytest.raises(ConnectError, match="taken"):
            await pool.send(outgoing(server, resend=False))
    assert (server.requests, len(taken)) == (1, 2)


@pytest.mark.parametrize("body", [b"", b"x" * 300_000, pieces], ids=["none", "large", "in pieces"])
async def test_a_head_that_does_not_come_in_time(serve_http2: Any, body: Any) -> None:
    async def answer(stream: ServedStream) -> None:
        await stream.request()
        await stream.gone()

    server = serve_http2(answer)
    pool, own = pool_of()
    with anyio.fail_after(PATIENCE), pytest.raises(ReadDeadline):
        await pool.send(outgoing(server, body=body(b"a", b"b") if body is pieces else body, read_timeout=0.05))
    await until(lambda: server.resets == [ErrorCodes.CANCEL])
    assert own.counts().active == 0


# heads and bodies


async def test_interim_heads_and_trailers(serve_http2: Any) -> None:
    async def answer(stream: ServedStream) -> None:
        for _ in range(int(stream.headers[":path"][1:])):
            stream.head(("x-early", "1"), status=103)
        stream.head(("x-odd", "a"), ("x-odd", " b "), ("connection", "keep-alive"), status=201)
        await stream.data(b"ok", padding=200)
        await stream.data(b"", padding=255)
        stream.trailers(("x-sum", "1"))

    server = serve_http2(answer)
    pool, _ = pool_of()
    answered = await pool.send(outgoing(server, "/16", "GET", b""))
    assert (answered.status, answered.headers, await read(answered)) == (201, {"x-odd": "a, b"}, b"ok")
    with pytest.raises(ResponseTooLargeError, match="over 16 interim answers"):
        await pool.send(outgoing(server, "/17"))
    assert len(server.connections) == 1


async def test_answers_without_a_body(serve_http2: Any) -> None:
    async def answer(stream: ServedStream) -> None:
        status = {"HEAD": 200, "GET": 304, "POST": 204}[stream.headers[":method"]]
        stream.head(("content-length", "7"), status=status, ended=True)

    server = serve_http2(answer)
    pool, _ = pool_of()
    for method, status in (("POST", 204), ("GET", 304), ("HEAD", 200)):
        answered = await pool.send(outgoing(server, method=method, body=b""))
        assert (answered.status, answered.ready(), await read(answered)) == (status, True, b"")


async def test_what_is_wrong_with_one_answer_is_its_own_affair(serve_http2: Any) -> None:
    async def answer(stream: ServedStream) -> None:
        path = stream.headers[":path"]
        await stream.request()
        if path == "/short":
            stream.head(("content-length", "10"))
            await stream.data(b"short", ended=True)
        elif path == "/long":
            stream.head(("content-length", "5"))
            await stream.data(b"hello")
            await stream.data(b" world", ended=True)
        elif path == "/none":
            stream.head(("content-length", "5"), ended=True)
        elif path == "/twice":
            stream.head(("content-length", "5"), ("content-length", "6"))
        elif path == "/status":
            stream.head(status=99)
        else:
            await hold(stream)

    server = serve_http2(answer)
    pool, own = pool_of()
    other = await pool.send(outgoing(server))
    for path, error in (
        ("/short", ConnectionLostError),
        ("/long", ProtocolError),
        ("/none", ConnectionLostError),
        ("/twice", ProtocolError),
        ("/status", ProtocolError),
    ):
        with pytest.raises((ConnectionLostError, ProtocolError)) as caught:
            await read(await pool.send(outgoing(server, path)))
        assert isinstance(caught.value, error), path
    assert await other.receive() == b"first"
    await other.aclose()
    assert (len(server.connections), own.counts().active) == (1, 0)


def bombs() -> dict[str, Callable[[ServedStream], bytes]]:
    def endless(stream: ServedStream) -> bytes:
        more = [ContinuationFrame(stream.id, data=b"\x00\x01a\x7f\x80\x7d" + b"b" * 252).serialize()] * 3000
        return HeadersFrame(stream.id, data=b"\x88").serialize() + b"".join(more)

    def many(stream: ServedStream) -> bytes:
        more = [ContinuationFrame(stream.id, data=b"").serialize()] * 30_000
        return HeadersFrame(stream.id, data=b"\x88").serialize() + b"".join(more)

    def expanding(stream: ServedStream) -> bytes:
        large = b"\x40\x01a\x7f\xa1\x1e" + b"b" * 4000  # into the table, and then by its number
        return HeadersFrame(stream.id, data=b"\x88" + large + b"\xbe" * 10_000, flags=["END_HEADERS"]).serialize()

    def garbage(stream: ServedStream) -> bytes:
        return HeadersFrame(stream.id, data=b"\xff" * 50, flags=["END_HEADERS"]).serialize()

    return {
        "endless": endless,
        "many": many,
        "expanding": expanding,
        "garbage": garbage,
        "between": lambda stream: HeadersFrame(stream.id, data=b"\x88").serialize() + PingFrame(0).serialize(),
        "alone": lambda stream: ContinuationFrame(stream.id, data=b"\x88", flags=["END_HEADERS"]).serialize(),
        "pings": lambda _: PingFrame(0, opaque_data=b"12345678").serialize() * 12_000,
        "empty": lambda stream: (
            HeadersFrame(stream.id, data=b"\x88", flags=["END_HEADERS"]).serialize()
            + DataFrame(stream.id).serialize() * 12_000
        ),
        "large": lambda _: b"\x10\x00\x00\x00\x00\x00\x00\x00\x01",
        "text": lambda _: b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    }


@pytest.mark.dealt
@pytest.mark.parametrize("bomb", bombs())
async def test_what_no_server_may_send(serve_http2: Any, bomb: str) -> None:
    """A typed error, soon, and without a lot of memory; the next call has a new connection."""

    async def answer(stream: ServedStream) -> None:
        if stream.headers[":path"] == "/":
            await echo(stream)
        else:
            stream.connection.raw(bombs()[bomb](stream))
            await stream.gone()

    server = serve_http2(answer)
    pool, own = pool_of()
    with pytest.raises((ResponseTooLargeError, ProtocolError)), anyio.fail_after(PATIENCE):
        await read(await pool.send(outgoing(server, "/bomb")))
    assert (own.counts().active, own.counts().open) == (0, 0)
    assert await read(await pool.send(outgoing(server))) == b"hello"


async def test_headers_that_are_too_long_end_one_stream(serve_http2: Any) -> None:
    async def answer(stream: ServedStream) -> None:
        if stream.headers[":path"] == "/long":
            stream.head(*[(f"x-{number}", "y" * 1000) for number in range(110)])
            await stream.gone()
        await echo(stream)

    server = serve_http2(answer)
    pool, _ = pool_of()
    with pytest.raises(ResponseTooLargeError):
        await pool.send(outgoing(server, "/long"))
    assert await read(await pool.send(outgoing(server))) == b"hello"
    assert len(server.connections) == 1


async def test_what_cannot_be_sent(serve_http2: Any) -> None:
    server = serve_http2(echo)
    pool, own = pool_of()
    for value in ("a\r\nb", "a\0b", "a\u0416"):
        asked = outgoing(server)
        asked.headers = [("Authorization", value)]
        with pytest.raises(InvalidParameterError) as caught:
            await pool.send(asked)
        assert value not in str(caught.value)
    assert own.counts().active == 0


# uploads


async def test_a_large_body_obeys_the_windows(serve_http2: Any) -> None:
    server = serve_http2(echo, settings={SettingCodes.INITIAL_WINDOW_SIZE: 20_000})
    pool, _ = pool_of()
    large = random.Random(3).randbytes(700_000)
    assert await read(await pool.send(outgoing(server, body=large))) == large
    assert await read(await pool.send(outgoing(server, body=pieces(b"hel", b"", b"lo"), length=5))) == b"hello"
    assert await read(await pool.send(outgoing(server, body=pieces(large[:300_000], large[300_000:])))) == large
    assert len(server.connections) == 1


async def test_a_body_that_nobody_takes(serve_http2: Any) -> None:
    """It waits, can be cancelled, and holds up no other stream that has room left."""
    server = serve_http2(echo, reads=False)
    pool, own = pool_of()
    await cancelled(pool.send, outgoing(server, body=b"x" * 1_000_000), once=lambda: server.requests == 1)
    assert await read(await pool.send(outgoing(server, method="GET", body=b""))) == b""
    assert (server.resets, own.counts().active, len(server.connections)) == ([ErrorCodes.CANCEL], 0, 1)


@pytest.mark.parametrize("length", [3, 9])
async def test_bodies_of_another_length(serve_http2: Any, length: int) -> None:
    server = serve_http2(hold)
    pool, own = pool_of()
    with pytest.raises(InputError):
        await pool.send(outgoing(server, body=pieces(b"hel", b"lo"), length=length))
    assert own.counts().active == 0


@pytest.mark.parametrize("made", [lambda: b"x" * 5_000_000, lambda: pieces(*[b"x" * 50_000] * 100)])
async def test_a_refusal_before_the_body_was_read(serve_http2: Any, made: Callable[[], Any]) -> None:
    async def answer(stream: ServedStream) -> None:
        stream.head(status=413)
        await stream.data(b"too large", ended=True)

    server = serve_http2(answer, reads=False)
    pool, own = pool_of()
    answered = await pool.send(outgoing(server, body=made()))
    assert (answered.status, await read(answered)) == (413, b"too large")
    await until(lambda: server.resets == [ErrorCodes.CANCEL])
    assert (own.counts().active, own.counts().idle) == (0, 1)


# time


async def test_reads_are_timed_and_can_be_cancelled(serve_http2: Any) -> None:
    server = serve_http2(hold)
    pool, _ = pool_of()
    answer: Any = await pool.send(outgoing(server))
    answer.kept = True
    assert await answer.receive() == b"first"
    for _ in range(3):
        with anyio.move_on_after(0.01):
            await answer.receive()
    assert server.resets == []
    assert answer.wait_until(anyio.current_time() + 0.05)
    with pytest.raises(ReadDeadline):
        await answer.receive()
    await answer.aclose()
    await until(lambda: server.resets == [ErrorCodes.CANCEL])


async def test_a_request_whose_wait_is_cancelled_is_waited_for_again(serve_http2: Any) -> None:
    go = threading.Event()

    async def answer(stream: ServedStream) -> None:
        while not go.is_set():
            await anyio.sleep(0.01)
        await echo(stream)

    server = serve_http2(answer)
    pool, own = pool_of()
    asked = outgoing(server, kept=True)
    for _ in range(3):
        await cancelled(pool.send, asked, once=lambda: server.requests == 1)
        assert asked.pending is not None
    go.set()
    assert await read(await pool.send(asked)) == b"hello"
    assert server.requests == 1
    go.clear()
    again = outgoing(server, kept=True)
    await cancelled(pool.send, again, once=lambda: server.requests == 2)
    assert again.pending is not None
    again.pending.close()
    await until(lambda: server.resets == [ErrorCodes.CANCEL])
    assert own.counts().active == 0


# clients


async def chat(stream: ServedStream) -> None:
    """Chats; a stream is not ended, until it is left."""
    asked = await stream.request()
    if b'"stream":true' in asked.replace(b" ", b""):
        stream.head(("content-type", "text/event-stream"))
        await stream.data(CHUNK)
        await stream.gone()
    else:
        stream.head(("content-type", "application/json"))
        await stream.data(WHOLE, ended=True)


async def test_a_recording_of_streams_on_one_connection_is_played_without_it(
    driver: Driver, serve_http2: Any, contexts: Any, tmp_path: Any
) -> None:
    both, _, authority = contexts
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    server = serve_http2(chat, both)
    options = {"base_url": f"{server.url}/v1", "verify": tmp_path / "ca.pem", "http2": True, "retries": 0}
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"

    async def asked() -> tuple[str, str]:
        async with driver.client(**options) as client:
            async with client.chat_completion.stream(MESSAGES) as run:
                chunk = await run.__anext__()
            return await said(client), chunk.choices[0].delta.content

    async with cassette(first, "record"):
        assert await asked() == ("yes", "x")
    server.stop()
    async with cassette(first, "replay") as tape:
        assert await asked() == ("yes", "x")
        tape.assert_all_played()
    async with cassette(first, "replay"), cassette(second, "record"):
        assert await asked() == ("yes", "x")
    assert first.read_bytes() == second.read_bytes()


async def said(client: Any) -> str:
    out = await client.chat_completion(MESSAGES)
    text: str = out.choices[0].message.content
    return text


@pytest.mark.parametrize("within", [False, True], ids=["direct", "within a proxy's TLS"])
async def test_a_client_over_tls(
    driver: Driver, serve_http2: Any, contexts: Any, tls_proxy: ProxyServer, tmp_path: Any, within: bool
) -> None:
    both, _, authority = contexts
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    server = serve_http2(chat, both)
    options = {"verify": tmp_path / "ca.pem", "proxies": tls_proxy.url("https") if within else None}
    async with driver.client(base_url=f"{server.url}/v1", http2=True, trust_env=False, **options) as client:
        for _ in range(3):
            async with client.chat_completion.stream(MESSAGES) as run:
                async for chunk in run:
                    assert chunk.choices[0].delta.content == "x"
                    break
            assert await said(client) == "yes"
        limits = Timeout(idle=0.2)
        with pytest.raises(InferenceTimeoutError) as caught:
            async with client.with_options(timeout=limits, retries=0).chat_completion.stream(MESSAGES) as run:
                async for _ in run:
                    pass
        assert caught.value.phase == "idle"
    assert len(server.connections) == 1
    await until(lambda: server.resets == [ErrorCodes.CANCEL] * 4)


PROTOCOLS = [
    (through, http2, origin, "HTTP/2" if http2 and origin == "https" else "HTTP/1.1")
    for through in (None, "http", "https", "socks5")
    for http2 in (False, True)
    for origin in ("http", "https")
]


async def test_which_protocol_the_server_hears(
    driver: Driver, serve: Any, serve_http2: Any, contexts: Any, tmp_path: Any
) -> None:
    """Whatever is on the way: a server of `https://` may choose, and a proxy is never offered HTTP/2."""
    both, _, authority = contexts
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    heard: list[bytes] = []

    def script(peer: Any) -> None:
        while request := peer.request():
            heard.append(request.split(b"\r\n")[0])
            peer.answer(WHOLE, "Content-Type: application/json")

    new = serve_http2(chat, both)
    old = {"http": serve(script), "https": serve(script, both)}
    login = ("me", "mys3lf-at-the-proxy")
    with proxying(login) as plain, proxying(login, both) as secure:
        for row in PROTOCOLS:
            through, http2, origin, protocol = row
            port = new.port if protocol == "HTTP/2" else old[origin].port
            proxy = secure if through == "https" else plain
            async with driver.client(
                base_url=f"{origin}://localhost:{port}/v1",
                proxies=through and proxy.url(through),
                trust_env=False,
                verify=tmp_path / "ca.pem",
                http2=http2,
                timeout=Timeout(connect=6 * PATIENCE),
            ) as client:
                before = (new.requests, len(new.connections), len(heard), proxy.accepted)
                assert [await said(client) for _ in range(3)] == ["yes"] * 3, row
            counts = (new.requests, len(new.connections), len(heard), proxy.accepted)
            grown = tuple(now - then for now, then in zip(counts, before, strict=True))
            ways = 0 if through is None else 1
            assert grown == ((3, 1, 0, ways) if protocol == "HTTP/2" else (0, 0, 3, ways)), row
        assert set(secure.protocols) == {"http/1.1"}
    assert all(line.endswith(b" HTTP/1.1") for line in heard)


async def test_a_context_that_offers_it_to_a_proxy_as_well(
    serve_http2: Any, contexts: Any, tls_proxy: ProxyServer, choose_form: Any
) -> None:
    both, _, authority = contexts
    offering = ssl.create_default_context()
    authority.configure_trust(offering)
    offering.set_alpn_protocols(["h2", "http/1.1"])
    options: Any = {"base_url": f"{serve_http2(chat, both).url}/v1", "ssl_context": offering}
    async with AsyncInferenceClient(**options, proxies=tls_proxy.url("https"), http2=True) as client:
        assert await said(client) == "yes"
    with proxying(("me", "mys3lf-at-the-proxy"), both) as proxy:
        for form, http2 in (("own", True), ("anyio", False)):
            choose_form(form)
            async with AsyncInferenceClient(**options, proxies=proxy.url("https"), http2=http2) as client:
                with pytest.raises(TLSError, match=r"the proxy .* speaks h2, .* HTTP/1.1 .* set no ALPN in it$"):
                    await said(client)


async def test_a_server_that_chooses_http11(serve: Any, contexts: Any, tmp_path: Any) -> None:
    _, old, authority = contexts
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    def script(peer: Any) -> None:
        assert peer.sock.selected_alpn_protocol() == "http/1.1"
        while peer.request():
            peer.answer(WHOLE, "Content-Type: application/json")

    server = serve(script, old)
    base = f"https://localhost:{server.port}/v1"
    async with AsyncInferenceClient(base_url=base, verify=tmp_path / "ca.pem", http2=True) as client:
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(said, client)
        before = server.accepted
        assert await said(client) == "yes"
        assert server.accepted == before <= 10


async def test_plain_http_is_http11_unless_it_is_known(driver: Driver, serve: Any, serve_http2: Any) -> None:
    def script(peer: Any) -> None:
        while peer.request():
            peer.answer(WHOLE, "Content-Type: application/json")

    old = serve(script)
    async with driver.client(base_url=f"http://127.0.0.1:{old.port}/v1", http2=True) as client:
        assert await said(client) == "yes"
    async with driver.client(base_url=f"http://127.0.0.1:{old.port}/v1", http2="prior-knowledge", retries=0) as client:
        with pytest.raises(ProtocolError, match="leave http2= out"):
            await said(client)
    new = serve_http2(chat)
    async with driver.client(base_url=f"{new.url}/v1", http2="prior-knowledge") as client:
        assert await said(client) == "yes"


async def test_others_contexts_stay_as_they_are(serve: Any, contexts: Any, tmp_path: Any) -> None:
    both, _, authority = contexts
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    shared = tls.Trust()
    ours, offering = [await anyio.to_thread.run_sync(each.make) for each in (shared, shared.offering_http2())]
    assert ours is await anyio.to_thread.run_sync(tls.default_context) is not offering
    chosen: list[str | None] = []

    def script(peer: Any) -> None:
        chosen.append(peer.sock.selected_alpn_protocol())
        while peer.request():
            peer.answer(WHOLE, "Content-Type: application/json")

    server = serve(script, both)
    base = f"https://localhost:{server.port}/v1"
    async with AsyncInferenceClient(base_url=base, verify=tmp_path / "ca.pem") as client:
        assert await said(client) == "yes"
    assert chosen == ["http/1.1"]


def test_what_is_no_choice() -> None:
    with pytest.raises(InvalidParameterError, match="http2 must be"):
        AsyncInferenceClient(http2="yes")  # type: ignore[arg-type]
    with pytest.raises(InvalidParameterError, match="transport= brings"):
        AsyncInferenceClient(http2=True, transport=Pool())


def test_without_epoll_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("select.epoll")
    for kind in (AsyncInferenceClient, InferenceClient):
        for wanted in (True, "prior-knowledge"):
            with pytest.raises(InvalidParameterError, match=r"has not; leave it out for HTTP/1\.1"):
                kind(http2=wanted)
        kind(http2=False)
