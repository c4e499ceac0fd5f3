"""A file server on loopback, and the engine's parts for one call without a client."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from headwater.auth.credentials import Credentials
from headwater.auth.secret import Secret
from headwater.engine.engine import Engine
from headwater.engine.facts import Plan
from headwater.engine.input_policy import InputPolicy
from headwater.engine.requester import Requester
from headwater.engine.retry import Retries
from headwater.protocol.timeout import DEFAULT_TIMEOUT, Timeout
from headwater.transport.pool import Pool

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
ANYWHERE = InputPolicy(allow_private=True)


class FileServer:
    """Answers GET by `pages[path]`: (status, headers, body), or a function of the request. `seen`: what was asked."""

    def __init__(self) -> None:
        self.pages: dict[str, Any] = {}
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                server.seen.append((self.path, headers, self.rfile.read(length)))
                page = server.pages[self.path.partition("?")[0]]
                if callable(page):
                    page(self)
                    return
                status, more, body = page
                self.send_response(status)
                for name, value in {"content-length": str(len(body)), **more}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815 - the name that http.server looks for

            def log_message(self, *args: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def serving(**pages: Any) -> Iterator[FileServer]:
    server = FileServer()
    try:
        yield server
    finally:
        server.stop()


def requester(
    policy: InputPolicy = ANYWHERE,
    origin: str = "",
    transport: Callable[..., Any] | None = None,
    retries: int = 2,
    timeout: Timeout = DEFAULT_TIMEOUT,
) -> Requester:
    """One call's requester, begun now; `origin` is the provider's."""
    pool = Pool()
    engine = Engine(transport or (lambda _: pool), policy=policy, real_waits=False)
    call = Requester(engine)
    credentials = Credentials(origins=frozenset({origin}), key=Secret("sk-very-secret"), headers=(("x-mine", "1"),))
    again = Retries(most=retries)
    plan = Plan(task="t", provider="p", credentials=credentials, retries=again, timeout=timeout)
    call.start()
    call.begin(plan)
    return call
