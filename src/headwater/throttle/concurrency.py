"""How many at once: a level that feels for what a server takes, and a look at whether more of it would help.

Pure arithmetic: no clock, no waiting, no provider.
"""

from __future__ import annotations

import math
from typing import Final

PATIENCE: Final = 100
"""Answers for each step up to where the last refusal was, so that about one request in a hundred is refused."""
HASTE: Final = 12
"""The same after the first refusal at a level; it doubles with each that confirms it."""
NEAR: Final = 0.1


class Level:
    """`value` (its whole part counts) grows while it is what holds requests back, and falls to what was accepted.

    It doubles with each round of answers until the first refusal. From there it takes one step in as many answers as
    it is patient (in a round of them, where that is more), and wider ones where it has left its `ceiling`, the last
    level that was refused, two steps behind.
    """

    __slots__ = ("_patience", "ceiling", "most", "value")

    def __init__(self, start: float, most: float) -> None:
        self.value = start
        self.most = most
        self.ceiling: float | None = None
        self._patience = HASTE

    def accepted(self, *, full: bool) -> None:
        """An answer came; `full`: to a request with which as many were in flight as might be."""
        value = self.value
        if not full or value >= self.most:
            return
        if self.ceiling is None:
            step = 1.0
        elif value < self.ceiling + 2:
            step = 1 / max(self._patience if value < self.ceiling + 1 else HASTE, value)
        else:
            step = 0.25
        self.value = min(self.most, value + step)

    def lower(self, to: float, *, again: bool = False) -> None:
        """More than this was too much; `again`: it is one more word of the same refusal."""
        value = max(1.0, min(self.value, to))
        if not again:
            near = self.ceiling is not None and abs(value - self.ceiling) <= max(1.0, NEAR * self.ceiling)
            self._patience = min(PATIENCE, 2 * self._patience) if near else HASTE
        self.value = self.ceiling = value

    def restore(self, to: float) -> None:
        """It was not the level that was too much."""
        self.value = max(1.0, min(to, self.most))
        self.ceiling = self.value if self.ceiling is not None else None


class Gradient:
    """Whether more at once gives more, by how long answers take: where they take as much longer, it does not.

    The mean time of a window of answers is compared with that of an earlier one with fewer in flight. Answers that
    are merely longer are found out: fewer at once does not make them shorter, and the level is given back.
    """

    __slots__ = ("_at_once", "_count", "_reference", "_seconds", "_suspects", "_tried", "holds")

    WINDOW: Final = 32
    WIDER: Final = 1.4
    SLOWER: Final = 2.0
    NOTICEABLE: Final = 0.01
    """Seconds; what is less may be this process's own work."""
    LOST: Final = 0.8
    """The part of a widening that went into waiting, from which on it was for nothing."""

    def __init__(self) -> None:
        self._count = 0
        self._seconds = 0.0
        self._at_once = 0
        self._reference: tuple[float, float] | None = None
        self._tried: tuple[float, float] | None = None
        self._suspects = 0
        self.holds = False

    def add(self, seconds: float, beside: int, level: float) -> float | None:
        """An answer took so long, with so many in flight; the level to go to, where it should change."""
        self._count += 1
        self._seconds += seconds
        self._at_once += beside
        if self._count < self.WINDOW or self._count < level:
            return None
        mean, at_once = self._seconds / self._count, self._at_once / self._count
        self._count, self._seconds, self._at_once = 0, 0.0, 0
        return self._judge(max(mean, 1e-6), at_once, level)

    def _judge(self, mean: float, at_once: float, level: float) -> float | None:
        if self._tried is not None:
            return self._second_look(mean, at_once)
        if self._reference is None:
            self._reference = mean, at_once
            return None
        was, then = self._reference
        if mean < was + self.NOTICEABLE:
            if self.holds or mean < was or at_once > then:
                self._settle(mean, at_once)
            return None
        wider = at_once / then
        if wider >= self.WIDER:
            lost = math.log(mean / was) / math.log(wider)
            if lost > self.LOST:
                return self._suspect(then)
            self._settle(mean, at_once)
            return None
        self.holds, self._suspects = False, 0
        if mean > self.SLOWER * was and at_once > 4:
            self._tried = mean, level
            return at_once * 0.7
        if mean < was or wider < 1 / self.WIDER:
            self._settle(mean, at_once)
        return None

    def _settle(self, mean: float, at_once: float) -> None:
        self._reference = mean, at_once
        self.holds, self._suspects = False, 0

    def _suspect(self, then: float) -> float | None:
        """One window may be chance: the level is held for another one, which decides."""
        self._suspects += 1
        self.holds = True
        if self._suspects < 2:
            return None
        self.holds, self._suspects = False, 0
        return then * 1.2

    def _second_look(self, mean: float, at_once: float) -> float | None:
        """After a cut: were answers slow because there were many, or are they as long as that now?"""
        assert self._tried is not None
        slow, level = self._tried
        self._tried = None
        if mean < 0.85 * slow:
            self._reference = (self._reference[0] if self._reference else mean), at_once
            return None
        self._reference = mean, level
        return level
