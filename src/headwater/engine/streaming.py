"""A streaming body as events: bytes to frames as they come, frames to events as they are asked for.

A frame is decoded when its event is taken and folded at once, so nothing is kept of what was handed over. It knows
when the stream is over and what it saw last; what an end means is the run's to say.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

from anyio import CancelScope, current_time

from ..errors import HeadwaterError, MalformedEventError, TransportError
from ..flow import END, Fold, Stream
from ..framing import WHOLE, BodyFraming, Frame, Framing, JSONLinesFraming, SSEFraming, WholeFraming
from ..wire import FOREVER, Incoming, Silence
from .body import Body

DRAIN: Final = 0.1
"""Seconds that the rest of a body is waited for after the end marker, so that its connection can be used again."""

_MEDIA_TYPES: Final = {
    "sse": frozenset({"text/event-stream", ""}),
    "json-lines": frozenset({"application/x-ndjson", "application/jsonl", "application/json-lines", ""}),
}
_NOTHING: Final[Iterator[Frame]] = iter(())


def is_declared(step: Stream[Any, Any], content_type: str) -> bool:
    """Whether an answer of this media type can be this stream; raw bodies may be anything but a page or JSON."""
    if step.framing == "bytes" or (step.whole and content_type in WHOLE):
        return True
    expected = _MEDIA_TYPES.get(step.framing)
    if expected is None:
        return content_type not in {"text/html", "application/json", "application/problem+json"}
    return content_type in expected


def _framing(step: Stream[Any, Any], incoming: Incoming) -> Framing:
    content_type = incoming.headers.get("content-type", "")
    media_type = content_type.split(";")[0].strip().lower()
    if step.whole and media_type in WHOLE:
        return WholeFraming(media_type)
    if step.framing in {"body", "bytes"}:
        return BodyFraming(content_type)
    return SSEFraming() if step.framing == "sse" else JSONLinesFraming()


class Events:
    """`over`: no more frames will come. `ended`: by its end marker. `failure`: what stopped it. `count`: events
    taken."""

    __slots__ = (
        "_body",
        "_decode",
        "_frames",
        "_framing",
        "_step",
        "_wait_until",
        "count",
        "ended",
        "failure",
        "fold",
        "incoming",
        "over",
    )

    def __init__(self, step: Stream[Any, Any], incoming: Incoming) -> None:
        self.incoming = incoming
        self.fold: Fold[Any, Any] = step.fold()
        self._step = step
        self._wait_until: Callable[[float], bool] | None = getattr(incoming, "wait_until", None)
        self._decode = step.decode
        self._body = Body(incoming, float("inf"))
        self._framing = _framing(step, incoming)
        self._frames = _NOTHING
        self.count = 0
        self.over = False
        self.ended = False
        self.failure: HeadwaterError | None = None

    @property
    def size(self) -> int:
        """Decoded bytes so far."""
        return self._body.size

    @property
    def whole(self) -> bool:
        """Whether a stream that is over, without a failure or an end marker, ended where it should."""
        return not self._framing.pending and (self._step.finish == "closed" or self.fold.complete())

    def take(self) -> Any:
        """The next event of those that have come; None when there is none, and after a failure."""
        try:
            for frame in self._frames:
                event = self._decode(frame)
                if event is None:
                    continue
                if event is END:
                    self.ended = self.over = True
                    self._frames = _NOTHING
                    return None
                self.fold.add(event)
                self.count += 1
                return event
        except HeadwaterError as error:
            self._fail(error)
        return None

    def next(self, until: float) -> Awaitable[Any]:
        """Wait for the next event; None when it is over. Raises `Silence` when none came in time."""
        if self._wait_until is not None and self._wait_until(until):
            return self.first()
        return self._within(until)

    async def _within(self, until: float) -> Any:
        with CancelScope(deadline=until):
            return await self.first()
        raise Silence

    async def first(self) -> Any:
        """Wait for the next event, without a limit; None when it is over."""
        body = self._body
        receive = self.incoming.receive if body.plain else body.read
        try:
            while not self.over:
                data = await receive()
                if body.plain:
                    body.size += len(data)
                frames = self._framing.feed(data) if data else self._framing.finish()
                self.over = not data
                if frames:
                    self._frames = iter(frames)
                    if (event := self.take()) is not None:
                        return event
        except HeadwaterError as error:
            self._fail(error)
        return None

    def _fail(self, error: HeadwaterError) -> None:
        if isinstance(error, MalformedEventError):
            error.index = self.count
        self.failure = error
        self.over = True
        self._frames = _NOTHING

    async def drain(self) -> None:
        """Read what follows the end marker, for a moment; a body that does not end is closed.

        A body that is cut there, short of the length that it announced, is a `failure` all the same.
        """
        if self._wait_until is not None:
            self._wait_until(FOREVER)
        try:
            with CancelScope(deadline=current_time() + DRAIN):
                while await self.incoming.receive():
                    pass
                return
        except TransportError as error:
            self.failure = error
        await self.incoming.aclose()

    async def close(self) -> None:
        """Give up at once."""
        await self.incoming.aclose()
