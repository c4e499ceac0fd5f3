"""The output file, opened for one run alone, and replaced without letting another one in.

The lock is on the file itself (`system_files.lock`): it goes with the process, however that ends. Whoever opened the
file while it was being replaced finds another one under its name and looks again. Links are not followed, and only
files are taken.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ..errors import HeadwaterError
from .system_files import REPLACES_OPEN_FILES, flags, lock, read_at, sync, sync_folder, write_at

_FLAGS: Final = flags("O_RDWR", "O_NOFOLLOW")
_KINDS: Final = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFLNK: "a link",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}
_PIECE: Final = 1024 * 1024
_AGAIN: Final = " the same command goes on from there"


class JournalError(HeadwaterError):
    """The output file of a batch cannot be used, or no more. `path`: which; `offset`: where it is damaged, if it is."""

    path: str = ""
    offset: int | None = None


def journal_error(path: Path, reason: str, offset: int | None = None) -> JournalError:
    """The error that this file makes."""
    error = JournalError(f"{path} {reason}")
    error.path, error.offset = str(path), offset
    return error


def write_error(path: Path, error: OSError) -> JournalError:
    """The error that the system's own is."""
    return journal_error(path, f"cannot be written: {error.strerror or error}")


def open_exclusive(path: Path) -> int:
    """A descriptor of the file, made if it is not there, that no other run has.

    Raises `JournalError` where another one has it, and where it cannot be opened.
    """
    while True:
        try:
            _check_kind(path)
            descriptor = os.open(path, _FLAGS | os.O_CREAT, 0o600)
        except OSError as error:
            if isinstance(error, FileNotFoundError) and not path.parent.exists():
                raise journal_error(path, f"cannot be written: there is no folder {path.parent}") from None
            raise write_error(path, error) from None
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise journal_error(path, "is no file, and only a file can be taken up again")
            _lock(descriptor, path)
            if _is_still_there(descriptor, path):
                _beside(path).unlink(missing_ok=True)  # of a run that was killed while it made one
                sync_folder(path)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _check_kind(path: Path) -> None:
    """Refuse what is there and no file: some of it would wait for ever where it is opened."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "no file")
        raise journal_error(path, f"cannot be written: it is {kind}, which is no file that could be taken up again")


def _beside(path: Path) -> Path:
    """Where the file that is to replace it is made. Only the lock's holder makes one."""
    return path.with_name(f".{path.name}.part")


def _lock(descriptor: int, path: Path) -> None:
    try:
        lock(descriptor)
    except BlockingIOError:
        raise journal_error(path, "is being written by another run; wait for its end") from None
    except OSError as error:
        raise journal_error(path, f"cannot be locked: {error.strerror}") from None


def _is_still_there(descriptor: int, path: Path) -> bool:
    try:
        named = path.lstat()
    except FileNotFoundError:
        return False
    mine = os.fstat(descriptor)
    return (named.st_ino, named.st_dev) == (mine.st_ino, mine.st_dev)


def check_present(descriptor: int, path: Path) -> None:
    """Raise `JournalError` where this file is not under its name any more: what is written there would be lost.

    Of one that was deleted a copy is put back, under its name or, where that is another file's now, beside it.
    """
    if _is_still_there(descriptor, path):
        return
    if os.fstat(descriptor).st_nlink:
        raise journal_error(path, f"was moved{_whereto(descriptor)} while it was written; move it back, and{_AGAIN}")
    try:
        copy = _rescued(descriptor, path)
    except OSError as error:
        reason = error.strerror or error
        raise journal_error(path, f"was deleted while it was written, and could not be put back: {reason}") from None
    if copy == path:
        raise journal_error(path, f"was deleted while it was written; what was in it was put back there, so{_AGAIN}")
    raise journal_error(
        path, f"was replaced by another file while it was written; its results are in {copy}: move it back, and{_AGAIN}"
    )


def _whereto(descriptor: int) -> str:
    try:
        return f" to {Path(f'/proc/self/fd/{descriptor}').readlink()}"
    except OSError:  # not Linux
        return ""


def _rescued(descriptor: int, path: Path) -> Path:
    """A copy of a file that has no name any more; where it is."""
    number, copy = 0, path
    while True:
        try:
            new = os.open(copy, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
            break
        except FileExistsError:
            number += 1
            copy = path.with_name(f"{path.name}.rescued{number if number > 1 else ''}")
    try:
        size = os.fstat(descriptor).st_size
        _copy(descriptor, new, ((at, min(_PIECE, size - at)) for at in range(0, size, _PIECE)))
        sync(new)
    finally:
        os.close(new)
    sync_folder(copy)
    return copy


def replace(path: Path, descriptor: int, pieces: Iterable[tuple[int, int]]) -> int:
    """Put these pieces (offset, length) of the file in its place; returns the new one's descriptor, locked.

    The file that is there stays whole until the new one is on the disk. The old descriptor is closed.
    """
    beside = _beside(path)
    new = os.open(beside, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        _lock(new, beside)
        _copy(descriptor, new, pieces)
        sync(new)
        if REPLACES_OPEN_FILES:
            beside.replace(path)
    except BaseException as error:
        os.close(new)
        beside.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise write_error(beside, error) from None
        raise
    if not REPLACES_OPEN_FILES:
        return _replaced_closed(beside, path, new, descriptor)
    sync_folder(path)
    os.close(descriptor)
    return new


def _replaced_closed(beside: Path, path: Path, new: int, old: int) -> int:
    """The same where no open file can be replaced: for a moment nobody has the lock, and whoever takes it then has it.

    Raises `JournalError` where that is somebody else.
    """
    os.close(new)
    os.close(old)
    beside.replace(path)
    return open_exclusive(path)


def _copy(source: int, target: int, pieces: Iterable[tuple[int, int]]) -> None:
    batch = bytearray()
    for offset, length in pieces:
        piece = read_at(source, length, offset)
        if len(piece) != length:
            raise OSError("it became shorter meanwhile")
        batch += piece
        if len(batch) >= _PIECE:
            write_all(target, batch)
            batch.clear()
    write_all(target, batch)


def write_all(descriptor: int, data: bytes | bytearray, offset: int | None = None) -> None:
    """Write all of it, at this offset or where the descriptor stands."""
    done = 0
    with memoryview(data) as view:
        while done < len(view):
            left = view[done:]
            done += os.write(descriptor, left) if offset is None else write_at(descriptor, left, offset + done)
