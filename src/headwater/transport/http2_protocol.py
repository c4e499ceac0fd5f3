"""Bytes to events of HTTP/2 and back: the package `h2`, fed frame by frame, and the rules that it leaves to its user.
No I/O.

`h2` knows the states of connections and streams, HPACK and the windows for sending. It ends a connection, though, for
what is one stream's affair, and many streams share a connection here. So it is given one frame at a time:

- What is wrong with one answer (its length, its headers) ends that stream alone (`StreamBroken`).
- GOAWAY lets the streams go on that the server still answers: `h2` would take nothing more.
- What arrives for a stream that was left is counted, and no second RST_STREAM is sent for each frame of it: servers
  take many of them for an attack.
- What was right before a frame that is wrong has been handed over by then.

Pieces of an answer that announces no length are read here, without `h2`, to which they would say nothing: that is what
a stream of events is made of, and it costs a tenth (`direct`).

The window for receiving on the connection is given back as bytes arrive, a stream's as its reader takes them
(`acknowledge`): a slow reader stops its own stream, and holds up nobody else.

https://www.rfc-editor.org/rfc/rfc9113
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from typing import Any, Final, NamedTuple, TypeAlias

from ..errors import ConnectionLostError, HeadwaterError, ProtocolError, ResponseTooLargeError
from .log_filters import install
from .response_parser import MAX_HEAD_BYTES

try:
    from h2 import events as events
    from h2.config import H2Configuration
    from h2.connection import ConnectionState, H2Connection
    from h2.errors import ErrorCodes
    from h2.exceptions import DenialOfServiceError, InvalidBodyLengthError, StreamClosedError
    from h2.exceptions import ProtocolError as H2ProtocolError
    from h2.settings import SettingCodes, Settings
    from hpack.struct import HeaderTuple, NeverIndexedHeaderTuple
except ModuleNotFoundError as missing:
    raise ImportError('http2=True needs h2: pip install "headwater[http2]"', name=missing.name) from missing

STREAM_WINDOW_BYTES: Final = 512 * 1024
"""Bytes of one answer that a server may send before its reader has taken any."""
CONNECTION_WINDOW_BYTES: Final = 8 * 1024 * 1024
"""Bytes of all answers that it may send before they have arrived."""
MAX_FRAME_BYTES: Final = 16 * 1024
"""A frame's length: the protocol's own default."""
MAX_BLOCK_BYTES: Final = 2 * MAX_HEAD_BYTES
"""Bytes that headers may have while they are compressed."""
MAX_LIST_BYTES: Final = 10 * MAX_HEAD_BYTES
"""Bytes of headers at which the connection ends; an answer's own limit, `MAX_HEAD_BYTES`, ends its stream alone."""
KEPT_CLOSED: Final = 4096
"""Closed streams that are remembered, so that what is late for them is told from what never was."""
MAX_IDLE_FRAMES: Final = 10_000
"""Frames in a row that bring nothing to any stream."""

DATA, HEADERS, RST_STREAM, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 7, 8, 9
HEAD_BYTES: Final = 9
END_STREAM: Final = 1
END_HEADERS: Final = 4
PADDED: Final = 8
GOAWAY_BYTES: Final = 17
IN_HTTP11: Final = int.from_bytes(b"HTT")
"""What "HTTP/1.1 400" would be the length of, which servers answer that know no HTTP/2."""
CANCEL: Final = int(ErrorCodes.CANCEL)
REFUSED_STREAM: Final = int(ErrorCodes.REFUSED_STREAM)
HTTP_1_1_REQUIRED: Final = int(ErrorCodes.HTTP_1_1_REQUIRED)
ENHANCE_YOUR_CALM: Final = int(ErrorCodes.ENHANCE_YOUR_CALM)

_INDEXED: Final = frozenset({"accept", "accept-encoding", "content-type", "user-agent", ":authority", ":method"})
"""Headers that HPACK may keep in its table; all others may hold a key. A path may as well."""
Frame: TypeAlias = tuple[int, int, bytes]
"""Its kind, its stream, and all of it."""


