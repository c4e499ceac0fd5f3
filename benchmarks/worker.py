"""One benchmark with one client, in a process of its own.

    python -m benchmarks.worker BENCH CLIENT URL [--quick] [--core N]

Warms up, repeats, and prints one line of JSON: CPU and wall seconds per unit of each round, and peak memory.
Anything that goes wrong is reported in that line as `failed`, or as `skipped` when the client's library is
missing. Refuses to compare.
"""

import argparse
import asyncio
import functools
import json
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks import churn, clients, machine, work

Report = dict[str, Any]


class Clock:
    """CPU and wall time per unit of each round."""

    def __init__(self, job: work.Job) -> None:
        self.job = job
        self.cpu: list[float] = []
        self.wall: list[float] = []

    def wants_more(self) -> bool:
        """Whether another round is due: repeats left, and the budget not used up."""
        return len(self.cpu) < self.job.repeats and (sum(self.wall) * self.job.units < self.job.budget)

    def start(self) -> None:
        self.begun = (time.process_time(), time.perf_counter())

    def stop(self) -> None:
        cpu, wall = time.process_time() - self.begun[0], time.perf_counter() - self.begun[1]
        self.cpu.append(cpu / self.job.units)
        self.wall.append(wall / self.job.units)

    def report(self) -> Report:
        return {"cpu": self.cpu, "wall": self.wall}


async def spawn_asyncio(call: Callable[[], Awaitable[None]], count: int) -> None:
    """Run that many calls at once, the native way."""
    await asyncio.gather(*(call() for _ in range(count)))


async def spawn_trio(call: Callable[[], Awaitable[None]], count: int) -> None:
    """Run that many calls at once, the native way."""
    import trio

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(call)


async def measure(job: work.Job, make: Callable[[str], Any], url: str, spawn: work.Spawn) -> Report:
    """The rounds of an async client."""
    if job.kind == "churn":
        return await churn.run(job, make, url, spawn)
    clock = Clock(job)
    async with make(url + job.path) as client:
        await work.work_round(job, client, spawn, warm_up=True)
        while clock.wants_more():
            clock.start()
            await work.work_round(job, client, spawn)
            clock.stop()
    return clock.report()


def measure_blocking(job: work.Job, make: Callable[[str], Any], url: str) -> Report:
    """The rounds of a blocking client."""
    clock = Clock(job)
    with make(url + job.path) as client:
        work.blocking_round(job, client)
        while clock.wants_more():
            clock.start()
            work.blocking_round(job, client)
            clock.stop()
    return clock.report()


def on_loop(loop: str, job: work.Job, make: Callable[[str], Any], url: str) -> Report:
    """Run the measurement on the client's own event loop, or on none."""
    if loop == "sync":
        return measure_blocking(job, make, url)
    if loop == "trio":
        import trio

        report: Report = trio.run(functools.partial(measure, job, make, url, spawn_trio))
        return report
    if loop == "uvloop":
        import uvloop

        return uvloop.run(measure(job, make, url, spawn_asyncio))
    return asyncio.run(measure(job, make, url, spawn_asyncio))


def attempt(arguments: argparse.Namespace) -> Report:
    """Measure, or say why not."""
    job = work.JOBS[arguments.bench]
    try:
        make = clients.load(arguments.client)
    except (ImportError, AttributeError) as error:
        return {"skipped": f"{type(error).__name__}: {error}"}
    try:
        return on_loop(
            clients.CLIENTS[arguments.client].loop,
            work.quick(job) if arguments.quick else job,
            make,
            arguments.url,
        )
    except NotImplementedError as error:
        return {"skipped": str(error)}
    except Exception as error:  # noqa: BLE001  any client's failure is a result
        return {"failed": f"{type(error).__name__}: {error}"[:500], "traceback": traceback.format_exc()}


def main() -> None:
    """Parse, pin, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worker")
    parser.add_argument("bench")
    parser.add_argument("client")
    parser.add_argument("url")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--core", type=int, default=None)
    arguments = parser.parse_args()
    machine.pin(arguments.core)
    machine.raise_file_limit()
    report = attempt(arguments)
    print(json.dumps(report | {"memory": machine.peak_memory()}), flush=True)


if __name__ == "__main__":
    main()
