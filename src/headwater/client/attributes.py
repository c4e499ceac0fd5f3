"""A client's arguments as its attributes: each can be read, and set, after which the client is as if made with it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

from .core import core_of
from .settings import opened

T = TypeVar("T")


class Option(Generic[T]):
    """One of the constructor's arguments. What was not given is None, or the default.

    To set it is `with_options` in place: calls that are under way go on as they were begun, and the client's
    connections stay. A mapping is shown and cannot be changed: assign another one.
    """

    if not TYPE_CHECKING:

        def __class_getitem__(cls, types: str) -> type[Self]:
            return cls  # the types are for checkers: `typing` would compile their texts, which is 0.5 ms

    def __init__(self, argument: str, doc: str) -> None:
        self._argument = argument
        self._absent: Mapping[str, str] | None = (
            MappingProxyType({}) if argument in {"headers", "query", "cookies", "model_mapping"} else None
        )
        self.__doc__ = doc

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, client: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, client: object, owner: type[Any]) -> T: ...
    def __get__(self, client: Any, owner: type[Any]) -> Any:
        if client is None:
            return self
        value = opened(core_of(client).arguments[self._argument])
        if value is None:
            return self._absent
        return MappingProxyType(value) if isinstance(value, Mapping) else value

    def __set__(self, client: Any, value: T) -> None:
        core_of(client).set_options(**{self._argument: value})

    def __delete__(self, client: Any) -> None:
        raise AttributeError(f"{self._name} cannot be deleted; set it to None")
