"""What earlier runs left: the input counted, the output read, each result held against the line that it is of.

A line whose record succeeded must be as it was. One whose record failed may have been corrected since, or be gone,
where the failed ones are to be sent again.
"""

from __future__ import annotations

from collections.abc import Callable

from ..errors import HeadwaterError, InputError
from .file_lock import trouble
from .input_file import DONE, FAILED, OFTEN, RECORD, InterruptedBatchError, Survey
from .journal import Journal, OpenJournal, Places
from .progress import Count
from .record import Mark


class Earlier:
    """Reads both files, and marks in the survey which records are done. `torn`: bytes that were cut from the output."""

    def __init__(self, survey: Survey, opened: OpenJournal, count: Count, stopping: Callable[[], bool]) -> None:
        self._survey = survey
        self._opened = opened
        self._count = count
        self._stopping = stopping
        self._done = Places(0)
        self.torn = 0

    def read(self, *, retry_failed: bool) -> Journal:
        """All of it, in a worker thread. Raises `InputError` where the output is not this input's."""
        survey, count, opened = self._survey, self._count, self._opened
        try:
            survey.read(self._stopping)
        except InputError:
            opened.remove_if_empty()
            raise
        count.total = survey.records
        if retry_failed:
            self._done = Places(len(survey.states))
        end, self.torn = opened.read(self._noting(retry_failed=retry_failed))
        journal = opened.start(end, self.torn)
        if retry_failed and count.failed:
            self._want_failed()
            return opened.keep(self._done)
        return journal

    def _noting(self, *, retry_failed: bool) -> Callable[[Mark, int, int], None]:
        """Takes a result in; there may be millions, so what it needs is at hand."""
        states, checksums, add, stopping = self._survey.states, self._survey.checksums, self._count.add, self._stopping
        lines, settled, done = len(states), RECORD | DONE | FAILED, self._done

        def note(mark: Mark, offset: int, length: int) -> None:
            index = mark.index
            is_there = 0 <= index < lines and states[index] & settled == RECORD
            if (not is_there or mark.input != f"{checksums[index]:08x}") and not (
                retry_failed and mark.error and self._may_have_changed(index)
            ):
                raise self._wrong(mark, offset)
            if not index % OFTEN and stopping():
                raise InterruptedBatchError
            if is_there:
                states[index] |= FAILED if mark.error else DONE
            add(mark)
            if retry_failed and not mark.error:
                done.note(mark, offset, length)

        return note

    def _may_have_changed(self, index: int) -> bool:
        """Whether this is the only result of its line, which may be another one now, or gone."""
        states = self._survey.states
        return index >= 0 and (index >= len(states) or not states[index] & (DONE | FAILED))

    def _wrong(self, mark: Mark, offset: int) -> HeadwaterError:
        """Why the record is not one of this input's, or not its only result."""
        survey, output, line = self._survey, self._opened.path, mark.index + 1
        if not 0 <= mark.index < len(survey.states) or not survey.states[mark.index]:
            return InputError(f"{output} has a result of line {line}, which {survey.path} does not have any more")
        if survey.states[mark.index] & (DONE | FAILED):
            return trouble(output, f"has two results of line {line}; the second is at byte {offset}", offset)
        told = f"{survey.path}: line {line} is not what it was when {output} was made"
        return InputError(f"{told}{'; it failed then, and retry_failed sends it as it is now' if mark.error else ''}")

    def _want_failed(self) -> None:
        states = self._survey.states
        for index, state in enumerate(states):
            states[index] = state & ~FAILED
        self._count.drop_failed()
