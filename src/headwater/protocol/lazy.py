"""What is loaded or made when it is first used, so that a program's start pays for what it uses.

A first chat at a URL is 507 million instructions, 394 of them Python, anyio, asyncio, ssl and msgspec. It was 737 when
all tasks and providers were loaded at the start (100), and every regular expression compiled (35).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final


class LazyModule:
    """A module by its name, which is imported when something of it is asked for."""

    def __init__(self, name: str) -> None:
        self._module = name

    def __getattr__(self, name: str) -> Any:
        value = getattr(import_module(self._module), name)
        vars(self)[name] = value
        return value


def lazy_modules(package: str, names: str) -> Iterable[tuple[str, LazyModule]]:
    """Modules of a package by their names, for the globals of a file; type checkers read an import in its place:

    if TYPE_CHECKING:
        from . import fal, replicate
    else:
        globals().update(lazy_modules(__package__, "fal replicate"))
    """
    return [(name, LazyModule(f"{package}.{name}")) for name in names.split()]


if TYPE_CHECKING:
    lazy_pattern: Final = re.compile
else:

    class lazy_pattern:  # noqa: N801 - a function to whoever reads it
        """`re.compile`, done when the pattern is first used: it takes a tenth to a half of a millisecond. Each use
        costs 200 instructions more, so that what is asked of every chunk is compiled by `re`."""

        def __init__(self, pattern: str | bytes, flags: int = 0) -> None:
            self._source = pattern, flags

        def __getattr__(self, name: str) -> Any:
            value = getattr(re.compile(*self._source), name)
            vars(self)[name] = value  # the next time it is as any attribute
            return value
