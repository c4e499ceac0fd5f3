"""Raw servers on loopback, which say exactly the bytes that a test wants."""

from __future__ import annotations

import gc
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from support.drivers import LOOPS

from headwater.protocol.transport import TransportRequest
from headwater.protocol.url import parse_url
from headwater.transport import connect, pool

BACKENDS = [
    pytest.param((backend, {name: value for name, value in options.items() if name != "debug"}), id=loop)
    for loop, (backend, options) in LOOPS.items()
]
PATIENCE = 20.0


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> dict[str, Any]:
    """For tests that run event loops of their own: the keywords of `anyio.run`."""
    name, options = request.param
    return {"backend": name, "backend_options": options}


@pytest.fixture
def choose_form(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Says which kind of stream a pool makes: the event loop's "own", or "anyio"'s."""

    def choose(form: str) -> None:
        if form == "anyio":
            monkeypatch.setattr(pool, "sockets_of", lambda _: None)

    return choose


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What pools have connected, the newest last."""
    connected: list[Any] = []

    async def noted(*where: Any) -> Any:
        connected.append(await connect.dial(*where))
        return connected[-1]

    monkeypatch.setattr(pool, "dial", noted)
    return connected


class Peer:
    """One accepted connection, seen from the server."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._read = b""

    def request(self) -> bytes:
        """The next request, whole; b"" when there is none."""
        while b"\r\n\r\n" not in self._read:
            if not self._more():
                return b""
        head = self._read.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        if b"transfer-encoding: chunked" in head.lower():
            while b"0\r\n\r\n" not in self._read[len(head) :]:
                assert self._more()
            end = self._read.index(b"0\r\n\r\n", len(head)) + 5
        else:
            end = len(head) + length
            while len(self._read) < end:
                assert self._more()
        request, self._read = self._read[:end], self._read[end:]
        return request

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def answer(self, body: bytes = b"ok", *headers: str, status: str = "200 OK") -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
        self.send("\r\n".join(lines).encode() + body)

    def gone(self) -> bool:
        """Wait until the client has closed; False when it does not."""
        try:
            while self.sock.recv(65536):
                pass
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    def reset(self) -> None:
        """Close with a reset in place of an orderly end."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    def _more(self) -> bool:
        with suppress(ConnectionError):
            data = self.sock.recv(65536)
            self._read += data
            return bool(data)
        return False


class Server:
    """Runs `script(peer)` for each connection in a thread, then closes it. `failures` fail the test."""

    def __init__(self, script: Callable[[Peer], None], context: ssl.SSLContext | None = None) -> None:
        self._script = script
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1000)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}/"
        self.accepted = 0
        self.failures: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def outgoing(self, method: str = "POST", body: Any = b"hello", **more: Any) -> TransportRequest:
        url = parse_url(self.url.replace("127.0.0.1", "localhost") if self._context else self.url)
        return TransportRequest(method=method, url=url, headers=[("X-Test", "1")], body=body, **more)

    def stop(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(PATIENCE)
        for failure in self.failures:
            raise failure

    def _start(self, work: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        sock.settimeout(PATIENCE)
        try:
            with sock if self._context is None else _secured(sock, self._context) as safe:
                self._script(Peer(safe))
        except OSError:
            sock.close()  # the client went away: its own affair
        except Exception as failure:  # noqa: BLE001 - raised again when the test ends
            self.failures.append(failure)


def _secured(sock: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
    sock.getpeername()  # of a client that is gone already: `wrap_socket` would leave its own socket open
    safe = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
    try:
        safe.do_handshake()
    except OSError:
        # What the client has sent meanwhile is read: a reset in place of an end may overtake why it was refused.
        with safe, suppress(OSError):
            while socket.socket.recv(safe, 65536):
                pass
        raise
    return safe


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(script: Callable[[Peer], None], context: ssl.SSLContext | None = None) -> Server:
        servers.append(Server(script, context))
        return servers[-1]

    yield start
    gc.collect()
    for server in servers:
        server.stop()


async def read(answer: Any) -> bytes:
    """The answer's whole body."""
    body = b""
    while piece := await answer.receive():
        body += piece
    return body


@pytest.fixture(name="read")
def _read() -> Callable[..., Any]:
    return read


@pytest.fixture
def echo() -> Callable[[Peer], None]:
    """A script that answers every request with what it was sent, for as long as the client stays."""

    def script(peer: Peer) -> None:
        while request := peer.request():
            peer.answer(request.partition(b"\r\n\r\n")[2] or request)

    return script
