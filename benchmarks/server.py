"""The load server: answers from memory, in its own process, on its own core.

    python -m benchmarks.server [--core N]

It prints its URL and serves until its standard input ends, so that it never outlives the run that started it.
Everything that it sends was built before it is asked for; it refuses whatever `wire` does not describe (404).

    /chat/...               a chat completion
    /stream-2000/...        2,000 server-sent events, as fast as the socket takes them
    /paced-20ms-50/...      50 server-sent events, one every 20 ms
    /embed-100x1024/...     100 embeddings of 1,024 floats: a nested list, or OpenAI's under .../embeddings
    /stats                  {"connections": .., "streams": .., "requests": ..}, the asker not counted

A smaller `max_tokens` in the request shortens a stream: warm-up rounds use it.
"""

import argparse
import asyncio
import functools
import json
import re
import sys
from typing import Any, NamedTuple, cast

import httptools

from benchmarks import machine, wire

PATH = re.compile(
    rb"/(?:(?P<chat>chat)|stream-(?P<burst>\d+)|paced-(?P<pace>\d+)ms-(?P<paced>\d+)"
    rb"|embed-(?P<count>\d+)x(?P<width>\d+)|(?P<stats>stats))(?P<rest>/[^?]*)?(?:\?.*)?"
)
MAX_TOKENS = re.compile(rb'"max_tokens":\s*(\d+)')
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ndate: Mon, 01 Jan 2029 00:00:00 GMT\r\nserver: bench\r\n"
    b"content-type: text/event-stream\r\ncache-control: no-cache\r\nx-request-id: req-1\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


class Plan(NamedTuple):
    """What a path asks for."""

    kind: str
    items: int = 0
    width: int = 0
    interval: float = 0.0
    openai: bool = False


class Tally:
    """What the server has seen."""

    def __init__(self) -> None:
        self.connections: set[Connection] = set()
        self.streams = 0
        self.requests = 0

    def report(self) -> bytes:
        """The answer of `/stats`, as seen by a connection that is itself counted."""
        seen = {"connections": len(self.connections) - 1, "streams": self.streams, "requests": self.requests}
        return json.dumps(seen).encode()


class Connection(asyncio.Protocol):
    """One client connection, kept alive from request to request."""

    def __init__(self, tally: Tally, loop: asyncio.AbstractEventLoop) -> None:
        self.tally = tally
        self.loop = loop
        self.parser: Any = httptools.HttpRequestParser(self)
        self.url = b""
        self.body: list[bytes] = []
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.tally.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.tally.connections.discard(self)
        if self.timer is not None:
            self.timer.cancel()
            self._stream_over()

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.close()

    def on_message_begin(self) -> None:
        self.body.clear()

    def on_url(self, url: bytes) -> None:
        self.url = url

    def on_body(self, data: bytes) -> None:
        self.body.append(data)

    def on_message_complete(self) -> None:
        self.tally.requests += 1
        plan = plan_of(self.url)
        body = b"".join(self.body)
        if plan.kind == "burst":
            self.transport.write(burst(_shortened(plan.items, body)))
        elif plan.kind == "paced":
            self._start(wire.frames(_shortened(plan.items, body)), plan.interval)
            return
        elif plan.kind == "stats":
            self.transport.write(_whole(self.tally.report()))
        else:
            self.transport.write(answer(plan, packed=b'"base64"' in body))
        self._answered()

    def _start(self, frames: list[bytes], interval: float) -> None:
        self.frames = frames
        self.interval = interval
        self.sent = 0
        self.tally.streams += 1
        self.due = self.loop.time()
        self.transport.write(STREAM_HEAD)
        self._send_next()

    def _send_next(self) -> None:
        self.transport.write(self.frames[self.sent])
        self.sent += 1
        if self.sent < len(self.frames):
            # From the time when it was due, not from now: a late server catches up instead of drifting.
            self.due += self.interval
            self.timer = self.loop.call_at(self.due, self._send_next)
        else:
            self._stream_over()
            self._answered()

    def _stream_over(self) -> None:
        self.timer = None
        self.tally.streams -= 1

    def _answered(self) -> None:
        if not self.parser.should_keep_alive():
            self.transport.close()


@functools.cache
def plan_of(url: bytes) -> Plan:
    """Read the parameters out of the path."""
    found = PATH.fullmatch(url)
    if found is None:
        return Plan("unknown")
    if found["burst"]:
        return Plan("burst", int(found["burst"]))
    if found["paced"]:
        return Plan("paced", int(found["paced"]), interval=int(found["pace"]) / 1000)
    if found["count"]:
        asked = (found["rest"] or b"").endswith(b"/embeddings")
        return Plan("embed", int(found["count"]), int(found["width"]), openai=asked)
    return Plan("stats" if found["stats"] else "chat")


@functools.cache
def answer(plan: Plan, *, packed: bool) -> bytes:
    """A whole response, head and body."""
    if plan.kind == "chat":
        return _whole(wire.chat_body())
    if plan.kind == "embed" and plan.openai:
        return _whole(wire.openai_embeddings(plan.items, plan.width, packed=packed))
    if plan.kind == "embed":
        return _whole(wire.native_embeddings(plan.items, plan.width))
    return _whole(b'{"error": {"message": "no such benchmark"}}', status=b"404 Not Found")


@functools.cache
def burst(chunks: int) -> bytes:
    """A whole streaming response."""
    return STREAM_HEAD + b"".join(wire.frames(chunks))


def _shortened(count: int, body: bytes) -> int:
    found = MAX_TOKENS.search(body)
    return min(count, int(found[1])) if found else count


def _whole(body: bytes, status: bytes = b"200 OK") -> bytes:
    return (
        b"HTTP/1.1 %b\r\ndate: Mon, 01 Jan 2029 00:00:00 GMT\r\nserver: bench\r\n"
        b"content-type: application/json\r\nx-request-id: req-1\r\ncontent-length: %d\r\n\r\n%b"
    ) % (status, len(body), body)


class _InputEnd(asyncio.Protocol):
    """Says when standard input has ended."""

    def __init__(self, ended: asyncio.Event) -> None:
        self.ended = ended

    def eof_received(self) -> None:
        self.ended.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()


async def serve() -> None:
    """Serve on a free loopback port until standard input ends, then close every connection."""
    loop = asyncio.get_running_loop()
    tally = Tally()
    ended = asyncio.Event()
    await loop.connect_read_pipe(lambda: _InputEnd(ended), sys.stdin)
    server = await loop.create_server(lambda: Connection(tally, loop), "127.0.0.1", 0, backlog=16384)
    port = server.sockets[0].getsockname()[1]
    print(f"http://127.0.0.1:{port}", flush=True)
    await ended.wait()
    server.close()
    for connection in list(tally.connections):
        connection.transport.abort()
    await server.wait_closed()


def main() -> None:
    """Parse the command line and serve, on uvloop where it is installed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server")
    parser.add_argument("--core", type=int, default=None, help="the core to stay on")
    machine.pin(parser.parse_args().core)
    machine.raise_file_limit()
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve())
    else:
        uvloop.run(serve())


if __name__ == "__main__":
    main()
