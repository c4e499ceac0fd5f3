"""The blocking limit: one socket, the llhttp parser and msgspec."""

import socket
from typing import Any, Self
from urllib.parse import urlsplit

import httptools

from benchmarks import shapes


class RawSync:
    """One connection, kept alive."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.url = url + "/v1/chat/completions"
        self.address = (str(parts.hostname), parts.port or 80)

    def __enter__(self) -> Self:
        self.socket = socket.create_connection(self.address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()

    def on_body(self, data: bytes) -> None:
        self.parts.append(data)

    def on_message_complete(self) -> None:
        self.done = True

    def chat(self) -> str:
        self._send(shapes.chat_request(stream=False))
        body = b""
        while data := self._more():
            body += data
        return shapes.text_of(body)

    def stream(self, chunks: int) -> list[str]:
        events = shapes.Events()
        texts: list[str] = []
        self._send(shapes.chat_request(stream=True, max_tokens=chunks))
        while data := self._more():
            texts += shapes.texts_of(events.feed(data))
        return texts

    def _send(self, body: bytes) -> None:
        self.parser: Any = httptools.HttpResponseParser(self)
        self.parts: list[bytes] = []
        self.done = False
        self.socket.sendall(shapes.post(self.url, body))

    def _more(self) -> bytes:
        while not self.parts and not self.done:
            self.parser.feed_data(self.socket.recv(65536))
        data = b"".join(self.parts)
        self.parts.clear()
        return data
