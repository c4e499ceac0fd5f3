"""The command `headwater`: every task as a subcommand that is made from the task's declaration.

    app                  the list of commands; what ends a run, and with which exit code
    command              a declaration as a command: what it reads, calls and prints
    options, connection  a declaration's parameters, and the client's, as options
    streaming, markdown  an answer while it comes
    results, files       an answer that is there: as text, JSON or a file
    progress, jobs       the states of a job, on one line; what became of one that Ctrl-C left
    terminal             what may reach a screen; the lines of ours on stderr
    tables               `headwater providers`, `headwater tasks`

It has no option for a key or token: command lines are seen by others. Nothing but this file is imported before it
is known that the extra `cli` is installed, and the client only by the commands that call a server.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec

from .. import __version__

__all__ = ["main"]

INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (default: the process's) and return its exit code.

    0: done. 1: the network, the server or the disk failed, or nothing was found. 2: wrong usage, nothing was sent. 130:
    Ctrl-C. 141: whoever read the output went away.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments == ["--version"]:
        print(__version__)
        return 0
    if find_spec("cyclopts") is None or find_spec("rich") is None:
        print('headwater: the command needs an extra: pip install "headwater[cli]"', file=sys.stderr)
        return 2
    try:
        from .app import run_command

        return run_command(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
