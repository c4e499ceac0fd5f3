"""A call as values: what is asked for (a request), where it goes (a destination), how it is done there (a plan), and
what is known when it is over (facts)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from ..auth.credentials import Credentials
from ..errors import Attempt
from ..protocol.flow import Call, Flow, TaskFlow, Wanted
from ..protocol.timeout import DEFAULT_TIMEOUT, Timeout
from ..protocol.transport import Transport
from ..protocol.url import Url
from .failover import FailoverPlan
from .retry import Retries

if TYPE_CHECKING:
    from ..cost.meter import CallMeter
    from ..cost.price import Cost
    from ..responses.quota import RateLimits
    from .throttle import Throttle

Outcome: TypeAlias = 'Literal["complete", "error", "truncated", "cancelled", "detached", "unknown"]'
"""How a run ended. `cancelled`: left early, and the far side knows; `detached`: left early, its job goes on;
`unknown`: left early, and the far side did not say."""


def _nothing() -> Flow[Any]:
    yield from ()


NO_FLOW: Final = _nothing()
"""Of a call that has none (any more)."""
NOBODY: Final[frozenset[str]] = frozenset()


class Plan(msgspec.Struct, kw_only=True):
    """One call, ready to run; `keys` names the environment variables of the provider's key, for messages.

    `flow` is let go of once its stream, which is its last step, is open. `timeout`: the call's limits; `own`: those of
    this provider alone, in their place. `transport`: what carries its requests, where it has one of its own.
    `sleepers`: origins of servers that scale to zero. `cached`: the answer was kept from an earlier call. The defaults
    are a call that was not prepared yet.
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
    transport: Callable[[Url], Transport] | None = None
    sleepers: frozenset[str] = NOBODY
    cached: bool = False


UNPREPARED: Final = Plan(task="")


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """Where one task with one model goes, and what its requests carry.

    `requested_model`: the model as the caller named it, and `model` its id there. `provider`: the provider's name, and
    `name` the one in facts and errors, which is numbered where a list has the provider twice. `timeout` and
    `transport`: the limits of this place alone, and what carries its requests, where that is not the client's.
    `done_ends`: whether an end marker alone ends a whole stream there.
    `sleepers`: the origin, where the server there scales to zero.
    """

    provider: str
    name: str
    requested_model: str | None
    flow: TaskFlow
    credentials: Credentials
    base: str
    hub: str
    model: str | None = None
    url: str | None = None
    routed: bool = False
    keys: tuple[str, ...] = ()
    timeout: Timeout | None = None
    transport: Callable[[Url], Transport] | None = None
    done_ends: bool = False
    sleepers: frozenset[str] = NOBODY


class CallRequest(msgspec.Struct, kw_only=True):
    """The arguments of one call, whoever performs it. `task` is its name on the Hub, and `model` what the call names.

    `destination(index)` says where the call goes from that place in the caller's list, at once where that is known, and
    `failover` who may be asked in turn (default: the first one alone). `parameters` are the task's own, `extra` what
    else its body has, `wanted` what OpenAI's words ask for, `typed` makes of a provider's flow one whose result is of a
    type; `headers` and `query` go with its requests besides the
    client's. `hedge_after`: the seconds after which a second attempt is worth its price. `throttle` holds the attempts
    back. `around` makes of a provider's flow what is asked and done before and after it; `meter` counts what the call
    costs. `show` makes of an event what the caller sees, and `elements` are the events that are handed over, at its
    end, of a result that came in one. `tells_of_loading`: its reader takes `Loading` for an event.
    """

    task: str
    destination: Callable[[int], Destination | Awaitable[Destination]]
    model: str | None = None
    parameters: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    wanted: Wanted | None = None
    typed: Callable[[TaskFlow, Call], Flow[Any]] | None = None
    stream: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    timeout: Timeout = DEFAULT_TIMEOUT
    retries: Retries = Retries()
    failover: FailoverPlan | None = None
    hedge_after: float | None = None
    throttle: Throttle | None = None
    around: Callable[[TaskFlow, Destination], TaskFlow] | None = None
    meter: CallMeter | None = None
    show: Callable[[Any], Any] | None = None
    elements: Callable[[Any], list[Any]] | None = None
    tells_of_loading: bool = False

    def plan(self, there: Destination) -> Plan:
        """How the call is done at this destination."""
        call = Call(
            task=self.task,
            parameters=self.parameters.copy(),  # a flow adds what its provider wants
            provider=there.provider,
            base=there.base,
            model=there.model,
            hub_id=there.requested_model,
            routed=there.routed,
            url=there.url,
            done_ends=there.done_ends,
            extra=self.extra,
            stream=self.stream,
            hub=there.hub,
            seconds=self.timeout.total,
            wanted=self.wanted,
        )
        credentials = there.credentials
        flow = there.flow if self.typed is None else partial(self.typed, there.flow)
        if self.around is not None:
            flow = self.around(flow, there)
        return Plan(
            task=self.task,
            provider=there.name,
            model=there.requested_model,
            flow=flow(call),
            credentials=credentials.with_more(self.headers, self.query) if self.headers or self.query else credentials,
            keys=there.keys,
            timeout=self.timeout,
            own=there.timeout,
            transport=there.transport,
            sleepers=there.sleepers,
            retries=self.retries,
        )


class Timings(msgspec.Struct, frozen=True, gc=False):
    """Seconds from the call's start; None for what did not happen (yet)."""

    answered: float | None = None
    first_event: float | None = None
    total: float | None = None


class Facts(msgspec.Struct, frozen=True):
    """How a result came about; `headers` are the answer's, by lower-case name.

    `hedged`: whether a second attempt was started beside a slow first one. `attempts` has both, and says of the one
    that was given up that it was `cancelled`, and after how many seconds. A provider that was passed over, because it
    is said to lack what the call needs, is among them with the number 0.

    `cost`: what the call cost, where its price is known; None where the client has no prices, and for what was not
    made. `cached`: the answer is one that the client's cache had kept.
    """

    provider: str
    model: str | None
    request_id: str | None
    attempts: tuple[Attempt, ...]
    headers: dict[str, str]
    timings: Timings
    hedged: bool = False
    cost: Cost | None = None
    cached: bool = False

    @property
    def limits(self) -> RateLimits:
        """The rate limits that the answer's headers tell of; read when this is asked for."""
        from ..responses.quota import rate_limits

        return rate_limits(self.headers)
