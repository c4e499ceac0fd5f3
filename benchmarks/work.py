"""What is measured: one row per benchmark, and the round of work that each repeats.

A round returns only after comparing all that was received with what the server sent. Refuses to know any
client, to start processes, or to read a clock.
"""

from collections.abc import Awaitable, Callable
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from benchmarks import wire

Spawn = Callable[[Callable[[], Awaitable[None]], int], Awaitable[None]]

OURS = ("headwater-asyncio", "headwater-uvloop", "headwater-trio")
MAPS = ("headwater-map-asyncio", "headwater-map-uvloop", "headwater-map-trio")
ASYNC = ("raw", *OURS, "aiohttp", "httpx", "httpx2", "huggingface_hub", "openai")
SYNC = ("raw-sync", "headwater-sync", "httpx-sync", "huggingface_hub-sync", "openai-sync")
# Each `map` right after the bare calls that it is held against, so that a busy machine disturbs both alike.
QUEUED = (
    "raw",
    *chain.from_iterable(zip(OURS, MAPS, strict=True)),
    "aiohttp",
    "httpx",
    "httpx2",
    "huggingface_hub",
    "openai",
)
PACKERS = ("raw", *OURS, "aiohttp", "httpx", "openai")
THREADED = (*OURS, "headwater-sync", "httpx-sync", "huggingface_hub-sync", "openai-sync")
ON_POOL = tuple(
    f"{package}{transport}{loop}"
    for package in ("openai", "anthropic", "huggingface_hub", "mcp")
    for loop in ("", "-trio")
    for transport in ("", "-pool")
)
CHURNERS = ("headwater-asyncio", "headwater-trio")
CROWDS = (100, 1000, 4000, 10000)
STEPS = (2_500, 5_000, 10_000, 20_000, 30_000, 40_000, 60_000)  # chunks a second, over 1,000 streams
LATE = 0.05  # seconds of p99 from which on a client no longer keeps up: it is not asked for the next step
CONCURRENCIES = (1, 8, 64, 512)


class Job(NamedTuple):
    """One benchmark. A round does `calls` calls, `at_once` of them at a time, of `chunks` chunks each.

    `passes`: how often each client gets a process of its own, all of them in turn. `limit`: seconds for one process.
    `largest`: what the rounds of `full` do. `secure`: over TLS.
    """

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
    passes: int = 1
    limit: float = 240.0
    largest: int = 0
    secure: bool = False

    @property
    def units(self) -> int:
        """How many units one round is."""
        return self.calls * max(self.chunks, 1)


def _crowd(count: int) -> Job:
    return Job(
        f"{count:,} streams open at once, a chunk a second each",
        f"/open-{count}-1000ms-20",
        ASYNC,
        "chunk",
        "open",
        calls=count,
        at_once=count,
        chunks=20,
        repeats=1,
        passes=2,
        limit=150.0,
    )


def _calls(at_once: int) -> Job:
    return Job(
        f"A queue of chat completions, {at_once} at a time",
        "/chat",
        QUEUED,
        "call",
        "queue",
        calls=max(500, 20 * at_once),
        at_once=at_once,
        repeats=2,
        passes=6,
        limit=1800.0,
        largest=100_000 if at_once == CONCURRENCIES[-1] else 0,
    )


def _delay(count: int, interval: int, chunks: int) -> Job:
    """`count` streams, each with a chunk every `interval` microseconds."""
    rate = count * 1_000_000 // interval
    return Job(
        f"Delay from a server's write to the loop's body: {count:,} streams, {rate:,} chunks a second in all",
        f"/delay-{count}-{interval}us-{chunks}",
        ASYNC,
        "chunk",
        "delay",
        calls=count,
        at_once=count,
        chunks=chunks,
        repeats=1,
        passes=3,
        limit=60.0,
    )


def _secure(job: Job) -> Job:
    return job._replace(title=f"{job.title}, over TLS", secure=True)


