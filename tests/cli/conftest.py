"""The command in this process, and the servers that it asks."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from headwater import emulator
from headwater.emulator import faults


class Done(NamedTuple):
    code: int
    out: str
    err: str


class Input(io.TextIOWrapper):
    """Standard input with these bytes in it."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8")


@pytest.fixture(autouse=True)
def a_wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Help is wrapped to the terminal that the tests happen to run in, and a name in two halves is not found."""
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(scope="session")
def server() -> Iterator[Any]:
    with emulator.running() as url:
        yield url


@pytest.fixture
def broken() -> Iterator[faults.FaultServer]:
    with faults.running() as running:
        yield running


@pytest.fixture
def headwater_command(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> Callable[..., Done]:
    """`headwater ARGUMENTS` in this process; `given` is its standard input."""

    def run(*arguments: str, given: bytes = b"") -> Done:
        from headwater.cli import main

        with Input(given) as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            code = main(arguments)
        captured = capsysbinary.readouterr()
        return Done(code, captured.out.decode(), captured.err.decode())

    return run
