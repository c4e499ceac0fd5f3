"""Types for fields that servers write in more ways than Python code should have to know.

Each stands for its plain type everywhere but in the decoder; bringing the value to that type is for the
Struct's own `__post_init__`. What a type says of a value that does not fit at all is in
`responses.json_decoder`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Optional, TypeAlias, TypeVar

import msgspec

from ..protocol.json_text import dumps
from ..responses.json_decoder import KEPT, NEEDED, UNNEEDED

T = TypeVar("T")

NOT_SAID: Final[Any] = None
"""The default of a member that results have, and that a server may leave out or write in a way of its own."""


class ContentPart(msgspec.Struct):
    """A part of a content: a text, or what was thought, in parts of its own.

    https://docs.mistral.ai/capabilities/reasoning/
    """

    type: str | None = "text"
    text: Needed[str | None] = None
    thinking: list[ContentPart] | str | None = None


Needed = Annotated[T, NEEDED]
"""What the result needs: it may be missing, and is never left out because it is odd."""
Unneeded = Annotated[T, UNNEEDED]
"""What nothing depends on: an odd one is as good as missing."""
Kept = Annotated[T, KEPT]
"""A word that says something in any form: an odd one stays as it came."""

if TYPE_CHECKING:
    Nullable = Annotated[T, "or null"]
    Listed = Annotated[list[T] | None, "or its only item"]
    Identifier: TypeAlias = Annotated[str, "or a number, or null"]
    ContentParts: TypeAlias = Annotated[str | None, "or a list of parts and texts, or an object"]
    Thoughts: TypeAlias = Annotated[str | None, "or a list of parts and texts, or an object with a text"]
else:
    Nullable = Optional
    Listed = list[T] | T | None
    Identifier = str | int | None
    ContentParts = Needed[str | list[ContentPart | str] | dict[str, Any] | None]
    Thoughts = str | list[ContentPart | str] | dict[str, Any] | None


def is_no_reason(finish: Any) -> bool:
    """Whether a finish reason says that there is none yet: nothing, or null as a word (KoboldCpp, Ai00)."""
    return isinstance(finish, str) and finish.strip().lower() in ("", "null", "none")


def text_of(content: Any) -> str | None:
    """The text of a content that is no text; None where there is none.

    Of parts it is the text in them, of an object with a text that text. Anything else is JSON, as a server gives it
    that has read the model's JSON already.
    """
    if isinstance(content, list) and all(isinstance(part, ContentPart | str) for part in content):
        texts = [part if isinstance(part, str) else part.text for part in content if _is_text(part)]
        return "".join(text for text in texts if text is not None) if texts else None
    if not content:
        return None
    found = content.get("text") if isinstance(content, dict) else None
    return found if isinstance(found, str) else dumps(content).decode()


def thought_of(said: Any) -> str | None:
    """What a model thought, which came as no text: the text of an object, or of parts."""
    if isinstance(said, list):
        return thoughts_of(said) or text_of(said)
    found = [said.get(name) for name in ("text", "content", "thinking", "summary")]
    return next((text for text in found if isinstance(text, str) and text), None)


def _is_text(part: ContentPart | str) -> bool:
    return isinstance(part, str) or (part.text is not None and (part.type or "text").endswith("text"))


def thoughts_of(content: Any) -> str | None:
    """What a reasoning model's parts say that it thought."""
    parts = content if isinstance(content, list) else []
    found = [part.thinking for part in parts if isinstance(part, ContentPart) and part.thinking]
    return "".join(text_of(t) or "" if isinstance(t, list) else t for t in found) if found else None
