"""What passes through a running emulator: requests, connections, clients that left; gates that hold answers.

Written by the server's thread, read and waited on by any other. Keeps the last 4,096 requests, no
credentials, and no body but its JSON.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio

from . import secrets
from .dialects.jobs import JobStore
from .dialects.scripts import Scripts
from .endpoint_lives import EndpointStore

KEPT = 4096


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request as it came: ``path`` with its prefix, ``headers`` in small letters with credentials masked.

    ``json`` is None for a body that is not JSON, or none.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    json: Any
    _credentials: frozenset[str] = field(repr=False)

    def carries(self, credential: str) -> bool:
        """Whether a header of the request had this key or token, of which the records keep a digest only."""
        return secrets.digest(credential) in self._credentials


class Traffic:
    """The counts and records of one emulator; every change wakes whoever waits in `wait_for`."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.jobs = JobStore(self.changed)
        self.scripts = Scripts()
        self.endpoints = EndpointStore(self.changed)
        self.requests: deque[RecordedRequest] = deque(maxlen=KEPT)
        self.connections = 0
        self.accepted = 0
        self.disconnected = 0
        self.loaded: set[str] = set()
        self.stopping = False
        self._gates: dict[str, anyio.Event] = {}

    def record(self, request: RecordedRequest) -> None:
        with self.changed:
            self.requests.append(request)
            self.changed.notify_all()

    def connected(self) -> None:
        with self.changed:
            self.connections += 1
            self.accepted += 1
            self.changed.notify_all()

    def closed(self) -> None:
        with self.changed:
            self.connections -= 1
            self.changed.notify_all()

    def left(self) -> None:
        """A client went away before its answer was sent whole."""
        with self.changed:
            self.disconnected += not self.stopping
            self.changed.notify_all()

    def forget(self) -> None:
        """Forget requests, jobs, scripts, endpoints, disconnections, models that have loaded, and gates."""
        self.jobs.forget()
        self.scripts.turns.clear()
        self.endpoints.forget()
        with self.changed:
            self.requests.clear()
            self.disconnected = 0
            self.loaded.clear()
            self._gates = {}

    def first_call(self, model: str) -> bool:
        """Whether this is the first call to a model, which then counts as loaded."""
        with self.changed:
            first = model not in self.loaded
            self.loaded.add(model)
            return first

    def wait_for(self, condition: Callable[[], bool], timeout: float, what: str) -> None:
        with self.changed:
            if not self.changed.wait_for(condition, timeout):
                raise TimeoutError(f"{what}: not within {timeout} s")

    def gate(self, name: str) -> anyio.Event:
        """The gate of that name; only for the server's own thread."""
        return self._gates.setdefault(name, anyio.Event())
