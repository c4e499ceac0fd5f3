"""One HTTP/2 connection: many answers at once over one socket, and who reads and writes it.

    the epoll has news ──▶ `event` reads all that is there ──▶ each stream's inbox ──▶ its reader is woken
    somebody sends     ──▶ what the socket takes goes at once; the rest when the epoll says that there is room

Nobody waits for the socket itself, and no task reads it: whoever the event loop tells of the epoll (`epoll`) has the
connection read, for all of its streams. So no reader can be cancelled in the middle of another's answer, and no writer
in the middle of a frame: to send is to put whole frames behind those that are still unsent.

What a connection holds is bounded by its windows: an answer that nobody reads stops at `STREAM_WINDOW_BYTES`. A stream
that is left is reset, and what is late for it is counted and let go. Which connection serves a request, and what
becomes of it afterwards, is its owner's affair (`Http2Owner`, the pool).
"""

from __future__ import annotations

import os
import select
import ssl
import warnings
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from anyio import BrokenResourceError, CancelScope, create_task_group
from anyio.lowlevel import checkpoint

from ..errors import (
    ConnectionLostError,
    HeadwaterError,
    InputError,
    InvalidParameterError,
    ProtocolError,
    ResponseTooLargeError,
)
from ..protocol.transport import FOREVER, ReadDeadline, TransportRequest
from .http2_protocol import (
    CANCEL,
    ENHANCE_YOUR_CALM,
    HTTP_1_1_REQUIRED,
    REFUSED_STREAM,
    STREAM_WINDOW_BYTES,
    Http2Protocol,
    Piece,
    StreamBroken,
    code_name,
    events,
    padding,
    too_much_head,
)
from .http11 import SEND_BYTES, closed_early, within
from .response_parser import MAX_HEAD_BYTES, MAX_INTERIM_HEADS
from .sockets import READ_BYTES
from .tls import refused_afterwards

if TYPE_CHECKING:
    from .epoll import EpollSocket, Wakeup

READS_AT_ONCE: Final = 8
"""Reads of the socket after which the event loop has a turn for others."""
MAX_UNSENT_BYTES: Final = 1024 * 1024
"""Bytes that may wait to be sent: a server that makes us answer and does not read is left."""
FULL_BYTES: Final = 2 * SEND_BYTES
"""Unsent bytes at which no more of a request's body is taken."""
STREAMS_AT_FIRST: Final = 1
"""Streams that a server gets before it has said how many it takes."""
LAST_STREAM_ID: Final = 2**31 - 1001
"""The id after which a connection begins no stream: ids are not used twice."""
_OF_CONNECTION: Final = frozenset({"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"})
"""Headers of HTTP/1.1's connections, which HTTP/2 has not."""


class NotProcessedError(ConnectionLostError):
    """The server has said that it did not look at the request: it may go out again, whatever it asks for.

    `again`: whether at once; a server that is asking for calm is left alone for a while. `over_http11`: it wants
    HTTP/1.1 for this.
    """

    sent = False

    def __init__(self, message: str, *, again: bool = True, over_http11: bool = False) -> None:
        super().__init__(message)
        self.again = again
        self.over_http11 = over_http11


class Http2Owner(Protocol):
    """What a connection belongs to: it hears of every place for a stream that is free again, and of the end."""

    def on_room(self, connection: Http2Connection) -> None:
        """A stream has ended, or the server takes more of them."""
        ...

    def on_closed(self, connection: Http2Connection) -> None:
        """The connection is over, and is to be closed."""
        ...

    def call_threadsafe(self, call: Callable[[], object]) -> None:
        """Have the connection's event loop make this call soon; from any thread, and from finalizers."""
        ...


def request_headers(request: TransportRequest) -> list[tuple[str, str]]:
    """A request's headers as HTTP/2 has them. Raises `InvalidParameterError` for what cannot be sent."""
    body, url = request.body, request.url
    found = [(":method", request.method), (":authority", url.authority), (":scheme", url.scheme), (":path", url.target)]
    for name, value in request.headers:
        name = name.lower()
        if name not in _OF_CONNECTION and name != "host" and (name != "te" or value == "trailers"):
            found.append((name, value))
    length = len(body) if isinstance(body, bytes) else request.length
    if length or (length == 0 and request.method in ("POST", "PUT", "PATCH")):
        found.append(("content-length", str(length)))
    text = "\r\n".join([f"{name}: {value}" for name, value in found])
    if text.count("\n") != len(found) - 1 or text.count("\r") != len(found) - 1 or "\0" in text:
        raise InvalidParameterError("a header has a line break or a NUL in it, which cannot be sent")
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:  # holds the text, and so the credential
        raise InvalidParameterError("a header has characters beyond latin-1, which cannot be sent") from None
    return found


