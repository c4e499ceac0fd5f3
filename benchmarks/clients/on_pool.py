"""What the packages that stand on httpx2 send with: its own transport, and headwater's pool."""

import httpx2

from headwater.integrations.httpx2 import PoolTransport

# Keeping more than the default of idle connections makes httpx2's pool slower: it polls each one for each request.
LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=100)
TIMEOUT = httpx2.Timeout(600)


def on_own() -> httpx2.AsyncClient:
    """httpx2 as it is, without a limit of connections."""
    return httpx2.AsyncClient(limits=LIMITS, timeout=TIMEOUT, follow_redirects=True)


def on_pool() -> httpx2.AsyncClient:
    """The same on headwater's pool."""
    return httpx2.AsyncClient(transport=PoolTransport(), timeout=TIMEOUT, follow_redirects=True)
