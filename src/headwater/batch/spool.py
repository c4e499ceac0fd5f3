"""An input that can be read once (a pipe, a FIFO, a terminal), read to its end into a file that can be read twice.

The file has no name, stands beside the output, and is gone with the process, however that ends: a run that goes on is
given the same lines again, and knows them by their checksums as it does a file's.
"""

from __future__ import annotations

import os
import select
import stat
import tempfile
import time
from pathlib import Path
from typing import BinaryIO, Final

from ..errors import InputError
from .file_lock import write_error
from .system_files import flags

STANDARD_INPUT: Final = Path("/dev/stdin")
_PIECE: Final = 1024 * 1024
_STEP: Final = 0.1
"""Seconds that one step takes at most, so that a reading that waits for lines can be ended."""


def is_read_once(path: Path) -> bool:
    """Whether this input has to be kept. Raises `InputError` for one that is not there, or nothing to read from."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISCHR(mode) and _is_terminal(path):
            return True
    except OSError as error:
        raise _unreadable(path, error) from None
    if stat.S_ISDIR(mode):
        raise InputError(f"{path} is a directory, and a file of requests is wanted")
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
        raise InputError(f"{path} is neither a file nor a pipe, and nothing to read requests from")
    return stat.S_ISFIFO(mode)


def _is_terminal(path: Path) -> bool:
    descriptor = _opened(path)
    try:
        return os.isatty(descriptor)
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    if path == STANDARD_INPUT:
        return os.dup(0)
    return os.open(path, flags("O_RDONLY", "O_NONBLOCK", "O_NOCTTY"))  # a FIFO may have no writer yet


def _is_ready(source: int, seconds: float) -> bool:
    """Whether something comes in this time. Where that cannot be known of a pipe (Windows), the reading waits."""
    if not hasattr(select, "poll"):
        return True
    ready = select.poll()
    ready.register(source, select.POLLIN)
    return bool(ready.poll(seconds * 1000))


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path} cannot be read: {error.strerror or error}")


class Spool:
    """What comes from `path`, kept beside `output`."""

    def __init__(self, path: Path, output: Path) -> None:
        self.path = path
        self._output = output
        self.size = 0
        try:
            self._source = _opened(path)
        except OSError as error:
            raise _unreadable(path, error) from None
        try:
            self._kept = tempfile.TemporaryFile(dir=output.parent)  # noqa: SIM115 - closed by `close`
        except OSError as error:
            os.close(self._source)
            raise write_error(output, error) from error

    def take(self) -> bool:
        """Keep what is there, for a moment; whether there may be more. It is for a worker thread.

        Raises `InputError` where it cannot be read, `JournalError` where it cannot be kept.
        """
        until = time.monotonic() + _STEP
        while (left := until - time.monotonic()) > 0:
            try:
                piece = os.read(self._source, _PIECE) if _is_ready(self._source, left) else None
            except BlockingIOError:
                continue
            except OSError as error:
                raise _unreadable(self.path, error) from None
            if piece is not None:
                self._keep(piece)
            if piece == b"":
                return False
        return True

    def _keep(self, piece: bytes) -> None:
        try:
            self._kept.write(piece)
            if not piece:
                self._kept.flush()
        except OSError as error:
            raise write_error(self._output, error) from error
        self.size += len(piece)

    def open(self) -> BinaryIO:
        """What was kept, from its beginning; one reader at a time."""
        file = os.fdopen(os.dup(self._kept.fileno()), "rb")
        file.seek(0)
        return file

    def close(self) -> None:
        """Let it go."""
        os.close(self._source)
        self._kept.close()
