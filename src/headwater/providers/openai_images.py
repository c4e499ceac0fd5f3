"""Images in OpenAI's dialect: of a text, and of other images with one; the image is in the answer or at a URL that it
names, and on the way to it in a stream's events.

Where a provider departs is an `ImageDialect`, which is data. What only some servers take, above all `response_format`,
is sent to those alone, and the image is read however it comes.

https://platform.openai.com/docs/api-reference/images/create and
https://platform.openai.com/docs/api-reference/images/createEdit
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..media.mime import LARGEST, file_name
from ..protocol.flow import Call, Flow, Load, Loaded, Part, Request, Wanted
from . import media_results
from .bodies import arguments, model_of, names_model, post, take_target_size
from .image_stream import stream_image
from .openai_transcription import form_text


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
    body = _body(call, dialect)
    return (yield from _made(call, msgspec.structs.replace(post(url, body), limit=LARGEST), body))


def edit(call: Call, url: str, dialect: ImageDialect) -> Flow[Any]:
    """An image of one or several others, in a form."""
    given = dict(call.parameters)
    sources, mask = given.pop("image"), given.pop("mask", None)
    images = sources if isinstance(sources, list | tuple) else [sources]
    named = "image[]" if len(images) > 1 else "image"
    files: list[Part] = []
    for name, source in [*((named, image) for image in images), *([("mask", mask)] if mask is not None else [])]:
        files += [(yield from _file(name, source))]
    take_target_size(given)
    body = _body(msgspec.structs.replace(call, parameters=given), dialect)
    fields = [Part(name=name, data=form_text(value)) for name, value in body.items()]
    request = Request(
        method="POST",
        url=url,
        headers={"accept": "application/json"},
        body=(*files, *fields),
        limit=LARGEST,
    )
    return (yield from _made(call, request, body))


def _file(name: str, source: Any) -> Flow[Part]:
    loaded: Loaded = yield Load(source=source, mime_type="image/png", streamed=True)
    named = file_name(loaded.name, loaded.mime_type, name.removesuffix("[]"))
    return Part(name=name, data=loaded, filename=named, mime_type=loaded.mime_type)


def _made(call: Call, request: Request, body: Mapping[str, Any]) -> Flow[Any]:
    """The image that is asked for, in a stream where that is asked for, too."""
    if body.get("stream"):
        return (yield from stream_image(request))
    return (yield from media_results.request_image(call, request))


def _body(call: Call, dialect: ImageDialect) -> dict[str, Any]:
    """The request's fields."""
    given = arguments(call, renamed=dialect.renamed, dropped=dialect.dropped, sized=dialect.sized)
    body = {dialect.model: model_of(call), **dialect.defaults, **given}
    if not names_model(call):
        del body[dialect.model]  # a server of one model; one of several would look for the placeholder
    if call.stream and "partial_images" in body:
        body["stream"] = True
    else:
        body.pop("partial_images", None)
        body.pop("stream", None)
    wanted = call.wanted or Wanted()
    if wanted.count > 1 and dialect.several:
        body.setdefault("n", wanted.count)
    if wanted.response_format is not None:
        body.setdefault("response_format", wanted.response_format)
    ours = dialect.response_format
    if ours is not None and body.get("response_format") != "url":
        body["response_format"] = ours
    return body
