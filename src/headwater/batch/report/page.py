"""The HTML page of a report: one file that asks nobody for anything, and runs no script.

Whatever came from a server or a file is escaped here, and the page forbids itself to load or run anything besides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Final

from .data import RunData
from .histogram import Spread, laid_out


def number(value: float) -> str:
    """Three digits that matter, whole above a thousand."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def length_of_time(seconds: float) -> str:
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


_MOST_NAMED: Final = 3
"""Models and providers that the head names."""
_QUANTILES: Final = (0.5, 0.9, 0.95, 0.99)
_CSS: Final = """
:root { color-scheme: light dark; --line: #8886; --soft: #8882; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 78rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; }
.head { overflow-wrap: anywhere; margin: .3rem 0; }
h2 { font-size: 1.05rem; margin: 0; }
p { margin: .2rem 0 .6rem; opacity: .8; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .8rem; margin: 1.2rem 0; }
dl div { background: var(--soft); border-radius: .5rem; padding: .6rem .8rem; }
dt { opacity: .75; font-size: .85rem; }
dd { margin: 0; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); gap: 1.5rem; }
figure { margin: 0; }
svg { width: 100%; height: auto; }
svg text { font-family: inherit !important; }
section { margin: 2rem 0; overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .3rem .8rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child, td.words { text-align: left; }
td.words { white-space: normal; overflow-wrap: anywhere; min-width: 16rem; }
"""


def page(data: RunData, title: str, pictures: Sequence[tuple[str, str, str]]) -> str:
    """The whole page; `pictures` are titles, words and SVGs, which are trusted."""
    figures = "".join(
        f"<figure><h2>{escape(name)}</h2><p>{escape(words)}</p>{svg}</figure>\n" for name, words, svg in pictures
    )
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="content-security-policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>{_CSS}</style>
<h1>{escape(title)}</h1>
<p class="head">{escape("  ·  ".join(heading(data)))}</p>
<dl>{"".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in overview(data))}</dl>
<div class="panels">
{figures}</div>
{_spreads(data)}{_errors(data)}</html>
"""


def heading(data: RunData) -> list[str]:
    """When it ran, on which model, at whom, in how many runs, and what it cost."""
    told: list[str] = []
    if data.first is not None and data.last is not None:
        told.append(period(data.first, data.last))
    told += [f"{word} {_some(counts)}" for word, counts in (("model", data.models), ("provider", data.asked)) if counts]
    if len(data.runs) > 1:
        told.append(f"{len(data.runs)} runs")
    if data.spend is not None:
        told.append(f"spend {number(data.spend)}")
    elif data.prompt.count or data.completion.count:
        told.append("spend unknown (--prices)")
    return told


def _some(counts: Counter[str]) -> str:
    """The most frequent names, with their shares where there are several."""
    if len(counts) == 1:
        return next(iter(counts))
    whole = counts.total()
    named = [f"{name} ({count / whole:.0%})" for name, count in counts.most_common(_MOST_NAMED)]
    more = len(counts) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def overview(data: RunData) -> list[tuple[str, str]]:
    """The figures at the top, with their names."""
    shown = [("records", f"{data.records:,}"), ("answered", f"{data.good:,}"), ("failed", f"{data.failed:,}")]
    if data.unreadable:
        shown.append(("lines that cannot be read", f"{data.unreadable:,}"))
    if data.first is not None and data.last is not None:
        seconds = data.last - data.first
        shown.append(("duration", length_of_time(seconds)))
        if pauses := sum(pause.seconds for pause in laid_out(data.timeline, data.records)[1]):
            shown.append(("of it, pauses", length_of_time(pauses)))
        if seconds > pauses:
            shown.append(("records/s", number(data.records / (seconds - pauses))))
    if data.most_in_flight:
        shown.append(("most in flight", f"{data.most_in_flight:,}"))
    tokens = (("prompt tokens", data.prompt), ("answer tokens", data.completion))
    return shown + [(name, f"{spread.sum:,.0f}") for name, spread in tokens if spread.count]


def _spreads(data: RunData) -> str:
    rows = [
        ("latency, answered (s)", data.latency),
        *((f"latency of {name} (s)", spread) for name, spread in _named(data.providers)),
        ("time until it failed (s)", data.failure),
        ("time to first token (s)", data.first_event),
        ("tokens/s of one answer", data.pace),
        ("prompt tokens", data.prompt),
        ("answer tokens", data.completion),
        ("tries", data.attempts),
    ]
    filled = [_row(name, spread) for name, spread in rows if spread.count]
    if not filled:
        return ""
    head = ("", "records", "mean", *(f"p{share * 100:g}" for share in _QUANTILES), "max")
    return _table("Percentiles", "Percentiles are right to 1 %; records, mean and max are exact.", head, filled)


def _named(providers: dict[str, Spread]) -> Iterable[tuple[str, Spread]]:
    return sorted(providers.items()) if len(providers) > 1 else ()


def _row(name: str, spread: Spread) -> str:
    sizes = [spread.mean, *map(spread.quantile, _QUANTILES), spread.most]
    return _cells([name, f"{spread.count:,}", *map(number, sizes)])


def _errors(data: RunData) -> str:
    if not data.errors:
        return ""
    rows = [
        _cells(
            [name, f"{count:,}", f"{100 * count / data.records:.2f} %", data.examples.get(name, "")],
            words_last=True,
        )
        for name, count in data.errors.most_common()
    ]
    words = "Failed records by class, with what the first of each said."
    return _table("Errors", words, ("class", "records", "of all", ""), rows)


def _table(title: str, words: str, head: Sequence[str], rows: Sequence[str]) -> str:
    heads = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(rows)
    return f"<section><h2>{title}</h2><p>{words}</p><table><tr>{heads}</tr>{body}</table></section>\n"


def _cells(values: Sequence[str], *, words_last: bool = False) -> str:
    cells = [f"<td>{escape(value)}</td>" for value in values]
    if words_last:
        cells[-1] = cells[-1].replace("<td>", '<td class="words">', 1)
    return f"<tr>{''.join(cells)}</tr>"
