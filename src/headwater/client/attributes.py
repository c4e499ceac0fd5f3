"""A client's arguments as its attributes: each can be read, and set, after which the client is as if made with it.

Also how a client is copied and pickled. A secret is never pickled: nothing that holds one leaves the process.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

from ..auth.environment import ambient
from ..auth.secret import Masked, Secret, check_headers, secrets_in
from ..errors import MissingCredentialError
from ..providers import PROVIDERS
from ..tasks.declaration import NEAR
from .settings import opened

if TYPE_CHECKING:
    import httpx

    from ..engine.deadlines import Timeout
    from ..engine.input_policy import InputPolicy
    from ..protocol.transport import Transport
    from .route import Route

T = TypeVar("T")
OWN = frozenset(
    {"_arguments", "_engine", "_hedge_after", "_retries", "_router", "_settings", "_timeout", "_transports"}
)
"""What a client holds that is made of its arguments."""


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
        value = opened(client._arguments[self._argument])
        if value is None:
            return self._absent
        return MappingProxyType(value) if isinstance(value, Mapping) else value

    def __set__(self, client: Any, value: T) -> None:
        changed = client.with_options(**{self._argument: value})
        vars(client).update({name: vars(changed)[name] for name in OWN})

    def __delete__(self, client: Any) -> None:
        raise AttributeError(f"{self._name} cannot be deleted; set it to None")


class Options:
    """The attributes of both clients that are their arguments, under OpenAI's names too."""

    if TYPE_CHECKING:
        _arguments: dict[str, Any]

        def _configure(self, given: dict[str, Any]) -> None: ...

    model: Option[str | None] = Option("model", "The model that calls without one of their own go to.")
    provider: Option[str | Route | Sequence[str | Route] | None] = Option("provider", "Who serves the model.")
    token: Option[Secret | None] = Option("token", "The key, which does not print itself: `token.reveal()` gives it.")
    api_key: Option[Secret | None] = Option("token", "The key, in OpenAI's word.")
    timeout: Option[float | Timeout | None] = Option("timeout", "The limits of each call, as they were given.")
    headers: Option[Mapping[str, str]] = Option("headers", "Sent with every inference request.")
    default_headers: Option[Mapping[str, str]] = Option("headers", "The headers, in OpenAI's word.")
    cookies: Option[Mapping[str, str]] = Option("cookies", "Sent with every inference request.")
    bill_to: Option[str | None] = Option("bill_to", "The Hugging Face organisation that pays.")
    base_url: Option[str | None] = Option("base_url", "The URL of the server that every call goes to.")
    proxies: Option[str | Mapping[str, str] | None] = Option("proxies", "A proxy URL, or one by scheme.")
    trust_env: Option[bool] = Option("trust_env", "Whether proxies are also taken from the environment.")
    http2: Option[bool] = Option("http2", "Whether HTTP/2 is used.")
    transport: Option[httpx.AsyncBaseTransport | Transport | None] = Option("transport", "What was given to send with.")
    model_mapping: Option[Mapping[str, str]] = Option("model_mapping", "Provider's model ids by Hub id.")
    retries: Option[int] = Option("retries", "Further tries after a failure that may pass.")
    max_retries: Option[int] = Option("retries", "The retries, in OpenAI's word.")
    hedge_after: Option[float | None] = Option("hedge_after", "Seconds after which a call is made a second time.")
    allow_insecure: Option[bool] = Option("allow_insecure", "Whether a key may go over plain http to another machine.")
    max_response_bytes: Option[int | None] = Option(
        "max_response_bytes", "The most bytes of an answer, and of an event."
    )
    input_policy: Option[InputPolicy] = Option("input_policy", "What inputs may be.")

    def __setattr__(self, name: str, value: Any) -> None:
        """Attributes of a program's own may be set; a misspelled option would be without effect."""
        if not name.startswith("_") and not hasattr(type(self), name):
            options = [option for option, row in vars(Options).items() if isinstance(row, Option)]
            if near := get_close_matches(name, options, 1, NEAR):
                raise AttributeError(f"a client has no option {name!r}; did you mean {near[0]!r}?")
        super().__setattr__(name, value)

    def __copy__(self) -> Self:
        """A client that shares this one's connections."""
        client = type(self).__new__(type(self))
        vars(client).update(vars(self))
        return client

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """The same: connections, keys and what is known of servers are shared, a subclass's own attributes copied."""
        client = copy.copy(self)
        memo[id(self)] = client
        others = {name: copy.deepcopy(value, memo) for name, value in vars(self).items() if name not in OWN}
        vars(client).update(others)
        return client

    def __getstate__(self) -> dict[str, Any]:
        """The arguments, for pickle. A key that is in the environment goes as its variable's name.

        Raises `TypeError` where an argument holds another secret.
        """
        given = {name: opened(value) for name, value in self._arguments.items()}
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
        others = {name: value for name, value in vars(self).items() if name not in OWN}
        plain = {name: _plain(value) for name, value in given.items()}
        return {"arguments": plain, "variable": variable, "others": others}

    def __setstate__(self, state: dict[str, Any]) -> None:
        arguments, variable = state["arguments"], state["variable"]
        if variable is not None:
            arguments["token"] = ambient((variable,))
            if arguments["token"] is None:
                raise MissingCredentialError(
                    f"this client was pickled with the key in {variable}, which is not set here"
                )
        self._configure(arguments)
        vars(self).update(state["others"])


_VARIABLES = tuple(
    dict.fromkeys(["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", *(k for r in PROVIDERS.values() for k in r.keys)])
)


def _plain(value: Any) -> Any:
    """What was hidden and is no secret, as it was given."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return str(value) if isinstance(value, Masked) else value
