"""The input of a batch: one JSON object a line, read twice, never written. What can be read once is `spool`'s first.

The first reading counts the records and takes each line's CRC-32, by which a later run knows that the line is the same.
It refuses a file in which no line is a JSON object. A line that is none among others is a record that fails.
Nothing of a line is kept but those four bytes, and whether it is a record, or one whose custom_id an earlier one has.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple
from zlib import crc32

from anyio import to_thread

from ..errors import InputError
from .lines import name_of, names_of

RECORD, REPEATED, DONE, FAILED = 1, 2, 4, 8
"""What is known of a line: it is not blank; an earlier one has its custom_id; its result, or its failure, is there."""

BLOCK_LINES: Final = 128
BLOCK_BYTES: Final = 1024 * 1024
LONGEST_INPUT_LINE_BYTES: Final = 64 * 1024 * 1024
"""Bytes that a line may have."""
LINES_PER_STOP_CHECK: Final = 4096
_BOM: Final = b"\xef\xbb\xbf"
BLANK: Final = object()
_PACKED: Final = {
    b"\x1f\x8b": ("gzip", "zcat"),
    b"\x28\xb5\x2f\xfd": ("zstd", "zstdcat"),
    b"BZh": ("bzip2", "bzcat"),
    b"\xfd7zXZ\0": ("xz", "xzcat"),
}
_NO_LINES: Final = {
    b"\xff\xfe": ": it is UTF-16, and UTF-8 is wanted",
    b"\xfe\xff": ": it is UTF-16, and UTF-8 is wanted",
    b"[": ": it is a JSON array, and one object a line is wanted",
    b"{\n": ": it is JSON over several lines, and one object a line is wanted",
    b"{\r": ": it is JSON over several lines, and one object a line is wanted",
    b"PK\x03\x04": ": it is a ZIP archive",
    b"PAR1": ": it is a Parquet file",
}
"""What a file is that has no line in it, by its first bytes."""


class InterruptedBatchError(Exception):
    """The reading was given up because the run is to stop."""


class Item(NamedTuple):
    """A record on its way: its line's number, from 0, the line, and whether its custom_id is an earlier one's."""

    number: int
    line: bytes
    is_repeated: bool = False

    @property
    def checksum(self) -> str:
        """The line's CRC-32, as a result has it."""
        return f"{crc32(self.line):08x}"


class InputIndex:
    """What the first reading found; `states` and `checksums` have one entry a line.

    `open`: gives the input anew, for each reading, where it is no file at this path.
    """

    def __init__(self, path: Path, opener: Callable[[], BinaryIO] | None = None) -> None:
        self.path = path
        self.open = opener or partial(_open, path)
        self.states = bytearray()
        self.checksums = array("I")
        self.records = 0

    def read(self, stopping: Callable[[], bool]) -> None:
        """Read the file. Raises `InputError` where it cannot be read or has no JSON object, and where it is to stop."""
        self._check_kind()
        first, well_formed, seen = 0, 0, HashSet64(self._count())
        for lines in self.blocks():
            if stopping():
                raise InterruptedBatchError
            self.checksums.extend(map(crc32, lines))
            for name in _names(lines, len(self.states) + 1):
                if name is BLANK:
                    self.states.append(0)
                    continue
                first = first or len(self.states) + 1
                self.records += 1
                well_formed += name is not None
                self.states.append(RECORD | REPEATED if name is not None and seen.add(hash(name)) else RECORD)
        if self.records and not well_formed:
            raise InputError(f"{self.path}: line {first} is no JSON object, and neither is any other{self._hint()}")

    def _check_kind(self) -> None:
        start = self._start()
        for begins, (packed, tool) in _PACKED.items():
            if start.startswith(begins):
                unpacked = f"{tool} {self.path}" if self.path.is_file() else f"... | {tool}"
                raise InputError(
                    f"{self.path} is compressed with {packed}: unpack it first,"
                    f" or pipe it in, as in `{unpacked} | headwater batch - -o OUT.jsonl`"
                )

    def _hint(self) -> str:
        start = self._start().lstrip()
        return next((hint for begins, hint in _NO_LINES.items() if start.startswith(begins)), "")

    def _start(self) -> bytes:
        with self._reading() as file:
            return file.read(64)

    def _count(self) -> int:
        with self._reading() as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(BLOCK_BYTES), b"")) + 1

    @contextmanager
    def _reading(self) -> Iterator[BinaryIO]:
        with self.open() as file:
            try:
                yield file
            except OSError as error:
                raise InputError(f"{self.path} cannot be read: {error.strerror}") from None

    def blocks(self) -> Generator[list[bytes], None, None]:
        """The lines without their ends, and without the mark that some editors put first; some at a time."""
        rest, is_first, number = b"", True, 1
        with self._reading() as file:
            while block := file.read(BLOCK_BYTES):
                if is_first:
                    block, is_first = block.removeprefix(_BOM), False
                block = rest + block
                *lines, rest = block.split(b"\n")
                number += len(lines)
                if len(rest) > LONGEST_INPUT_LINE_BYTES:
                    raise InputError(f"{self.path}: line {number} is longer than {LONGEST_INPUT_LINE_BYTES} bytes")
                yield [line.rstrip(b"\r") for line in lines] if b"\r" in block else lines
        if rest:
            yield [rest.rstrip(b"\r")]

    def lines(self) -> Generator[bytes, None, None]:
        """The lines, one at a time."""
        for lines in self.blocks():
            yield from lines


