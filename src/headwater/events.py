"""What a run can say while it works, beside the events of its own stream: the states of a queued job.

Plain facts; nothing here waits or does I/O.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class Submitted(msgspec.Struct, frozen=True, tag=True):
    """The provider has taken the job; `job` is its id there."""

    job: str


class Queued(msgspec.Struct, frozen=True, tag=True):
    """The job waits; `position` counts from 0, None where the provider does not say."""

    position: int | None = None


class Started(msgspec.Struct, frozen=True, tag=True):
    """The job runs."""


class Progress(msgspec.Struct, frozen=True, tag=True):
    """The job runs: `fraction` from 0 to 1 where it is known, and log lines that are new."""

    fraction: float | None = None
    logs: tuple[str, ...] = ()


class Transferred(msgspec.Struct, frozen=True, tag=True):
    """Bytes of an upload or a download so far; `total` where it is known."""

    direction: str
    size: int
    total: int | None = None


JobEvent: TypeAlias = Submitted | Queued | Started | Progress | Transferred
