"""Refusals that come at random, however little is sent: fewer requests would not spare any.

A limit that is kept to refuses few: between two bursts of refusals ever more is answered, as it is found. Where bursts
go on to come after a few answers each, something else refuses, such as one broken machine of several behind a balancer.
Then refusals are *assumed* to be random, and hold nobody back, as long as not much more is refused than so far:

    bursts, less the answers between them ──── more than are thought of ────▶ assumed ◀──── and again, sooner or later
                       ▲                                                         │
                       └──── far more is refused, or all: it was a limit ────────┘

Pure arithmetic: no clock, no waiting, no provider. What it earns is simulated in tests/batch/test_limiter.py.
"""

from __future__ import annotations

from typing import Final

ANSWERS_PER_BURST: Final = 20.0
"""So many answers make up for a burst of refusals."""
BURSTS: Final = 6.0
"""Not made up for, after which refusals are assumed to be random; while a limit is being found there are up to five."""
BURSTS_AGAIN: Final = 3.0
"""The same where they were random before; and so many more each time that they turn out not to be."""
TRIAL_REQUESTS: Final = 64
"""Requests after which it was right to assume so."""
TRIAL_PART: Final = 0.5
"""The part of requests that may be refused at first."""
LEAST_PART: Final = 0.1
PART_FACTOR: Final = 1.5
"""After the trial: this times the part that was refused since it began, between `LEAST_PART` and `TRIAL_PART`."""
TRIAL_EXCESS: Final = 4.0
EXCESS: Final = 12.0
"""Refusals beyond that part, in a row: in the trial, and after it."""


class RandomRefusals:
    """Whether refusals are random, as far as their number says.

    `are_assumed`: whether they are thought to be, now.
    """

    __slots__ = ("_answered", "_began", "_bursts", "_excess", "_needed", "_refused", "_sent", "are_assumed")

    def __init__(self) -> None:
        self.are_assumed = False
        self._bursts = 0.0  # that answers have not made up for
        self._needed = BURSTS
        self._answered = 0  # until the last burst
        self._began = 0  # the last request that was sent before they were assumed; counted from here on:
        self._refused = 0
        self._sent = 0  # the last request that was sent when the last one was refused
        self._excess = 0.0

    def add_burst(self, sent: int, answered: int) -> bool:
        """Count a burst that is over, with so many requests sent and answered so far; whether there are too many."""
        self._bursts = max(0.0, self._bursts - (answered - self._answered) / ANSWERS_PER_BURST) + 1.0
        self._answered = answered
        self.are_assumed = self._bursts >= self._needed
        if self.are_assumed:
            self._began = self._sent = sent
            self._refused, self._excess = 0, 0.0
        return self.are_assumed

    def tolerates(self, sent: int) -> bool:
        """Count a refusal, with so many requests sent so far; whether it is one of as many as are to be expected."""
        self._refused += 1
        requests = sent - self._began
        part, most = TRIAL_PART, TRIAL_EXCESS
        if requests >= TRIAL_REQUESTS:
            part, most = min(TRIAL_PART, max(LEAST_PART, PART_FACTOR * self._refused / requests)), EXCESS
        self._excess = max(0.0, self._excess - part * (sent - self._sent)) + 1.0
        self._sent = sent
        return self._excess <= most

    def end(self, sent: int) -> bool:
        """Assume it no longer; whether they had been random for a time."""
        were_random = sent - self._began >= TRIAL_REQUESTS
        self._needed = BURSTS_AGAIN if were_random else self._needed + BURSTS_AGAIN
        self._bursts, self.are_assumed = 0.0, False
        return were_random
