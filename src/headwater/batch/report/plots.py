"""What is drawn on the axes of a report's pictures; `report_plots` says which pictures there are.

Names that servers chose are drawn as they are: no mathematics, no markup.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from .data import RunData
from .histogram import OTHER, Slot, Spread, TimelineCut, edge, shorten
from .page import length_of_time

INK: Final = "#010203"
"""Stands for the page's own text colour while an SVG is drawn: no palette has it."""
BLUE, RED, GREEN, ORANGE, PURPLE, TEAL, PINK, GREY = (
    "#3f86c9",
    "#d6504e",
    "#3f9e5f",
    "#d98a2b",
    "#9470c4",
    "#2b9c9c",
    "#c75f95",
    "#8a8f98",
)
CLASSES: Final = (RED, ORANGE, PURPLE, TEAL, PINK, BLUE)
"""Of the classes of errors that have a colour of their own, the most frequent first."""


_MOST_LABELLED: Final = 6
"""Pauses that are told with their lengths; a run that was killed often has many."""


class Times(NamedTuple):
    """The bins of time as they are drawn, their width in seconds, and the axis's unit."""

    slots: Sequence[Slot]
    pauses: Sequence[TimelineCut]
    width: float
    unit: str
    seconds: float
    runs: Sequence[float] = ()
    """Where the runs after the first begin, in seconds."""

    @property
    def edges(self) -> list[float]:
        """Where bins begin, and where the last one ends, in the unit."""
        return [slot.start / self.seconds for slot in self.slots] + [(self.slots[-1].start + self.width) / self.seconds]

    def rates(self, count: Callable[[Slot], float]) -> list[float]:
        """Something per second, in every bin."""
        return [count(slot) / self.width for slot in self.slots]

    def finish(self, axes: Axes) -> None:
        """Label the axis, and mark what is cut out."""
        cut = ", pauses cut out" if self.pauses else ""
        axes.set_xlabel(f"time since the start ({self.unit}{cut})")
        axes.set_xlim(0, self.edges[-1])
        axes.set_ylim(bottom=0)
        _plain_ticks(axes.yaxis)
        are_told = len(self.pauses) <= _MOST_LABELLED
        for pause in self.pauses:
            at = pause.start / self.seconds
            axes.axvline(at, ymin=0.45 if are_told else 0, color=GREY, linestyle=":", linewidth=1.2)
            if are_told:
                where = axes.get_xaxis_transform()
                axes.text(
                    at, 0.02, length_of_time(pause.seconds), transform=where, rotation=90, fontsize=7, ha="center"
                )
        self._mark_runs(axes)

    def _mark_runs(self, axes: Axes) -> None:
        """A line where the batch was begun again after it had stopped."""
        for number, start in enumerate(self.runs, 2):
            at = start / self.seconds
            axes.axvline(at, color=INK, linestyle="--", linewidth=0.9, alpha=0.7)
            if len(self.runs) <= _MOST_LABELLED:
                where = axes.get_xaxis_transform()
                axes.text(at, 0.98, f" run {number}", transform=where, fontsize=7, ha="left", va="top")


def has_limit(times: Times) -> bool:
    return any(slot.moment.limits for slot in times.slots)


# -- over time


def throughput(axes: Axes, times: Times) -> None:
    good = times.rates(lambda slot: slot.moment.good)
    failed = times.rates(lambda slot: slot.moment.errors.total())
    most = max(one + other for one, other in zip(good, failed, strict=True))
    unit, each = ("s", 1) if most >= 2 else ("min", 60) if most * 60 >= 2 else ("h", 3600)
    good, failed = [each * one for one in good], [each * one for one in failed]
    axes.stairs(good, times.edges, fill=True, color=BLUE, label="answered" if any(good) else None)
    if any(failed):
        whole = [one + other for one, other in zip(good, failed, strict=True)]
        axes.stairs(whole, times.edges, baseline=good, fill=True, color=RED, label="failed")
        _legend(axes)
    axes.set_ylabel(f"records/{unit}")
    times.finish(axes)
    _whole(axes.yaxis)


def concurrency(axes: Axes, times: Times) -> None:
    in_flight = [slot.in_flight for slot in times.slots]
    axes.stairs(in_flight, times.edges, fill=True, color=TEAL, alpha=0.6, label="in flight")
    if has_limit(times):
        limits = [slot.moment.limit / slot.moment.limits if slot.moment.limits else math.nan for slot in times.slots]
        axes.stairs(_held(limits), times.edges, baseline=None, color=ORANGE, linewidth=1.6, label="limit")
        _legend(axes)
    axes.set_ylabel("records")
    times.finish(axes)
    _whole(axes.yaxis)


def _held(numbers: list[float]) -> list[float]:
    """Each unknown number as the one before it."""
    held, last = [], math.nan
    for number in numbers:
        last = last if math.isnan(number) else number
        held.append(last)
    return held


def tokens(axes: Axes, times: Times) -> None:
    axes.stairs(times.rates(lambda slot: slot.moment.tokens), times.edges, fill=True, color=GREEN)
    axes.set_ylabel("tokens/s")
    times.finish(axes)
    _whole(axes.yaxis)


def errors(axes: Axes, times: Times, data: RunData) -> None:
    named = [name for name, _ in data.errors.most_common(len(CLASSES)) if name != OTHER]
    below = [0.0] * len(times.slots)
    for name, colour in zip([*named, OTHER], [*CLASSES[: len(named)], GREY], strict=True):
        counts = [
            slot.moment.errors[name]
            if name != OTHER
            else slot.moment.errors.total() - sum(slot.moment.errors[one] for one in named)
            for slot in times.slots
        ]
        if any(counts):
            above = [low + count for low, count in zip(below, counts, strict=True)]
            axes.stairs(above, times.edges, baseline=below, fill=True, color=colour, label=_short(name))
            below = above
    axes.set_ylabel("failed records")
    times.finish(axes)
    _whole(axes.yaxis)
    columns = 3 if len(named) > 2 else 2
    axes.set_ylim(top=max(below) * (1.05 + 0.13 * math.ceil((len(named) + 1) / columns)))
    axes.legend(loc="upper left", ncols=columns, handlelength=1.2, columnspacing=1)


