"""Members of a stream's pieces that no field holds, gathered into what a plain answer would have.

A member of a delta is a piece. A list goes on; an object is merged; a text goes on where its name is one of
`TEXT_MEMBERS`; anything else that comes again takes the place of what was there. In a list, an object with the `index`
and `type` of an earlier one is a part of that. An object of a thought's type (`THOUGHTS`) without an index goes on with
the last one of the same type and id, unless that has its signature
(https://openrouter.ai/docs/use-cases/reasoning-tokens#reasoning_details-array-structure). An object that comes again as
it was is not kept twice.

A member of a chunk is a fact about the whole answer: there a list takes the place of what was there, too. Null and an
empty text take the place of nothing. The cost is linear in what comes.
"""

from __future__ import annotations

import binascii
from typing import Any, Final

from .surrogates import TextPieces, repair_all_surrogates

TEXT_MEMBERS: Final = frozenset(
    {
        "arguments",
        "content",
        "data",
        "input",
        "partial_json",
        "reasoning",
        "reasoning_text",
        "summary",
        "text",
        "thinking",
        "thought",
        "transcript",
    }
)
THOUGHTS: Final = frozenset({"output_text", "reasoning", "redacted_thinking", "text", "thinking"})
"""The types, up to their first dot, of objects whose texts come in pieces."""


class MemberFold:
    """An object so far. `pieces`: whether what comes is a delta's, not a chunk's."""

    __slots__ = ("_members", "_pieces")

    def __init__(self, pieces: bool) -> None:
        self._members: dict[str, Any] = {}
        self._pieces = pieces

    def add(self, more: dict[str, Any]) -> bool:
        """Take what came; whether that changed anything."""
        changed = False
        for name, value in more.items():
            if value is None or value == "":
                self._members.setdefault(name, value)
            else:
                changed |= self._take(name, value)
        return changed

    def _take(self, name: str, value: Any) -> bool:
        known: Any = self._members.get(name)
        kind: Any
        if isinstance(value, dict):
            kind = MemberFold
        elif isinstance(value, list) and self._pieces:
            kind = _ListFold
        elif isinstance(value, str) and self._pieces and name in TEXT_MEMBERS:
            kind = TextPieces
        else:
            self._members[name] = value
            return bool(known != value)
        new = type(known) is not kind
        if new:
            known = self._members[name] = MemberFold(self._pieces) if kind is MemberFold else kind()
        return bool(known.take(value) if kind is TextPieces else known.add(value)) or new

    def get(self, name: str) -> Any:
        """What a member that is no object, list or text in pieces has been said to be."""
        return self._members.get(name)

    def result(self) -> dict[str, Any]:
        """The object in plain values."""
        return {name: _plain(value) for name, value in self._members.items()}


class _ListFold:
    """A list so far."""

    __slots__ = ("_by_index", "_items", "_seen")

    def __init__(self) -> None:
        self._items: list[Any] = []
        self._by_index: dict[tuple[int, str], MemberFold] = {}
        self._seen: set[str] = set()

    def add(self, items: list[Any]) -> bool:
        """Take what came; whether that changed anything."""
        last = self._items[-1] if self._items else None  # those of one list are not parts of each other
        changed = False
        for place, item in enumerate(items):
            changed |= self._take(item, last if place == 0 else None)
        return changed

    def _take(self, item: Any, last: Any) -> bool:
        if not isinstance(item, dict):
            self._items.append(item)
            return True
        kind, index = str(item.get("type") or ""), item.get("index")
        pieces = kind.partition(".")[0] in THOUGHTS
        place = (index, kind) if isinstance(index, int) else None
        known = self._by_index.get(place) if place is not None else last if pieces and _goes_on(last, item) else None
        if known is not None:
            return bool(known.add(item))
        if not pieces:
            told = repr(item)
            if told in self._seen:
                return False
            self._seen.add(told)
        made = MemberFold(pieces)
        made.add(item)
        self._items.append(made)
        if place is not None:
            self._by_index[place] = self._by_index[place[0], ""] = made
        return True

    def result(self) -> list[Any]:
        """The list in plain values."""
        return [_plain(item) for item in self._items]


def _goes_on(last: Any, item: dict[str, Any]) -> bool:
    if not isinstance(last, MemberFold) or last.get("type") != item.get("type"):
        return False
    if item.get("id") and last.get("id") and item["id"] != last.get("id"):
        return False
    return not (last.get("signature") and any(item.get(name) for name in TEXT_MEMBERS))


def _plain(value: Any) -> Any:
    if isinstance(value, MemberFold | _ListFold):
        return value.result()
    return _text(value) if isinstance(value, TextPieces) else repair_all_surrogates(value)


def _text(value: TextPieces) -> str:
    """The pieces as one text; those in base64 that are padded each for itself as one in base64."""
    if any(piece.endswith("=") for piece in value.pieces[:-1]):
        try:
            data = b"".join([binascii.a2b_base64(piece, strict_mode=True) for piece in value.pieces])
            return binascii.b2a_base64(data, newline=False).decode()
        except ValueError:
            pass
    return value.whole()
