"""Numbers and lengths of time as a report writes them."""

from __future__ import annotations


def number(value: float) -> str:
    """Three digits that matter, whole above a thousand."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """A length of time in the units that suit it."""
    if seconds < 119.5:
        return f"{number(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min"
