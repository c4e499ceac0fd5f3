"""Many streams held open at once: what each chunk costs, with connecting counted and without, and each stream's memory.

The server sends every stream its first event and keeps the others back until all are open. From that moment on CPU
time is also counted by itself, and resident memory is looked at twice a second. A thread waits for the moment, so
that no client has to know of it. Refuses to open the streams itself.
"""

import gc
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, Self
from urllib.parse import urlsplit

from benchmarks import machine, work

WARM_UP = 50  # streams, one after another: one connection is kept at most
EVERY = 0.5  # seconds between two looks at the memory


class Watch:
    """Waits in a thread for the server's word that all streams are open, then notes CPU time and memory."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port))
        if parts.scheme == "https":
            context = ssl.create_default_context()
            self.socket = context.wrap_socket(self.socket, server_hostname=parts.hostname)
        self.socket.sendall(b"GET /opened HTTP/1.1\r\nhost: bench\r\n\r\n")
        self.idle = machine.resident_memory()
        self.most = 0
        self.opened: tuple[float, float] | None = None
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.over.set()
        socket.socket.shutdown(self.socket, socket.SHUT_RDWR)
        self.thread.join()
        self.socket.close()

    def _look(self) -> None:
        if not self.socket.recv(4096):
            return
        self.opened = (time.process_time(), time.perf_counter())
        self.most = machine.resident_memory()
        while not self.over.wait(EVERY):
            self.most = max(self.most, machine.resident_memory())


async def run(job: work.Job, make: Callable[[str], Any], url: str, spawn: work.Spawn) -> dict[str, Any]:
    """Open all streams at once and read each to its end."""
    async with make(url + job.path) as client:
        for _ in range(WARM_UP):
            await work.one(job, client, work.WARM_UP_CHUNKS)
        gc.collect()
        with Watch(url) as watch:
            begun = (time.process_time(), time.perf_counter())
            await spawn(lambda: work.one(job, client, job.chunks), job.calls)
            ended = (time.process_time(), time.perf_counter())
    if watch.opened is None:
        raise work.MismatchError("expected all streams to be open at once")
    later = job.calls * (job.chunks - 1)
    return {
        "cpu": [(ended[0] - begun[0]) / job.units],
        "wall": [(ended[1] - begun[1]) / job.units],
        "cpu_open": [(ended[0] - watch.opened[0]) / later],
        "kib_per_stream": [(watch.most - watch.idle) / 1024 / job.calls],
        "opened_after": [watch.opened[1] - begun[1]],
        "read_in": [ended[1] - watch.opened[1]],
    }
