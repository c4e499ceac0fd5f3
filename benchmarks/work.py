"""What is measured: one row per benchmark, and the round of work that each repeats.

A round returns only after comparing all that was received with what the server sent. Refuses to know any
client, to start processes, or to read a clock.
"""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks import wire

Spawn = Callable[[Callable[[], Awaitable[None]], int], Awaitable[None]]

ASYNC = (
    "raw",
    "headwater-asyncio",
    "headwater-uvloop",
    "headwater-trio",
    "aiohttp",
    "httpx",
    "huggingface_hub",
    "openai",
)
SYNC = ("raw-sync", "headwater-sync", "httpx-sync", "huggingface_hub-sync", "openai-sync")
PACKERS = ("raw", "headwater-asyncio", "headwater-uvloop", "headwater-trio", "aiohttp", "httpx", "openai")
CHURNERS = ("headwater-asyncio", "headwater-trio")


class Job(NamedTuple):
    """One benchmark. A round does `calls` calls, `at_once` of them at a time, of `chunks` chunks each."""

    title: str
    path: str
    clients: tuple[str, ...]
    unit: str
    kind: str
    calls: int
    at_once: int = 1
    chunks: int = 0
    repeats: int = 7
    budget: float = 6.0  # seconds of measured time after which no further repeat is begun

    @property
    def units(self) -> int:
        """How many units one round is."""
        return self.calls * max(self.chunks, 1)


JOBS = {
    "stream_2000": Job("One stream of 2,000 chunks", "/stream-2000", ASYNC, "chunk", "stream", calls=5, chunks=2000),
    "chat_serial": Job("Chat completions, one at a time", "/chat", ASYNC, "call", "chat", calls=200),
    "chat_512": Job("Chat completions, 512 at once", "/chat", ASYNC, "call", "chat", calls=512, at_once=512),
    "streams_1000": Job(
        "1,000 streams at once, a chunk every 20 ms each",
        "/paced-20ms-50",
        ASYNC,
        "chunk",
        "stream",
        calls=1000,
        at_once=1000,
        chunks=50,
        repeats=5,
    ),
    "sync_stream_2000": Job(
        "Blocking: one stream of 2,000 chunks", "/stream-2000", SYNC, "chunk", "stream", calls=5, chunks=2000
    ),
    "sync_chat": Job("Blocking: chat completions, one at a time", "/chat", SYNC, "call", "chat", calls=200),
    "embeddings_100x1024": Job(
        "100 embeddings of 1,024 floats to numpy, JSON numbers",
        "/embed-100x1024",
        ASYNC,
        "call",
        "embed",
        calls=5,
    ),
    "embeddings_base64": Job(
        "100 embeddings of 1,024 floats to numpy, base64",
        "/embed-100x1024",
        PACKERS,
        "call",
        "embed_packed",
        calls=5,
    ),
    "cancel_churn": Job(
        "1,000 open streams cancelled at random, again and again",
        "/paced-20ms-500",
        CHURNERS,
        "cancelled stream",
        "churn",
        calls=1000,
        at_once=1000,
        chunks=0,
        repeats=100,
    ),
}
TEXTS = [f"Document number {index}: what a river carries." for index in range(100)]
WARM_UP_CHUNKS = 2


class MismatchError(AssertionError):
    """A client returned something other than what the server sent."""


def quick(job: Job) -> Job:
    """A smaller form of a job: fewer repeats, shorter paced streams."""
    if job.kind == "churn":
        return job._replace(repeats=10)
    chunks = 20 if job.at_once > 1 and job.chunks else job.chunks
    return job._replace(chunks=chunks, repeats=3, budget=1.5)


async def one(job: Job, client: Any, chunks: int) -> None:
    """One verified call of an async client."""
    if job.kind == "chat":
        check(await client.chat() == wire.CHAT_TEXT, "text")
    elif job.kind == "stream":
        check_stream(await client.stream(chunks), chunks)
    else:
        check_matrix(await client.embed(TEXTS, packed=job.kind == "embed_packed"))


def one_blocking(job: Job, client: Any, chunks: int) -> None:
    """One verified call of a blocking client."""
    if job.kind == "chat":
        check(client.chat() == wire.CHAT_TEXT, "text")
    else:
        check_stream(client.stream(chunks), chunks)


async def work_round(job: Job, client: Any, spawn: Spawn, *, warm_up: bool = False) -> None:
    """One round; a warm-up round of paced streams opens every connection and takes few chunks."""
    chunks = min(job.chunks, WARM_UP_CHUNKS) if warm_up and job.at_once > 1 else job.chunks
    if job.at_once > 1:
        await spawn(lambda: one(job, client, chunks), job.calls)
        return
    for _ in range(job.calls):
        await one(job, client, chunks)


def blocking_round(job: Job, client: Any) -> None:
    """One round of a blocking client."""
    for _ in range(job.calls):
        one_blocking(job, client, job.chunks)


def check_stream(texts: list[str], chunks: int) -> None:
    """Every chunk came, alone and in order."""
    check(len(texts) == chunks, f"{chunks} chunks, not {len(texts)}")
    check("".join(texts) == wire.stream_text(chunks), "the streamed text")


def check_matrix(matrix: Any) -> None:
    """A float32 array of the right numbers."""
    expected = wire.vectors(100, 1024)
    check(isinstance(matrix, np.ndarray) and matrix.dtype == np.float32, "a float32 array")
    check(matrix.shape == (100, 1024), f"100 x 1024, not {matrix.shape}")
    check(bool(np.allclose(matrix[::33, ::341], [row[::341] for row in expected[::33]])), "the numbers")


def check(right: bool, wanted: str) -> None:
    """Fail the client that did not do the work."""
    if not right:
        raise MismatchError(f"expected {wanted}")
