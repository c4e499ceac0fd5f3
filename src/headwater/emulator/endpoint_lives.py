"""The Inference Endpoints of a running emulator: each goes through a scripted life, one stage for every look at it.

A life is a list of stages, which are states ("pending", "initializing", "running", or a word that nobody knows) or
dicts of what a `status` has beside its URL. The first stage is there when the life begins, and every ``GET`` of the
endpoint goes on to the next one; the last stays. No clock has a part in it.
"""

from __future__ import annotations

import copy
import hashlib
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

Stage: TypeAlias = "str | Mapping[str, Any]"

STARTED: tuple[Stage, ...] = ("pending", "initializing", "running")
"""What follows a creation or a resumption that is not scripted."""
MESSAGES = {
    "pending": "Endpoint waiting to be scheduled",
    "initializing": "Endpoint is initializing",
    "updating": "Endpoint is updating",
    "updateFailed": "Endpoint failed to update",
    "running": "Endpoint is ready",
    "paused": "Endpoint is paused",
    "failed": "Endpoint failed to start: container exited with code 1",
    "scaledToZero": "Endpoint is scaled to zero",
}
HAS_URL = frozenset({"running", "updating", "updateFailed", "scaledToZero"})
STOPPED = frozenset({"paused", "scaledToZero"})
WORDS = re.compile(r"\b(fails|stuck|odd|hangs|unhealthy-(\d+))\b")
"""What the name of an endpoint may ask for: to fail; to initialize for ever; to be in a state that nobody knows before
it runs; that its health route never answers; that this many health checks get a 503."""
WITHOUT_HEADER = 2
"""How many requests to an endpoint that scaled to zero are refused with a 503 where none says how long it waits."""


@dataclass(slots=True)
class EmulatedEndpoint:
    """One endpoint. ``polls`` counts the looks at it, ``health_checks`` those at its health route, ``actions`` are what
    was asked for ("create", "resume", "pause", "scale-to-zero", "update", "delete"), in order.

    ``body``: what it was created with. ``resumed``: the life that a resumption begins, or a request that wakes it.
    ``cold``: how many requests are refused with a 503 while it wakes. ``unhealthy``: how many health checks still are.
    """

    namespace: str
    name: str
    body: dict[str, Any] = field(repr=False)
    life: list[Stage] = field(default_factory=list)
    resumed: tuple[Stage, ...] = STARTED
    polls: int = 0
    health_checks: int = 0
    unhealthy: int = 0
    hangs: bool = False
    cold: int | None = None
    actions: list[str] = field(default_factory=list)
    is_deleted: bool = False

    @property
    def state(self) -> str:
        """The state that it is in."""
        return str(self.status["state"])

    @property
    def status(self) -> dict[str, Any]:
        """What its ``status`` says now, but for the URL and the times."""
        stage = self.life[0]
        told = dict(stage) if isinstance(stage, Mapping) else {"state": stage}
        runs = told["state"] == "running"
        wanted = 0 if told["state"] in STOPPED else int(self.body["compute"]["scaling"]["minReplica"] or 1)
        usual = {"message": MESSAGES.get(told["state"], ""), "readyReplica": wanted * runs, "targetReplica": wanted}
        return {**usual, **told}

    @property
    def id(self) -> str:
        """The label of its URL."""
        return hashlib.sha256(f"{self.namespace}/{self.name}".encode()).hexdigest()[:24]

    def begin(self, life: Iterable[Stage]) -> None:
        """Begin another life."""
        self.life = list(life)

    def go_on(self) -> None:
        """Come to the next stage."""
        if len(self.life) > 1:
            del self.life[0]


class EndpointStore:
    """All endpoints, oldest first, the deleted ones too; ``changed`` is notified of every change."""

    def __init__(self, changed: threading.Condition | None = None) -> None:
        self.changed = changed or threading.Condition()
        self.known: dict[tuple[str, str], EmulatedEndpoint] = {}
        self.deleted: list[EmulatedEndpoint] = []

    def add(self, endpoint: EmulatedEndpoint) -> EmulatedEndpoint:
        """Take another endpoint, with what its name asks for."""
        for word, count in WORDS.findall(endpoint.name):
            lives: dict[str, tuple[Stage, ...]] = {
                "fails": ("pending", "initializing", "failed"),
                "stuck": ("pending", "initializing"),
                "odd": ("pending", "hibernating", "running"),
            }
            endpoint.resumed = lives.get(word, endpoint.resumed)
            endpoint.hangs = endpoint.hangs or word == "hangs"
            endpoint.unhealthy = int(count or endpoint.unhealthy)
        with self.changed:
            self.known[endpoint.namespace, endpoint.name] = endpoint
            if not endpoint.life:
                endpoint.begin(endpoint.resumed)
            self.changed.notify_all()
        return endpoint

    def find(self, namespace: str, name: str) -> EmulatedEndpoint | None:
        """The endpoint of that name."""
        return self.known.get((namespace, name))

    def labelled(self, label: str) -> EmulatedEndpoint | None:
        """The endpoint whose URL has this label."""
        return next((each for each in self.known.values() if each.id == label), None)

    def of(self, namespace: str) -> list[EmulatedEndpoint]:
        """Those of one namespace."""
        return [each for each in self.known.values() if each.namespace == namespace]

    def act(self, endpoint: EmulatedEndpoint, action: str, life: Iterable[Stage] | None = None) -> None:
        """Note what was asked for, and begin the life that follows from it."""
        with self.changed:
            endpoint.actions.append(action)
            if life is not None:
                endpoint.begin(life)
            if action == "delete":
                endpoint.is_deleted = True
                self.deleted.append(self.known.pop((endpoint.namespace, endpoint.name)))
            self.changed.notify_all()

    def poll(self, endpoint: EmulatedEndpoint) -> dict[str, Any]:
        """Come to the next stage, which is what this look sees."""
        with self.changed:
            endpoint.polls += 1
            endpoint.go_on()
            self.changed.notify_all()
            return endpoint.status

    def wake(self, endpoint: EmulatedEndpoint, *, waits: bool) -> bool:
        """Count a request to an endpoint that scaled to zero; whether it is answered. ``waits``: it says for how long
        it does."""
        with self.changed:
            if endpoint.cold is None:
                endpoint.cold = 0 if waits else WITHOUT_HEADER
            if endpoint.state == "scaledToZero":
                endpoint.begin(endpoint.resumed)
            endpoint.cold -= 1
            if endpoint.cold < 0:
                endpoint.cold = None
                endpoint.begin(["running"])
            self.changed.notify_all()
            return endpoint.cold is None

    def health(self, endpoint: EmulatedEndpoint) -> bool:
        """Count a health check; whether it is well."""
        with self.changed:
            endpoint.health_checks += 1
            is_well = endpoint.unhealthy == 0
            endpoint.unhealthy -= not is_well
            self.changed.notify_all()
        return is_well

    def copies(self) -> list[EmulatedEndpoint]:
        """Those that were deleted, and those that are there."""
        with self.changed:
            return [copied(each) for each in (*self.deleted, *self.known.values())]

    def forget(self) -> None:
        """Forget all."""
        with self.changed:
            self.known.clear()
            self.deleted.clear()


def copied(endpoint: EmulatedEndpoint) -> EmulatedEndpoint:
    return replace(
        endpoint, body=copy.deepcopy(endpoint.body), life=list(endpoint.life), actions=list(endpoint.actions)
    )