class HashSet64:
    """Which of so many 64-bit numbers were there before, in 16 to 32 bytes each (a set of a million takes 100 MB).

    Two names with one number would be taken for one: among a million, with a chance of 1 in 30 million.
    """

    def __init__(self, count: int) -> None:
        self._mask = (1 << (2 * count).bit_length()) - 1
        self._table = array("q", bytes(8 * (self._mask + 1)))

    def add(self, number: int) -> bool:
        """Take it in; whether it was there."""
        number = number or 1  # 0 is a free place
        place = number & self._mask
        while there := self._table[place]:
            if there == number:
                return True
            place = (place + 1) & self._mask
        self._table[place] = number
        return False


def _names(lines: list[bytes], first: int) -> Sequence[str | object]:
    """The records' custom_ids, or their lines' numbers from `first` on; BLANK, and None for what is no JSON object."""
    if all(line[:1] == b"{" and line[-1:] == b"}" for line in lines):  # then none goes over its end
        found = names_of(lines, first)
        if found is not None:
            return found
    return [name_of(line, number) if line.strip() else BLANK for number, line in enumerate(lines, first)]


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None


class Blocks:
    """The second reading: the records that are not in the output yet, in blocks, each read by one call."""

    def __init__(self, input_index: InputIndex) -> None:
        self._index = input_index
        self._lines = input_index.lines()
        self._next = 0

    def read(self) -> list[Item]:
        """The next ones; [] at the end. Raises `InputError` where a line is not what it was."""
        items: list[Item] = []
        size = 0
        while len(items) < BLOCK_LINES and size < BLOCK_BYTES and self._next < len(self._index.states):
            index = self._next
            line = next(self._lines, b"")
            self._next += 1
            if crc32(line) != self._index.checksums[index]:
                raise InputError(f"{self._index.path}: line {index + 1} was changed while the batch ran")
            state = self._index.states[index]
            if state & RECORD and not state & (DONE | FAILED):
                items.append(Item(index, line, bool(state & REPEATED)))
                size += len(line)
        return items

    def close(self) -> None:
        """Close the file."""
        self._lines.close()


class Items:
    """The records that are left, as they are asked for."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._items: list[Item] = []

    def __aiter__(self) -> Items:
        return self

    async def __anext__(self) -> Item:
        if not self._items:
            self._items = await to_thread.run_sync(self._blocks.read)
            self._items.reverse()
        if not self._items:
            raise StopAsyncIteration
        return self._items.pop()

    def close(self) -> None:
        """Close the file."""
        self._blocks.close()


def is_same_file(first: Path, second: Path) -> bool:
    """Whether both names are one file's, which may not be there yet."""
    try:
        return first.samefile(second)
    except OSError:
        return first.absolute() == second.absolute()
