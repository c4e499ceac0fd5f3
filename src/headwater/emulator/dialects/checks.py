"""The fields that OpenAI's dialect knows, their types and limits, and the refusals of fields that break them.

The words of the refusals are OpenAI's. ``null`` counts as absent, as it does there. Fields it does not know
are refused only where the vendor is known to refuse them.
https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..wire import DialectRequest
from .vendors import Complaint, refusal, vendor


@dataclass(frozen=True, slots=True)
class FieldRule:
    """A field's type in JSON's words ("integer", "string or array", ...), and its limits, both included."""

    kind: str
    least: float | None = None
    most: float | None = None


INTEGER, STRING, BOOLEAN, OBJECT, ARRAY = (FieldRule(k) for k in ("integer", "string", "boolean", "object", "array"))
POSITIVE = FieldRule("integer", 1)

SHARED = {
    "model": STRING,
    "frequency_penalty": FieldRule("number", -2, 2),
    "logit_bias": FieldRule("object or array"),
    "max_tokens": POSITIVE,
    "metadata": OBJECT,
    "n": FieldRule("integer", 1, 128),
    "presence_penalty": FieldRule("number", -2, 2),
    "seed": INTEGER,
    "stop": FieldRule("string or array"),
    "store": BOOLEAN,
    "stream": BOOLEAN,
    "stream_options": OBJECT,
    "temperature": FieldRule("number", 0, 2),
    "top_p": FieldRule("number", 0, 1),
    "user": STRING,
}
CHAT = SHARED | {
    "messages": ARRAY,
    "logprobs": BOOLEAN,
    "max_completion_tokens": POSITIVE,
    "parallel_tool_calls": BOOLEAN,
    "reasoning_effort": STRING,
    "response_format": OBJECT,
    "tool_choice": FieldRule("string or object"),
    "tool_prompt": STRING,
    "tools": ARRAY,
    "top_logprobs": FieldRule("integer", 0, 20),
}
COMPLETIONS = SHARED | {
    "best_of": FieldRule("integer", 1, 20),
    "echo": BOOLEAN,
    "logprobs": FieldRule("integer", 0, 5),
    "prompt": FieldRule("string or array"),
    "response_format": OBJECT,
    "suffix": STRING,
}
EMBEDDINGS = {
    "model": STRING,
    "input": FieldRule("string or array"),
    "encoding_format": STRING,
    "dimensions": FieldRule("integer", 1, 65_536),
    "user": STRING,
}

KINDS: dict[str, type | tuple[type, ...]] = {
    "integer": int,
    "number": (int, float),
    "string": str,
    "boolean": bool,
    "object": dict,
    "array": list,
}


def known(call: DialectRequest, fields: Mapping[str, FieldRule]) -> dict[str, Any]:
    """The fields of the body that are not null, each of its type and in its limits; a model is a must."""
    given = {name: value for name, value in call.json.items() if value is not None}
    if vendor(call.path) == "cerebras":
        refuse_strangers(call, given, fields)
    if not given.get("model") and not call.model:
        raise wrong(call, "you must provide a model parameter", "model", "missing_required_parameter")
    for name, value in given.items():
        if name in fields:
            check(call, name, value, fields[name])
    if given.get("stream_options") is not None and not given.get("stream"):
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise wrong(call, message, "stream_options")
    return given


def refuse_strangers(call: DialectRequest, given: Mapping[str, Any], fields: Mapping[str, FieldRule]) -> None:
    for name in given:
        if name not in fields or name == "store":
            raise wrong(call, f"property '{name}' is unsupported", name, "wrong_api_format")


def check(call: DialectRequest, name: str, value: object, field: FieldRule) -> None:
    """Refuses a value of another type, or out of the field's limits."""
    if not any(fits(value, kind) for kind in field.kind.split(" or ")):
        message = f"Invalid type for '{name}': expected {field.kind}, but got {spoken(value)} instead."
        raise wrong(call, message, name, "invalid_type")
    if not isinstance(value, int | float):
        return
    if field.least is not None and value < field.least:
        message = f"Invalid '{name}': below minimum value. Expected >= {field.least}, but got {value} instead."
        raise wrong(call, message, name, f"{field.kind}_below_min_value")
    if field.most is not None and value > field.most:
        message = f"Invalid '{name}': above maximum value. Expected <= {field.most}, but got {value} instead."
        raise wrong(call, message, name, f"{field.kind}_above_max_value")


def fits(value: object, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, KINDS[kind])


def spoken(value: object) -> str:
    """The type of a JSON value in words."""
    kind = next((kind for kind in ("boolean", "integer", "number", "string", "array") if fits(value, kind)), "object")
    return "null" if value is None else f"an {kind}" if kind[0] in "aio" else f"a {kind}"


def wrong(call: DialectRequest, message: str, param: str, code: str = "invalid_value") -> Exception:
    """The refusal of a field, ready to be raised."""
    return refusal(call.path, Complaint(400, message, param, code))


def missing(call: DialectRequest, name: str) -> Exception:
    return wrong(call, f"Missing required parameter: '{name}'.", name, "missing_required_parameter")


def stops(call: DialectRequest, given: Mapping[str, Any]) -> list[str]:
    """The stop sequences: one string, or up to four in a list."""
    stop = given.get("stop", [])
    found = [stop] if isinstance(stop, str) else stop
    if len(found) > 4 or not all(isinstance(text, str) for text in found):
        raise wrong(call, "Invalid 'stop': expected a string, or an array of at most 4 strings.", "stop")
    return list(found)
