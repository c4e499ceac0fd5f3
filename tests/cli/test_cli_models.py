"""`headwater models`: what the router offers, as lines and as JSON."""

from __future__ import annotations

import json

import pytest

from headwater.cli.app import run_command
from headwater.emulator.server import Emulator


def test_models_by_their_price(headwater_emulator: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["models", "chat", "--base-url", f"{headwater_emulator}/v1"]
    assert run_command([*base, "--sort", "price"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split("\t")[:4] == ["model", "provider", "status", "in $/M"]
    assert [line.split("\t")[1] for line in lines] == ["together", "groq"]
    assert run_command([*base, "--tools", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["provider"], row["tools"], row["context"], row["first ms"]) == ("together", True, 32768, 300)
    assert run_command([*base, "--sort", "latency", "--structured-output"]) == 0
    assert "groq" in capsys.readouterr().out


def test_no_such_model_and_no_such_order(headwater_emulator: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["models", "--base-url", f"{headwater_emulator}/v1"]
    assert run_command([*base, "nothing-like-it"]) == 1
    assert run_command(["models", "--base-url", f"{headwater_emulator}/v1", "--sort", "colour"]) == 2
    assert "price" in capsys.readouterr().err
