"""Cost against scale: one picture per question, a line per client. Refuses to measure.

A client's line ends where it failed, and says so.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import figures, work
from benchmarks.clients import LABELS

Results = dict[str, figures.Rows]
COLOURS = {
    "raw": "#7f7f7f",
    "headwater-asyncio": "#1f77b4",
    "headwater-uvloop": "#17a2c6",
    "headwater-trio": "#123f6d",
    "headwater-map-asyncio": "#2ca02c",
    "headwater-map-uvloop": "#74c476",
    "headwater-map-trio": "#145a14",
    "aiohttp": "#d9a441",
    "httpx": "#c46a1b",
    "httpx2": "#8a4b12",
    "huggingface_hub": "#b5402f",
    "openai": "#8c3f8c",
}
MARKERS = "osD^vP*X<>hd"


class Curve(NamedTuple):
    """A picture: the scales with their benchmarks, and which column of the rows is drawn."""

    file: str
    title: str
    across: str
    up: str
    benches: tuple[tuple[int, str], ...]
    column: str
    shown: Callable[[float], str]
    clients: tuple[str, ...]
    from_zero: bool = False  # up; else logarithmic, as across always is


_CROWDS = tuple((count, f"open_{count}") for count in work.CROWDS)
_CALLS = tuple((count, f"calls_{count}") for count in work.CONCURRENCIES)
_DELAYS = tuple((job.calls, name) for name, job in work.DELAYS.items())
_RATES = tuple((rate, f"rate_{rate}") for rate in work.STEPS)
_WRITE = "from a server's write to the body of the loop"
_OPEN = "streams open at once, a chunk a second each"
CURVES = (
    Curve(
        "streams_cpu",
        "CPU time per chunk, connecting included",
        _OPEN,
        "CPU per chunk",
        _CROWDS,
        "cpu",
        figures.times,
        work.ASYNC,
    ),
    Curve(
        "streams_cpu_open",
        "CPU time per chunk once all streams are open",
        _OPEN,
        "CPU per chunk",
        _CROWDS,
        "cpu_open",
        figures.times,
        work.ASYNC,
    ),
    Curve(
        "streams_memory",
        "Resident memory of an open stream, above the idle client",
        _OPEN,
        "memory per stream",
        _CROWDS,
        "kib_per_stream",
        lambda value: f"{value:.3g} KiB",
        work.ASYNC,
        from_zero=True,
    ),
    *(
        Curve(
            f"delay_{column}",
            f"Delay of a chunk {_WRITE}, {name}",
            "streams open at once (100 to 10,000 chunks a second)",
            f"delay, {name}",
            _DELAYS,
            column,
            figures.times,
            work.ASYNC,
        )
        for column, name in (("p50", "median"), ("p99", "p99"), ("p999", "p99.9"))
    ),
    Curve(
        "rate_p99",
        f"Where one core ends: delay of a chunk {_WRITE}, p99, 1,000 streams",
        "chunks a second in all",
        "delay, p99",
        _RATES,
        "p99",
        figures.times,
        work.ASYNC,
    ),
    Curve(
        "calls_cpu",
        "CPU time of a short chat completion, from a queue",
        "calls at once",
        "CPU per call",
        _CALLS,
        "cpu",
        figures.times,
        work.QUEUED,
    ),
)


def draw_all(folder: Path, results: Results) -> None:
    """Write each picture for which at least two scales were measured, as PNG and SVG."""
    for curve in CURVES:
        if sum(bench in results for _, bench in curve.benches) > 1:
            _draw(folder, curve, results)


def _points(curve: Curve, results: Results, client: str) -> tuple[list[int], list[float]]:
    found = [(scale, figures.median(results, bench, client, curve.column)) for scale, bench in curve.benches]
    kept = [(scale, value) for scale, value in found if value is not None and value > 0]
    return [scale for scale, _ in kept], [value for _, value in kept]


def _draw(folder: Path, curve: Curve, results: Results) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(10, 6), layout="constrained")
    ends: list[tuple[float, int, str, str]] = []
    for client, marker in zip(curve.clients, MARKERS, strict=False):
        scales, values = _points(curve, results, client)
        if scales:
            axes.plot(scales, values, marker=marker, markersize=5, color=COLOURS[client], linewidth=1.8)
            stopped = any(scale > scales[-1] and bench in results for scale, bench in curve.benches)
            name = LABELS.get(client, client) + (f" (no further than {scales[-1]:,})" if stopped else "")
            ends.append((values[-1], scales[-1], f"{name}  {curve.shown(values[-1])}", COLOURS[client]))
    _scale_axes(axes, curve, results)
    _name_lines(axes, ends)
    scale = "" if curve.from_zero else "both axes logarithmic; "
    axes.set_title(f"{curve.title}\n{scale}lower is better", loc="left", fontsize=12)
    for kind in ("png", "svg"):
        figure.savefig(folder / f"{curve.file}.{kind}", dpi=110)
    pyplot.close(figure)


def _scale_axes(axes: Any, curve: Curve, results: Results) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    measured = [scale for scale, bench in curve.benches if bench in results]
    axes.set_xscale("log")
    axes.set_xticks(measured, [f"{scale:,}" for scale in measured])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_tick_params(which="minor", bottom=False)
    if curve.from_zero:
        axes.set_ylim(bottom=0)
    else:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: curve.shown(value)))
    axes.set_xlabel(curve.across)
    axes.set_ylabel(curve.up)
    axes.grid(visible=True, which="major", color="#e6e6e6")
    axes.spines[["top", "right"]].set_visible(False)


def _name_lines(axes: Any, ends: list[tuple[float, int, str, str]]) -> None:
    """Each line's name to the right of the axes, in the order of the lines' ends, none on top of another."""
    axes.figure.draw_without_rendering()
    height = 0.042  # of the axes
    places = [(axes.transAxes.inverted().transform(axes.transData.transform((x, y)))[1], t, c) for y, x, t, c in ends]
    last = -1.0
    for place, text, colour in sorted(places):
        last = max(place, last + height)
        axes.annotate(
            text, (1.01, last), xycoords="axes fraction", color=colour, fontsize=9, va="center", annotation_clip=False
        )
