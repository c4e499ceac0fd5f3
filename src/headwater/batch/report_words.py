"""Numbers, dates and lengths of time as a report writes them."""

from __future__ import annotations

from datetime import UTC, datetime


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


def period(first: float, last: float) -> str:
    """When something began and ended (Unix seconds): "2027-01-15 08:00 to 08:13 UTC"."""
    begun, ended = datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC)
    until = f"{ended:%H:%M}" if begun.date() == ended.date() else f"{ended:%Y-%m-%d %H:%M}"
    start = f"{begun:%Y-%m-%d %H:%M}"
    return f"{start} UTC" if start.endswith(until) else f"{start} to {until} UTC"
