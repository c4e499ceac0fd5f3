"""One connection of the fault server: its blocking socket, its log, and the verbs faults are written in.

Refuses: request heads over 64 KiB, request bodies over 64 MiB, and Host headers that do not name loopback
(a page in a browser cannot reach the server through a name of its own). HTTP/1.1 only, no TLS.
"""

import select
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import responses
from typing import Literal

HEAD_LIMIT = 64 * 1024
BODY_LIMIT = 64 * 1024 * 1024
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost"})

Closer = Literal["client", "server"]


class ClientGone(Exception):  # noqa: N818 - not an error: it ends a fault whose client has left
    """The client has closed the connection, or the server is stopping."""


class RequestRefused(Exception):  # noqa: N818 - an answer, carried as an exception
    """The request is answered with `status` and the connection closed; no fault is run."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class ConnectionRecord:
    """One connection; times are `time.monotonic()`, `sent` counts the bytes given to the kernel."""

    id: int
    opened: float
    closed: float | None = None
    closed_by: Closer | None = None
    sent: int = 0


@dataclass(slots=True, frozen=True)
class Request:
    """One request as read: `fault` is the first path segment, `rest` the path after it.

    Header names are lower case. Headers and body stay out of the repr: they hold credentials and prompts.
    """

    connection: int
    fault: str
    method: str
    path: str
    rest: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    time: float


class Log:
    """The connections and requests of one origin, and the count of each fault segment; thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._connections: list[ConnectionRecord] = []
        self._requests: list[Request] = []
        self._seen: Counter[str] = Counter()
        self._ids = 0

    def opened(self) -> ConnectionRecord:
        with self._changed:
            self._ids += 1
            record = ConnectionRecord(self._ids, time.monotonic())
            self._connections.append(record)
            self._changed.notify_all()
            return record

    def closed(self, record: ConnectionRecord, by: Closer) -> None:
        with self._changed:
            record.closed, record.closed_by = time.monotonic(), by
            self._changed.notify_all()

    def asked(self, request: Request) -> None:
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()

    def count(self, fault: str) -> int:
        """Count one more use of this fault segment; the first gives 1."""
        with self._changed:
            self._seen[fault] += 1
            return self._seen[fault]

    def connections(self) -> list[ConnectionRecord]:
        with self._changed:
            return list(self._connections)

    def requests(self) -> list[Request]:
        with self._changed:
            return list(self._requests)

    def open_count(self) -> int:
        return sum(record.closed is None for record in self.connections())

    def closed_count(self) -> int:
        return sum(record.closed is not None for record in self.connections())

    def wait(self, ready: Callable[[], bool], timeout: float) -> bool:
        """True once `ready()` holds, False when it does not within `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(ready, timeout)

    def clear(self) -> None:
        """Forget the counts, the requests and every closed connection."""
        with self._changed:
            self._seen.clear()
            self._requests.clear()
            self._connections = [record for record in self._connections if record.closed is None]


class FaultConnection:
    """A socket in the hands of a fault. Every verb raises `ClientGone` once the client has left."""

    def __init__(self, sock: socket.socket, record: ConnectionRecord, log: Log, other_url: str) -> None:
        with suppress(OSError):  # the client may have left already; reading will say so
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.record = record
        self.other_url = other_url
        self.served = 0
        self.open = True
        self._sock = sock
        self._log = log
        self._unread = bytearray()

    def first(self, request: Request, n: int) -> bool:
        """Whether this is one of the first `n` requests of its fault segment; asking counts it."""
        return self._log.count(request.fault) <= n

    # sending

    def send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                sent = self._sock.send(view)
            except OSError as error:
                raise ClientGone from error
            self.record.sent += sent
            view = view[sent:]

    def head(self, status: int, content_type: str, *fields: tuple[str, str]) -> bytes:
        """A response head, to be sent whole or spoiled. Framing fields are the caller's."""
        own = (("Content-Type", content_type), ("X-Request-Id", f"fault-{self.record.id}-{self.served}"))
        lines = [
            f"HTTP/1.1 {status} {responses.get(status, 'Unknown')}",
            *(f"{name}: {value}" for name, value in (*own, *fields)),
        ]
        return "\r\n".join([*lines, "", ""]).encode()

    def reply(self, status: int, content_type: str, body: bytes, *fields: tuple[str, str]) -> None:
        """A whole answer with a true Content-Length."""
        self.send(self.head(status, content_type, ("Content-Length", str(len(body))), *fields) + body)

    def start_chunks(self, status: int, content_type: str, *fields: tuple[str, str]) -> None:
        self.send(self.head(status, content_type, ("Transfer-Encoding", "chunked"), *fields))

    def chunk(self, data: bytes) -> None:
        """One chunk; empty data sends nothing, since an empty chunk would end the body."""
        if data:
            self.send(b"%x\r\n%b\r\n" % (len(data), data))

    def end_chunks(self) -> None:
        self.send(b"0\r\n\r\n")

    def stream(self, parts: Iterable[bytes], pause: float = 0.0) -> None:
        """A whole event stream in chunks, one per part, `pause` seconds after each."""
        self.start_chunks(200, "text/event-stream")
        for part in parts:
            self.chunk(part)
            self.pause(pause)
        self.end_chunks()

    # waiting and ending

    def pause(self, seconds: float | None) -> None:
        """Wait, for ever when None, and notice at once when the client leaves or the server stops."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while deadline is None or deadline > time.monotonic():
            left = None if deadline is None else deadline - time.monotonic()
            if self._is_readable(left):
                self._fill()

    def _is_readable(self, seconds: float | None) -> bool:
        if not hasattr(select, "poll"):  # Windows
            return bool(select.select([self._sock], [], [], seconds)[0])
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return bool(poll.poll(None if seconds is None else seconds * 1000))

    def hang(self) -> None:
        self.pause(None)

    def close(self) -> None:
        """Close with FIN (the kernel sends RST instead when request bytes are unread)."""
        self.open = False
        self._sock.close()

    def reset(self) -> None:
        """Close with RST."""
        with suppress(OSError):  # the client was faster
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def interrupt(self) -> None:
        """Called from another thread when the server stops: whatever the fault is doing raises `ClientGone`."""
        with suppress(OSError):  # already closed, by either side
            self._sock.shutdown(socket.SHUT_RDWR)

    # reading

    def read_head(self) -> tuple[str, str, dict[str, str]]:
        """Method, target and headers (names in lower case, repeated ones joined by a comma)."""
        while (end := self._unread.find(b"\r\n\r\n")) < 0:
            if len(self._unread) > HEAD_LIMIT:
                raise RequestRefused(431, "the request head is over 64 KiB")
            self._fill()
        start, *lines = self._take(end + 4)[:-4].decode("latin-1").split("\r\n")
        method, _, tail = start.partition(" ")
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            key = name.strip().lower()
            headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
        if headers.get("host", "").rsplit(":", 1)[0] not in LOOPBACK_NAMES:
            raise RequestRefused(421, "the Host header does not name 127.0.0.1 or localhost")
        return method, tail.partition(" ")[0], headers

    def read_body(self, headers: dict[str, str]) -> bytes:
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return self._read_chunked()
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            raise RequestRefused(400, "the Content-Length is not a number")
        return self._read_exactly(int(length))

    def _read_chunked(self) -> bytes:
        body = bytearray()
        while size := self._chunk_size():
            body += self._read_exactly(size, BODY_LIMIT - len(body))
            self._read_line()
        while self._read_line():
            pass
        return bytes(body)

    def _chunk_size(self) -> int:
        try:
            return int(self._read_line().partition(b";")[0], 16)
        except ValueError as error:
            raise RequestRefused(400, "a chunk size is not a number") from error

    def _read_line(self) -> bytes:
        while (end := self._unread.find(b"\r\n")) < 0:
            if len(self._unread) > HEAD_LIMIT:
                raise RequestRefused(400, "a line of the chunked body is over 64 KiB")
            self._fill()
        return self._take(end + 2)[:-2]

    def _read_exactly(self, n: int, limit: int = BODY_LIMIT) -> bytes:
        if not 0 <= n <= limit:
            raise RequestRefused(413, "the request body is over 64 MiB")
        while len(self._unread) < n:
            self._fill()
        return self._take(n)

    def _take(self, n: int) -> bytes:
        taken = bytes(self._unread[:n])
        del self._unread[:n]
        return taken

    def _fill(self) -> None:
        """Take what has arrived; more than a pipelined request may hold means that nobody is reading."""
        if len(self._unread) > HEAD_LIMIT + BODY_LIMIT:
            raise ClientGone
        try:
            data = self._sock.recv(256 * 1024)
        except OSError as error:
            raise ClientGone from error
        if not data:
            raise ClientGone
        self._unread += data
