"""Medians, ratios, the table, the JSON and the pictures. Refuses to measure."""

import json
import statistics
from pathlib import Path
from typing import Any

from benchmarks.clients import LABELS

DELAYS = ("p50", "p99", "p999")
Row = dict[str, Any]
Rows = dict[str, Row]


def add_medians(rows: Rows) -> None:
    """Give every measured row its medians, in seconds per unit, and the best round's CPU time."""
    for row in (row for row in rows.values() if row.get("cpu")):
        row["cpu_best"] = min(row["cpu"])
        for name in ("cpu", "wall", "cpu_open", "kib_per_stream", "opened_after", "read_in", *DELAYS, "written"):
            if name in row:
                row[f"{name}_median"] = statistics.median(row[name])


def median(results: dict[str, Rows], bench: str, client: str, column: str = "cpu") -> float | None:
    """The median of a client's CPU seconds per unit, or of another column; None when it was not measured."""
    found: float | None = results.get(bench, {}).get(client, {}).get(f"{column}_median")
    return found


def times(seconds: float) -> str:
    """Seconds with a unit that fits."""
    if seconds >= 1:
        return f"{seconds:.2f} s"
    if seconds >= 1e-3:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds * 1e6:.3g} us"


def table(title: str, unit: str, rows: Rows) -> str:
    """One benchmark as aligned text: a row per client, a column per client that all are compared with."""
    against = [name for name in rows if _is_reference(name) and "cpu_median" in rows[name]]
    held = any("cpu_open" in row for row in rows.values())
    late = any("p99" in row for row in rows.values())
    head = ["", f"CPU/{unit}", "best", f"wall/{unit}", "peak MiB", "rounds"]
    counted = any("python_calls" in row for row in rows.values())
    head += ["Python calls"] * counted
    head += ["CPU once open", "KiB/stream", "opened in", "read in"] * held
    head += ["delay p50", "p99", "p99.9", "written/s"] * late
    head += [f"/ {name}" for name in against]
    lines = [head, *(_line(name, row, [rows[other] for other in against], counted) for name, row in rows.items())]
    widths = [max(len(line[column]) for line in lines if column < len(line)) for column in range(len(head))]
    return "\n".join(["", title, *(_aligned(line, widths) for line in lines)])


def _aligned(line: list[str], widths: list[int]) -> str:
    first, *others = zip(line, widths, strict=False)
    return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)])


def _is_reference(name: str) -> bool:
    return name.startswith(("raw", "headwater"))


def _line(name: str, row: dict[str, Any], against: list[dict[str, Any]], counted: bool) -> list[str]:
    label = LABELS.get(name, name)
    if "cpu_median" not in row:
        return [label, "skipped" if "skipped" in row else "FAILED"]
    memory = f"{row['memory']:.0f}" if "memory" in row else "-"
    cells = [label, *(times(row[key]) for key in ("cpu_median", "cpu_best", "wall_median"))]
    cells += [memory, str(len(row["cpu"]))]
    cells += [f"{row['python_calls']:.1f}" if "python_calls" in row else "-"] * counted
    if "cpu_open" in row:
        cells += [times(row["cpu_open_median"]), f"{row['kib_per_stream_median']:.1f}"]
        cells += [times(row["opened_after_median"]), times(row["read_in_median"])]
    if "p99" in row:
        cells += [times(row[f"{name}_median"]) for name in DELAYS] + [f"{row['written_median']:,.0f}"]
    return cells + [_ratio(row["cpu_median"], other["cpu_median"]) for other in against]


def _ratio(this: float, other: float) -> str:
    return f"{this / other:.2f}x" if other else "-"


def notes(rows: Rows) -> list[str]:
    """What the columns cannot show: why a client has no figures, what churn left, what an import loaded."""
    lines = []
    for name, row in rows.items():
        for word in ("skipped", "failed"):
            if word in row:
                lines.append(f"  {name}: {word}: {row[word]}")
        if "cancelled" in row:
            kept = ("connections_left", "streams_left", "tasks_left", "warnings", "connections_after_close")
            counts = ", ".join(f"{key.replace('_', ' ')} {row[key]}" for key in kept)
            lines.append(f"  {name}: {row['cancelled']} cancelled: {counts}; then succeeded {row['then_succeeded']}")
            lines += [f"    {warning[:300]}" for warning in row["first_warnings"]]
        if "unwanted" in row:
            lines.append(f"  {name}: loads {', '.join(row['unwanted']) or 'neither httpx, PIL nor ssl'}")
    return lines


def write_json(path: Path, results: dict[str, Rows], versions: dict[str, str]) -> None:
    """Everything that was measured, in seconds and MiB."""
    path.write_text(json.dumps({"versions": versions, "results": results}, indent=1) + "\n")


def draw(path: Path, title: str, unit: str, rows: Rows) -> None:
    """A horizontal bar per client, the cheapest first, with its figure and its ratio to the limit."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = {name: row for name, row in rows.items() if row.get("cpu_median") and name != "bare python"}
    if not shown:
        return
    names = sorted(shown, key=lambda name: shown[name]["cpu_median"], reverse=True)
    values = [shown[name]["cpu_median"] for name in names]
    base = next((name for name in shown if _is_reference(name)), names[-1])
    figure, axes = pyplot.subplots(figsize=(9, 1.4 + 0.45 * len(names)), layout="constrained")
    bars = axes.barh([LABELS.get(name, name) for name in names], values, color=[_colour(name) for name in names])
    labels = [f"{times(value)}  ({_ratio(value, shown[base]['cpu_median'])})" for value in values]
    axes.bar_label(bars, labels=labels, padding=4, fontsize=9)
    axes.set_xlim(0, max(values) * 1.22)
    axes.set_xticks([])
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.set_title(
        f"{title}\nCPU time per {unit}, and times that of {base}; shorter is better", loc="left", fontsize=11
    )
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _colour(name: str) -> str:
    if name.startswith("headwater"):
        return "#1f77b4"
    return "#7f7f7f" if name.startswith("raw") else "#d9a441"
