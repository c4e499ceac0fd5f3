"""A whole answer that came as an event stream, or as JSON lines: folded into what was asked for.

Some servers stream whatever `stream` says, and some end a whole answer with a stream's end marker.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from ..errors import DecodeError, HeadwaterError, IncompleteStreamError
from ..protocol.flow import END, Fold, Reply
from ..protocol.framing import DONE, Frame, frames_of, is_events

R = TypeVar("R")


def read_unrequested(
    reply: Reply,
    whole: Callable[[Reply], R],
    decode: Callable[[Frame], Any],
    fold: Callable[[], Fold[Any, R]],
    *,
    piece: bytes,
) -> R:
    """The answer by `whole`; where it is several events (or one, of a stream), by `decode`, gathered by `fold`.

    `piece`: a member's name that stands in the events of such a stream, and in no whole answer. Raises the error that
    an event is, and `IncompleteStreamError` for a stream that is cut, both with what came as `partial`.
    """
    reply = without_marker(reply)
    if is_events(reply.body) or (reply.body.find(b'"message"') < 0 and reply.body.find(piece) >= 0):
        return folded(frames_of(reply.body), decode, fold())
    try:
        return whole(reply)
    except DecodeError as error:
        frames = frames_of(reply.body) if b"}\n" in reply.body or b"}\r\n" in reply.body else []
        if len(frames) < 2:
            raise
        try:
            return folded(frames, decode, fold())
        except DecodeError:
            raise error from None


def without_marker(reply: Reply) -> Reply:
    """A whole answer without a stream's end marker that follows on the same line, and without NULs behind it."""
    body = reply.body
    if body[:1] != b"{" or body[-1:] == b"}":  # as nearly all are
        return reply
    end = body.rfind(b"}") + 1
    rest = body[end:].strip(b"\0 \t\r\n").removeprefix(b"data:").strip()
    return msgspec.structs.replace(reply, body=body[:end]) if rest in (b"", DONE) else reply


def folded(frames: list[Frame], decode: Callable[[Frame], Any], fold: Fold[Any, R]) -> R:
    """What the events of a whole body come to. Raises as `read_unrequested` does."""
    came = marked = False
    try:
        for frame in frames:
            event = decode(frame)
            if event is END:
                marked = True
                break
            if event is not None:
                fold.add(event)
                came = True
    except HeadwaterError as error:
        error.partial = fold.result() if came else None
        raise
    if came and fold.complete(marked=marked):
        return fold.result()
    cut = IncompleteStreamError(f"the answer is a stream that stopped before its end, after {len(frames)} events")
    cut.partial = fold.result() if came else None
    raise cut
