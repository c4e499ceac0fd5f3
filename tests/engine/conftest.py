"""The file server, for every test here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.file_server import FileServer, serving


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving() as running:
        yield running
