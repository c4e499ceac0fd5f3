"""The servers of this machine, when somebody asks for them: a table, lines for a pipe, JSON."""

from __future__ import annotations

import sys
from typing import Annotated, Any, Final

from cyclopts import Parameter

from ..client.local_servers import local_servers
from ..providers.local_signs import LOCAL_PORTS
from .tables import Json, show_rows
from .terminal import clean, is_terminal, say

Ports = Annotated[
    list[int] | None,
    Parameter(name="--port", negative="", help="Look at this port, in place of the usual ones; may be repeated."),
]
Seconds = Annotated[float, Parameter(name="--timeout", help="The seconds of each request.")]
_SHOWN: Final = 3
"""Models of a server that a table names."""


def local(*, port: Ports = None, timeout: Seconds = 1.0, json: Json = False) -> int:
    """Find the servers on this machine: Ollama, LM Studio, llama.cpp, vLLM, SGLang, text-generation-inference."""
    ports = port or list(LOCAL_PORTS)
    found = local_servers(ports, timeout=timeout)
    if not found and not json:
        say(f"nothing answers on this machine at {', '.join(map(str, ports))}")
        return 0
    is_table = is_terminal(sys.stdout) and not json
    rows: list[dict[str, Any]] = []
    for server in found:
        models = [clean(name) for name in _few(server.models)] if is_table else server.models
        row = {
            "server": server.name or "?",
            "version": clean(server.version or ""),
            "url": server.url,
            "models": models,
        }
        rows.append(row if is_table else {**row, "use": server.use or "", "note": server.note or ""})
    if json:
        rows = [{**row, "server": server.name} for row, server in zip(rows, found, strict=True)]
    show_rows(rows, json=json)
    for server in found if is_table else ():
        print(clean(server.use or f"{server.url}: {server.note}"))
        if server.use and server.note:
            print(f"  {server.note}")
    return 0


def _few(models: list[str]) -> list[str]:
    left = len(models) - _SHOWN
    return models if left <= 0 else [*models[:_SHOWN], f"and {left} more"]
