"""How far a batch is: live on a terminal, a line now and then where stderr is piped, JSON lines on stdout if asked for.

What servers say is shown without control sequences.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import msgspec

from ..batch.progress import BatchProgress, BatchStarted, BatchSummary, Draining, Event, GaveUp, RecordFailed
from .error_text import of_class
from .terminal import LONGEST_LINE, clean, is_terminal, say

REFRESH_SECONDS: Final = 0.25
"""Seconds between two looks."""
_PIPED_PROGRESS_SECONDS: Final = 10.0
"""Seconds between two lines."""
_JSON_PROGRESS_SECONDS: Final = 1.0
_MOST_SHOWN_FAILURES: Final = 10
"""Failures that are told one by one."""

Told: TypeAlias = Event | str
Show: TypeAlias = Callable[[Told], None]


@contextmanager
def display(*, json: bool) -> Iterator[Show]:
    """What takes the events."""
    if json:
        yield _Thinned(_print_json, _JSON_PROGRESS_SECONDS)
    elif is_terminal(sys.stderr) and os.environ.get("TERM") != "dumb":
        with _live() as show:
            yield _Failures(show)
    else:
        yield _Failures(_Thinned(_say, _PIPED_PROGRESS_SECONDS))


class _Thinned:
    """Passes a `BatchProgress` on when so many seconds have gone by since the last, and all else at once."""

    def __init__(self, show: Show, every: float) -> None:
        self._show = show
        self._every = every
        self._next = every

    def __call__(self, event: Told) -> None:
        if isinstance(event, BatchProgress):
            if event.seconds < self._next:
                return
            self._next = event.seconds + self._every
        self._show(event)


class _Failures:
    """Tells the first failures one by one."""

    def __init__(self, show: Show) -> None:
        self._show = show
        self._told = 0

    def __call__(self, event: Told) -> None:
        if isinstance(event, RecordFailed):
            self._told += 1
            if self._told == _MOST_SHOWN_FAILURES + 1:
                self._show("further failures are told by the output alone")
            if self._told > _MOST_SHOWN_FAILURES:
                return
        self._show(event)


def _print_json(event: Told) -> None:
    line = msgspec.json.encode(event).decode()
    print(clean(line) if is_terminal(sys.stdout) else line, flush=True)


def _say(event: Told) -> None:
    say(event_text(event))


def event_text(event: Told) -> str:
    """An event as one line."""
    match event:
        case str():
            return event
        case BatchStarted():
            return _started(event)
        case BatchProgress():
            return "; ".join(filter(None, [_counts(event), *_rates(event), _errors(event.errors)]))
        case RecordFailed():
            told = of_class(event.error, event.message)
            return f"line {event.line} ({event.custom_id[:80]}): {event.error}: {told}"
        case Draining():
            return f"no more records are begun; {event.in_flight} are under way (Ctrl-C again ends it now)"
        case GaveUp():
            many = (
                f"{event.failures} records in a row failed alike, with"
                if event.failures > 1
                else "the batch cannot go:"
            )
            told = f"{many} {event.error}: {of_class(event.error, event.message)}"
            under_way = f"{event.in_flight} are under way; Ctrl-C ends it now; " if event.in_flight else ""
            return f"{told}; no more are begun ({under_way}--keep-going goes on in any case)"
    return _finished(event)


def _started(event: BatchStarted) -> str:
    told = f"{counted(event.total)} in {event.input}"
    if event.done or event.failed:
        told += f", {event.done} done and {event.failed} failed before"
    if event.torn:
        told += f"; an unfinished record of {event.torn} bytes was cut from {event.output}, and is sent again"
    return told


def _finished(event: BatchSummary) -> str:
    ended = {
        None: "",
        "drained": "stopped: ",
        "stopped": "stopped at once: ",
        "gave_up": "gave up: ",
        "budget": "the budget is spent: ",
    }[event.stopped]
    told = f"{ended}{event.done} of {counted(event.total)} done, {event.failed} failed, {event.left} left"
    told += f"; {event.seconds:.1f} s, {_short(event.rate)} a second"
    if event.input_tokens or event.output_tokens:
        told += f"; {event.input_tokens} tokens in, {event.output_tokens} out"
    if event.spend is not None:
        told += f"; spend {event.spend:.4f}"
    return "; ".join(filter(None, [told, _errors(event.errors)]))


def _counts(event: BatchProgress) -> str:
    failed = f", {event.failed} failed" if event.failed else ""
    return f"{event.done + event.failed} of {counted(event.total)}{failed}"


def counted(records: int) -> str:
    """A number of records, in words."""
    return f"{records} record{'' if records == 1 else 's'}"


def _rates(event: BatchProgress) -> list[str]:
    told = [f"{_short(event.rate)} a second"]
    if event.token_rate:
        told.append(f"{_short(event.token_rate)} tokens a second")
    limit = f" (limit {event.limit})" if event.limit else ""
    told.append(f"{event.in_flight} under way{limit}")
    if event.spend is not None:
        told.append(f"spend {event.spend:.4f}")
    if event.waiting is not None:
        told.append(f"waiting for the server, {event.waiting:.0f} s more")
    elif event.eta is not None:
        told.append(f"about {clock_time(event.eta)} left")
    return told


def _short(number: float) -> str:
    return f"{number:.0f}" if number >= 10 else f"{number:.1f}"


def _errors(errors: dict[str, int]) -> str:
    common = sorted(errors.items(), key=lambda item: -item[1])[:6]
    return "errors: " + ", ".join(f"{name} {count}" for name, count in common) if common else ""


def clock_time(seconds: float) -> str:
    """Seconds as hours, minutes and seconds: "1:02:03"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _in_lines(parts: list[str], width: int) -> list[str]:
    """Parts side by side, as many in a line as fit, and none broken."""
    lines = [""]
    for part in parts:
        wider = f"{lines[-1]}  {part}" if lines[-1] else part
        if len(wider) > width and lines[-1]:
            lines.append(part)
        else:
            lines[-1] = wider
    return lines


@contextmanager
def _live() -> Iterator[Show]:
    from rich.console import Console
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    console = Console(stderr=True, highlight=False, markup=False)
    live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False)

    def drawn(event: BatchProgress) -> Table:
        finished, total = event.done + event.failed, max(event.total, 1)
        bar: Any = ProgressBar(total, finished, width=min(60, console.width), complete_style="cyan")
        rates = _in_lines(_rates(event), console.width)
        told = [f"{_counts(event)}  {finished / total:.0%}", bar, *rates, _errors(event.errors)]
        table = Table.grid()
        for line in filter(None, told):
            table.add_row(Text(clean(line)) if isinstance(line, str) else line)
        return table

    def show(event: Told) -> None:
        if isinstance(event, BatchProgress):
            live.update(drawn(event), refresh=True)
            return
        if isinstance(event, BatchSummary):
            live.stop()
        line = " ".join(clean(f"headwater: {event_text(event)}").split())[:LONGEST_LINE]
        console.print(Text(line), soft_wrap=True)

    with live:
        yield show
