"""The four clocks of a call, each an absolute point on anyio's clock.

    began ├───────────────── total ─────────────────────────────────────────▶│ the whole call, all providers
     turn ├─── first_event ───▶│ one provider's turn, its retries in it
                               ├─ idle ─▶├─ idle ─▶ ...    between two events, comments do not count
                               ├ alive ▶├ alive ▶ ...      between two pieces of any kind

A wait has one limit: the least of those that hold for it. What passed is said by `passed`, and the total wins where
both did. A clock runs only while the engine waits for the network, so a slow consumer is never a stalled server.
Nothing here sleeps or holds a cancel scope.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from ..errors import InferenceTimeoutError
from ..protocol.timeout import Timeout
from ..protocol.transport import FOREVER

Phase: TypeAlias = 'Literal["total", "connect", "first_event", "idle", "alive"]'


class Deadlines:
    """The clocks of a call that began at `began`, in a provider's turn that did at `turn` (on anyio's clock).

    `total` is when the turn must be over, and `whole` when the call must be. `lapsed`: seconds of a recording that have
    not passed, and count as if they had.
    """

    __slots__ = ("alive", "began", "first", "idle", "lapsed", "limits", "total", "turn", "whole")

    def __init__(self, limits: Timeout, began: float, turn: float | None = None, lapsed: float = 0.0) -> None:
        self.limits = limits
        self.began = began
        self.turn = began if turn is None else turn
        self.lapsed = lapsed
        self.total = self.whole = FOREVER if limits.total is None else began + limits.total - lapsed
        self._set(limits)

    def lapse(self, seconds: float) -> None:
        """Have so many seconds passed that have not."""
        self.lapsed += seconds
        self.turn -= seconds
        self.total -= seconds
        self.whole -= seconds
        self.first -= seconds

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

    def passed_within(self, seconds: float, now: float) -> InferenceTimeoutError:
        """The error for one try that had so many seconds and ended at `now`, or of the total if that was over first."""
        if now >= self.total:
            return self.passed("total", now)
        error = InferenceTimeoutError(f"no answer within {seconds:g} s")
        error.phase = "first_event"
        error.elapsed = now - self.began
        return error


_SAYS: dict[Phase, str] = {
    "total": "the call did not end",
    "connect": "no connection",
    "first_event": "the server did not begin to answer",
    "idle": "the stream said nothing",
    "alive": "the server gave no sign of life",
}
