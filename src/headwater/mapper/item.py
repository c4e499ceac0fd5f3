"""How one input is performed: by a task of a client, as a plain call or a stream, or by any async function.

It knows neither workers nor limits, and no client: what makes a task's calls is a `Caller`, which each call gives its
throttle.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, Self

import msgspec
from anyio import current_effective_deadline, current_time

from ..engine.driver import CallDriver
from ..engine.event_loop import is_cancellation
from ..engine.facts import Timings
from ..engine.failover import Order
from ..engine.run import AsyncRun
from ..engine.throttle import Throttle
from ..errors import Attempt, HeadwaterError, InvalidParameterError, cancelled_elsewhere
from ..protocol.transport import FOREVER
from ..tasks.declaration import Bound, Declaration, given_of
from ..tasks.output import Output
from ..throttle.scheduler import ItemThrottle

if TYPE_CHECKING:
    from ..cost.budget import Budget


class Caller(Protocol):
    """Makes calls of tasks: the core of a client."""

    @property
    def providers(self) -> tuple[str, ...]:
        """The names of the providers that may be asked, where there are several."""
        ...

    def item(
        self,
        declaration: Declaration[Any, Any, Any],
        given: dict[str, Any],
        *,
        stream: bool,
        throttle: Throttle,
        order: Order | None = None,
    ) -> AsyncRun[Any, Any] | CallDriver:
        """What makes the call of a task, each of whose attempts asks `throttle` first, and providers in this order."""
        ...

    def with_options(self, **changes: Any) -> Self:
        """The caller with other options."""
        ...

    def with_budget(self, budget: Budget | int | None) -> Self:
        """The caller whose calls spend this budget besides its own."""
        ...


class ItemOutcome(msgspec.Struct):
    """What came of one item."""

    value: Any
    error: Exception | None
    attempts: tuple[Attempt, ...]
    timings: Timings
    provider: str


def item_arguments(item: Any, parameters: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call: a mapping's are keyword arguments, anything else is the first."""
    return ((), {**parameters, **item}) if isinstance(item, Mapping) else ((item,), dict(parameters))


class TaskItem:
    """How the inputs of a client's task are performed."""

    def __init__(
        self, task: Bound[Any, Any, Any], stream: bool, parameters: Mapping[str, Any], timeout: Any, budget: Any = None
    ) -> None:
        declaration = task.declaration
        self._declaration = declaration
        self._stream = stream
        self._name = declaration.positional[0]
        self._parameters = given_of(parameters)
        self._alike = (list, str) if self._name not in self._parameters else ()
        caller: Caller = task.caller
        caller = caller if timeout is None else caller.with_options(timeout=timeout)
        self._caller = caller if budget is None else caller.with_budget(budget)
        self.providers = self._caller.providers

    async def perform(self, item: Any, first: str, throttle: ItemThrottle) -> ItemOutcome:
        """Make the call of one item, which begins with the provider `first`."""
        order = throttle.scheduler.in_order(first) if self.providers else None
        declaration = self._declaration
        call = value = error = None
        try:
            if isinstance(item, self._alike):  # nearly all are: what goes with every call was looked at once
                given = declaration.checked({self._name: item, **self._parameters})
            else:
                args, kwargs = item_arguments(item, self._parameters)
                given = declaration.bind(args, kwargs)
            streams = self._stream or bool(given.get("stream"))
            call = self._caller.item(declaration, given, stream=streams, throttle=throttle, order=order)
            value = await call.result()
        except BaseException as failure:  # noqa: BLE001 - `own` raises what is not the item's
            error = own(failure)
        if call is None:
            return ItemOutcome(None, error, (), Timings(), "")
        facts = (value.facts if isinstance(value, Output) else None) or call.facts
        return ItemOutcome(value, error, facts.attempts, facts.timings, facts.provider)


class FunctionItem:
    """How the inputs of an async function are performed: each is one attempt, whose failure counts as a provider's."""

    providers: tuple[str, ...] = ()

    def __init__(self, function: Callable[..., Awaitable[Any]], parameters: Mapping[str, Any], timeout: object) -> None:
        if timeout is not None:
            raise InvalidParameterError("timeout is for the client's own tasks; a function brings its own limits")
        self._function = function
        self._parameters = parameters

    async def perform(self, item: Any, first: str, throttle: ItemThrottle) -> ItemOutcome:
        """Await the function's result for one item."""
        permit = throttle.ready(first) or await throttle.admit(first)

        async def call() -> Any:
            args, kwargs = item_arguments(item, self._parameters)
            return await self._function(*args, **kwargs)

        outcome = await _outcome(call)
        seconds = outcome.timings.total or 0.0
        if isinstance(outcome.error, HeadwaterError):
            permit.failed(outcome.error, seconds)
        elif outcome.error is None:
            permit.answered({}, seconds)
        return outcome


async def _outcome(call: Callable[[], Awaitable[Any]]) -> ItemOutcome:
    """What came of a call of which no more is known than its value or its error."""
    began, value, error = current_time(), None, None
    try:
        value = await call()
    except BaseException as failure:  # noqa: BLE001 - `own` raises what is not the item's
        error = own(failure)
    timings = Timings(total=current_time() - began)
    return ItemOutcome(value, error, getattr(error, "attempts", ()), timings, getattr(error, "provider", None) or "")


def uncancelled(error: BaseException) -> BaseException:
    """The error; a cancellation that is none of the map's own is made one, and the map's own is raised."""
    if isinstance(error, Exception) or not is_cancellation(error):
        return error
    if current_effective_deadline() == -FOREVER:
        raise error
    return cancelled_elsewhere(error)


def own(error: BaseException) -> Exception:
    """The error that an item has failed with, whatever it is; what ends the map, or the program, is raised."""
    found = uncancelled(error)
    if isinstance(found, Exception):
        return found
    raise found


Work = TaskItem | FunctionItem


def work_of(call: Any, parameters: Mapping[str, Any], timeout: Any, budget: Any = None, *, asynchronous: bool) -> Work:
    """What is to be done with each input of a map, of an asynchronous client or a blocking one.

    Raises `InvalidParameterError` for what cannot be called for an input.
    """
    if isinstance(call, functools.partial) and isinstance(call.func, Bound) and not call.args:
        call, parameters = call.func, {**call.keywords, **parameters}
    task: Any = call
    stream = False
    if getattr(call, "__name__", "") == "stream" and isinstance(getattr(call, "__self__", None), Bound):
        task, stream = task.__self__, True
    if isinstance(task, Bound):
        if task.asynchronous is not asynchronous:
            raise InvalidParameterError("map takes tasks of its own kind of client: async with async, sync with sync")
        return TaskItem(task, stream, parameters, timeout, budget)
    if not asynchronous:
        raise InvalidParameterError("map takes a task of this client, such as client.chat_completion, or its .stream")
    if not callable(call):
        raise InvalidParameterError("map takes a task of the client, or an async function")
    if budget is not None:
        raise InvalidParameterError("budget is for the client's own tasks; give it to the client that a function uses")
    return FunctionItem(task, parameters, timeout)
