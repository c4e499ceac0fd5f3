"""OpenAI's ``*/images/generations``, as OpenAI, Together, nscale, Nebius and Hyperbolic each serve it, and its
``*/images/edits``, a form. A stream has as many images on the way as ``partial_images`` asks for, and the whole one.

Refuses, in the vendor's shape, what the vendor refuses: no prompt, fields of another type, a
``response_format`` that it does not know (Together says "base64" for what the others call "b64_json"), and at
Hyperbolic a body without ``model_name``, ``height`` and ``width`` of at least 128.
https://platform.openai.com/docs/api-reference/images/create and .../createEdit
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ..wire import (
    CREATED,
    Dialect,
    DialectAnswer,
    DialectRequest,
    RefusedError,
    StreamAnswer,
    WholeAnswer,
    event,
    post,
    raw,
)
from . import cdn, checks, fields, media, multipart, speech
from .checks import FieldRule
from .openai import refuse
from .vendors import vendor

IMAGE = {
    "model": checks.STRING,
    "prompt": checks.STRING,
    "response_format": checks.STRING,
    "n": FieldRule("integer", 1, 10),
    "size": checks.STRING,
    "steps": FieldRule("integer", 1, 100),
    "width": FieldRule("integer", 16, 4096),
    "height": FieldRule("integer", 16, 4096),
    "seed": checks.INTEGER,
    "guidance_scale": FieldRule("number"),
    "negative_prompt": checks.STRING,
    "image_url": checks.STRING,
    "reference_images": checks.ARRAY,
    "stream": checks.BOOLEAN,
    "partial_images": FieldRule("integer", 0, 3),
}
NUMBERS = ("n", "partial_images", "output_compression")
FORMATS = {"together": ("base64", "url")}
LEAST = 128
USAGE = {"total_tokens": 9, "input_tokens": 4, "output_tokens": 5}
SIZE = re.compile(r"auto|[1-9]\d{0,3}x[1-9]\d{0,3}")


def draw(call: DialectRequest) -> DialectAnswer:
    if vendor(call.path) == "hyperbolic":
        return hyperbolic(call)
    given = checks.known(call, IMAGE)
    if "prompt" not in given:
        raise checks.missing(call, "prompt")
    form = check(call, given)
    speech.wish(call, call.model)
    width, height = cdn.asked_size(given)
    if given.get("stream"):
        picture = media.png(width, height, f"{given['prompt']} 0")
        return StreamAnswer(events("image_generation", picture, given.get("partial_images", 0)))
    data = [
        one(call, form, number, media.png(width, height, f"{given['prompt']} {number}"))
        for number in range(given.get("n", 1))
    ]
    body: dict[str, Any] = {"created": CREATED, "data": data}
    if vendor(call.path) == "together":
        body = {"id": call.digest("image"), "model": call.model, "object": "list", "data": data}
    return WholeAnswer(body)


def redraw(call: DialectRequest) -> DialectAnswer:
    """A picture of others: the fields of a form, with files of images."""
    try:
        parts = multipart.parts(call.body, call.headers.get("content-type", ""))
    except multipart.UnreadableError as error:
        raise checks.wrong(call, f"Could not parse multipart form: {error}", "image") from None
    files = [part for part in parts if part.name in ("image", "image[]", "mask")]
    if not any(part.name != "mask" for part in files):
        raise checks.missing(call, "image")
    for part in files:
        if part.filename is None or not media.is_image(part.data):
            raise checks.wrong(call, "Invalid image file or mode.", part.name)
    if sum(part.name == "image" for part in files) > 1:
        raise checks.wrong(call, "Duplicate parameter: 'image'. Use 'image[]' for several.", "image")
    texts = {part.name: part.text for part in parts if part not in files}
    given: dict[str, Any] = {**texts, **{name: number(call, name, texts[name]) for name in NUMBERS if name in texts}}
    if "stream" in texts:
        given["stream"] = texts["stream"] == "true"
    call = replace(call, json=given, model=texts.get("model", "gpt-image-1"))
    return drawn_anew(call, given, len(files))


def drawn_anew(call: DialectRequest, given: dict[str, Any], files: int) -> DialectAnswer:
    for name, value in given.items():
        if name in IMAGE:
            checks.check(call, name, value, IMAGE[name])
    if "prompt" not in given:
        raise checks.missing(call, "prompt")
    form = check(call, given)
    speech.wish(call, call.model)
    width, height = cdn.asked_size(given)
    pictures = [media.png(width, height, f"{given['prompt']} {files} {n}") for n in range(given.get("n", 1))]
    if given.get("stream"):
        return StreamAnswer(events("image_edit", pictures[0], given.get("partial_images", 0)))
    data = [one(call, form, place, picture) for place, picture in enumerate(pictures)]
    return WholeAnswer({"created": CREATED, "data": data, "usage": USAGE})


def number(call: DialectRequest, name: str, text: str) -> int:
    if not text.isdigit():
        raise checks.wrong(call, f"Invalid type for '{name}': expected an integer.", name, "invalid_type")
    return int(text)


def events(kind: str, picture: bytes, partial: int) -> Iterator[bytes]:
    """https://platform.openai.com/docs/api-reference/images-streaming"""
    told = {"created_at": CREATED, "size": "auto", "quality": "auto", "background": "auto", "output_format": "png"}
    for place in range(partial):
        halfway = media.in_base64(media.png(8, 8, f"{kind} {place}"))
        yield event({"type": f"{kind}.partial_image", "b64_json": halfway, "partial_image_index": place, **told})
    yield event({"type": f"{kind}.completed", "b64_json": media.in_base64(picture), "usage": USAGE, **told})


