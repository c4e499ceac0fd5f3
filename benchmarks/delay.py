"""The delay of a stream's chunks, from the server's write to the body of the user's loop: p50, p99 and p99.9.

The server writes the time into each chunk's text, and the loop's body looks at the same monotonic clock: the wire, the
kernel, the event loop, the decoding and the waiting behind other streams' chunks are all in it. A client that does not
keep up has delays that grow as long as the server goes on. Every chunk is counted, and each stream's are in order.
"""

import gc
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import work

QUANTILES = {"p50": 0.5, "p99": 0.99, "p999": 0.999}


class Stream:
    """What one stream has handed over, and when."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.times: list[int] = []

    def take(self, text: str) -> None:
        self.times.append(time.perf_counter_ns())
        self.texts.append(text)

    def delays(self, chunks: int) -> Any:
        """Nanoseconds for each chunk but the first, which came when the stream was opened."""
        work.check(len(self.texts) == chunks, f"{chunks} chunks, not {len(self.texts)}")
        written = np.array(self.texts[1:], dtype=np.int64)
        work.check(bool(np.all(np.diff(written) > 0)), "chunks in order")
        return np.array(self.times[1:], dtype=np.int64) - written


async def run(job: work.Job, make: Callable[[str], Any], url: str, spawn: work.Spawn) -> dict[str, Any]:
    """Open all streams, warm, and read each to its end."""
    async with make(url + job.path) as client:
        await spawn(lambda: client.watch(work.WARM_UP_CHUNKS, str), job.calls)
        streams = [Stream() for _ in range(job.calls)]
        rest = iter(streams)
        gc.collect()
        begun = (time.process_time(), time.perf_counter())
        await spawn(lambda: client.watch(job.chunks, next(rest).take), job.calls)
        ended = (time.process_time(), time.perf_counter())
    delays = np.concatenate([stream.delays(job.chunks) for stream in streams]) / 1e9
    written = np.concatenate([np.array(stream.texts[1:], dtype=np.int64) for stream in streams])
    return {
        "cpu": [(ended[0] - begun[0]) / job.units],
        "wall": [(ended[1] - begun[1]) / job.units],
        "written": [(len(written) - 1) * 1e9 / float(np.ptp(written))],
        **{name: [float(np.quantile(delays, part))] for name, part in QUANTILES.items()},
    }
