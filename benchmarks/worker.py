"""One benchmark with one client, in a process of its own.

    python -m benchmarks.worker BENCH CLIENT URL [--size quick|usual|full] [--core N]

Warms up, repeats, and prints one line of JSON: CPU and wall seconds per unit of each round, and peak memory.
Anything that goes wrong is reported in that line as `failed`, or as `skipped` when the client's library is
missing. Refuses to compare.
"""

import argparse
import asyncio
import json
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks import churn, clients, crowd, delay, feed, machine, work

Report = dict[str, Any]


class Clock:
    """CPU and wall time per unit of each round."""

    def __init__(self, job: work.Job) -> None:
        self.job = job
        self.cpu: list[float] = []
        self.wall: list[float] = []
        self.spent = 0.0
        self.units = 0

    def wants_more(self) -> bool:
        """Whether another round is due: repeats left, and the budget not used up."""
        return len(self.cpu) < self.job.repeats and self.spent < self.job.budget

    def start(self) -> None:
        self.begun = (time.process_time(), time.perf_counter())

    def stop(self, units: int) -> None:
        cpu, wall = time.process_time() - self.begun[0], time.perf_counter() - self.begun[1]
        self.cpu.append(cpu / units)
        self.wall.append(wall / units)
        self.spent += wall
        self.units += units

    def report(self) -> Report:
        return {"cpu": self.cpu, "wall": self.wall, "units": self.units}


async def spawn_asyncio(call: Callable[[], Awaitable[None]], count: int) -> None:
    """Run that many calls at once, the native way."""
    await asyncio.gather(*(call() for _ in range(count)))


async def spawn_trio(call: Callable[[], Awaitable[None]], count: int) -> None:
    """Run that many calls at once, the native way."""
    import trio

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(call)


async def measure(job: work.Job, make: Callable[[str], Any], url: str, spawn: work.Spawn, way: str) -> Report:
    """The rounds of an async client."""
    if job.kind == "churn":
        return await churn.run(job, make, url, spawn)
    if job.kind == "open":
        return await crowd.run(job, make, url, spawn)
    if job.kind == "delay":
        return await delay.run(job, make, url, spawn)
    if job.kind == "queue":
        return await measure_queue(job, make, url, spawn, way)
    clock = Clock(job)
    async with make(url + job.path) as client:
        await work.work_round(job, client, spawn, warm_up=True)
        while clock.wants_more():
            clock.start()
            await work.work_round(job, client, spawn)
            clock.stop(job.units)
        counted = {"python_calls": await python_calls(job, client, spawn)} if job.at_once == 1 else {}
    return clock.report() | counted


async def python_calls(job: work.Job, client: Any, spawn: work.Spawn) -> float:
    """How many Python functions are entered for a unit, coroutines that go on included: no noise moves that."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        await work.work_round(job, client, spawn)
    finally:
        sys.setprofile(None)
    return calls / job.units


async def measure_queue(job: work.Job, make: Callable[[str], Any], url: str, spawn: work.Spawn, way: str) -> Report:
    """The rounds of an async client that works off a queue."""
    clock = Clock(job)
    async with make(url + job.path) as client:
        await feed.WAYS[way](job, client, feed.Feed(2 * job.at_once, job.limit), spawn)
        while clock.wants_more():
            inputs = feed.Feed(job.calls, job.budget)
            clock.start()
            await feed.WAYS[way](job, client, inputs, spawn)
            clock.stop(inputs.taken)
    return clock.report()


def measure_blocking(job: work.Job, make: Callable[[str], Any], url: str) -> Report:
    """The rounds of a blocking client."""
    clock = Clock(job)
    with make(url + job.path) as client:
        if job.kind == "queue":
            measure_threads(job, client, clock)
            return clock.report()
        work.blocking_round(job, client)
        while clock.wants_more():
            clock.start()
            work.blocking_round(job, client)
            clock.stop(job.units)
    return clock.report()


def measure_threads(job: work.Job, client: Any, clock: Clock) -> None:
    """The rounds of threads that share a blocking client."""
    feed.blocking_round(job, client, feed.Feed(2 * job.at_once, job.limit))
    while clock.wants_more():
        inputs = feed.Feed(job.calls, job.budget)
        clock.start()
        feed.blocking_round(job, client, inputs)
        clock.stop(inputs.taken)


def on_loop(row: clients.Row, job: work.Job, make: Callable[[str], Any], url: str) -> Report:
    """Run the measurement on the client's own event loop, or on none."""
    if row.loop == "sync":
        return measure_blocking(job, make, url)
    if row.loop == "trio":
        import trio

        report: Report = trio.run(measure, job, make, url, spawn_trio, row.way)
        return report
    if row.loop == "uvloop":
        import uvloop

        return uvloop.run(measure(job, make, url, spawn_asyncio, row.way))
    return asyncio.run(measure(job, make, url, spawn_asyncio, row.way))


def attempt(arguments: argparse.Namespace) -> Report:
    """Measure, or say why not."""
    job = work.sized(arguments.bench, arguments.size)
    try:
        make = clients.load(arguments.client)
    except (ImportError, AttributeError) as error:
        return {"skipped": f"{type(error).__name__}: {error}"}
    try:
        return on_loop(clients.CLIENTS[arguments.client], job, make, arguments.url)
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
    parser.add_argument("--size", choices=work.SIZES, default="usual")
    parser.add_argument("--core", type=int, default=None)
    arguments = parser.parse_args()
    machine.pin(arguments.core)
    machine.raise_file_limit()
    report = attempt(arguments)
    print(json.dumps(report | {"memory": machine.peak_memory()}), flush=True)


if __name__ == "__main__":
    main()
