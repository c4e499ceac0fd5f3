"""What a dialect is made of: a `DialectRequest` in; a `WholeAnswer`, a `StreamAnswer` or a `RefusedError` out.

Plain data without any server in it, so a dialect is a set of functions of the request. Reads no clock, and
keeps no state but the jobs that a call submits and polls: nothing else may make two equal requests differ.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from .dialects.jobs import JobStore
from .dialects.scripts import Scripts
from .endpoint_lives import EmulatedEndpoint, EndpointStore

CREATED = 1_767_225_600
"""When every answer says it was made (2026-01-01T00:00:00Z): a clock would make answers differ."""

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class ProviderPlace:
    """Where a call came in: ``mode`` is direct, routed or empty (see `headwater.emulator.places`).

    ``home`` and ``cdn`` are what the vendor's links to itself and to its results begin with.
    """

    provider: str = ""
    mode: str = ""
    home: str = ""
    cdn: str = ""


@dataclass(frozen=True, slots=True)
class DialectRequest:
    """One request as a dialect sees it. ``json`` is None when the body is not JSON."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    json: Any
    model: str = ""
    place: ProviderPlace = ProviderPlace()
    jobs: JobStore = field(default_factory=JobStore, compare=False, repr=False)
    script: Scripts = field(default_factory=Scripts, compare=False, repr=False)
    endpoints: EndpointStore = field(default_factory=EndpointStore, compare=False, repr=False)
    endpoint: EmulatedEndpoint | None = None

    def digest(self, purpose: str = "") -> str:
        """24 hexadecimal digits that equal requests share: the stuff of ids.

        Whether the answer is streamed makes no difference: a stream has the ids of the whole answer.
        """
        body = self.body
        if isinstance(self.json, dict):
            asked = {name: value for name, value in self.json.items() if name not in ("stream", "stream_options")}
            body = json.dumps(asked, sort_keys=True).encode()
        return hashlib.sha256(f"{purpose}\n{self.path}\n".encode() + body).hexdigest()[:24]


@dataclass(frozen=True, slots=True)
class WholeAnswer:
    """An answer in one piece: ``body`` is sent as JSON unless it is already bytes (or text); not before its ``gate`` is
    open, if it has one."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"
    gate: str = ""

    def encoded(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return dumps(self.body) if self.media_type == "application/json" else str(self.body).encode()


@dataclass(frozen=True, slots=True)
class StreamAnswer:
    """An answer in events: each element of ``frames`` is sent in a write of its own."""

    frames: Iterable[bytes]
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "text/event-stream"


DialectAnswer: TypeAlias = WholeAnswer | StreamAnswer


class RefusedError(Exception):
    """The vendor would not serve this request; ``answer`` is what it would say."""

    def __init__(self, answer: WholeAnswer) -> None:
        super().__init__(answer.status, answer.body)
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Route:
    """``answer`` serves the paths in which ``pattern`` is found; a group ``model`` in it names the model.

    ``json`` says that the body must be a JSON object.
    """

    method: str
    pattern: re.Pattern[str]
    answer: Callable[[DialectRequest], DialectAnswer]
    json: bool = True


@dataclass(frozen=True, slots=True)
class Dialect:
    """A file's routes, with the way that such servers say no: (call, status, message) -> RefusedError."""

    name: str
    routes: tuple[Route, ...]
    refuse: Callable[[DialectRequest, int, str], RefusedError]
    public: bool = False
    """Whether it answers without a key, as a health check does."""


def post(pattern: str, answer: Callable[[DialectRequest], DialectAnswer]) -> Route:
    return Route("POST", re.compile(pattern), answer)


def get(pattern: str, answer: Callable[[DialectRequest], DialectAnswer]) -> Route:
    return Route("GET", re.compile(pattern), answer, json=False)


def raw(method: str, pattern: str, answer: Callable[[DialectRequest], DialectAnswer]) -> Route:
    """A route that takes any body."""
    return Route(method, re.compile(pattern), answer, json=False)


def dumps(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def event(value: object, *, prefix: bytes = b"data: ") -> bytes:
    """One server-sent event whose data is ``value`` as JSON."""
    return prefix + dumps(value) + b"\n\n"
