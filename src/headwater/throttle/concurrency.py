"""How many at once: a limit that feels for what a server takes, and a look at whether more of it would help.

The limit is additive increase and multiplicative decrease, as TCP Reno's window is, but for two things: it falls to
what was accepted and no further, since a refusal says how many there were; and it grows past the last number that was
refused only after as many answers as that refusal has been confirmed, so that few requests are refused for it.

A server that queues refuses nothing, and answers later instead. `LatencyGradient` looks for that, as the gradient
limiters of Netflix's concurrency-limits and TCP Vegas do. What it knows is a reference (a window's mean time, and how
many were in flight), and one of four states:

    FIRST    there is no reference
    STEADY   the reference is believed, and the limit may grow
    HELD     a wider window was slower in proportion, so that it gave nothing: may be chance, one more window decides
    CUT      answers became slow without more in flight: with fewer, are they quicker (a queue) or not (longer answers)?

Pure arithmetic: no clock, no waiting, no provider. Simulated in tests/batch/test_limiter.py: behind a queue of 40 the
limit stays below 200 and nothing is lost; four times longer answers do not lower it.
"""

from __future__ import annotations

import math
from enum import Enum, auto
from typing import Final, NamedTuple

ANSWERS_PER_STEP: Final = 100
"""Answers for each step up to where the last refusal was, so that about one request in a hundred is refused."""
FIRST_ANSWERS_PER_STEP: Final = 12
"""The same after the first refusal at a limit; it doubles with each that confirms it."""
SAME_CEILING_FRACTION: Final = 0.1
"""A refusal so near to the one before, as a part of it, confirms it."""
STEP_BEYOND_CEILING: Final = 0.25
"""How far one answer raises the limit that has left its ceiling behind."""


class ConcurrencyLimit:
    """`value` grows while it is what holds requests back, and falls to what was accepted; `whole` is what of it counts.

    It doubles with each round of answers until the first refusal. From there it takes one step in as many answers as
    it is patient (in a round of them, where that is more), and wider ones where it has left its `ceiling`, the last
    limit that was refused, two steps behind. It is never above `most`.
    """

    __slots__ = ("_answers_per_step", "ceiling", "most", "value", "whole")

    def __init__(self, start: float, most: float) -> None:
        self.value = start
        self.whole = int(start)
        self.most = most
        self.ceiling: float | None = None
        self._answers_per_step = FIRST_ANSWERS_PER_STEP

    def accepted(self, *, is_full: bool) -> None:
        """Take in an answer; `is_full`: to a request with which as many were in flight as might be."""
        value = self.value
        if not is_full or value >= self.most:
            return
        if self.ceiling is None:
            step = 1.0
        elif value < self.ceiling + 2:
            patience = self._answers_per_step if value < self.ceiling + 1 else FIRST_ANSWERS_PER_STEP
            step = 1 / max(patience, value)
        else:
            step = STEP_BEYOND_CEILING
        self._set(min(self.most, value + step))

    def lower_to(self, value: float, *, again: bool = False) -> None:
        """Fall, as more than this was too much; `again`: it is one more word of the same refusal."""
        value = max(1.0, min(self.value, value))
        if not again:
            ceiling = self.ceiling
            is_same = ceiling is not None and abs(value - ceiling) <= max(1.0, SAME_CEILING_FRACTION * ceiling)
            self._answers_per_step = (
                min(ANSWERS_PER_STEP, 2 * self._answers_per_step) if is_same else FIRST_ANSWERS_PER_STEP
            )
        self._set(value)
        self.ceiling = value

    def restore_to(self, value: float) -> None:
        """Go back up, as it was not the number that was too much."""
        self._set(max(1.0, min(value, self.most)))
        self.ceiling = self.value if self.ceiling is not None else None

    def _set(self, value: float) -> None:
        self.value = value
        self.whole = int(value)


class GradientState(Enum):
    """What a gradient waits for; the module's docstring has it."""

    FIRST = auto()
    STEADY = auto()
    HELD = auto()
    CUT = auto()


class Finding(Enum):
    """What a window shows beside the reference."""

    QUICK = auto()
    """As quick, with no more in flight."""
    BETTER = auto()
    """Quicker, or as quick with more in flight."""
    GAIN = auto()
    """Much wider, and slower by less than in proportion."""
    WASTE = auto()
    """Much wider, and slower in proportion."""
    SLOW = auto()
    """Much slower, though not much wider."""
    NARROW = auto()
    """Much narrower."""
    ALIKE = auto()


class Move(Enum):
    """What becomes of the reference and of the limit."""

    KEEP = auto()
    """Neither changes."""
    SETTLE = auto()
    """The window is the new reference."""
    BACK = auto()
    """The limit goes to where the reference was, and a little more."""
    TRY_FEWER = auto()
    """The limit falls, to see whether answers become quicker."""


