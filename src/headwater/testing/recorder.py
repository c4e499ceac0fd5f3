"""Writes down what passes between clients and their transports: each request, and its answer's pieces as they come.

It stands at the seam between the engine and the wire, so it sees what the engine sees: every attempt, every redirect,
bodies after the chunked coding and before anything is decoded. What it keeps is in memory, with its credentials, until
`Recording.exchanges` gives it without. What was neither read to its end nor failed was left, by a caller or a deadline.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from anyio import current_time

from ..auth.secret import Secret
from ..engine.codings import coding_of, unpacker
from ..errors import ConnectionLostError, HeadwaterError
from ..protocol.transport import RACE, ReadDeadline, Transport, TransportRequest, TransportResponse
from .cassette_format import RecordedExchange, RecordedPiece, ReplayMoment
from .player import Player
from .request_form import form_of, whole_body
from .scrubber import Scrubber, secrets_now

KNOWN_FACTS: Final = ("sent", "phase", "proxy", "status", "limit", "retryable")
"""What an error of a transport's may know besides its message."""
_PLAIN: Final = ("accept-encoding", "identity")
_WAITED: Final = frozenset({"left", "stall"})


class _Event(msgspec.Struct, gc=False):
    """Something that came: the head, a piece, the end. `after`: what began in its race since the one before."""

    at: float
    after: list[LiveExchange]
    data: bytes = b""


class LiveExchange:
    """One exchange while it happens, its credentials still in it. `source`: the recording that it is played from."""

    def __init__(self, request: TransportRequest, body: bytes, source: RecordedExchange | None) -> None:
        self.request = request
        self.race = RACE.get()
        self.is_over = self.is_dropped = self.surplus = False
        self.end = ""
        self._body = body
        self._source = source
        self._began = current_time()
        self._begun_beside: list[LiveExchange] = []
        self._status, self._headers = 0, dict[str, str]()
        self._head: _Event | None = None
        self._pieces: list[_Event] = []
        self._ended: _Event | None = None
        self._error: dict[str, Any] | None = None
        self._moments: list[tuple[ReplayMoment, list[LiveExchange]]] = []

    def begins_beside(self, other: LiveExchange) -> None:
        """Another of its race begins before anything more of this one has come."""
        self._begun_beside.append(other)

    def head(self, answer: TransportResponse) -> None:
        """Its answer has begun."""
        self._status, self._headers, self._head = answer.status, dict(answer.headers), self._event()

    def piece(self, data: bytes) -> None:
        """A piece of its body came."""
        self._pieces.append(self._event(data))

    def waited(self) -> None:
        """Its client waits no longer; it may go on all the same."""
        self._ended = _Event(current_time() - self._began, [])
        self.end = "stall"

    def whole(self, *, surplus: bool) -> None:
        """Its body has ended."""
        self._ended, self.end, self.surplus, self.is_over = self._event(), "whole", surplus, True

    def failed(self, error: HeadwaterError) -> None:
        """The transport has raised this."""
        self._ended, self.is_over = self._event(), True
        self.end = "reset" if isinstance(error, ConnectionLostError) else "error"
        facts = {name: value for name, value in vars(error).items() if name in KNOWN_FACTS}
        self._error = {"error": type(error).__name__, "message": error.message, **facts}

    def _event(self, data: bytes = b"") -> _Event:
        after, self._begun_beside = self._begun_beside, []
        self.end = "left"  # unless more is heard of it
        return _Event(current_time() - self._began, after, data)

    def written(self, scrubber: Scrubber) -> RecordedExchange:
        """As a cassette has it, without credentials; what it came after is not in it."""
        # Its end before its pieces: another thread's client may be reading on.
        end, ended, is_over, events = self.end or "left", self._ended, self.is_over, list(self._pieces)
        headers = {name: scrubber.header(name, value) for name, value in self._headers.items()}
        pieces = [piece.data for piece in events]
        if unpacked := _unpacked(self._headers, pieces, is_whole=end == "whole"):
            pieces = unpacked
            del headers["content-encoding"]
            headers.pop("content-length", None)
        blank, start, kept = scrubber.blank(b"".join(pieces)), 0, []
        for data, event in zip(pieces, events, strict=True):
            if data:
                kept.append(RecordedPiece(blank[start : start + len(data)], self._moment(event)))
            start += len(data)
        last = events[-1] if events else self._head
        ended = ended or last
        return RecordedExchange(
            form=form_of(self.request, self._body, scrubber),
            status=self._status,
            headers=headers,
            head=None if self._head is None else self._moment(self._head),
            pieces=kept,
            end=end,
            ended=ReplayMoment() if ended is None else self._moment(ended) if is_over else ReplayMoment(ended.at),
            error=None if self._error is None else scrubber.value(self._error),
            surplus=self.surplus,
        )

    def _moment(self, event: _Event) -> ReplayMoment:
        moment = ReplayMoment(event.at)
        self._moments.append((moment, event.after))
        return moment

    def link(self, written: Mapping[LiveExchange, RecordedExchange]) -> None:
        """Say what had begun before each of the moments of what `written` gave."""
        for moment, after in self._moments:
            moment.after = [written[other] for other in after if other in written]

    def take_times(self, recorded: RecordedExchange) -> None:
        """What is played has the times of its source: those of the playing are nobody's."""
        source = self._source
        if source is None:
            return
        if recorded.head is not None and source.head is not None:
            recorded.head.at = source.head.at
        for piece, original in zip(recorded.pieces, source.pieces, strict=False):
            piece.moment.at = original.moment.at
        if len(recorded.pieces) == len(source.pieces):
            if {recorded.end, source.end} == _WAITED:
                recorded.end = source.end
            if recorded.end == source.end:
                recorded.ended.at = source.ended.at


