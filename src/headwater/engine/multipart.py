"""Bodies that are more than bytes: files that stay on disk, and the parts of multipart/form-data.

A body can be made as often as its request is tried. A file is opened for each of its pieces and closed again, in a
worker thread, so that nothing is left open however a request ends; one that the caller has open stays so. Its length
is known before the first byte goes out.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from typing import Final, TypeAlias

from anyio import to_thread

from ..errors import InputError, InvalidParameterError
from ..protocol.flow import MIB, Loaded, Part

UPLOAD_PIECE_BYTES: Final = 64 * 1024
"""Bytes that are read from a file at once."""

BodyPiece: TypeAlias = bytes | Loaded
_ESCAPES: Final = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})


class UploadBody:
    """A body of pieces in memory and on disk, one after another; it can be gone through any number of times.

    `sent`: how many bytes have been taken this time.
    """

    __slots__ = ("_pieces", "length", "sent")

    def __init__(self, pieces: Sequence[BodyPiece]) -> None:
        self._pieces = pieces
        self.length = sum(map(_size, pieces))
        self.sent = 0

    def __aiter__(self) -> _Reader:
        self.sent = 0
        return _Reader(self, self._pieces)


class _Reader:
    """One time through."""

    __slots__ = ("_left", "_place", "_whole")

    def __init__(self, whole: UploadBody, pieces: Sequence[BodyPiece]) -> None:
        self._whole = whole
        self._left = list(reversed(pieces))
        self._place = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        data = await self._next()
        self._whole.sent += len(data)
        return data

    async def _next(self) -> bytes:
        while self._left:
            piece = self._left[-1]
            if isinstance(piece, bytes):
                return self._ended(piece)
            if not piece.is_stored:
                return self._ended(piece.data)
            data = await to_thread.run_sync(_read, piece, self._place)
            if data:
                self._place += len(data)
                return data
            self._ended(b"")
        raise StopAsyncIteration

    def _ended(self, data: bytes) -> bytes:
        self._left.pop()
        self._place = 0
        return data


def request_body(given: BodyPiece | tuple[Part, ...]) -> tuple[bytes | UploadBody, str | None]:
    """A request's body as the transport takes it, and the content type that it brings.

    Raises `InvalidParameterError` for an input that was never read.
    """
    if isinstance(given, bytes):
        return given, None
    if isinstance(given, Loaded):
        _size(given)
        return (UploadBody([given]) if given.is_stored else given.data), given.mime_type
    import secrets

    boundary = secrets.token_hex(16)
    pieces = [*_parts(given, boundary), f"--{boundary}--\r\n".encode()]
    body = UploadBody(pieces)
    content_type = f"multipart/form-data; boundary={boundary}"
    in_memory = [piece for piece in pieces if isinstance(piece, bytes)]
    if len(in_memory) == len(pieces) and body.length <= MIB:
        return b"".join(in_memory), content_type
    return body, content_type


def _parts(parts: tuple[Part, ...], boundary: str) -> list[BodyPiece]:
    pieces: list[BodyPiece] = []
    for part in parts:
        lines = [f"--{boundary}", _disposition(part)]
        if kind := part.mime_type or (part.data.mime_type if isinstance(part.data, Loaded) else None):
            lines.append(f"Content-Type: {kind}")
        pieces.append("\r\n".join([*lines, "", ""]).encode())
        pieces.append(part.data if not isinstance(part.data, Loaded) or part.data.is_stored else part.data.data)
        pieces.append(b"\r\n")
    return pieces


def _disposition(part: Part) -> str:
    """Names are escaped as browsers do: https://html.spec.whatwg.org/multipage/form-control-infrastructure.html"""
    name = f'Content-Disposition: form-data; name="{part.name.translate(_ESCAPES)}"'
    return name if part.filename is None else f'{name}; filename="{part.filename.translate(_ESCAPES)}"'


def _size(piece: BodyPiece) -> int:
    if isinstance(piece, bytes):
        return len(piece)
    if piece.url is not None and not piece.data:
        raise InvalidParameterError("an input that was left as a URL cannot be a request's body")
    return piece.size if piece.is_stored else len(piece.data)


def _read(piece: Loaded, place: int) -> bytes:
    if piece.path is None:
        data: bytes = piece.file.read(place, UPLOAD_PIECE_BYTES)
        return data
    path = piece.path
    try:
        from pathlib import Path

        with Path(path).open("rb", buffering=0) as file:
            file.seek(place)
            return file.read(UPLOAD_PIECE_BYTES)
    except OSError as error:
        raise InputError(f"{os.path.basename(path)!r} cannot be read any more: {error.strerror}") from None  # noqa: PTH119
