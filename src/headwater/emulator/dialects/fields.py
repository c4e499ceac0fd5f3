"""What is wrong with a JSON body: the first field that is missing, of another type, or no file; vendor-neutral.

``null`` counts as absent. Fields that a table does not name are left alone: who refuses them says so itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .checks import fits, spoken
from .media import base64_of

TYPES: dict[str, str] = {
    "prompt": "string",
    "text": "string",
    "negative_prompt": "string or array",
    "seed": "integer",
    "steps": "integer",
    "num_inference_steps": "integer",
    "guidance_scale": "number",
    "guidance": "number",
    "num_frames": "number",
    "width": "integer",
    "height": "integer",
    "size": "string",
    "image_size": "object or string",
    "image_urls": "array",
    "images": "array",
    "loras": "array",
    "sync_mode": "boolean",
}
"""The fields that the media vendors share, with their types."""

DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)(?:;[\w=.+-]+)*;base64,(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Problem:
    """``kind``: missing, type or value; ``at`` leads to the field."""

    at: tuple[str | int, ...]
    kind: str
    message: str

    @property
    def name(self) -> str:
        return ".".join(map(str, self.at))


def problem(body: Mapping[str, Any], required: Iterable[str] = (), types: Mapping[str, str] = TYPES) -> Problem | None:
    """The first thing wrong with ``body``, None if nothing is."""
    for name in required:
        if body.get(name) in (None, ""):
            return Problem((name,), "missing", "Field required")
    for name, value in body.items():
        if value is None or name not in types:
            continue
        if not any(fits(value, kind) for kind in types[name].split(" or ")):
            return Problem((name,), "type", f"Input should be a valid {types[name]}, not {spoken(value)}")
    return None


def file_problem(body: Mapping[str, Any], name: str, kinds: Iterable[str]) -> Problem | None:
    """What is wrong with the file in a field, an http(s) URL or a data URL of one of the ``kinds``, if it is there."""
    value = body.get(name)
    return None if value is None or is_file(value, kinds) else Problem((name,), "value", "Unsupported data URL")


def is_file(value: object, kinds: Iterable[str]) -> bool:
    if not isinstance(value, str):
        return False
    if re.match(r"https?://[^/\s]+", value):
        return True
    found = DATA_URL.fullmatch(value)
    return found is not None and found[1].startswith(tuple(kinds)) and base64_of(found[2]) is not None