class Recording:
    """What the clients of one block send and are answered, for as long as it `is_open`."""

    def __init__(self) -> None:
        self.is_open = True
        self._lock = threading.Lock()
        self._live: list[LiveExchange] = []
        self._secrets: set[Secret] = set()

    async def begin(self, request: TransportRequest, inner: Transport) -> tuple[LiveExchange, RecordedExchange | None]:
        """Take note of a request, before it is sent; and the recording that `inner` will play."""
        body = await whole_body(request)
        source = inner.pick(request, body) if isinstance(inner, Player) else None
        exchange = LiveExchange(request, body, source)
        with self._lock:
            self._secrets.update(secrets_now(request, body))
            for other in self._live:
                if exchange.race is not None and other.race is exchange.race and not other.is_over:
                    other.begins_beside(exchange)
            self._live.append(exchange)
        return exchange, source

    def exchanges(self) -> list[RecordedExchange]:
        """All of it, without credentials."""
        with self._lock:
            live = [exchange for exchange in self._live if not exchange.is_dropped]
            scrubber = Scrubber(self._secrets)
        written = {exchange: exchange.written(scrubber) for exchange in live}
        for exchange, recorded in written.items():
            exchange.link(written)
            exchange.take_times(recorded)
        return list(written.values())


class Recorder:
    """A transport that records what it has another one carry."""

    def __init__(self, recording: Recording, inner: Transport) -> None:
        self._recording = recording
        self._inner = inner
        self._waiting: dict[int, LiveExchange] = {}
        self._tried: dict[int, LiveExchange] = {}
        self.dials = bool(getattr(inner, "dials", False))

    async def send(self, request: TransportRequest) -> TransportResponse:
        """The answer once its head is there (see `Transport.send`)."""
        if not self._recording.is_open:
            return await self._inner.send(request)
        exchange = self._waiting.pop(id(request), None) if request.pending is not None else None
        source = None
        if exchange is None:
            exchange, source = await self._recording.begin(request, self._inner)
            _ask_for_plain(request)
        self._drop_other_address(request)
        try:
            if source is not None and isinstance(self._inner, Player):
                answer: TransportResponse = await self._inner.play(request, source)
            else:
                answer = await self._inner.send(request)
        except HeadwaterError as error:
            exchange.failed(error)
            if request.address is not None:
                self._tried[id(request)] = exchange
            raise
        except BaseException as error:
            exchange.waited()
            is_foreign = isinstance(error, Exception) and not isinstance(error, ReadDeadline)
            exchange.is_dropped = is_foreign  # it is of nobody's network
            if request.pending is not None:
                self._waiting[id(request)] = exchange
            raise
        exchange.head(answer)
        return RecordedAnswer(answer, exchange)

    def _drop_other_address(self, request: TransportRequest) -> None:
        """A host's addresses are tried one after the other, and the last one's answer is the request's."""
        tried = self._tried.pop(id(request), None)
        if tried is not None and tried.request is request:
            tried.is_dropped = True

    async def aclose(self) -> None:
        """Close what is idle."""
        await self._inner.aclose()


