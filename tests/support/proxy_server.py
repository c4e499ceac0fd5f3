"""A proxy on loopback, in a thread: HTTP (absolute form and CONNECT) and SOCKS5 at one port, over TLS or plain.

It passes on what it gets as it gets it, ends and resets too, and keeps what it was asked. `login` is the user name and
password that it wants; `sleepy` makes it accept and say nothing; `origin` is a port that all are led to, unasked, as
behind what ends TLS before a server.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Any
from urllib.parse import quote, urlsplit

LINGER_AND_RESET = struct.pack("ii", 1, 0)


async def turns() -> None:
    """Some turns of the loop."""
    for _ in range(5):
        await asyncio.sleep(0)


class ProxyServer:
    """`asked`: a line for each request in the absolute form and each way that was opened. `accepted`, `open`: how many
    connections there were, and are. `protocols`: what each of them has agreed on in its TLS. `hosts`: where names lead
    that no resolver knows."""

    def __init__(
        self,
        login: tuple[str, str] | None = None,
        context: ssl.SSLContext | None = None,
        *,
        sleepy: bool = False,
        origin: int | None = None,
    ) -> None:
        self.asked: list[str] = []
        self.protocols: list[str | None] = []
        self.accepted = self.open = 0
        self.hosts: dict[str, str] = {}
        self.login, self.sleepy, self.origin = login, sleepy, origin
        self._context = context
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        # In a context of its own: free-threaded Python would give it the test's, which may be of another event loop.
        self._thread = threading.Thread(target=Context().run, args=(self._run,), daemon=True)
        self._thread.start()
        assert self._ready.wait(20)

    def url(self, scheme: str) -> str:
        """As a client is given it."""
        user = "" if self.login is None else f"{quote(self.login[0], safe='')}:{quote(self.login[1], safe='')}@"
        return f"{scheme}://{user}{self.place}"

    @property
    def place(self) -> str:
        return f"{'localhost' if self._context else '127.0.0.1'}:{self.port}"

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(20)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stopping = asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._context, backlog=1024)
        self.port: int = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopping.wait()
        for sock in server.sockets:
            self._loop.remove_reader(sock.fileno())
        await turns()  # what was accepted last begins, so that it can end: `close` would leave its socket open
        server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await turns()  # connections that were aborted are closed in the next one

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self.open += 1
        if self._context is not None:
            self.protocols.append(writer.get_extra_info("ssl_object").selected_alpn_protocol())
        try:
            if self.sleepy:
                await reader.read()
                return
            if self.origin is not None:
                await self._both_ways(reader, writer, *await self._connect("127.0.0.1", self.origin))
                return
            first = await reader.readexactly(1)
            await (self._socks(reader, writer) if first == b"\5" else self._http(first, reader, writer))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            writer.transport.abort()

    async def _connect(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self.hosts.get(host, host), port)

    # -- HTTP

    async def _http(self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passing: asyncio.Task[None] | None = None
        up: asyncio.StreamWriter | None = None
        try:
            while True:
                head = first + await reader.readuntil(b"\r\n\r\n")
                first = b""
                line, *fields = head.decode("latin-1").split("\r\n")
                self.asked.append(line)
                if not self._may_pass(fields):
                    challenge = "Proxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    writer.write(f"HTTP/1.1 407 Proxy Authentication Required\r\n{challenge}".encode())
                    await writer.drain()
                    return
                method, target, version = line.split()
                if method == "CONNECT":
                    host, _, port = target.rpartition(":")
                    try:
                        there = await self._connect(host.strip("[]"), int(port))
                    except OSError:
                        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
                        return
                    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    await self._both_ways(reader, writer, *there)
                    return
                parts = urlsplit(target)
                if up is None or passing is None or passing.done():
                    down, up = await self._connect(parts.hostname or "", parts.port or 80)
                    passing = asyncio.create_task(self._pass(down, writer))
                kept = [field for field in fields if not field.lower().startswith("proxy-")]
                path = target.partition("://")[2].partition("/")[2]
                up.write("\r\n".join([f"{method} /{path} {version}", *kept]).encode("latin-1"))
                await self._pass_body(fields, reader, up)
        finally:
            if passing is not None:
                passing.cancel()
            if up is not None:
                up.transport.abort()

    def _may_pass(self, fields: list[str]) -> bool:
        if self.login is None:
            return True
        wanted = base64.b64encode(":".join(self.login).encode()).decode()
        return f"Proxy-Authorization: Basic {wanted}" in fields

    async def _pass_body(self, fields: list[str], reader: asyncio.StreamReader, up: asyncio.StreamWriter) -> None:
        named = dict(field.lower().split(": ", 1) for field in fields if field)
        left = int(named.get("content-length", 0))
        while left:
            piece = await reader.read(min(left, 65536))
            if not piece:
                raise ConnectionError
            left -= len(piece)
            up.write(piece)
            await up.drain()
        if named.get("transfer-encoding") == "chunked":
            up.write(await reader.readuntil(b"0\r\n\r\n"))

    # -- SOCKS5

    async def _socks(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        methods = await reader.readexactly((await reader.readexactly(1))[0])
        wanted = 0 if self.login is None else 2
        if wanted not in methods:
            writer.write(b"\5\xff")
            return
        writer.write(bytes([5, wanted]))
        if self.login is not None:
            await reader.readexactly(1)
            user = await reader.readexactly((await reader.readexactly(1))[0])
            password = await reader.readexactly((await reader.readexactly(1))[0])
            if (user.decode(), password.decode()) != self.login:
                writer.write(b"\1\1")
                return
            writer.write(b"\1\0")
        kind = (await reader.readexactly(4))[3]
        if kind == 3:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        else:
            family, size = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
            host = socket.inet_ntop(family, await reader.readexactly(size))
        port = int.from_bytes(await reader.readexactly(2), "big")
        self.asked.append(f"SOCKS {host}:{port}")
        try:
            there = await self._connect(host, port)
        except OSError:
            writer.write(b"\5\5\0\1\0\0\0\0\0\0")
            return
        writer.write(b"\5\0\0\1\0\0\0\0\0\0")
        await self._both_ways(reader, writer, *there)

    # -- passing on

    async def _both_ways(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        down: asyncio.StreamReader,
        up: asyncio.StreamWriter,
    ) -> None:
        tasks = [asyncio.create_task(self._pass(reader, up)), asyncio.create_task(self._pass(down, writer))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            up.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(65536):
                writer.write(piece)
                await writer.drain()
            with contextlib.suppress(OSError, RuntimeError):
                writer.close()
        except OSError:  # a reset is passed on as one
            with contextlib.suppress(OSError):
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_AND_RESET)
            writer.transport.abort()


@contextmanager
def proxying(
    login: tuple[str, str] | None = None, context: ssl.SSLContext | None = None, **more: Any
) -> Iterator[ProxyServer]:
    server = ProxyServer(login, context, **more)
    try:
        yield server
    finally:
        server.stop()
