"""How one input is performed: by a task of a client, as a plain call or a stream, or by any async function.

It knows neither workers nor limits, and no client: what makes a task's calls is a `Caller`, which each call gives its
throttle.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from anyio import current_effective_deadline

from ..engine.driver import CallDriver
from ..engine.event_loop import is_asyncios, is_cancellation
from ..engine.facts import Facts, Timings
from ..engine.failover import Order
from ..engine.run import AsyncRun
from ..engine.throttle import Throttle
from ..errors import HeadwaterError, InvalidParameterError, cancelled_elsewhere
from ..protocol.transport import FOREVER
from ..tasks.declaration import Bound, Declaration, given_of
from ..tasks.output import Output
from ..throttle.scheduler import ItemThrottle
from .results import MapResult

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

    def repeated(
        self, declaration: Declaration[Any, Any, Any], given: Mapping[str, Any], *, stream: bool
    ) -> Callable[[Any, Throttle], AsyncRun[Any, Any] | CallDriver | None] | None:
        """What makes the calls of items that differ from one with these arguments in the first argument alone, which it
        checks, until it makes none any more; None where more of each is its own."""
        ...

    def with_options(self, **changes: Any) -> Self:
        """The caller with other options."""
        ...

    def with_budget(self, budget: Budget | int | None) -> Self:
        """The caller whose calls spend this budget besides its own."""
        ...


NO_MAPPINGS: Final = (list, str)
"""Inputs that are no keyword arguments, as most are: asking them whether they are mappings costs more."""


def item_arguments(item: Any, parameters: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call: a mapping's are keyword arguments, anything else is the first."""
    if isinstance(item, Mapping) and not isinstance(item, Output):
        return (), {**parameters, **item}
    return (item,), dict(parameters)


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
        self._alike = NO_MAPPINGS if self._name not in self._parameters else ()
        caller: Caller = task.caller
        caller = caller if timeout is None else caller.with_options(timeout=timeout)
        self._caller = caller if budget is None else caller.with_budget(budget)
        self._streams = stream or bool(self._parameters.get("stream"))
        self._repeat: Callable[[Any, Throttle], AsyncRun[Any, Any] | CallDriver | None] | None = None
        self.providers = self._caller.providers

    async def perform(self, index: int, item: Any, throttle: ItemThrottle) -> MapResult[Any]:
        """Make the call of one item."""
        started = time.time()
        call: AsyncRun[Any, Any] | CallDriver | None = None
        value = error = None
        facts: Facts | None = None
        try:
            if self._repeat is not None and isinstance(item, self._alike):
                call = self._repeat(item, throttle)
            if call is None:
                call = self._call(item, throttle)
            value = await call.result()
            if isinstance(value, Output):
                facts = value.facts
        except BaseException as failure:  # noqa: BLE001 - `own` raises what is not the item's
            error = own(failure)
        if call is None:
            return MapResult(index=index, input=item, error=error, started=started)
        facts = facts or call.facts
        return MapResult(
            index=index,
            input=item,
            value=value,
            error=error,
            attempts=facts.attempts,
            timings=facts.timings,
            usage=getattr(value, "usage", None),
            provider=facts.provider,
            started=started,
        )

    def _call(self, item: Any, throttle: ItemThrottle) -> AsyncRun[Any, Any] | CallDriver:
        """The call of one item. Of its arguments those that go with every call were looked at once, and of nearly all
        items' calls the next ones may be repetitions."""
        declaration, caller = self._declaration, self._caller
        if isinstance(item, self._alike):
            given = {self._name: item, **self._parameters}
            checked = declaration.checked(given)
            self._repeat = caller.repeated(declaration, given, stream=self._streams) if checked is given else None
        else:
            args, kwargs = item_arguments(item, self._parameters)
            checked = declaration.bind(args, kwargs)
        order = throttle.scheduler.in_order(throttle.first) if self.providers else None
        streams = self._stream or bool(checked.get("stream"))
        return caller.item(declaration, checked, stream=streams, throttle=throttle, order=order)


class FunctionItem:
    """How the inputs of an async function are performed: each is one attempt, whose failure counts as a provider's."""

    providers: tuple[str, ...] = ()

    def __init__(self, function: Callable[..., Awaitable[Any]], parameters: Mapping[str, Any], timeout: object) -> None:
        if timeout is not None:
            raise InvalidParameterError("timeout is for the client's own tasks; a function brings its own limits")
        self._function = function
        self._parameters = parameters

    async def perform(self, index: int, item: Any, throttle: ItemThrottle) -> MapResult[Any]:
        """Await the function's result for one item: no more is known of it than that, or its error."""
        started = time.time()
        permit = throttle.ready(throttle.first) or await throttle.admit(throttle.first)
        began, value, error = throttle.scheduler.now(), None, None
        try:
            if isinstance(item, NO_MAPPINGS):
                value = await self._function(item, **self._parameters)
            else:
                args, kwargs = item_arguments(item, self._parameters)
                value = await self._function(*args, **kwargs)
        except BaseException as failure:  # noqa: BLE001 - `own` raises what is not the item's
            error = own(failure)
        now = throttle.scheduler.now()
        if isinstance(error, HeadwaterError):
            permit.failed(error, now - began)
        elif error is None:
            permit.answered({}, now - began, now)
        return MapResult(
            index=index,
            input=item,
            value=value,
            error=error,
            attempts=getattr(error, "attempts", ()),
            timings=Timings(total=now - began),
            usage=getattr(value, "usage", None),
            provider=getattr(error, "provider", None) or "",
            started=started,
        )


def uncancelled(error: BaseException) -> BaseException:
    """The error; a cancellation that is none of the map's own is made one, and the map's own is raised."""
    if isinstance(error, Exception):
        return error
    if not is_cancellation(error):
        return cancelled_elsewhere(error) if is_asyncios(error) else error
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
