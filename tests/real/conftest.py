"""llama.cpp's server, one for all tests that want it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from real.installed import server


@pytest.fixture(scope="session")
def llama() -> Iterator[str]:
    with server("llama") as url:
        yield url
