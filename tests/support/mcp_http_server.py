"""mcp's own server over streamable HTTP, in a thread, behind a key; and an authorization server that gives this key."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import anyio
import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver import Image


class McpHttpServer:
    """mcp's own server over streamable HTTP, which wants a key. `seen`: the headers of what came; `authorization`: the
    URL of who gives the key, which the server tells."""

    def __init__(self) -> None:
        server = MCPServer("real")

        @server.tool()
        def add(a: int, b: int) -> int:
            """Add two numbers."""
            return a + b

        @server.tool()
        def picture() -> Image:
            return Image(data=b"\x89PNG\r\n\x1a\n", format="png")

        @server.tool()
        async def hangs() -> None:
            await anyio.sleep_forever()

        self.seen: list[dict[str, str]] = []
        self.authorization = ""
        inner = server.streamable_http_app()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                headers = {name.decode(): value.decode() for name, value in scope["headers"]}
                self.seen.append(headers)
                if scope["path"].startswith("/.well-known/oauth-protected-resource") and self.authorization:
                    told = {"resource": self.url, "authorization_servers": [self.authorization]}
                    kind = [(b"content-type", b"application/json")]
                    await send({"type": "http.response.start", "status": 200, "headers": kind})
                    await send({"type": "http.response.body", "body": json.dumps(told).encode()})
                    return
                if headers.get("authorization") != "Bearer key-of-a-server":
                    await send({"type": "http.response.start", "status": 401, "headers": []})
                    await send({"type": "http.response.body", "body": b"your key is wrong"})
                    return
            await inner(scope, receive, send)

        self.socket = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1, ws="none")
        self.uvicorn = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.uvicorn.run, args=([self.socket],), daemon=True)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}/mcp"

    def __enter__(self) -> Self:
        self.thread.start()
        while not self.uvicorn.started:
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self.uvicorn.should_exit = True
        self.thread.join(20)


class AuthorizationServer(ThreadingHTTPServer):
    """Gives the key of the server to whoever asks with `client-id:client-secret`. `seen`: the headers of what came."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Authorization)
        self.seen: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Authorization(BaseHTTPRequestHandler):
    server: AuthorizationServer

    def do_GET(self) -> None:
        url = self.server.url
        endpoints = {"authorization_endpoint": f"{url}/authorize", "token_endpoint": f"{url}/token"}
        known = {"issuer": url, "response_types_supported": ["code"], **endpoints}
        self._say(known if self.path == "/.well-known/oauth-authorization-server" else None)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        is_known = self.headers.get("authorization") == "Basic Y2xpZW50LWlkOmNsaWVudC1zZWNyZXQ="
        token = {"access_token": "key-of-a-server", "token_type": "Bearer", "expires_in": 3600}
        self._say(token if is_known and self.path == "/token" else None)

    def _say(self, value: dict[str, Any] | None) -> None:
        self.server.seen.append({name.lower(): text for name, text in self.headers.items()})
        body = json.dumps(value).encode()
        self.send_response(404 if value is None else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own
        """Nothing is printed."""


@contextmanager
def authorizing() -> Iterator[AuthorizationServer]:
    """An authorization server in a thread."""
    with AuthorizationServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(20)
