"""Moderation in OpenAI's dialect, which Mistral speaks for texts.

Where a provider departs is a `ModerationDialect`, which is data.

https://platform.openai.com/docs/api-reference/moderations/create and
https://docs.mistral.ai/api/endpoint/classifiers
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import msgspec

from ..errors import DecodeError, InvalidParameterError
from ..protocol.flow import Call, Flow, Reply, Send
from ..responses.decode import decode
from ..responses.refusal import EXCERPT_BYTES
from ..tasks.moderation import CreateModerationResponse
from .bodies import extra, parameters, post
from .input_urls import url_of


class ModerationDialect(msgspec.Struct, frozen=True, kw_only=True):
    """Where a provider departs: the `model` that it is told where nobody names one; `texts_only`: whether it looks at
    no images."""

    model: str | None = None
    texts_only: bool = False


def moderate(call: Call, url: str, dialect: ModerationDialect) -> Flow[CreateModerationResponse]:
    """What is harmful in the inputs, from this URL."""
    given = parameters(call)
    inputs = yield from _inputs(call, given.pop("input"), dialect)
    model = call.model or call.hub_id or dialect.model
    body = {**({"model": model} if model is not None else {}), "input": inputs, **given, **extra(call)}
    reply: Reply = yield Send(post(url, body))
    answer = decode(reply, CreateModerationResponse)
    wanted = _count(body["input"])
    if wanted is not None and len(answer.results) != wanted:
        _refuse(reply, f"{wanted} inputs were sent, and {len(answer.results)} results came")
    for number, result in enumerate(answer.results):
        if result.flagged is None:
            _refuse(reply, f"result {number} says neither whether it is flagged nor anything of a category")
        result.part_of(reply.body, "results", number)
    return answer


def _refuse(reply: Reply, what: str) -> NoReturn:
    error = DecodeError(what)
    error.body = reply.body[:EXCERPT_BYTES]
    raise error


def _inputs(call: Call, inputs: Any, dialect: ModerationDialect) -> Flow[Any]:
    """The inputs as they are sent: a text, texts, or parts, as which files go."""
    if isinstance(inputs, str) or all(isinstance(one, str) for one in inputs):
        return inputs
    if dialect.texts_only:
        raise InvalidParameterError(f"{call.provider} moderates texts alone, and input has something else in it")
    parts: list[Any] = []
    for one in inputs:
        if isinstance(one, str):
            parts.append({"type": "text", "text": one})
        elif isinstance(one, Mapping):
            parts.append(one)
        else:
            parts.append({"type": "image_url", "image_url": {"url": (yield from url_of(one))}})
    return parts


def _count(inputs: Any) -> int | None:
    """How many results there must be: one for each text, one for all parts; None where nobody can tell."""
    if isinstance(inputs, str):
        return 1
    if not isinstance(inputs, list | tuple):
        return None
    return len(inputs) if all(isinstance(one, str) for one in inputs) else 1
