"""Results larger than what is held: written to the disk by `run.save` and by the command's `-o`."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from support import python_subprocess
from support.drivers import Driver
from support.job_providers import KEY, VENDORS
from support.job_providers import everywhere as everywhere
from support.job_providers import running as running

from headwater.emulator.server import Emulator
from headwater.protocol.flow import MIB

pytestmark = pytest.mark.anyio

LARGE = 72
HELD = 60 * MIB
"""The first 16 MiB of a result that is saved are kept, twice while they are handed over."""


@pytest.mark.crowd
async def test_a_large_result_is_saved_without_being_held(driver: Driver, everywhere: Emulator, tmp_path: Path) -> None:
    vendor = VENDORS[0]
    async with vendor.client(driver, everywhere) as client:
        tracemalloc.start()
        try:
            path = await vendor.of(client).stream(f"huge-{LARGE}").save(tmp_path / "out.mp4")
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert (path.stat().st_size, path.read_bytes()[4:8]) == (LARGE * MIB, b"ftyp")
    assert most < HELD


COMMAND = """
import tracemalloc
from headwater import emulator
from headwater.cli import main
from headwater.transport import httpx_adapter, transports
transports.Pool = lambda **_: httpx_adapter.adapted(emulator.rewriting(URL))
prompt, path, *more = sys.argv[2:]
if prompt.startswith("huge"):
    tracemalloc.start()
at = ["--model", "org/text-to-video", "--provider", "fal-ai"]
code = main(["text-to-video", prompt, *at, "-o", path, *more])
print(code, tracemalloc.get_traced_memory()[1])
"""


@pytest.fixture
def command(
    everywhere: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, int, str]]:
    """`headwater text-to-video PROMPT -o FILE ...`: its code, the most bytes that it held, and what it said."""
    monkeypatch.setenv("FAL_KEY", KEY)

    def run(prompt: str, *more: str) -> tuple[int, int, str]:
        done = python_subprocess.run(COMMAND, str(everywhere), prompt, str(tmp_path / "out.mp4"), *more, strict=False)
        code, most = map(int, done.stdout.split())
        return code, most, done.stderr

    return run


def test_the_command_writes_a_large_result_without_holding_it(
    command: Callable[..., tuple[int, int, str]], tmp_path: Path
) -> None:
    code, most, said = command(f"huge-{LARGE}")
    assert code == 0, said
    assert (tmp_path / "out.mp4").stat().st_size == LARGE * MIB
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    assert most < HELD


def test_the_command_replaces_a_file_by_a_whole_one_alone(
    command: Callable[..., tuple[int, int, str]], tmp_path: Path
) -> None:
    out = tmp_path / "out.mp4"
    out.write_bytes(b"old")
    code, _, said = command("fail", "--force")
    assert code == 1
    assert "The model failed" in said
    assert out.read_bytes() == b"old"
    assert command("waves", "--force")[0] == 0
    assert out.read_bytes()[4:8] == b"ftyp"
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
