"""The answer that is in another object, as gateways, functions in a cloud and model servers wrap it.

`{"code": 0, "data": ...}`, Cloudflare's `{"result": ..., "success": true}`, the `predictions` of KServe and Vertex AI,
MLServer's `outputs`, the `body` of a Lambda as a text, `{"similarities": [...]}` of Hugging Face's toolkit, a list of
one. It is looked for where a task has found nothing of its own, and never in what says that it is a refusal. Pure; of a
large answer nothing is built.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from ..errors import DecodeError
from ..protocol.flow import Reply
from ..protocol.json_text import UNREADABLE, loads_regular, opening, regular, regular_part
from ..protocol.lazy import lazy_modules
from . import message

if TYPE_CHECKING:
    from . import classify  # noqa: TC004 - loaded when it is used, below
else:
    globals().update(lazy_modules(__package__, "classify"))

T = TypeVar("T")

DEEPEST: Final = 3
"""How many of them may be in each other."""
_NAMES: Final = [
    "data",
    "result",
    "results",
    "output",
    "outputs",
    "prediction",
    "predictions",
    "response",
    "body",
    "payload",
    "similarities",
    "scores",
    "entities",
]
_REFUSAL_BYTES: Final = 64 * 1024
_OPENINGS: Final = frozenset({b"{", b"[", b'"{', b'"['})
_EMPTY: Final = frozenset({b"{}", b"[]", b'""'})


def unwrapped(body: bytes) -> bytes | None:
    """The JSON of the answer that is in this one; None where there is none, or nobody could tell which."""
    if opening(body) not in ("{", "["):
        return None
    try:
        text = regular(body).lstrip()
        found = _only(text) if text[:1] == b"[" else _named(text)
    except UNREADABLE:
        return None
    if len(found) != 1:
        return None
    if len(body) <= _REFUSAL_BYTES and classify.says_refused(message.parse(body), sure=True):
        return None
    return regular_part(found[0])


def read_within(read: Callable[[Reply], T], reply: Reply, depth: int = DEEPEST) -> T:
    """What `read` finds in the answer, or else in the one that is in it, so many deep. Raises the outermost's
    `DecodeError`."""
    try:
        return read(reply)
    except DecodeError:
        inner = unwrapped(reply.body) if depth else None
        if inner is not None:
            with suppress(DecodeError):
                return read_within(read, msgspec.structs.replace(reply, body=inner), depth - 1)
        raise


def _only(text: bytes) -> list[bytes]:
    """The only item of a list, if it is an object or a list."""
    first, second = msgspec.structs.astuple(_readers()[0].decode(text))
    return [bytes(first)] if second is msgspec.UNSET and bytes(first)[:1] in _OPENINGS else []


def _named(text: bytes) -> list[bytes]:
    """The members that an answer may be in, and that are an object or a list, if only written as a text."""
    members = msgspec.structs.astuple(_readers()[1].decode(text))
    parts = (_once_read(bytes(member)) for member in members if member is not msgspec.UNSET)
    return [part for part in parts if part[:1] in _OPENINGS and part not in _EMPTY]


def _once_read(part: bytes) -> bytes:
    return str(loads_regular(part)).strip().encode(errors="replace") if part[:2] in _OPENINGS else part


@lru_cache(maxsize=1)
def _readers() -> tuple[msgspec.json.Decoder[Any], msgspec.json.Decoder[Any]]:
    """What reads a list's first two items, and an object's members of these names, without building them."""
    items: list[Any] = [("first", msgspec.Raw), ("second", msgspec.Raw, msgspec.UNSET)]
    members: list[Any] = [(name, msgspec.Raw, msgspec.UNSET) for name in _NAMES]
    only, named = msgspec.defstruct("Only", items, array_like=True), msgspec.defstruct("Named", members)
    return msgspec.json.Decoder(only), msgspec.json.Decoder(named)