class Http2Stream:
    """One request and its answer. `answer_done`: the answer is whole; `sent`: the request is. `news`: of the answer;
    `room`: for more of the request, where somebody waits for it."""

    __slots__ = (
        "_expected",
        "_inbox",
        "_interim",
        "_received",
        "_size",
        "_taken",
        "_window",
        "answer_done",
        "bodiless",
        "connection",
        "failure",
        "headers",
        "id",
        "news",
        "room",
        "sent",
        "status",
    )

    def __init__(self, connection: Http2Connection, stream_id: int, request: TransportRequest) -> None:
        self.connection = connection
        self.id = stream_id
        self.news: Wakeup = connection.wakeup()
        self.room: Wakeup | None = None
        self.status = 0
        self.headers: dict[str, str] = {}
        self.failure: HeadwaterError | None = None
        self.sent = self.answer_done = False
        self.bodiless = request.method == "HEAD"
        self._inbox: list[bytes] = []
        self._interim = self._size = self._received = self._taken = 0
        self._expected: int | None = None
        self._window = STREAM_WINDOW_BYTES

    @property
    def over(self) -> bool:
        """Whether nothing more comes."""
        return self.answer_done or self.failure is not None

    def wake(self) -> None:
        """Whoever waits for the answer, or to send more of the request, is to look again."""
        self.news.wake()
        if self.room is not None:
            self.room.wake()

    def fail(self, failure: HeadwaterError) -> None:
        """No more comes, because of this; an answer that is whole stays so."""
        if not self.over:
            self.failure = failure
        self.wake()

    # -- what comes

    def on_interim(self) -> None:
        """A 1xx head."""
        self._interim += 1
        if self._interim > MAX_INTERIM_HEADS:
            text = f"the server sent over {MAX_INTERIM_HEADS} interim answers (1xx)"
            self.connection.give_up(self, ResponseTooLargeError(text, limit=MAX_INTERIM_HEADS))

    def on_head(self, fields: Any) -> None:
        """The answer's head, or its trailers, of which only the size counts."""
        self._size += sum([len(name) + len(value) + 4 for name, value in fields])
        if self._size > MAX_HEAD_BYTES:
            self.connection.give_up(self, too_much_head())
        elif not self.status:
            failure = self._read_head(fields)
            if failure is not None:
                self.connection.give_up(self, failure)
            self.wake()

    def _read_head(self, fields: Any) -> HeadwaterError | None:
        headers, status = self.headers, b""
        for name, value in fields:
            if name == b":status":
                status = value
            elif name[:1] != b":" and name.lower().decode("latin-1") not in _OF_CONNECTION:
                if b"\n" in value or b"\r" in value or b"\0" in value or b"\n" in name:
                    return ProtocolError("the server's answer is not HTTP/2: a header has a line break in it")
                key, text = name.lower().decode("latin-1"), value.decode("latin-1").strip(" \t")
                headers[key] = f"{headers[key]}, {text}" if key in headers else text
        if len(status) != 3 or not status.isdigit() or status < b"200":
            return ProtocolError(f"the server's answer is not HTTP/2: its status is {status[:20]!r}")
        self.status = int(status)
        length = headers.get("content-length", "")
        if length.isdecimal() and not self.bodiless and self.status not in (204, 304):
            self._expected = int(length[:20])
        elif not length:
            self.connection.read_directly(self)
        return None

    def on_data(self, data: bytes) -> None:
        """A piece of the body."""
        if data and not self.over:
            self._received += len(data)
            self._inbox.append(data)
            self.news.wake()

    def on_piece(self, piece: Piece) -> None:
        """A piece of the body that `h2` has not counted."""
        self._window -= piece.size
        if self._window < 0:
            raise ProtocolError("the server sends more than it may")
        padded = piece.size - len(piece.data)
        if padded:
            self._window += padded
            self.connection.give_back(self, padded)
        self.on_data(piece.data)

    def on_end(self) -> None:
        """The answer's end."""
        if not self.status:
            self.fail(ProtocolError("the server's answer is not HTTP/2: it ended before its head"))
        elif self._expected is not None and self._received != self._expected:
            self.fail(self.connection.lost(self))
        else:
            self.answer_done = True
            self.wake()

    # -- who reads

    async def wait(self) -> None:
        """Until there is news; raises `ReadDeadline` where none have come by then."""
        try:
            await self.news.wait()
        except ReadDeadline:
            if not (self._inbox or self.over):
                raise

    async def head(self) -> None:
        """Until the answer's head is there."""
        while not self.status:
            if self.failure is not None:
                raise self.failure
            await self.wait()

    def has_some(self) -> bool:
        """Whether `take` has something."""
        return bool(self._inbox)

    def ready(self) -> bool:
        """Whether `take` has something, or never will."""
        return bool(self._inbox) or self.over

    def take(self) -> bytes:
        """What has come of the body since, as much as one read of a socket gives; the server may send as much again."""
        inbox = self._inbox
        if not inbox:
            return b""
        size = number = 0
        while number < len(inbox) and size < READ_BYTES:
            size += len(inbox[number])
            number += 1
        data = inbox[0] if number == 1 else b"".join(inbox[:number])
        del inbox[:number]
        self._taken += len(data)
        if self._taken >= STREAM_WINDOW_BYTES // 2 and not self.over:
            self._window += self._taken
            self.connection.give_back(self, self._taken)
            self._taken = 0
        return data

    def take_all(self) -> bytes:
        """All that has come of the body."""
        data = b"".join(self._inbox)
        self._inbox.clear()
        return data

    def wait_until(self, moment: float) -> bool:
        """Let no wait for news last past this moment."""
        self.news.until = moment
        poller = self.connection.socket.poller
        if moment < poller.alarm_at:
            poller.watch(moment)
        return True

    def leave(self) -> None:
        """Nobody wants the answer any more: the server is told, once. Idempotent."""
        self.connection.give_up(self, closed_early())

    def discard(self) -> None:
        """The same, and what has come is let go: whoever reads on is told."""
        if self._inbox:
            self._inbox.clear()
            self.answer_done = False
        self.leave()


