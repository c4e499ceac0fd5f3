"""The journal: whatever is torn or damaged, what was acknowledged is there, and nothing wrong is taken for right."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from support.fake_disk import PATH, FakeDisk, journal_on, line, marks

from headwater.batch.file_lock import JournalError
from headwater.batch.journal import SECTOR_BYTES, OpenJournal
from headwater.batch.record import START, RecordMeta, decode_record

LINES = [line(index, size) for index, size in enumerate([0, 40, 700, 3, 90, 0])]
WHOLE = b"".join(LINES)


def test_a_line_is_read_as_it_was_written() -> None:
    mark = decode_record(LINES[2])
    assert mark is not None
    assert (mark.index, mark.input, mark.error) == (2, "00000000", None)


def test_a_record_that_names_our_own_words_is_read_rightly() -> None:
    from headwater.batch.record import encode_record

    members = START + b'0","response":{"body":{"headwater":{"index":7},"text":"\\",\\"crc\\":\\"00000000\\"}"}}'
    found = decode_record(encode_record(members, RecordMeta(index=3, input="ffffffff")))
    assert found is not None
    assert found.index == 3


def test_a_torn_end_is_cut_at_the_last_whole_record() -> None:
    for cut in range(len(WHOLE) - len(b"".join(LINES[-3:])), len(WHOLE)):
        found, end = marks(WHOLE[:cut])
        whole = [number for number in range(6) if len(b"".join(LINES[: number + 1])) <= cut]
        assert found == whole
        assert end == len(b"".join(LINES[: len(whole)]))


@given(place=st.integers(0, len(WHOLE) - len(LINES[-1]) - 1), bit=st.integers(0, 7))
@settings(max_examples=400)
def test_a_flipped_bit_stops_with_its_records_offset(place: int, bit: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[place] ^= 1 << bit
    starts = [len(b"".join(LINES[:number])) for number in range(6)]
    record = max(start for start in starts if start <= place)
    try:
        found, end = marks(bytes(damaged))
    except JournalError as error:
        assert error.offset == record
        assert str(record) in str(error)
    else:  # the line end of the last but one: what follows is no whole line any more, and may be a torn one
        assert (end, len(found)) == (record, starts.index(record))
        assert place == len(WHOLE) - len(LINES[-1]) - 1


def test_every_flip_in_a_middle_record_is_seen() -> None:
    start = len(LINES[0])
    for place in range(start, start + len(LINES[1])):
        damaged = bytearray(WHOLE)
        damaged[place] ^= 0x20
        with pytest.raises(JournalError) as caught:
            marks(bytes(damaged))
        assert caught.value.offset == start


def test_a_hole_in_what_was_synced_is_damage() -> None:
    data = bytearray(b"".join(line(index, 600, synced=9_000 if index == 5 else 0) for index in range(6)))
    data[1024:1536] = bytes(512)
    with pytest.raises(JournalError, match="damaged"):
        marks(bytes(data))


@pytest.mark.parametrize("data", [b"notes\n", b"notes", b'{"custom_id":"a"}\n', bytes(2000), b"\0\0{}\n"])
def test_a_file_that_is_no_journal_is_left_alone(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(data)
    opened = OpenJournal(path)
    with pytest.raises(JournalError, match="not what a batch wrote"):
        opened.read(lambda *_: None)
    opened.close()
    assert path.read_bytes() == data


def test_a_power_failure_may_leave_out_any_sectors_of_what_was_not_synced() -> None:
    for sizes in ([600] * 5, [90, 10, 0, 300, 1200]):
        disk = FakeDisk()
        journal = journal_on(disk, 0)
        journal.write([line(0, 30), line(1, 200)])
        journal.sync()
        journal.write([line(number + 2, size, journal.synced) for number, size in enumerate(sizes)])
        size = len(disk.seen)
        first, end = len(disk.durable) // SECTOR_BYTES, -(-size // SECTOR_BYTES)
        for choice in range(2 ** (end - first)):
            lost = {number for number in range(first, end) if choice >> (number - first) & 1}
            found, cut = marks(disk.after_power_failure(size, lost))
            assert found[:2] == [0, 1]
            assert found == list(range(len(found)))
            assert cut <= size


class OnADisk(RuleBasedStateMachine):
    """A journal on a disk that loses what was not synced; `sure` are the records that were acknowledged."""

    @initialize()
    def begin(self) -> None:
        self.disk = FakeDisk()
        self.journal = journal_on(self.disk, 0)
        self.written: list[int] = []
        self.sure: list[int] = []
        self.next = 0

    @rule(sizes=st.lists(st.integers(0, 900), min_size=1, max_size=6))
    def write(self, sizes: list[int]) -> None:
        numbers = list(range(self.next, self.next + len(sizes)))
        self.next += len(sizes)
        lines = [line(number, size, self.journal.synced) for number, size in zip(numbers, sizes, strict=True)]
        try:
            self.journal.write(lines)
        except JournalError as error:
            assert str(PATH) in str(error)
            self.take_up(bytes(self.disk.seen))
        else:
            self.written += numbers

    @rule()
    def sync(self) -> None:
        try:
            self.journal.sync()
        except JournalError:
            self.take_up(bytes(self.disk.seen))
        else:
            self.sure = list(self.written)

    @rule(kept=st.floats(0, 1), lost=st.sets(st.integers(0, 40)))
    def power_fails(self, kept: float, lost: set[int]) -> None:
        unsynced = len(self.disk.seen) - len(self.disk.durable)
        self.take_up(self.disk.after_power_failure(len(self.disk.durable) + round(unsynced * kept), lost))

    @rule(kept=st.floats(0, 1))
    def is_killed(self, kept: float) -> None:
        """In the middle of a write: its beginning is in the file."""
        unsynced = len(self.disk.seen) - len(self.disk.durable)
        self.take_up(bytes(self.disk.seen[: len(self.disk.durable) + round(unsynced * kept)]))

    @rule(room=st.integers(0, 1500))
    def fills_up(self, room: int) -> None:
        self.disk.room = len(self.disk.seen) + room

    @rule()
    def breaks(self) -> None:
        self.disk.fails_to_sync = True

    def take_up(self, data: bytes) -> None:
        """The next run."""
        try:
            found, end = marks(data)
        except JournalError as error:
            assert not self.sure, error  # nothing but zeros where the first record should be
            assert error.offset == 0
            found, end = [], 0
        assert found[: len(self.sure)] == self.sure
        assert found == self.written[: len(found)]
        self.disk = FakeDisk(data[:end])
        self.journal = journal_on(self.disk, end)
        self.written, self.sure = found, list(found)

    @invariant()
    def what_is_sure_is_on_the_disk(self) -> None:
        assert marks(self.disk.durable)[0][: len(self.sure)] == self.sure


OnADisk.TestCase.settings = settings(max_examples=80, stateful_step_count=20)
test_no_crash_loses_what_was_acknowledged = OnADisk.TestCase


# -- the file


def opened_with(path: Path, *numbers: int) -> OpenJournal:
    path.write_bytes(b"".join(line(number) for number in numbers))
    return OpenJournal(path)


def numbers_in(path: Path) -> list[int]:
    return marks(path.read_bytes())[0]


def test_a_second_run_is_refused_also_while_the_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    first = opened_with(path, 2, 0, 1)
    with pytest.raises(JournalError, match=r"out\.jsonl is being written by another run"):
        OpenJournal(path)
    first.sort(3)
    assert numbers_in(path) == [0, 1, 2]
    with pytest.raises(JournalError, match="another run"):
        OpenJournal(path)
    first.close()
    OpenJournal(path).close()


def test_sorting_what_is_sorted_leaves_the_file(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    opened = opened_with(path, 0, 1, 4)
    before = path.stat().st_ino
    opened.sort(5)
    opened.close()
    assert path.stat().st_ino == before


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    opened = OpenJournal(path)
    journal = opened.start(0, 0)
    journal.write([line(1), line(0)])
    journal.sync()
    opened.sort(2)
    opened.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["out.jsonl"]


def test_what_a_run_left_that_was_killed_while_it_sorted_is_gone(tmp_path: Path) -> None:
    beside = tmp_path / ".out.jsonl.part"
    beside.write_bytes(line(0)[:50])
    opened_with(tmp_path / "out.jsonl", 0).close()
    assert not beside.exists()


def test_a_file_that_others_cut_is_told_and_gets_no_hole(tmp_path: Path) -> None:
    opened = OpenJournal(tmp_path / "out.jsonl")
    journal = opened.start(0, 0)
    journal.write([line(0)])
    journal.sync()
    os.truncate(tmp_path / "out.jsonl", 0)
    with pytest.raises(JournalError, match="was cut to 0 bytes"):
        journal.write([line(1)])
    assert (tmp_path / "out.jsonl").read_bytes() == b""
    opened.close()


def test_links_and_devices_are_refused(tmp_path: Path) -> None:
    link = tmp_path / "out.jsonl"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(JournalError, match="cannot be written"):
        OpenJournal(link)
    with pytest.raises(JournalError, match="is no file"):
        OpenJournal(Path("/dev/null"))
    makers: dict[str, Callable[[Path], None]] = {"a directory": Path.mkdir, "a pipe": os.mkfifo}
    for name, make in makers.items():
        make(tmp_path / name)
        with pytest.raises(JournalError, match=f"it is {name}, which is no file"):
            OpenJournal(tmp_path / name)
    with pytest.raises(JournalError, match="there is no folder"):
        OpenJournal(tmp_path / "nowhere" / "out.jsonl")
    assert not (tmp_path / "elsewhere").exists()


TOO_LARGE = """
import resource, sys
from pathlib import Path
from support.fake_disk import line
from headwater.batch.journal import SECTOR_BYTES, OpenJournal
from headwater.batch.file_lock import JournalError

path = Path(sys.argv[1])
opened = OpenJournal(path)
journal = opened.start(0, 0)
journal.write([line(0)])
journal.sync()
resource.setrlimit(resource.RLIMIT_FSIZE, (len(line(0)) + 100, resource.RLIM_INFINITY))
try:
    journal.write([line(1)])
except JournalError as error:
    print(error)
"""


def test_a_file_that_may_not_grow_ends_at_what_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    folders = os.pathsep.join(sys.path)
    told = subprocess.run(
        [sys.executable, "-c", TOO_LARGE, str(path)],
        env={**os.environ, "PYTHONPATH": folders},
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    assert told.stdout == f"{path} cannot be written: File too large\n"
    assert path.read_bytes() == line(0)
