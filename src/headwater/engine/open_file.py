"""An open file as a body that stays where it is: read piece by piece from where it stood, as often as it is sent.

What cannot be gone back in, such as a pipe, is copied to a temporary file on disk first. Nothing here knows a loop:
all of it runs in worker threads.
"""

from __future__ import annotations

import io
import os
import threading
from typing import Any, Final

from ..errors import InputError
from ..protocol.flow import MIB

COPY_BYTES: Final = MIB
"""Bytes that are read at once where a file is copied."""


class OpenFile:
    """`size` bytes of a file from where it stood; whoever reads it at once takes turns."""

    def __init__(self, file: Any, start: int, size: int, *, is_ours: bool = False) -> None:
        self._file = file
        self._start = start
        self._is_ours = is_ours
        self._turn = threading.Lock()
        self.size = size

    def __del__(self) -> None:
        if getattr(self, "_is_ours", False):
            self._file.close()

    def read(self, place: int, most: int) -> bytes:
        """Up to so many bytes from this place on; b"" at the end. Raises `InputError` where that fails."""
        with self._turn:
            try:
                self._file.seek(self._start + place)
                return checked(self._file.read(max(0, min(most, self.size - place))))
            except (OSError, ValueError) as error:
                raise InputError(f"the open file cannot be read any more: {error}") from None

    def whole(self) -> bytes:
        """All of it."""
        whole = io.BytesIO()
        while piece := self.read(whole.tell(), COPY_BYTES):
            whole.write(piece)
        return whole.getvalue()


def in_place(file: Any) -> OpenFile | None:
    """The file from where it stands, which is where it stands afterwards; None where one cannot go back in it."""
    try:
        start = file.tell()
        end = file.seek(0, os.SEEK_END)
        file.seek(start)
    except (OSError, ValueError, AttributeError, TypeError):  # a pipe, or what unpacks as it is read
        return None
    is_known = isinstance(start, int) and isinstance(end, int)
    return OpenFile(file, start, max(0, end - start)) if is_known else None


def copied(file: Any, most: int, in_memory: int) -> bytes | OpenFile:
    """What a file has from where it stands, `most` bytes and one at the most: in memory up to a size, else on disk.

    A short read is no end. Raises `InputError` for a file that gives no bytes.
    """
    whole: Any = io.BytesIO()
    try:
        while whole.tell() <= most and (piece := checked(file.read(min(COPY_BYTES, most + 1)))):
            if whole.tell() + len(piece) > in_memory and isinstance(whole, io.BytesIO):
                whole = _on_disk(whole)
            whole.write(piece)
    except BaseException:
        whole.close()
        raise
    return whole.getvalue() if isinstance(whole, io.BytesIO) else OpenFile(whole, 0, whole.tell(), is_ours=True)


def _on_disk(whole: io.BytesIO) -> Any:
    import tempfile

    file = tempfile.TemporaryFile()  # noqa: SIM115 - whoever reads it closes it
    file.write(whole.getbuffer())
    return file


def checked(piece: Any) -> bytes:
    """What a file gave. Raises `InputError` where that is a text, or nothing yet."""
    if isinstance(piece, bytes | bytearray | memoryview):
        return bytes(piece)
    what = "has nothing to read yet" if piece is None else "gives no bytes: open it with mode 'rb'"
    raise InputError(f"the file {what}")
