"""A declared task as a method of both clients: the descriptor, and what it gives on each.

`client.text_to_image(...)` is the plain call, `client.text_to_image.stream(...)` the same as a run. Types, names and
documentation are the declaration's. No call is prepared or performed here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from functools import cached_property, partial
from types import MethodType
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, Final, Generic, ParamSpec, Self, TypeVar, overload

from ..blocking.portal import call
from ..blocking.run import Run
from ..engine.run import AsyncRun
from ..tasks.declaration import Bound, Declaration, SignatureOfDeclaration, is_not_given
from ..tasks.type_hints import LazyAnnotations, method_hints
from .core import ClientCore, core_of

P = ParamSpec("P")
R = TypeVar("R")

BOUND: Final = "_bound_tasks"
"""What a client keeps its tasks and namespaces under, once they were asked for."""


class Asynchronous:
    """What has its methods as coroutine functions."""

    asynchronous: ClassVar[bool] = True


class Blocking:
    """What has its methods as functions that block."""

    asynchronous: ClassVar[bool] = False


async def _coroutine_function() -> None: ...


class CoroutineFunction:
    """An object that `inspect.iscoroutinefunction` takes for a coroutine function, and frameworks with it.

    That function looks at the code of whatever has all that a function has, on every Python from 3.11:
    https://docs.python.org/3/library/inspect.html#inspect.iscoroutinefunction
    """

    __code__ = _coroutine_function.__code__
    __defaults__ = None
    __kwdefaults__ = None

    def __init__(self) -> None:
        self.__annotations__: dict[str, Any] = {}


def documented(
    function: Callable[..., Any],
    name: str,
    doc: str | None,
    signature: inspect.Signature,
    hints: Callable[[], dict[str, Any]],
) -> Any:
    """Give a function the name, documentation, signature and types that its caller is to see."""
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    function.__signature__ = signature  # type: ignore[attr-defined]
    function.__annotations__ = LazyAnnotations(hints)
    return function


class RawResponses:
    """An object of OpenAI's, whose calls also give the answer as it came."""

    __slots__ = ()

    @property
    def with_raw_response(self) -> Any:
        """The same methods, whose calls give a `RawResponse`: `.headers`, `.parse()`."""
        from .raw_response import RawNamespace

        return RawNamespace(self, streamed=False)

    @property
    def with_streaming_response(self) -> Any:
        """The same methods, whose calls are context managers: `with ...create(...) as response`."""
        from .raw_response import RawNamespace

        return RawNamespace(self, streamed=True)


