"""What hedging does to the tail: a loopback server that is slow for one request in twenty, asked with and without.

    python -m benchmarks.hedging [--calls 800] [--after 0.3]

The server answers in 50 ms, and in 2 s where its dice say so (5 %), each request by itself. Twenty callers share
the calls, on asyncio. `plain`: the time of a whole answer; `stream`: until the first event. `requests` counts what the
server has seen for each call: what is above 1 is what hedging costs. A hedged call takes `--after` and the 50 ms of
its second attempt, unless that is slow as well.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from headwater import AsyncInferenceClient

CALLERS = 20
FAST, SLOW, SHARE = 0.05, 2.0, 0.05
QUESTION = [{"role": "user", "content": "Hi"}]
WHOLE = b'{"choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}]}'
EVENTS = (
    b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)


class Server:
    """Answers every request, some of them late, and counts them."""

    def __init__(self) -> None:
        self.requests = 0
        self._dice = random.Random(1)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until its client leaves."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
                streams = b'"stream":true' in await reader.readexactly(length)
                self.requests += 1
                await asyncio.sleep(SLOW if self._dice.random() < SHARE else FAST)
                body, kind = (EVENTS, b"text/event-stream") if streams else (WHOLE, b"application/json")
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n" % (kind, len(body)))
                writer.write(body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            writer.close()  # the client has left, or the measurement is over


class Figures(NamedTuple):
    """Milliseconds, and requests for each call."""

    p50: float
    p90: float
    p99: float
    slowest: float
    requests: float


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Server, str]]:
    """A server of this kind on a port of its own."""
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with listening:
        yield server, f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"


async def measure(kind: str, calls: int, hedge_after: float | None) -> Figures:
    """So many calls, by all callers together."""
    seconds: list[float] = []
    async with serving() as (server, url), AsyncInferenceClient(base_url=url, hedge_after=hedge_after) as client:

        async def caller() -> None:
            for _ in range(calls // CALLERS):
                began = time.perf_counter()
                if kind == "plain":
                    await client.chat_completion(QUESTION)
                    seconds.append(time.perf_counter() - began)
                else:
                    async with client.chat_completion.stream(QUESTION) as run:
                        await run.start()
                        seconds.append(time.perf_counter() - began)
                        await run.result()

        async with asyncio.TaskGroup() as group:
            for _ in range(CALLERS):
                group.create_task(caller())
        return figures(seconds, server.requests)


def figures(seconds: list[float], requests: int) -> Figures:
    """The percentiles."""
    ordered = sorted(1000 * each for each in seconds)
    p50, p90, p99 = (ordered[int(len(ordered) * share)] for share in (0.5, 0.9, 0.99))
    return Figures(p50, p90, p99, ordered[-1], requests / len(seconds))


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="Hedging against a slow tail.")
    parser.add_argument("--calls", type=int, default=800)
    parser.add_argument("--after", type=float, default=0.3, metavar="SECONDS")
    given = parser.parse_args()
    print(f"{given.calls} calls, {SHARE:.0%} of the requests take {SLOW * 1000:g} ms, the others {FAST * 1000:g} ms")
    print(f"{'':25} {'p50 ms':>8} {'p90 ms':>8} {'p99 ms':>8} {'max ms':>8} {'requests':>9}")
    for kind in ("plain", "stream"):
        for after in (None, given.after):
            found = asyncio.run(measure(kind, given.calls, after))
            name = f"{kind}, {'alone' if after is None else f'hedged at {after * 1000:g} ms'}"
            times = " ".join(f"{each:8.0f}" for each in found[:4])
            print(f"{name:25} {times} {found.requests:9.3f}")


if __name__ == "__main__":
    main()
