"""Leave to make one attempt at a provider, as its limiter remembers it. Pure: the clock is the caller's."""

from __future__ import annotations


class LimiterPermit:
    """One attempt.

    `number`: which of all attempts it is, from 1. `in_flight`: how many there were with it when it was sent. `is_full`:
    whether no more were allowed then. `sent_at`: seconds. `cost`: the tokens that it was thought to use. `is_held`: not
    released yet. `is_settled`: its answer, or its failure, was counted.
    """

    # What one begins with is the class's, so that making one, as each item of a map does, costs less.
    number = 0
    in_flight = 0
    is_full = False
    sent_at = 0.0
    cost = 0.0
    is_held = True
    is_settled = False
