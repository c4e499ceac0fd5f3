"""What the calls of one client share. It holds no call and does nothing by itself."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from ..protocol.transport import Transport
from ..protocol.url import Url
from .cache import Cache
from .failover import Health, Order, Turns
from .input_policy import DEFAULT as POLICY
from .input_policy import InputPolicy
from .retry import Hedges, Quota
from .throttle import Pace


class Engine:
    """What the calls of one client share: its transports, its cache, its quotas, what it knows of providers.

    `transport` gives what carries requests to a URL, `assets` what carries downloads (default: the same). `policy`
    says what may be read and downloaded. `largest`: the most decoded bytes of an answer, and of one event of a stream;
    None leaves it at what the request says. `real_waits` False lets backoff and polling take no time.

    `order` may be set, on a `copy.copy` that then shares all the rest: it is given the names of a call's routes (a
    provider's, or a URL's origin) and gives their places in the order in which to ask them. Whatever it says, a route
    whose breaker is open comes last. None: the list's order, and whoever worked last.
    `pace` may be set in the same way: it is asked before each attempt.
    """

    __slots__ = (
        "assets",
        "cache",
        "health",
        "hedges",
        "largest",
        "order",
        "pace",
        "policy",
        "quotas",
        "real_waits",
        "transport",
    )

    def __init__(
        self,
        transport: Callable[[Url], Transport],
        *,
        assets: Callable[[Url], Transport] | None = None,
        policy: InputPolicy = POLICY,
        largest: int | None = None,
        real_waits: bool = True,
    ) -> None:
        self.transport = transport
        self.assets = assets or transport
        self.policy = policy
        self.largest = largest
        self.real_waits = real_waits
        self.cache = Cache()
        self.quotas: dict[str, Quota] = {}
        self.hedges = Hedges()
        self.health = Health()
        self.order: Order | None = None
        self.pace: Pace | None = None

    def bound(self, limit: int) -> int:
        """The most decoded bytes of an answer to a request with this limit, and of one event of its stream."""
        return limit if self.largest is None else self.largest

    def quota(self, provider: str) -> Quota:
        """The provider's retry quota."""
        quota = self.quotas.get(provider)  # each attempt asks: a new one, with its lock, is made where there is none
        return self.quotas.setdefault(provider, Quota()) if quota is None else quota

    def turns(self, names: Sequence[str], key: Hashable) -> Turns | None:
        """The turns of one call, of the task and model that are its `key`; None where there is nobody to turn to."""
        return Turns(self.health, names, key, self.order) if len(names) > 1 else None
