"""OpenAI's way to the answer as it came: `client.chat.completions.with_raw_response.create(...)`.

https://github.com/openai/openai-python#accessing-raw-response-data-eg-headers
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from functools import partial, wraps
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from anyio import to_thread

from ..errors import Headers, InvalidParameterError
from ..protocol.json_text import loads
from ..tasks.output import json_default, to_json

if TYPE_CHECKING:
    import os

    from ..engine.facts import Facts


class _Response:
    """The answer to a call in OpenAI's words: `headers`, `status_code`, `request_id`, `content`.

    The content is the result itself where that is bytes or text, else what the server sent, as JSON.
    """

    def __init__(self, result: Any) -> None:
        self._result = result
        facts: Facts | None = getattr(result, "facts", None)
        self.headers = Headers({} if facts is None else facts.headers)
        """By names in any case."""
        self.request_id = None if facts is None else facts.request_id
        """The server's name for the request."""
        self.retries_taken = 0 if facts is None else max(len(facts.attempts) - 1, 0)
        """Tries before the one that answered."""
        seconds = None if facts is None else facts.timings.total
        self.elapsed = timedelta(seconds=seconds or 0)
        """How long the call took."""
        self.status_code: int = getattr(result, "status", None) or 200
        """A result has no other: what refuses is an error, whose `response` is the answer."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status_code} {self.request_id}>"

    @property
    def content(self) -> bytes:
        """What came, as bytes."""
        result = self._result
        if hasattr(result, "drain") or hasattr(result, "__next__"):
            raise InvalidParameterError("a stream has no content yet: parse() gives it, to be read")
        if isinstance(result, bytes):
            return bytes(result)
        if isinstance(result, str):
            return result.encode(errors="replace")
        sent = getattr(result, "raw", None)
        return to_json(json_default(result) if sent is None else sent)

    def _text(self) -> str:
        return self.content.decode(errors="replace")


class RawResponse(_Response):
    """The answer to a call: `headers`, `status_code`, `request_id`, `content`, `text`; `parse()` is its result."""

    @property
    def http_response(self) -> Self:
        """The same: its headers, status, content and text."""
        return self

    @property
    def text(self) -> str:
        """What came, as text."""
        return self._text()

    def parse(self) -> Any:
        """What the call gives: its result, or with `stream=True` the run."""
        return self._result


class StreamedRawResponse(_Response):
    """What `with_streaming_response` gives in its `with` block: the answer, to be read in pieces.

    All of it is here by then; a stream is had by `stream=True`, and `parse()`.
    """

    def parse(self) -> Any:
        """What the call gives: its result, or with `stream=True` the run."""
        return self._result

    def read(self) -> bytes:
        """All of it."""
        return self.content

    def text(self) -> str:
        """All of it, as text."""
        return self._text()

    def json(self) -> Any:
        """All of it, as plain dicts, lists, texts and numbers."""
        return loads(self.content)

    def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """The bytes in pieces of this size, or in one."""
        content = self.content
        size = chunk_size or max(len(content), 1)
        return (content[start : start + size] for start in range(0, len(content), size))

    def iter_text(self, chunk_size: int | None = None) -> Iterator[str]:
        """The text in pieces of this many characters, or in one."""
        text = self.text()
        size = chunk_size or max(len(text), 1)
        return (text[start : start + size] for start in range(0, len(text), size))

    def iter_lines(self) -> Iterator[str]:
        """The text's lines."""
        return iter(self.text().splitlines())

    def stream_to_file(self, file: str | os.PathLike[str], *, chunk_size: int | None = None) -> None:
        """Write it to a file, over what is there."""
        Path(file).write_bytes(self.content)

    def close(self) -> None:
        """Leave a stream; of anything else all is here."""
        if hasattr(self._result, "__next__"):
            self._result.close()


class AsyncStreamedRawResponse(_Response):
    """The same, to be awaited."""

    async def parse(self) -> Any:
        """What the call gives."""
        return self._result

    async def read(self) -> bytes:
        """All of it."""
        return self.content

    async def text(self) -> str:
        """All of it, as text."""
        return self._text()

    async def json(self) -> Any:
        """All of it, as plain dicts, lists, texts and numbers."""
        return loads(self.content)

    async def iter_bytes(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        """The bytes in pieces of this size, or in one."""
        for piece in StreamedRawResponse(self._result).iter_bytes(chunk_size):
            yield piece

    async def iter_text(self, chunk_size: int | None = None) -> AsyncIterator[str]:
        """The text in pieces of this many characters, or in one."""
        for piece in StreamedRawResponse(self._result).iter_text(chunk_size):
            yield piece

    async def iter_lines(self) -> AsyncIterator[str]:
        """The text's lines."""
        for line in StreamedRawResponse(self._result).iter_lines():
            yield line

    async def stream_to_file(self, file: str | os.PathLike[str], *, chunk_size: int | None = None) -> None:
        """Write it to a file, over what is there; a worker thread writes."""
        await to_thread.run_sync(StreamedRawResponse(self._result).stream_to_file, file)

    async def close(self) -> None:
        """Leave a stream; of anything else all is here."""
        if hasattr(self._result, "__anext__"):
            await self._result.close()


class _Opened:
    """What a call of `with_streaming_response` gives: its `with` block makes the call."""

    def __init__(self, made: Callable[[], Any]) -> None:
        self._made = made

    def __enter__(self) -> StreamedRawResponse:
        self._response = StreamedRawResponse(self._made())
        return self._response

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._response.close()

    async def __aenter__(self) -> AsyncStreamedRawResponse:
        self._awaited = AsyncStreamedRawResponse(await self._made())
        return self._awaited

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._awaited.close()


class RawNamespace:
    """The same methods as the object's, whose calls give a `RawResponse`, or with `streamed` what opens one."""

    def __init__(self, inner: Any, *, streamed: bool) -> None:
        self._inner = inner
        self._streamed = streamed

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if hasattr(type(found), "with_raw_response"):
            return RawNamespace(found, streamed=self._streamed)
        return _shown(found, streamed=self._streamed) if callable(found) else found


def _shown(call: Callable[..., Any], *, streamed: bool) -> Callable[..., Any]:
    def opened(*args: Any, **kwargs: Any) -> _Opened:
        return _Opened(partial(call, *args, **kwargs))

    async def awaited(*args: Any, **kwargs: Any) -> RawResponse:
        return RawResponse(await call(*args, **kwargs))

    def whole(*args: Any, **kwargs: Any) -> RawResponse:
        return RawResponse(call(*args, **kwargs))

    return wraps(call)(opened if streamed else awaited if inspect.iscoroutinefunction(call) else whole)
