"""What another thread may do in the middle of a function, at each of its instructions in turn: no thread, no timing."""

from __future__ import annotations

import inspect
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import headwater

STEPPED = (str(Path(headwater.__file__).parent), str(weakref.__file__))
"""Whose instructions are counted: the package's, and those of the dictionaries in Python that it uses."""


def with_another_between(act: Callable[[], Any], other: Callable[[], Any], step: int) -> tuple[Any, Any] | None:
    """What `act` returns, and what `other` did, called before that instruction of `act`; None where it has fewer.

    Only what needs no lock can be shown so: here `other` would wait for one that `act` holds for ever.
    """
    left, found = step, []

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if not frame.f_code.co_filename.startswith(STEPPED):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            if left == 0:
                found.append(other())  # nothing of it is traced
            left -= 1
        return trace

    before = sys.gettrace()
    here = inspect.currentframe()
    assert here is not None
    here.f_trace_opcodes = True  # early Pythons 3.12 ask for it when tracing begins, and not again
    sys.settrace(trace)
    try:
        result = act()
    finally:
        sys.settrace(before)
    return (result, found[0]) if found else None
