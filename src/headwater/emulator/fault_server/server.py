"""The fault server: two loopback origins, a thread per connection, and a log to assert against.

Refuses: unknown faults (404) and unknown or ill-typed parameters (400), each saying what exists.
Stopping interrupts every socket and joins every thread; nothing outlives `stop()`.
"""

import inspect
import selectors
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from headwater.emulator.fault_server.wire import (
    ClientGone,
    ConnectionRecord,
    FaultConnection,
    Log,
    Request,
    RequestRefused,
)

STOP_SECONDS = 10.0
"""That threads may take to end: they need milliseconds, but for a machine that has no time for them."""


class Fault(NamedTuple):
    """What `act(conn, request, **parameters)` does, in one line; `reads_body` False acts before the body."""

    act: Callable[..., None]
    line: str
    reads_body: bool = True

    def parameters(self) -> dict[str, Any]:
        """Name and default of each parameter; a default's type is the parameter's type."""
        found = list(inspect.signature(self.act).parameters.values())[2:]
        return {parameter.name: parameter.default for parameter in found}


class FaultOrigin:
    """One listening port. `forced` is the fault of every request, whatever its path says."""

    def __init__(
        self, faults: Mapping[str, Fault], other_url: str = "", forced: str | None = None, port: int = 0
    ) -> None:
        self.log = Log()
        self.listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        self.listener.setblocking(False)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self._faults = faults
        self._other_url = other_url
        self._forced = forced
        self._lock = threading.Lock()
        self._live: dict[FaultConnection, threading.Thread] = {}
        self._stopping = False

    def accept(self) -> None:
        try:
            sock, _ = self.listener.accept()
        except OSError:
            return  # the client left before it was accepted
        sock.setblocking(True)
        conn = FaultConnection(sock, self.log.opened(), self.log, self._other_url)
        thread = threading.Thread(target=self._serve, args=(conn,), name="headwater-fault", daemon=True)
        with self._lock:
            self._live[conn] = thread
        thread.start()

    def stop(self, deadline: float) -> None:
        """Called once nothing accepts any more."""
        self._stopping = True
        self.listener.close()
        with self._lock:
            live = dict(self._live)
        for conn in live:
            conn.interrupt()
        for thread in live.values():
            thread.join(max(0.0, deadline - time.monotonic()))

    def _serve(self, conn: FaultConnection) -> None:
        by_client = False
        try:
            while conn.open:
                self._answer(conn)
        except ClientGone:
            by_client = not self._stopping
        finally:
            conn.close()
            self.log.closed(conn.record, "client" if by_client else "server")
            with self._lock:
                del self._live[conn]

    def _answer(self, conn: FaultConnection) -> None:
        try:
            method, path, headers = conn.read_head()
            segment, slash, rest = path.removeprefix("/").partition("/")
            fault, given = self._fault(segment)
            body = conn.read_body(headers) if fault.reads_body else b""
        except RequestRefused as refusal:
            conn.reply(refusal.status, "text/plain", f"{refusal}\n".encode(), ("Connection", "close"))
            conn.close()
            return
        now = time.monotonic()
        request = Request(conn.record.id, segment, method, path, slash + rest, headers, body, now)
        self.log.asked(request)
        fault.act(conn, request, **given)
        conn.served += 1
        if headers.get("connection", "").lower() == "close":
            conn.close()

    def _fault(self, segment: str) -> tuple[Fault, dict[str, Any]]:
        if self._forced is not None:
            return self._faults[self._forced], {}
        name, *pairs = segment.split("~")
        if name not in self._faults:
            raise RequestRefused(404, f"no fault {unquote(name)!r}; there are: {', '.join(self._faults)}")
        fault = self._faults[name]
        known = {**fault.parameters(), "id": ""}
        given = dict(_parameter(name, known, pair) for pair in pairs)
        given.pop("id", None)
        return fault, given


