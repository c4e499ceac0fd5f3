"""Types for fields that servers write in more ways than Python code should have to know.

Each stands for its plain type everywhere but in the decoder; bringing the value to that type is for the
Struct's own `__post_init__`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Optional, TypeAlias, TypeVar

import msgspec

T = TypeVar("T")


class Part(msgspec.Struct):
    """A part of a content: a text, or what was thought, in parts of its own.

    https://docs.mistral.ai/capabilities/reasoning/
    """

    type: str | None = "text"
    text: str | None = None
    thinking: list[Part] | str | None = None


if TYPE_CHECKING:
    Nullable = Annotated[T, "or null"]
    Listed = Annotated[list[T] | None, "or its only item"]
    Identifier: TypeAlias = Annotated[str, "or a number, or null"]
    Parts: TypeAlias = Annotated[str | None, "or a list of parts"]
else:
    Nullable = Optional
    Listed = list[T] | T | None
    Identifier = str | int | None
    Parts = str | list[Part] | None


def text_of(parts: list[Part]) -> str | None:
    """The text of a content in parts; None where there is none."""
    texts = [part.text for part in parts if part.text is not None and (part.type or "text").endswith("text")]
    return "".join(texts) if texts else None


def thoughts_of(parts: list[Part]) -> str | None:
    """What a reasoning model's parts say that it thought."""
    found = [part.thinking for part in parts if part.thinking]
    return "".join(text_of(t) or "" if isinstance(t, list) else t for t in found) if found else None
