"""What every result type is: a Struct whose fields also answer as keys, and that forgets nothing.

The server's own bytes stay attached to a result's outermost object, undecoded; `raw` decodes them when asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ..json_text import loads


class Output(msgspec.Struct, kw_only=True, dict=True):
    """A result: `out.score`, `out["score"]`, `out.get("score")`, `"score" in out`, `dict(out)`, `out.to_json()`."""

    def __getitem__(self, key: str) -> Any:
        if key in self.__struct_fields__:
            return getattr(self, key)
        raw = self.raw
        if isinstance(raw, dict) and key in raw:
            return raw[key]
        raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return key in self.__struct_fields__

    def __iter__(self) -> Iterator[str]:
        return iter(self.__struct_fields__)

    def __len__(self) -> int:
        return len(self.__struct_fields__)

    def keys(self) -> tuple[str, ...]:
        """The declared fields' names."""
        return self.__struct_fields__

    def values(self) -> list[Any]:
        """The declared fields' values."""
        return [getattr(self, name) for name in self.__struct_fields__]

    def items(self) -> list[tuple[str, Any]]:
        """The declared fields, as pairs."""
        return [(name, getattr(self, name)) for name in self.__struct_fields__]

    def get(self, key: str, default: Any = None) -> Any:
        """The field, or what the server sent under that name, or the default."""
        try:
            return self[key]
        except KeyError:
            return default

    def to_dict(self) -> dict[str, Any]:
        """The declared fields as plain dicts and lists, all the way down."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    def to_json(self) -> str:
        """The declared fields as JSON text."""
        return msgspec.json.encode(self).decode()

    @property
    def raw(self) -> Any:
        """All that the server sent for this, decoded now; None where this was not read from an answer."""
        body = self.__dict__.get("_body")
        return None if body is None else loads(body)

    @property
    def facts(self) -> Any:
        """How this came about (`headwater.Facts`: provider, request id, attempts, ...), if a call gave it."""
        return self.__dict__.get("_facts")