class Http2Connection:
    """A socket and the streams on it (a `Watcher`). `wakeup`: makes a wait. `asked`: how many streams it has begun;
    `reserved`: how many may begin besides those that it has. `reads`: how often something came. `closing`: it begins no
    more. `idle_since`: when its last stream ended, on `time.monotonic`'s clock."""

    __slots__ = (
        "_broken",
        "_protocol",
        "_resized",
        "_settled",
        "_taking",
        "_unsent",
        "asked",
        "closed",
        "closing",
        "idle_since",
        "owner",
        "pid",
        "reads",
        "reserved",
        "socket",
        "streams",
        "wakeup",
    )

    def __init__(self, socket: EpollSocket, wakeup: Callable[[], Wakeup], owner: Http2Owner) -> None:
        self.socket = socket
        self.wakeup = wakeup
        self.owner = owner
        self.streams: dict[int, Http2Stream] = {}
        self.pid = os.getpid()
        self.closed = self.closing = False
        self.idle_since = 0.0
        self.asked = self.reserved = self.reads = 0
        self._protocol = Http2Protocol(self.streams)
        self._unsent = bytearray()
        self._broken: OSError | None = None  # what sending has met: nothing is sent any more
        self._settled = self._resized = self._taking = False
        socket.poller.replace(self, socket.raw.fileno())

    # -- its streams

    @property
    def settled(self) -> bool:
        """Whether the server has said how many streams it takes."""
        return self._settled

    @property
    def most(self) -> int:
        """How many streams there may be at once."""
        return self._protocol.most_streams if self._settled else STREAMS_AT_FIRST

    def has_room(self) -> bool:
        """Whether one more stream may begin."""
        return not self.closing and len(self.streams) + self.reserved < self.most

    def is_idle(self) -> bool:
        """Whether nobody uses it, nor is about to."""
        return not self.streams and not self.reserved

    def refresh(self) -> None:
        """Take in what has come while the event loop had no turn: it may be the end."""
        if not (self.closed or self._taking) and self.socket.readable():
            self._read()
            self.flush()

    def has_place(self) -> bool:
        """Whether a reserved place is still there; it is given back where the server takes fewer streams by now, or no
        more at all."""
        if not self.closing and len(self.streams) < self.most:
            return True
        self.reserved -= 1
        self.owner.on_room(self)
        return False

    async def ask(self, request: TransportRequest) -> Http2Answer:
        """Send a request in a reserved place, and wait for the answer's head."""
        self.reserved -= 1
        stream = self._begin(request)
        try:
            if not stream.sent:
                await Http2Upload(stream, request).run()
            await (stream.head() if request.read_timeout is None else within(request.read_timeout, stream.head))
        except BaseException as error:
            if request.kept and stream.sent and not isinstance(error, Exception):
                request.pending = Http2Pending(stream)
            else:
                stream.leave()
            raise
        return Http2Answer(stream)

    def _begin(self, request: TransportRequest) -> Http2Stream:
        body = request.body
        try:
            headers = request_headers(request)
        except InvalidParameterError:
            self.owner.on_room(self)
            raise
        try:
            stream_id = self._protocol.begin(headers, ended=not body and isinstance(body, bytes))
        except ProtocolError as error:
            self._fail(error)
            raise NotProcessedError("the connection takes no more requests") from None
        self.streams[stream_id] = stream = Http2Stream(self, stream_id, request)
        self.asked += 1
        self.closing = self.closing or stream_id >= LAST_STREAM_ID
        if not body and isinstance(body, bytes):
            stream.sent = True
        elif isinstance(body, bytes) and len(body) <= min(self._protocol.room(stream_id), SEND_BYTES):
            self._protocol.send(stream_id, body, ended=True)
            stream.sent = True
        self.flush()
        return stream

    def push(self, stream: Http2Stream, data: memoryview, *, ended: bool) -> int:
        """Send of this body what the server takes now, and say how much; its end with the last of it, if it is."""
        sent = 0
        while stream.id in self.streams and len(self._unsent) < FULL_BYTES and sent < SEND_BYTES:
            size = min(self._protocol.room(stream.id), len(data) - sent)
            whole = sent + size == len(data)
            if size <= 0 and not (whole and ended):
                break
            self._protocol.send(stream.id, bytes(data[sent : sent + size]), ended=whole and ended)
            sent += size
            stream.sent = whole and ended
            if whole:
                break
        self.flush()
        return sent

    def read_directly(self, stream: Http2Stream) -> None:
        """Read the pieces of this stream's answer without `h2`: they only have to be counted."""
        self._protocol.direct.add(stream.id)

    def give_back(self, stream: Http2Stream, size: int) -> None:
        """The stream's reader has taken so many bytes."""
        if stream.id in self.streams:
            self._protocol.acknowledge(stream.id, size)
            self.flush()

    def give_up(self, stream: Http2Stream, failure: HeadwaterError) -> None:
        """End a stream, unless it has ended: the server is told."""
        if self.streams.get(stream.id) is stream:
            stream.fail(failure)
            self._protocol.reset(stream.id, CANCEL)
            self._end(stream)
            self.flush()
        else:
            stream.fail(failure)

    def _end(self, stream: Http2Stream) -> None:
        self._protocol.direct.discard(stream.id)
        if self.streams.pop(stream.id, None) is not None:
            self.owner.on_room(self)

    # -- its socket

    def event(self, events: int) -> None:
        """The epoll: something has come, or more can be sent."""
        if events & ~select.EPOLLOUT:
            self.socket.note(events)
            self._read()
        self.flush()

    def expire(self, now: float) -> float:
        """End the waits that have lasted until their moment; the soonest of the others', else `FOREVER`."""
        return min([stream.news.expire(now) for stream in list(self.streams.values())], default=FOREVER)

    def _read(self) -> None:
        """Read what is there, and hand it to its streams."""
        reads = 0
        while not self.closed:
            if reads >= READS_AT_ONCE and not self._has_records():
                self._ask_again()
                return
            try:
                data = self.socket.read_now()
            except BrokenResourceError as error:
                self._lose(error)
                return
            if not data:
                if data is not None or self._broken is not None:
                    self._lose(self._broken)
                return
            reads += 1
            self._take(data)

    def _has_records(self) -> bool:
        """Whether TLS holds what the epoll does not see."""
        return isinstance(self.socket.raw, ssl.SSLSocket) and self.socket.raw.pending() > 0

    def _take(self, data: bytes) -> None:
        self.reads += 1
        self._taking = True  # whoever hears of it reads nothing and sends nothing in the middle
        try:
            for event in self._protocol.receive(data):
                handler = _HANDLERS.get(type(event))
                if handler is not None:
                    handler(self, event)
            if self._resized:
                self._resized = False
                self.owner.on_room(self)
        except (ProtocolError, ResponseTooLargeError) as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - whoever reads for others raises nothing to them
            self._fail(ProtocolError(f"the server's HTTP/2 cannot be read: {type(error).__name__}"))
        finally:
            self._taking = False

    def flush(self) -> None:
        """Send what can be sent now; the epoll says when there is room for more."""
        if self._taking:  # it is sent once all that came is taken
            return
        unsent = self._unsent
        unsent += self._protocol.outgoing()
        if not unsent or self.closed or self._broken is not None:
            return
        was_full = len(unsent) >= FULL_BYTES
        try:
            del unsent[: self.socket.send_now(unsent)]
        except OSError as error:
            # What the server said before it closed comes first, and may be the reason: it is lost once all is read.
            self._broken, self.closing = error, True
            self._read()
            return
        if unsent:
            self._ask_again()
        if len(unsent) > MAX_UNSENT_BYTES:
            self._fail(ProtocolError("the server makes us answer, and does not read the answers"))
        elif was_full and len(unsent) < FULL_BYTES:
            self._wake_uploads()

    def _ask_again(self) -> None:
        if not self.closed:
            from .epoll import READ_EVENTS  # which is loaded where there is epoll alone

            events = READ_EVENTS | (select.EPOLLOUT if self._unsent else 0)
            self.socket.poller.ask_again(self.socket.raw.fileno(), events)

    def _wake_uploads(self) -> None:
        for stream in self.streams.values():
            if stream.room is not None:
                stream.room.wake()

    # -- its end

    def lost(self, stream: Http2Stream) -> ConnectionLostError:
        """The error for a stream that the server, or the network, has cut."""
        if stream.status:
            return ConnectionLostError("the connection was lost in the middle of the answer")
        return ConnectionLostError("the connection was lost before the answer")

    def _lose(self, cause: BaseException | None) -> None:
        if self.closed:
            return
        refused = None if cause is None else refused_afterwards(cause)
        for stream in list(self.streams.values()):
            failure = refused or self.lost(stream)
            failure.__cause__ = cause
            stream.fail(failure)
        self._over()

    def _fail(self, error: HeadwaterError) -> None:
        for stream in list(self.streams.values()):
            stream.fail(type(error)(str(error), **_limit_of(error)))
        self._over()

    def _over(self) -> None:
        self.closing = True
        self.streams.clear()
        self.owner.on_closed(self)

    def close(self) -> None:
        """Close at once, in the event loop's own thread. Idempotent."""
        if self.closed:
            return
        self.closed = self.closing = True
        self._protocol.say_goodbye()
        self._unsent += self._protocol.outgoing()
        with suppress(OSError):
            self.socket.send_now(self._unsent)
        for stream in list(self.streams.values()):
            stream.fail(self.lost(stream))
        self.streams.clear()
        if self.socket.leave():
            self.socket.raw.close()

    def disown(self) -> None:
        """In a forked child: it is the parent's."""
        self.closed = self.closing = True
        self.socket.disown()

    def is_ours(self) -> bool:
        """Whether it is still open, and was made by this process, not by the parent that it was forked from."""
        return not self.closed and self.pid == os.getpid()

    # -- what the server says

    def on_response(self, event: events.ResponseReceived) -> None:
        """An answer's head."""
        stream = self.streams.get(event.stream_id)
        if stream is not None:
            stream.on_head(event.headers)

    def on_interim(self, event: events.InformationalResponseReceived) -> None:
        """A 1xx head."""
        stream = self.streams.get(event.stream_id)
        if stream is not None:
            stream.on_interim()

    def on_data(self, event: events.DataReceived) -> None:
        """A piece of a body; its padding is nobody's to take."""
        stream = self.streams.get(event.stream_id)
        if stream is not None:
            stream.on_data(event.data)
            if padded := padding(event):
                self._protocol.acknowledge(event.stream_id, padded)

    def on_piece(self, piece: Piece) -> None:
        """A piece of a body that `h2` has not seen."""
        stream = self.streams.get(piece.stream_id)
        if stream is not None:
            stream.on_piece(piece)

    def on_ended(self, event: events.StreamEnded) -> None:
        """An answer's end; a request of which something is left is ended as well."""
        stream = self.streams.get(event.stream_id)
        if stream is not None:
            stream.on_end()
            if not stream.sent:
                self._protocol.reset(stream.id, CANCEL)
            self._end(stream)

    def on_reset(self, event: events.StreamReset) -> None:
        """The server gives a stream up."""
        stream = self.streams.get(event.stream_id)
        if stream is None:
            return
        code = int(event.error_code)
        said = f"the server reset the stream ({code_name(code)})"
        if stream.status:
            stream.fail(ConnectionLostError(f"{said} in the middle of the answer"))
        elif code in (REFUSED_STREAM, HTTP_1_1_REQUIRED):
            stream.fail(NotProcessedError(f"{said} unread", over_http11=code == HTTP_1_1_REQUIRED))
        else:
            stream.fail(ConnectionLostError(f"{said} before the answer"))
        self._end(stream)

    def on_goaway(self, event: events.ConnectionTerminated) -> None:
        """The server takes no more streams, and says which was the last that it will answer."""
        self.closing = True
        code = int(event.error_code or 0)
        words = f"the server ended the connection ({code_name(code)}) before it read the request"
        over_http11 = code == HTTP_1_1_REQUIRED
        for stream in list(self.streams.values()):
            if stream.id > (event.last_stream_id or 0) or (over_http11 and not stream.status):
                stream.fail(NotProcessedError(words, again=code != ENHANCE_YOUR_CALM, over_http11=over_http11))
                self._end(stream)
        self.owner.on_room(self)

    def on_settings(self, event: events.RemoteSettingsChanged) -> None:
        """The server has said how many streams it takes, or how large windows are. Places are given once all that came
        with it is read: some servers say a hundred first, and what they really take in the next frame."""
        self._settled = self._resized = True
        self._wake_uploads()

    def on_window(self, event: events.WindowUpdated) -> None:
        """The server takes more of a request's body."""
        if not event.stream_id:
            self._wake_uploads()
        elif (stream := self.streams.get(event.stream_id)) is not None and stream.room is not None:
            stream.room.wake()

    def on_broken(self, event: StreamBroken) -> None:
        """A stream has ended because of what was wrong with its answer."""
        stream = self.streams.get(event.stream_id)
        if stream is not None:
            stream.on_data(event.data)
            stream.fail(event.failure)
            self._end(stream)


