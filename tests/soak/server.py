"""A server for many streams, in its own process: it prints its URL and the fault server's, and ends with its input.

The first segment of a path says how the stream comes, whose words are all different (`word 17 `):

    /ok/...            at once
    /paced/...         12 events, one every 0.3 s
    /uneven/...        12 events, each up to 5 ms late, the head too
    /reset/...         200 events, and a reset after a random number of their bytes, which may be all
    GET /connections   how many connections are open, the asker's not counted
"""

from __future__ import annotations

import asyncio
import random
import socket
import sys
from typing import cast

from headwater.emulator import faults

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
SHORT, LONG = 12, 200
EVERY = 0.3
LATEST = 0.005
RESET_NOW = b"\1\0\0\0\0\0\0\0"


def text_of(words: int) -> str:
    return "".join(f"word {number} " for number in range(words))


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def events(words: int) -> list[bytes]:
    """One chunk for each word, and one for the end."""
    start = b'data: {"id":"1","object":"chat.completion.chunk","choices":[{"index":0,"delta":'
    said = [start + b'{"content":"word %d "},"finish_reason":null}]}\n\n' % number for number in range(words)]
    end = start + b'{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    return [*map(chunk, said), chunk(end) + b"0\r\n\r\n"]


STREAMS = {SHORT: events(SHORT), LONG: events(LONG)}


class Peer(asyncio.Protocol):
    """One connection, served request by request."""

    everyone: set[Peer] = set()  # noqa: RUF012 - all of them, on purpose

    def __init__(self) -> None:
        self._unread = b""
        self._answering: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.everyone.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.everyone.discard(self)
        if self._answering is not None:
            self._answering.cancel()

    def data_received(self, data: bytes) -> None:
        self._unread += data
        head, found, body = self._unread.partition(b"\r\n\r\n")
        lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if found and len(body) >= int(lengths[0] if lengths else 0):
            self._unread = b""
            kind = head.split(b"/")[1].split(b" ")[0].decode()
            self._answering = asyncio.get_running_loop().create_task(self._answer(kind))

    async def _answer(self, kind: str) -> None:
        if kind == "connections":
            count = b"%d" % (len(self.everyone) - 1)
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(count), count))
        elif kind == "reset":
            self._reset(b"".join(STREAMS[LONG]))
        else:
            await self._stream(kind)

    def _reset(self, whole: bytes) -> None:
        end = random.randint(0, len(whole) * 21 // 20)
        self.transport.write(HEAD + whole[:end])
        if end < len(whole):
            # What is in the kernel is thrown away by a reset, so that the client sees fewer bytes, or none.
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_NOW)
            self.transport.abort()

    async def _stream(self, kind: str) -> None:
        loop = asyncio.get_running_loop()
        if kind == "uneven":
            await asyncio.sleep(random.random() * LATEST)
        self.transport.write(HEAD)
        due = loop.time()
        for part in STREAMS[SHORT]:
            self.transport.write(part)
            if kind == "paced":
                due += EVERY
                await asyncio.sleep(due - loop.time())
            elif kind == "uneven":
                await asyncio.sleep(random.random() * LATEST)


async def serve(fault_url: str) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Peer, "127.0.0.1", 0, backlog=4096)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", fault_url, flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    with faults.running() as found:
        asyncio.run(serve(found.url))
