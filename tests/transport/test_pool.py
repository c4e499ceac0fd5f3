"""The pool: connections are reused, limits and turns kept, stale connections found, and every loop on its own."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from typing import Any

import anyio
import pytest
from support import python_subprocess

from headwater.errors import ConnectError, ConnectionLostError
from headwater.protocol.transport import TransportRequest
from headwater.protocol.url import parse_url
from headwater.transport import epoll
from headwater.transport.http11 import Connection
from headwater.transport.pool import LoopConnections, Pool, PoolCounts

pytestmark = pytest.mark.anyio


def test_making_a_pool_does_nothing() -> None:
    code = "import sys, threading; from headwater.transport.pool import Pool; Pool()"
    code += "; sys.exit(threading.active_count() - 1)"
    subprocess.run([sys.executable, "-c", code], check=True)


async def test_a_connection_is_reused(serve: Any, echo: Any, read: Any) -> None:
    server, pool = serve(echo), Pool()
    for number in range(5):
        answer = await pool.send(server.outgoing(body=b"%d" % number))
        assert (await read(answer), server.accepted) == (b"%d" % number, 1)
    await pool.aclose()


async def test_the_request_is_written_as_it_should(serve: Any, echo: Any, read: Any) -> None:
    server, pool = serve(echo), Pool()
    place = f"127.0.0.1:{server.port}".encode()
    got = await read(await pool.send(server.outgoing("GET", b"")))
    assert got == b"GET / HTTP/1.1\r\nHost: " + place + b"\r\nX-Test: 1\r\n\r\n"
    got = await read(await pool.send(server.outgoing("POST", b"")))
    assert got == b"POST / HTTP/1.1\r\nHost: " + place + b"\r\nX-Test: 1\r\nContent-Length: 0\r\n\r\n"


async def test_the_connection_is_back_before_its_last_piece_is_handed_out(serve: Any, echo: Any) -> None:
    server, pool = serve(echo), Pool()
    answer = await pool.send(server.outgoing())
    while not answer.ready():
        await answer.receive()
    assert (pool.counts().active, pool.counts().idle) == (0, 1)


async def test_a_connection_closed_while_idle_is_not_used(serve: Any, read: Any) -> None:
    closed = threading.Event()

    def script(peer: Any) -> None:
        peer.request()
        peer.answer()
        peer.sock.close()
        closed.set()

    server, pool = serve(script), Pool()
    for number in range(3):
        answer = await pool.send(server.outgoing(resend=False))
        assert (await read(answer), server.accepted) == (b"ok", number + 1)
        await anyio.to_thread.run_sync(closed.wait, 10)
        closed.clear()
    assert server.accepted == 3


@pytest.mark.parametrize("end", ["close", "reset"])
async def test_a_kept_connection_that_closes_on_the_request_is_replaced(serve: Any, read: Any, end: str) -> None:
    def script(peer: Any) -> None:
        peer.request()
        peer.answer()
        peer.request()
        getattr(peer.sock if end == "close" else peer, end)()

    server, pool = serve(script), Pool()
    assert await read(await pool.send(server.outgoing())) == b"ok"
    answer = await pool.send(server.outgoing())
    assert (await read(answer), server.accepted) == (b"ok", 2)


async def test_what_must_not_go_out_twice_does_not(serve: Any, read: Any) -> None:
    def script(peer: Any) -> None:
        peer.request()
        peer.answer()
        peer.request()

    server, pool = serve(script), Pool()
    await read(await pool.send(server.outgoing()))
    with pytest.raises(ConnectionLostError) as caught:
        await pool.send(server.outgoing(resend=False))
    assert (caught.value.sent, server.accepted, pool.counts().active) == (True, 1, 0)


async def test_a_fresh_connection_is_not_replaced(serve: Any) -> None:
    server, pool = serve(lambda peer: peer.request()), Pool()
    with pytest.raises(ConnectionLostError, match="before the answer"):
        await pool.send(server.outgoing())
    assert server.accepted == 1


async def test_idle_connections_grow_old(serve: Any, echo: Any, read: Any) -> None:
    server, pool = serve(echo), Pool(idle_timeout=0)
    for number in range(3):
        await pool.send(server.outgoing())
        assert server.accepted == number + 1


async def test_not_too_many_are_kept(serve: Any, echo: Any, read: Any) -> None:
    server, pool = serve(echo), Pool(max_idle=2)
    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(lambda: _get(pool, server, read))
    assert pool.counts() == PoolCounts(loops=1, active=0, waiting=0, open=2, idle=2)


async def _get(pool: Pool, server: Any, read: Any) -> None:
    await read(await pool.send(server.outgoing()))


async def test_the_limit_holds_and_turns_are_kept(serve: Any, read: Any) -> None:
    served: list[bytes] = []

    go = threading.Event()

    def script(peer: Any) -> None:
        while request := peer.request():
            served.append(request.partition(b"\r\n\r\n")[2])
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
            assert go.wait(20)
            peer.send(b"ok")

    server, pool = serve(script), Pool(max_connections=1)
    first = await pool.send(server.outgoing(body=b"first"))
    async with anyio.create_task_group() as group:
        for number in range(10):
            group.start_soon(_one, pool, server.outgoing(body=b"%d" % number), read)
            await anyio.wait_all_tasks_blocked()
        assert pool.counts().waiting == 10
        go.set()
        await read(first)
    assert served == [b"first", *(b"%d" % number for number in range(10))]
    assert (server.accepted, pool.counts().active) == (1, 0)


async def _one(pool: Pool, outgoing: TransportRequest, read: Any) -> None:
    await read(await pool.send(outgoing))


async def test_a_refused_connection(serve: Any, echo: Any) -> None:
    server, pool = serve(echo), Pool(max_connections=1)
    outgoing = server.outgoing()
    server.stop()
    for _ in range(2):
        with pytest.raises(ConnectError, match=f"connection refused by .*:{server.port}") as caught:
            await pool.send(outgoing)
        assert (caught.value.sent, isinstance(caught.value.__cause__, OSError)) == (False, True)
    assert pool.counts().active == 0


async def test_an_unknown_host() -> None:
    for host in ("no-such-host.invalid", "a" * 70 + ".invalid"):
        with pytest.raises(ConnectError, match="cannot resolve the host"):
            await Pool().send(TransportRequest(method="GET", url=parse_url(f"http://{host}/"), headers=[]))


@pytest.mark.parametrize("form", ["own", "anyio"])
async def test_no_descriptors_left(
    serve: Any, echo: Any, monkeypatch: pytest.MonkeyPatch, form: str, choose_form: Any
) -> None:
    choose_form(form)
    full = OSError(24, "Too many open files")

    def begin(_: Any) -> Any:
        raise full

    async def connect_tcp(*_: Any) -> Any:
        raise OSError("All connection attempts failed") from full

    server, pool = serve(echo), Pool()
    monkeypatch.setattr(epoll, "start_connect", begin)
    monkeypatch.setattr(anyio, "connect_tcp", connect_tcp)
    with pytest.raises(ConnectError, match="ulimit -n, or have fewer calls"):
        await pool.send(server.outgoing())
    assert pool.counts().active == 0


def test_one_pool_in_several_loops(serve: Any, echo: Any, read: Any, backend: dict[str, Any]) -> None:
    server, pool = serve(echo), Pool()

    async def main() -> None:
        before = server.accepted
        for _ in range(3):
            assert await read(await pool.send(server.outgoing())) == b"hello"
            assert server.accepted == before + 1

    for number in range(3):
        anyio.run(main, **backend)
        assert server.accepted == number + 1
        assert pool.counts().loops == 0


def test_one_pool_in_two_loops_at_once(serve: Any, echo: Any, read: Any, backend: dict[str, Any]) -> None:
    server, pool = serve(echo), Pool()
    both = threading.Barrier(2, timeout=20)

    async def main() -> None:
        await read(await pool.send(server.outgoing()))
        await anyio.to_thread.run_sync(both.wait)
        for _ in range(20):
            await read(await pool.send(server.outgoing()))
        assert server.accepted == 2
        await anyio.to_thread.run_sync(both.wait)
        await pool.aclose()

    threads = [threading.Thread(target=lambda: anyio.run(main, **backend)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (server.accepted, pool.counts().loops) == (2, 0)


UNCLOSED = """
import anyio, gc, sys
from headwater.transport.pool import Pool
from headwater.protocol.transport import TransportRequest
from headwater.protocol.url import parse_url
async def main():
    pools = [Pool() for _ in range(3)]
    for pool in pools:
        for path in ("whole", "half"):
            out = TransportRequest(method="GET", url=parse_url(sys.argv[1]), headers=[("Path", path)])
            answer = await pool.send(out)
            if path == "whole":
                assert await answer.receive() == b"ok" and await answer.receive() == b""
            kept.append(answer)
    del pool
    pools.pop()
    gc.collect()
    await anyio.sleep(0.01)
    kept.append(pools)
