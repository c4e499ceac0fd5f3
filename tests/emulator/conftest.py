"""The fixtures of the emulator's own tests.

An installed distribution registers the emulator's by its entry point; a source tree that is only on the path does not.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import httpx
import pytest
from support.fault_client import SOON

from headwater.emulator import faults
from headwater.emulator.fixtures import headwater_emulator as headwater_emulator


@pytest.fixture
def server() -> Iterator[faults.FaultServer]:
    with faults.running() as running:
        yield running


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    no_roots = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loading them is most of a client's cost
    with httpx.Client(trust_env=False, timeout=SOON, verify=no_roots) as client:
        yield client