def check(call: DialectRequest, given: dict[str, Any]) -> str:
    """The format of the answer, if nothing is wrong."""
    formats = FORMATS.get(vendor(call.path), ("b64_json", "url"))
    form = given.get("response_format", "url" if call.place.cdn else "b64_json")  # gpt-image models have no URLs
    if form not in formats:
        raise checks.wrong(call, f"Invalid value: {form!r}. Supported values are: {formats}.", "response_format")
    if not SIZE.fullmatch(given.get("size", "auto")):
        raise checks.wrong(call, f"Invalid value: {given['size']!r}. Expected WIDTHxHEIGHT.", "size")
    if problem := fields.file_problem(given, "image_url", ("image/",)):
        raise checks.wrong(call, problem.message, "image_url")
    if not all(fields.is_file(image, ("image/",)) for image in given.get("reference_images", ())):
        raise checks.wrong(call, "Invalid 'reference_images': expected URLs of images.", "reference_images")
    if "kontext" in call.model.lower() and "flux.1" in call.model.lower() and "reference_images" in given:
        raise checks.wrong(call, "reference_images is not supported for this model, use image_url", "reference_images")
    return str(form)


def one(call: DialectRequest, form: str, number: int, picture: bytes) -> dict[str, Any]:
    if form == "url":
        return {"index": number, "url": cdn.link(call, "image", sent=call.json)}
    return {"index": number, "b64_json": media.in_base64(picture)}


def hyperbolic(call: DialectRequest) -> DialectAnswer:
    """https://docs.hyperbolic.xyz/docs/image-generation: dimensions are a must."""
    missing = [
        unfit("missing", name, "Field required", call.json)
        for name in ("model_name", "height", "width", "prompt")
        if name not in call.json
    ]
    if missing:
        raise RefusedError(WholeAnswer({"detail": missing}, 422))
    small = [name for name in ("height", "width") if not isinstance(call.json[name], int) or call.json[name] < LEAST]
    if small:
        message = f"Input should be greater than or equal to {LEAST}"
        items = [unfit("greater_than_equal", name, message, call.json[name]) for name in small]
        raise RefusedError(WholeAnswer({"detail": items}, 422))
    speech.wish(call, str(call.json["model_name"]))
    picture = media.png(*cdn.asked_size(call.json), seed=str(call.json["prompt"]))
    return WholeAnswer(
        {"images": [{"index": 0, "image": media.in_base64(picture), "random_seed": 42}], "inference_time": 0.5}
    )


def unfit(kind: str, name: str, message: str, given: object) -> dict[str, Any]:
    return {"type": kind, "loc": ["body", name], "msg": message, "input": given}


DIALECT = Dialect("images", (post(r"/images/generations$", draw), raw("POST", r"/images/edits$", redraw)), refuse)
