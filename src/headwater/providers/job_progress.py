"""What is new in each answer about a queued job: the events of its progress, none of them twice.

Vendors answer with all that was logged so far, every time. Pure; it asks nothing and knows no vendor.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..events import JobEvent, Progress, Queued, Started


class Told:
    """What of one job was handed over already. A job that goes back into the queue is told of as queued again."""

    def __init__(self) -> None:
        self._queued: Queued | None = None
        self._is_started = False
        self._lines = 0
        self._fraction: float | None = None

    def waiting(self, position: int | None = None) -> list[JobEvent]:
        """It waits, at this position of the queue, counted from 0."""
        event = Queued(position)
        if event == self._queued:
            return []
        self._queued, self._is_started = event, False
        return [event]

    def running(self, lines: Sequence[str] = (), fraction: float | None = None) -> list[JobEvent]:
        """It runs: all the lines that were logged so far, and how far it is, 0 to 1."""
        begun: list[JobEvent] = [] if self._is_started else [Started()]
        self._queued, self._is_started = None, True
        return begun + self.logged(lines, fraction)

    def logged(self, lines: Sequence[str], fraction: float | None = None) -> list[JobEvent]:
        """The lines alone, of a job that may be over."""
        if len(lines) < self._lines:  # the job was begun anew, and its log too
            self._lines = 0
        new = tuple(lines[self._lines :])
        self._lines = len(lines)
        is_news = bool(new) or (fraction is not None and fraction != self._fraction)
        self._fraction = fraction
        return [Progress(fraction=fraction, logs=new)] if is_news else []
