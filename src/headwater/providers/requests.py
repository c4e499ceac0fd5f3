"""The JSON bodies of requests, and the requests that carry them.

It decides neither where they go nor what is in them.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ..errors import InvalidParameterError, MissingModelError
from ..flow import Auth, Call, Request

PLACEHOLDER: Final = "dummy"
"""The model's name towards a server that was named by its URL and is taken to have one model."""

_NOT_SENT: Final = frozenset({"model", "stream", "extra_body"})


def post(url: str, body: Any, *, stream: bool = False) -> Request:
    """A POST of this body; `stream` asks for an event stream.

    Raises `InvalidParameterError` for what JSON cannot say.
    """
    accept = "text/event-stream" if stream else "application/json"
    try:
        data = msgspec.json.encode(body)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise InvalidParameterError(f"a parameter cannot be sent as JSON: {error}") from None
    return Request(
        method="POST",
        url=url,
        headers={"content-type": "application/json", "accept": accept},
        body=data,
    )


def get(url: str, *, auth: Auth) -> Request:
    """A GET of JSON."""
    return Request(method="GET", url=url, headers={"accept": "application/json"}, auth=auth)


def parameters(call: Call) -> dict[str, Any]:
    """The call's parameters that go into a body: a dict of its own, to be changed at its first level."""
    return {name: value for name, value in call.parameters.items() if name not in _NOT_SENT}


def extra(call: Call) -> dict[str, Any]:
    """`extra_body`: fields over all others, the model's name as well. Where the call goes is not its to say."""
    return dict(call.extra)


def names_model(call: Call) -> bool:
    """Whether somebody named a model; without, a server's URL is taken to have one, and others look for no name."""
    return call.url is None or call.model is not None or call.hub_id is not None or "model" in call.extra


def model_of(call: Call) -> str:
    """The model's name for a body. Raises `MissingModelError` where none was named and one is needed."""
    name = call.model or call.hub_id or call.extra.get("model") or (PLACEHOLDER if call.url is not None else None)
    if name is None:
        raise MissingModelError(f"{call.provider} needs a model for {call.task}: pass model=...")
    return name
