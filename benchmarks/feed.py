"""A queue of chat completions, so many at a time: by worker tasks, threads, a semaphore or the client's own map.

Each client does it the way in which its users do. Refuses to decide how much work there is.
"""

import asyncio
import operator
import threading
import time
from collections.abc import Iterator
from typing import Any

from benchmarks import wire, work


class Feed(Iterator[wire.Messages]):
    """The inputs of one round: `count` times the same one, none once `seconds` are over. Threads may share it."""

    def __init__(self, count: int, seconds: float) -> None:
        self.count = count
        self.until = time.perf_counter() + seconds
        self.rest = iter([wire.MESSAGES] * count)

    def __next__(self) -> wire.Messages:
        if time.perf_counter() > self.until:
            raise StopIteration
        return next(self.rest)

    @property
    def taken(self) -> int:
        """How many were taken."""
        return self.count - operator.length_hint(self.rest)


async def by_workers(job: work.Job, client: Any, feed: Feed, spawn: work.Spawn) -> None:
    """As many tasks as calls are wanted at once, each with its next call as soon as the last is done."""

    async def worker() -> None:
        for _ in feed:
            await work.one(job, client, 0)

    await spawn(worker, job.at_once)


async def by_semaphore(job: work.Job, client: Any, feed: Feed, _spawn: work.Spawn) -> None:
    """A task for each call, begun when the semaphore lets it."""
    semaphore = asyncio.Semaphore(job.at_once)

    async def call() -> None:
        try:
            await work.one(job, client, 0)
        finally:
            semaphore.release()

    async with asyncio.TaskGroup() as tasks:
        for _ in feed:
            await semaphore.acquire()
            tasks.create_task(call())


async def by_map(job: work.Job, client: Any, feed: Feed, _spawn: work.Spawn) -> None:
    """The client's own way."""
    await client.mapped(feed, job.at_once, lambda text: work.check(text == wire.CHAT_TEXT, "text"))


WAYS = {"workers": by_workers, "semaphore": by_semaphore, "map": by_map}


def blocking_round(job: work.Job, client: Any, feed: Feed) -> None:
    """One round by threads that share one blocking client."""
    errors: list[Exception] = []

    def worker() -> None:
        try:
            for _ in feed:
                work.one_blocking(job, client, 0)
        except Exception as error:  # noqa: BLE001  raised below, in the main thread
            errors.append(error)

    threads = [threading.Thread(target=worker) for _ in range(job.at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in errors:
        raise error
