"""One burst of refusals: from the first one until a request that was sent after it is accepted.

    refused ──▶ round 1 ──▶ a request that was sent later is refused as well ──▶ round 2 ──▶ ... ──▶ one is accepted
                 │  all that were on their way when it began count with it, once                        │
                 └── about the number, or about time          from round 2 on: about time               └── over

Pure: no clock, no waiting, no provider.
"""

from __future__ import annotations

from ..protocol.transport import FOREVER


class Episode:
    """What is known of one burst.

    `began`: when. `limit_before`: the concurrency limit at that time. `is_about_number`: fewer at once is all that it
    asks for; else it is about time, and everybody waits. `rounds`: refusals in a row, each of a request that was sent
    after the one before it had come. `refused`: refusals in all. `fewest_in_flight`: with how few there was one.
    `refused_sent_at`: when the last refused request was sent. `teaches_rate`: each was the provider's own word, no
    lost connection, and none ends what was taken for random. `has_retry_after`: the provider said when to come again,
    and it was believed. `probe_sent_at`: when the first request of the last round's pause went. `is_given_up`: it has
    lasted so long that calls may fail.
    """

    __slots__ = (
        "began",
        "fewest_in_flight",
        "has_retry_after",
        "is_about_number",
        "is_given_up",
        "limit_before",
        "probe_sent_at",
        "refused",
        "refused_sent_at",
        "rounds",
        "teaches_rate",
    )

    def __init__(self, began: float, limit_before: float, *, is_about_number: bool) -> None:
        self.began = began
        self.limit_before = limit_before
        self.is_about_number = is_about_number
        self.rounds = 1
        self.refused = 0
        self.fewest_in_flight = FOREVER
        self.refused_sent_at = began
        self.teaches_rate = True
        self.has_retry_after = False
        self.probe_sent_at = began
        self.is_given_up = False

    def begin_round(self) -> None:
        """Note that a request which was sent after the last refusal was refused as well: it is about time."""
        self.rounds += 1
        self.is_about_number = False

    def add(self, sent_at: float, *, teaches_rate: bool) -> None:
        """Count a refusal, of a request that was sent at this time."""
        self.refused += 1
        self.refused_sent_at = sent_at
        self.teaches_rate = self.teaches_rate and teaches_rate
