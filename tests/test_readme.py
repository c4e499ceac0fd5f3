"""The README holds: every Python example in it runs, its commands are the sessions', its table is the code's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headwater import emulator
from headwater.client.bound_task import Task
from headwater.client.task_table import Tasks
from headwater.protocol.transport import Transport
from headwater.providers.table import markdown
from headwater.transport import httpx_adapter, transports

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def everywhere() -> Iterator[str]:
    with emulator.running() as url:
        yield url


@pytest.mark.parametrize("example", EXAMPLES, ids=[f"example{number}" for number in range(len(EXAMPLES))])
def test_every_example_runs(
    example: str, everywhere: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every provider's real host is the emulator here; nothing else of an example is changed.

    Examples keep their clients, as scripts do: that is allowed with our pool, and httpx's own would warn.
    """

    def make(*_: object) -> Transport:
        rewriting: Any = emulator.rewriting(everywhere)
        rewriting.inner = httpx_adapter.PoolTransport()
        return httpx_adapter.adapted(rewriting)

    monkeypatch.setattr(transports.Transports, "_make", make)
    for name in ("TOGETHER_API_KEY", "REPLICATE_API_TOKEN", "FAL_KEY"):
        monkeypatch.setenv(name, "key-of-a-test")
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {"__name__": "__main__"})


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 7


def test_the_table_is_the_codes() -> None:
    written = README.partition("<!-- table -->\n")[2].partition("<!-- /table -->")[0].strip()
    assert written == markdown()


def test_the_events_are_the_declarations() -> None:
    written = README.partition("<!-- events -->\n")[2].partition("<!-- /events -->")[0].strip()
    declared: dict[str, list[str]] = {}
    for row in vars(Tasks).values():
        if isinstance(row, Task):
            events = ", ".join(f"`{name}`" for name in row.declaration.events)
            declared.setdefault(events, []).append(f"`{row.declaration.method}`")
    rows = [f"| {', '.join(tasks)} | {events} |" for events, tasks in declared.items()]
    assert written.splitlines() == ["| `.stream(...)` of | hands over |", "|---|---|", *rows]


@pytest.mark.parametrize("session", ["demo", "tests"])
def test_the_two_commands_are_on_the_first_screen(session: str) -> None:
    command = f"python3 -m pip install -q nox && python3 -m nox -s {session}\n"
    assert command in "".join(README.splitlines(keepends=True)[:25])
    assert f"def {session}(session" in (ROOT / "noxfile.py").read_text(encoding="utf-8")


def test_ci_runs_what_the_readme_says() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "python3 -m pip install -q nox && python3 -m nox -s tests" in script.replace("'", "").replace('"', "")
