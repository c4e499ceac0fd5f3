"""The soak session: a client under cancels, resets, faults and many streams for minutes; then what is left of it.

    python tests/soak [--minutes 2] [--cancels N] [--resets N] [--in-memory N] [--backend asyncio uvloop trio]
        [--streams 2000]

Each backend has a process of its own and the same time. With `--cancels` and `--resets`, a backend goes on until it
has so many, however long that takes; `--in-memory` adds cancels of streams that have no sockets, of which a million
take minutes. Prints figures; fails where a slot, descriptor, thread or task is lost, a delivered text is wrong, or
the many streams take longer than 6 s.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import resource
import subprocess
import sys
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import anyio
from soak import in_memory, load

from headwater import AsyncInferenceClient, Timeout
from headwater.emulator.faults import FAULTS
from headwater.transport.pool import Pool

BACKENDS: dict[str, dict[str, Any]] = {
    "asyncio": {"backend": "asyncio"},
    "uvloop": {"backend": "asyncio", "backend_options": {"use_uvloop": True}},
    "trio": {"backend": "trio"},
}
CONNECTIONS = 10
CANCELS, RESETS, BROKEN = 1000, 200, 40
"""In one round."""
IN_MEMORY = 10_000
"""In one round without sockets."""
MOST_SECONDS = 6.0
ENDLESS = frozenset({"sse_flood", "sse_forever", "sse_big_line", "sse_endless_line", "sse_endless_event", "big_json"})
"""Faults that take long or much memory by themselves."""
BROKEN_TIMEOUT = Timeout(total=1.0, first_event=0.2, idle=0.2)


class Soak:
    """One backend's run."""

    def __init__(self, server: load.Server, seed: int) -> None:
        self.rand = random.Random(seed)
        self.server = server
        self.pool = Pool(max_connections=CONNECTIONS)
        self.counts: Counter[str] = Counter()
        self.resident: list[tuple[float, float]] = []
        self.problems: list[str] = []
        self.began = time.monotonic()

    async def run(self, seconds: float, cancels: int, resets: int, in_memory: int, streams: int) -> None:
        await self.round()  # what is made once is made now
        before = await self.census()
        await self.without_sockets(in_memory)
        while time.monotonic() - self.began < seconds or self.cancelled < cancels or self.was_reset < resets:
            await self.round()
        await self.many(streams)
        self.look_back(before, await self.census())

    @property
    def cancelled(self) -> int:
        return self.counts["once"] + self.counts["twice"]

    @property
    def was_reset(self) -> int:
        return sum(count for name, count in self.counts.items() if name.startswith("reset "))

    def client(self, kind: str, timeout: Timeout | None = None) -> AsyncInferenceClient:
        url = self.server.url if kind in {"uneven", "reset", "paced"} else self.server.fault_url
        return load.client_of(url, kind, self.pool, timeout)

    async def round(self) -> None:
        self.counts += await load.churn(self.client("uneven"), CANCELS, self.rand)
        resets = await load.resets(self.client("reset"), RESETS)
        self.counts += Counter({f"reset {name}": count for name, count in resets.items()})
        await load.by_turns(BROKEN, CONNECTIONS, self.broken)
        await self.look_at(self.pool, self.client("uneven"))
        gc.collect()
        self.resident.append((time.monotonic() - self.began, load.resident()))

    def wrong(self, what: str) -> None:
        """Said at once: a long run may be interrupted."""
        self.problems.append(what)
        print(f"\n  WRONG: {what}", flush=True)

    async def look_at(self, pool: Pool, client: AsyncInferenceClient) -> None:
        """Whether the pool is as it was, and serves."""
        if (left := load.slots(pool)) != (0, 0):
            self.wrong(f"slots in use and waiting: {left}")
        if (right := await load.served(client)) != CONNECTIONS:
            self.wrong(f"{right} of {CONNECTIONS} next calls served")

    async def without_sockets(self, cancels: int) -> None:
        began, counts, pool = time.monotonic(), Counter[str](), Pool(max_connections=CONNECTIONS)
        with in_memory.client_of(pool) as client:
            while counts["once"] + counts["twice"] < cancels:
                counts += await in_memory.churn(client, min(cancels, IN_MEMORY), self.rand)
                await self.look_at(pool, client)
                seconds = time.monotonic() - began
                print(f"\r  without sockets: {dict(sorted(counts.items()))}, {seconds:.0f} s", end="", flush=True)
        await pool.aclose()
        print()

    async def broken(self) -> None:
        fault = self.rand.choice([name for name in FAULTS if name not in ENDLESS])
        await load.break_one(self.client(fault, BROKEN_TIMEOUT), self.counts)

    async def many(self, streams: int) -> None:
        pool, before, used = Pool(), load.resident(), load.processor_seconds(self.server.pid)
        client = load.client_of(self.server.url, "paced", pool, Timeout(total=60))
        seconds, wrong = await load.paced(client, streams)
        await pool.aclose()
        ours, theirs = (end - start for end, start in zip(load.processor_seconds(self.server.pid), used, strict=True))
        print(
            f"  {streams} paced streams: {seconds:.2f} s, {wrong} wrong, {ours:.1f} s of processor here,"
            f" {theirs:.1f} s in the server, +{load.resident() - before:.0f} MiB, {load.resident():.0f} MiB in all;"
            f" load average {os.getloadavg()[0]:.1f}"
        )
        if seconds > MOST_SECONDS or wrong:
            self.wrong(f"{streams} streams took {seconds:.2f} s, {wrong} of them wrong")

    async def census(self) -> load.Census:
        """What is held when no connection is kept."""
        await self.pool.aclose()
        await anyio.sleep(0.5)  # event loops close in their own time
        gc.collect()
        return load.census()

    def look_back(self, before: load.Census, after: load.Census) -> None:
        if self.counts["reset wrong"]:
            self.wrong(f"{self.counts['reset wrong']} streams with a wrong text")
        if after.threads > before.threads or after.tasks > before.tasks or after.descriptors > before.descriptors:
            self.wrong(f"left: {after}, at first: {before}")
        if left := load.open_at(self.server):
            self.wrong(f"{left} connections that the server still has")
        print(f"  at first {before}\n  at last  {after}")

    def report(self) -> None:
        print(
            f"  {self.cancelled} cancels, {self.counts['twice']} of them twice; {self.was_reset} streams, most of them"
            f" reset; {len(self.resident)} rounds"
        )
        print(f"  {dict(sorted(self.counts.items()))}")
        settled = self.resident[len(self.resident) // 4 :]
        first, last = settled[0][1], settled[-1][1]
        print(f"  memory {first:.1f} -> {last:.1f} MiB, slope {slope(settled) * 3600:+.2f} MiB/h")


def slope(points: list[tuple[float, float]]) -> float:
    """Of the line nearest to the points, by least squares."""
    middle_x, middle_y = (sum(column) / len(points) for column in zip(*points, strict=True))
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / spread if spread else 0.0


def soak(backend: str, asked: argparse.Namespace) -> int:
    """One backend, in this process."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    os.environ["HEADWATER_TEST_MODE"] = "1"
    warnings.simplefilter("error")
    with load.serving() as server:
        run = Soak(server, seed=4)
        counts = (asked.cancels, asked.resets, asked.in_memory, asked.streams)
        anyio.run(run.run, asked.minutes * 60, *counts, **BACKENDS[backend])
    run.report()
    return 1 if run.problems else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="nox -s soak --", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2, help="for each backend")
    parser.add_argument("--cancels", type=int, default=0, help="at least so many for each backend")
    parser.add_argument("--resets", type=int, default=0, help="at least so many streams that may be reset, for each")
    parser.add_argument("--in-memory", type=int, default=0, help="cancels without sockets, for each backend")
    parser.add_argument("--backend", nargs="+", choices=BACKENDS, default=["asyncio", "trio"])
    parser.add_argument("--streams", type=int, default=2000, help="paced streams at once, at the end")
    asked = parser.parse_args()
    if len(asked.backend) == 1:
        print(asked.backend[0], flush=True)
        return soak(asked.backend[0], asked)
    numbers = {name: value for name, value in vars(asked).items() if name != "backend"}
    passed_on = [f"--{name.replace('_', '-')}={value}" for name, value in numbers.items()]
    command = [sys.executable, __file__, *passed_on, "--backend"]
    return max(subprocess.run([*command, backend], check=False).returncode for backend in asked.backend)


if __name__ == "__main__":
    sys.exit(main())
