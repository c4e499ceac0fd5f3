"""What a command reads from standard input, and the file that it writes.

A file that is there is not written over unless `--force` says so, and no link is followed to one, `--force` or not
(but to a device, such as /dev/stdout). The file is opened
before the call, so that nothing is paid for and then lost; a call that fails leaves no file of its own behind.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from ..errors import InputError
from .terminal import is_terminal, say

STANDARD: Final = "-"
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_PIECE: Final = 1024 * 1024


def standard_input() -> bytes:
    """All of standard input. Raises `InputError` where there is none."""
    if sys.stdin is None:
        raise InputError("there is no standard input to read from")
    if is_terminal(sys.stdin):
        say("reading from the terminal; end with Ctrl-D")
    data = sys.stdin.buffer.read()
    if not data.strip():
        raise InputError("standard input is empty, and nothing else was given")
    return data


def standard_text() -> str:
    """All of standard input as text, without the line end that closes it."""
    try:
        return standard_input().decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise InputError("standard input is not text in UTF-8") from None


class OutputFile:
    """A file to be written once: `with OutputFile(path, force=False) as file: ...; file.write(data)`."""

    def __init__(self, path: str, *, force: bool = False) -> None:
        self.path = path
        self._is_new = True
        self._is_written = False
        try:
            self._descriptor = os.open(path, _CREATE, 0o666)
        except FileExistsError:
            if os.path.isdir(path):  # noqa: PTH112 - the path stays as it is
                raise InputError(f"{path} is a directory; name a file") from None
            if not force:
                raise InputError(f"{path} is there already; --force writes over it") from None
            self._is_new = False
            self._descriptor = self._open_existing()
        except (OSError, ValueError) as error:
            raise InputError(_refused(path, error)) from None

    def _open_existing(self) -> int:
        try:
            if os.path.islink(self.path) and not _is_device(self.path):  # noqa: PTH114 - the path stays as it is
                raise InputError(f"{self.path} is a link, and no link is followed; name the file itself")
            return os.open(self.path, os.O_WRONLY | getattr(os, "O_BINARY", 0))
        except OSError as error:
            raise InputError(_refused(self.path, error)) from None

    def write(self, data: bytes) -> None:
        """Make this the file's content."""
        if not self._is_new:
            with contextlib.suppress(OSError):  # a device or a pipe has no length
                os.ftruncate(self._descriptor, 0)
        left = memoryview(data)
        while left:
            left = left[os.write(self._descriptor, left[:_PIECE]) :]
        self._is_written = True

    def fill(self, run: Any, each: Callable[[Any], object]) -> None:
        """Make a run's result this file's content, without holding it; a device or a pipe gets it whole. Events go to
        `each`."""
        if stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            run.save(os.path.realpath(self.path), each=each)
            self._is_written = True
            return
        for event in run:
            each(event)
        self.write(run.result())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)
        if self._is_new and not self._is_written:
            Path(self.path).unlink(missing_ok=True)


def _is_device(path: str) -> bool:
    mode = os.stat(path).st_mode  # noqa: PTH116
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)


def _refused(path: str, error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    folder = Path(path).parent
    if isinstance(error, FileNotFoundError) and not folder.exists():
        reason = f"there is no folder {folder}"
    return f"{path} cannot be written: {reason}"


def free_name(task: str, suffix: str) -> str:
    """A name in this folder that nothing has yet: "text-to-image-1.png"."""
    number = 1
    while os.path.lexists(f"{task}-{number}{suffix}"):
        number += 1
    return f"{task}-{number}{suffix}"
