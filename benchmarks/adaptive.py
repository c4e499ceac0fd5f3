"""`client.map` with concurrency "auto" against a server whose limit it does not know, over loopback sockets.

    python -m benchmarks.adaptive [--loop NAME] [--only NAME] [--seconds N]

For each scenario and event loop: what was answered after a warm-up of a third of the time, as a part of what the
server could have answered, and the part of all requests that it refused. The server has a process of its own, which
ends with its standard input. A machine that cannot serve the load as such shows in the first figure.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import wire
from headwater import AsyncInferenceClient

ROOT = Path(__file__).resolve().parent.parent
ENOUGH, REFUSED = 0.9, 0.03


class Scenario(NamedTuple):
    """A limit of requests in flight, or of requests in `window` seconds; `change` is the limit in the second half."""

    limit: int
    change: int = 0
    window: float = 0.0
    latency: float = 0.1
    headers: bool = False
    retry_after: float = 0.0


SCENARIOS = {
    "10 at once": Scenario(10),
    "50 at once": Scenario(50),
    "50 at once, retry-after 1": Scenario(50, retry_after=1.0),
    "50 at once, then 100": Scenario(50, change=100),
    "100 at once, then 30": Scenario(100, change=30),
    "600 a minute, headers": Scenario(30, window=3.0, headers=True),
    "600 a minute, retry-after": Scenario(30, window=3.0, retry_after=1.0),
    "600 a minute, silent": Scenario(30, window=3.0),
    "1200 a minute, then 600, silent": Scenario(60, change=30, window=3.0),
    "1200 a minute, then 600, headers": Scenario(60, change=30, window=3.0, headers=True),
}
"""A minute's limits are asked for in windows of three seconds, to see many of them."""


class Server:
    """Answers chats under a scenario's limit; the time counts from the first request."""

    def __init__(self, scenario: Scenario, seconds: float) -> None:
        self.scenario, self.seconds = scenario, seconds
        self.began = 0.0
        self.busy = self.in_window = 0
        self.window = -1
        self.answered: list[float] = []
        self.refused = 0

    def limit(self, at: float) -> int:
        changed = self.scenario.change and at > self.seconds / 2
        return self.scenario.change if changed else self.scenario.limit

    def admits(self, at: float) -> bool:
        """Whether there is room; a window's place is taken by asking."""
        if not self.scenario.window:
            return self.busy < self.limit(at)
        window = int(at / self.scenario.window)
        if window != self.window:
            self.window, self.in_window = window, 0
        self.in_window += 1
        return self.in_window <= self.limit(at)

    def head(self, at: float, status: str, length: int) -> bytes:
        lines = [f"HTTP/1.1 {status}", "content-type: application/json", f"content-length: {length}"]
        s = self.scenario
        left = s.window - at % s.window if s.window else 0.0
        if s.headers:
            limit = self.limit(at)
            lines += [
                f"x-ratelimit-limit-requests: {limit}",
                f"x-ratelimit-remaining-requests: {max(0, limit - self.in_window)}",
                f"x-ratelimit-reset-requests: {left:.3f}s",
            ]
        if s.retry_after and not status.startswith("200"):
            lines.append(f"retry-after-ms: {1000 * (left or s.retry_after):.0f}")
        return "\r\n".join([*lines, "", ""]).encode()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, request by request."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
                await reader.readexactly(int(length.partition(b":")[2]))
                if b" /stats " in head.split(b"\r\n")[0]:
                    body = json.dumps({"answered": self.answered, "refused": self.refused}).encode()
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
                else:
                    writer.write(await self.answer())
        writer.close()

    async def answer(self) -> bytes:
        """What one request gets."""
        self.began = self.began or time.monotonic()
        at = time.monotonic() - self.began
        if not self.admits(at):
            self.refused += 1
            body = b'{"error": {"message": "slow down"}}'
            return self.head(at, "429 Too Many Requests", len(body)) + body
        self.busy += 1
        await asyncio.sleep(self.scenario.latency * (0.5 + random.random()))
        self.busy -= 1
        self.answered.append(time.monotonic() - self.began)
        body = wire.chat_body()
        return self.head(at, "200 OK", len(body)) + body


async def run_server(name: str, seconds: float) -> None:
    """Serve until standard input ends."""
    server = Server(SCENARIOS[name], seconds)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, backlog=4096)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)


@contextlib.contextmanager
def served(name: str, seconds: float) -> Iterator[str]:
    """A server of this scenario, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.adaptive", "--serve", name, "--seconds", str(seconds)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.communicate(timeout=10)


async def drive(url: str, seconds: float) -> tuple[dict[str, Any], int, int]:
    """Map for so long; the server's statistics, the level at the end, and items that failed."""
    failed = 0
    until = time.monotonic() + seconds

    def inputs() -> Iterator[wire.Messages]:
        while time.monotonic() < until:
            yield wire.MESSAGES

    client = AsyncInferenceClient(base_url=url, api_key="bench")
    parameters = {"model": wire.MODEL}
    async with client, client.map(client.chat_completion, inputs(), parameters=parameters) as results:
        async for result in results:
            failed += result.error is not None
            if time.monotonic() > until:
                break
    with urllib.request.urlopen(f"{url}/stats", b"{}") as answer:
        return json.load(answer), results.stats.limit, failed


def figures(scenario: Scenario, seconds: float, stats: dict[str, Any]) -> tuple[float, float]:
    """The part of the possible that was answered after the warm-up; the part of the requests that was refused."""
    warm = seconds / 3
    half = seconds / 2
    spans = [
        (warm, half, scenario.limit),
        (half + (seconds / 6 if scenario.change else 0), seconds, scenario.change or scenario.limit),
    ]
    per = scenario.window or scenario.latency
    possible = sum((end - start) * limit / per for start, end, limit in spans)
    answered = sum(any(start <= at < end for start, end, _ in spans) for at in stats["answered"])
    return answered / possible, stats["refused"] / max(1, stats["refused"] + len(stats["answered"]))


def on_loop(loop: str, url: str, seconds: float) -> tuple[dict[str, Any], int, int]:
    """Drive on this event loop."""
    if loop == "trio":
        import trio

        done: tuple[dict[str, Any], int, int] = trio.run(drive, url, seconds)
        return done
    if loop == "uvloop":
        import uvloop

        return uvloop.run(drive(url, seconds))
    return asyncio.run(drive(url, seconds))


def main() -> int:
    """Run and print; the exit status is 1 where a scenario is not met."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.adaptive", description=(__doc__ or "").split("\n", 1)[0]
    )
    parser.add_argument("--loop", action="append", choices=["asyncio", "uvloop", "trio"])
    parser.add_argument("--only", action="append", choices=SCENARIOS)
    parser.add_argument("--seconds", type=float, default=30.0, help="for each scenario and loop")
    parser.add_argument("--serve", choices=SCENARIOS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(run_server(options.serve, options.seconds))
    missed = 0
    print(f"{'':36} {'loop':8} {'of ideal':>9} {'refused':>8} {'level':>6} {'failed':>7}")
    for name in options.only or SCENARIOS:
        for loop in options.loop or ("asyncio", "uvloop", "trio"):
            with served(name, options.seconds) as url:
                stats, level, failed = on_loop(loop, url, options.seconds)
            ideal, refused = figures(SCENARIOS[name], options.seconds, stats)
            missed += ideal < ENOUGH or refused > REFUSED
            print(f"{name:36} {loop:8} {ideal:9.1%} {refused:8.1%} {level:6} {failed:7}", flush=True)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
