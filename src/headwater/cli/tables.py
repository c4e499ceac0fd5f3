"""What the providers are and do: a table for a screen of 80 columns, tab-separated lines for a pipe, JSON where it is
asked for."""

from __future__ import annotations

import os
import shutil
import sys
from textwrap import wrap
from typing import Annotated, Any, Final

from cyclopts import Parameter

from ..auth.credentials import BEARER
from ..auth.hosts import ROUTER_URL
from ..providers import PROVIDERS, Provider, provider, table
from ..providers.registry import HF_INFERENCE, SERVER
from .results import as_json
from .terminal import clean, is_terminal

Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON.")]
Markdown = Annotated[bool, Parameter(name="--markdown", negative="", help="Print the table of the documentation.")]
_URL = "(a server's URL)"
_USUAL: Final = 80
"""Columns of a terminal; in fewer, names are cut in two rather than cut off."""


Name = Annotated[str | None, Parameter(name="NAME", help="Tell all of this one.")]


def providers(name: Name = None, /, *, json: Json = False) -> int:
    """List the providers, or tell all of one: its tasks, URL, key variable, and what is special about it."""
    if name is not None:
        _show_one(provider(name), json=json)
        return 0
    rows = [_facts(row) for row in PROVIDERS.values()]
    if json or not is_terminal(sys.stdout):
        show_rows(rows, json=json)
    else:
        _show_table([_short(row) for row in PROVIDERS.values()])
        print("Routed: it takes a Hugging Face token, too. More: headwater providers NAME")
    return 0


def _short(row: Provider) -> dict[str, Any]:
    tasks = f"{len(row.tasks)} tasks" if len(row.tasks) > 1 else ", ".join(row.tasks)
    return {"provider": row.name, "keys": row.keys[:1], "tasks": tasks, "routed": row.routed}


def _show_one(row: Provider, *, json: bool) -> None:
    facts = {**_facts(row), **_special(row)}
    if json:
        print(as_json(facts, pretty=is_terminal(sys.stdout)))
        return
    facts["keys"] = [f"{name} ({'set' if os.environ.get(name) else 'not set'})" for name in row.keys]
    width = max(map(len, facts))
    room = max(20, shutil.get_terminal_size().columns - width - 3) if is_terminal(sys.stdout) else sys.maxsize
    for name, value in facts.items():
        for number, line in enumerate(wrap(_cell(value, ", "), room, break_long_words=False, break_on_hyphens=False)):
            print(f"{'' if number else name:<{width}}  {line}")


def _special(row: Provider) -> dict[str, Any]:
    """What is not the same with every provider, in words."""
    told: dict[str, Any] = {}
    if row.name == HF_INFERENCE:
        told["without a key"] = "it answers"
    if row.routed:
        told["router"] = f"a Hugging Face token goes to {ROUTER_URL}{'' if row.name == 'auto' else f'/{row.name}'}"
    told["models"] = "by their names on the Hub, or its own" if row.routed else "by its own names"
    if row.key_header != BEARER:
        told["sends its key as"] = f"{row.key_header.name}: {row.key_header.scheme} KEY".replace(":  ", ": ")
    if row.tokens is not None:
        told["sends tokens as"] = f"authorization: Bearer TOKEN, where that begins with {row.tokens}"
    if row.place is not None:
        told["is where"] = f"{' or '.join(row.place.variables)} says, or --base-url"
    if row.headers:
        told["further headers"] = [f"{name}: {value}" for name, value in row.headers.items()]
    if row.resume:
        told["jobs"] = f"can be taken up again: {', '.join(row.resume)}"
    if row.origins:
        told["takes its key at"] = list(row.origins)
    return told


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
    show_rows([{"task": task, "providers": names} for task, names in sorted(doing.items())], json=json)
    return 0


def show_rows(rows: list[dict[str, Any]], *, json: bool) -> None:
    """Rows as a table for a terminal, as lines for a pipe, as JSON."""
    if json:
        print(as_json(rows, pretty=is_terminal(sys.stdout)))
    elif rows and is_terminal(sys.stdout):
        _show_table(rows)
    elif rows:
        print("\t".join(rows[0]))
        for row in rows:
            print("\t".join(" ".join(_cell(value, ",").split()) for value in row.values()))


def _show_table(rows: list[dict[str, Any]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, highlight=False)
    fits = console.width >= _USUAL
    shown = Table(box=box.SIMPLE_HEAD)
    for number, name in enumerate(rows[0]):
        shown.add_column(name, no_wrap=fits and (name == "keys" or number == 0), overflow="fold")
    for row in rows:
        shown.add_row(*(clean(_cell(value, "\n" if name == "keys" else ", ")) for name, value in row.items()))
    console.print(shown)


def _cell(value: Any, separator: str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return separator.join(value) if isinstance(value, list | tuple) else "" if value is None else str(value)
