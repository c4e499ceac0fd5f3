"""Puts lines into the journal in groups, in a worker thread, and says when they are on the disk.

`add` waits until a line is written, so that what is not in the file when the process dies was still under way. Lines
are written as they come, a group while the one before it is on its way; they are synced when 64 of them wait for it, or
the first of them has waited for 50 ms. A line is reported once it is synced. Nothing is read here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

import anyio
from anyio import to_thread

from ..errors import HeadwaterError
from .journal import Journal
from .record import RecordMeta, encode_record

MOST_UNSYNCED_LINES: Final = 64
LONGEST_UNSYNCED_SECONDS: Final = 0.05
"""Seconds."""


class _Group:
    """Lines that are written together."""

    def __init__(self) -> None:
        self.lines: list[tuple[bytes, RecordMeta]] = []
        self.written = anyio.Event()


class JournalWriter:
    """Adds records to a journal. `report` gets what is known of them when they are on the disk."""

    def __init__(self, journal: Journal, report: Callable[[list[RecordMeta]], None]) -> None:
        self._journal = journal
        self._report = report
        self._group = _Group()
        self._wake = anyio.Event()
        self._unsynced: list[RecordMeta] = []
        self._due = 0.0
        self.failure: HeadwaterError | None = None

    def put(self, lines: Iterable[tuple[bytes, RecordMeta]]) -> _Group:
        """Have these records written by `run` or `finish`; returns the group that they are in."""
        self._group.lines += lines
        self._wake.set()
        return self._group

    async def add(self, lines: Iterable[tuple[bytes, RecordMeta]]) -> None:
        """Write these records; they are on their way also where the waiting is cancelled. Raises `JournalError`."""
        await self.put(lines).written.wait()
        if self.failure is not None:
            raise self.failure

    async def run(self) -> None:
        """Write what comes; never returns but for a failure, which is kept in `failure`."""
        while self.failure is None:
            if self._unsynced:
                with anyio.move_on_after(max(0.0, self._due - time.monotonic())):
                    await self._wake.wait()
            else:
                await self._wake.wait()
            await self._store(sync=False)

    async def finish(self) -> None:
        """Write and sync all that there is. Raises `JournalError`."""
        if self.failure is None:
            await self._store(sync=True)
        if self.failure is not None:
            raise self.failure

    async def _store(self, *, sync: bool) -> None:
        group, self._group, self._wake = self._group, _Group(), anyio.Event()
        synced: list[RecordMeta] = []
        try:
            with anyio.CancelScope(shield=True):  # whoever is cancelled has had the answer, and it was paid for
                synced = await to_thread.run_sync(self._write, group.lines, sync)
        except HeadwaterError as error:
            self.failure = error
        else:
            self._report(synced)
        finally:
            group.written.set()

    def _write(self, lines: list[tuple[bytes, RecordMeta]], sync: bool) -> list[RecordMeta]:
        """In the thread: the group's lines, and a sync where one is due. Returns what is on the disk by it."""
        if lines:
            if not self._unsynced:
                self._due = time.monotonic() + LONGEST_UNSYNCED_SECONDS
            self._journal.write([self._encode(*line) for line in lines])
            self._unsynced += [meta for _, meta in lines]
        is_due = sync or len(self._unsynced) >= MOST_UNSYNCED_LINES or time.monotonic() >= self._due
        if not (self._unsynced and is_due):
            return []
        self._journal.sync()
        synced, self._unsynced = self._unsynced, []
        return synced

    def _encode(self, members: bytes, meta: RecordMeta) -> bytes:
        meta.synced = self._journal.synced
        return encode_record(members, meta)
