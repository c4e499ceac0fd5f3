"""Bytes to answers: the llhttp parser, and the rules that it leaves to its user. No I/O.

Refuses what could be read in two ways (a length twice, a length beside chunks, folded headers, codings of
transfer other than chunked), upgrades, and heads without end. Bytes after an answer's end are no part of it:
they only say that the connection cannot be used again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpResponseParser

from ..errors import HeadwaterError, ProtocolError, ResponseTooLargeError

MAX_HEAD_BYTES = 100 * 1024
"""Bytes of heads and trailers that one answer may have, its 1xx heads included."""
ALERT_RECORD = b"\x15\x03"
"""How an answer in TLS to what was none begins: https://www.rfc-editor.org/rfc/rfc8446#section-5.1"""
MAX_INTERIM_HEADS = 16
"""How many 1xx heads may come before an answer's own."""
_KEPT_LINES = 512
"""Header lines that are remembered at most."""
_KEPT_BYTES = 256
"""A longer line is not remembered."""
_lines: dict[str, tuple[str, str]] = {}
"""Header lines, and the name and value that they are. Most of a server's lines are the same in each of its answers, and
to cut one costs three times as much as to look it up: 3 % of a chat's instructions in all."""


class ResponseParser:
    """Reads the answers of one connection, one after another; `expect` comes before each.

    `reusable`: whether, by its head, the connection may serve again. `surplus`: more bytes came than the
    answer has.
    """

    __slots__ = (
        "_bodiless",
        "_end",
        "_head",
        "_interim",
        "_llhttp",
        "_pieces",
        "_quiet",
        "complete",
        "failure",
        "framed",
        "head_done",
        "headers",
        "heard",
        "on_body",
        "reusable",
        "status",
        "surplus",
    )

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.on_body: Callable[[bytes], None] = self._pieces.append  # the hot callback: no Python frame
        self.expect("GET")
        self._llhttp = HttpResponseParser(self)

    def expect(self, method: str) -> None:
        """Make ready for the answer to a request with this method."""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.framed: Literal["length", "chunked", "close"] = "length"
        self.failure: HeadwaterError | None = None
        self.head_done = self.complete = self.reusable = self.surplus = self.heard = False
        self._bodiless = method == "HEAD"
        self._head = b""
        self._end = self._interim = self._quiet = 0

    def feed(self, data: bytes) -> bytes:
        """Take what the socket gave; the bytes of the body that were in it.

        A failure is kept in `failure`, so that what came before it can be delivered first.
        """
        self.heard = True
        waiting = not self.head_done
        try:
            self._llhttp.feed_data(data)
        except HttpParserCallbackError as error:
            raise error.__context__ or error from None
        except (HttpParserError, HttpParserUpgrade) as error:
            if not self._after_the_end():
                hint = "; it is TLS: is it https://?" if (self._head or data)[:2] == ALERT_RECORD else ""
                self._fail(f"the server's answer is not HTTP: {error}{hint}", error)
        if waiting:
            self._take_head(data)
        if self._pieces:
            self._quiet = 0
            return self._body()
        if not self.complete and self.head_done:
            self._count(len(data))
        return b""

    def end(self) -> bool:
        """The connection was closed: whether that is how this answer ends."""
        if self.head_done and not self.complete and self.framed == "close" and self.failure is None:
            self.complete = True
        return self.complete

    def close(self) -> None:
        """Let go of the parser, which refers back to this object."""
        del self._llhttp

    def _body(self) -> bytes:
        pieces = self._pieces
        if self.complete:
            del pieces[self._end :]
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return body

    def _take_head(self, data: bytes) -> None:
        # llhttp has checked every byte; cutting the text at once costs less than a callback for each header.
        head = self._head + data if self._head else data
        if not self.head_done:
            self._head = head
            if len(head) > MAX_HEAD_BYTES:
                self._refuse(_overflow())
            return
        self._head = b""
        start = end = 0
        for _ in range(self._interim + 1):
            start = head.find(b"HTTP/", end)
            end = head.find(b"\r\n\r\n", start) + 4
        if start < 0:
            self._refuse(ProtocolError("the server's answer is in another protocol"))
        elif end > MAX_HEAD_BYTES:
            self._refuse(_overflow())
        else:
            self._read_headers(head[start : end - 4].decode("latin-1"))

    def _read_headers(self, text: str) -> None:
        headers = self.headers
        for line in text.split("\r\n")[1:]:
            name, value = _lines.get(line) or _cut(line)
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        coding = headers.get("transfer-encoding")
        if coding is not None:
            self.framed = "chunked"
            if coding.lower() != "chunked":
                self._refuse(ProtocolError(f"the transfer coding {coding[:40]!r} is not supported"))
        elif "content-length" not in headers and self.status not in (204, 304) and not self._bodiless:
            self.framed = "close"

    def _refuse(self, failure: HeadwaterError) -> None:
        self.failure = failure
        self.head_done = self.complete = False
        self._pieces.clear()

    def _count(self, quiet: int) -> None:
        # What yields no body (chunk extensions, trailers) must end some time.
        self._quiet += quiet
        if self._quiet > MAX_HEAD_BYTES and self.failure is None:
            self.failure = _overflow()

    def _fail(self, message: str, cause: BaseException | None = None) -> None:
        if self.failure is None:
            self.failure = ProtocolError(message)
            self.failure.__cause__ = cause

    def _after_the_end(self) -> bool:
        self.surplus = self.surplus or self.complete
        return self.complete

    def on_message_begin(self) -> None:
        """llhttp: a status line begins."""
        if self.complete:
            self.surplus = True

    def on_headers_complete(self) -> None:
        """llhttp: the empty line after a head."""
        if self.head_done or self.failure is not None:
            return
        status = self._llhttp.get_status_code()
        if status < 200:
            self._interim_head(status)
            return
        self.status = status
        self.head_done = True
        if self._bodiless:  # llhttp cannot know, and waits for a body: such a connection is not used again
            self.complete = True
        else:
            self.reusable = self._llhttp.should_keep_alive()

    def on_message_complete(self) -> None:
        """llhttp: the end of a body."""
        if self.head_done and not self.complete:
            self.complete = True
            self._end = len(self._pieces)

    def _interim_head(self, status: int) -> None:
        self._interim += 1
        if status == 101 or status < 100:
            self._fail(f"the server answered with status {status}, which was not asked for")
        elif self._interim > MAX_INTERIM_HEADS:
            self.failure = self.failure or ResponseTooLargeError(
                f"the server sent over {MAX_INTERIM_HEADS} interim answers (1xx)", limit=MAX_INTERIM_HEADS
            )


def _cut(line: str) -> tuple[str, str]:
    """A header's name, in lower case, and its value."""
    name, _, value = line.partition(":")
    name = name.lower()
    pair = name, value.strip(" \t")
    if len(line) <= _KEPT_BYTES and name != "set-cookie":  # which is a secret, and new each time
        if len(_lines) >= _KEPT_LINES:
            _lines.clear()
        _lines[line] = pair
    return pair


def _overflow() -> ResponseTooLargeError:
    return ResponseTooLargeError(f"the answer's headers are over {MAX_HEAD_BYTES} bytes", limit=MAX_HEAD_BYTES)
