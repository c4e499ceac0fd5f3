"""A disk that loses what was not synced, sector by sector, and lines to put on it."""

from __future__ import annotations

import errno
import io
from pathlib import Path

from headwater.batch.journal import SECTOR_BYTES, Journal, scan
from headwater.batch.record import START, RecordMeta, encode_record

PATH = Path("out.jsonl")


def line(index: int, size: int = 0, synced: int = 0) -> bytes:
    """A record's line, with so much text in it."""
    text = f'"custom_id":"{index}","response":null,"error":"{"x" * size}"'
    return encode_record(
        START + b"%024x" % index + b'",' + text.encode(), RecordMeta(index=index, input="00000000", synced=synced)
    )


def marks(data: bytes) -> tuple[list[int], int]:
    """The indexes of the records that a journal has, and where they end."""
    found: list[int] = []
    end = scan(io.BytesIO(data), PATH, lambda mark, offset, length: found.append(mark.index))
    return found, end


class FakeDisk:
    """A file whose writes are on the disk when they were synced; `room`: how many bytes it may have."""

    def __init__(self, data: bytes = b"") -> None:
        self.durable = data
        self.seen = bytearray(data)
        self.room: int | None = None
        self.fails_to_sync = False

    def write(self, data: bytes, offset: int) -> None:
        fitting = data if self.room is None else data[: max(0, self.room - offset)]
        self.seen[offset:] = b"\0" * max(0, offset - len(self.seen)) + fitting
        if len(fitting) < len(data):
            raise OSError(errno.ENOSPC, "No space left on device")

    def sync(self) -> None:
        if self.fails_to_sync:
            raise OSError(errno.EIO, "Input/output error")
        self.durable = bytes(self.seen)

    def truncate(self, size: int) -> None:
        del self.seen[size:]
        self.durable = self.durable[:size]

    def after_power_failure(self, size: int, lost: set[int]) -> bytes:
        """What is there then: `size` bytes, the sectors in `lost` as they were when they were last synced."""
        left = bytearray(self.seen[:size])
        for number in range(-(-size // SECTOR_BYTES)):
            if number in lost:
                part = slice(number * SECTOR_BYTES, min((number + 1) * SECTOR_BYTES, size))
                before = self.durable[part]
                left[part] = before + bytes(part.stop - part.start - len(before))
        return bytes(left)


def journal_on(disk: FakeDisk, end: int) -> Journal:
    return Journal(disk, PATH, end)
