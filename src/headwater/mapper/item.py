"""How one input is performed: by a task of a client, as a plain call or a stream, or by any async function.

It knows neither workers nor limits; a worker's throttle goes into the client that it asks with.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec
from anyio import current_effective_deadline, current_time, get_cancelled_exc_class

from ..engine.facts import Timings
from ..errors import Attempt, HeadwaterError, InvalidParameterError, cancelled_elsewhere
from ..protocol.transport import FOREVER
from ..tasks.declaration import Bound, given_of
from ..tasks.output import Output
from ..throttle.scheduler import ItemThrottle

if TYPE_CHECKING:
    from ..client.base import Client

C = TypeVar("C", bound="Client")


class Done(msgspec.Struct):
    """What came of it."""

    value: Any
    error: Exception | None
    attempts: tuple[Attempt, ...]
    timings: Timings
    provider: str


class Performer(Protocol):
    """Performs inputs one after the other; `first`: the provider that the item begins with."""

    async def __call__(self, item: Any, first: str) -> Done: ...


def arguments(item: Any, parameters: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call: a mapping's are keyword arguments, anything else is the first."""
    return ((), {**parameters, **item}) if isinstance(item, Mapping) else ((item,), dict(parameters))


class Tasks:
    """Inputs of a client's task."""

    def __init__(self, task: Bound[Any, Any, Any], stream: bool, parameters: Mapping[str, Any], timeout: Any) -> None:
        self._task = task
        self._stream = stream
        self._parameters = parameters
        self._client: Client = _limited(task._client, timeout)

    @property
    def providers(self) -> tuple[str, ...]:
        """Who may be asked, where there is a choice."""
        return choice_of(self._client)

    def performer(self, throttle: ItemThrottle) -> Performer:
        """What performs the items of this throttle's worker."""
        several = bool(self.providers)
        # One client for all workers, which each request finds in the processor's cache; unless each has its own order.
        client = paced(self._client, throttle) if several else self._client
        engine = client._engine
        declaration, streams = self._task.declaration, self._stream
        first_name, common = declaration.positional[0], given_of(self._parameters)
        alike = list | str if first_name not in common else ()

        async def perform(item: Any, first: str) -> Done:
            if several:
                engine.order = throttle.scheduler.in_order(first)
            run = value = error = None
            try:
                if isinstance(item, alike):  # nearly all are: what goes with every call was looked at once
                    given = declaration.checked({first_name: item, **common})
                else:
                    args, kwargs = arguments(item, self._parameters)
                    given = declaration.bind(args, kwargs)
                run = client._start(declaration, given, stream=streams or bool(given.get("stream")), throttle=throttle)
                value = await run.result()
            except BaseException as failure:  # noqa: BLE001 - `own` raises what is not the item's
                error = own(failure)
            if run is None:
                return Done(None, error, (), Timings(), "")
            facts = value.facts if isinstance(value, Output) else None
            if facts is not None:
                return Done(value, error, facts.attempts, facts.timings, facts.provider)
            return Done(value, error, run.attempts, run.timings, run.provider)

        return perform


class Functions:
    """Inputs of any async function; each is one attempt, and its failures count as the provider's would."""

    providers: tuple[str, ...] = ()

    def __init__(self, function: Callable[..., Awaitable[Any]], parameters: Mapping[str, Any], timeout: object) -> None:
        if timeout is not None:
            raise InvalidParameterError("timeout is for the client's own tasks; a function brings its own limits")
        self._function = function
        self._parameters = parameters

    def performer(self, throttle: ItemThrottle) -> Performer:
        """What performs the items of this throttle's worker."""

        async def perform(item: Any, first: str) -> Done:
            permit = throttle.ready(first) or await throttle.admit(first)

            async def call() -> Any:
                args, kwargs = arguments(item, self._parameters)
                return await self._function(*args, **kwargs)

            done = await _done(call)
            seconds = done.timings.total or 0.0
            if isinstance(done.error, HeadwaterError):
                permit.failed(done.error, seconds)
            elif done.error is None:
                permit.answered({}, seconds)
            return done

        return perform


async def _done(call: Callable[[], Awaitable[Any]]) -> Done:
    """What came of a call of which no more is known than its value or its error."""
    began, value, error = current_time(), None, None
    try:
        value = await call()
    except BaseException as failure:  # noqa: BLE001 - `own` raises what is not the item's
        error = own(failure)
    timings = Timings(total=current_time() - began)
    return Done(value, error, getattr(error, "attempts", ()), timings, getattr(error, "provider", None) or "")


def uncancelled(error: BaseException) -> BaseException:
    """The error; a cancellation that is none of the map's own is made one, and the map's own is raised."""
    if isinstance(error, Exception) or not isinstance(error, get_cancelled_exc_class()):
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


def choice_of(client: Client) -> tuple[str, ...]:
    """The providers that a client may ask, where it has several."""
    names = tuple(dict.fromkeys(client._router.names))
    return names if len(names) > 1 else ()


def _limited(client: Client, timeout: Any) -> Client:
    return client if timeout is None else client.with_options(timeout=timeout)


def paced(client: C, throttle: ItemThrottle) -> C:
    """The client with this throttle; it shares all the rest."""
    client = copy.copy(client)
    client._engine = copy.copy(client._engine)
    client._engine.throttle = throttle
    return client


Work = Tasks | Functions


def work_of(client: Any, call: Any, parameters: Mapping[str, Any], timeout: Any) -> Work:
    """What is to be done with each input. Raises `InvalidParameterError` for what cannot be called for it."""
    asynchronous: bool = client.asynchronous
    if isinstance(call, functools.partial) and isinstance(call.func, Bound) and not call.args:
        call, parameters = call.func, {**call.keywords, **parameters}
    task: Any = call
    stream = False
    if getattr(call, "__name__", "") == "stream" and isinstance(getattr(call, "__self__", None), Bound):
        task, stream = task.__self__, True
    if isinstance(task, Bound):
        if task._client.asynchronous is not asynchronous:
            raise InvalidParameterError("map takes tasks of its own kind of client: async with async, sync with sync")
        return Tasks(task, stream, parameters, timeout)
    if not asynchronous:
        raise InvalidParameterError("map takes a task of this client, such as client.chat_completion, or its .stream")
    if not callable(call):
        raise InvalidParameterError("map takes a task of the client, or an async function")
    return Functions(task, parameters, timeout)