class StreamBroken(NamedTuple):
    """A stream ends because of what is wrong with its answer, after this `data`."""

    stream_id: int
    failure: HeadwaterError
    data: bytes = b""


class Piece(NamedTuple):
    """A piece of an answer. `size`: what it takes of the windows."""

    stream_id: int
    data: bytes
    size: int


class CountedConnection(H2Connection):
    """`h2`'s connection, which counts its open streams anew for each new one: here their number is known.

    `live`: how many are open.
    """

    MAX_CLOSED_STREAMS = KEPT_CLOSED
    live = 0

    @property
    def open_outbound_streams(self) -> int:
        """How many streams of ours are open; those that have ended are let go now and then."""
        if len(self.streams) > 2 * self.live + 64:
            return super().open_outbound_streams
        return self.live


class Http2Protocol:
    """One connection's. `streams`: the ids of those that somebody waits for; what is sent or arrives for others is
    late. `direct`: of those whose pieces are read without `h2`."""

    __slots__ = (
        "_block",
        "_block_of",
        "_held",
        "_idle_frames",
        "_incoming",
        "_owed",
        "_owed_directly",
        "_sent",
        "direct",
        "h2",
        "streams",
    )

    def __init__(self, streams: Collection[int]) -> None:
        install()
        self.streams = streams
        self._incoming = b""
        self._block, self._block_of = 0, 0
        self._held, self._sent = b"", bytearray()
        self._owed = self._owed_directly = self._idle_frames = 0
        self.direct: set[int] = set()
        self.h2 = CountedConnection(
            H2Configuration(
                validate_inbound_headers=False,
                normalize_inbound_headers=False,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self.h2.local_settings = Settings(
            client=True,
            initial_values={
                SettingCodes.ENABLE_PUSH: 0,
                SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW_BYTES,
                SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEAD_BYTES,
            },
        )
        self.h2.decoder.max_header_list_size = MAX_LIST_BYTES
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(CONNECTION_WINDOW_BYTES - 65_535)

    # -- what is sent

    def outgoing(self) -> bytes:
        """What is to be sent by now."""
        data = bytes(self._sent) + self.h2.data_to_send() if self._sent else self.h2.data_to_send()
        self._sent.clear()
        return data

    def begin(self, headers: Iterable[tuple[str, str]], *, ended: bool) -> int:
        """Open a stream with a request's headers, of which names are in lower case; its id. Raises `ProtocolError`."""
        stream_id = self.h2.get_next_available_stream_id()
        said = [HeaderTuple(*pair) if pair[0] in _INDEXED else NeverIndexedHeaderTuple(*pair) for pair in headers]
        self.h2.live = len(self.streams)
        self._idle_frames = 0
        try:
            self.h2.send_headers(stream_id, said, end_stream=ended)
        except H2ProtocolError:  # its traceback would show the headers
            raise ProtocolError("no stream of HTTP/2 can be begun") from None
        return stream_id

    def room(self, stream_id: int) -> int:
        """How many bytes of a body the server takes now."""
        return min(self.h2.local_flow_control_window(stream_id), self.h2.max_outbound_frame_size)

    def send(self, stream_id: int, data: bytes | memoryview, *, ended: bool) -> None:
        """Send this of a request's body; no more than there is `room` for."""
        self._idle_frames = 0
        self.h2.send_data(stream_id, data, end_stream=ended)

    def reset(self, stream_id: int, code: int = CANCEL) -> None:
        """Tell the server that nobody waits for this answer any more."""
        with suppress(H2ProtocolError):
            self.h2.reset_stream(stream_id, code)

    def acknowledge(self, stream_id: int, size: int) -> None:
        """The stream's reader has taken so many bytes: the server may send more."""
        if stream_id in self.direct:
            self._open_window(stream_id, size)
            return
        with suppress(H2ProtocolError, KeyError):
            self.h2.increment_flow_control_window(size, stream_id)

    def say_goodbye(self) -> None:
        """The connection is about to be closed."""
        with suppress(H2ProtocolError):
            self.h2.close_connection()

    @property
    def most_streams(self) -> int:
        """How many streams the server takes at once."""
        return self.h2.remote_settings.max_concurrent_streams

    # -- what has come

    def receive(self, data: bytes) -> Iterator[events.Event | Piece | StreamBroken]:
        """What has happened; raises `ProtocolError` and `ResponseTooLargeError`, after which the connection is over."""
        for kind, stream_id, frame in self._frames(data):
            if kind == DATA and stream_id in self.direct and (piece := self._piece(stream_id, frame)) is not None:
                yield piece
                continue
            late = kind in (DATA, HEADERS, CONTINUATION) and stream_id not in self.streams
            if kind == GOAWAY or late:
                self._sent += self.h2.data_to_send()
            try:
                happened: list[Any] = self.h2.receive_data(frame)
            except H2ProtocolError as error:
                happened = [self._survived(error, kind, stream_id, frame)]
            if kind == GOAWAY:
                self.h2.state_machine.state = ConnectionState.CLIENT_OPEN
            elif late:
                self._sent += _without_resets(self.h2.data_to_send())
            elif kind == DATA:
                self._count(frame)
            self._check_idle(kind, stream_id, frame)
            yield from happened

    def _piece(self, stream_id: int, frame: bytes) -> Piece | None:
        """What a frame of data has; None for one that `h2` has to see: a stream's last, or one that is wrong."""
        flags, size = frame[4], len(frame) - HEAD_BYTES
        if flags & END_STREAM or (flags & PADDED and (not size or frame[HEAD_BYTES] >= size)):
            return None
        self._owed_directly += size
        if self._owed_directly >= CONNECTION_WINDOW_BYTES // 4:
            self._open_window(0, self._owed_directly)
            self._owed_directly = 0
        self._check_idle(DATA, stream_id, frame)
        return Piece(stream_id, _unpadded(frame), size)

    def _open_window(self, stream_id: int, size: int) -> None:
        """Let the server send more of what `h2` has not seen."""
        head = b"\0\0\4" + bytes((WINDOW_UPDATE, 0)) + stream_id.to_bytes(4)
        self._sent += head + size.to_bytes(4)

    def _check_idle(self, kind: int, stream_id: int, frame: bytes) -> None:
        self._idle_frames += 1
        if stream_id in self.streams and (kind == HEADERS or (kind == DATA and len(frame) > HEAD_BYTES)):
            self._idle_frames = 0
        elif self._idle_frames > MAX_IDLE_FRAMES:
            raise ProtocolError(f"the server sent over {MAX_IDLE_FRAMES} frames of HTTP/2 that say nothing")

    def _count(self, frame: bytes) -> None:
        """Give the connection's window back, in large steps; what is late `h2` gives back itself."""
        self._owed += len(frame) - HEAD_BYTES
        if self._owed >= CONNECTION_WINDOW_BYTES // 4:
            self.h2.increment_flow_control_window(self._owed)
            self._owed = 0

    def _survived(self, error: H2ProtocolError, kind: int, stream_id: int, frame: bytes) -> StreamBroken:
        """The end of one stream, where that is enough; raises what ends the connection."""
        # Without a cause it is about what the frame said, once all of it, HPACK too, had been read.
        of_stream = kind in (DATA, HEADERS, CONTINUATION) and error.__cause__ is None and stream_id in self.h2.streams
        if not of_stream or isinstance(error, DenialOfServiceError) or _is_about_windows(error):
            raise _failure(error) from None
        self._sent += self.h2.data_to_send()
        del self._sent[-GOAWAY_BYTES:]
        self.h2.state_machine.state = ConnectionState.CLIENT_OPEN
        self.reset(stream_id, int(ErrorCodes.PROTOCOL_ERROR))
        if isinstance(error, InvalidBodyLengthError):
            data = _unpadded(frame)
            rest = max(0, error.expected_length - error.actual_length + len(data))
            cut = error.actual_length < error.expected_length
            return StreamBroken(stream_id, _cut() if cut else _overlong(error), data[:rest])
        return StreamBroken(stream_id, ProtocolError(f"the server's answer is not HTTP/2: {_words(error)}"))

    def _frames(self, data: bytes) -> Iterator[Frame]:
        """Whole frames; headers with what continues them, as one."""
        incoming = self._incoming + data if self._incoming else data
        start, size = 0, len(incoming)
        try:
            while size - start >= HEAD_BYTES:
                length = int.from_bytes(incoming[start : start + 3])
                kind, flags = incoming[start + 3], incoming[start + 4]
                stream_id = int.from_bytes(incoming[start + 5 : start + HEAD_BYTES]) & 0x7FFFFFFF
                self._check(kind, flags, stream_id, length)
                end = start + HEAD_BYTES + length
                if end > size:
                    break
                if kind in (HEADERS, CONTINUATION):
                    self._block += HEAD_BYTES + length
                    self._block_of = 0 if flags & END_HEADERS else stream_id
                    self._block = 0 if flags & END_HEADERS else self._block
                frame, start = incoming[start:end], end
                if self._held or self._block_of:
                    self._held += frame
                    if not self._block_of:
                        held, self._held = self._held, b""
                        yield HEADERS, stream_id, held
                else:
                    yield kind, stream_id, frame
        finally:
            self._incoming = incoming[start:]

    def _check(self, kind: int, flags: int, stream_id: int, length: int) -> None:
        """Refuse by its head what needs not be waited for."""
        if length == IN_HTTP11:
            raise ProtocolError("the server answers in HTTP/1.1, and speaks no HTTP/2 there: leave http2= out")
        if length > MAX_FRAME_BYTES:
            raise ProtocolError(f"the server sent a frame of HTTP/2 of {length} bytes")
        if self._block_of and (kind != CONTINUATION or stream_id != self._block_of):
            raise ProtocolError("the server sent another frame of HTTP/2 in the middle of headers")
        if kind == CONTINUATION and not self._block_of:
            raise ProtocolError("the server sent the rest of headers that it has not begun")
        if kind in (HEADERS, CONTINUATION) and self._block + length > MAX_BLOCK_BYTES:
            raise too_much_head()


def too_much_head() -> ResponseTooLargeError:
    """The error for headers without end."""
    return ResponseTooLargeError(f"the answer's headers are over {MAX_HEAD_BYTES} bytes", limit=MAX_HEAD_BYTES)


def code_name(code: int) -> str:
    """An error code's name, for people."""
    try:
        return ErrorCodes(code).name
    except ValueError:
        return f"code {code:#x}"


def padding(event: events.DataReceived) -> int:
    """Bytes of a window that no reader will take."""
    return (event.flow_controlled_length or 0) - len(event.data or b"")


def _is_about_windows(error: H2ProtocolError) -> bool:
    return int(error.error_code) == int(ErrorCodes.FLOW_CONTROL_ERROR)


def _failure(error: H2ProtocolError) -> HeadwaterError:
    if isinstance(error, DenialOfServiceError):
        return too_much_head()
    return ProtocolError(f"the server does not speak HTTP/2 as it should: {_words(error)}")


def _words(error: H2ProtocolError) -> str:
    if isinstance(error, StreamClosedError):
        return "a frame for a stream that has ended"
    return str(error)[:200] or type(error).__name__


def _cut() -> ConnectionLostError:
    return ConnectionLostError("the answer ended before the length that it announced")


def _overlong(error: InvalidBodyLengthError) -> ProtocolError:
    return ProtocolError(f"the server's answer is longer than the {error.expected_length} bytes that it announced")


def _unpadded(frame: bytes) -> bytes:
    """The bytes of a frame of data."""
    if frame[4] & PADDED:
        return frame[HEAD_BYTES + 1 : len(frame) - frame[HEAD_BYTES]]
    return frame[HEAD_BYTES:]


def _without_resets(data: bytes) -> bytes:
    kept, start = [], 0
    while start < len(data):
        end = start + HEAD_BYTES + int.from_bytes(data[start : start + 3])
        if data[start + 3] != RST_STREAM:
            kept.append(data[start:end])
        start = end
    return b"".join(kept)
