"""The servers that run a web backend in the tests, and a browser made of a socket."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Self

import anyio
import anyio.from_thread
import anyio.lowlevel
import hypercorn
import hypercorn.asyncio
import hypercorn.trio
import uvicorn

SERVERS = ("uvicorn", "uvicorn-uvloop", "hypercorn-trio", "hypercorn-asyncio")
PATIENCE = 30.0
"""Seconds that anything may take on a machine with much to do."""


@contextmanager
def serving(application: Any, name: str) -> Iterator[int]:
    """The port of `application`, run by one of `SERVERS` in a thread until the block is left."""
    server, _, loop = name.partition("-")
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    port: int = listening.getsockname()[1]
    if server == "uvicorn":
        run, stop = _uvicorn(application, loop or "asyncio", listening)
    else:
        run, stop = _hypercorn(application, loop, listening)
    thread = threading.Thread(target=run, name=f"test-{name}", daemon=True)
    thread.start()
    try:
        yield port
    finally:
        stop()
        thread.join(PATIENCE)
        listening.close()
        assert not thread.is_alive()


def _uvicorn(application: Any, loop: str, listening: socket.socket) -> tuple[Callable[[], None], Callable[[], None]]:
    config = uvicorn.Config(
        application, loop=loop, ws="none", log_config=None, access_log=False, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)

    def stop() -> None:
        server.should_exit = True

    return partial(server.run, [listening]), stop


def _hypercorn(application: Any, loop: str, listening: socket.socket) -> tuple[Callable[[], None], Callable[[], None]]:
    config = hypercorn.Config()
    config.bind = [f"fd://{listening.detach()}"]
    config.graceful_timeout = 1.0
    config.errorlog = None
    serve = hypercorn.trio.serve if loop == "trio" else hypercorn.asyncio.serve
    begun: list[Any] = []
    ready = threading.Event()

    async def main() -> None:
        leaving = anyio.Event()
        begun[:] = [anyio.lowlevel.current_token(), leaving]
        ready.set()
        await serve(application, config, shutdown_trigger=leaving.wait)

    def stop() -> None:
        assert ready.wait(PATIENCE)
        token, leaving = begun
        anyio.from_thread.run_sync(leaving.set, token=token)

    return partial(anyio.run, main, backend=loop), stop


class Browser:
    """One request over a socket of its own; leaving the block closes it, whatever is still to come."""

    def __init__(self, port: int, body: Any = None, *, path: str = "/chat", kind: str = "application/json") -> None:
        payload = json.dumps({"messages": [{"role": "user", "content": "hi"}]} if body is None else body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: {kind}\r\n"
            f"content-length: {len(payload)}\r\nconnection: close\r\n\r\n"
        )
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.socket.sendall(head.encode() + payload)
        self.text = ""

    def read_until(self, words: str, times: int = 1) -> str:
        """What came so far, once `words` are in it."""
        while self.text.count(words) < times:
            part = self.socket.recv(65536)
            assert part, f"closed before {words!r}: {self.text[-500:]!r}"
            self.text += part.decode()
        return self.text

    def read_all(self) -> str:
        """Everything until the server closes."""
        while part := self.socket.recv(65536):
            self.text += part.decode()
        return self.text

    def close(self) -> None:
        """Go away."""
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def datas(answer: str) -> list[str]:
    """The data of an answer's events, in order. Chunk sizes lie between them."""
    return [line.removeprefix("data: ") for line in answer.splitlines() if line.startswith("data: ")]
