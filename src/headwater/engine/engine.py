"""What the calls of one client share. It holds no call and does nothing by itself."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Final

from ..protocol.flow import MIB
from ..protocol.transport import Transport
from ..protocol.url import Url
from .failover import FailoverPlan, Health, Order
from .input_policy import DEFAULT_POLICY, InputPolicy
from .look_ups import LookUps
from .retry import HedgeBudget, RetryBudget

IN_THREAD_BYTES: Final = MIB
"""Larger files may stay on disk, and more bytes, of an input or an answer, are worked on in a worker thread."""


class Engine:
    """What the calls of one client share: its transports, its cache, its retry budgets, what it knows of providers.

    `transport` gives what carries requests to a URL. `policy` says what may be read and downloaded. `largest`: the most
    decoded bytes of an answer, and of one event of a stream; None leaves it at what the request says. `real_waits`
    False lets backoff and polling take no time. `counts_waits`: the seconds that these would have taken count against a
    call's deadlines all the same, as those of its recorded answers do: what was over in time is, and what was not is
    not. `spreads` False lets a wait before a retry be what it is on average, so that a recording decides as before.
    """

    __slots__ = (
        "cache",
        "counts_waits",
        "health",
        "hedge_budget",
        "largest",
        "policy",
        "real_waits",
        "retry_budgets",
        "spreads",
        "transport",
    )

    def __init__(
        self,
        transport: Callable[[Url], Transport],
        *,
        policy: InputPolicy = DEFAULT_POLICY,
        largest: int | None = None,
        real_waits: bool = True,
        counts_waits: bool = False,
        spreads: bool = True,
    ) -> None:
        self.transport = transport
        self.policy = policy
        self.largest = largest
        self.real_waits = real_waits
        self.counts_waits = counts_waits
        self.spreads = spreads
        self.cache = LookUps()
        self.retry_budgets: dict[str, RetryBudget] = {}
        self.hedge_budget = HedgeBudget()
        self.health = Health()

    def bound(self, limit: int) -> int:
        """The most decoded bytes of an answer to a request with this limit, and of one event of its stream."""
        return limit if self.largest is None else self.largest

    def retry_budget(self, provider: str) -> RetryBudget:
        """The provider's retry budget."""
        budget = self.retry_budgets.get(provider)  # each attempt asks: one, with its lock, is made where there is none
        return self.retry_budgets.setdefault(provider, RetryBudget()) if budget is None else budget

    def failover_plan(self, names: Sequence[str], key: Hashable, order: Order | None = None) -> FailoverPlan:
        """The turns of one call, of the task and model that are its `key`.

        `order` is given the names of the call's routes (a provider's, or a URL's origin) and gives their places in the
        order in which to ask them. Whatever it says, a route whose breaker is open comes last. None: the list's order,
        and whoever worked last.
        """
        return FailoverPlan(self.health, names, key, order)
