"""Types for fields that servers write in more ways than Python code should have to know.

Each stands for its plain type everywhere but in the decoder; bringing the value to that type is for the
Struct's own `__post_init__`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Optional, TypeAlias, TypeVar

T = TypeVar("T")

if TYPE_CHECKING:
    Nullable = Annotated[T, "or null"]
    Listed = Annotated[list[T] | None, "or its only item"]
    Identifier: TypeAlias = Annotated[str, "or a number, or null"]
else:
    Nullable = Optional
    Listed = list[T] | T | None
    Identifier = str | int | None
