"""Text to image in OpenAI's dialect: one request, and the image in the answer or at a URL that it names.

Where a provider departs is an `ImageDialect`, which is data. What only some servers take, above all `response_format`,
is sent to those alone, and the image is read however it comes.

https://platform.openai.com/docs/api-reference/images/create
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..media.images import LARGEST
from ..protocol.flow import Call, Flow, Wanted
from . import media_results
from .bodies import arguments, model_of, names_model, post


class ImageDialect(msgspec.Struct, frozen=True, kw_only=True):
    """Where a provider departs: how parameters are `renamed`; those that are `dropped`, with a warning; `sized`: width
    and height as one "size"; `response_format`: what is sent unless the caller wants another; `model`: the model's
    field; `defaults`: fields that are required; `several`: whether `n` images can be asked for at once."""

    renamed: Mapping[str, str] = {}
    dropped: frozenset[str] = frozenset()
    sized: bool = False
    response_format: str | None = None
    model: str = "model"
    defaults: Mapping[str, Any] = {}
    several: bool = True


def text_to_image(call: Call, url: str, dialect: ImageDialect) -> Flow[Any]:
    """An image of a text, from this URL."""
    request = msgspec.structs.replace(post(url, _body(call, dialect)), limit=LARGEST)
    return (yield from media_results.request_image(call, request))


def _body(call: Call, dialect: ImageDialect) -> dict[str, Any]:
    """The request's fields."""
    given = arguments(call, renamed=dialect.renamed, dropped=dialect.dropped, sized=dialect.sized)
    body = {dialect.model: model_of(call), **dialect.defaults, **given}
    if not names_model(call):
        del body[dialect.model]  # a server of one model; one of several would look for the placeholder
    wanted = call.wanted or Wanted()
    if wanted.count > 1 and dialect.several:
        body.setdefault("n", wanted.count)
    if wanted.response_format is not None:
        body.setdefault("response_format", wanted.response_format)
    ours = dialect.response_format
    if ours is not None and body.get("response_format") != "url":
        body["response_format"] = ours
    return body
