"""OpenAI's ``*/images/generations``, as OpenAI, Together, nscale, Nebius and Hyperbolic each serve it.

Refuses, in the vendor's shape, what the vendor refuses: no prompt, fields of another type, a
``response_format`` that it does not know (Together says "base64" for what the others call "b64_json"), and at
Hyperbolic a body without ``model_name``, ``height`` and ``width`` of at least 128.
https://platform.openai.com/docs/api-reference/images/create
"""

from __future__ import annotations

import re
from typing import Any

from ..wire import CREATED, Dialect, DialectAnswer, DialectRequest, RefusedError, WholeAnswer, post
from . import cdn, checks, fields, media, speech
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
}
FORMATS = {"together": ("base64", "url")}
LEAST = 128
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
    data = [
        one(call, form, number, media.png(width, height, f"{given['prompt']} {number}"))
        for number in range(given.get("n", 1))
    ]
    body: dict[str, Any] = {"created": CREATED, "data": data}
    if vendor(call.path) == "together":
        body = {"id": call.digest("image"), "model": call.model, "object": "list", "data": data}
    return WholeAnswer(body)


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


DIALECT = Dialect("images", (post(r"/images/generations$", draw),), refuse)
