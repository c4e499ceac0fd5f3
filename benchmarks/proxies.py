"""What a call costs through a proxy: CPU of the client's process, beside the same call made directly.

    python -m benchmarks.proxies [--loop NAME ...] [--calls N] [--check]

An HTTP proxy that is asked in the absolute form, a SOCKS5 proxy, and CONNECT with TLS to the server behind it, 64 and
512 at once, over kept connections, as directly beside them. The load server and the proxies have processes of their
own. With `--check` it fails where a proxied call costs more than 1.25 of the direct one. A proxy that is itself reached
by TLS is printed and not judged: what goes through it is encrypted once more than directly.
"""

import argparse
import asyncio
import contextlib
import os
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio

from benchmarks import machine, running, wire
from headwater import AsyncInferenceClient, Timeout

MOST = 1.25
AT_ONCE = (64, 512)
ROUNDS = 5
PATIENT = Timeout(connect=120)
"""512 handshakes at once are one after the other to a proxy that is Python, and has one core."""


class Relay(asyncio.Protocol):
    """The proxy's side of one connection: what comes first says what kind it is."""

    def __init__(self) -> None:
        self.up: asyncio.Transport | None = None
        self.waiting = b""
        self.rewrites = self.asked_socks = False
        self.opening: asyncio.Task[None] | None = None

    def connection_made(self, transport: Any) -> None:
        self.down = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self.up is not None:
            self.up.abort()

    def data_received(self, data: bytes) -> None:
        if self.up is not None:
            self.up.write(self._rewritten(data) if self.rewrites else data)
            return
        self.waiting += data
        if self.opening is None:
            self._begin(self.waiting)

    def _begin(self, data: bytes) -> None:
        if data[:1] == b"\5":
            if not self.asked_socks:
                self.asked_socks, self.waiting = True, b""
                self.down.write(b"\5\0")
            else:
                self._open(".".join(map(str, data[4:8])), int.from_bytes(data[8:10], "big"), b"\5\0\0\1" + bytes(6))
        elif data.startswith(b"CONNECT ") and b"\r\n\r\n" in data:
            host, port = data.split()[1].decode().split(":")
            self._open(host, int(port), b"HTTP/1.1 200 OK\r\n\r\n")
        elif b"\r\n\r\n" in data:
            self.rewrites = True
            host, port = data.split()[1].decode().split("/")[2].split(":")
            self._open(host, int(port), b"")

    def _open(self, host: str, port: int, answer: bytes) -> None:
        self.opening = asyncio.get_running_loop().create_task(self._connect(host, port, answer))

    async def _connect(self, host: str, port: int, answer: bytes) -> None:
        loop = asyncio.get_running_loop()
        self.up, _ = await loop.create_connection(lambda: Back(self.down), host, port)
        self.down.write(answer)
        if self.rewrites:
            self.up.write(self._rewritten(self.waiting))
        self.waiting = b""

    def _rewritten(self, data: bytes) -> bytes:
        method, found, rest = data.partition(b" http://")
        return method + b" /" + rest.partition(b"/")[2] if found and method.isalpha() else data


class Back(asyncio.Protocol):
    """The server's side."""

    def __init__(self, down: asyncio.Transport) -> None:
        self.down = down

    def data_received(self, data: bytes) -> None:
        self.down.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.down.close()


async def relay(identity: str | None) -> None:
    """Serve until the standard input ends."""
    loop = asyncio.get_running_loop()
    context = None
    if identity is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(identity)
    server = await loop.create_server(Relay, "127.0.0.1", 0, backlog=2048, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


@contextlib.contextmanager
def proxy(core: int | None, identity: Path | None = None) -> Iterator[int]:
    """The relay in a process of its own, reached by TLS where it has an identity; its port."""
    command = [sys.executable, "-m", "benchmarks.proxies", "--relay"]
    command += [] if core is None else ["--core", str(core)]
    command += [] if identity is None else ["--identity", str(identity)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=running.ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.communicate(timeout=10)


async def spent(client: AsyncInferenceClient, at_once: int, calls: int) -> float:
    """Microseconds of CPU for one of so many calls."""
    left = iter(range(calls))

    async def work() -> None:
        for _ in left:
            await client.chat_completion(wire.MESSAGES, model=wire.MODEL, max_tokens=wire.MAX_TOKENS)

    began = time.process_time()
    async with anyio.create_task_group() as group:
        for _ in range(at_once):
            group.start_soon(work)
    return (time.process_time() - began) / calls * 1e6


async def compared(plain: str, secure: str, port: int, tls_port: int, calls: int) -> dict[tuple[str, int], float]:
    """CPU of a call on each way, and at each number at once: the least of the rounds, which take turns."""
    ways: dict[str, tuple[str, str | None]] = {
        "http, direct": (plain, None),
        "http, HTTP proxy": (plain, f"http://127.0.0.1:{port}"),
        "http, SOCKS5": (plain, f"socks5://127.0.0.1:{port}"),
        "http, TLS proxy": (plain, f"https://127.0.0.1:{tls_port}"),
        "https, direct": (secure, None),
        "https, CONNECT": (secure, f"http://127.0.0.1:{port}"),
        "https, TLS proxy": (secure, f"https://127.0.0.1:{tls_port}"),
    }
    clients = {
        way: AsyncInferenceClient(base_url=f"{url}/chat/v1", proxies=through, trust_env=False, timeout=PATIENT)
        for way, (url, through) in ways.items()
    }
    found: dict[tuple[str, int], float] = {}
    for at_once in AT_ONCE:
        rounds: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(ROUNDS + 1):
            for way, client in clients.items():
                cost = await spent(client, at_once, max(calls, at_once))
                if number:  # the first one connects
                    rounds[way].append(cost)
        found |= {(way, at_once): min(costs) for way, costs in rounds.items()}
    for client in clients.values():
        await client.close()
    return found


def main() -> int:
    """Measure, print, and judge where that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.proxies", description=__doc__)
    parser.add_argument("--loop", nargs="+", choices=machine.LOOPS, default=list(machine.LOOPS))
    parser.add_argument("--calls", type=int, default=2000, help="in one round")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--relay", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--identity", default=None, help=argparse.SUPPRESS)
    parser.add_argument("--core", type=int, default=None, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    machine.raise_file_limit()
    if asked.relay:
        machine.pin(asked.core)
        asyncio.run(relay(asked.identity))
        return 0
    worst, within = 0.0, 0.0
    ours, theirs = machine.cores()
    with (
        tempfile.TemporaryDirectory() as folder,
        running.servers(theirs, Path(folder)) as servers,
        proxy(theirs) as port,
        proxy(theirs, servers.identity) as tls_port,
    ):
        os.environ["SSL_CERT_FILE"] = str(servers.authority)
        machine.pin(ours)
        for name in asked.loop:
            where = (next(servers.plain), next(servers.secure), port, tls_port, asked.calls)
            found = anyio.run(compared, *where, **machine.LOOPS[name])
            for (way, at_once), cost in found.items():
                direct = found[f"{way.partition(',')[0]}, direct", at_once]
                if way.endswith("TLS proxy"):
                    within = max(within, cost / direct)
                else:
                    worst = max(worst, cost / direct)
                print(f"{name:8} {at_once:4} at once  {way:18} {cost:7.1f} us  {cost / direct:5.2f}", flush=True)
    print(f"the most that a proxied call costs of a direct one: {worst:.2f}; by TLS to the proxy: {within:.2f}")
    return 1 if asked.check and worst > MOST else 0


if __name__ == "__main__":
    sys.exit(main())
