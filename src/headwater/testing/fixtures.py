"""A pytest plugin: the fixture `headwater_cassette`, a cassette for each test.

pytest loads this in every environment that has headwater, so it imports nothing but pytest before it is used.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from .cassettes import Cassette

_LONGEST: Final = 150
"""Characters of a test's name in that of its file."""
_DIGITS: Final = 8
_HAS_PASSED: Final = pytest.StashKey[bool]()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """Take note of a test that fails, also where it was expected to, or is skipped."""
    report = (yield).get_result()
    if report.outcome != "passed" or hasattr(report, "wasxfail"):
        item.stash[_HAS_PASSED] = False


@pytest.fixture
def headwater_cassette_path(request: pytest.FixtureRequest) -> Path:
    """The file of a test's cassette, `cassettes/TEST_FILE/TEST.jsonl` beside the test; others may override it.

    TEST is `Class.test-case`. What no file's name can have is a dash there, and a digest keeps two such names apart.
    """
    test, _, case = request.node.name.partition("[")
    owner = "" if request.cls is None else f"{request.cls.__qualname__}."
    name = f"{owner}{test}-{case.removesuffix(']')}" if case else f"{owner}{test}"
    safe = re.sub(r"[^\w.+-]+", "-", name, flags=re.ASCII).strip("-")[:_LONGEST]
    if safe != name:
        safe = f"{safe}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:_DIGITS]}"
    return request.path.parent / "cassettes" / request.path.stem / f"{safe}.jsonl"


@pytest.fixture
def headwater_cassette(request: pytest.FixtureRequest, headwater_cassette_path: Path) -> Iterator[Cassette]:
    """Record what the test's clients exchange, or replay it: see `headwater.testing.cassette`.

    Whether, `HEADWATER_CASSETTE` says ("record", "replay"); by itself it replays where there is a file, else records. A
    test that does not pass writes none.
    """
    from .cassettes import cassette

    request.node.stash[_HAS_PASSED] = True
    with cassette(headwater_cassette_path) as tape:
        yield tape
        if not request.node.stash[_HAS_PASSED]:
            tape.discard()
