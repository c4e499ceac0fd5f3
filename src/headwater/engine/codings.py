"""Content codings undone a bounded piece at a time, and what says of a body that it has none.

The content beats the label: a body that is said to be packed and shows that it is not (text, or media that its first
bytes name) is given as it came, and one that begins as another coding does is undone as that. Of several codings each
is undone, the last named first; some servers name one twice that they have used once. Brotli and Zstandard, which we
do not ask for, are undone where there is a package for them (`decompressors`); without one the answer is refused.

A body may be several members, one after another, and all of them are unpacked (RFC 1952, 2.2, and RFC 9110, 8.4.1.3).
Zeros and blanks after the last one are padding. Before any other bytes there, gzip(1) hands over what it has unpacked,
with a warning, and browsers ignore them; here they are ignored where the content shows by itself whether it is whole,
and are an error elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from ..errors import ConnectionLostError, DecodeError, UnexpectedContentError
from ..protocol.lazy import lazy_modules

if TYPE_CHECKING:
    from ..media import mime  # noqa: TC004 - loaded when it is used, below
    from . import decompressors  # noqa: TC004 - loaded when it is used, below
    from .decompressors import Decompressor
else:
    globals().update(lazy_modules("headwater.media", "mime"))
    globals().update(lazy_modules(__package__, "decompressors"))

DECODED_PIECE_BYTES: Final = 256 * 1024
"""The most bytes that one step of unpacking yields."""
BARREN_BYTES: Final = 1024 * 1024
"""The most packed bytes in a row that may yield nothing, as padding and empty members do."""
MOST_CODINGS: Final = 3
"""How many codings may be in each other."""
_HEAD: Final = 16
"""How many bytes tell whether a body is packed."""
_PADDING: Final = b"\0\t\n\r "
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_SKIPPED: Final = b"\x2a\x4d\x18"
"""How a Zstandard frame goes on that has no data, after a byte from 0x50 to 0x5f."""
_NO_CODING: Final = frozenset(
    {"", "identity", "none", "null", "utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "binary", "8bit", "7bit"}
)
"""What servers write where there is no coding: names of nothing, of charsets, and of MIME's transfer encodings."""
_SAME: Final = {"x-gzip": "gzip"}


def coding_of(header: str | None) -> str:
    """The codings that a Content-Encoding header names, in lower case and in their order; "" for none."""
    if not header:
        return ""
    names = (name.strip(" \t\"'").lower() for name in header.split(","))
    return ", ".join(_SAME.get(name, name) for name in names if name not in _NO_CODING)


class Unpacker(Protocol):
    """A body's codings, undone: `more` for every packed piece, `end` at the body's end."""

    @property
    def packed(self) -> bytes:
        """What `more` left for its next call."""
        ...

    @property
    def held(self) -> bool:
        """Whether that has something to give without more bytes."""
        ...

    def more(self, packed: bytes) -> bytes:
        """What this piece yields, which may be nothing yet. Raises `DecodeError`, `UnexpectedContentError`."""
        ...

    def end(self) -> bytes:
        """What is left at the body's end, b"" when nothing is. Raises `ConnectionLostError` where a member was cut."""
        ...


def unpacker(codings: str, *, shows_end: bool = False) -> Unpacker:
    """What undoes these codings, as `coding_of` gives them. `shows_end`: whether the content shows by itself whether it
    is whole, as JSON and event streams do."""
    names = codings.split(", ")
    if len(names) > MOST_CODINGS:
        raise UnexpectedContentError(f"the server packed its answer as {codings[:40]!r}, unasked")
    found: Unpacker = Unpack(names[0], shows_end=shows_end, again=names[0] in names[1:])
    for place, name in enumerate(names[1:], 1):
        found = Chain(Unpack(name, shows_end=shows_end, again=name in names[place + 1 :]), found)
    return found


class Chain:
    """Two codings, one in the other, as an `Unpacker`."""

    def __init__(self, outer: Unpack, inner: Unpacker) -> None:
        self._outer, self._inner = outer, inner

    @property
    def packed(self) -> bytes:
        """What `more` left for its next call."""
        return self._inner.packed or self._outer.packed

    @property
    def held(self) -> bool:
        """Whether that has something to give without more bytes."""
        return self._inner.held or self._outer.held

    def more(self, packed: bytes) -> bytes:
        """What this piece yields, which may be nothing yet. Raises `DecodeError`, `UnexpectedContentError`."""
        if self._inner.packed or self._inner.held:
            return self._inner.more(self._inner.packed)
        data = self._outer.more(packed)
        return self._inner.more(data) if data else b""

    def end(self) -> bytes:
        """What is left at the body's end, b"" when nothing is. Raises `ConnectionLostError` where a member was cut."""
        while self.packed or self.held:
            if data := self.more(self._outer.packed):
                return data
        while data := self._outer.end():
            if data := self._inner.more(data):
                return data
        return self._inner.end()


