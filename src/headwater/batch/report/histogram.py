"""Figures about any number of records in bounded memory: how large they are, and what happened when.

Sizes go into bins that are 2 % wide, so that a quantile is right to 1 %; times go into at most `MOST_BINS` bins, whose
width doubles when they are full. It knows nothing of lines or pictures.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Final, NamedTuple

import msgspec

MOST_BINS: Final = 160
MOST_DRAWN_BINS: Final = 80
LEAST_DRAWN_BINS: Final = 6
RECORDS_PER_BIN: Final = 8
"""Records that a bin has on average, where it is drawn: of fewer one sees how they happen to fall, and no trend."""
MOST_NAMES: Final = 40
"""Different classes of errors, or providers, that are counted by name. Servers choose these names."""
OTHER: Final = "other"
_LONGEST_NAME: Final = 60
_STEP: Final = math.log(1.02)
_FIRST_BIN_SECONDS: Final = 1 / 64
_CUT_ABOVE_BINS: Final = 12
"""Bins in which nothing happened and nothing was under way, above which they are cut out of the picture."""
_CUT_BINS: Final = 4
"""Bins that a cut takes."""
_BATCHED_NUMBERS: Final = 4096
"""Numbers that are kept until they are counted."""


class Spread:
    """How large numbers are: their count, sum, extremes, and how many are of about which size.

    `whole`: they are whole numbers, and so are their quantiles; those below 50 are exact.
    """

    def __init__(self, *, whole: bool = False) -> None:
        self._is_whole = whole
        self._smallest = 0.5 if whole else 1e-4
        self._count = 0
        self._sum = 0.0
        self._least, self._most = math.inf, -math.inf
        self._bins: Counter[int] = Counter()
        self._new: list[float] = []

    def add(self, number: float) -> None:
        """Count a number, which is finite and not negative."""
        # This runs ten times a line, so that the work is done for thousands of numbers at once.
        self._new.append(number)
        if len(self._new) >= _BATCHED_NUMBERS:
            self._settle()

    def _settle(self) -> Spread:
        """Take in what was added."""
        if not self._new:
            return self
        new, self._new = self._new, []
        self._count += len(new)
        self._sum += sum(new)
        self._least, self._most = min(self._least, min(new)), max(self._most, max(new))
        smallest = self._smallest
        if self._is_whole:  # many are alike
            for number, times in Counter(new).items():
                self._bins[math.floor(math.log(max(number, smallest)) / _STEP)] += times
        else:
            log, floor = math.log, math.floor
            sizes = [number if number > smallest else smallest for number in new]  # noqa: FURB136 - a call is slower
            self._bins.update([floor(log(size) / _STEP) for size in sizes])
        return self

    @property
    def count(self) -> int:
        """How many there are."""
        return self._settle()._count

    @property
    def sum(self) -> float:
        """The sum of the numbers."""
        return self._settle()._sum

    @property
    def least(self) -> float:
        """The smallest; infinite of nothing."""
        return self._settle()._least

    @property
    def most(self) -> float:
        """The largest; minus infinity of nothing."""
        return self._settle()._most

    @property
    def bins(self) -> Counter[int]:
        """How many are in each bin, by the number that `edge` takes."""
        return self._settle()._bins

    @property
    def mean(self) -> float:
        """The mean; 0 of nothing."""
        return self.sum / self.count if self.count else 0.0

    def quantile(self, share: float) -> float:
        """The number that this share of all is not above, to 1 %; 0 of nothing."""
        if not self.count:
            return 0.0
        left = max(1, math.ceil(share * self.count))
        for at in sorted(self.bins):
            left -= self.bins[at]
            if left <= 0:
                middle = round(edge(at + 0.5)) if self._is_whole else edge(at + 0.5)
                return min(max(middle, self.least), self.most)
        return self.most


def edge(at: float) -> float:
    """The size at which a bin of a spread begins."""
    return math.exp(at * _STEP)


class Moment(msgspec.Struct):
    """What happened in one bin of time. Times are seconds since the timeline's origin."""

    started: int = 0
    started_at: float = 0.0  # the sum of the times, for the mean number in flight
    ended: int = 0
    ended_at: float = 0.0
    good: int = 0
    tokens: float = 0.0
    limit: float = 0.0  # the sum of what the lines say
    limits: int = 0
    errors: Counter[str] = msgspec.field(default_factory=Counter)

    def add(self, other: Moment) -> None:
        """Take another bin in."""
        for name in ("started", "started_at", "ended", "ended_at", "good", "tokens", "limit", "limits"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.errors.update(other.errors)


class Timeline:
    """Bins of time by their number; those in which nothing happened are not kept."""

    def __init__(self) -> None:
        self.width = _FIRST_BIN_SECONDS
        self.origin = 0.0
        self.moments: dict[int, Moment] = {}

    def at(self, time: float) -> Moment:
        """The bin of a time in Unix seconds."""
        if not self.moments:
            self.origin = math.floor(time)
        number = math.floor((time - self.origin) / self.width)
        moment = self.moments.get(number)
        if moment is None:
            moment = self.moments[number] = Moment()
            while len(self.moments) > MOST_BINS:
                self.widen()
            return self.moments[math.floor((time - self.origin) / self.width)]
        return moment

    def widen(self) -> None:
        """Make the bins twice as wide."""
        self.width *= 2
        merged: dict[int, Moment] = {}
        for number, moment in self.moments.items():
            if (into := merged.get(number // 2)) is None:
                merged[number // 2] = moment
            else:
                into.add(moment)
        self.moments = merged


class BoundedNames:
    """At most `MOST_NAMES` names with something for each; the rest go by `OTHER`."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def of(self, name: object) -> str:
        """The name to count by."""
        given = str(name)
        known = self._known.get(given)
        if known is not None:
            return known
        if len(self._known) >= MOST_NAMES:
            return OTHER
        self._known[given] = shorten(given, _LONGEST_NAME) or "(no name)"
        return self._known[given]


def shorten(text: str, longest: int) -> str:
    """The beginning of somebody else's text, in one line, without what turns or hides letters."""
    words = " ".join(text[: 2 * longest].split())
    whole = "".join(letter if letter.isprintable() else "\ufffd" for letter in words)
    return whole if len(whole) <= longest else whole[: longest - 1] + "…"


class Slot(NamedTuple):
    """A bin as it is drawn: where it begins (seconds), what happened in it, and the mean number in flight."""

    start: float
    moment: Moment
    in_flight: float


class TimelineCut(NamedTuple):
    """A cut in the time that is drawn: where, and how many seconds are left out."""

    start: float
    seconds: float


def laid_out(timeline: Timeline, records: int) -> tuple[list[Slot], list[TimelineCut]]:
    """The bins in order, wide enough to have some records each, with the empty ones between them; long pauses are cut.

    It makes the timeline's bins wider where that is needed.
    """
    most = min(MOST_DRAWN_BINS, max(LEAST_DRAWN_BINS, records / RECORDS_PER_BIN))
    while len(timeline.moments) > 1 and _drawn(timeline) > most:
        timeline.widen()
    slots: list[Slot] = []
    pauses: list[TimelineCut] = []
    carried, at = 0, 0
    numbers = sorted(timeline.moments)
    for number, following in zip(numbers, [*numbers[1:], None], strict=True):
        moment = timeline.moments[number]
        slots.append(Slot(at * timeline.width, moment, _in_flight(timeline, number, carried)))
        carried += moment.started - moment.ended
        at += 1
        gap = 0 if following is None else following - number - 1
        if carried <= 0 and gap > _CUT_ABOVE_BINS:
            pauses.append(TimelineCut((at + _CUT_BINS / 2) * timeline.width, gap * timeline.width))
            gap = _CUT_BINS
        for _ in range(gap):
            slots.append(Slot(at * timeline.width, Moment(), float(max(0, carried))))
            at += 1
    return slots, pauses


def places(timeline: Timeline, times: Iterable[float]) -> list[float]:
    """Where these times, at each of which something happened, are in what `laid_out` gives."""
    at, carried, starts = 0, 0, dict[int, int]()
    numbers = sorted(timeline.moments)
    for number, following in zip(numbers, [*numbers[1:], None], strict=True):
        starts[number] = at
        carried += timeline.moments[number].started - timeline.moments[number].ended
        gap = 0 if following is None else following - number - 1
        at += 1 + (_CUT_BINS if carried <= 0 and gap > _CUT_ABOVE_BINS else gap)
    found = ((time - timeline.origin) / timeline.width for time in times)
    return [(starts[math.floor(one)] + one % 1) * timeline.width for one in found if math.floor(one) in starts]


def _drawn(timeline: Timeline) -> int:
    """How many bins would be drawn."""
    drawn, carried = 1, 0
    for number, following in pairwise(sorted(timeline.moments)):
        moment = timeline.moments[number]
        carried += moment.started - moment.ended
        gap = following - number - 1
        drawn += 1 + (_CUT_BINS if carried <= 0 and gap > _CUT_ABOVE_BINS else gap)
    return drawn


def _in_flight(timeline: Timeline, number: int, carried: int) -> float:
    """The mean over a bin, exactly: whoever starts in it is there until its end, whoever ends in it no more."""
    moment, end = timeline.moments[number], (number + 1) * timeline.width
    began = moment.started * end - moment.started_at
    over = moment.ended * end - moment.ended_at
    return max(0.0, carried + (began - over) / timeline.width)