class DualMethod(Generic[P, R]):
    """A coroutine function as a method of both kinds of class: `health_check = DualMethod(health_check)`.

    An `Asynchronous` class has it as it is, a `Blocking` one as a function that waits for its result. What OpenAI's
    client calls not given is not given.
    """

    def __init__(self, function: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self._name = name

    @cached_property
    def _signature(self) -> inspect.Signature:
        whole = inspect.signature(self._function)
        return whole.replace(parameters=list(whole.parameters.values())[1:])

    @overload
    def __get__(self, owner: None, kind: type[Any]) -> Self: ...
    @overload
    def __get__(self, owner: Asynchronous, kind: type[Any]) -> Callable[P, Coroutine[Any, Any, R]]: ...
    @overload
    def __get__(self, owner: Blocking, kind: type[Any]) -> Callable[P, R]: ...
    def __get__(self, owner: Any, kind: type[Any]) -> Any:
        asynchronous = getattr(kind, "asynchronous", None)
        if asynchronous is None:
            return self
        if owner is None:
            return self._function_of(asynchronous, self._signature)
        return MethodType(self._methods[0 if asynchronous else 1], owner)  # which can be copied and pickled

    @cached_property
    def _methods(self) -> tuple[Any, Any]:
        """What an `Asynchronous` class has under the name, and a `Blocking` one."""
        whole = inspect.signature(self._function)
        return self._function_of(True, whole), self._function_of(False, whole)

    def _function_of(self, asynchronous: bool, signature: inspect.Signature) -> Any:
        function: Callable[..., Coroutine[Any, Any, Any]] = self._function

        async def awaited(*args: Any, **kwargs: Any) -> Any:
            return await function(*args, **_given(kwargs))

        def blocking(*args: Any, **kwargs: Any) -> Any:
            result = call(lambda: function(*args, **_given(kwargs)))
            return Run(result) if isinstance(result, AsyncRun) else result

        return documented(
            awaited if asynchronous else blocking, self._name, self.__doc__, signature, partial(method_hints, function)
        )


def _given(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in kwargs.items() if not is_not_given(value)}


if TYPE_CHECKING:
    namespace = property
else:

    class namespace(property):  # noqa: N801 - a property to whoever reads it
        """A property whose value the class has too, for whoever looks at methods there: help, and mocks.

        Of a client it is one object, so that what a program, or a mock, puts into it stays there; and it may be
        replaced, as an attribute is.
        """

        def __set_name__(self, owner: Any, name: str) -> None:
            self._name = name

        def __get__(self, owner: Any, kind: Any = None) -> Any:
            if owner is None:
                return self.fget(kind)
            own = vars(owner)
            if self._name in own:
                return own[self._name]
            kept = own.setdefault(BOUND, {})
            found = kept.get(self)
            if found is None:
                found = self.fget(owner)
                if found is not owner:
                    found = kept.setdefault(self, found)  # several threads may have made one
            return found

        def __set__(self, owner: Any, value: Any) -> None:
            vars(owner)[self._name] = value

        def __delete__(self, owner: Any) -> None:
            if vars(owner).pop(self._name, self) is self:
                raise AttributeError(self._name)


E = TypeVar("E")


class AsyncTask(Bound[P, E, R], CoroutineFunction):
    """A task of `AsyncInferenceClient`."""

    asynchronous = True
    caller: ClientCore

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        return self.caller.call(self.declaration, args, kwargs)

    def stream(self, *args: P.args, **kwargs: P.kwargs) -> AsyncRun[E, R]:
        """The same call as a run: a context manager and an iterator of its events.

        They end with the result: its pieces as they come, the items of a list, or all of it.
        """
        return self.caller.stream(self.declaration, args, kwargs)


class SyncTask(Bound[P, E, R]):
    """A task of `InferenceClient`."""

    asynchronous = False
    caller: ClientCore

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        result: Any = call(self.caller.call, self.declaration, args, kwargs)
        return Run(result) if isinstance(result, AsyncRun) else result  # type: ignore[return-value]

    def stream(self, *args: P.args, **kwargs: P.kwargs) -> Run[E, R]:
        """The same call as a run: a context manager and an iterator of its events.

        They end with the result: its pieces as they come, the items of a list, or all of it.
        """
        return Run(self.caller.stream(self.declaration, args, kwargs))


class Task(Generic[P, E, R]):
    """A row of the clients: `text_to_image = Task(lambda: image_generation.text_to_image)`, asked when it is used."""

    bound_types: ClassVar[tuple[type[Any], type[Any]]] = (AsyncTask, SyncTask)
    """What it is on `AsyncInferenceClient`, and on `InferenceClient`."""

    __signature__ = SignatureOfDeclaration()

    def __init__(self, load: Callable[[], Declaration[P, E, R]]) -> None:
        self._load = load

    @cached_property
    def declaration(self) -> Declaration[P, E, R]:
        """What is declared of the task; its file is loaded by this."""
        return self._load()

    @overload
    def __get__(self, client: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, client: Asynchronous, owner: type[Any]) -> AsyncTask[P, E, R]: ...
    @overload
    def __get__(self, client: Blocking, owner: type[Any]) -> SyncTask[P, E, R]: ...
    def __get__(self, client: Any, owner: type[Any]) -> Any:
        if client is None:
            asynchronous = getattr(owner, "asynchronous", None)
            return self if asynchronous is None else self._functions[0 if asynchronous else 1]
        bound = client.__dict__.setdefault(BOUND, {})
        found = bound.get(self)
        if found is None:
            found = bound.setdefault(self, self._bound(client))
        return found

    @cached_property
    def _functions(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """What the two classes have under the task's name, for whoever looks at methods there: help, and mocks."""
        bound, declaration = self._bound, self.declaration

        async def asynchronous(client: Any, *args: Any, **kwargs: Any) -> Any:
            return await bound(client)(*args, **kwargs)

        def blocking(client: Any, *args: Any, **kwargs: Any) -> Any:
            return bound(client)(*args, **kwargs)

        def stream(client: Any, *args: Any, **kwargs: Any) -> Any:
            return bound(client).stream(*args, **kwargs)

        documented(stream, "stream", self.bound_types[0].stream.__doc__, declaration.signature, declaration.hints)
        for function in (asynchronous, blocking):
            documented(function, declaration.method, declaration.doc, declaration.signature, declaration.hints)
            vars(function).update(declaration=declaration, stream=stream)
        return asynchronous, blocking

    def _bound(self, client: Any) -> Any:
        bound = self.bound_types[0 if client.asynchronous else 1]
        return bound(self.declaration, core_of(client), type(client).__name__)