_NEXT: Final = {
    (GradientState.STEADY, Finding.QUICK): (GradientState.STEADY, Move.KEEP),
    (GradientState.STEADY, Finding.BETTER): (GradientState.STEADY, Move.SETTLE),
    (GradientState.STEADY, Finding.GAIN): (GradientState.STEADY, Move.SETTLE),
    (GradientState.STEADY, Finding.WASTE): (GradientState.HELD, Move.KEEP),
    (GradientState.STEADY, Finding.SLOW): (GradientState.CUT, Move.TRY_FEWER),
    (GradientState.STEADY, Finding.NARROW): (GradientState.STEADY, Move.SETTLE),
    (GradientState.STEADY, Finding.ALIKE): (GradientState.STEADY, Move.KEEP),
    (GradientState.HELD, Finding.QUICK): (GradientState.STEADY, Move.SETTLE),
    (GradientState.HELD, Finding.BETTER): (GradientState.STEADY, Move.SETTLE),
    (GradientState.HELD, Finding.GAIN): (GradientState.STEADY, Move.SETTLE),
    (GradientState.HELD, Finding.WASTE): (GradientState.STEADY, Move.BACK),
    (GradientState.HELD, Finding.SLOW): (GradientState.CUT, Move.TRY_FEWER),
    (GradientState.HELD, Finding.NARROW): (GradientState.STEADY, Move.SETTLE),
    (GradientState.HELD, Finding.ALIKE): (GradientState.STEADY, Move.KEEP),
}


class _Window(NamedTuple):
    """Answers that were looked at together: their mean time in seconds, and the mean number in flight."""

    seconds: float
    in_flight: float


class LatencyGradient:
    """Whether more at once gives more, by how long answers take: where they take as much longer, it does not.

    The mean time of a window of answers is compared with that of an earlier one with fewer in flight. Answers that
    are merely longer are found out: fewer at once does not make them shorter, and the limit is given back.
    """

    __slots__ = ("_before_cut", "_count", "_in_flight", "_reference", "_seconds", "_state")

    WINDOW_ANSWERS: Final = 32
    """At least; as many as the limit, where that is more."""
    WIDER: Final = 1.4
    SLOWER: Final = 2.0
    QUICKER: Final = 0.85
    NOTICEABLE_SECONDS: Final = 0.01
    """What is less may be this process's own work."""
    WASTED: Final = 0.8
    """The part of a widening that went into waiting, from which on it was for nothing."""
    LEAST_IN_FLIGHT: Final = 4
    """Of so few none are taken away to see what happens."""
    FEWER: Final = 0.7
    BACK: Final = 1.2

    def __init__(self) -> None:
        self._count = 0
        self._seconds = 0.0
        self._in_flight = 0
        self._state = GradientState.FIRST
        self._reference = _Window(0.0, 0.0)
        self._before_cut = _Window(0.0, 0.0)

    @property
    def holds(self) -> bool:
        """Whether the limit should not grow before the next window is there."""
        return self._state is GradientState.HELD

    def add(self, seconds: float, in_flight: int, limit: float) -> float | None:
        """Take in that an answer took so long, with so many in flight; the limit to go to, where it should change."""
        self._count += 1
        self._seconds += seconds
        self._in_flight += in_flight
        if self._count < self.WINDOW_ANSWERS or self._count < limit:
            return None
        window = _Window(max(self._seconds / self._count, 1e-6), self._in_flight / self._count)
        self._count, self._seconds, self._in_flight = 0, 0.0, 0
        return self._judge(window, limit)

    def _judge(self, window: _Window, limit: float) -> float | None:
        if self._state is GradientState.FIRST:
            self._state, self._reference = GradientState.STEADY, window
            return None
        if self._state is GradientState.CUT:
            return self._look_again(window)
        reference = self._reference
        self._state, move = _NEXT[self._state, self._compare(window)]
        if move is Move.SETTLE:
            self._reference = window
        elif move is Move.BACK:
            return reference.in_flight * self.BACK
        elif move is Move.TRY_FEWER:
            self._before_cut = _Window(window.seconds, limit)
            return window.in_flight * self.FEWER
        return None

    def _compare(self, window: _Window) -> Finding:
        seconds, in_flight = self._reference
        if window.seconds < seconds + self.NOTICEABLE_SECONDS:
            return Finding.BETTER if window.seconds < seconds or window.in_flight > in_flight else Finding.QUICK
        wider = window.in_flight / in_flight
        if wider >= self.WIDER:
            wasted = math.log(window.seconds / seconds) / math.log(wider)
            return Finding.WASTE if wasted > self.WASTED else Finding.GAIN
        if window.seconds > self.SLOWER * seconds and window.in_flight > self.LEAST_IN_FLIGHT:
            return Finding.SLOW
        return Finding.NARROW if wider < 1 / self.WIDER else Finding.ALIKE

    def _look_again(self, window: _Window) -> float | None:
        """After a cut: were answers slow because there were many, or are they as long as that now?"""
        self._state = GradientState.STEADY
        slow, limit = self._before_cut
        if window.seconds < self.QUICKER * slow:
            self._reference = _Window(self._reference.seconds, window.in_flight)
            return None
        self._reference = _Window(window.seconds, limit)
        return limit
