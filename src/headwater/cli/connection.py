"""Where a command's call goes: the client's settings as options, and the client that they make.

Keys come from the environment alone; a key for a server at a URL is named by its variable.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ..errors import InvalidParameterError, MissingCredentialError
from .options import option

if TYPE_CHECKING:
    from ..client.sync_client import InferenceClient

KEYS: Final = (
    "Keys are read from the environment, never from the command line: the provider's own variable (see `headwater"
    " providers`), then HF_TOKEN, then the token that a Hugging Face login saved. HEADWATER_PROVIDER names the provider"
    " where --provider does not."
)
_GROUP: Final = "Connection"
_SETTINGS: Final = ("provider", "base_url", "timeout", "retries", "bill_to", "allow_insecure", "done_ends_stream")


def options() -> list[inspect.Parameter]:
    """The options that every task has."""
    return [
        option("provider", str, "Who serves the model; `headwater providers` lists them.", group=_GROUP),
        option("base_url", str, "The URL of a server, in place of a provider.", metavar="URL", group=_GROUP),
        option(
            "key_env",
            str,
            "The environment variable that holds the key, of a server at --base-url or in place of the provider's own.",
            metavar="VARIABLE",
            group=_GROUP,
        ),
        option("timeout", float, "The most seconds that all of it may take.", group=_GROUP),
        option("retries", int, "Further tries after a failure that may pass; 2 if not given.", group=_GROUP),
        option("bill_to", str, "The Hugging Face organisation that pays.", group=_GROUP),
        option(
            "model_mapping",
            list[str],
            "The provider's own id of a model, in place of what the Hub says.",
            metavar="MODEL=ID",
            group=_GROUP,
        ),
        option("allow_private", bool, "Let a URL among the inputs lead to an address of this network.", group=_GROUP),
        option("done_ends_stream", bool, "Take a server's [DONE] for a whole answer's end.", group=_GROUP),
        option("allow_insecure", bool, "Let the key go to another machine over plain http.", group=_GROUP),
    ]


def client_for(given: Mapping[str, Any]) -> InferenceClient:
    """The client of these options. Raises `CallError`s."""
    from ..client.keys import is_url
    from ..client.sync_client import InferenceClient
    from ..engine.input_policy import InputPolicy

    settings: dict[str, Any] = {name: given[name] for name in _SETTINGS if given.get(name) is not None}
    settings["input_policy"] = InputPolicy(
        allow_private=bool(given.get("allow_private")), paths=not given.get("untrusted")
    )
    settings["model_mapping"] = dict(_pair(text) for text in given.get("model_mapping") or ())
    if variable := given.get("key_env"):
        settings["api_key"] = _key(variable, empty=bool(given.get("base_url")) or is_url(given.get("model")))
    return InferenceClient(**settings)


def _pair(text: str) -> tuple[str, str]:
    model, mark, theirs = text.partition("=")
    if not (model and mark and theirs):
        raise InvalidParameterError(
            f"--model-mapping takes MODEL=ID, the Hub's name and the provider's, not {text[:80]!r}"
        )
    return model, theirs


def _key(variable: str, *, empty: bool) -> str:
    """The key that a variable holds. `empty`: whether that may be none, as at a server's URL."""
    key = os.environ.get(variable, None if empty else "")
    if key is None or not (empty or key.strip()):
        raise MissingCredentialError("--key-env takes the name of an environment variable, and it is not set")
    return key
