"""Who does what, as a Markdown table; that of docs/providers.md is this text, and a test compares them.

It knows no provider and no task by name: the rows of `PROVIDERS` say it all.
"""

from __future__ import annotations

from collections.abc import Iterable

from . import PROVIDERS
from .registry import SERVER

URL = "a URL"


def columns() -> dict[str, frozenset[str]]:
    """The tasks of every provider by its name, and of a server's own URL; without the router, which has them all."""
    named = {name: frozenset(row.tasks) for name, row in PROVIDERS.items() if name != "auto"}
    return {URL: frozenset(SERVER.tasks), **named}


def markdown() -> str:
    """The table: a line for each task, a column for each provider."""
    does = columns()
    tasks = sorted(frozenset().union(*does.values()))
    head = _line(["task", *does])
    rule = "|---" + "|:-:" * len(does) + "|"
    return "\n".join([head, rule, *(_line([f"`{task}`", *_marks(task, does.values())]) for task in tasks)])


def _marks(task: str, doing: Iterable[frozenset[str]]) -> list[str]:
    return ["●" if task in its else "" for its in doing]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
