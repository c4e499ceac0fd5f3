"""The real servers that `nox -s real` has installed, as HEADWATER_REAL names them."""

from __future__ import annotations

import json
import os
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from real.servers import running


def server(name: str, packages: str | None = None) -> AbstractContextManager[str]:
    """Run a server from the packages that `nox -s real` installed, or skip the tests that want it."""
    folders: dict[str, str] = json.loads(os.environ["HEADWATER_REAL"])
    folder = folders.get(packages or name)
    if folder is None:
        pytest.skip(f"{packages or name} could not be installed by `nox -s real`")
    started: AbstractContextManager[str] = running(name, Path(folder))
    return started
