"""The limits of a call, as its caller says them: `Timeout`. The engine's clocks are `engine.deadlines`."""

from __future__ import annotations

from typing import Any

import msgspec

from ..errors import InvalidParameterError
from .transport import FOREVER


class Timeout(msgspec.Struct, frozen=True):
    """Limits in seconds; None is no limit.

    `total`: the whole call with queueing, connecting, retries, backoff, polling and the body. `connect`: one
    connection, TLS included. `first_event`: from the call's start to the first event of a stream, or to the head of
    a plain answer; each provider of a list has as long from its own turn's start. `idle`: the
    silence between events of a stream that has begun; comments, pings and fragments are none. `alive`: the silence in
    which nothing comes at all of an answer that has begun, and anything is a sign of life: comments, pings, fragments.

    So `Timeout(idle=None, alive=30)` waits for as long as the server says that it lives, and `Timeout(idle=600,
    alive=30)` for ten minutes at most. The default asks for no signs of life, and counts none: many servers send none.
    """

    total: float | None = None
    connect: float | None = 10.0
    first_event: float | None = None
    idle: float | None = 120.0
    alive: float | None = None

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= FOREVER:
                raise InvalidParameterError(f"timeout: {name} must be a number of seconds above 0, or None")

    @classmethod
    def of(cls, value: Timeout | float | None) -> Timeout:
        """A bare number is `total`; None is the defaults. httpx's own kind, which other clients take, has no total.

        Its `read`, which bounds every wait for bytes, is `first_event` and `idle`.
        https://www.python-httpx.org/advanced/timeouts/
        """
        if value is None:
            return DEFAULT_TIMEOUT
        if all(hasattr(value, name) for name in ("connect", "read", "write", "pool")):
            theirs: Any = value
            return cls(connect=theirs.connect, first_event=theirs.read, idle=theirs.read)
        return value if isinstance(value, Timeout) else cls(total=value)


DEFAULT_TIMEOUT = Timeout()
