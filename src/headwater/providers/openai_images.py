"""Text to image in OpenAI's dialect: one request, and the image in the answer or at a URL that it names.

Where a provider departs is a `Drawing`, which is data. What only some servers take, above all `response_format`, is
sent to those alone, and the image is read however it comes.

https://platform.openai.com/docs/api-reference/images/create
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import msgspec

from ..media.images import LARGEST
from ..protocol.flow import Call, Flow, Wanted
from . import media_results
from .bodies import STEPS, arguments, model_of, names_model, post
from .openai_chat import Flows
from .urls import IMAGES, openai_url


class Drawing(msgspec.Struct, frozen=True, kw_only=True):
    """`route`; how parameters are `renamed`; those that are `dropped`, with a warning; `sized`: width and height as
    one "size"; `response_format`: what is sent unless the caller wants another; `model`: the model's field;
    `defaults`: fields that are required; `several`: whether `n` images can be asked for at once."""

    route: str = "/v1/images/generations"
    renamed: Mapping[str, str] = {}
    dropped: frozenset[str] = frozenset()
    sized: bool = False
    response_format: str | None = None
    model: str = "model"
    defaults: Mapping[str, Any] = {}
    several: bool = True


# gpt-image-1 refuses `response_format`; dall-e answers with URLs without it
OPENAI: Final = Drawing(
    sized=True,
    dropped=frozenset({"negative_prompt", "num_inference_steps", "guidance_scale", "scheduler", "seed"}),
)
# Whoever answers there may be OpenAI's own, or a proxy before it
SERVER: Final = Drawing(sized=True)
# https://docs.nscale.com/api-reference/inference/generate-image
NSCALE: Final = Drawing(sized=True, response_format="b64_json", dropped=frozenset({"num_inference_steps", "cfg_scale"}))
# https://docs.nebius.com/studio/inference/api
NEBIUS: Final = Drawing(response_format="b64_json", several=False, dropped=frozenset({"guidance_scale"}))
# https://docs.together.ai/reference/post-images-generations
TOGETHER: Final = Drawing(response_format="base64", renamed=STEPS)
# https://docs.hyperbolic.xyz/docs/image-generation: sizes are required, of at least 128
HYPERBOLIC: Final = Drawing(
    renamed={**STEPS, "guidance_scale": "cfg_scale"},
    model="model_name",
    defaults={"width": 512, "height": 512},
    several=False,
)


def drawing(dialect: Drawing) -> Flows:
    """The flow of a provider with this dialect."""
    return partial(_at_provider, dialect=dialect)


def _at_provider(call: Call, dialect: Drawing) -> Flow[Any]:
    return (yield from _draw(call, call.base + dialect.route, dialect))


def draw_at_url(call: Call) -> Flow[Any]:
    """An image from a server's own URL."""
    return (yield from _draw(call, openai_url(call.url or call.base, IMAGES), SERVER))


def _draw(call: Call, url: str, dialect: Drawing) -> Flow[Any]:
    request = msgspec.structs.replace(post(url, _body(call, dialect)), limit=LARGEST)
    return (yield from media_results.image(call, request))


def _body(call: Call, dialect: Drawing) -> dict[str, Any]:
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
