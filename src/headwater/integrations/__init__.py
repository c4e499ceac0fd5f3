"""Places where a client is used: web backends (`sse`, `starlette`), Ray Data (`ray`), and other clients' transports
(`httpx`, `httpx2`). Nothing is imported here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["require_extra"]


@contextmanager
def require_extra(name: str, *packages: str) -> Iterator[None]:
    """Imports of packages that this extra of headwater brings: where one is missing, the error names the extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in packages:
            raise
        told = f'{missing} is needed for this, and is not installed: pip install "headwater[{name}]"'
        raise ModuleNotFoundError(told, name=error.name) from error