kept = []
anyio.run(main, backend=sys.argv[2], backend_options={"use_uvloop": True} if sys.argv[3] == "True" else {})
del kept[:]
gc.collect()
"""


def test_nothing_needs_closing(serve: Any, backend: dict[str, Any]) -> None:
    def script(peer: Any) -> None:
        while request := peer.request():
            if b"half" in request:
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok")
                assert peer.gone()
                return
            peer.answer()

    server = serve(script)
    uvloop = str(backend["backend_options"].get("use_uvloop"))
    command = [
        sys.executable,
        "-X",
        "dev",
        "-W",
        "error",
        "-c",
        python_subprocess.QUIET + UNCLOSED,
        server.url,
        backend["backend"],
        uvloop,
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=240)
    assert (done.returncode, done.stderr) == (0, "")


async def test_a_lost_pool_closes_its_connections(serve: Any, read: Any) -> None:
    gone = threading.Event()

    def script(peer: Any) -> None:
        peer.request()
        peer.answer()
        assert peer.gone()
        gone.set()

    server, pool = serve(script), Pool()
    await read(await pool.send(server.outgoing()))
    del pool
    gc.collect()
    assert await anyio.to_thread.run_sync(gone.wait, 10)


async def test_a_pool_lost_in_a_cycle_leaves_nothing(serve: Any, echo: Any, read: Any) -> None:
    server = serve(echo)
    for _ in range(3):
        cycle: list[Any] = [Pool()]
        cycle.append(cycle)
        await read(await cycle[0].send(server.outgoing()))
        assert kept() == {LoopConnections, Connection}
        del cycle
        gc.collect()
        await anyio.wait_all_tasks_blocked()
        gc.collect()
        assert kept() == set()


def kept() -> set[type]:
    """What of pools is in memory, of all that this test has made."""
    return {LoopConnections, Connection} & {type(one) for one in gc.get_objects()}


async def test_a_lost_pool_lets_its_answers_end(serve: Any, read: Any) -> None:
    gone, more = threading.Event(), threading.Event()

    def script(peer: Any) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        assert more.wait(20)
        peer.send(b"world")
        assert peer.gone()
        gone.set()

    server = serve(script)
    answer = await Pool().send(server.outgoing())
    gc.collect()
    more.set()
    assert await read(answer) == b"helloworld"
    assert await anyio.to_thread.run_sync(gone.wait, 10)


async def test_aclose_closes_what_is_idle_and_nothing_else(serve: Any, read: Any) -> None:
    def script(peer: Any) -> None:
        while peer.request():
            peer.answer()

    server, pool = serve(script), Pool()
    await read(await pool.send(server.outgoing()))
    await pool.aclose()
    assert pool.counts().open == 0
    assert await read(await pool.send(server.outgoing())) == b"ok"
    assert server.accepted == 2
