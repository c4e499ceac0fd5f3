"""What earlier runs left: the input counted, the output read, each result held against the line that it is of.

A line whose record succeeded must be as it was. One whose record failed may have been corrected since, or be gone,
where the failed ones are to be sent again.
"""

from __future__ import annotations

from collections.abc import Callable

from ..errors import HeadwaterError, InputError
from .file_lock import journal_error
from .input_file import DONE, FAILED, LINES_PER_STOP_CHECK, RECORD, InputIndex, InterruptedBatchError
from .journal import Journal, OpenJournal, RecordOffsets
from .progress import Count
from .record import RecordMeta


class EarlierRuns:
    """Reads both files, and marks in the input's index which records are done.

    `torn`: bytes that were cut from the output.
    """

    def __init__(
        self, input_index: InputIndex, opened: OpenJournal, count: Count, stopping: Callable[[], bool]
    ) -> None:
        self._index = input_index
        self._opened = opened
        self._count = count
        self._stopping = stopping
        self._done = RecordOffsets(0)
        self.torn = 0

    def read(self, *, retry_failed: bool) -> Journal:
        """Read both, in a worker thread. Raises `InputError` where the output is not this input's."""
        input_index, count, opened = self._index, self._count, self._opened
        try:
            input_index.read(self._stopping)
        except InputError:
            opened.remove_if_empty()
            raise
        count.total = input_index.records
        if retry_failed:
            self._done = RecordOffsets(len(input_index.states))
        end, self.torn = opened.read(self._noting(retry_failed=retry_failed))
        journal = opened.start(end, self.torn)
        if retry_failed and count.failed:
            self._want_failed()
            return opened.keep(self._done)
        return journal

    def _noting(self, *, retry_failed: bool) -> Callable[[RecordMeta, int, int], None]:
        """Takes a result in; there may be millions, so what it needs is at hand."""
        states, checksums, add, stopping = self._index.states, self._index.checksums, self._count.add, self._stopping
        lines, settled, done = len(states), RECORD | DONE | FAILED, self._done

        def note(meta: RecordMeta, offset: int, length: int) -> None:
            index = meta.index
            is_there = 0 <= index < lines and states[index] & settled == RECORD
            if (not is_there or meta.input != f"{checksums[index]:08x}") and not (
                retry_failed and meta.error and self._may_have_changed(index)
            ):
                raise self._wrong(meta, offset)
            if not index % LINES_PER_STOP_CHECK and stopping():
                raise InterruptedBatchError
            if is_there:
                states[index] |= FAILED if meta.error else DONE
            add(meta)
            if retry_failed and not meta.error:
                done.note(meta, offset, length)

        return note

    def _may_have_changed(self, index: int) -> bool:
        """Whether this is the only result of its line, which may be another one now, or gone."""
        states = self._index.states
        return index >= 0 and (index >= len(states) or not states[index] & (DONE | FAILED))

    def _wrong(self, meta: RecordMeta, offset: int) -> HeadwaterError:
        """Why the record is not one of this input's, or not its only result."""
        input_index, output, line = self._index, self._opened.path, meta.index + 1
        if not 0 <= meta.index < len(input_index.states) or not input_index.states[meta.index]:
            return InputError(f"{output} has a result of line {line}, which {input_index.path} does not have any more")
        if input_index.states[meta.index] & (DONE | FAILED):
            return journal_error(output, f"has two results of line {line}; the second is at byte {offset}", offset)
        told = f"{input_index.path}: line {line} is not what it was when {output} was made"
        return InputError(f"{told}{'; it failed then, and retry_failed sends it as it is now' if meta.error else ''}")

    def _want_failed(self) -> None:
        states = self._index.states
        for index, state in enumerate(states):
            states[index] = state & ~FAILED
        self._count.drop_failed()
