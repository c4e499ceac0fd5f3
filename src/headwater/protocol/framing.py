"""Bytes to frames: event streams (SSE), JSON lines and whole bodies, without any I/O.


A framing is fed the body of a reply in whatever pieces the network cut it, and gives the frames that are
complete; the frames never depend on the cuts. It refuses to decode: a frame's data stays bytes, for a JSON
decoder to read once. It refuses to hold an event or line above its limit, and to guess what a cut took.

Event streams follow the WHATWG rules, https://html.spec.whatwg.org/multipage/server-sent-events.html (9.2.6),
and depart from them where servers do, and something would be lost:

- an event that the end of the stream leaves without its blank line is delivered when its data shows that it is whole
  (`SSEFraming.finish`);
- data lines that are JSON documents, each whole, are events of their own: some servers end an event with a single line
  feed. The first such event waits for the second; those after it come at once. An `event` line behind a whole document
  ends that document's event, too;
- a line that is a JSON document and no field is the data of an event of its own, and so are several lines that are one;
  lines without a field's name go on with JSON that a `data` line has begun;
- a line `error: ...` is an event of that name: llama.cpp's server ended its streams so until autumn 2025
  (https://github.com/ggml-org/llama.cpp/blob/b6500/tools/server/utils.hpp, `server_sent_event`); and so is a line of
  any other name whose value is a JSON document;
- a line of plain words behind `event: error` is that event's data;
- any other line that is no field is kept in `strays`, for whoever says what went wrong;
- a `retry` of more than 18 digits is ignored.

All of this is the slow road, a line at a time (`_lines`). Nearly every piece that a server sends is whole events of one
`data: ` line each, between line feeds: those are cut at once, by `split` (`_events`), which is worth 0.8 us of the 3.4
that a chunk costs from the socket to its typed object (`python -m benchmarks --only stream_2000`).

An answer that was to be a stream and is whole is a single frame (`WholeFraming`), but where a JSON body holds several
documents: then it is read as the stream that it was to be.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from headwater.errors import ResponseTooLargeError
from headwater.protocol.json_text import is_json

from .lazy import lazy_pattern

MAX_EVENT_BYTES = 64 * 1024 * 1024
"""Bytes of one event or line: as many as a whole answer may have."""

EVENT_STREAM = "text/event-stream"
"""The content type of server-sent events."""

DONE = b"[DONE]"
"""The data of the last event, as OpenAI has it."""

WHOLE = frozenset({"application/json", "text/plain"})
"""What an answer may be that was to be a stream and is whole."""

_BOM = b"\xef\xbb\xbf"
_CR = 0x0D  # an integer, because `in` tries its left side as one first
_DIGITS = tuple(b"%d" % digit for digit in range(10))
_STRAY_BYTES = 512  # that are kept of lines that are no part of any event
_FIELD = lazy_pattern(rb"(?:\xef\xbb\xbf)?\s*(?:(?:data|event|id|retry|error)[ \t]*:|:)")
_TOKEN = lazy_pattern(rb"[A-Za-z][\w.-]{0,40}\Z")  # what may be the name of a field
_MAX_RETRY_DIGITS = 18  # int() refuses thousands of digits, and no reconnection time needs them


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One event of an event stream, one JSON line, or one piece of a body.

    `event` is empty for the standard's default type, "message". `id` is the stream's last event ID so far.
    `retry` is in milliseconds, None when this event set none. `bare`: of an event stream, no field's name
    stood before the data.
    """

    data: bytes
    event: str = ""
    id: str = ""
    retry: int | None = None
    bare: bool = False


class Framing(Protocol):
    """What cuts one body into frames; made anew for every body."""

    @property
    def pending(self) -> bool:
        """After `finish`: whether the body ended inside a frame, which was dropped."""
        ...

    @property
    def strays(self) -> bytes:
        """The beginning of what was no part of any frame and says something all the same."""
        ...

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes. Raises ResponseTooLargeError, which ends the framing's use."""
        ...

    def finish(self) -> list[Frame]:
        """The frames that the end of the body completes. Called once, after the last `feed`."""
        ...


