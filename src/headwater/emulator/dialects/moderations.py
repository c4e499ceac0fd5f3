"""OpenAI's and Mistral's ``*/moderations``.

An input with the word "moderated" or "violence" in it, or an image whose URL has one of them, is flagged. Refuses what
OpenAI refuses: no input, an input of another type; at Mistral no model, and anything but texts.
https://platform.openai.com/docs/api-reference/moderations/create and https://docs.mistral.ai/capabilities/guardrailing
"""

from __future__ import annotations

import re
from typing import Any

from ..wire import Dialect, DialectAnswer, DialectRequest, WholeAnswer, post
from . import checks
from .openai import refuse
from .vendors import vendor

FIELDS = {"model": checks.STRING, "input": checks.FieldRule("string or array")}
CATEGORIES = ("harassment", "hate", "hate/threatening", "self-harm", "sexual", "violence", "violence/graphic")
MISTRALS = ("sexual", "hate_and_discrimination", "violence_and_threats", "selfharm", "pii")
HARMFUL = re.compile(r"\b(moderated|violence)\b", re.IGNORECASE)
SURE, UNSURE = 0.97, 0.01


def moderate(call: DialectRequest) -> DialectAnswer:
    """A result for each text, or one for all parts."""
    is_mistral = vendor(call.path) == "mistral"
    given = {name: value for name, value in call.json.items() if value is not None}
    for name, value in given.items():
        if name in FIELDS:
            checks.check(call, name, value, FIELDS[name])
    if not given.get("input"):
        raise checks.missing(call, "input")
    if is_mistral and not given.get("model"):
        raise checks.missing(call, "model")
    inputs = texts(call, given["input"], parts=not is_mistral)
    results = [result([one] if isinstance(one, str) else one, is_mistral) for one in inputs]
    model = given.get("model", "omni-moderation-latest")
    return WholeAnswer({"id": f"modr-{call.digest()}", "model": model, "results": results})


def texts(call: DialectRequest, given: str | list[Any], *, parts: bool) -> list[Any]:
    """Texts that are looked at by themselves; or one list of parts that are looked at together."""
    if isinstance(given, str):
        return [given]
    if all(isinstance(one, str) for one in given):
        return given
    if not parts or not all(map(is_part, given)):
        raise checks.wrong(call, "Invalid 'input': expected texts, or parts of type text or image_url.", "input")
    return [[one.get("text") or one["image_url"]["url"] for one in given]]


def is_part(part: object) -> bool:
    if not isinstance(part, dict):
        return False
    if part.get("type") == "text":
        return isinstance(part.get("text"), str)
    place = part.get("image_url")
    return part.get("type") == "image_url" and isinstance(place, dict) and isinstance(place.get("url"), str)


def result(together: list[str], is_mistral: bool) -> dict[str, Any]:
    is_harmful = any(HARMFUL.search(text[:100_000]) for text in together)
    names, bad = (MISTRALS, "violence_and_threats") if is_mistral else (CATEGORIES, "violence")
    found: dict[str, Any] = {
        "categories": {name: is_harmful and name == bad for name in names},
        "category_scores": {name: SURE if is_harmful and name == bad else UNSURE for name in names},
    }
    if is_mistral:
        return found
    return {"flagged": is_harmful, **found, "category_applied_input_types": {name: ["text"] for name in names}}


DIALECT = Dialect("moderations", (post(r"/moderations$", moderate),), refuse)