# -- without time


def errors_counted(axes: Axes, data: RunData) -> None:
    """The classes of failures as bars, for lines that do not say when."""
    counted = list(reversed(data.errors.most_common(8)))
    axes.barh(range(len(counted)), [count for _, count in counted], color=RED, alpha=0.55, height=0.7)
    for row, (name, count) in enumerate(counted):
        at = axes.get_yaxis_transform()
        axes.text(0.01, row, f"{_short(name)}: {count:,}", transform=at, verticalalignment="center")
    axes.set_yticks([])
    _whole(axes.xaxis)
    axes.set_xlabel("failed records")


def spreads(axes: Axes, spreads: Mapping[str, tuple[Spread, str]], unit: str) -> None:
    """Histograms over one logarithmic axis; of times, the median and the 95th percentile of the first as well."""
    filled = {name: given for name, given in spreads.items() if given[0].count}
    bars = _Bars([spread for spread, _ in filled.values()])
    for name, (spread, colour) in filled.items():
        axes.stairs(bars.counts(spread), bars.edges, fill=True, color=colour, alpha=0.7, label=name)
    first, _ = next(iter(filled.values()))
    for share, style in ((0.5, "-"), (0.95, "--")) if unit == "seconds" else ():
        value = first.quantile(share)
        axes.axvline(value, color=INK, linewidth=1, linestyle=style, label=f"p{share * 100:g}: {_plain(value)} s")
    _legend(axes)
    axes.set_xlabel(unit)
    axes.set_ylabel("records")
    axes.set_ylim(bottom=0)
    _whole(axes.yaxis)
    _logarithmic(axes, bars.edges[0], bars.edges[-1])


class _Bars:
    """The bars of a histogram: each as wide as some of a spread's bins, so that none is cut."""

    def __init__(self, spreads: Sequence[Spread]) -> None:
        self._first = min(min(spread.bins) for spread in spreads)
        bins = max(max(spread.bins) for spread in spreads) - self._first + 1
        bars = min(40, math.ceil(math.sqrt(max(spread.count for spread in spreads))) + 4)
        self._each = max(2, math.ceil(bins / bars))
        self._number = math.ceil(bins / self._each)
        self.edges = [edge(self._first + self._each * bar) for bar in range(self._number + 1)]

    def counts(self, spread: Spread) -> list[int]:
        """How many are in every bar."""
        counts = [0] * self._number
        for at, count in spread.bins.items():
            counts[(at - self._first) // self._each] += count
        return counts


def by_provider(axes: Axes, providers: Mapping[str, Spread]) -> None:
    largest = sorted(providers.items(), key=lambda pair: -pair[1].count)[: len(CLASSES)]
    for (name, spread), colour in zip(largest, (BLUE, ORANGE, GREEN, PURPLE, PINK, TEAL), strict=False):
        shares, sizes, seen = [0.0], [max(edge(min(spread.bins)), spread.least)], 0
        for at in sorted(spread.bins):
            seen += spread.bins[at]
            shares.append(100 * seen / spread.count)
            sizes.append(edge(at + 1))
        axes.step(sizes, shares, where="post", color=colour, linewidth=1.8, label=_short(name))
    axes.set_xlabel("seconds")
    axes.set_ylabel("% of its records")
    axes.set_ylim(0, 102)
    edges = _Bars([spread for _, spread in largest]).edges
    _logarithmic(axes, edges[0], edges[-1])
    axes.grid(axis="both")
    axes.legend(loc="lower right", handlelength=1.2)


def _logarithmic(axes: Axes, least: float, most: float) -> None:
    least, most = least / 1.2, most * 1.2
    axes.set_xscale("log")
    axes.set_xlim(least, most)
    axes.minorticks_off()
    decades = math.log10(most / least)
    subs = (1.0,) if decades > 3 else (1.0, 3.0) if decades > 2 else (1.0, 2.0, 5.0)
    if decades > 0.6:
        axes.xaxis.set_major_locator(LogLocator(subs=subs))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _plain(value)))


def _whole(axis: Axis) -> None:
    """Marks at whole numbers alone, and at one of them at least."""
    if axis.get_view_interval()[1] < 1:
        axis.set_view_interval(0, 1.05, ignore=True)
    axis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=1, steps=[1, 2, 5, 10]))
    _plain_ticks(axis)


def _plain_ticks(axis: Axis) -> None:
    """Marks for people, all of one axis in one unit."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: _plain(value, max(axis.get_view_interval()))))


def _plain(number: float, largest: float | None = None) -> str:
    """A number for people: three digits that matter, and a letter where the largest beside it is large."""
    for size, letter, least in ((1e9, "G", 1e9), (1e6, "M", 1e6), (1e3, "k", 1e4)):
        if number and (number if largest is None else largest) >= least:
            return f"{number / size:.3g}{letter}"
    return f"{number:,.0f}" if number >= 1000 else f"{number:.3g}"


def _short(name: str) -> str:
    # A label that begins with an underscore is left out by matplotlib.
    name = shorten(name, 28)
    return name.replace("_", "\u200b_", 1) if name.startswith("_") else name


def _legend(axes: Axes) -> None:
    """Above what is drawn, at the right: nothing is hidden."""
    axes.legend(
        loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=4, handlelength=1.2, columnspacing=1.0, borderaxespad=0.2
    )
