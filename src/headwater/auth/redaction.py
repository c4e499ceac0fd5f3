"""Takes secrets out of an error before its caller sees it: out of its texts, of what led to it, and of the frames.

It changes errors in place, knows no secret by itself, and leaves alone what the caller was treating when the error
came.
"""

from __future__ import annotations

import os.path
import sys
from collections.abc import Callable, Iterator
from traceback import clear_frames
from types import FrameType, TracebackType
from typing import Any, Final

import msgspec

from ..errors import HeadwaterError

_PACKAGE: Final = os.path.dirname(os.path.dirname(__file__))  # noqa: PTH120 - pathlib is a hundredth of a start
_TEXTS: Final = ("body", "text", "said", "code", "request_id", "path", "doc")


def redacted(error: HeadwaterError, redact: Callable[[str], str], *, is_masked: bool = False) -> HeadwaterError:
    """Return the same error, it and what led to it without secrets; for errors made where no secret is known.

    `is_masked`: its own texts have none any more; what led to it may, and so may frames that it went through since.

    The frames of ours, and below, that they went through forget their locals: the promise is that no traceback
    with locals (rich's, Sentry's, pytest's) shows a key, and those frames hold the request's headers and what the
    server has sent, which may repeat it.
    """
    for link in _chain(error):
        clear_frames(_from_ours(link.__traceback__) or link.__traceback__)
        if not (is_masked and link is error):
            _mask_texts(link, redact)
    return error


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it; not what its caller was treating when it came."""
    seen: dict[int, BaseException] = {}
    waiting: list[BaseException | None] = [error]
    while waiting:
        link = waiting.pop()
        if link is not None and id(link) not in seen:
            seen[id(link)] = link
            waiting += [link.__cause__, None if _is_callers(link.__context__) else link.__context__]
            waiting += link.exceptions if isinstance(link, BaseExceptionGroup) else ()
    yield from seen.values()


def _is_callers(error: BaseException | None) -> bool:
    trace = error.__traceback__ if error is not None else None
    if trace is None or _from_ours(trace):
        return False
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame is not trace.tb_frame:
        frame = frame.f_back
    return frame is not None  # who caught it is not done with it


def _from_ours(trace: TracebackType | None) -> TracebackType | None:
    """The part of a traceback that begins with a frame of ours."""
    while trace is not None and not trace.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        trace = trace.tb_next
    return trace


def _mask_texts(error: BaseException, redact: Callable[[str], str]) -> None:
    def masked(value: Any) -> Any:
        if isinstance(value, str):
            return redact(value)
        return masked_bytes(value, redact) if isinstance(value, bytes) else value

    if not isinstance(error, BaseExceptionGroup):
        error.args = tuple(map(masked, error.args))
    if isinstance(error, UnicodeDecodeError):
        error.object = masked_bytes(error.object, redact)
    facts = error.__dict__
    for name in _TEXTS:
        if name in facts:
            facts[name] = masked(facts[name])
    if facts.get("partial") is not None:
        facts["partial"] = without_secrets(facts["partial"], redact)
    if facts.get("tries"):
        facts["tries"] = tuple(
            msgspec.structs.replace(each, text=redact(each.text), reason=redact(each.reason)) for each in facts["tries"]
        )
    if facts.get("headers"):
        facts["headers"] = {name: redact(text) for name, text in facts["headers"].items()}
    if facts.get("__notes__"):
        facts["__notes__"] = list(map(masked, facts["__notes__"]))


def without_secrets(partial: Any, redact: Callable[[str], str]) -> Any:
    """What came of an answer, for an error to carry: as it is, or, where the server repeated a key in it, its masked
    fields alone; None where those cannot be told apart."""
    import pickle  # for errors alone

    text = pickle.dumps(partial).decode("latin-1")  # with what no field holds
    if redact(text) == text:
        return partial
    try:
        return msgspec.json.decode(redact(msgspec.json.encode(partial).decode()), type=type(partial))
    except (msgspec.MsgspecError, TypeError, ValueError):
        return None


def masked_bytes(body: bytes, redact: Callable[[str], str]) -> bytes:
    """Bytes without secrets; to be done before they are cut to a length: half of a secret may not be known for one."""
    return redact(body.decode(errors="surrogateescape")).encode(errors="surrogateescape")
