"""A declared task as a method of both clients: the descriptor, and what it gives on each.

`client.text_to_image(...)` is the plain call, `client.text_to_image.stream(...)` the same as a run. Types, names and
documentation are the declaration's. No call is prepared or performed here.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, ParamSpec, Self, TypeVar, overload

from .engine.run import AsyncRun
from .methods import CoroutineFunction, dressed
from .portal import Run, call

if TYPE_CHECKING:
    from .client import AsyncInferenceClient, InferenceClient
    from .tasks.declare import Declaration

P = ParamSpec("P")
E = TypeVar("E")
R = TypeVar("R")


class Bound(Generic[P, E, R]):
    """A task on a client; `declaration` is what it was made from."""

    def __init__(self, declaration: Declaration[P, E, R], client: Any) -> None:
        self._client = client
        self.declaration = declaration
        self.__doc__ = declaration.doc
        self.__name__ = declaration.method
        self.__signature__ = declaration.signature

    def __repr__(self) -> str:
        return f"<{type(self._client).__name__}.{self.__name__}>"


class AsyncTask(Bound[P, E, R], CoroutineFunction):
    """A task of `AsyncInferenceClient`."""

    _client: AsyncInferenceClient

    def __init__(self, declaration: Declaration[P, E, R], client: Any) -> None:
        super().__init__(declaration, client)
        self.__annotations__ = {}

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        return self._client._call(self.declaration, args, kwargs)

    def stream(self, *args: P.args, **kwargs: P.kwargs) -> AsyncRun[E, R]:
        """The same call as a run: a context manager and an iterator of its events.

        They end with the result: its pieces as they come, the items of a list, or all of it.
        """
        return self._client._run(self.declaration, args, kwargs)


class SyncTask(Bound[P, E, R]):
    """A task of `InferenceClient`."""

    _client: InferenceClient

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        result: Any = call(self._client._call, self.declaration, args, kwargs)
        return Run(result) if isinstance(result, AsyncRun) else result  # type: ignore[return-value]

    def stream(self, *args: P.args, **kwargs: P.kwargs) -> Run[E, R]:
        """The same call as a run: a context manager and an iterator of its events.

        They end with the result: its pieces as they come, the items of a list, or all of it.
        """
        return Run(self._client._run(self.declaration, args, kwargs))


class Task(Generic[P, E, R]):
    """A row of the clients: `text_to_image = Task(declarations.text_to_image)`."""

    faces: ClassVar[tuple[type[Any], type[Any]]] = (AsyncTask, SyncTask)

    def __init__(self, declaration: Declaration[P, E, R]) -> None:
        self.declaration = declaration
        self.__doc__ = declaration.doc
        self.__signature__ = declaration.signature

    @overload
    def __get__(self, client: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, client: AsyncInferenceClient, owner: type[Any]) -> AsyncTask[P, E, R]: ...
    @overload
    def __get__(self, client: InferenceClient, owner: type[Any]) -> SyncTask[P, E, R]: ...
    def __get__(self, client: Any, owner: type[Any]) -> Any:
        if client is None:
            asynchronous = getattr(owner, "asynchronous", None)
            return self if asynchronous is None else self._functions[0 if asynchronous else 1]
        return self.faces[0 if client.asynchronous else 1](self.declaration, client)

    @cached_property
    def _functions(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """What the two classes have under the task's name, for whoever looks at methods there: help, and mocks."""
        faces, declaration = self.faces, self.declaration

        async def asynchronous(client: Any, *args: Any, **kwargs: Any) -> Any:
            return await faces[0](declaration, client)(*args, **kwargs)

        def blocking(client: Any, *args: Any, **kwargs: Any) -> Any:
            return faces[1](declaration, client)(*args, **kwargs)

        def stream(client: Any, *args: Any, **kwargs: Any) -> Any:
            return faces[0 if client.asynchronous else 1](declaration, client).stream(*args, **kwargs)

        dressed(stream, "stream", faces[0].stream.__doc__, declaration.signature)
        for function in (asynchronous, blocking):
            dressed(function, declaration.method, declaration.doc, declaration.signature)
            vars(function).update(declaration=declaration, stream=stream)
        return asynchronous, blocking
