"""Requests of the caller's own: `post`, as flows.

A path, a model id or a URL says where to. Nothing of the answer is interpreted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar
from urllib.parse import urlsplit, urlunsplit

import msgspec

from ..errors import DecodeError, InvalidParameterError, MissingModelError
from ..media.images import LARGEST
from ..protocol.flow import Call, Flow, Load, Loaded, Request, Send, Stream, TaskFlow
from ..protocol.framing import EVENT_STREAM, Frame, SSEFraming
from ..protocol.json_text import UNREADABLE, loads
from ..protocol.json_value import encoded, once_read
from ..providers.hf_inference import recommended
from ..providers.urls import at_model
from ..responses.refusal import EXCERPT_BYTES
from .call_options import ALL, options_of

if TYPE_CHECKING:
    from httpx_sse import ServerSentEvent

    from ..blocking.run import Run
    from ..engine.run import AsyncRun


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
        """The status, in requests' word."""
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
            error.body = self.content[:EXCERPT_BYTES]
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


PIPELINES: Final = frozenset({"feature-extraction", "sentence-similarity"})
"""Tasks that a model of hf-inference may have beside its own, at a route of theirs."""


def send_request(call: Call, *, json: Any, data: Any, stream: bool) -> Flow[Response | None]:
    """Send this, and read the answer whole, or hand it over in pieces."""
    url = yield from _url(call)
    body, content_type = yield from _body(json, data)
    headers = {"accept": "*/*"}
    if content_type is not None:
        headers["content-type"] = content_type
    if not stream:
        request = Request(method="POST", url=url, headers=headers, body=body, limit=LARGEST, opaque=True)
        reply = yield Send(request)
        return Response(status=reply.status, headers=reply.headers, content=reply.body)
    headers |= {"accept": f"{EVENT_STREAM}, */*", "accept-encoding": "identity"}
    request = Request(method="POST", url=url, headers=headers, body=body)
    nothing: None = yield Stream(request=request, framing="bytes", decode=_piece, fold=Forgetful, finish="closed")
    return nothing


def _url(call: Call) -> Flow[str]:
    named = call.hub_id
    if named is not None and named.startswith("/"):
        return at_path(call.base if call.url is None else call.url, named)
    if call.url is not None:
        return call.url
    if call.provider != "hf-inference":
        raise InvalidParameterError(
            f"post to {call.provider} wants a path of its API as model, such as model='/v1/rerank', or no provider and"
            " a URL as model; which path a model has is for its tasks to know"
        )
    if named is None:
        if call.task == CUSTOM:
            raise MissingModelError("post wants to know where to: pass model=... or task=...")
        named = yield from recommended(call)
    return at_model(call.base, "/models/", named, f"/pipeline/{call.task}" if call.task in PIPELINES else "")


def at_path(base: str, path: str) -> str:
    """The URL of a path of the server's: below its own, whose version is not said twice where the path has one."""
    parts = urlsplit(base)
    above = parts.path.rstrip("/")
    version = above.rpartition("/")[2]
    if version and path.startswith(f"/{version}/"):
        above = above.removesuffix(f"/{version}")
    return urlunsplit(parts._replace(path=above + path))


def _body(json: Any, data: Any) -> Flow[tuple[bytes | Loaded, str | None]]:
    if data is None:
        return encoded(json, "post: json"), "application/json"
    read: Loaded = yield Load(source=data, streamed=True)
    return read, None


CUSTOM: Final = "post"


class Forgetful:
    """The fold of a stream that is handed over and not kept."""

    def add(self, event: bytes) -> None:
        """Take the next piece."""

    def complete(self, *, marked: bool = False) -> bool:
        """The end of the pieces is the body's."""
        return False

    def result(self) -> None:
        """Nothing."""


def _piece(frame: Frame) -> bytes:
    return frame.data


def request_flow(json: Any, data: Any, stream: bool) -> Callable[[Call], Flow[Response | None]]:
    """The flow of one request. Raises `InvalidParameterError` unless exactly one of `json` and `data` is given."""
    if (json is None) == (data is None):
        raise InvalidParameterError("post: give json=... or data=..., one of them")
    return partial(send_request, json=once_read(json), data=data, stream=stream)


def request_flow_and_options(
    json: Any, data: Any, stream: bool, given: Mapping[str, Any]
) -> tuple[TaskFlow, dict[str, Any]]:
    """The flow of one request whose options may have an `extra_body`, and the other options."""
    options = options_of(given, (*ALL, "extra_body"))
    extra = options.pop("extra_body", None)
    if extra is not None:
        if not isinstance(json, Mapping) or not isinstance(extra, Mapping):
            raise InvalidParameterError("post: extra_body is a dict of fields over those of json, which is one, too")
        json = {**json, **extra}
    return request_flow(json, data, stream), options
