"""A streaming body as events: bytes to frames to events, in batches, with no task and no channel between.

It knows when the stream is over and what it saw last; what an end means is the run's to say.
"""

from __future__ import annotations

from typing import Any, Final

from anyio import CancelScope, current_time

from ..errors import HeadwaterError, MalformedEventError, TransportError
from ..flow import END, Stream
from ..framing import BodyFraming, Frame, Framing, JSONLinesFraming, SSEFraming
from ..wire import Incoming
from .body import Body

DRAIN: Final = 0.1
"""Seconds that the rest of a body is waited for after the end marker, so that its connection can be used again."""

_FRAMINGS: Final = {"sse": SSEFraming, "json-lines": JSONLinesFraming, "body": BodyFraming}
_MEDIA_TYPES: Final = {
    "sse": frozenset({"text/event-stream", ""}),
    "json-lines": frozenset({"application/x-ndjson", "application/jsonl", "application/json-lines", ""}),
}


def is_declared(framing: str, content_type: str) -> bool:
    """Whether an answer of this media type can be this stream; raw bodies may be anything but an HTML page."""
    expected = _MEDIA_TYPES.get(framing)
    if expected is None:
        return content_type not in {"text/html", "application/json", "application/problem+json"}
    return content_type in expected


class Events:
    """`fresh`: decoded and not yet taken. `over`: nothing more will come. `ended`: by its end marker.
    `failure`: what stopped it. `pending`: it stopped inside an event."""

    __slots__ = ("_body", "_count", "_framing", "_step", "ended", "failure", "fresh", "incoming", "over")

    def __init__(self, step: Stream[Any, Any], incoming: Incoming) -> None:
        self.incoming = incoming
        self._step = step
        self._body = Body(incoming, float("inf"))
        self._framing: Framing = _FRAMINGS[step.framing]()
        self._count = 0
        self.fresh: list[Any] = []
        self.over = False
        self.ended = False
        self.failure: HeadwaterError | None = None

    @property
    def size(self) -> int:
        """Decoded bytes so far."""
        return self._body.size

    @property
    def pending(self) -> bool:
        """Whether it stopped inside an event."""
        return self._framing.pending

    @property
    def closed_is_whole(self) -> bool:
        """Whether the clean end of the body is an end marker."""
        return self._step.finish == "closed"

    async def more(self) -> None:
        """Read until there is something fresh, or it is over."""
        body, framing = self._body, self._framing
        try:
            while not self.fresh and not self.over:
                data = await body.read()
                if data:
                    self._decode(framing.feed(data))
                else:
                    self._decode(framing.finish())
                    self.over = True
        except HeadwaterError as error:
            self.failure = error
            self.over = True

    def _decode(self, frames: list[Frame]) -> None:
        decode, fresh = self._step.decode, self.fresh
        try:
            for frame in frames:
                event = decode(frame)
                if event is END:
                    self.ended = self.over = True
                    return
                if event is not None:
                    fresh.append(event)
        except MalformedEventError as error:
            error.index = self._count + len(fresh)
            raise
        finally:
            self._count += len(fresh)

    async def drain(self) -> None:
        """Read what follows the end marker, for a moment; a body that does not end is closed.

        A body that is cut there, short of the length that it announced, is a `failure` all the same.
        """
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
