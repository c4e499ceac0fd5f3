"""The jobs of a running emulator: they go on by being polled, and end the way that their request asks for.

Words in the model's id or the prompt ask for it: see `WISHES`. Forgets nothing but on `JobStore.forget`; nothing
here depends on a clock.
"""

from __future__ import annotations

import hashlib
import re
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

WISHES = ("fail", "moderated", "forever", "unknown-state", "instant", "flaky", "gone")
"""What a request may ask for: to fail; to be refused by moderation; never to end; to be in a state that nobody
knows; to be done at once; that the first three polls get a 500; that its result is not there (404)."""

WISHED = re.compile("|".join(WISHES))
HUGE = re.compile(r"huge-(\d{1,4})")
FLAKES = 3
TEXTS = ("prompt", "text", "input", "inputs")


def asked_for(model: str, body: object) -> str:
    """The words in which wishes are looked for: the model's id and the texts of the body."""
    found = [model]
    if isinstance(body, Mapping):
        found += [body[name] for name in TEXTS if isinstance(body.get(name), str)]
        if isinstance(nested := body.get("input"), Mapping):
            found.append(asked_for("", nested))
    return " ".join(found)


def wishes_of(text: str) -> frozenset[str]:
    return frozenset(WISHED.findall(text))


def megabytes(text: str) -> int:
    """The N of ``huge-N``, 0 without one; at most 4,095."""
    found = HUGE.search(text)
    return min(int(found[1]), 4095) if found else 0


@dataclass(slots=True)
class EmulatedJob:
    """One submission. ``polls`` counts all of them, also those that were answered with a 500.

    ``submits``: the how-manieth submission of an equal request this is, so 1 unless something was sent twice.
    """

    provider: str
    id: str
    model: str
    sent: Any = field(repr=False)
    submits: int = 1
    polls: int = 0
    flaked: int = 0
    cancelled: bool = False

    @property
    def words(self) -> str:
        return asked_for(self.model, self.sent)

    @property
    def wishes(self) -> frozenset[str]:
        return wishes_of(self.words)

    @property
    def state(self) -> str:
        """queued, running, done, failed, moderated, unknown or cancelled.

        Queued when submitted and on the first poll, running on the second, done on the third.
        """
        if self.cancelled:
            return "cancelled"
        wishes, seen = self.wishes, self.polls - self.flaked
        if "unknown-state" in wishes:
            return "unknown" if seen else "queued"
        if "forever" in wishes or ("instant" not in wishes and seen < 3):
            return "queued" if seen < 2 else "running"
        return "failed" if "fail" in wishes else "moderated" if "moderated" in wishes else "done"

    @property
    def over(self) -> bool:
        return self.state in ("done", "failed", "moderated", "cancelled")


class JobStore:
    """All jobs, oldest first; ``changed`` is notified of every change."""

    def __init__(self, changed: threading.Condition | None = None) -> None:
        self.changed = changed or threading.Condition()
        self.known: dict[tuple[str, str], EmulatedJob] = {}
        self.submitted: dict[str, int] = {}

    def submit(self, provider: str, model: str, digest: str, sent: Any) -> EmulatedJob:
        """A new job, whose id is made from ``digest`` and from how often that was submitted."""
        with self.changed:
            key = f"{provider} {digest}"
            times = self.submitted[key] = self.submitted.get(key, 0) + 1
            name = str(uuid.UUID(hashlib.sha256(f"{key} {times}".encode()).hexdigest()[:32]))
            job = self.known[provider, name] = EmulatedJob(provider, name, model, sent, times)
            self.changed.notify_all()
            return job

    def keep(self, provider: str, model: str, digest: str, sent: Any) -> EmulatedJob:
        """What is no job and can be asked for again: its id is made from ``digest`` alone."""
        with self.changed:
            name = str(uuid.UUID(hashlib.sha256(f"{provider} {digest}".encode()).hexdigest()[:32]))
            kept = self.known[provider, name] = EmulatedJob(provider, name, model, sent)
            self.changed.notify_all()
            return kept

    def find(self, provider: str, name: str) -> EmulatedJob | None:
        return self.known.get((provider, name))

    def poll(self, job: EmulatedJob) -> bool:
        """Count a poll; False if it is to be answered with a 500."""
        with self.changed:
            job.polls += 1
            flakes = "flaky" in job.wishes and job.flaked < FLAKES
            job.flaked += flakes
            self.changed.notify_all()
        return not flakes

    def cancel(self, job: EmulatedJob) -> bool:
        """Cancel a job; False if it was over."""
        with self.changed:
            if job.over:
                return False
            job.cancelled = True
            self.changed.notify_all()
        return True

    def copies(self) -> list[EmulatedJob]:
        with self.changed:
            return [replace(job) for job in self.known.values()]

    def forget(self) -> None:
        with self.changed:
            self.known.clear()
            self.submitted.clear()
