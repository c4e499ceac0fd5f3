"""How the requests of many calls are held back together: what the engine asks before each attempt, and tells after.

Words alone: who paces, and how, is not known here. A call that nobody paces has none of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ..errors import HeadwaterError


class AttemptPermit(Protocol):
    """One attempt that may be made. It is told how the attempt ended, unless that was cancelled."""

    def answered(self, headers: Mapping[str, str], seconds: float, now: float) -> None:
        """The provider answered (a stream: with its first event), after so many seconds; `now` is the event loop's
        time."""
        ...

    def failed(self, error: HeadwaterError, seconds: float) -> bool:
        """The attempt failed. True: the next one is held back by the pace itself, so the retry budget need not."""
        ...


class Throttle(Protocol):
    """Holds back the attempts of a call."""

    def ready(self, provider: str) -> AttemptPermit | None:
        """Leave that is given without waiting, as it mostly is; None: `admit` must be asked."""
        ...

    async def admit(self, provider: str) -> AttemptPermit:
        """Wait until the provider may be sent a request; the call's deadline runs meanwhile."""
        ...
