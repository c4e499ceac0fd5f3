"""The four clocks of a call, each an absolute point on anyio's clock.

A clock runs only while the engine waits for the network, so a slow consumer is never a stalled server. Nothing here
sleeps or holds a cancel scope.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from ..errors import InferenceTimeoutError, InvalidParameterError
from ..protocol.transport import FOREVER

Phase: TypeAlias = Literal["total", "connect", "first_event", "idle", "alive"]


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
            return DEFAULT
        if all(hasattr(value, name) for name in ("connect", "read", "write", "pool")):
            theirs: Any = value
            return cls(connect=theirs.connect, first_event=theirs.read, idle=theirs.read)
        return value if isinstance(value, Timeout) else cls(total=value)


DEFAULT = Timeout()


class Deadlines:
    """The clocks of a call that began at `began`, in a provider's turn that did at `turn` (on anyio's clock).

    `total` is when the turn must be over, and `whole` when the call must be.
    """

    __slots__ = ("alive", "began", "first", "idle", "limits", "total", "turn", "whole")

    def __init__(self, limits: Timeout, began: float, turn: float | None = None) -> None:
        self.limits = limits
        self.began = began
        self.turn = began if turn is None else turn
        self.total = self.whole = FOREVER if limits.total is None else began + limits.total
        self._set(limits)

    def narrow(self, own: Timeout) -> None:
        """Take the provider's own limits in place of the call's; only the call's total stays."""
        self.limits = own
        if own.total is not None:
            self.total = min(self.whole, self.turn + own.total)
        self._set(own)

    def _set(self, limits: Timeout) -> None:
        self.first = FOREVER if limits.first_event is None else self.turn + limits.first_event
        self.idle = FOREVER if limits.idle is None else limits.idle
        self.alive = FOREVER if limits.alive is None else limits.alive

    def passed(self, phase: Phase, now: float) -> InferenceTimeoutError:
        """The error for a wait that ended at `now` because of `phase`, or of the total if that was over first."""
        if now >= self.total:
            phase = "total"
        limit = getattr(self.limits, phase)
        error = InferenceTimeoutError(f"{_SAYS[phase]} within {limit:g} s (timeout phase: {phase})")
        error.phase = phase
        error.elapsed = now - self.began
        return error


_SAYS: dict[Phase, str] = {
    "total": "the call did not end",
    "connect": "no connection",
    "first_event": "the server did not begin to answer",
    "idle": "the stream said nothing",
    "alive": "the server gave no sign of life",
}
