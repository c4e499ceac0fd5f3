"""How the tests of the fault server ask it: with httpx, or with a bare socket."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from collections.abc import Iterator
from typing import Any

import httpx

from headwater.emulator import faults

BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
PATH = "/v1/chat/completions"
SOON = 30.0
"""Seconds that only a failing test waits."""


def post(http: httpx.Client, base: str, *, stream: bool = False, **more: Any) -> httpx.Response:
    return http.post(base + PATH, json={**BODY, "stream": stream}, **more)


@contextlib.contextmanager
def asked(server: faults.FaultServer, base: str, *, stream: bool = True) -> Iterator[socket.socket]:
    """A bare socket that has sent one chat request."""
    host, port = server.url.removeprefix("http://").split(":")
    body = json.dumps({**BODY, "stream": stream}).encode()
    head = f"POST {base.removeprefix(server.url)}{PATH} HTTP/1.1\r\nHost: {host}\r\n"
    with socket.create_connection((host, int(port)), SOON) as sock:
        sock.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        yield sock


def read(sock: socket.socket, at_least: int | None = None) -> tuple[bytes, str]:
    """What arrives until the server closes, or `at_least` bytes; and how it ended: fin, rst or open."""
    got = bytearray()
    while at_least is None or len(got) < at_least:
        try:
            data = sock.recv(65536)
        except ConnectionResetError:
            return bytes(got), "rst"
        if not data:
            return bytes(got), "fin"
        got += data
    return bytes(got), "open"


def datas(body: bytes) -> list[str]:
    """The data of each event, by the WHATWG rules, one character of line end at a time."""
    text = body.decode().removeprefix("\ufeff")
    found: list[list[str]] = [[]]
    for line in re.split(r"\r\n|\r|\n", text):
        name, _, value = line.partition(":")
        if not line:
            found.append([])
        elif name == "data":
            found[-1].append(value.removeprefix(" "))
    return ["\n".join(lines) for lines in found if lines]


def text_in(body: bytes) -> str:
    """The text of a chat stream up to [DONE]."""
    parts = []
    for data in datas(body):
        if data == "[DONE]":
            break
        for choice in json.loads(data)["choices"]:
            parts.append(choice["delta"].get("content", ""))
    return "".join(parts)
