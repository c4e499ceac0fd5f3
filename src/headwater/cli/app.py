"""The list of commands, and how a run ends: its exit code, and one line on stderr where something went wrong.

The client and the declarations are imported for commands that call a server, and for the list of them alone. No error
of a call shows a traceback; a mistake of this program's own does.
"""

from __future__ import annotations

import inspect
import io
import os
import sys
from collections.abc import Sequence
from typing import Final

from cyclopts import App, CycloptsError

from .. import __version__
from ..errors import CallError, HeadwaterError
from .terminal import say

WRONG_USAGE: Final = 2
BROKEN_PIPE: Final = 141
"""128 + SIGPIPE, as shells have it."""
_TABLES: Final = frozenset({"providers", "tasks"})
_BATCH: Final = "batch"
_ENDPOINTS: Final = "endpoints"
_MCP: Final = "mcp"
_AGENT: Final = "agent"
_MODELS: Final = "models"
_LOCAL: Final = "local"
_NAMES: Final = {"chat-completion": ("chat", "chat-completion")}


def run_command(arguments: Sequence[str]) -> int:
    """Perform the command and return its exit code."""
    if sys.stdout is None:
        say("standard output is closed")
        return 1
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a letter that the terminal cannot show ends no answer
    try:
        return _perform(arguments)
    except BrokenPipeError:
        _leave_output()
        return BROKEN_PIPE
    except SystemExit:  # rich, of a help that nobody reads to its end
        return BROKEN_PIPE


def _perform(arguments: Sequence[str]) -> int:
    try:
        code = _parse_and_call(arguments)
        sys.stdout.flush()
        return code
    except CycloptsError as error:
        from .error_text import wrong_usage

        say(wrong_usage(error))
        return WRONG_USAGE
    except CallError as error:
        from .error_text import in_command_words

        say(in_command_words(error))
        return WRONG_USAGE
    except HeadwaterError as error:
        say(str(error))
        return 1
    except BrokenPipeError:
        raise
    except OSError as error:  # the disk is full, the terminal is gone
        say(f"{error.filename or 'the output'}: {error.strerror or error}")
        _leave_output()
        return 1


def _parse_and_call(arguments: Sequence[str]) -> int:
    from .command import DASH

    first = arguments[0] if arguments else None
    tokens = [DASH if argument == "-" else argument for argument in arguments]
    return app(first)(tokens) or 0


def app(first: str | None = None) -> App:
    """The parser, with the command that is called `first`; with all of them where none is."""
    from . import tables
    from .connection import KEYS

    made = App(
        name="headwater",
        help="Run inference on servers: chat, text, embeddings, and whatever else a provider does.",
        help_epilogue=KEYS,
        help_format="plaintext",
        version=__version__,
        suppress_keyboard_interrupt=False,
        print_error=False,
        exit_on_error=False,
        result_action="return_value",
    )
    if first not in _TABLES:
        is_task = first not in (_BATCH, _ENDPOINTS, _MCP, _AGENT, _LOCAL, _MODELS) and _add_tasks(made, first)
        if not is_task:
            _add_batch(made)
            _add_endpoints(made)
            _add_mcp(made)
            _add_models(made)
            _add_local(made)
    made.command(tables.providers)
    made.command(tables.tasks)
    return made


def _add_batch(made: App) -> None:
    from .batch import command
    from .batch_report import report

    batch = App(name=_BATCH, default_command=command())
    batch.command(report)
    made.command(batch)


def _add_endpoints(made: App) -> None:
    from .endpoints import commands

    endpoints = App(
        name=_ENDPOINTS, help="Inference Endpoints: launch, wait, pause, resume, delete; hardware, catalog."
    )
    for name, function in commands().items():
        endpoints.command(function, name=name)
    made.command(endpoints)


def _add_models(made: App) -> None:
    from .models import models_command

    made.command(models_command(), name=_MODELS)


def _add_mcp(made: App) -> None:
    from .agent import agent_command
    from .mcp_server import mcp_command

    made.command(mcp_command(), name=_MCP)
    made.command(agent_command(), name=_AGENT)


def _add_local(made: App) -> None:
    from .local import local

    made.command(local, name=_LOCAL)


def _add_tasks(made: App, first: str | None) -> bool:
    """All of them, or the one that `first` is; returns whether it is one."""
    from ..client.bound_task import Task
    from ..client.sync_client import InferenceClient
    from .command import Command

    found = {
        attribute: row.declaration
        for attribute, row in inspect.getmembers_static(InferenceClient)
        if isinstance(row, Task)
    }
    names = {attribute: _NAMES.get(task.name, (task.name,)) for attribute, task in found.items()}
    chosen = [attribute for attribute in found if first in names[attribute]] or list(found)
    for attribute in chosen:
        made.command(Command(attribute, found[attribute]).function(), name=names[attribute])
    return len(chosen) < len(found)


def _leave_output() -> None:
    """Let what cannot be written go nowhere, so that the interpreter's end has nothing to complain of."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(nowhere, sys.stdout.fileno())
    finally:
        os.close(nowhere)
