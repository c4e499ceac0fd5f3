"""The load server: answers from memory, in its own process, on its own core.

    python -m benchmarks.server [--core N] [--ports N] [--tls FILE]

It prints its URLs on one line and serves until its standard input ends, so that it never outlives the run that
started it. `--ports`: how many ports, so that one client's closed connections leave the next one its own
addresses. `--tls`: a PEM file with its key and certificates.
Everything that it sends was built before it is asked for; it refuses whatever `wire` does not describe (404).

    /chat/...               a chat completion; under .../messages Anthropic's, under .../mcp a tool of an MCP server
    /stream-2000/...        2,000 server-sent events, as fast as the socket takes them
    /paced-20ms-50/...      50 server-sent events, one every 20 ms
    /open-1000-1000ms-20/   20 server-sent events; the second waits until 1,000 such streams are open and all clients
                            have had a moment to read, then each stream gets one every 1,000 ms, at a time of its own
    /delay-1000-100ms-50/   the same, and the text of each event from the second on is the time of its writing in
                            nanoseconds of the machine's monotonic clock; all streams' events are spread evenly
    /opened                 an empty object, at the moment in which those second events begin
    /embed-100x1024/...     100 embeddings of 1,024 floats: a nested list, or OpenAI's under .../embeddings
    /stats                  {"connections": .., "streams": .., "requests": ..}, the asker not counted

A smaller `max_tokens` in the request shortens a stream: warm-up rounds use it. Shortened, one that waits for
others does not.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import os
import re
import ssl
import sys
import time
from typing import Any, NamedTuple, cast

import httptools

from benchmarks import machine, wire

PATH = re.compile(
    rb"/(?:(?P<chat>chat)|stream-(?P<burst>\d+)|paced-(?P<pace>\d+)ms-(?P<paced>\d+)"
    rb"|(?P<way>open|delay)-(?P<crowd>\d+)-(?P<beat>\d+)(?P<fine>us|ms)-(?P<beats>\d+)|(?P<opened>opened)"
    rb"|embed-(?P<count>\d+)x(?P<width>\d+)|(?P<stats>stats))(?P<rest>/[^?]*)?(?:\?.*)?"
)
MAX_TOKENS = re.compile(rb'"max_tokens":\s*(\d+)')
CHATS = {b"messages": "messages", b"mcp": "mcp"}
SPIN = 0.0003  # seconds; how late a sleep may end
ENDING = 1.0  # seconds over which timed streams end
MOMENT = 1.0  # seconds between the last stream's opening and the second event of the first
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ndate: Mon, 01 Jan 2029 00:00:00 GMT\r\nserver: load\r\n"
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
    crowd: int = 0


class Tally:
    """What the server has seen."""

    def __init__(self) -> None:
        self.connections: set[Connection] = set()
        self.streams = 0
        self.requests = 0
        self.crowd: dict[Connection, float] = {}  # who waits for the others, and the interval asked for
        self.watchers: set[Connection] = set()

    def join(self, connection: Connection, plan: Plan, loop: asyncio.AbstractEventLoop) -> None:
        """Have a stream wait until all are open."""
        self.crowd[connection] = plan.interval
        if len(self.crowd) != plan.crowd:
            return
        if plan.kind == "delay":
            loop.call_later(MOMENT, self._pace, plan)
        else:
            loop.call_later(MOMENT, self._begin, loop.time() + MOMENT)

    def _begin(self, now: float) -> None:
        for watcher in self.watchers:
            watcher.transport.write(_whole(b"{}"))
        for index, (connection, interval) in enumerate(self.crowd.items()):
            connection.go_on(now + interval * index / len(self.crowd))
        self.crowd.clear()
        self.watchers.clear()

    def _pace(self, plan: Plan) -> None:
        """Write every stamped event at its time, with nothing between the clock and the socket: the loop stands still.

        What a full socket does not take is kept, with its old time, and goes before the next. The streams end one after
        another once all is said: that many at once would be a load of its own.
        """
        streams = [(connection, bytearray()) for connection in self.crowd]
        self.crowd.clear()
        step, due = plan.interval / len(streams), time.perf_counter()
        for item in range(1, plan.items):
            before, behind = wire.stamped(last=item == plan.items - 1)
            for connection, kept in streams:
                wait_until(due)
                due += step
                kept += b"%b%019d%b" % (before, time.perf_counter_ns(), behind)
                connection.write_now(kept)
        for connection, kept in streams:
            kept += wire.stream_end()
            wait_until(due)
            due += ENDING / len(streams)
            connection.transport.write(bytes(kept))
            connection._stream_over()
            connection._answered()

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
        self.tally.watchers.discard(self)
        if self.tally.crowd.pop(self, None) is not None:
            self._stream_over()
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
        elif plan.kind in {"open", "delay"} and _shortened(plan.items, body) == plan.items:
            self._wait_for_others(plan)
            return
        elif plan.kind in {"open", "delay"}:
            self.transport.write(burst(_shortened(plan.items, body)))
        elif plan.kind == "opened":
            self.tally.watchers.add(self)
            return
        elif plan.kind == "stats":
            self.transport.write(_whole(self.tally.report()))
        elif plan.kind == "mcp":
            told = wire.mcp_body(body) if body else None  # without one it asks for a stream of its own
            status = b"405 Method Not Allowed" if told is None else b"200 OK" if told else b"202 Accepted"
            self.transport.write(_whole(told or b"", status))
        else:
            self.transport.write(answer(plan, packed=b'"base64"' in body))
        self._answered()

    def _start(self, frames: list[bytes], interval: float) -> None:
        self._open(frames, interval)
        self.due = self.loop.time()
        self._send_next()

    def _wait_for_others(self, plan: Plan) -> None:
        self._open(wire.frames(plan.items), plan.interval)
        self.transport.write(self.frames[0])
        self.sent = 1
        self.tally.join(self, plan, self.loop)

    def write_now(self, kept: bytearray) -> None:
        """Write past the event loop as much as the socket takes."""
        try:
            del kept[: os.write(self.transport.get_extra_info("socket").fileno(), kept)]
        except BlockingIOError:
            pass
        except OSError:  # the client is gone
            kept.clear()

    def go_on(self, due: float) -> None:
        """Send the rest, from then on."""
        self.due = due
        self.timer = self.loop.call_at(due, self._send_next)

    def _open(self, frames: list[bytes], interval: float) -> None:
        self.frames = frames
        self.interval = interval
        self.sent = 0
        self.tally.streams += 1
        self.transport.write(STREAM_HEAD)

    def _send_next(self) -> None:
        self.transport.write(self.frames[self.sent])
        self.sent += 1
        if self.sent < len(self.frames):
            # From the time when it was due, not from now: a late server catches up instead of drifting.
            self.go_on(self.due + self.interval)
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
    if found["crowd"]:
        interval = int(found["beat"]) / (1000 if found["fine"] == b"ms" else 1_000_000)
        return Plan(found["way"].decode(), int(found["beats"]), interval=interval, crowd=int(found["crowd"]))
    if found["count"]:
        asked = (found["rest"] or b"").endswith(b"/embeddings")
        return Plan("embed", int(found["count"]), int(found["width"]), openai=asked)
    if found["chat"] and (special := CHATS.get((found["rest"] or b"").rpartition(b"/")[2])):
        return Plan(special)
    return Plan((found["stats"] or found["opened"] or b"chat").decode())


@functools.cache
def answer(plan: Plan, *, packed: bool) -> bytes:
    """A whole response, head and body."""
    if plan.kind == "chat":
        return _whole(wire.chat_body())
    if plan.kind == "messages":
        return _whole(wire.message_body())
    if plan.kind == "embed" and plan.openai:
        return _whole(wire.openai_embeddings(plan.items, plan.width, packed=packed))
    if plan.kind == "embed":
        return _whole(wire.native_embeddings(plan.items, plan.width))
    return _whole(b'{"error": {"message": "no such benchmark"}}', status=b"404 Not Found")


@functools.cache
def burst(chunks: int) -> bytes:
    """A whole streaming response."""
    return STREAM_HEAD + b"".join(wire.frames(chunks))


def wait_until(due: float) -> None:
    """Sleep, and spin for the last part, which a sleep would miss."""
    while (left := due - time.perf_counter()) > 0:
        if left > SPIN:
            time.sleep(left - SPIN)


def _shortened(count: int, body: bytes) -> int:
    found = MAX_TOKENS.search(body)
    return min(count, int(found[1])) if found else count


def _whole(body: bytes, status: bytes = b"200 OK") -> bytes:
    return (
        b"HTTP/1.1 %b\r\ndate: Mon, 01 Jan 2029 00:00:00 GMT\r\nserver: load\r\n"
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


async def serve(ports: int, certificates: str | None) -> None:
    """Serve on free loopback ports until standard input ends, then close every connection."""
    loop = asyncio.get_running_loop()
    tally = Tally()
    ended = asyncio.Event()
    await loop.connect_read_pipe(lambda: _InputEnd(ended), sys.stdin)
    context = _context(certificates) if certificates else None
    servers = [
        await loop.create_server(lambda: Connection(tally, loop), "127.0.0.1", 0, backlog=16384, ssl=context)
        for _ in range(ports)
    ]
    scheme = "https" if context else "http"
    print(*(f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}" for server in servers), flush=True)
    await ended.wait()
    for server in servers:
        server.close()
    for connection in list(tally.connections):
        connection.transport.abort()
    for server in servers:
        await server.wait_closed()


def _context(certificates: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates)
    return context


def main() -> None:
    """Parse the command line and serve, on uvloop where it is installed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server")
    parser.add_argument("--core", type=int, default=None, help="the core to stay on")
    parser.add_argument("--ports", type=int, default=1, help="how many ports")
    parser.add_argument("--tls", default=None, metavar="FILE", help="key and certificates, to serve https")
    options = parser.parse_args()
    machine.pin(options.core)
    machine.raise_file_limit()
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(options.ports, options.tls))
    else:
        uvloop.run(serve(options.ports, options.tls))


if __name__ == "__main__":
    main()
