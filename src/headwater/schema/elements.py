"""The elements of a list of JSON that comes piece by piece, each read once and as soon as it is whole.

Each character is looked at once, and what was read is let go of.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from ..errors import DecodeError
from .codec import Codec
from .partial import Scanner

T = TypeVar("T")


class ElementReader(Generic[T]):
    """Reads the elements of one list, which may be the only member of an object, as servers that want objects have it.

    `whole`: the elements that the newest piece has completed.
    """

    def __init__(self, codec: Codec[T]) -> None:
        self._codec = codec
        self._scanner = Scanner()
        self._read = 0
        self.whole: list[T] = []

    def feed(self, piece: str) -> list[T]:
        """The elements that this piece completes. Raises `DecodeError` for one that is none of the type, with its
        place; those before it are `whole`."""
        self.whole = []
        scanner = self._scanner
        scanner.feed(piece)
        found = scanner.first_list
        if found is None:
            return []
        for start, end in found.spans:
            self.whole.append(self._element(scanner.part(start, end)))
        if found.spans:
            scanner.let_go(found.spans[-1][1])
            found.spans.clear()
        return self.whole

    def _element(self, text: str) -> Any:
        place = self._read
        self._read += 1
        try:
            return self._codec.decode(text)
        except DecodeError as error:
            reason, _, _ = error.message.rpartition(" - at ")
            path = f"$[{place}]{(error.path or '$')[1:]}"
            wrong = DecodeError(f"{reason} - at {path}")
            wrong.path, wrong.body = path, error.body
            raise wrong from None
