"""The command as a process: its entry, Ctrl-C, a reader that goes away, and what it imports."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import Any

import pytest
from support.cli_subprocess import SECONDS, command_line, environment, started

import headwater
from headwater.emulator import faults

CHAT = ("chat", "hi", "--model", "m", "--base-url")


def test_version() -> None:
    done = subprocess.run(command_line("--version"), env=environment(), capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (f"{headwater.__version__}\n", "")


def test_an_answer_through_pipes(server: Any) -> None:
    with started("chat", "--model", "m", "--base-url", server, stdin=subprocess.PIPE) as process:
        out, err = process.communicate(b"two words", SECONDS)
    assert (process.returncode, out, err) == (0, b" ".join([b"two words"] * 8) + b"\n", b"")


@pytest.mark.parametrize("fault", ["sse_stall", "hang_before_headers"])
def test_ctrl_c_closes_the_connection(broken: faults.FaultServer, fault: str) -> None:
    with started(*CHAT, broken.at(fault)) as process:
        assert process.stdout is not None
        assert broken.wait_requests(1, SECONDS)
        if fault == "sse_stall":
            assert process.stdout.read(9) == b"w0 w1 w2 "
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert err == b""
    assert broken.wait_closed(1, SECONDS)
    assert [record.closed_by for record in broken.connections] == ["client"]


def test_a_reader_that_goes_away_ends_it_quietly(broken: faults.FaultServer) -> None:
    with started(*CHAT, broken.at("sse_flood")) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.read(6) == b"w0 w1 "
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(SECONDS) == 141
    assert broken.wait_closed(1, SECONDS)


def test_a_short_answer_whose_reader_went_away() -> None:
    with started("tasks", "--json") as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(SECONDS) == 141


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (("--version",), ["cyclopts", "rich", "msgspec", "headwater.client"]),
        (("providers",), ["headwater.client", "anyio", "httpx", "rich.console", "PIL"]),
    ],
)
def test_what_is_not_imported(arguments: tuple[str, ...], absent: list[str]) -> None:
    code = f"""if True:
        import json, sys
        from headwater.cli import main
        main({list(arguments)!r})
        print(json.dumps(sorted(sys.modules)))"""
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, check=True)
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert [name for name in absent if name in loaded] == []
