"""Leave to make one attempt at a provider, as its limiter remembers it. Pure: the clock is the caller's."""

from __future__ import annotations


class LimiterPermit:
    """One attempt.

    `number`: which of all attempts it is, from 1. `in_flight`: how many there were with it when it was sent. `is_full`:
    whether no more were allowed then. `sent_at`: seconds. `cost`: the tokens that it was thought to use. `is_held`: not
    released yet. `is_settled`: its answer, or its failure, was counted. One that was released may be sent again: it is
    another attempt then.
    """

    __slots__ = ("cost", "in_flight", "is_full", "is_held", "is_settled", "number", "sent_at")

    def __init__(self) -> None:
        self.number = 0
        self.in_flight = 0
        self.is_full = False
        self.sent_at = 0.0
        self.cost = 0.0
        self.is_held = True
        self.is_settled = False
