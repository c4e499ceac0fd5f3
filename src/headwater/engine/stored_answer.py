"""An answer that was kept, as the engine reads one that comes: a stream's frames, each a piece of its own."""

from __future__ import annotations

from collections import deque

from ..protocol.flow import StoredFrames
from ..protocol.framing import Frame
from ..protocol.transport import TransportResponse


class StoredFraming:
    """Gives the frame whose piece was read."""

    pending = False
    strays = b""

    def __init__(self, frames: deque[Frame], document: bool) -> None:
        self._frames = frames
        self.document = document

    def feed(self, data: bytes) -> list[Frame]:
        """The next frame."""
        return [self._frames.popleft()]

    def finish(self) -> list[Frame]:
        """Nothing more."""
        return []


class StoredAnswer(TransportResponse):
    """A stream without a connection. `framing` is what cuts it."""

    def __init__(self, stored: StoredFrames) -> None:
        self.status = 200
        self.headers = {}
        self.surplus = False
        self.kept = False
        frames = deque(stored.frames)
        self._frames = frames
        self.framing = StoredFraming(frames, stored.document)

    async def receive(self) -> bytes:
        """The next frame's data; b"" after the last."""
        return (self._frames[0].data or b"\n") if self._frames else b""

    def wait_until(self, moment: float) -> bool:
        """It never waits."""
        return True

    def ready(self) -> bool:
        """It is all there."""
        return True

    async def aclose(self) -> None:
        """Nothing is to be given back."""
        self._frames.clear()

    def drop(self) -> None:
        """Nor here."""
        self._frames.clear()
