"""What a run can say while it works: the states of a queued job, and of a download.

After them, or without them, every stream hands its result over: the pieces of an answer as they come, the items of a
list, or the result itself; `Declaration.events` names the types, and docs/streams.md has them as a table. Plain facts;
nothing here waits or does I/O.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A queued job, as it can be picked up again with `client.resume(job)`, by another process too (it is JSON).

    `id`: the provider's own name for it. `state`: what else the provider needs to find it (paths, never a secret).
    """

    provider: str
    task: str
    id: str
    model: str | None = None
    routed: bool = False
    state: dict[str, str] = {}

    def __post_init__(self) -> None:
        if type(self.model) is not str and isinstance(self.model, str):  # of a class that no encoder of JSON knows
            msgspec.structs.force_setattr(self, "model", str.__str__(self.model))

    def to_json(self) -> str:
        """The job as JSON text; `Job.from_json` reads it."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Job:
        """The job that `to_json` wrote."""
        return msgspec.json.decode(text, type=cls)


class Submitted(msgspec.Struct, frozen=True, tag=True):
    """The provider has taken the job."""

    job: Job


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


class Loading(msgspec.Struct, frozen=True, tag=True):
    """The model is cold, and the call waits for it: it was refused, and is made again in so many seconds. An Inference
    Endpoint that scaled to zero is one. `message`: what the server said."""

    seconds: float
    message: str | None = None


JobEvent: TypeAlias = Submitted | Queued | Started | Progress | Transferred | Loading


class EndpointState(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What an Inference Endpoint says of itself. https://huggingface.co/docs/inference-endpoints

    `state`: "pending", "initializing", "updating", "running", "paused", "scaledToZero", "failed", "updateFailed", or a
    word that is new. `ready`: how many replicas are; `target`: how many are wanted.
    """

    state: str
    message: str | None = None
    ready: int | None = None
    target: int | None = None
