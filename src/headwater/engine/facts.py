"""A call as values: what is asked for (a request), how it is done (a plan), what is known when it is over (facts)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, TypeAlias

import msgspec

from ..auth.credentials import Credentials
from ..errors import Attempt
from ..protocol.flow import Flow
from ..protocol.timeout import DEFAULT_TIMEOUT, Timeout
from .failover import FailoverPlan
from .retry import Retries
from .throttle import Throttle

Outcome: TypeAlias = Literal["complete", "error", "truncated", "cancelled", "detached", "unknown"]
"""How a run ended. `cancelled`: left early, and the far side knows; `detached`: left early, its job goes on;
`unknown`: left early, and the far side did not say."""


def _nothing() -> Flow[Any]:
    yield from ()


NO_FLOW: Final = _nothing()
"""Of a call that has none (any more)."""


class Plan(msgspec.Struct, kw_only=True):
    """One call, ready to run; `keys` names the environment variables of the provider's key, for messages.

    `flow` is let go of once its stream, which is its last step, is open. `timeout`: the call's limits; `own`: those of
    this provider alone, in their place. The defaults are a call that was not prepared yet.
    """

    task: str
    provider: str = ""
    model: str | None = None
    flow: Flow[Any] = msgspec.field(default_factory=lambda: NO_FLOW)
    credentials: Credentials = msgspec.field(default_factory=Credentials)
    timeout: Timeout = DEFAULT_TIMEOUT
    own: Timeout | None = None
    retries: Retries = Retries()
    keys: tuple[str, ...] = ()


UNPREPARED: Final = Plan(task="")


class CallRequest(msgspec.Struct, kw_only=True):
    """The arguments of one call, whoever performs it. `task` is what messages call it.

    `prepare(index)` gives the plan for the provider of that place in the caller's list, and `failover` says who may be
    asked in turn (default: the first one alone). `hedge_after`: the seconds after which a second attempt is worth its
    price. `throttle` holds the attempts back. `show` makes of an event what the caller sees,
    and `elements` are the events that are handed over, at its end, of a result that came in one.
    """

    task: str
    prepare: Callable[[int], Awaitable[Plan]]
    timeout: Timeout = DEFAULT_TIMEOUT
    failover: FailoverPlan | None = None
    hedge_after: float | None = None
    throttle: Throttle | None = None
    show: Callable[[Any], Any] | None = None
    elements: Callable[[Any], list[Any]] | None = None


class Timings(msgspec.Struct, frozen=True, gc=False):
    """Seconds from the call's start; None for what did not happen (yet)."""

    answered: float | None = None
    first_event: float | None = None
    total: float | None = None


class Facts(msgspec.Struct, frozen=True):
    """How a result came about; `headers` are the answer's, by lower-case name.

    `hedged`: whether a second attempt was started beside a slow first one. `attempts` has both, and says of the one
    that was given up that it was `cancelled`, and after how many seconds.
    """

    provider: str
    model: str | None
    request_id: str | None
    attempts: tuple[Attempt, ...]
    headers: dict[str, str]
    timings: Timings
    hedged: bool = False