PLAIN = {
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
}
SCALES = {
    **{f"open_{count}": _crowd(count) for count in CROWDS},
    **{f"calls_{at_once}": _calls(at_once) for at_once in CONCURRENCIES},
}
DELAYS = {
    "delay_1": _delay(1, 10_000, 501),
    "delay_100": _delay(100, 100_000, 51),
    "delay_1000": _delay(1000, 100_000, 51),
    "delay_10000": _delay(10_000, 1_000_000, 6),
}
RATES = {f"rate_{rate}": _delay(1000, 1_000_000_000 // rate, 3 * rate // 1000)._replace(passes=1) for rate in STEPS}
SECURE = PLAIN | {name: SCALES[name] for name in ("open_1000", "calls_512")}
JOBS = (
    PLAIN
    | SCALES
    | DELAYS
    | RATES
    | {
        **{f"tls_{name}": _secure(job) for name, job in SECURE.items()},
        "threads_32": Job(
            "A queue of chat completions, 32 threads sharing a client, or 32 tasks",
            "/chat",
            THREADED,
            "call",
            "queue",
            calls=1600,
            at_once=32,
            repeats=2,
            passes=6,
        ),
        "sync_stream_2000": Job(
            "Blocking: one stream of 2,000 chunks", "/stream-2000", SYNC, "chunk", "stream", calls=5, chunks=2000
        ),
        "sync_chat": Job(
            "Blocking, and headwater's async beside: chat completions, one at a time",
            "/chat",
            (*SYNC, *OURS),
            "call",
            "chat",
            calls=200,
            repeats=3,
            passes=6,
        ),
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
        "pool_512": Job(
            "Packages on httpx2, on its transport and on headwater's pool: 512 requests at once",
            "/chat",
            ON_POOL,
            "request",
            "chat",
            calls=512,
            at_once=512,
            repeats=3,
            passes=2,
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
)
GROUPS = {
    "streams": tuple(f"open_{count}" for count in CROWDS),
    "delays": tuple(DELAYS),
    "rates": tuple(RATES),
    "map": tuple(f"calls_{at_once}" for at_once in CONCURRENCIES),
    "tls": tuple(f"tls_{name}" for name in SECURE),
    "sync": ("threads_32", "sync_stream_2000", "sync_chat"),
}
TEXTS = [f"Document number {index}: what a river carries." for index in range(100)]
WARM_UP_CHUNKS = 2


class MismatchError(AssertionError):
    """A client returned something other than what the server sent."""


def quick(job: Job) -> Job:
    """A smaller form of a job: fewer repeats, shorter paced streams."""
    if job.kind == "churn":
        return job._replace(repeats=10)
    if job.kind == "open":
        path = job.path.rpartition("-")[0] + "-6"
        return job._replace(path=path, chunks=6, passes=1, limit=45.0)
    if job.kind == "delay":
        return job._replace(passes=1)
    if job.kind == "queue":
        return job._replace(calls=max(200, 6 * job.at_once), repeats=1, passes=3, budget=1.5)
    chunks = 20 if job.at_once > 1 and job.chunks else job.chunks
    passes = min(job.passes, 3)
    return job._replace(chunks=chunks, repeats=3 if passes == 1 else 1, budget=1.5, passes=passes)


def full(job: Job) -> Job:
    """The largest form of a job: one round of all the calls that the project makes a claim about."""
    return job._replace(calls=job.largest, repeats=1, passes=1, budget=job.limit) if job.largest else job


SIZES: dict[str, Callable[[Job], Job]] = {"quick": quick, "usual": lambda job: job, "full": full}


def sized(name: str, size: str) -> Job:
    """A job in one of its forms."""
    return SIZES[size](JOBS[name])


async def one(job: Job, client: Any, chunks: int) -> None:
    """One verified call of an async client."""
    if job.kind in {"chat", "queue"}:
        check(await client.chat() == wire.CHAT_TEXT, "text")
    elif job.kind in {"stream", "open", "delay"}:
        check_stream(await client.stream(chunks), chunks)
    else:
        check_matrix(await client.embed(TEXTS, packed=job.kind == "embed_packed"))


def one_blocking(job: Job, client: Any, chunks: int) -> None:
    """One verified call of a blocking client."""
    if job.kind in {"chat", "queue"}:
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
