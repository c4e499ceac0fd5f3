"""A picture of a batch's run: its result lines as a page and as a PNG.

    report = make("out.jsonl")
    Path("report.html").write_text(report.html)

It writes nothing itself, asks no server, and reads the lines one at a time, so that a million of them take no more
memory than a thousand. It needs matplotlib (the extra `report`).
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from ...cost.price import PriceTable
from ...errors import InputError
from .data import NO_RESPONSE, RunData


class Report(msgspec.Struct, frozen=True):
    """The page, self-contained; the figures behind it; and the picture, which is drawn when it is asked for."""

    html: str
    data: RunData
    title: str

    @property
    def png(self) -> bytes:
        from . import panels
        from .page import heading, overview

        figures = [f"{name} {figure}" for name, figure in overview(self.data)]
        return panels.png(panels.panels(self.data), self.title, heading(self.data), figures)


def make(path: str | os.PathLike[str], *, prices: PriceTable | None = None) -> Report:
    """The report of a file of results, as `headwater batch`, OpenAI's Batch API or vLLM's `run-batch` write it.

    `prices`: what tokens cost, by model or provider, as `run_batch` takes them; not needed where the run was told them.

    Raises `InputError` for a file that cannot be read or has no results, ImportError without the extra `report`.
    """
    file = Path(path)
    data = read_run(file, prices=prices)
    try:
        from . import panels as plots
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "matplotlib":
            raise
        raise ImportError('a report needs matplotlib: pip install "headwater[report]"', name=error.name) from error
    from .page import page

    title = f"Batch report: {file.name}"
    pictures = [(panel.title, panel.words, plots.svg(panel, i)) for i, panel in enumerate(plots.panels(data))]
    return Report(page(data, title, pictures), data, title)


def read_run(path: str | os.PathLike[str], *, prices: PriceTable | None = None) -> RunData:
    """The figures of a file of results. Raises `InputError` where it cannot be read, or no line of it is a result."""
    try:
        with Path(path).open("rb") as lines:
            data = RunData(prices).read(lines)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    lines_in_all = data.records + data.unreadable
    if lines_in_all and data.errors[NO_RESPONSE] == data.records:
        raise InputError(f"{path}: none of its {lines_in_all:,} lines is a result; are these the requests?")
    return data