_HANDLERS: Final[dict[type, Callable[[Http2Connection, Any], None]]] = {
    events.ResponseReceived: Http2Connection.on_response,
    events.TrailersReceived: Http2Connection.on_response,
    events.InformationalResponseReceived: Http2Connection.on_interim,
    Piece: Http2Connection.on_piece,
    events.DataReceived: Http2Connection.on_data,
    events.StreamEnded: Http2Connection.on_ended,
    events.StreamReset: Http2Connection.on_reset,
    events.ConnectionTerminated: Http2Connection.on_goaway,
    events.RemoteSettingsChanged: Http2Connection.on_settings,
    events.WindowUpdated: Http2Connection.on_window,
    StreamBroken: Http2Connection.on_broken,
}


def _limit_of(error: HeadwaterError) -> dict[str, Any]:
    return {"limit": error.limit} if isinstance(error, ResponseTooLargeError) else {}


class Http2Upload:
    """A body on its way out that the server does not take at once."""

    def __init__(self, stream: Http2Stream, request: TransportRequest) -> None:
        self._stream = stream
        self._request = request
        self._failure: Exception | None = None

    async def run(self) -> None:
        """Send it; no more than the server wants, where it has refused, or has answered already."""
        stream, body = self._stream, self._request.body
        stream.room = stream.connection.wakeup()
        try:
            if isinstance(body, bytes):
                await self._send(body, ended=True)
                return
            async with create_task_group() as group:
                group.start_soon(self._write, body, group.cancel_scope)
                await self._read(group.cancel_scope)
            if self._failure is not None:
                raise self._failure
        finally:
            stream.room = None

    async def _read(self, scope: CancelScope) -> None:
        try:
            await self._stream.head()
        except HeadwaterError as error:
            self._failure = self._failure or error
            scope.cancel()
        else:
            if self._stream.status >= 400:  # refused: what is not sent yet need not be
                scope.cancel()

    async def _write(self, body: AsyncIterable[bytes], scope: CancelScope) -> None:
        try:
            await self._send_pieces(body, self._request.length)
            if self._request.read_timeout is not None:
                scope.cancel()  # from here on the answer has a limit
        except Exception as error:  # noqa: BLE001 - the caller's iterator may raise anything, and gets it back
            self._failure = error
            scope.cancel()

    async def _send_pieces(self, body: AsyncIterable[bytes], length: int | None) -> None:
        sent, pieces = 0, aiter(body)
        try:
            async for item in pieces:
                sent += len(item)
                if length is not None and sent > length:
                    raise InputError(f"the body is longer than the {length} bytes that were announced")
                if item and not await self._send(item, ended=False):
                    return
        finally:
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()
        if length is not None and sent < length:
            raise InputError(f"the body ended after {sent} of the {length} bytes that were announced")
        await self._send(b"", ended=True)

    async def _send(self, data: bytes, *, ended: bool) -> bool:
        """Send all of this; False where the server wants no more."""
        stream, view = self._stream, memoryview(data)
        assert stream.room is not None
        while not stream.over and stream.status < 400:
            sent = stream.connection.push(stream, view, ended=ended)
            view = view[sent:]
            if stream.sent or (not view and not ended):
                await checkpoint()
                return True
            await (checkpoint() if sent else stream.room.wait())
        return False


