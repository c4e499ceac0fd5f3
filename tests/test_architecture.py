"""The layers, as a table that is also their document; and what importing headwater loads.

An import inside a function counts, one for type checkers alone does not.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import headwater

ROOT = Path(headwater.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
LONGEST_BODY = 40
"""Lines of a function below its docstring. A file is one subject, of any length that it needs."""


class Layer(NamedTuple):
    """What a part of the package may import: other parts, and packages from outside."""

    parts: str
    outside: str = ""


FLOOR = "_version errors protocol resolver auth responses media"
CALLS = f"{FLOOR} tasks providers engine blocking throttle mapper"
LAYERS = {
    # 0: words and pure knowledge
    "_version": Layer(""),
    "errors": Layer("", "msgspec"),
    "protocol": Layer("errors", "msgspec"),
    "resolver": Layer("", "anyio"),
    "auth": Layer("errors protocol", "msgspec"),
    "responses": Layer("errors protocol auth", "msgspec"),
    "media": Layer("errors protocol", "msgspec PIL numpy"),
    # 1: what can be asked
    "tasks": Layer(FLOOR, "msgspec numpy pydantic_core"),
    # 2: who answers; the wire
    "providers": Layer(f"{FLOOR} tasks", "msgspec"),
    "transport": Layer(FLOOR, "anyio httpx httptools certifi"),
    # 3: how a call runs, and how many of them at once
    "engine": Layer(f"{FLOOR} tasks", "anyio msgspec"),
    "blocking": Layer(f"{FLOOR} engine", "anyio sniffio"),
    "throttle": Layer(f"{FLOOR} engine", "anyio"),
    "mapper": Layer(f"{FLOOR} tasks engine blocking throttle client", "anyio msgspec"),
    # 4: the clients; `transport` is chosen here
    "client": Layer(f"{CALLS} transport", "anyio msgspec httpx_sse"),
    # 5: built on all of it; the emulator on nothing of it, so that it shares no mistake
    "emulator": Layer("", "anyio httpx pytest starlette uvicorn"),
    "batch": Layer(f"{CALLS} client", "anyio msgspec matplotlib"),
    "cli": Layer(f"{CALLS} client batch", "anyio msgspec cyclopts rich"),
    "integrations": Layer(f"{CALLS} client batch", "anyio msgspec numpy starlette"),
    # they import what their readers would
    "testing": Layer("errors protocol", "anyio msgspec"),
    # they import what their readers would
    "examples": Layer(
        "integrations AsyncInferenceClient HeadwaterError Timeout", "anyio msgspec starlette uvicorn hypercorn ray"
    ),
    "__main__": Layer("cli"),
    "__init__": Layer(f"{CALLS} client"),
}
"""A part is a file or a folder of the package; it may always import itself."""
NEVER = {"asyncio", "trio"}
"""In no file but these: anyio knows them."""
BUT = {"transport/trio_streams.py": {"trio"}}
PURE = {"time", "random", "socket", "threading", "select", "subprocess"}
"""In no flow of a provider: waiting and choosing are the engine's."""


class Import(NamedTuple):
    part: str
    outside: str


def part_of(file: Path) -> str:
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(file: Path) -> Iterator[Import]:
    """What the file imports when it runs."""
    package = ["headwater", *file.relative_to(ROOT).parts[:-1]]
    for node in at_run_time(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            first, *rest = name.split(".")
            yield Import(rest[0], "") if first == "headwater" and rest else Import("", first)


def at_run_time(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a file without those under `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                yield from (other, *at_run_time(other))
        else:
            yield node
            yield from at_run_time(node)


def named(file: Path) -> str:
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("file", FILES, ids=named)
def test_a_file_imports_what_its_layer_may(file: Path) -> None:
    assert part_of(file) in LAYERS, "a new part of the package needs a layer"
    layer = LAYERS[part_of(file)]
    parts = {*layer.parts.split(), part_of(file)}
    outside = {*layer.outside.split(), *sys.stdlib_module_names} - NEVER | BUT.get(named(file), set())
    for found in imports(file):
        if found.part:
            assert found.part in parts | {"__version__"}
        else:
            assert found.outside in outside


@pytest.mark.parametrize("file", FILES, ids=named)
def test_a_file_says_what_it_is_and_its_functions_are_short(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    if tree.body:
        assert ast.get_docstring(tree)
    assert [function.name for function in functions(tree) if body_lines(function) > LONGEST_BODY] == []


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The lines from the first statement to the last, the docstring not counted."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("file", sorted((ROOT / "providers").glob("*.py")), ids=named)
def test_a_flow_neither_waits_nor_chooses(file: Path) -> None:
    assert not {found.outside for found in imports(file)} & PURE
    calls = [node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    assert "open" not in {call.func.id for call in calls if isinstance(call.func, ast.Name)}


# what is imported


def loaded_by(statement: str) -> set[str]:
    script = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_headwater_loads_next_to_nothing() -> None:
    added = loaded_by("import headwater") - loaded_by("pass")
    assert {name for name in added if name.startswith("headwater")} == {"headwater", "headwater._version"}
    assert not added & {"httpx", "PIL", "ssl", "msgspec", "anyio", "asyncio", "numpy"}


@pytest.mark.parametrize("name", ["InferenceClient", "AsyncInferenceClient"])
def test_a_client_loads_neither_httpx_nor_pillow_nor_an_event_loop(name: str) -> None:
    loaded = loaded_by(f"from headwater import {name}; {name}(base_url='http://127.0.0.1:9')")
    assert not loaded & {"httpx", "PIL", "numpy", "asyncio", "trio", "starlette", "uvicorn", "rich", "cyclopts"}


def test_the_emulator_is_independent_of_the_library() -> None:
    """It would share the library's mistakes."""
    loaded = loaded_by("import headwater.emulator, headwater.emulator.faults")
    ours = {name for name in loaded if name.startswith("headwater") and "emulator" not in name}
    assert ours == {"headwater", "headwater._version"}


# the public names


def declared() -> dict[str, str]:
    """Name to module, by the lines that type checkers read."""
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    found = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        assert node.module is not None
        for alias in node.names:
            assert alias.asname == alias.name, "without `as`, type checkers take it for private"
            found[alias.name] = node.module
    return found


def test_every_public_name_is_there() -> None:
    assert len(headwater.__all__) == len(set(headwater.__all__))
    for name in headwater.__all__:
        assert getattr(headwater, name) is not None
    assert set(dir(headwater)) == set(headwater.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        headwater.nonsense  # noqa: B018


def test_type_checkers_see_the_same_names() -> None:
    assert declared() == headwater._HOMES


def test_every_error_is_public() -> None:
    from headwater import errors

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert {kind.__name__ for kind in kinds} <= set(headwater.__all__)
    assert all(kind.__doc__ for kind in kinds)
