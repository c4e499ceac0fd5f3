"""The command as a process, with pipes or on a terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import headwater

SOURCE = Path(headwater.__file__).parent.parent
SECONDS = 60.0
"""That a command may take before a test gives up on it; none comes near it."""


def command_line(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "headwater", *arguments]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(SOURCE), "COLUMNS": "100", "LINES": "30", "TERM": "xterm", **more}


@contextmanager
def interruptible() -> Iterator[None]:
    """Children get the usual SIGINT, also where whoever started the tests ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def started(*arguments: str, stdin: Any = subprocess.DEVNULL) -> Iterator[subprocess.Popen[bytes]]:
    """The command as a process with pipes, ended in any case."""
    with interruptible():
        process = subprocess.Popen(
            command_line(*arguments),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


class Terminal:
    """A process whose stdout and stderr are one terminal."""

    def __init__(self, arguments: tuple[str, ...], more: dict[str, str]) -> None:
        pty, termios = pytest.importorskip("pty"), pytest.importorskip("termios")
        self.screen, its = pty.openpty()
        termios.tcsetwinsize(its, (30, 100))
        attributes = termios.tcgetattr(its)
        attributes[1] &= ~termios.OPOST  # so that bytes are read as they were written
        termios.tcsetattr(its, termios.TCSANOW, attributes)
        with interruptible():
            self.process = subprocess.Popen(
                command_line(*arguments), stdin=subprocess.DEVNULL, stdout=its, stderr=its, env=environment(**more)
            )
        os.close(its)
        self.seen = b""

    def read(self, until: bytes | None = None) -> bytes:
        """All that is written until these bytes, or until the end."""
        with suppress(OSError):  # EIO: the other side is closed
            while until is None or until not in self.seen:
                piece = os.read(self.screen, 65536)
                if not piece:
                    break
                self.seen += piece
        return self.seen


@contextmanager
def on_terminal(*arguments: str, **more: str) -> Iterator[Terminal]:
    """The command on a terminal of 100 columns, ended in any case."""
    terminal = Terminal(arguments, more)
    try:
        with terminal.process:
            try:
                yield terminal
            finally:
                if terminal.process.poll() is None:
                    terminal.process.kill()
    finally:
        os.close(terminal.screen)


def shown(*arguments: str, **more: str) -> tuple[int, str]:
    """The exit code, and all that a terminal got."""
    with on_terminal(*arguments, **more) as terminal:
        text = terminal.read().decode()
        return terminal.process.wait(SECONDS), text
