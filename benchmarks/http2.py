"""What HTTP/2 costs and saves: CPU of a chunk and of beginning a stream, handshakes and memory, beside HTTP/1.1.

    python -m benchmarks.http2 [--loop NAME ...] [--streams N ...] [--check]

So many streams of chats at once, over TLS, from one server that speaks both: every stream has its first chunk before
any has its second, and then all get `CHUNKS` more, one each in turn. CPU and memory are the client's process's; each
measurement has a process of its own, and so has the server. The server takes 100 streams on a connection. With
`--check` it fails where a chunk costs over 1.5 of HTTP/1.1's.
"""

import argparse
import asyncio
import contextlib
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anyio

from benchmarks import machine

MOST = 1.5
CHUNKS = 10
STREAMS = (512, 10_000)
TAKEN = 100
CHUNK = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"a few words "}}]}\n\n'
LAST = b'data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


class Rounds:
    """The streams that are open; once there are as many as were announced, all of them are served, and once more."""

    def __init__(self) -> None:
        self.open: list[Callable[[bytes, bool], None]] = []
        self.connections = 0

    def add(self, say: Callable[[bytes, bool], None], path: str) -> None:
        say(CHUNK, False)
        self.open.append(say)
        if len(self.open) == int(path.split("/")[1]):
            asyncio.get_running_loop().create_task(self._serve(self.open))
            self.open = []

    async def _serve(self, streams: list[Callable[[bytes, bool], None]]) -> None:
        await asyncio.sleep(3)  # the client measures what it has meanwhile
        for number in range(CHUNKS + 1):
            for index, say in enumerate(streams):
                say(LAST if number == CHUNKS else CHUNK, number == CHUNKS)
                if index % 100 == 99:
                    await asyncio.sleep(0)


class Served(asyncio.Protocol):
    """One connection, in the protocol that was chosen."""

    def __init__(self, rounds: Rounds) -> None:
        self.rounds = rounds
        self.waiting = b""
        self.h2: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.rounds.connections += 1
        if transport.get_extra_info("ssl_object").selected_alpn_protocol() == "h2":
            import h2.config
            import h2.connection

            self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
            self.h2.initiate_connection()
            self.h2.update_settings({3: TAKEN})
            transport.write(self.h2.data_to_send())

    def data_received(self, data: bytes) -> None:
        if self.h2 is None:
            self.waiting += data
            head, found, rest = self.waiting.partition(b"\r\n\r\n")
            if found and len(rest) >= int(head.lower().partition(b"content-length:")[2].split()[0]):
                self.waiting = b""
                self._begin_http11(head.split()[1].decode())
            return
        for event in self.h2.receive_data(data):
            if type(event).__name__ == "RequestReceived":
                self._begin_http2(event.stream_id, dict(event.headers)[b":path"].decode())
        self.transport.write(self.h2.data_to_send())

    def _begin_http11(self, path: str) -> None:
        self.transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
            b"x-connections: %d\r\n\r\n" % self.rounds.connections
        )

        def say(data: bytes, last: bool) -> None:
            self.transport.write(b"%x\r\n%b\r\n" % (len(data), data) + (b"0\r\n\r\n" if last else b""))

        self.rounds.add(say, path)

    def _begin_http2(self, stream_id: int, path: str) -> None:
        count = ("x-connections", str(self.rounds.connections))
        self.h2.send_headers(stream_id, [(":status", "200"), ("content-type", "text/event-stream"), count])

        def say(data: bytes, last: bool) -> None:
            self.h2.send_data(stream_id, data, end_stream=last)
            self.transport.write(self.h2.data_to_send())

        self.rounds.add(say, path)


async def serve(certificate: str, ready: str) -> None:
    """The server, until it is ended."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.set_alpn_protocols(["h2", "http/1.1"])
    loop, rounds = asyncio.get_running_loop(), Rounds()
    server = await loop.create_server(
        lambda: Served(rounds), "127.0.0.1", 0, ssl=context, backlog=4096, ssl_handshake_timeout=300
    )
    Path(ready).write_text(str(server.sockets[0].getsockname()[1]))
    await server.serve_forever()


def resident() -> float:
    """MiB of this process in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024


