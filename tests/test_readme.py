"""The pages hold: every Python example in them runs, their links lead somewhere, their tables are the code's.

The pages are README, CONTRIBUTING, SECURITY, those of `docs`, and the benchmarks' own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headwater import emulator
from headwater.client.bound_task import Task
from headwater.client.task_table import Tasks
from headwater.integrations.httpx import PoolTransport
from headwater.protocol.transport import Transport
from headwater.providers.table import markdown
from headwater.transport import httpx_adapter, transports
from headwater.transport.pool import Pool

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "headwater"
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")])
}
README = PAGES["README.md"]
EXAMPLES = [
    pytest.param(page, example, id=f"{page}-{number}")
    for page, text in PAGES.items()
    for number, example in enumerate(re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
]


MADE = re.compile(r"^docs/reference/(tasks|providers|outputs|errors|faults|command-line)\b")
"""The pages that the session `docs` makes from the declarations."""


def page_of(page: str, link: str) -> str:
    """The path, from the root of the repository, of what a link in this page leads to."""
    return os.path.normpath(Path(page).parent / link.partition("#")[0])


@pytest.fixture(scope="module")
def everywhere() -> Iterator[str]:
    with emulator.running() as url:
        yield url


@pytest.mark.parametrize(("page", "example"), EXAMPLES)
def test_every_example_runs(
    page: str,
    example: str,
    everywhere: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every provider's real host is the emulator here, unless an example has a transport; nothing else is changed.

    Examples keep their clients, as scripts do: that is allowed with our pool, and httpx's own would warn.
    """

    def make(**_: object) -> Transport:
        rewriting: Any = emulator.rewriting(everywhere)
        rewriting.inner = PoolTransport(Pool())
        return httpx_adapter.adapted(rewriting)

    monkeypatch.setattr(transports, "Pool", make)
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "TOGETHER_API_KEY", "REPLICATE_API_TOKEN", "FAL_KEY"):
        monkeypatch.setenv(name, "key-of-a-test")
    monkeypatch.chdir(tmp_path)
    if page == "docs/endpoints.md":
        monkeypatch.setenv("HEADWATER_TEST_MODE", "1")  # five seconds between two looks at an endpoint
    exec(compile(example, page, "exec", dont_inherit=True), {"__name__": "__main__"})  # as a script is


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 12


def test_the_readme_is_what_a_reader_wants_first() -> None:
    assert len(README.splitlines()) <= 250


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file(page: str) -> None:
    """Links to pages of the reference that are made with the site are checked where it is: the session `docs`."""
    links = re.findall(r"\]\(([^)\s]+)\)", PAGES[page])
    files = [link.partition("#")[0] for link in links if "://" not in link and not MADE.search(page_of(page, link))]
    assert [file for file in files if file and not ((ROOT / page).parent / file).exists()] == []


@pytest.mark.parametrize("page", sorted(page for page in PAGES if page.startswith("docs/")))
def test_the_sites_navigation_has_every_page(page: str) -> None:
    assert f'"{page.removeprefix("docs/")}"' in (ROOT / "docs" / "site" / "zensical.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["docs/index.md", "CONTRIBUTING.md", "SECURITY.md", "benchmarks/README.md"])
def test_the_readme_leads_to_the_book(page: str) -> None:
    assert f"({page})" in README


def answers() -> Iterator[Any]:
    """The rows of CONTRIBUTING's table of questions: files, and names to look for in them."""
    table = PAGES["CONTRIBUTING.md"].partition("| question | file | look for |\n")[2].partition("\n\n")[0]
    for row in table.splitlines()[1:]:
        question, files, names = row.strip("|").split(" | ")
        yield pytest.param(re.findall(r"`([^`]+)`", files), re.findall(r"`([^`]+)`", names), id=question.strip())


@pytest.mark.parametrize(("files", "names"), list(answers()))
def test_a_question_is_answered_where_contributing_says(files: list[str], names: list[str]) -> None:
    assert 1 <= len(files) <= 2
    sources = [path.read_text(encoding="utf-8") for file in files for path in SOURCE.glob(file)]
    assert len(sources) >= len(files)
    for name in names:
        assert any(re.search(rf"\b{name.rpartition('.')[2]}\b", source) for source in sources)


def between(page: str, mark: str) -> str:
    """What stands in a page between a pair of comments."""
    return PAGES[page].partition(f"<!-- {mark} -->\n")[2].partition(f"<!-- /{mark} -->")[0].strip()


def test_the_table_is_the_codes() -> None:
    assert between("docs/providers.md", "table") == markdown()


def test_the_events_are_the_declarations() -> None:
    written = between("docs/streams.md", "events")
    declared: dict[str, list[str]] = {}
    for row in vars(Tasks).values():
        if isinstance(row, Task):
            events = ", ".join(f"`{name}`" for name in row.declaration.events)
            declared.setdefault(events, []).append(f"`{row.declaration.method}`")
    rows = [f"| {', '.join(tasks)} | {events} |" for events, tasks in declared.items()]
    assert written.splitlines() == ["| `.stream(...)` of | hands over |", "|---|---|", *rows]


def test_every_variable_of_the_environment_is_on_its_page() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py"))
    read = set(re.findall(r'"((?:HEADWATER|HF|HUGGING|NO|SSL|XDG)_[A-Z_]+)"', sources))
    assert sorted(name for name in read if f"`{name}`" not in PAGES["docs/reference/environment.md"]) == []


@pytest.mark.parametrize("session", ["demo", "tests"])
def test_the_two_commands_are_on_the_first_screen(session: str) -> None:
    command = f"python3 -m pip install -q nox && python3 -m nox -s {session}\n"
    assert command in "".join(README.splitlines(keepends=True)[:25])
    assert f"def {session}(session" in (ROOT / "noxfile.py").read_text(encoding="utf-8")


def test_ci_runs_what_the_readme_says() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "python3 -m pip install -q nox && python3 -m nox -s tests" in script.replace("'", "").replace('"', "")
