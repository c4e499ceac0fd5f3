"""The output of a batch, which is its own journal: lines are added at its end, and a later run reads what is there.

**The promise.** A record that was reported is in the file, whatever ends the process; every record is there once or not
yet; and nothing that is damaged is passed over in silence.

**The rules** by which it holds:

1. Lines are only added, at the end, by one process at a time (`file_lock`). The input is never written, and there is no
   second file that could say something else.
2. A line is whole by its own checksum (`record`). A record counts once its line is on the disk (`sync`), and never
   before: it is reported then, and not when it was written.
3. Each line says how many bytes of the file were known to be on the disk when it was written (`synced`). So a line
   bears witness for all that stands before that place: it was whole once.

**The states of a line:**

    answered ──▶ written ──▶ on the disk ──▶ reported
         │           │            │
         │           │            └── the process dies: it is there
         │           └── the process dies: it is there; the power fails: it may be torn, or a hole of zeros
         └── the process dies: the request is sent again, as for all that were under way

**What a later run finds** behind the last whole line, and what that is:

    bytes                              whole lines behind them            what it does
    the beginning of a line            none                               cut: an unfinished write
    zeros up to a sector's end         some, that know of no sync here    cut: the power failed
    anything else                      some                               stops with the offset: the file is damaged
    anything                           one that knows of a sync here      stops with the offset: the file is damaged
    what no record begins with         any                                stops: it is no batch's file

**What it earns:** `python -m benchmarks.batch_kill` kills a run (`kill -9`) at random moments and goes on with it. Of
3,000 records with 8 kills and 32 at once none was lost, doubled or torn, and 23 requests a kill were sent again. A sync
is made for 64 lines or 50 ms (`writer`), so that it costs a record next to nothing. The power failures, every cut and
every wrong byte are in tests/batch/test_journal.py.
"""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from .file_lock import check_present, journal_error, open_exclusive, replace, write_all, write_error
from .record import START, RecordMeta, decode_record
from .system_files import sync_data

LONGEST_RESULT_LINE_BYTES: Final = 512 * 1024 * 1024
"""Bytes of a line; there is none as long."""
SECTOR_BYTES: Final = 512
"""Bytes that a disk writes or does not write."""
_ZEROS: Final = re.compile(rb"\0+")


class File(Protocol):
    """Where a journal is kept."""

    def write(self, data: bytes, offset: int) -> None:
        """Write all of it there."""

    def sync(self) -> None:
        """Have what was written on the disk."""

    def truncate(self, size: int) -> None:
        """Cut it."""


