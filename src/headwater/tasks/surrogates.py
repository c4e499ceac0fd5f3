"""Text that comes in pieces, of which one may end inside a character.

A server that cuts its text in UTF-16 writes a character beyond U+FFFF as two halves, `\\ud83d` and `\\ude00`, and may
send them in two events. No half leaves this module: two that meet are the character, one that stays alone is U+FFFD.
"""

from __future__ import annotations

import re
from typing import Any, Final

SURROGATE: Final = re.compile("[\ud800-\udfff]")
REPLACEMENT: Final = "\ufffd"


class TextPieces:
    """The pieces so far, and the first half of a character that waits for its second."""

    __slots__ = ("half", "pieces")

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.half = ""

    def take(self, piece: str) -> str:
        """Add a piece. Returns what can be shown of it now: all pieces that were shown are the text."""
        text, self.half = self.half + piece, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            self.half, text = text[-1], text[:-1]
        text = repair_surrogates(text)
        self.pieces.append(text)
        return text

    def whole(self) -> str:
        """The text so far. The pieces are one from then on, so that to ask at every piece costs no more each time."""
        text = "".join(self.pieces)
        if len(self.pieces) > 1:
            self.pieces[:] = [text]
        return text + REPLACEMENT if self.half else text

    def follow(self, text: str) -> str:
        """Take the whole text in place of the pieces. Returns what can be shown of it: what goes on from them."""
        before, text, self.half = "".join(self.pieces), repair_surrogates(text), ""
        self.pieces[:] = [text]
        return text.removeprefix(before) if text.startswith(before) else ""


def repair_surrogates(text: str) -> str:
    """Join the halves of characters in a text; a half that is alone becomes U+FFFD."""
    if not SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def repair_all_surrogates(value: Any) -> Any:
    """Repair every text in a JSON value."""
    if isinstance(value, str):
        return repair_surrogates(value)
    if isinstance(value, list):
        return [repair_all_surrogates(item) for item in value]
    return (
        {repair_surrogates(name): repair_all_surrogates(item) for name, item in value.items()}
        if isinstance(value, dict)
        else value
    )
