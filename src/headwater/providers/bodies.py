"""The JSON bodies of requests, and the requests that carry them.

It decides neither where they go nor what is in them.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Final

from ..auth.credentials import KeyHeader
from ..errors import InvalidParameterError, MissingModelError
from ..protocol.flow import EVENT_HEADERS, JSON_HEADERS, Auth, Call, Request
from ..protocol.json_value import encoded

PLACEHOLDER: Final = "dummy"
"""The model's name towards a server that was named by its URL and is taken to have one model."""

_NOT_SENT: Final = frozenset({"model", "stream", "extra_body"})


def post(url: str, body: Any, *, stream: bool = False) -> Request:
    """A POST of this body, or of a text that is JSON already, as bytes; `stream` asks for an event stream.

    Raises `InvalidParameterError` for what JSON cannot say.
    """
    return Request(
        method="POST",
        url=url,
        headers=EVENT_HEADERS if stream else JSON_HEADERS,
        body=body if type(body) is bytes else encoded(body),
    )


def get(url: str, *, auth: Auth) -> Request:
    """A GET of JSON."""
    return Request(method="GET", url=url, headers={"accept": "application/json"}, auth=auth)


def parameters(call: Call) -> dict[str, Any]:
    """The call's parameters that go into a body: a dict of its own, to be changed at its first level."""
    given = call.parameters
    if _NOT_SENT.isdisjoint(given):
        return dict(given)
    return {name: value for name, value in given.items() if name not in _NOT_SENT}


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


ANTHROPIC_KEY: Final = KeyHeader("x-api-key", scheme="")
"""How a key goes to who speaks Anthropic's Messages."""
API_VERSION: Final = "2023-06-01"
"""Anthropic's, which is asked for where no other is: https://platform.claude.com/docs/en/api/versioning."""
STEPS: Final = {"num_inference_steps": "steps"}


def arguments(
    call: Call,
    *,
    renamed: Mapping[str, str] = {},
    dropped: frozenset[str] = frozenset(),
    sized: bool = False,
) -> dict[str, Any]:
    """The parameters with `extra_body` over them, as fields.

    A name that the vendor spells otherwise is `renamed`, unless both were given. `dropped` are left out. `sized`:
    width and height become "size", as "512x256".
    """
    given = {**parameters(call), **extra(call)}
    left_out = sorted(dropped & given.keys())
    for name in left_out:
        del given[name]
    if sized:
        left_out += _join_size(given)
    for name, theirs in renamed.items():
        if name in given:
            value = given.pop(name)
            given.setdefault(theirs, value)
    if left_out:
        warn_left_out(call, left_out)
    return given


def _join_size(given: dict[str, Any]) -> list[str]:
    """Write the size as one field; the names of what could not be said so."""
    sides = {name: given.pop(name) for name in ("width", "height") if name in given}
    if "size" not in given and len(sides) == 2:
        given["size"] = f"{sides['width']}x{sides['height']}"
        return []
    return list(sides)


def warn_left_out(call: Call, names: list[str]) -> None:
    """Say which arguments do not reach the vendor."""
    warnings.warn(f"{call.provider} takes no {', '.join(names)} for {call.task}: left out", UserWarning, stacklevel=2)


def take_transcript_format(call: Call) -> None:
    """Take out in which form a transcript is wanted, which OpenAI's dialect alone can be asked for.

    Raises `InvalidParameterError` where that is a text; for the other forms there is the task's own result, for
    "verbose_json" with times.
    """
    form = call.extra.get("response_format")
    if form in {"text", "srt", "vtt"}:
        raise InvalidParameterError(f"{call.provider} gives no transcript as {form!r}: leave response_format out")
    if form in {"json", "verbose_json"}:
        call.extra = {name: value for name, value in call.extra.items() if name != "response_format"}
    if form == "verbose_json":
        call.parameters.setdefault("return_timestamps", True)


def take_target_size(given: dict[str, Any]) -> None:
    """Replace `target_size` by width and height."""
    size = given.pop("target_size", None)
    for side in ("width", "height"):
        value = size.get(side) if isinstance(size, Mapping) else getattr(size, side, None)
        if value is not None:
            given.setdefault(side, value)


def join_texts(given: dict[str, Any], name: str) -> None:
    """Make one text of several, for vendors that take a list of them nowhere."""
    if isinstance(given.get(name), list):
        given[name] = ", ".join(given[name])