class SSEFraming:
    """An event stream. An event comes out with the first byte of its blank line: a CR waits for no LF.

    `limit` bounds one event: the bytes of its lines, comments included, line ends not.
    """

    def __init__(self, limit: int = MAX_EVENT_BYTES) -> None:
        self.pending = False
        self.strays = b""
        self._limit = limit
        self._start: bytes | None = b""  # what may yet become a BOM; None once that is settled
        self._skip_lf = False  # the last byte was a CR: a LF that follows belongs to it
        self._partial = bytearray()  # a line without its end
        self._size = 0  # of the event's whole lines
        self._open = False  # whether any of the bytes so far concern what follows
        self._data: list[bytes] = []  # the event's data lines
        self._bare = False  # whether those are lines of JSON that no field's name stands before
        self._single = False  # whether a single line feed ends an event
        self._fields = False  # whether the event has fields besides data
        self._event = ""
        self._id = ""
        self._retry: int | None = None

    def feed(self, data: bytes) -> list[Frame]:
        """The events that `data` completes. Raises ResponseTooLargeError."""
        if self._start is not None:
            data = self._after_bom(self._start + data)
        if _CR in data or len(data) > self._limit:
            return self._lines(data)
        if self._open:
            end = data.find(b"\n\n") + 2
            if end < 2 or end == len(data):
                return self._lines(data)
            return self._lines(data[:end]) + self.feed(data[end:])
        # LF only, and too short to exceed the limit: whole events need no look at each line.
        return self._events(data) if data.startswith(b"data: ") else self._lines(data)

    def finish(self) -> list[Frame]:
        """The event that lacks its blank line, if its data is `[DONE]` or whole JSON; else it is dropped.

        The standard drops every such event, but servers do end their streams this way. The end of the stream
        ends the last line too. A bare number is dropped: nothing shows that no more digits were to come.
        """
        line = self._start or bytes(self._partial)
        self._start, self._partial = None, bytearray()
        self._size = 0
        frames = self._lines(line + b"\n") if line else []
        frame = self._frame()
        if self._data and (frame.data == DONE or _is_whole_json(frame.data)):
            return [*frames, frame]
        self.pending = bool(self._data) or self._fields
        return frames

    def _after_bom(self, data: bytes) -> bytes:
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._start = data
            return b""
        self._start = None
        return data.removeprefix(_BOM)

    def _events(self, data: bytes) -> list[Frame]:
        """The events of `data`, which starts with `data: ` between events and has no CR."""
        line_ends = data.count(b"\n")
        if line_ends == 2 and data.endswith(b"\n\n"):
            return [Frame(data[6:-2], "", self._id)]
        if line_ends < 2:
            return self._lines(data)
        blocks = data[6:].split(b"\n\ndata: ")
        tail = blocks.pop()
        if tail.endswith(b"\n\n"):
            blocks.append(tail[:-2])
            tail = b""
        else:
            tail = b"data: " + tail
        if line_ends - tail.count(b"\n") == 2 * len(blocks):  # so every block is one line
            last_id = self._id
            frames = [Frame(block, "", last_id) for block in blocks]
        else:
            frames = [frame for block in blocks for frame in self._lines(b"data: " + block + b"\n\n")]
        return frames + self._lines(tail) if tail else frames

    def _lines(self, data: bytes) -> list[Frame]:
        """The events that `data` completes, whatever state the stream is in and however its lines end."""
        frames: list[Frame] = []
        size = self._size
        for line in self._cut(data):
            size += len(line)
            if size > self._limit:
                raise _too_large("event", self._limit)
            if line.startswith(b"data:"):
                value = line[6:] if line.startswith(b"data: ") else line[5:]
                if (self._data or self._single) and (found := self._apart(value)):
                    frames.extend(found)
                    size = len(line) if self._data else 0
                else:
                    self._data.append(value)
            elif line:
                if found := self._field(line):
                    frames.extend(found)
                    size = len(line) if self._data else 0
            else:
                size = 0
                if self._data:
                    frames.append(self._frame())
                self._clear()
        self._size = size
        size += len(self._partial)
        if size > self._limit:
            raise _too_large("event", self._limit)
        self._open = size > 0 or self._skip_lf
        return frames

    def _cut(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes; what is left over becomes the partial line."""
        if self._skip_lf and data:
            data = data.removeprefix(b"\n")
            self._skip_lf = False
        lines = data.splitlines()  # for bytes: at CR, LF and CRLF, and nowhere else
        rest = lines.pop() if lines and not data.endswith((b"\r", b"\n")) else b""
        if lines:
            self._skip_lf = data.endswith(b"\r")
            if self._partial:
                lines[0] = bytes(self._partial) + lines[0]
                self._partial = bytearray()
        self._partial += rest
        return lines

    def _apart(self, value: bytes) -> Sequence[Frame]:
        """The events that a data line ends or is, where a single line feed ends them; with none, it goes on with one.

        What it leaves of the line is the event's data.
        """
        frames = []
        if self._data:
            if not self._bare and not (_begins_json(value) and len(self._data) == 1 and _is_document(self._data[0])):
                return []
            self._single = not self._bare
            frames = self._settled()
        if self._single and _is_document(value):
            self._data = [value]
            return frames + self._settled()
        if frames:
            self._data = [value]
        return frames

    def _field(self, line: bytes) -> Sequence[Frame]:
        """Take a line that is no data; the events that it ends or is, which only what is no field can be."""
        name, _, value = line.partition(b":")
        if not name:
            return ()  # a comment
        value = value.removeprefix(b" ")
        frames: Sequence[Frame] = ()
        if name == b"event":
            if self._event and len(self._data) == 1 and _is_document(self._data[0]):
                frames = self._settled()
            self._event = value.decode(errors="replace")
        elif name == b"id":
            if b"\0" not in value:
                self._id = value.decode(errors="replace")
        elif name == b"retry":
            if value.isdigit() and len(value) <= _MAX_RETRY_DIGITS:
                self._retry = int(value)
        elif name == b"data":
            self._data.append(b"")
        else:
            return self._stray(line, name, value)
        self._fields = True
        return frames

    def _stray(self, line: bytes, name: bytes, value: bytes) -> Sequence[Frame]:
        """Take a line that is no field; the events that it ends or is."""
        value, name = value.strip(), name.strip().lower()
        if name == b"error" and value:
            return [*self._settled(whole=True), Frame(value, "error", self._id)]
        if self._event == "error" and not self._data and not _begins_json(line):
            self._data = [line]
            return self._settled()
        is_json, has_json = _begins_json(line), bool(self._data) and _begins_json(self._data[0])
        if has_json and (len(self._data) > 1 or not _is_document(self._data[0])):
            self._data.append(line)  # JSON over several lines
            return ()
        if is_json:
            frames = self._settled() if self._data else []
            self._data, self._bare = [line], True
            return frames + self._settled() if _is_document(line) else frames
        self._fields = True
        if _TOKEN.match(name):
            if _begins_json(value) and _is_document(value):
                return [*self._settled(), Frame(value, name.decode(), self._id)]
        elif len(self.strays) < _STRAY_BYTES:
            self.strays += line[:_STRAY_BYTES] + b"\n"
        return ()

    def _settled(self, *, whole: bool = False) -> list[Frame]:
        """The event so far, which ends here; `whole`: only where its data is."""
        frames = [self._frame()] if self._data and (not whole or _is_document(b"\n".join(self._data))) else []
        self._clear()
        return frames

    def _frame(self) -> Frame:
        return Frame(b"\n".join(self._data), self._event, self._id, self._retry, self._bare)

    def _clear(self) -> None:
        self._data = []
        self._bare = False
        if self._fields:
            self._fields = False
            self._event = ""
            self._retry = None


class JSONLinesFraming:
    """JSON lines: a frame for every line that is not blank. A line ends with LF or CRLF, and nowhere else.

    `limit` bounds one line, in bytes, a CR at its end included.
    """

    def __init__(self, limit: int = MAX_EVENT_BYTES) -> None:
        self.pending = False
        self.strays = b""
        self._limit = limit
        self._partial = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """The lines that `data` completes. Raises ResponseTooLargeError."""
        lines = data.split(b"\n")
        rest = lines.pop()
        if lines and self._partial:
            lines[0] = bytes(self._partial) + lines[0]
            self._partial = bytearray()
        self._partial += rest
        if len(self._partial) > self._limit or any(len(line) > self._limit for line in lines):
            raise _too_large("line", self._limit)
        return [Frame(line.removesuffix(b"\r")) for line in lines if line and not line.isspace()]

    def finish(self) -> list[Frame]:
        """The last line if it lacks its end but is whole JSON, by the rule of `SSEFraming.finish`."""
        line = bytes(self._partial).removesuffix(b"\r")
        if _is_whole_json(line):
            return [Frame(line)]
        self.pending = bool(line.strip())
        return []


class WholeFraming:
    """An answer that was to be a stream and is none: one frame, at its end, whose `event` is its media type."""

    pending = False
    strays = b""

    def __init__(self, content_type: str, limit: int = MAX_EVENT_BYTES) -> None:
        self._content_type = content_type
        self._limit = limit
        self._body = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Nothing yet. Raises ResponseTooLargeError."""
        self._body += data
        if len(self._body) > self._limit:
            raise _too_large("answer", self._limit)
        return []

    def finish(self) -> list[Frame]:
        """The whole of it; of JSON, the only document, or each where there are several, an end marker among them."""
        body = bytes(self._body)
        if self._content_type == "application/json" and not _is_whole_json(body):
            frames = frames_of(body)
            documents = [frame for frame in frames if frame.data.strip() != DONE]
            if len(documents) > 1:
                return frames
            body = documents[0].data if documents else body
        return [Frame(body, self._content_type)]


class BodyFraming:
    """A body whose pieces mean nothing by themselves, such as audio: a frame for every piece, as it comes.

    Each frame's `event` is the body's media type, where the caller tells it.
    """

    pending = False
    strays = b""

    def __init__(self, content_type: str = "") -> None:
        self._content_type = content_type

    def feed(self, data: bytes) -> list[Frame]:
        """One frame with these bytes."""
        return [Frame(data, self._content_type)]

    def finish(self) -> list[Frame]:
        """Nothing: there is nothing that a body's end could complete."""
        return []


def is_events(body: bytes) -> bool:
    """Whether a whole body is an event stream by its beginning, or by an end marker, whatever it was to be."""
    if body[:1] == b"{" and body[-1:] == b"}":  # as nearly all are
        return False
    return _FIELD.match(body) is not None or body[-32:].rstrip().endswith(b"data: [DONE]")


def frames_of(body: bytes) -> list[Frame]:
    """All the frames of a whole event stream, or of JSON lines."""
    framing = SSEFraming(len(body))
    return framing.feed(body) + framing.finish()


def _begins_json(data: bytes) -> bool:
    return data.lstrip()[:1] in (b"{", b"[")


def _is_document(data: bytes) -> bool:
    """Whether this is an object or a list, whole; or the end marker, which looks like one."""
    return _begins_json(data) and (data.strip() == DONE or _is_whole_json(data))


def _is_whole_json(data: bytes) -> bool:
    return not data.endswith(_DIGITS) and is_json(data)


def _too_large(what: str, limit: int) -> ResponseTooLargeError:
    return ResponseTooLargeError(f"one {what} of the reply is larger than {limit} bytes", limit=limit)
