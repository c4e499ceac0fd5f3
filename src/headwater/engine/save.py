"""A result on its way to a file: beside it under another name, and renamed when it is whole.

Nothing is left behind by a call that fails, and the file that was there stays until then. No more than the first
8 MiB of a download are kept in memory, for the flow to look at.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from anyio import CancelScope, to_thread

from ..errors import InputError, InvalidParameterError
from ..media.images import encode_image, upright
from ..media.media import Media
from ..media.source import kind_of
from ..protocol.flow import MIB

WRITE_BYTES: Final = MIB
PREVIEW_BYTES: Final = 8 * MIB
_FORMATS: Final = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".gif": "GIF"}


class SavedFile:
    """The file at `path`, written by one call (`download.Sink`); an async context manager."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        import secrets

        self._temporary = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}.part")
        self._descriptor = -1
        self._batch = bytearray()
        self._seen = io.BytesIO()
        self._is_fetched = False

    async def __aenter__(self) -> Self:
        await self._in_thread(self._create)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with CancelScope(shield=True):  # what is large takes its time to be deleted
            await to_thread.run_sync(self._leave)

    async def add(self, piece: bytes) -> None:
        """Write the next piece."""
        self._is_fetched = True
        if self._seen.tell() < PREVIEW_BYTES:
            self._seen.write(piece)
        self._batch += piece
        if len(self._batch) >= WRITE_BYTES:
            await self._flush()

    async def clear(self) -> None:
        """Begin anew."""
        self._batch.clear()
        self._seen = io.BytesIO()
        await self._in_thread(self._empty)

    async def media(self, mime_type: str) -> Media:
        """The first 8 MiB, which are all of most images."""
        await self._flush()
        return Media(self._seen.getbuffer(), mime_type)

    async def keep(self, result: Any) -> Path:
        """Give the file its name; what was not downloaded is written now.

        Raises `InvalidParameterError` for a result that is no image, sound or video.
        """
        if not (isinstance(result, bytes) or kind_of(result) == "image"):
            raise InvalidParameterError(f"a result of type {type(result).__name__} is no file to be saved")
        await self._in_thread(lambda: self._finish(None if self._is_fetched else result))
        return self.path

    def _create(self) -> None:
        if self.path.is_dir():
            raise InputError(f"{self.path} is a folder")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        self._descriptor = os.open(self._temporary, flags, 0o666)

    def _empty(self) -> None:
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.ftruncate(self._descriptor, 0)

    def _finish(self, result: Any) -> None:
        if result is not None:
            self._write(result if isinstance(result, bytes) else _encoded(result, self.path.suffix.lower()))
        self._close()
        self._temporary.replace(self.path)

    def _leave(self) -> None:
        self._close()
        self._temporary.unlink(missing_ok=True)

    async def _flush(self) -> None:
        batch, self._batch = bytes(self._batch), bytearray()
        await self._in_thread(lambda: self._write(batch))

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(self._descriptor, left) :]

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    async def _in_thread(self, work: Callable[[], object]) -> None:
        try:
            await to_thread.run_sync(work)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise InputError(f"{self.path} cannot be written: {reason}") from error


def _encoded(image: Any, suffix: str) -> bytes:
    """An image in the format that the file's name asks for, else as `encode_image` has it."""
    chosen = _FORMATS.get(suffix)
    if chosen is None or chosen == image.format == "JPEG":
        return encode_image(image)[0]
    file = io.BytesIO()
    turned = upright(image)
    fits = turned if chosen != "JPEG" or turned.mode in {"L", "RGB", "CMYK"} else turned.convert("RGB")
    fits.save(file, chosen)
    return file.getvalue()
