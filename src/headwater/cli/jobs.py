"""A run of the command's that Ctrl-C may leave, and the word on what became of its job."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..protocol.events import Job
from .terminal import say


@contextmanager
def left_with_a_word(run: Any) -> Iterator[Any]:
    """The run; where Ctrl-C leaves it, its job's end is said: it costs money, or can be had later."""
    try:
        with run:
            yield run
    except KeyboardInterrupt:
        if run.job is not None:
            say(outcome_text(run.job, run.outcome))
        raise


def outcome_text(job: Job, outcome: str | None) -> str:
    """What became of a job that was left."""
    name = f"the job {job.id} at {job.provider}"
    taken_up = f"from Python: InferenceClient(provider={job.provider!r}).resume({job.to_json()!r}).result()"
    if outcome == "cancelled":
        return f"interrupted: {name} was cancelled"
    if outcome == "complete":
        return f"interrupted: {name} is done; its result can be had {taken_up}"
    if outcome == "detached":
        return f"interrupted: {name} goes on; its result can be had {taken_up}"
    return f"interrupted: whether {name} was cancelled is not known; if it goes on, it can be had {taken_up}"
