"""A strict reader of ``multipart/form-data``, as servers are: boundary, CRLF, names, the end.

https://www.rfc-editor.org/rfc/rfc7578
"""

from __future__ import annotations

import re
from dataclasses import dataclass

BOUNDARY = re.compile(r'multipart/form-data\s*;.*?boundary=("?)([\w\'()+,./:=? -]{1,70})\1\s*(?:;.*)?', re.IGNORECASE)
NAME = re.compile(r'form-data\s*;.*?\bname="((?:[^"\\]|\\.)*)"', re.IGNORECASE)
FILENAME = re.compile(r'\bfilename="((?:[^"\\]|\\.)*)"', re.IGNORECASE)


class UnreadableError(ValueError):
    """The body is no form."""


@dataclass(frozen=True, slots=True)
class FormPart:
    """One field; ``filename`` is None for a field that is no file."""

    name: str
    data: bytes
    filename: str | None = None
    media_type: str = ""

    @property
    def text(self) -> str:
        return self.data.decode(errors="replace")


def parts(body: bytes, content_type: str) -> list[FormPart]:
    """The form's fields in their order; `UnreadableError` for anything that is not such a form."""
    found = BOUNDARY.fullmatch(content_type)
    if not found:
        raise UnreadableError("the content type is not multipart/form-data with a boundary")
    mark = b"--" + found[2].encode()
    pieces = (b"\r\n" + body).split(b"\r\n" + mark)
    if len(pieces) < 3 or pieces[0] or pieces[-1] not in (b"--", b"--\r\n"):
        raise UnreadableError("the form has no part, or no end")
    return [part(piece) for piece in pieces[1:-1]]


def part(piece: bytes) -> FormPart:
    head, end, data = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    if not end or not piece.startswith(b"\r\n"):
        raise UnreadableError("a part has no headers")
    headers = dict(header(line) for line in head.split(b"\r\n"))
    placed = headers.get("content-disposition", "")
    name, filename = NAME.match(placed), FILENAME.search(placed)
    if not name:
        raise UnreadableError("a part has no name")
    return FormPart(name[1], data, filename[1] if filename else None, headers.get("content-type", ""))


def header(line: bytes) -> tuple[str, str]:
    name, colon, value = line.decode("utf-8", "replace").partition(":")
    if not colon:
        raise UnreadableError("a part's header has no colon")
    return name.strip().lower(), value.strip()