class RecordedAnswer:
    """An answer whose pieces are taken note of as they are read.

    It has no `at_once`: whether a body came with its head is the moment's, and a replay would read it otherwise.
    """

    def __init__(self, answer: TransportResponse, exchange: LiveExchange) -> None:
        self._answer = answer
        self._exchange = exchange
        self._is_closed = False
        self.status = answer.status
        self.headers = answer.headers
        self.surplus = answer.surplus

    @property
    def kept(self) -> bool:
        """There only where the answer has it."""
        kept: bool = self._answer.kept  # type: ignore[attr-defined]
        return kept

    @kept.setter
    def kept(self, value: bool) -> None:
        self._answer.kept = value  # type: ignore[attr-defined]

    async def receive(self) -> bytes:
        """The next piece."""
        exchange = self._exchange
        try:
            data = await self._answer.receive()
        except HeadwaterError as error:
            if self._listens():
                exchange.failed(error)
            raise
        except (Exception, BaseException) as error:
            if self._listens() and (isinstance(error, ReadDeadline) or not isinstance(error, Exception)):
                exchange.waited()
            raise
        self.surplus = self._answer.surplus
        self._note(data)
        return data

    def _note(self, data: bytes) -> None:
        if not self._listens():
            return
        if data:
            self._exchange.piece(data)
        else:
            self._exchange.whole(surplus=self.surplus)

    def _listens(self) -> bool:
        return not self._is_closed and not self._exchange.is_over

    def ready(self) -> bool:
        """Whether `receive` would return at once."""
        return self._answer.ready()

    def wait_until(self, moment: float) -> bool:
        """Whether `receive` raises `ReadDeadline` when it would wait past this moment."""
        wait_until = getattr(self._answer, "wait_until", None)
        return wait_until is not None and bool(wait_until(moment))

    async def aclose(self) -> None:
        """Give up."""
        self._is_closed = True
        await self._answer.aclose()

    def drop(self) -> None:
        """Give up, from any thread."""
        self._is_closed = True
        self._answer.drop()


def _ask_for_plain(request: TransportRequest) -> None:
    """Ask for a body that is not packed: a person is to read it, and keys to be found in it."""
    if any(name.lower() == _PLAIN[0] and value != _PLAIN[1] for name, value in request.headers):
        request.headers = [(name, value) for name, value in request.headers if name.lower() != _PLAIN[0]] + [_PLAIN]
        request.head = None  # it is shared by the requests that have the other


def _unpacked(headers: dict[str, str], pieces: list[bytes], *, is_whole: bool) -> list[bytes]:
    """What the pieces of a packed body yield, one by one; none where they are not packed, or cannot be unpacked."""
    coding = coding_of(headers.get("content-encoding"))
    if not coding or not pieces:
        return []
    unpack, plain = unpacker(coding), []
    try:
        for piece in pieces:
            data = unpack.more(piece)
            while unpack.packed or unpack.held:
                data += unpack.more(unpack.packed)
            plain.append(data)
        while is_whole and (data := unpack.end()):
            plain[-1] += data
    except HeadwaterError:
        return []
    return plain
