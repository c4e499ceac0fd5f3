"""Types for fields that servers write in more ways than Python code should have to know.

Each stands for its plain type everywhere but in the decoder; bringing the value to that type is for the
Struct's own `__post_init__`. What a type says of a value that does not fit at all is in
`responses.json_decoder`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias, TypeVar

import msgspec

from ..protocol.json_text import dumps
from ..responses.json_decoder import KEPT, NEEDED, SPOKEN, UNNEEDED, convert

T = TypeVar("T")

NOT_SAID: Final[Any] = None
"""The default of a member that results have, and that a server may leave out or write in a way of its own."""


class ContentPart(msgspec.Struct):
    """A part of a content: a text, or what was thought, in parts of its own.

    https://docs.mistral.ai/capabilities/reasoning/
    """

    type: str | None = "text"
    text: Any = None
    content: Any = None
    thinking: list[ContentPart] | str | None = None


if TYPE_CHECKING:
    Needed = Annotated[T, NEEDED]
    """What the result needs: it may be missing, and is never left out because it is odd."""
    Unneeded = Annotated[T, UNNEEDED]
    """What nothing depends on: an odd one is as good as missing."""
    Kept = Annotated[T, KEPT]
    """A word that says something in any form: an odd one stays as it came."""
    Spoken = Annotated[T, SPOKEN]
    """What a model said, in any form; `text_of` has its text."""
    Nullable = Annotated[T, "or null"]
    Identifier: TypeAlias = Annotated[str, "or a number, or null"]
    ContentParts: TypeAlias = Annotated[str | None, "or a list of parts and texts, or an object"]
    Thoughts: TypeAlias = Annotated[str | None, "or a list of parts and texts, or an object with a text"]
else:

    class Alias:
        """A generic alias. `typing` puts a type into its own in 25 us, and a start has dozens of them."""

        def __init__(self, alias: Callable[[Any], Any]) -> None:
            self._alias = alias

        def __getitem__(self, kind: Any) -> Any:
            return self._alias(kind)

    Needed, Unneeded = Alias(lambda kind: Annotated[kind, NEEDED]), Alias(lambda kind: Annotated[kind, UNNEEDED])
    Kept, Spoken = Alias(lambda kind: Annotated[kind, KEPT]), Alias(lambda kind: Annotated[kind, SPOKEN])
    Nullable = Alias(lambda kind: kind | None)
    Identifier = str | int | None
    ContentParts = Spoken[str | list[ContentPart | str] | dict[str, Any] | None]
    Thoughts = str | list[ContentPart | str] | dict[str, Any] | None


def is_no_reason(finish: Any) -> bool:
    """Whether a finish reason says that there is none yet: nothing, or null as a word (KoboldCpp, Ai00)."""
    return isinstance(finish, str) and finish.strip().lower() in ("", "null", "none")


def text_of(content: Any) -> str | None:
    """The text of a content that is no text; None where there is none.

    Of parts it is the text in them, of an object with a text that text. Anything else is JSON, as a server gives it
    that has read the model's JSON already: a number as well as a list of them.
    """
    if content is None or content is False or (isinstance(content, str | list | dict) and not content):
        return None
    if isinstance(content, list) and all(map(_is_part, content)):
        return _joined(_text_in(part) for part in content)
    found = content.get("text") if isinstance(content, dict) else None
    return found if isinstance(found, str) else dumps(content).decode()


def _is_part(part: Any) -> bool:
    return part is None or isinstance(part, ContentPart | str) or (isinstance(part, dict) and "type" in part)


def _text_in(part: Any, kind: str = "text") -> str | None:
    """The text of a part whose type ends so, which may be in an object of its own (`{"value": ...}`)."""
    if isinstance(part, dict):
        part = convert(part, ContentPart)
    if not isinstance(part, ContentPart):
        return part if isinstance(part, str) else None
    said = part.content if part.text is None else part.text
    if isinstance(said, dict):
        said = said.get("value")
    return said if isinstance(said, str) and (part.type or "text").endswith(kind) else None


def _joined(texts: Iterable[str | None]) -> str | None:
    """The texts that there are, in one; None where there is none."""
    found = [text for text in texts if text is not None]
    return "".join(found) if found else None


def thought_of(said: Any) -> str | None:
    """What a model thought, which came as no text: the text of an object, or of parts."""
    if isinstance(said, list):
        return thoughts_of(said) or _joined(_text_in(part, "") for part in said)
    found = [said.get(name) for name in ("text", "content", "thinking", "summary")]
    return next((text for text in found if isinstance(text, str) and text), None)


def thoughts_of(content: Any) -> str | None:
    """What a reasoning model's parts say that it thought."""
    parts = content if isinstance(content, list) else []
    found = [part.thinking for part in parts if isinstance(part, ContentPart) and part.thinking]
    return "".join(text_of(t) or "" if isinstance(t, list) else t for t in found) if found else None
