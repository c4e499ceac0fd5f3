"""Leaving early: cancelled at any point, closed, dropped from anywhere, the peer hears of it and the slot is free."""

from __future__ import annotations

import gc
import os
import random
import threading
import warnings
from typing import Any

import anyio
import pytest

from headwater.errors import ConnectionLostError
from headwater.transport.pool import Pool

pytestmark = pytest.mark.anyio

HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"


class Silent:
    """Answers with these bytes, then waits for the client to go."""

    def __init__(self, *data: bytes) -> None:
        self.asked, self.gone = threading.Event(), threading.Event()
        self._data = data

    def __call__(self, peer: Any) -> None:
        peer.request()
        for data in self._data:
            peer.send(data)
        self.asked.set()
        assert peer.gone()
        self.gone.set()


async def wait(event: threading.Event) -> None:
    assert await anyio.to_thread.run_sync(event.wait, 10)


def counts(pool: Pool) -> tuple[int, int]:
    """Slots in use, and connections."""
    return pool.counts().active, pool.counts().open


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 200", HALF])
async def test_a_cancel_frees_the_slot_and_closes(serve: Any, read: Any, data: bytes) -> None:
    silent = Silent(data)
    server, pool = serve(silent), Pool(max_connections=1)
    async with anyio.create_task_group() as group:

        async def ask() -> None:
            await read(await pool.send(server.outgoing()))

        group.start_soon(ask)
        await wait(silent.asked)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    await wait(silent.gone)
    assert counts(pool) == (0, 0)


async def test_a_cancel_while_a_large_body_goes_out(serve: Any) -> None:
    gone = threading.Event()

    def script(peer: Any) -> None:
        peer.sock.recv(1)
        asked.set()
        gone.set() if peer.gone() else None

    asked = threading.Event()
    server, pool = serve(script), Pool()

    async def endless() -> Any:
        while True:
            yield b"x" * 10
            await anyio.sleep(0)

    async with anyio.create_task_group() as group:
        group.start_soon(pool.send, server.outgoing(body=endless()))
        await wait(asked)
        group.cancel_scope.cancel()
    await wait(gone)
    assert counts(pool) == (0, 0)


async def test_a_cancelled_waiter_passes_its_slot_on(serve: Any, echo: Any, read: Any) -> None:
    silent = Silent(HALF)
    server, pool = serve(silent), Pool(max_connections=1)
    first = await pool.send(server.outgoing())
    done: list[str] = []

    async def ask(name: str, scope: anyio.CancelScope) -> None:
        with scope:
            answer = await pool.send(server.outgoing())
            done.append(name)
            await answer.aclose()

    scopes = [anyio.CancelScope() for _ in range(3)]
    async with anyio.create_task_group() as group:
        for name, scope in zip("abc", scopes, strict=True):
            group.start_soon(ask, name, scope)
            await anyio.wait_all_tasks_blocked()
        scopes[1].cancel()  # while waiting
        await anyio.wait_all_tasks_blocked()
        await _close_then(first, scopes[0].cancel)  # just as it was handed the slot
    assert (done, counts(pool)) == (["c"], (0, 0))


async def _close_then(answer: Any, call: Any) -> None:
    closing = answer.aclose()
    with pytest.raises(StopIteration):
        closing.send(None)  # closes without giving anybody else a turn
    call()


async def test_closing_is_heard_and_needs_no_other_turn(serve: Any) -> None:
    silent = Silent(HALF)
    server, pool = serve(silent), Pool()
    answer = await pool.send(server.outgoing())
    await answer.aclose()
    await answer.aclose()
    assert counts(pool) == (0, 0)
    await wait(silent.gone)
    with pytest.raises(ConnectionLostError, match="closed before its end"):
        await answer.receive()


async def test_a_drop_in_another_thread(serve: Any) -> None:
    silent = Silent(HALF)
    server, pool = serve(silent), Pool(max_connections=1)
    answer = await pool.send(server.outgoing())
    async with anyio.create_task_group() as group:

        async def next_one() -> None:
            await (await pool.send(server.outgoing())).aclose()

        group.start_soon(next_one)
        await anyio.wait_all_tasks_blocked()
        await anyio.to_thread.run_sync(answer.drop)
        await wait(silent.gone)
    # The waiter had its slot, though nobody touched the pool.
    assert counts(pool) == (0, 0)


async def test_a_drop_while_the_loop_is_held_up(serve: Any) -> None:
    silent = Silent(HALF)
    server, pool = serve(silent), Pool()
    answer = await pool.send(server.outgoing())
    answer.drop()
    assert silent.gone.wait(20)
    await anyio.wait_all_tasks_blocked()
    assert counts(pool) == (0, 0)


async def test_a_forgotten_answer_is_dropped_with_a_warning(serve: Any) -> None:
    silent = Silent(HALF)
    server, pool = serve(silent), Pool(max_connections=1)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        await pool.send(server.outgoing())
        gc.collect()
    assert ["neither read whole nor closed" in str(warning.message) for warning in seen] == [True]
    await wait(silent.gone)
    await anyio.wait_all_tasks_blocked()
    assert counts(pool) == (0, 0)


def test_a_drop_after_the_loop_has_ended(serve: Any, backend: dict[str, Any]) -> None:
    silent = Silent(HALF)
    server, pool = serve(silent), Pool()
    kept: list[Any] = []

    async def main() -> None:
        kept.append(await pool.send(server.outgoing()))

    anyio.run(main, **backend)
    kept[0].drop()
    assert silent.gone.wait(20)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
async def test_a_forked_child_does_not_touch_the_socket(serve: Any, read: Any) -> None:
    go = threading.Event()

    def script(peer: Any) -> None:
        peer.request()
        peer.send(HALF)
        assert go.wait(20)
        peer.send(b"world")
        peer.request()

    server, pool = serve(script), Pool()
    answer = await pool.send(server.outgoing())
    child = os.fork()
    if child == 0:
        try:
            answer.drop()
            pool.__del__()
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    go.set()
    assert await read(answer) == b"helloworld"


@pytest.mark.crowd
async def test_thousands_of_cancels_leave_the_pool_whole(serve: Any, echo: Any, read: Any) -> None:
    server, pool = serve(echo), Pool(max_connections=10)
    dice = random.Random(7)

    async def ask(scope: anyio.CancelScope) -> None:
        with scope:
            await read(await pool.send(server.outgoing()))

    for _ in range(50):
        async with anyio.create_task_group() as group:
            scopes = [anyio.CancelScope() for _ in range(40)]
            for scope in scopes:
                group.start_soon(ask, scope)
            for scope in dice.sample(scopes, 36):
                for _ in range(dice.choice((1, 2))):
                    scope.cancel()
                    if dice.random() < 0.5:
                        await anyio.sleep(0)
    left = pool.counts()
    assert (left.active, left.waiting) == (0, 0)
    assert left.open == left.idle <= 10
    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(ask, anyio.CancelScope())
    assert pool.counts().active == 0
