"""What `post` gives back: an answer that was read whole, or one that is being read.

No status is judged here: an answer outside 2xx was an error before it came to this.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import msgspec

from .errors import DecodeError
from .framing import Frame, SSEFraming
from .json_text import UNREADABLE, loads
from .refusals import SHOWN_BYTES

if TYPE_CHECKING:
    from httpx_sse import ServerSentEvent

    from .engine.run import AsyncRun
    from .portal import Run

T = TypeVar("T")


class Several(Generic[T]):
    """What is there already, for `for` and for `async for`."""

    def __init__(self, items: Iterable[T]) -> None:
        self._items = list(items)

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)

    async def __aiter__(self) -> AsyncIterator[T]:
        for item in self._items:
            yield item


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, read whole. `headers` are by lower-case name; `content` is decoded from its content coding."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def status_code(self) -> int:
        """The same as `status`, in requests' word."""
        return self.status

    @property
    def text(self) -> str:
        """The content as text, by the charset that it declares, else UTF-8."""
        charset = self.headers.get("content-type", "").partition("charset=")[2].partition(";")[0].strip("\"' ")
        try:
            return self.content.decode(charset or "utf-8", "replace")
        except LookupError:
            return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """The content as plain dicts, lists, texts and numbers. Raises `DecodeError` where it is no JSON."""
        try:
            return loads(self.content)
        except UNREADABLE as failure:
            error = DecodeError(f"the answer is not JSON: {failure}")
            error.body = self.content[:SHOWN_BYTES]
            raise error from None

    def iter_bytes(self) -> Several[bytes]:
        """The content, in one piece; for `for` and `async for`."""
        return Several([self.content] if self.content else [])

    def iter_events(self) -> Several[ServerSentEvent]:
        """The server-sent events in the content; for `for` and `async for`."""
        framing = SSEFraming()
        return Several(map(_event, framing.feed(self.content) + framing.finish()))


class AsyncStreamedResponse:
    """An answer whose body is still coming: an async context manager, to be read once, in one of the ways below."""

    def __init__(self, run: AsyncRun[bytes, None]) -> None:
        self._run = run

    @property
    def status(self) -> int:
        """The HTTP status, of the 2xx."""
        return self._run.status

    status_code = status

    @property
    def headers(self) -> dict[str, str]:
        """The headers, by lower-case name."""
        return self._run.headers

    async def iter_bytes(self) -> AsyncIterator[bytes]:
        """The body in pieces, as they come. Raises `IncompleteStreamError` where it is cut."""
        async for piece in self._run:
            yield piece

    async def iter_events(self) -> AsyncIterator[ServerSentEvent]:
        """The body's server-sent events, as they come."""
        framing = SSEFraming()
        async for piece in self._run:
            for frame in framing.feed(piece):
                yield _event(frame)
        for frame in framing.finish():
            yield _event(frame)

    async def read(self) -> bytes:
        """All of the body."""
        return b"".join([piece async for piece in self._run])

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.iter_bytes()

    async def close(self) -> None:
        """Give up what was not read. Idempotent."""
        await self._run.close()

    aclose = close

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class StreamedResponse:
    """An answer whose body is still coming: a context manager, to be read once, in one of the ways below."""

    def __init__(self, run: Run[bytes, None]) -> None:
        self._run = run

    @property
    def status(self) -> int:
        """The HTTP status, of the 2xx."""
        status: int = self._run.status
        return status

    status_code = status

    @property
    def headers(self) -> dict[str, str]:
        """The headers, by lower-case name."""
        headers: dict[str, str] = self._run.headers
        return headers

    def iter_bytes(self) -> Iterator[bytes]:
        """The body in pieces, as they come. Raises `IncompleteStreamError` where it is cut."""
        yield from self._run

    def iter_events(self) -> Iterator[ServerSentEvent]:
        """The body's server-sent events, as they come."""
        framing = SSEFraming()
        for piece in self._run:
            yield from map(_event, framing.feed(piece))
        yield from map(_event, framing.finish())

    def read(self) -> bytes:
        """All of the body."""
        return b"".join(self._run)

    def __iter__(self) -> Iterator[bytes]:
        return self.iter_bytes()

    def close(self) -> None:
        """Give up what was not read. Idempotent."""
        self._run.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _event(frame: Frame) -> ServerSentEvent:
    from httpx_sse import ServerSentEvent  # which loads httpx

    return ServerSentEvent(
        event=frame.event or "message", data=frame.data.decode("utf-8", "replace"), id=frame.id, retry=frame.retry
    )
