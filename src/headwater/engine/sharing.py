"""What the calls of one client share. It holds no call and does nothing by itself."""

from __future__ import annotations

from collections.abc import Callable

from ..wire import Transport, Url
from .cache import Cache
from .inputs import DEFAULT as POLICY
from .inputs import InputPolicy
from .retry import Quota


class Engine:
    """What the calls of one client share: its transports, its cache, its retry quotas.

    `transport` gives what carries requests to a URL, `assets` what carries downloads (default: the same). `policy`
    says what may be read and downloaded. `real_waits` False lets backoff and polling take no time.
    """

    __slots__ = ("assets", "cache", "policy", "quotas", "real_waits", "transport")

    def __init__(
        self,
        transport: Callable[[Url], Transport],
        *,
        assets: Callable[[Url], Transport] | None = None,
        policy: InputPolicy = POLICY,
        real_waits: bool = True,
    ) -> None:
        self.transport = transport
        self.assets = assets or transport
        self.policy = policy
        self.real_waits = real_waits
        self.cache = Cache()
        self.quotas: dict[str, Quota] = {}

    def quota(self, provider: str) -> Quota:
        """The provider's retry quota."""
        return self.quotas.setdefault(provider, Quota())
