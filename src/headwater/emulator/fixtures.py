"""A pytest plugin: the fixture ``headwater_emulator``, the base URL of an emulator that runs all the session.

pytest loads this in every environment that has headwater, so it imports nothing but pytest before it is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .server import Emulator


@pytest.fixture(scope="session")
def headwater_emulator() -> Iterator[Emulator]:
    """The base URL of a local server that answers like the vendors do: see `headwater.emulator`."""
    from . import running

    with running() as url:
        yield url