class Unpack:
    """One coding, undone, as an `Unpacker`. `again`: it was undone already, so that it may have been named in error."""

    __slots__ = (
        "_again",
        "_barren",
        "_begun",
        "_coding",
        "_head",
        "_member",
        "_plain",
        "_shows_end",
        "_wbits",
        "held",
        "packed",
    )

    def __init__(self, coding: str, *, shows_end: bool = False, again: bool = False) -> None:
        self._coding = coding
        self._again = again
        self._shows_end = shows_end
        self._begun = False
        self._plain = False
        self._head = b""  # too little to tell by
        self._wbits = 31  # of zlib's: gzip; 15 for deflate with its header, -15 for deflate without
        self._member: Decompressor | None = None  # that is being unpacked
        self._barren = 0
        self.packed = b""
        self.held = False

    def more(self, packed: bytes) -> bytes:
        """What this piece yields, which may be nothing yet. Raises `DecodeError`, `UnexpectedContentError`."""
        if self._member is None and not self._plain and not self._starts(packed):
            return b""
        if self._member is None:
            packed, self.packed = self.packed or packed, b""
            return packed
        return self._unpacked(self._member, self.packed or packed)

    def end(self) -> bytes:
        """What is left at the body's end, b"" when nothing is. Raises `ConnectionLostError` where a member was cut."""
        if self._head and not self._begun:
            self.packed, self._head = self._head, b""
            self._starts_first()
        while self.packed:
            if data := self.more(self.packed):
                return data
        data = b"" if self._member is None else self._unpacked(self._member, b"")
        if not data and (self._member is not None or self._head):
            raise ConnectionLostError(f"the answer's {self._coding} coding stopped before its end")
        return data

    def _unpacked(self, member: Decompressor, packed: bytes) -> bytes:
        try:
            data = member.decompress(packed, DECODED_PIECE_BYTES)
        except decompressors.BrokenCodingError as error:
            raise DecodeError(f"the answer's {self._coding} coding is broken: {error}") from error
        is_over = member.eof
        self.packed = member.unused_data if is_over else member.unconsumed_tail
        self.held = not is_over and len(data) >= DECODED_PIECE_BYTES
        if is_over:
            self._member = None
        self._count(0 if data else len(packed) - len(self.packed))
        return data

    def _starts(self, packed: bytes) -> bool:
        """Whether a member starts here, in `packed` from now on, or a body that is not packed at all."""
        given = len(packed)
        packed = self._head + packed if self._head else packed
        self._head = b""
        if self._begun:
            packed = packed.lstrip(b"\0" if self._wbits == -15 else _PADDING)
        self.packed = packed
        enough = 2 if self._begun else _HEAD
        if len(packed) < enough and (not self._begun or not packed or self._is_header(packed)):
            self._head, self.packed = packed, b""
            self._count(given)
            return False
        return self._starts_another() if self._begun else self._starts_first()

    def _starts_first(self) -> bool:
        self._coding = _told(self._coding, self.packed)
        self._plain = self._is_unpacked(self.packed)
        self._begun = True
        if not self._plain:
            self._member = self._made()
        return True

    def _starts_another(self) -> bool:
        if self._wbits == -15 or self._is_header(self.packed):
            self._member = self._made()
            return True
        if not self._shows_end:
            raise DecodeError(f"something else follows the answer's {self._coding} coding")
        self._count(len(self.packed))
        self.packed = b""
        return False

    def _made(self) -> Decompressor:
        if self._coding in decompressors.PACKAGED:
            if (member := decompressors.packaged(self._coding)) is None:
                raise UnexpectedContentError(
                    f"the server packed its answer as {self._coding!r}, unasked, and no package to unpack it is"
                    ' installed: pip install "headwater[codings]"'
                )
            return member
        if self._coding == "deflate" and self._wbits == 31:
            self._wbits = 15 if self._is_header(self.packed) else -15  # some servers omit zlib's header
        return decompressors.Zlib(self._wbits)

    def _is_header(self, data: bytes) -> bool:
        """Whether data, of which one byte may be all that has come, begins as a member does."""
        if self._coding == "gzip":
            return _GZIP.startswith(data[:2])
        if self._coding == "zstd":
            is_skipped = data[0] & 0xF0 == 0x50 and _SKIPPED.startswith(data[1:4])
            return _ZSTD.startswith(data[:4]) or is_skipped
        if self._coding == "br":
            return False  # there is no mark to know it by, and nothing may follow
        return data[0] & 0x0F == 8 and (len(data) < 2 or int.from_bytes(data[:2], "big") % 31 == 0)

    def _is_unpacked(self, head: bytes) -> bool:
        """Whether a body that begins so is not packed. Raises the error for what is, but cannot be undone."""
        if self._coding in {"gzip", "deflate", "zstd"} and self._is_header(head):
            return False
        if is_text(head) or mime.sniff(head) or self._again:
            return True
        if self._coding in {"deflate", "br"}:
            return False
        if self._coding not in {"gzip", "zstd"}:
            raise UnexpectedContentError(f"the server packed its answer as {self._coding[:40]!r}, unasked")
        raise DecodeError(f"the answer's {self._coding} coding is broken: it does not begin as {self._coding} does")

    def _count(self, barren: int) -> None:
        self._barren = self._barren + barren if barren else 0
        if self._barren > BARREN_BYTES:
            raise DecodeError(f"the answer's {self._coding} coding yields nothing, for over {BARREN_BYTES} bytes")


def _told(coding: str, head: bytes) -> str:
    """The coding of a body that is said to have this one, by how it begins."""
    if coding not in {"gzip", "deflate", "zstd"} or not head:
        return coding
    if _GZIP.startswith(head[:2]):
        return "gzip"
    if _ZSTD.startswith(head[:4]):
        return "zstd"
    is_zlib = head[:1] == b"\x78" and (len(head) < 2 or int.from_bytes(head[:2], "big") % 31 == 0) and not is_text(head)
    return "deflate" if is_zlib else coding


def is_text(head: bytes) -> bool:
    """Whether a body that begins with these bytes, four or more, is text in UTF-8; the last character may be cut."""
    text = _utf8(head[:256])
    return len(text) > 3 and all(c.isprintable() or c in "\t\n\r\ufeff" for c in text)


def _utf8(head: bytes) -> str:
    for cut in range(4):
        try:
            return head[: len(head) - cut].decode()
        except UnicodeDecodeError:
            continue
    return ""
