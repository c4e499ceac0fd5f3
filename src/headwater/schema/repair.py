"""JSON that a model wrote in its own way: between words, in a fence of Markdown, or with mistakes in its spelling.

What stands around the JSON is taken off here; mistakes inside it are json-repair's to mend (the extra `repair`),
https://github.com/mangiucugna/json_repair. What comes of it is validated as any answer is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ..errors import CallError

_THOUGHTS: Final = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_FENCE: Final = re.compile(r"```[A-Za-z0-9]*[ \t]*\n(.*?)(?:\n[ \t]*```|\Z)", re.DOTALL)


def candidates(text: str) -> Iterator[str]:
    """What in a text may be meant as the JSON, the likeliest first: without what stands around it, and mended.

    Raises `CallError` where json-repair is needed and not installed.
    """
    bare = _THOUGHTS.sub("", text).strip()
    fenced = _FENCE.search(bare)
    inner = fenced[1].strip() if fenced is not None else bare
    if inner != text:
        yield inner
    start = min((at for at in (inner.find("{"), inner.find("[")) if at >= 0), default=-1)
    if start >= 0:
        end = max(inner.rfind("}"), inner.rfind("]")) + 1
        if end > start:
            yield inner[start:end]
        yield mended(inner[start:])


def mended(text: str) -> str:
    """The JSON without mistakes in its spelling; as it is, where it is nested too deep to be looked through."""
    try:
        from json_repair import repair_json
    except ImportError as error:
        message = 'repairing JSON needs a package that is missing: pip install "headwater[repair]"'
        raise CallError(message) from error
    try:
        return str(repair_json(text))
    except (RecursionError, ValueError):  # it is nested deeper than json-repair reads
        return text
