"""The states of a job on one line of the terminal, gone when it ends; nothing where stderr is no terminal."""

from __future__ import annotations

import shutil
import sys
import threading
from types import TracebackType
from typing import Any, Final, Self

from ..protocol.events import EndpointState, Loading, Progress, Queued, Started, Submitted, Transferred
from .terminal import clean, takes_colour

_ERASE: Final = "\r\x1b[2K"
_REDRAW_SECONDS: Final = 0.2
"""Seconds between two looks at an upload."""


class ProgressLine:
    """`with ProgressLine() as line: line.show(event)`."""

    def __init__(self) -> None:
        self._is_shown = takes_colour(sys.stderr)
        self._is_drawn = False
        self._is_over = threading.Event()

    def show(self, event: Any) -> None:
        """Write this state over the one before."""
        words = describe(event)
        if self._is_shown and words:
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write(_ERASE + " ".join(clean(words).split())[:width])
            sys.stderr.flush()
            self._is_drawn = True

    def watch(self, run: Any) -> Self:
        """Show also how a large input is being sent: the caller's own thread waits meanwhile, so another one looks."""
        if self._is_shown:
            threading.Thread(target=self._look, args=(run,), daemon=True).start()
        return self

    def _look(self, run: Any) -> None:
        while not self._is_over.wait(_REDRAW_SECONDS):
            sent = run.upload
            if sent is not None and sent.size < sent.total:
                self.show(sent)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        if self._is_drawn:
            sys.stderr.write(_ERASE)
            sys.stderr.flush()


def describe(event: Any) -> str:
    """A job's state in words; nothing for an event that is none."""
    match event:
        case Submitted(job=job):
            return f"submitted as {job.id}"
        case Queued(position=None):
            return "queued"
        case Queued(position=position):
            return f"queued, {position} before it"
        case Started():
            return "running"
        case Progress(fraction=fraction, logs=logs):
            share = "running" if fraction is None else f"running, {fraction:.0%}"
            return f"{share}: {logs[-1]}" if logs else share
        case Loading(seconds=seconds):
            return f"the model is loading; asked again in {seconds:.0f} s"
        case EndpointState(state=state, message=message, ready=ready, target=target):
            replicas = f" ({ready} of {target} replicas)" if target else ""
            return f"{state}{replicas}{f': {message}' if message else ''}"
        case Transferred(direction=direction, size=size, total=total):
            whole = f" of {_megabytes(total)}" if total else ""
            return f"{direction}: {_megabytes(size)}{whole}"
    return ""


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