class DiskFile:
    """A file that was opened at this path. What is not to be found there any more is no place for results."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self.descriptor = descriptor
        self._path = path

    def write(self, data: bytes, offset: int) -> None:
        """Write all of it there. Raises `JournalError` where others have cut the file."""
        if (size := os.fstat(self.descriptor).st_size) < offset:
            told = f"was cut to {size} bytes while it was written; the same command asks again for what is missing"
            raise journal_error(self._path, told, size)
        write_all(self.descriptor, data, offset)

    def sync(self) -> None:
        """Have what was written on the disk, in the file of that name. Raises `JournalError` where it is not."""
        sync_data(self.descriptor)
        check_present(self.descriptor, self._path)

    def truncate(self, size: int) -> None:
        """Cut it."""
        os.ftruncate(self.descriptor, size)

    def close(self) -> None:
        """Give it back, and its lock."""
        os.close(self.descriptor)


class Journal:
    """Adds lines. `end`: bytes written; `synced`: those known to be on the disk."""

    def __init__(self, file: File, path: Path, end: int) -> None:
        self._file = file
        self._path = path
        self.end = self.synced = end

    def write(self, lines: Iterable[bytes]) -> None:
        """Add these lines. Raises `JournalError`; the file then ends where it did before, if that can be had."""
        data = b"".join(lines)
        try:
            self._file.write(data, self.end)
        except OSError as error:
            self._retreat(self.end)
            raise write_error(self._path, error) from error
        self.end += len(data)

    def sync(self) -> None:
        """Have them on the disk. Raises `JournalError`; the file then ends where it was last synced."""
        try:
            self._file.sync()
        except OSError as error:
            self._retreat(self.synced)
            raise write_error(self._path, error) from error
        self.synced = self.end

    def _retreat(self, end: int) -> None:
        self.end = end
        try:
            self._file.truncate(end)
        except OSError:
            return  # what is left there is no whole record, or is one: the next run sees which


def scan(file: BinaryIO, path: Path, each: Callable[[RecordMeta, int, int], None]) -> int:
    """Read a journal: `each(meta, offset, length)` for every line; returns where its whole lines end.

    Raises `JournalError` where it is damaged before its end, and where it is no journal.
    """
    offset = 0
    while line := file.readline(LONGEST_RESULT_LINE_BYTES):
        meta = decode_record(line)
        if meta is None:
            _check_end(file, path, offset, line)
            return offset
        each(meta, offset, len(line))
        offset += len(line)
    return offset


def _check_end(file: BinaryIO, path: Path, offset: int, bad: bytes) -> None:
    """Whether all from this line on is what an unfinished write leaves; raises `JournalError` where it is not."""
    head = bad[: len(START)].partition(b"\0")[0]
    has_hole = _has_hole(bad, offset)
    synced = -1
    at = offset + len(bad)
    while line := file.readline(LONGEST_RESULT_LINE_BYTES):
        meta = decode_record(line)
        if meta is None:
            has_hole = has_hole or _has_hole(line, at)
        else:
            synced = max(synced, meta.synced)
        at += len(line)
    if not START.startswith(head) or not (head or offset or synced >= 0):
        raise journal_error(path, f"is not what a batch wrote: no record begins at byte {offset}", offset)
    if synced > offset or (synced >= 0 and not has_hole):
        raise journal_error(path, f"is damaged: the record at byte {offset} is not as it was written", offset)


def _has_hole(line: bytes, offset: int) -> bool:
    """Whether zeros reach the end of a sector: there are none in JSON, and one wrong byte is no hole."""
    return any((offset + zeros.end()) % SECTOR_BYTES == 0 for zeros in _ZEROS.finditer(line))


class RecordOffsets:
    """Where each record's line is: 12 bytes a record."""

    def __init__(self, count: int) -> None:
        self._offsets = array("Q", bytes(8 * count))
        self._lengths = array("I", bytes(4 * count))

    def note(self, meta: RecordMeta, offset: int, length: int) -> None:
        """For `scan`."""
        self._offsets[meta.index] = offset
        self._lengths[meta.index] = length

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Offset and length by the order of the input; lines that are no records have none."""
        return (place for place in zip(self._offsets, self._lengths, strict=True) if place[1])


class OpenJournal:
    """The journal at `path`, held by this run: read once, then added to, then put into order if that is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = DiskFile(open_exclusive(path), path)

    def read(self, each: Callable[[RecordMeta, int, int], None]) -> tuple[int, int]:
        """Call `each` for every record. Returns where they end, and how many bytes of an unfinished one follow."""
        with os.fdopen(os.dup(self._file.descriptor), "rb", buffering=1 << 20) as file:
            file.seek(0)
            end = scan(file, self.path, each)
            return end, file.seek(0, os.SEEK_END) - end

    def start(self, end: int, torn: int) -> Journal:
        """Begin to add at `end`; the unfinished bytes behind it are cut."""
        if torn:
            try:
                self._file.truncate(end)
                self._file.sync()
            except OSError as error:
                raise write_error(self.path, error) from error
        return Journal(self._file, self.path, end)

    def keep(self, offsets: Iterable[tuple[int, int]]) -> Journal:
        """Make these lines, in this order, all that there is, and begin to add behind them."""
        self._file = DiskFile(replace(self.path, self._file.descriptor, offsets), self.path)
        return Journal(self._file, self.path, self._size())

    def _size(self) -> int:
        return os.fstat(self._file.descriptor).st_size

    def remove_if_empty(self) -> None:
        """Leave no empty file behind where nothing could be begun."""
        if not self._size():
            self.path.unlink(missing_ok=True)

    def sort(self, count: int) -> None:
        """Put the records in the order of their input, which has `count` lines."""
        offsets = RecordOffsets(count)
        last = -1
        is_sorted = True

        def note(meta: RecordMeta, offset: int, length: int) -> None:
            nonlocal last, is_sorted
            is_sorted = is_sorted and meta.index > last
            last = meta.index
            offsets.note(meta, offset, length)

        self.read(note)
        if not is_sorted:
            self.keep(offsets)

    def close(self) -> None:
        """Let others have it."""
        self._file.close()