async def measure(port: int, authority: str, http2: bool, streams: int) -> dict[str, float]:
    """This process: all streams opened, each with its first chunk; and then read to their ends."""
    from headwater import AsyncInferenceClient, Timeout

    first = 0
    patience = Timeout(total=900, connect=900, first_event=900, idle=900)
    all_there = anyio.Event()
    messages = [{"role": "user", "content": "hi"}]

    async def read(number: int) -> None:
        nonlocal first
        chunks = 0
        async with client.chat_completion.stream(messages) as run:
            async for _ in run:
                chunks += 1
                if chunks == 1:
                    first += 1
                    if first == streams:
                        all_there.set()
        assert chunks == CHUNKS + 2, chunks

    base_url = f"https://localhost:{port}/{streams}/v1"
    async with AsyncInferenceClient(base_url=base_url, verify=authority, http2=http2, timeout=patience) as client:
        async with anyio.create_task_group() as group:
            before, began = resident(), time.process_time()
            for number in range(streams):
                group.start_soon(read, number)
            await all_there.wait()
            opened, memory = time.process_time(), resident()
        ended = time.process_time()
    return {
        "begin_us": (opened - began) / streams * 1e6,
        "chunk_us": (ended - opened) / streams / (CHUNKS + 1) * 1e6,
        "kib": (memory - before) * 1024 / streams,
    }


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[int]:
    """The server in a process of its own; its port."""
    import trustme

    authority, ready = trustme.CA(), folder / "port"
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(folder / "identity.pem"))
    ready.unlink(missing_ok=True)
    command = [sys.executable, "-m", "benchmarks.http2", "--serve", str(folder / "identity.pem"), str(ready)]
    with subprocess.Popen(command) as process:
        try:
            while not (ready.exists() and ready.read_text()):
                time.sleep(0.05)
            yield int(ready.read_text())
        finally:
            process.terminate()


def measured(folder: Path, loop: str, streams: int, http2: bool) -> dict[str, float]:
    """One measurement, of a new server and a new client."""
    with serving(folder) as port:
        asked = [loop, str(port), str(folder / "authority.pem"), str(int(http2)), str(streams)]
        command = [sys.executable, "-m", "benchmarks.http2", "--measure", *asked]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        if done.returncode:
            raise SystemExit(done.stderr[-2000:])
        found: dict[str, float] = json.loads(done.stdout)
        return found


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.http2")
    parser.add_argument("--loop", action="append", choices=machine.LOOPS)
    parser.add_argument("--streams", action="append", type=int)
    parser.add_argument("--check", action="store_true")
    asked = parser.parse_args()
    names = ", ".join(f"{name} {version(name)}" for name in ("headwater", "h2", "hpack", "httptools", "anyio"))
    print(f"Python {sys.version.split()[0]}, {ssl.OPENSSL_VERSION}, {names}")
    print(f"{'':>8} {'streams':>8} {'':>9} {'begin, us':>10} {'chunk, us':>10} {'KiB each':>9} {'handshakes':>11}")
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for loop in asked.loop or machine.LOOPS:
            for streams in asked.streams or STREAMS:
                rows = [measured(Path(folder), loop, streams, http2) for http2 in (False, True)]
                for name, row, each in zip(("HTTP/1.1", "HTTP/2"), rows, (1, TAKEN), strict=True):
                    shown = f"{row['begin_us']:10.0f} {row['chunk_us']:10.1f} {row['kib']:9.1f}"
                    print(f"{loop:>8} {streams:>8} {name:>9} {shown} {-(-streams // each):>11}", flush=True)
                worst = max(worst, rows[1]["chunk_us"] / rows[0]["chunk_us"])
    print(f"a chunk costs at most {worst:.2f} of HTTP/1.1's")
    if asked.check and worst > MOST:
        sys.exit(1)


if __name__ == "__main__":
    machine.raise_file_limit()
    if sys.argv[1:2] == ["--serve"]:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve(*sys.argv[2:4]))
    elif sys.argv[1:2] == ["--measure"]:
        name, port, authority, http2, streams = sys.argv[2:]
        print(json.dumps(anyio.run(measure, int(port), authority, http2 == "1", int(streams), **machine.LOOPS[name])))
    else:
        main()
