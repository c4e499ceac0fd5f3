"""What the answer to a request for a stream is: by its label where that is right, else by its first bytes.

Events, JSON lines and whole JSON are read under any label. A page for people, and what can be no stream of its kind,
is refused before the rest of it is read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from ..errors import UnexpectedContentError
from ..protocol.flow import LARGEST, Request, Stream
from ..protocol.framing import EVENT_STREAM, BodyFraming, Frame, Framing, JSONLinesFraming, SSEFraming, WholeFraming
from ..protocol.lazy import lazy_modules, lazy_pattern
from ..protocol.transport import TransportResponse
from ..responses.message import is_html
from .codings import is_text
from .stored_answer import StoredAnswer

if TYPE_CHECKING:
    from ..media import mime  # noqa: TC004 - loaded when it is used, below
else:
    globals().update(lazy_modules("headwater.media", "mime"))

_BLANK: Final = b"\xef\xbb\xbf \t\r\n"
_FIELD: Final = lazy_pattern(rb"(?:data|event|id|retry|error)[ \t]*(?::|[\r\n])|:", re.IGNORECASE)
_TELLING_BYTES: Final = 16
"""How many bytes tell an event stream from what is none."""
_UNLABELLED: Final = frozenset({"", "text/html", "application/json", "application/problem+json", "text/plain"})
"""Labels that are wrong of a body that is neither a page nor JSON, or say nothing of it."""
_OTHERS: Final = {"image": ("audio/", "video/"), "video": ("audio/", "image/"), "audio": ("image/",)}


class NoStreamError(UnexpectedContentError):
    """The answer is no stream, by its first bytes, `head`; the engine says what it is."""

    head: bytes = b""


def media_type(incoming: TransportResponse) -> str:
    """The media type alone, in lower case; of a header that came twice, the first."""
    return incoming.headers.get("content-type", "").partition(",")[0].partition(";")[0].strip().lower()


def framing_of(step: Stream[Any, Any], incoming: TransportResponse, limit: int) -> Framing:
    """What cuts the answer's body into frames of at most `limit` bytes; the body's first bytes may settle it."""
    if type(incoming) is StoredAnswer:  # `isinstance` of a protocol is slow
        return incoming.framing
    if step.framing == "bytes":
        return BodyFraming(incoming.headers.get("content-type", ""))
    if step.framing == "json-lines":
        return JSONLinesFraming(limit)
    label = media_type(incoming)
    if step.framing == "sse" and label == EVENT_STREAM and not step.whole:
        return SSEFraming(limit)
    return Opening(step, label, incoming.headers.get("content-type", ""), limit)


class Opening:
    """The framing of a body whose first bytes say what it is. Raises `NoStreamError` where that is no such stream."""

    def __init__(self, step: Stream[Any, Any], label: str, content_type: str, limit: int) -> None:
        self._step = step
        self._label = label
        self._content_type = content_type
        self._limit = limit
        self._head = b""
        self._framing: Framing | None = None
        self.document = False
        """Whether the body is JSON as it stands, one document or several."""

    @property
    def pending(self) -> bool:
        """Whether the body ended inside a frame, which was dropped."""
        return self._framing is not None and self._framing.pending

    @property
    def strays(self) -> bytes:
        """The beginning of what was no part of any frame and says something all the same."""
        return b"" if self._framing is None else self._framing.strays

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes, once enough has come to tell what they are."""
        if self._framing is not None:
            return self._framing.feed(data)
        self._head += data
        is_sse = self._step.framing == "sse"
        if is_sse:
            self._head = self._head.lstrip(_BLANK)
        is_told = self._head[:1] in (b"{", b"[") or (is_sse and _FIELD.match(self._head))
        if len(self._head) < _TELLING_BYTES and not is_told:
            return []
        return self._opened().feed(self._taken())

    def finish(self) -> list[Frame]:
        """The frames that the end of the body completes."""
        framing = self._framing or self._opened()
        head = self._taken()
        return [*(framing.feed(head) if head else []), *framing.finish()]

    def _taken(self) -> bytes:
        head, self._head = self._head, b""
        return head

    def _opened(self) -> Framing:
        self._framing = self._of_events() if self._step.framing == "sse" else self._of_body()
        return self._framing

    def _of_events(self) -> Framing:
        head = self._head
        if head[:1] in (b"{", b"["):
            self.document = True
            return WholeFraming("application/json", self._limit) if self._step.whole else SSEFraming(self._limit)
        if _FIELD.match(head) or not head:
            return SSEFraming(self._limit)
        if self._step.whole and self._label == "text/plain" and not is_html("", head):
            return WholeFraming(self._label, self._limit)
        if self._label == EVENT_STREAM and not is_html("", head):
            return SSEFraming(self._limit)
        raise self._no_stream()

    def _of_body(self) -> Framing:
        head = self._head
        is_json = head.lstrip(_BLANK)[:1] in (b"{", b"[") and is_text(head)
        if is_html("", head) or (is_json and not self._step.whole):
            raise self._no_stream()
        if is_json:
            return WholeFraming("application/json", self._limit)
        if self._label not in _UNLABELLED:
            return BodyFraming(self._content_type)
        if not mime.sniff(head) and is_text(head):
            if self._step.whole and self._label == "text/plain":
                return WholeFraming(self._label, self._limit)
            raise self._no_stream()
        return BodyFraming(mime.sniff(head) or "application/octet-stream")

    def _no_stream(self) -> NoStreamError:
        error = NoStreamError("the answer is no stream")
        error.head = self._head
        return error


def other_media(family: str, head: bytes) -> str:
    """What a body that begins so is instead of this family's, in words; "" where it may be. A sound may come in a
    video's box."""
    kind = mime.sniff(head) if family in _OTHERS else None
    return f"{kind} instead of {family}" if kind is not None and kind.startswith(_OTHERS[family]) else ""


def is_another(request: Request, incoming: TransportResponse, head: bytes) -> bool:
    """Whether a whole answer that begins so cannot be what was asked for, so that the rest of it is not worth reading.

    That is a page for people where no page was, other media than were, and a sound, a video or bytes of no known kind
    where JSON was.
    """
    if len(head) < _TELLING_BYTES or head.lstrip(_BLANK)[:1] in (b"{", b"["):
        return False
    if is_html("", head) or other_media(request.family, head):
        return True
    if request.headers.get("accept") != "application/json" or is_text(head):
        return False
    kind = mime.sniff(head) or media_type(incoming)
    return kind.startswith(("audio/", "video/", "application/octet-stream")) and request.limit < LARGEST
