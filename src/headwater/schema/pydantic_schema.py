"""How a type of ours is a type for pydantic's models, and so for FastAPI; pydantic is loaded by who has it.

https://docs.pydantic.dev/latest/concepts/types/#customizing-validation-with-__get_pydantic_core_schema__
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def pydantic_schema(take: Callable[[Any], Any], dump: Callable[[Any, Any], Any], reference: str | None = None) -> Any:
    """The schema of what `take` makes of a value, or refuses with a `ValueError`, and `dump` writes, given pydantic's
    options. `reference`: what the type is called among several."""
    from pydantic_core import core_schema

    written = core_schema.plain_serializer_function_ser_schema(dump, info_arg=True)
    return core_schema.no_info_plain_validator_function(take, ref=reference, serialization=written)