def _parameter(fault: str, known: dict[str, Any], pair: str) -> tuple[str, Any]:
    """One `name=value` of a fault segment, in the type of its default; `id` only tells segments apart."""
    name, _, value = pair.partition("=")
    if name not in known:
        raise RequestRefused(400, f"{fault} takes {known}, not {unquote(name)!r}")
    try:
        return name, type(known[name])(unquote(value))
    except ValueError as error:
        raise RequestRefused(400, f"{fault}: {name} is to be like {known[name]!r}") from error


class FaultServer:
    """Two origins on 127.0.0.1: `url`, where a request chooses its fault, and `other_url` to redirect to.

    `refused_url` is a port that refuses connections, `silent_url` one that leaves them unanswered (on Linux).

    Times in the logs are `time.monotonic()`. Everything here may be used from any thread.
    """

    def __init__(self, faults: Mapping[str, Fault], port: int = 0) -> None:
        self._faults = faults
        self._other = FaultOrigin(faults, forced="ok")
        try:
            self._origin = FaultOrigin(faults, other_url=self._other.url, port=port)
        except OSError:
            self._other.listener.close()
            raise
        self.url = self._origin.url
        self.other_url = self._other.url
        # Bound and never listening: the port stays ours, and connecting to it is refused.
        self._refusing = socket.socket()
        self._refusing.bind(("127.0.0.1", 0))
        self.refused_url = f"http://127.0.0.1:{self._refusing.getsockname()[1]}"
        # A full queue that nobody accepts from: Linux drops every further SYN.
        self._silent = socket.create_server(("127.0.0.1", 0), backlog=0)
        self._filling = socket.create_connection(self._silent.getsockname())
        self.silent_url = f"http://127.0.0.1:{self._silent.getsockname()[1]}"
        self._wake, self._woken = socket.socketpair()
        self._acceptor = threading.Thread(target=self._accept, name="headwater-fault-accept", daemon=True)

    def start(self) -> None:
        self._acceptor.start()

    def stop(self) -> None:
        """End every connection and thread."""
        deadline = time.monotonic() + STOP_SECONDS
        self._wake.close()
        self._acceptor.join(STOP_SECONDS)
        self._origin.stop(deadline)
        self._other.stop(deadline)
        for sock in (self._woken, self._refusing, self._filling, self._silent):
            sock.close()

    def at(self, fault: str, **parameters: object) -> str:
        """The base URL of a fault: `server.at("sse_reset", n=5)` is `http://127.0.0.1:PORT/sse_reset~n=5`."""
        if fault not in self._faults:
            raise ValueError(f"no fault {fault!r}; describe() lists them")
        pairs = (f"~{name}={_segment(str(value))}" for name, value in parameters.items())
        return f"{self.url}/{fault}{''.join(pairs)}"

    @property
    def connections(self) -> list[ConnectionRecord]:
        return self._origin.log.connections()

    @property
    def requests(self) -> list[Request]:
        return self._origin.log.requests()

    @property
    def other_connections(self) -> list[ConnectionRecord]:
        return self._other.log.connections()

    @property
    def other_requests(self) -> list[Request]:
        return self._other.log.requests()

    def open_count(self) -> int:
        """Connections open now at `url`."""
        return self._origin.log.open_count()

    def wait_closed(self, n: int, timeout: float) -> bool:
        """Whether `n` connections in all have closed, within `timeout` seconds."""
        log = self._origin.log
        return log.wait(lambda: log.closed_count() >= n, timeout)

    def wait_requests(self, n: int, timeout: float) -> bool:
        """Whether `n` requests in all have been read, within `timeout` seconds."""
        log = self._origin.log
        return log.wait(lambda: len(log.requests()) >= n, timeout)

    def reset(self) -> None:
        """Forget the counts of each fault, the requests, and the connections that have closed."""
        self._origin.log.clear()
        self._other.log.clear()

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            for origin in (self._origin, self._other):
                selector.register(origin.listener, selectors.EVENT_READ, origin)
            while True:
                ready = [key.data for key, _ in selector.select()]
                if None in ready:  # the wake socket: stop() has closed its other end
                    return
                for origin in ready:
                    origin.accept()


def _segment(value: str) -> str:
    return quote(value, safe="").replace("~", "%7E")
