"""What the measurements of `headwater batch` share: a server, its questions, and the command.

The server's answers are a function of the question, so that a lost, double or mixed-up one is seen. It runs in a
thread of the measuring process, answers from memory, and counts; it refuses nothing.
"""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, cast

import httptools

ROOT = Path(__file__).resolve().parent.parent
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: r\r\ncontent-length: %d\r\n\r\n%b"
BODY = (
    b'{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"%b"'
    b'},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":20,"total_tokens":30}}'
)


def question(number: int) -> str:
    return f"question {number}"


def text_for(number: int) -> str:
    return question(number)[::-1] * 8


class Server(threading.Thread):
    """`asked`: how many requests came in all; `wait`: seconds before each answer."""

    def __init__(self, wait: float = 0.0) -> None:
        super().__init__(daemon=True)
        self.asked = 0
        self.wait = wait
        self._listening = threading.Event()
        self.url = ""

    def run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(self, loop), "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        self._listening.set()
        await server.serve_forever()

    def __enter__(self) -> Self:
        self.start()
        self._listening.wait()
        return self

    def __exit__(self, *_: object) -> None:
        """It ends with the process."""


class Connection(asyncio.Protocol):
    """One client connection, kept alive from request to request."""

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self.server = server
        self.loop = loop
        self.parser: Any = httptools.HttpRequestParser(self)
        self.body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        self.body = b""

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.server.asked += 1
        asked = json.loads(self.body)["messages"][-1]["content"].encode()
        body = BODY % (asked[::-1] * 8)
        if self.server.wait:
            self.loop.call_later(self.server.wait, self.transport.write, HEAD % (len(body), body))
        else:
            self.transport.write(HEAD % (len(body), body))


def write_requests(path: Path, count: int) -> None:
    with path.open("w") as file:
        for number in range(count):
            messages = [{"role": "user", "content": question(number)}]
            line = {"custom_id": f"id-{number}", "method": "POST", "url": "/v1/chat/completions"}
            file.write(json.dumps(line | {"body": {"model": "m", "messages": messages}}) + "\n")


def check(path: Path, count: int) -> list[str]:
    """What is wrong with the output."""
    wrong: list[str] = []
    seen = bytearray(count)
    with path.open("rb") as file:
        for line in file:
            found = json.loads(line)
            number = int(found["custom_id"].removeprefix("id-"))
            if found["error"] is not None:
                wrong.append(f"{number} failed: {found['error']}")
            elif found["response"]["body"]["choices"][0]["message"]["content"] != text_for(number):
                wrong.append(f"{number} has another's answer")
            elif seen[number]:
                wrong.append(f"{number} is there twice")
            seen[number] = 1
    if missing := count - sum(seen):
        wrong.append(f"{missing} are missing")
    return wrong


@contextmanager
def command(source: Path, output: Path, url: str, concurrency: str) -> Iterator[subprocess.Popen[str]]:
    """`headwater batch` with its events as JSON on a pipe, ended in any case."""
    words = ["batch", str(source), "-o", str(output), "--base-url", url, "--concurrency", concurrency, "--json"]
    with subprocess.Popen(
        [sys.executable, "-m", "headwater", *words], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def events(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """What it says until its end; a line that was cut by a kill is none."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.endswith("\n"):
            yield json.loads(line)
