"""A pytest plugin: the fixture `headwater_cassette`, a cassette for each test.

pytest loads this in every environment that has headwater, so it imports nothing but pytest before it is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .cassettes import Cassette


@pytest.fixture
def headwater_cassette_path(request: pytest.FixtureRequest) -> Path:
    """The file of a test's cassette, `cassettes/TEST_FILE/TEST.jsonl` beside the test; others may override it."""
    name = re.sub(r"[^\w.+-]+", "-", request.node.name).strip("-")
    return request.path.parent / "cassettes" / request.path.stem / f"{name}.jsonl"


@pytest.fixture
def headwater_cassette(request: pytest.FixtureRequest, headwater_cassette_path: Path) -> Iterator[Cassette]:
    """Record what the test's clients exchange, or replay it: see `headwater.testing.cassette`.

    Whether, `HEADWATER_CASSETTE` says ("record", "replay"); by itself it replays where there is a file, else records. A
    test that fails writes none.
    """
    from .cassettes import cassette

    failed = request.session.testsfailed
    with cassette(headwater_cassette_path) as tape:
        yield tape
        if request.session.testsfailed > failed:
            tape.discard()
