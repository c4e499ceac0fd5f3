"""What the providers are and do: a table for a screen, tab-separated lines for a pipe, JSON where it is asked for."""

from __future__ import annotations

import sys
from typing import Annotated, Any

from cyclopts import Parameter

from ..providers import PROVIDERS, Provider, table
from ..providers.rows import SERVER
from .results import as_json
from .terminal import is_terminal

Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON.")]
Markdown = Annotated[bool, Parameter(name="--markdown", negative="", help="Print the README's table.")]
_URL = "(a server's URL)"


def providers(*, json: Json = False) -> int:
    """List the providers: key variable, tasks, URL of direct calls, and whether Hugging Face's router takes calls."""
    rows = [_facts(row) for row in PROVIDERS.values()]
    _show(rows, json=json)
    return 0


def _facts(row: Provider) -> dict[str, Any]:
    return {
        "provider": row.name,
        "keys": list(row.keys),
        "tasks": list(row.tasks),
        "url": row.base,
        "routed": row.routed,
    }


def tasks(*, json: Json = False, markdown: Markdown = False) -> int:
    """List the tasks and who does them; "(a server's URL)" stands for any server at --base-url."""
    if markdown:
        print(table.markdown())
        return 0
    doing: dict[str, list[str]] = {}
    for name, row in [*PROVIDERS.items(), (_URL, SERVER)]:
        for task in row.tasks:
            doing.setdefault(task, []).append(name)
    _show([{"task": task, "providers": names} for task, names in sorted(doing.items())], json=json)
    return 0


def _show(rows: list[dict[str, Any]], *, json: bool) -> None:
    if json:
        print(as_json(rows, pretty=is_terminal(sys.stdout)))
    elif is_terminal(sys.stdout):
        _show_table(rows)
    else:
        print("\t".join(rows[0]))
        for row in rows:
            print("\t".join(_cell(value, ",") for value in row.values()))


def _show_table(rows: list[dict[str, Any]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    shown = Table(box=box.SIMPLE_HEAD)
    for number, name in enumerate(rows[0]):
        shown.add_column(name, no_wrap=name == "keys" or number == 0, overflow="fold")
    for row in rows:
        shown.add_row(*(_cell(value, "\n" if name == "keys" else ", ") for name, value in row.items()))
    Console(markup=False, highlight=False).print(shown)


def _cell(value: Any, separator: str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return separator.join(value) if isinstance(value, list) else str(value)
