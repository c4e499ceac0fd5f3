"""What a batch does with descriptors of files, on every system: lock, read and write at an offset, have it on the disk.

POSIX has all of it. Windows has no `fcntl`, no `pread` and no folders that can be synced, and locks bytes in place of
files: one is locked there, which only the lock's holder can read in a file that is so large. macOS leaves what `fsync`
gave it in the disk's own memory, but for `F_FULLFSYNC`. See
https://docs.python.org/3/library/msvcrt.html and macOS's `man 2 fcntl`.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any, Final

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCKED_BYTE: Final = 2**31 - 2
"""`msvcrt` counts in 32 bits."""
REPLACES_OPEN_FILES: Final = os.name != "nt"
"""Whether a file can be replaced while it is open."""
_FULL_SYNC: Final[int | None] = getattr(fcntl, "F_FULLFSYNC", None)
_ONE_AT_A_TIME: Final = threading.Lock()
"""Where a descriptor has to be moved to an offset first, by whoever reads or writes there."""


def flags(*names: str) -> int:
    """What `os.open` is given for these names, of which not every system has each; files are opened as bytes."""
    found = 0
    for name in (*names, "O_CLOEXEC", "O_BINARY", "O_NOINHERIT"):
        found |= getattr(os, name, 0)
    return found


def lock(descriptor: int) -> None:
    """Lock the file for this descriptor alone, until it is closed.

    Raises `BlockingIOError` where another one has it, `OSError` where it cannot be.
    """
    if fcntl is not None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    try:
        import msvcrt
    except ImportError:
        raise OSError(0, "this system has no locks for files") from None
    windows: Any = msvcrt
    with _ONE_AT_A_TIME:
        stood = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
        try:
            windows.locking(descriptor, windows.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(error.errno, error.strerror) from None
        finally:
            os.lseek(descriptor, stood, os.SEEK_SET)


def read_at(descriptor: int, length: int, offset: int) -> bytes:
    """So many bytes from there, fewer at the file's end."""
    if hasattr(os, "pread"):
        return os.pread(descriptor, length, offset)
    with _ONE_AT_A_TIME:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.read(descriptor, length)


def write_at(descriptor: int, data: memoryview, offset: int) -> int:
    """Write there; how many bytes were."""
    if hasattr(os, "pwrite"):
        return os.pwrite(descriptor, data, offset)
    with _ONE_AT_A_TIME:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.write(descriptor, data)


def sync_data(descriptor: int) -> None:
    """Have what was written on the disk; its times may come later."""
    if _FULL_SYNC is None and hasattr(os, "fdatasync"):
        os.fdatasync(descriptor)
    else:
        sync(descriptor)


def sync(descriptor: int) -> None:
    """Have the file on the disk."""
    if _FULL_SYNC is not None and fcntl is not None:
        try:
            fcntl.fcntl(descriptor, _FULL_SYNC)
        except OSError:  # a file system that knows no such thing
            pass
        else:
            return
    os.fsync(descriptor)


def sync_folder(path: Path) -> None:
    """Have the file's name on the disk, too, where a folder can be opened."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    folder = os.open(path.parent, flags("O_RDONLY", "O_DIRECTORY"))
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
