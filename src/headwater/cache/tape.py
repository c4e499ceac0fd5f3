"""What a flow was resumed with, kept so that the same flow can be played again without a network.

    recorded   the flow, whose steps go to the engine as ever; what they brought is noted on the way
    replayed   the flow, which is given what was noted; a stream comes frame by frame, as it came

A flow is pure: with the same replies it takes the same steps, and has the same events and result. So a call is kept as
its replies, whatever its task is, and is read again by the code of the day. What is noted is noted to the end, or not
kept: nothing of a call that was cut, refused or left.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any, Final, TypeAlias

import msgspec

from ..errors import HeadwaterError
from ..media.media import Media
from ..protocol.flow import (
    AnswerStore,
    Fetch,
    Flow,
    OnCancel,
    Recall,
    Recalled,
    Remember,
    Replay,
    Reply,
    Request,
    Send,
    Sleep,
    Step,
    StoredFrames,
    Stream,
)
from ..protocol.framing import Frame

HEADERS_KEPT: Final = ("content-type", "x-request-id", "request-id", "x-inference-provider")
"""The headers of an answer that are kept with it: what names it, and says what it is."""


class StoredReply(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A whole answer to a request, which `method` and `url` name."""

    method: str
    url: str
    status: int
    headers: dict[str, str]
    body: bytes


class StoredMedia(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A result that was downloaded."""

    url: str
    data: bytes
    mime_type: str


class StoredStream(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A stream, frame by frame, each with its event's name; `document`: it was one JSON document."""

    method: str
    url: str
    frames: list[tuple[bytes, str]]
    document: bool


Stored: TypeAlias = StoredReply | StoredMedia | StoredStream


class Tape(msgspec.Struct, frozen=True, array_like=True):
    """All that one call brought, in its order, and the headers of its last answer."""

    parts: list[Stored]
    headers: dict[str, str] = {}


class TapeRecorder:
    """Notes what one call brings. `ask` gives the flow that lets the call be made where nothing is kept for it."""

    def __init__(self, store: AnswerStore, identity: bytes, ask: Callable[[], Flow[None]]) -> None:
        self._store = store
        self._identity = identity
        self._ask = ask
        self._key: bytes | None = None
        self._parts: list[Stored] = []
        self._is_asked = self._is_broken = False

    def flow(self, flow: Flow[Any]) -> Flow[Any]:
        """The flow, its answer kept, or found."""
        value: Any = None
        try:
            step = flow.send(None)
            while True:
                if not self._is_asked and isinstance(step, Send | Stream) and step.request.method == "POST":
                    self._is_asked = True
                    found: Recalled = yield Recall(self._store, step.request, self._identity)
                    if found.tape is not None:
                        return (yield from replayed(flow, step, found.tape.parts, 0))
                    yield from self._ask()
                    self._key = found.key
                try:
                    brought = yield self._noting(step)
                except HeadwaterError as error:
                    self._is_broken = True
                    step = flow.throw(error)
                    continue
                self._note(step, brought)
                step = flow.send(brought)
        except StopIteration as stop:
            value = stop.value
        finally:
            flow.close()
        if (keeping := self._keeping()) is not None:
            yield keeping
        return value

    def _noting(self, step: Step) -> Step:
        """The step as it is performed: of a stream every frame is noted."""
        return self._streamed(step) if isinstance(step, Stream) and self._key is not None else step

    def _note(self, step: Step, value: Any) -> None:
        if self._key is None:
            return
        if isinstance(step, Send) and isinstance(value, Reply):
            request, headers = step.request, headers_kept(value.headers)
            self._parts.append(StoredReply(request.method, request.url, value.status, headers, bytes(value.body)))
        elif isinstance(step, Fetch):
            if isinstance(value, Media):
                self._parts.append(StoredMedia(step.request.url, bytes(value), value.mime_type))
            else:  # it went to a file
                self._is_broken = True

    def _streamed(self, step: Stream[Any, Any]) -> Stream[Any, Any]:
        """The step, of which every frame is noted, and what follows it."""
        frames: list[tuple[bytes, str]] = []
        decode, then = step.decode, step.then

        def noted(frame: Frame) -> Any:
            frames.append((bytes(frame.data), frame.event))
            return decode(frame)

        def after(fold: Any) -> Flow[Any] | Remember | None:
            self._parts.append(StoredStream(step.request.method, step.request.url, frames, len(frames) == 1))
            following = None if then is None else then(fold)
            if isinstance(following, Generator):
                return self.flow(following)
            return self._keeping()

        return msgspec.structs.replace(step, decode=noted, then=after)

    def _keeping(self) -> Remember | None:
        if self._key is None or self._is_broken or not self._parts:
            return None
        return Remember(self._store, self._key, Tape(self._parts))


def headers_kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: headers[name] for name in HEADERS_KEPT if name in headers}


def replayed(flow: Flow[Any], step: Step, parts: list[Stored], place: int) -> Flow[Any]:
    """The flow from this step on, with the parts from `place` on in place of a network.

    Where the flow asks for something else than what was noted, which an older release may have, it is asked live.
    """
    try:
        while True:
            part = parts[place] if place < len(parts) else None
            if isinstance(step, Stream) and isinstance(part, StoredStream) and _is_same(step.request, part):
                yield _replay(step, part, parts, place + 1)
                return None
            if isinstance(step, Send) and isinstance(part, StoredReply) and _is_same(step.request, part):
                value: Any = Reply(status=part.status, headers=part.headers, body=part.body, url=part.url)
                place += 1
            elif isinstance(step, Fetch) and isinstance(part, StoredMedia) and step.request.url == part.url:
                value, place = Media(part.data, part.mime_type), place + 1
            elif isinstance(step, Sleep | OnCancel):
                value = None
            else:
                try:
                    value = yield step
                except HeadwaterError as error:
                    step = flow.throw(error)
                    continue
            step = flow.send(value)
    except StopIteration as stop:
        return stop.value
    finally:
        flow.close()


def _replay(step: Stream[Any, Any], part: StoredStream, parts: list[Stored], place: int) -> Replay:
    then = step.then

    def after(fold: Any) -> Flow[Any] | Remember | None:
        following = None if then is None else then(fold)
        if not isinstance(following, Generator):
            return None
        return _begun(following, parts, place)

    frames = tuple(Frame(data, event) for data, event in part.frames)
    return Replay(msgspec.structs.replace(step, then=after), StoredFrames(frames, part.document))


def _begun(flow: Flow[Any], parts: list[Stored], place: int) -> Flow[Any]:
    try:
        step = flow.send(None)
    except StopIteration as stop:
        return stop.value
    return (yield from replayed(flow, step, parts, place))


def _is_same(request: Request, part: StoredReply | StoredStream) -> bool:
    return (request.method, request.url) == (part.method, part.url)
