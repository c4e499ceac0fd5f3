"""mcp's own server over streamable HTTP, in a thread, behind a key."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any, Self

import anyio
import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver import Image


class McpHttpServer:
    """mcp's own server over streamable HTTP, which wants a key. `seen`: the headers of what came."""

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
        inner = server.streamable_http_app()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                headers = {name.decode(): value.decode() for name, value in scope["headers"]}
                self.seen.append(headers)
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
