"""Recorded exchanges with real servers, as they are read from a folder, and the words for what they are.

The folder has exchanges.jsonl, and is no part of this project. Nothing is recognised or played here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from headwater.protocol.flow import Reply
from headwater.providers.pipeline import ELSEWHERE, SERVED

CHAT, TEXT, VECTORS = "chat-completion", "text-generation", "feature-extraction"
PIPELINES: Final = {**SERVED, **ELSEWHERE}


class Exchange(msgspec.Struct, kw_only=True):
    """One request and its answer. `sent`: decoded JSON, bytes, or None where it was not stored; `stored`: whether the
    answer's body was."""

    id: str
    method: str
    url: str
    sent: Any
    reply: Reply
    stored: bool

    @property
    def said(self) -> Any:
        """The answer as JSON, None where it is none."""
        try:
            return json.loads(self.reply.body)
        except ValueError:
            return None


class Recognised(msgspec.Struct, kw_only=True):
    """What an exchange is. `place`: direct, routed, legacy host or legacy proxy. `base`: what today stands before the
    route; `route`: what was asked for behind it. `step`: "ask" for a task, "poll" for the question how a job does."""

    task: str
    provider: str
    place: str
    base: str
    route: str
    model: str | None
    streamed: bool
    step: str = "ask"


class Left(msgspec.Struct, frozen=True):
    """An exchange that no task of ours has, or that says too little, and why."""

    reason: str


def exchanges(folder: Path) -> Iterator[Exchange]:
    """Every exchange of the folder's file."""
    for line in (folder / "exchanges.jsonl").read_text(encoding="utf-8").splitlines():
        kept = json.loads(line)
        answered, given = kept["response_body"] or {}, kept["response_headers"] or {}
        headers = {name.lower(): str(value) for name, value in given.items() if value is not None}
        body = _bytes(folder, answered)
        yield Exchange(
            id=kept["id"],
            method=kept["method"],
            url=kept["url"],
            sent=_sent(_bytes(folder, kept["request_body"] or {})),
            reply=Reply(status=kept["status"], headers=headers, body=body or b"", url=kept["url"]),
            stored=body is not None,
        )


def _bytes(folder: Path, kept: Mapping[str, Any]) -> bytes | None:
    if "file" in kept:
        return (folder / str(kept["file"])).read_bytes()
    return str(kept["text"]).encode() if "text" in kept else None


def _sent(body: bytes | None) -> Any:
    try:
        return None if body is None else json.loads(body)
    except ValueError:
        return body
