"""For tests of what is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.told import Told


@pytest.fixture
def told() -> Iterator[Told]:
    found = Told()
    yield found
    found.tracers.shutdown()
    found.meters.shutdown()
