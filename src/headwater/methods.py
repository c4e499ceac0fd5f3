"""A method that has an asynchronous and a blocking face and is no task: written once, as an async function.

Its first argument is the client, or another object of either kind. No call is prepared here.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ClassVar, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from .engine.run import AsyncRun
from .portal import Run, call

P = ParamSpec("P")
R = TypeVar("R")


class Asynchronous:
    """What has its methods as coroutine functions."""

    asynchronous: ClassVar[bool] = True


class Blocking:
    """What has its methods as functions that block."""

    asynchronous: ClassVar[bool] = False


class Method(Generic[P, R]):
    """A row of a class of both kinds: `health_check = Method(health_check)`."""

    def __init__(self, function: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    @overload
    def __get__(self, owner: None, kind: type[Any]) -> Self: ...
    @overload
    def __get__(self, owner: Asynchronous, kind: type[Any]) -> Callable[P, Coroutine[Any, Any, R]]: ...
    @overload
    def __get__(self, owner: Blocking, kind: type[Any]) -> Callable[P, R]: ...
    def __get__(self, owner: Any, kind: type[Any]) -> Any:
        if owner is None:
            return self
        function = self._function

        @wraps(function)
        def bound(*args: Any, **kwargs: Any) -> Any:
            return function(owner, *args, **kwargs)

        @wraps(function)
        def blocking(*args: Any, **kwargs: Any) -> Any:
            result = call(lambda: function(owner, *args, **kwargs))
            return Run(result) if isinstance(result, AsyncRun) else result

        return bound if owner.asynchronous else blocking