class Http2Pending:
    """A request that was sent, and whose answer nobody waits for at the moment."""

    __slots__ = ("_stream",)

    def __init__(self, stream: Http2Stream) -> None:
        self._stream = stream

    async def go_on(self, request: TransportRequest) -> Http2Answer:
        """Wait again for the answer's head."""
        try:
            await self._stream.head()
        except BaseException as error:
            if isinstance(error, Exception):
                self.close()
            else:
                request.pending = self
            raise
        return Http2Answer(self._stream)

    def close(self) -> None:
        """Give it up. Idempotent."""
        self._stream.leave()

    def drop(self) -> None:
        """Give it up from any thread or finalizer: its event loop tells the server."""
        connection = self._stream.connection
        if connection.is_ours():
            connection.owner.call_threadsafe(self.close)


class Http2Answer:
    """An answer whose head has arrived (a `TransportResponse`). A cancelled `receive` loses nothing, where it is
    `kept`; whoever sets this closes the answer."""

    __slots__ = ("__weakref__", "_stream", "headers", "kept", "status", "surplus")

    def __init__(self, stream: Http2Stream) -> None:
        self.status = stream.status
        self.headers = stream.headers
        self.surplus = self.kept = False
        self._stream = stream

    def at_once(self) -> bytes | None:
        """All of the body, where it is there; None for any other."""
        return self._stream.take_all() if self._stream.answer_done else None

    async def receive(self) -> bytes:
        """The next piece of the body, b"" at its end. Raises `ConnectionLostError`, `ProtocolError`,
        `ResponseTooLargeError`. A cancelled `receive` leaves the stream, unless the answer is `kept`."""
        stream = self._stream
        try:
            if stream.has_some():
                await checkpoint()  # before anything is taken: a flood leaves turns for the others
            while not (piece := stream.take()):
                if stream.over:
                    break
                await stream.wait()
        except BaseException as error:
            if not self.kept or isinstance(error, Exception):
                stream.leave()
            raise
        if not piece and stream.failure is not None:
            raise stream.failure
        return piece

    def ready(self) -> bool:
        """Whether `receive` would return without waiting."""
        return self._stream.ready()

    def wait_until(self, moment: float) -> bool:
        """Let no `receive` wait past this moment (seconds on the event loop's clock): `ReadDeadline`."""
        return self._stream.wait_until(moment)

    async def aclose(self) -> None:
        """Give up: the server is told at once, and the others on the connection go on. Idempotent."""
        self._stream.discard()

    def drop(self) -> None:
        """Give up from any thread or finalizer: its event loop tells the server."""
        stream = self._stream
        if not stream.over and stream.connection.is_ours():
            stream.connection.owner.call_threadsafe(stream.discard)

    def __del__(self) -> None:
        stream = self._stream
        if not stream.over and stream.connection.is_ours():
            warnings.warn("an answer was neither read whole nor closed", ResourceWarning, stacklevel=1, source=self)
            self.drop()
