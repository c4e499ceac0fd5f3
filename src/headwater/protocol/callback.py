"""Functions that a program gives to be called back, checked where they are given: nobody would see later that one is
never run, or that all it says is a coroutine, which is true.
"""

from __future__ import annotations

from typing import Any

from ..errors import InvalidParameterError


def is_async(function: Any) -> bool:
    """Whether it is an async function, or an object that is called like one."""
    import inspect  # 4 ms, for who has such functions

    call = getattr(function, "__call__", None)  # noqa: B004 - of an object, whose own it is
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def check_callback(name: str, given: Any, *arguments: str) -> None:
    """Raise `InvalidParameterError` for what cannot be called, without being awaited, with so many arguments."""
    import inspect

    if not callable(given) or isinstance(given, type):
        raise InvalidParameterError(f"{name} must be a function of {' and '.join(arguments)}")
    if is_async(given):
        raise InvalidParameterError(f"{name} must not be async: it is called as things happen, and nobody awaits it")
    try:
        inspect.signature(given).bind(*arguments)
    except TypeError as error:
        raise InvalidParameterError(f"{name} must take {' and '.join(arguments)}: {error}") from None
    except ValueError:  # what is written in C may not say what it takes
        return
