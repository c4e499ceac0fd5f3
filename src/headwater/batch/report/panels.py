"""The pictures of a report, by matplotlib: it makes PNG and SVG in this process, without a browser or a script.

A panel draws a part of `RunData`; `panels` says which of them have something to show. In an SVG for the page,
everything that is ink has the page's own colour, so that it can be read on light and on dark. It writes no HTML.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from textwrap import fill
from typing import Any, Final, NamedTuple

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from . import plots as drawing
from .data import RunData
from .histogram import laid_out, places
from .plots import BLUE, GREEN, INK, PURPLE, RED, TEAL, Times

_STYLE: Final[dict[Any, Any]] = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "grid.alpha": 0.18,
    "grid.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "headwater",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
}

_KEPT: Final = "\N{NO-BREAK SPACE}"


class Panel(NamedTuple):
    """A picture: its title, what it says in words, and how it is drawn."""

    title: str
    words: str
    draw: Callable[[Axes], None]


def panels(data: RunData) -> list[Panel]:
    """The pictures that these figures fill, in reading order."""
    found: list[Panel] = []
    if data.timeline.moments:
        found += _over_time(_times(data), data)
    elif data.errors:
        found.append(Panel("Errors", "Failed records by class.", lambda axes: drawing.errors_counted(axes, data)))
    if data.latency.count or data.failure.count:
        words = "How long records took, tries and waits included, on a logarithmic scale."
        ends = {"answered": (data.latency, BLUE), "failed": (data.failure, RED)}
        found.append(Panel("Latency", words, lambda axes: drawing.spreads(axes, ends, "seconds")))
    if data.first_event.count:
        words = "From the start of a record to the first event of its answer."
        first = {"first token": (data.first_event, TEAL)}
        found.append(Panel("Time to first token", words, lambda axes: drawing.spreads(axes, first, "seconds")))
    if len(data.providers) > 1:
        words = "The share of the answered records that took at most so long."
        found.append(Panel("Latency by provider", words, lambda axes: drawing.by_provider(axes, data.providers)))
    if data.prompt.count or data.completion.count:
        words = "Tokens of a record, as the servers counted them."
        tokens = {"prompt": (data.prompt, PURPLE), "answer": (data.completion, GREEN)}
        found.append(Panel("Tokens per record", words, lambda axes: drawing.spreads(axes, tokens, "tokens")))
    return found


def _over_time(times: Times, data: RunData) -> Iterator[Panel]:
    again = " A dashed line: the batch was begun again." if times.runs else ""
    yield Panel("Throughput", f"Records that ended, over time.{again}", lambda axes: drawing.throughput(axes, times))
    words = "Records under way, on average" + (", and the limit that was found." if drawing.has_limit(times) else ".")
    yield Panel("Concurrency", words, lambda axes: drawing.concurrency(axes, times))
    if any(slot.moment.tokens for slot in times.slots):
        yield Panel(
            "Tokens of the answers",
            "As the servers counted them, per second.",
            lambda axes: drawing.tokens(axes, times),
        )
    if data.errors:
        words = "Failed records by class, in each step of time."
        yield Panel("Errors", words, lambda axes: drawing.errors(axes, times, data))


def _times(data: RunData) -> Times:
    slots, pauses = laid_out(data.timeline, data.records)
    length = slots[-1].start + data.timeline.width
    unit, seconds = ("s", 1.0) if length < 180 else ("min", 60.0) if length < 3 * 3600 else ("h", 3600.0)
    runs = places(data.timeline, sorted(data.runs.values())[1:])
    return Times(slots, pauses, data.timeline.width, unit, seconds, runs)


# -- as files


@contextmanager
def _styled() -> Iterator[None]:
    with rc_context(_STYLE), warnings.catch_warnings():
        # A name in letters that matplotlib's font lacks has boxes in the PNG; the page has its own fonts.
        warnings.filterwarnings("ignore", message="Glyph")
        yield


def svg(panel: Panel, number: int) -> str:
    """One panel as SVG for a page: no title, the page's ink, names of its own for what it refers to."""
    with _styled(), rc_context({"svg.hashsalt": f"headwater-{number}"}):
        figure = Figure(figsize=(6.4, 3.0))
        figure.subplots_adjust(left=0.11, right=0.985, bottom=0.16, top=0.9)
        panel.draw(figure.subplots())
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    return text.replace(INK, "currentColor").replace(' xmlns="http://www.w3.org/2000/svg"', "", 1)


def png(shown: Sequence[Panel], title: str, heading: Sequence[str], figures: Sequence[str]) -> bytes:
    """All panels in one picture, on white, below the title, what was run, and its figures in words."""
    with _styled(), rc_context({"savefig.facecolor": "white", "figure.facecolor": "white"}):
        rows = max(1, math.ceil(len(shown) / 2))
        height = 1.4 + 3.1 * rows
        figure = Figure(figsize=(12, height))
        figure.subplots_adjust(
            left=0.06, right=0.985, top=1 - 1.5 / height, bottom=0.5 / height, hspace=0.36, wspace=0.15
        )
        figure.suptitle(title, fontsize=13, x=0.012, y=1 - 0.15 / height, ha="left", va="top")
        words = "\n".join(filter(None, (_filled(heading), _filled(figures))))
        figure.text(0.012, 1 - 0.48 / height, words, ha="left", va="top", alpha=0.8, linespacing=1.4)
        grid = figure.subplots(rows, 2, squeeze=False).flatten().tolist()
        for axes in grid[len(shown) :]:
            axes.set_axis_off()
        for panel, axes in zip(shown, grid, strict=False):
            panel.draw(axes)
            axes.set_title(panel.title)
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=110, metadata={"Software": None})
    return file.getvalue()


def _filled(parts: Sequence[str]) -> str:
    """Parts in lines, none of them broken."""
    return fill("  ·  ".join(parts).replace(" ", _KEPT).replace(f"·{_KEPT}{_KEPT}", "·  "), 175)
