"""What is under way in this process can be neither copied nor pickled."""

from __future__ import annotations

from typing import NoReturn, SupportsIndex


def not_copied(self: object, protocol: SupportsIndex, /) -> NoReturn:
    """The `__reduce_ex__` of a run: `copy`, `deepcopy` and `pickle` ask it, and none of them can do it."""
    raise TypeError(
        f"the {type(self).__name__} is under way in this process: its results can be copied and pickled, it cannot"
    )
