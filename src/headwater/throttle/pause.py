"""Nothing is sent for a while, and then one request goes to see, and more with every answer.

Pure arithmetic: no clock, no waiting, no provider.
"""

from __future__ import annotations

import math
from typing import Final

SLOW_START_SECONDS: Final = 0.1
"""In which a slow start lets twice as many go."""
BACKOFF_FACTOR: Final = 2.0
LEAST_BACKOFF_SECONDS: Final = 1e-3


class SlowStart:
    """Lets few requests go at first: `allowed` that are not answered yet, one more with every answer, and twice as many
    in each `doubling_seconds` without a refusal.

    `since`: when it begins. `after_number`: the last request that was sent before it. `unanswered`: how many it has let
    go, of which nothing was heard yet.
    """

    __slots__ = ("_allowed", "_doubling_seconds", "_since", "after_number", "unanswered")

    def __init__(self, allowed: float, doubling_seconds: float, since: float, after_number: int) -> None:
        self._allowed = allowed
        self._doubling_seconds = doubling_seconds
        self._since = since
        self.after_number = after_number
        self.unanswered = 0

    def allowed(self, now: float) -> float:
        """How many may be unanswered, now."""
        return self._allowed * math.exp2(min(60.0, max(0.0, now - self._since) / self._doubling_seconds))

    def room(self, now: float) -> int:
        """How many more may be sent now."""
        return int(self.allowed(now)) - self.unanswered

    def delay(self, now: float) -> float:
        """Seconds until another request may go."""
        if self.unanswered + 1 <= self.allowed(now):
            return 0.0
        waited = self._doubling_seconds * math.log2((self.unanswered + 1) / self._allowed)
        return max(1e-3, self._since - now + waited)

    def settle(self, number: int, *, is_accepted: bool) -> None:
        """Count that this request was answered, or is over."""
        if number > self.after_number:
            self.unanswered -= 1
            if is_accepted:
                self._allowed += 1


class Pause:
    """Until when nothing is sent, and the slow start behind it.

    `until`: a time. `slow_start`: None where there is none any more. `backoff`: the last wait (seconds) of those that
    double while a provider refuses and does not say for how long; 0 when none is under way.
    """

    __slots__ = ("backoff", "slow_start", "until")

    def __init__(self, now: float, slow_start: SlowStart | None) -> None:
        self.until = now
        self.slow_start = slow_start
        self.backoff = 0.0

    def extend(self, now: float, wait: float, answer_seconds: float, last_number: int) -> None:
        """Pause for `wait` seconds from now, if it is not for longer already; `answer_seconds`: the refusal's own."""
        if now + wait > self.until:
            self.until = now + wait
            doubling_seconds = max(SLOW_START_SECONDS, 2 * answer_seconds)
            self.slow_start = SlowStart(1, doubling_seconds, self.until, last_number)

    def next_backoff(self, first: float, longest: float) -> float:
        """Seconds to wait where nobody says how many: `first`, and twice as many each time."""
        wait = self.backoff * BACKOFF_FACTOR if self.backoff else first
        self.backoff = min(longest, max(wait, LEAST_BACKOFF_SECONDS))
        return self.backoff
