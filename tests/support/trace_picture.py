"""A trace as a picture: a bar for each span below its parent, and marks for what its first span tells on the way."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

WIDTH, LEFT, RIGHT, ROW, BAR, TOP = 860, 250, 150, 34, 18, 64
COLOURS = {"ok": "#2f6f4f", "error": "#b5402f", "cancelled": "#8a8a8a", "call": "#33516e"}


class Row(NamedTuple):
    """A span: how deep it lies, its words, when it began and ended (seconds), how, and what stands after its bar."""

    depth: int
    words: str
    began: float
    ended: float
    kind: str
    end: str


class Mark(NamedTuple):
    """Something that happened at a moment."""

    at: float
    words: str


def picture(title: str, rows: Sequence[Row], marks: Sequence[Mark]) -> str:
    """The picture as SVG, which asks nobody for anything."""
    last = max(row.ended for row in rows)
    marks_top = TOP + ROW * len(rows) + 10
    height = marks_top + 20 * len(marks) + 40

    def across(seconds: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * seconds / last, 1)

    size = f'viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif" font-size="13"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="14" y="28" font-size="16" fill="#222">{escape(title)}</text>',
    ]
    for number, row in enumerate(rows):
        top, x = TOP + ROW * number, across(row.began)
        width = max(2.0, round(across(row.ended) - x, 1))
        middle = top + BAR - 4
        colour = COLOURS[row.kind]
        lines += [
            f'<text x="{14 + 18 * row.depth}" y="{middle}" fill="#222">{escape(row.words)}</text>',
            f'<rect x="{x}" y="{top}" width="{width}" height="{BAR}" rx="3" fill="{colour}"/>',
            f'<text x="{round(x + width + 6, 1)}" y="{middle}" fill="{colour}">{escape(row.end)}</text>',
        ]
    for number, mark in enumerate(marks):
        x, y = across(mark.at), marks_top + 20 * (number + 1)
        lines += [
            f'<line x1="{x}" y1="{TOP - 6}" x2="{x}" y2="{y - 6}" stroke="#c28a1c" stroke-dasharray="3 3"/>',
            f'<text x="{round(x + 5, 1)}" y="{y}" fill="#8a5f0c">{escape(mark.words)}</text>',
        ]
    seconds = ", ".join(f"{moment:.2f} s" for moment in (0.0, last))
    lines += [f'<text x="14" y="{height - 12}" fill="#666">from the first to the last: {seconds}</text>', "</svg>", ""]
    return "\n".join(lines)
