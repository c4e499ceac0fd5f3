"""What the emulator's tests share: a client that the environment does not change, and how to read a stream."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

CHAT = "/v1/chat/completions"


@contextmanager
def client(url: str, **options: Any) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=str(url), trust_env=False, verify=False, timeout=20, **options) as found:
        yield found


def asking(text: str = "one two three", **fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **fields}


def events(text: str) -> list[Any]:
    """The data of a stream's events; the marker of the end is the string itself."""
    blocks = [block for block in text.split("\n\n") if block]
    data = [block.removeprefix("data:").strip() for block in blocks]
    return [found if found == "[DONE]" else json.loads(found) for found in data]


def unary(url: str, path: str, body: Any, **headers: str) -> httpx.Response:
    with client(url) as http:
        return http.post(path, json=body, headers=headers)


def ended(before: set[threading.Thread]) -> bool:
    """Whether no thread lives but those of before; one that is about to end gets the time to."""
    others = set(threading.enumerate()) - before
    for thread in others:
        thread.join(10)
    return not any(thread.is_alive() for thread in others)
