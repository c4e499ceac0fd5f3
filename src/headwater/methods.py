"""A method that has an asynchronous and a blocking face and is no task: written once, as an async function.

Its first argument is the client, or another object of either kind; no signature shows it. The asynchronous face is a
coroutine function to whoever asks. No call is prepared here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from .engine.run import AsyncRun
from .portal import Run, call
from .tasks.declare import is_not_given

P = ParamSpec("P")
R = TypeVar("R")


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


def dressed(function: Callable[..., Any], name: str, doc: str | None, signature: inspect.Signature) -> Any:
    """The function, as which its caller is to see it."""
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    function.__signature__ = signature  # type: ignore[attr-defined]
    return function


class Method(Generic[P, R]):
    """A row of a class of both kinds: `health_check = Method(health_check)`.

    What OpenAI's client calls not given is not given.
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
        function: Callable[..., Coroutine[Any, Any, Any]] = self._function
        first = () if owner is None else (owner,)

        async def bound(*args: Any, **kwargs: Any) -> Any:
            return await function(*first, *args, **_given(kwargs))

        def blocking(*args: Any, **kwargs: Any) -> Any:
            result = call(lambda: function(*first, *args, **_given(kwargs)))
            return Run(result) if isinstance(result, AsyncRun) else result

        return dressed(bound if asynchronous else blocking, self._name, self.__doc__, self._signature)


def _given(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in kwargs.items() if not is_not_given(value)}


if TYPE_CHECKING:
    names = property
else:

    class names(property):  # noqa: N801 - a property to whoever reads it
        """A property whose value the class has too, for whoever looks at methods there: help, and mocks."""

        def __get__(self, owner: Any, kind: Any = None) -> Any:
            return self.fget(kind if owner is None else owner)
