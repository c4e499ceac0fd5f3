"""A streaming body as events: bytes to frames as they come, frames to events as they are asked for.

    receive() ──▶ bytes ──feed──▶ frames ──take──▶ decode ──▶ fold ──▶ the caller's event

A piece of the body holds no frame, one, or hundreds: those that are there are handed over without an await, so that a
burst costs 3.4 us a chunk of a chat where one chunk at a time costs twice that (`python -m benchmarks`, streams). A
frame is decoded when its event is taken and folded at once, so nothing is kept of what was handed over. It knows
when the stream is over and what it saw last; what an end means is the run's to say.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from typing import Any, Final

from anyio import CancelScope, current_time

from ..errors import DecodeError, HeadwaterError, MalformedEventError, ProviderError, TransportError
from ..protocol.flow import END, Fold, Stream
from ..protocol.framing import Frame
from ..protocol.json_text import UNREADABLE
from ..protocol.lazy import lazy_pattern
from ..protocol.transport import FOREVER, ReadDeadline, TransportResponse
from ..responses.refusal import EXCERPT_BYTES, error_in_place_of_answer
from .body import ResponseBody
from .openings import framing_of

DRAIN_SECONDS: Final = 0.1
"""Seconds that the rest of a body is waited for after the end marker, so that its connection can be used again."""

_NEXT_OBJECT: Final = lazy_pattern(rb"(?:\n|data:)[ \t]*(?=\{)")
_NOTHING: Final[Iterator[Frame]] = iter(())
READ_ERRORS: Final = (HeadwaterError, *UNREADABLE)
"""What reading an event raises."""


class Events:
    """`over`: no more frames will come. `ended`: by its end marker. `failure`: what stopped it. `count`: events
    taken. `size`: decoded bytes so far. `last`: as the step has it. `lasts`: whether a cancelled read loses nothing,
    and another may follow."""

    __slots__ = (
        "_add",
        "_body",
        "_decode",
        "_finish",
        "_frames",
        "_framing",
        "count",
        "ended",
        "failure",
        "fold",
        "incoming",
        "last",
        "lasts",
        "over",
        "size",
    )

    def __init__(self, step: Stream[Any, Any], incoming: TransportResponse, limit: int) -> None:
        self.incoming = incoming
        self.lasts = hasattr(incoming, "kept")
        if self.lasts:
            incoming.kept = True  # type: ignore[attr-defined]
        self.fold: Fold[Any, Any] = step.fold()
        self._add = self.fold.add
        self._finish = step.finish
        self.last = step.last
        self._decode = step.decode
        body = ResponseBody(incoming, float("inf"))
        self._body = None if body.plain else body
        self._framing = framing_of(step, incoming, limit)
        self._frames = _NOTHING
        self.size = 0
        self.count = 0
        self.over = False
        self.ended = False
        self.failure: HeadwaterError | None = None

    def wait_until(self, moment: float) -> bool:
        """Whether `receive` raises `ReadDeadline` when it would wait past this moment."""
        wait_until = getattr(self.incoming, "wait_until", None)
        return wait_until is not None and wait_until(moment)

    def has_last(self) -> bool:
        """Whether the event has been taken that ends the stream by its own word; then it is over."""
        if self.last is None or not self.last(self.fold):
            return False
        self.ended = self.over = True
        return True

    @property
    def whole(self) -> bool:
        """Whether a stream that is over ended where it should, as far as nothing failed before its end marker."""
        if self.ended:
            return self.fold.complete(marked=True) or self._finish == "closed"
        if self._framing.pending:
            return False
        return self._finish == "closed" or self.fold.complete() or (self.count == 1 and self._is_document())

    def _is_document(self) -> bool:
        """Whether the only event is a whole answer that came as JSON, in place of a stream."""
        return getattr(self._framing, "document", False) and getattr(self.fold, "is_whole_answer", False)

    @property
    def strays(self) -> bytes:
        """The beginning of what was no part of any event and says something all the same."""
        return self._framing.strays

    def take(self) -> Any:
        """The next event of those that have come; None when there is none, and after a failure."""
        decode = self._decode
        for frame in self._frames:
            try:
                event = decode(frame)
                if event is END:
                    self.ended = self.over = True
                    break
                if event is not None:
                    self._add(event)
                    self.count += 1
                    return event
            except READ_ERRORS as error:
                self._stop_at(frame, error)
                break
        self._frames = _NOTHING
        return None

    def _stop_at(self, frame: Frame, error: Exception) -> None:
        """No more comes, because of what is wrong with this frame."""
        if isinstance(error, HeadwaterError):
            self.stop((_refusal_in(frame.data) if isinstance(error, DecodeError) else None) or error)
        else:  # a member that nobody has looked at before the fold
            broken = MalformedEventError(f"an event of the stream cannot be read: {error}")
            broken.body = frame.data[:EXCERPT_BYTES]
            self.stop(broken)

    def receive(self) -> Awaitable[bytes]:
        """The next piece of the body, for `feed`; raises `TransportError`, `DecodeError`, `ReadDeadline`."""
        return self.incoming.receive() if self._body is None else self._body.read()

    def feed(self, data: bytes) -> Any:
        """Take a piece of the body, b"" for its end; the first event that it completes, None where there is none."""
        self.size += len(data)
        self.over = not data
        try:
            frames = self._framing.feed(data) if data else self._framing.finish()
        except HeadwaterError as error:
            self.stop(error)
            return None
        self._frames = iter(frames)
        return self.take()

    async def first(self, *, once: bool = False) -> Any:
        """Wait for the next event, without a limit; None when it is over, or `once` a piece has come that has none."""
        event = None
        while event is None and not self.over:
            try:
                event = self.feed(await self.receive())
            except HeadwaterError as error:
                self.stop(error)
            if once:
                break
        return event

    async def within(self, until: float, *, once: bool = False) -> Any:
        """The next event until a moment on anyio's clock; raises `ReadDeadline`. For answers that keep no time.

        `once`: of the next piece alone, with None where it completes no event.
        """
        with CancelScope(deadline=until):
            return await self.first(once=once)
        raise ReadDeadline

    def stop(self, error: HeadwaterError) -> None:
        """No more comes, because of this."""
        if isinstance(error, MalformedEventError):
            error.index = self.count
        self.failure = error
        self.over = True
        self._frames = _NOTHING

    async def drain(self) -> None:
        """Read what follows the end marker, for a moment; a body that does not end is closed.

        A body that is cut there, short of the length that it announced, is a `failure` all the same.
        """
        try:
            if self.incoming.ready() and not await self.incoming.receive():
                return  # as with nearly all: the end came with the marker
            self.wait_until(FOREVER)
            with CancelScope(deadline=current_time() + DRAIN_SECONDS):
                while await self.incoming.receive():
                    pass
                return
        except ReadDeadline:  # of a recording
            pass
        except TransportError as error:
            self.failure = error
        await self.incoming.aclose()

    async def close(self) -> None:
        """Give up at once."""
        await self.incoming.aclose()


def _refusal_in(data: bytes) -> ProviderError | None:
    """The refusal that an event is which is none of an answer's, or that a gateway wrote into one that was cut
    (https://github.com/Wei-Shaw/sub2api/issues/1471)."""
    refused = error_in_place_of_answer(data)
    if refused is None and (places := [found.end() for found in _NEXT_OBJECT.finditer(data)]):
        return error_in_place_of_answer(data[places[-1] :], sure=True)
    return refused
