"""A client's arguments as they are pickled: without a secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from ..auth.environment import ambient
from ..auth.secret import Masked, check_headers, secrets_in, secrets_in_query
from ..errors import MissingCredentialError
from ..providers import PROVIDERS
from .settings import opened


def stored_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A client's arguments as they can be pickled. A key that is in the environment goes as its variable's name.

    Raises `TypeError` where an argument holds another secret.
    """
    given = {name: opened(value) for name, value in arguments.items()}
    variable = next((name for name in _variables() if given["token"] and ambient((name,)) == given["token"]), None)
    if variable is not None:
        given["token"] = None
    holding = [name for name in ("token", "cookies") if given[name]]
    holding += ["headers"] if any(secrets_in(check_headers(given["headers"]))) else []
    holding += ["query"] if any(secrets_in_query("?" + urlencode(given["query"] or {}))) else []
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


def _variables() -> list[str]:
    """The variables of the environment that may hold a key."""
    own = (name for row in PROVIDERS.values() for name in row.keys)
    return list(dict.fromkeys(["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", *own]))


def _plain(value: Any) -> Any:
    """What was hidden and is no secret, as it was given."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return str(value) if isinstance(value, Masked) else value
