"""Open files as inputs of a call that may read them more than once: from where they stood, for all its attempts.

A file object is read from where it stands, so a second provider would find its end. Paths and URLs are read anew.
"""

from __future__ import annotations

from typing import Any

import anyio
import msgspec
from anyio import to_thread

from ..flow import Load, Loaded
from ..media import kind_of
from .exchange import Exchange
from .fetching import load


def is_file(step: Load) -> bool:
    """Whether the input is an open file."""
    return kind_of(step.source) == "file"


class Files:
    """The open files of one call, with what is in them."""

    __slots__ = ("_locks", "_read")

    def __init__(self) -> None:
        self._locks: dict[int, anyio.Lock] = {}
        self._read: dict[int, tuple[Any, Loaded]] = {}

    async def load(self, exchange: Exchange, step: Load) -> Loaded:
        """What is in the file; whoever asks meanwhile waits. One that stays where it is is read where it is wanted."""
        key = id(step.source)  # it stays the same file's: the call's arguments keep that alive
        async with self._locks.setdefault(key, anyio.Lock()):
            if key not in self._read:
                self._read[key] = step.source, await load(exchange, step)
            found = self._read[key][1]
            if found.file is not None and not step.streamed:
                data = await exchange.within(to_thread.run_sync(found.file.whole, abandon_on_cancel=True))
                found = msgspec.structs.replace(found, data=data, file=None)
                self._read[key] = step.source, found
            return found
