"""A client's arguments as its attributes: each can be read, and set, after which the client is as if made with it.

Also how arguments are pickled.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Generic, Self, TypeVar, overload

from ..auth.environment import ambient
from ..auth.secret import Masked, check_headers, secrets_in
from ..errors import MissingCredentialError
from ..providers import PROVIDERS
from .core import core_of
from .settings import opened

T = TypeVar("T")


class Option(Generic[T]):
    """One of the constructor's arguments. What was not given is None, or the default.

    To set it is `with_options` in place: calls that are under way go on as they were begun, and the client's
    connections stay. A mapping is shown and cannot be changed: assign another one.
    """

    def __init__(self, argument: str, doc: str) -> None:
        self._argument = argument
        self._absent: Mapping[str, str] | None = (
            MappingProxyType({}) if argument in {"headers", "cookies", "model_mapping"} else None
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


def stored_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A client's arguments as they can be pickled. A key that is in the environment goes as its variable's name.

    Raises `TypeError` where an argument holds another secret.
    """
    given = {name: opened(value) for name, value in arguments.items()}
    variable = next((name for name in _VARIABLES if given["token"] and ambient((name,)) == given["token"]), None)
    if variable is not None:
        given["token"] = None
    holding = [name for name in ("token", "cookies") if given[name]]
    holding += ["headers"] if any(secrets_in(check_headers(given["headers"]))) else []
    holding += [name for name in ("base_url", "proxies") if "@" in str(given[name]) or "?" in str(given[name])]
    if holding:
        raise TypeError(
            f"a client with {' and '.join(holding)} cannot be pickled, because no secret leaves the process: take"
            " the key from the environment (HF_TOKEN, or the provider's variable), where both processes have it"
        )
    return {"arguments": {name: _plain(value) for name, value in given.items()}, "variable": variable}


def restored_arguments(state: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of which `stored_arguments` made this. Raises `MissingCredentialError` where the key is gone."""
    arguments: dict[str, Any] = state["arguments"]
    variable = state["variable"]
    if variable is not None:
        arguments["token"] = ambient((variable,))
        if arguments["token"] is None:
            raise MissingCredentialError(f"this client was pickled with the key in {variable}, which is not set here")
    return arguments


_VARIABLES = tuple(
    dict.fromkeys(["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", *(k for r in PROVIDERS.values() for k in r.keys)])
)


def _plain(value: Any) -> Any:
    """What was hidden and is no secret, as it was given."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return str(value) if isinstance(value, Masked) else value
