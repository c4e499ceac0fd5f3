"""Text Embeddings Inference's dialect: ``POST /embed``; feature-extraction and sentence-similarity pipelines.

A vector is a function of the text alone, of norm 1 unless ``normalize`` is false. Refuses what TEI refuses:
plain-text 422 for a body of the wrong shape, ``{"error", "error_type"}`` for empty inputs.
https://huggingface.github.io/text-embeddings-inference/
"""

from __future__ import annotations

import math
from typing import Any

from ..wire import Dialect, DialectAnswer, DialectRequest, RefusedError, WholeAnswer, post
from . import words
from .checks import fits, spoken
from .openai_text import dimensions
from .tgi import refuse, unreadable

TYPES = {
    "dimensions": "integer",
    "encoding_format": "string",
    "normalize": "boolean",
    "prompt_name": "string",
    "truncate": "boolean",
    "truncation_direction": "string",
}
DIRECTIONS = ("left", "right", "Left", "Right")


def embed(call: DialectRequest) -> DialectAnswer:
    """One vector for each input, in a list even for a single text."""
    given = options(call)
    inputs = call.json.get("inputs")
    if inputs is None:
        raise unreadable(call, "missing field `inputs`")
    texts = [inputs] if isinstance(inputs, str) else inputs
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise unreadable(call, "data did not match any variant of untagged enum Input")
    if not texts or not all(texts):
        raise RefusedError(WholeAnswer({"error": "`inputs` cannot be empty", "error_type": "Empty"}, 400))
    prompt = given.get("prompt_name", "")
    length, unit = given.get("dimensions") or dimensions(call.model), given.get("normalize", True)
    return WholeAnswer([words.vector(prompt + text, length, unit=unit) for text in texts])


def options(call: DialectRequest) -> dict[str, Any]:
    """The fields beside the inputs that are not null, each of its type."""
    given = {name: value for name, value in call.json.items() if name in TYPES and value is not None}
    for name, value in given.items():
        if not fits(value, TYPES[name]):
            raise unreadable(call, f"{name}: invalid type: {spoken(value)}, expected {TYPES[name]}")
    direction = given.get("truncation_direction", "right")
    if direction not in DIRECTIONS:
        raise unreadable(call, f"truncation_direction: unknown variant `{direction}`, expected `left` or `right`")
    if not 1 <= given.get("dimensions", 1) <= words.MAX_DIMENSIONS:
        message = f"`dimensions` must be between 1 and {words.MAX_DIMENSIONS}"
        raise RefusedError(WholeAnswer({"error": message, "error_type": "Validation"}, 413))
    return given


def similarity(call: DialectRequest) -> DialectAnswer:
    """How near each sentence is to the source: the product of their vectors, 1 for the same text."""
    inputs = call.json.get("inputs")
    if not isinstance(inputs, dict):
        raise unreadable(call, "missing field `inputs`")
    source, sentences = inputs.get("source_sentence"), inputs.get("sentences")
    if not isinstance(source, str):
        raise unreadable(call, "inputs: missing field `source_sentence`")
    if not isinstance(sentences, list) or not all(isinstance(sentence, str) for sentence in sentences):
        raise unreadable(call, "inputs: missing field `sentences`")
    return WholeAnswer([near(source, sentence) for sentence in sentences])


def near(one: str, other: str) -> float:
    pairs = zip(words.vector(one, words.DIMENSIONS), words.vector(other, words.DIMENSIONS), strict=True)
    return round(math.fsum(a * b for a, b in pairs), 6)


MODEL = r"(?:^|/)models/(?P<model>.+)/pipeline"
# The hosts of before 2025 had the model behind the task.
OLD = r"(?:^|/)pipeline"

DIALECT = Dialect(
    "tei",
    (
        post(r"^/tei$|^/(tei/)?embed$", embed),
        post(MODEL + r"/feature-extraction$", embed),
        post(MODEL + r"/sentence-similarity$", similarity),
        post(OLD + r"/feature-extraction/(?P<model>.+)$", embed),
        post(OLD + r"/sentence-similarity/(?P<model>.+)$", similarity),
    ),
    refuse,
)
