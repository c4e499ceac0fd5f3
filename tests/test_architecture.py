"""The rooms of the package, as a table that is also their document; and what importing headwater loads.

An import inside a function counts, and so does one for type checkers alone where it leads to another file of ours.
"""

from __future__ import annotations

import ast
import re
import select
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, TypeVar

import pytest

import headwater
from headwater import emulator
from headwater.batch.request_line import tasks_by_name

ROOT = Path(headwater.__file__).parent
FRONT = ROOT / "__init__.py"
FILES = sorted(ROOT.rglob("*.py"))
LONGEST_BODY = 40
"""Lines of a function below its docstring. A file is one subject, of any length that it needs."""


class Room(NamedTuple):
    """A folder of the package, or a file that stands alone.

    `outside`: the packages that it may import besides Python's own. `unseen`: rooms on lower floors that it may not
    import all the same.
    """

    outside: str = ""
    unseen: str = ""


FLOORS: tuple[dict[str, Room], ...] = (
    # words that need no other; the emulator stands on nothing of ours, so that it shares no mistake
    {
        "errors": Room("msgspec"),
        "resolver": Room("anyio"),
        "emulator": Room("anyio httpx pytest starlette uvicorn"),
    },
    # steps, frames, requests, URLs
    {"protocol": Room("msgspec", unseen="resolver")},
    # keys; types as JSON schemas
    {
        "auth": Room("msgspec", unseen="resolver"),
        "schema": Room("json_repair jsonschema msgspec pydantic_core referencing", unseen="resolver"),
    },
    # what an answer means; inputs and results that are images, sounds and videos
    {"responses": Room("msgspec", unseen="resolver"), "media": Room("msgspec PIL numpy", unseen="auth resolver")},
    # what can be asked; what it costs
    {
        "tasks": Room("msgspec numpy"),
        "cost": Room("msgspec", unseen="auth media resolver"),
        "cache": Room("anyio msgspec", unseen="resolver"),
    },
    # who answers; the wire; how a call runs: none knows another
    {
        "providers": Room("msgspec"),
        "transport": Room("anyio h2 hpack httpx httptools msgspec certifi truststore", unseen="tasks"),
        "engine": Room("anyio msgspec"),
    },
    # the bridge from blocking code; how much a provider may be sent; who is told what calls do
    {
        "blocking": Room("anyio sniffio", unseen="providers transport"),
        "throttle": Room("anyio", unseen="providers transport"),
        "telemetry": Room("msgspec opentelemetry", unseen="providers transport"),
    },
    # many calls at once; a chat whose model calls tools; machines that are started and given back
    {
        "endpoints": Room("anyio msgspec", unseen="blocking engine media throttle transport"),
        "mapper": Room("anyio msgspec", unseen="providers transport"),
        "conversation": Room("anyio msgspec sniffio", unseen="providers transport"),
    },
    # the two clients
    {"client": Room("anyio msgspec httpx_sse")},
    # built on all of it
    {
        "batch": Room("anyio msgspec matplotlib", unseen="transport"),
        "mcp": Room("anyio msgspec mcp mcp_types httpx2 pydantic starlette uvicorn"),
    },
    {
        "cli": Room("anyio msgspec cyclopts rich", unseen="transport"),
        "integrations": Room("anyio httpx httpx2 msgspec numpy starlette"),
        "testing": Room("anyio msgspec pytest", unseen="client providers resolver tasks"),
    },
    # the front page, and programs
    {
        "__init__": Room(),
        "__main__": Room(),
        "examples": Room("anyio msgspec starlette uvicorn hypercorn ray"),
    },
)
"""From the ground up: a room imports itself and rooms on lower floors, and no room of its own floor."""
ROOMS = {name: room for floor in FLOORS for name, room in floor.items()}
LOOSE = {"__init__", "__main__", "errors", "resolver"}
VENDORS = {"BASE", "PREFIX", "TASKS", "RESUME", "RESULT_READERS", "follow"}
"""What each vendor's file has of its own, under the one name."""
FIELDS_ARE_PUBLIC = {"Bound"}
"""Bases whose attributes are what they are for: whom a task is bound to, and which it is."""
FIELDS_WORDS = {"framing", "testing"}
"""Names in -ing that are the field's own words for their subject."""
NEVER = {"asyncio", "trio"}
"""In no file but these: anyio knows them."""
BUT = {"transport/trio_streams.py": {"trio"}}
PURE = {"time", "random", "socket", "threading", "select", "subprocess"}
"""In no flow of a provider: waiting and choosing are the engine's."""
N = TypeVar("N", bound=Hashable)


class Import(NamedTuple):
    """`name` of `source`: a file of ours, or a package from outside."""

    source: Path | str
    name: str
    for_types: bool


class OwnClass(NamedTuple):
    """A class of the package: its bases as they are written, what of its own is for it alone (its private names, and
    the attributes that it sets), and what it uses of `self`."""

    bases: tuple[str, ...]
    own: frozenset[str]
    used: frozenset[str]


def named(file: Path) -> str:
    return str(file.relative_to(ROOT))


def room_of(file: Path) -> str:
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


class Contents(NamedTuple):
    """What these tests ask of a file; its tree is read once for all of them, and not kept.

    `classes`: those at its top. `class_names`: of all in it. `made`: the other names that it makes at its top.
    `lengths`: each function, and the lines of its body. `called`: the functions that it calls by name.
    """

    documented: bool
    imports: tuple[Import, ...]
    classes: dict[str, OwnClass]
    class_names: frozenset[str]
    made: tuple[str, ...]
    lengths: tuple[tuple[str, int], ...]
    called: frozenset[str]
    lazy_modules: tuple[tuple[str, str], ...]


@cache
def contents(file: Path) -> Contents:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    every = list(ast.walk(tree))
    calls = [(node.func.id, node) for node in every if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    functions = [node for node in every if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return Contents(
        documented=bool(ast.get_docstring(tree)) or not tree.body,
        imports=tuple(imports_of(file, tree)),
        classes={node.name: own_class(node) for node in tree.body if isinstance(node, ast.ClassDef)},
        class_names=frozenset(node.name for node in every if isinstance(node, ast.ClassDef)),
        made=tuple(made_at_the_top(tree)),
        lengths=tuple((node.name, body_lines(node)) for node in functions),
        called=frozenset(name for name, _ in calls),
        lazy_modules=tuple(lazy_modules_of(call) for name, call in calls if name == "lazy_modules"),
    )


def lazy_modules_of(call: ast.Call) -> tuple[str, str]:
    """The package that is named, "" for the file's own, and the modules' names."""
    package, names = call.args
    return str(package.value) if isinstance(package, ast.Constant) else "", ast.literal_eval(names)


def imports(file: Path) -> tuple[Import, ...]:
    return contents(file).imports


def imports_of(file: Path, tree: ast.Module) -> Iterator[Import]:
    package = ["headwater", *file.relative_to(ROOT).parts[:-1]]
    for node, for_types in nodes(tree):
        if isinstance(node, ast.Import):
            names = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names = [(module, alias.name) for alias in node.names]
        else:
            continue
        yield from (Import(*source_of(module, name), for_types) for module, name in names)


def nodes(tree: ast.Module) -> Iterator[tuple[ast.AST, bool]]:
    """The statements of a file, and whether they are under `if TYPE_CHECKING`."""
    left: list[tuple[ast.AST, bool]] = [(tree, False)]
    while left:
        node, for_types = left.pop()
        yield node, for_types
        checked = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for name in ("body", "orelse", "handlers", "finalbody", "cases"):
            left += [(inner, for_types or (checked and name == "body")) for inner in statements(node, name)]


def statements(node: ast.AST, name: str) -> list[ast.AST]:
    """What a statement has there; an expression, such as a lambda, has a `body` that is no list."""
    found = getattr(node, name, None)
    return found if isinstance(found, list) else []


def source_of(module: str, name: str) -> tuple[Path | str, str]:
    """Where the name comes from; a submodule that is imported by name is a file."""
    first, *rest = module.split(".")
    if first != "headwater":
        return first, name
    place = ROOT.joinpath(*rest)
    for file in (place / f"{name}.py", place / name / "__init__.py") if name else ():
        if file.is_file():
            return file, ""
    file = place.with_suffix(".py") if rest else FRONT
    return (file if file.is_file() else place / "__init__.py"), name


def ours(file: Path) -> set[Path]:
    """The other files of the package that it imports."""
    return {found.source for found in imports(file) if isinstance(found.source, Path)} - {file}


def test_a_lazy_module_is_what_type_checkers_read() -> None:
    """`lazy_modules` names again what is imported for type checkers."""
    for file in FILES:
        for package, names in contents(file).lazy_modules:
            room = package.removeprefix("headwater.") if package else named(file).split("/")[0]
            whole = {found.source for found in imports(file) if found.for_types and not found.name}
            assert {ROOT / room / f"{name}.py" for name in names.split()} <= whole, file


# the rooms


def test_every_room_has_a_place_in_the_table() -> None:
    assert {room_of(file) for file in FILES} == ROOMS.keys()


def test_a_file_imports_what_its_room_may() -> None:
    assert {named(file): sorted(wrong) for file in FILES if (wrong := barred_imports(file))} == {}


def barred_imports(file: Path) -> set[str]:
    """The rooms and the packages that a file imports, and may not."""
    room = ROOMS[room_of(file)]
    floor = next(number for number, floor in enumerate(FLOORS) if room_of(file) in floor)
    below = {name for floor in FLOORS[:floor] for name in floor}
    may = (below - set(room.unseen.split())) | {room_of(file)}
    outside = {*room.outside.split(), *sys.stdlib_module_names} - NEVER | BUT.get(named(file), set())
    taken = {found.source for found in imports(file) if isinstance(found.source, str) and not found.for_types}
    return ({room_of(other) for other in ours(file) if other != FRONT} - may) | (taken - outside)


def test_the_front_page_is_for_programs() -> None:
    """Others import a name where it is made."""
    others = [file for file in FILES if room_of(file) != "examples"]
    taken = {named(file): {found.name for found in imports(file) if found.source == FRONT} for file in others}
    assert {name: names for name, names in taken.items() if not names <= {"__version__"}} == {}


def test_no_file_stands_alone_but_these() -> None:
    assert {file.stem for file in ROOT.glob("*.py")} <= LOOSE


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circle({file: ours(file) - {FRONT} for file in FILES}) == []


def test_no_rooms_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = defaultdict(set)
    for file in FILES:
        graph[room_of(file)] |= {room_of(other) for other in ours(file) if other != FRONT} - {room_of(file)}
    assert circle(graph) == []


def circle(graph: Mapping[N, set[N]]) -> list[N]:
    """The nodes of a circle, if there is one."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


# names


def test_no_module_is_named_by_a_gerund() -> None:
    gerunds = {named(file) for file in FILES if file.stem.endswith("ing") and file.stem not in FIELDS_WORDS}
    assert gerunds == set()


def test_no_public_class_name_has_two_meanings() -> None:
    """The emulator has its own: it knows nothing of the library. `PoolTransport` is one thing, for each httpx."""
    homes: dict[str, set[str]] = defaultdict(set)
    for file in FILES:
        if room_of(file) == "emulator":
            continue
        for name in contents(file).class_names:
            if not name.startswith("_"):
                homes[name].add(named(file))
    del homes["PoolTransport"]
    assert {name: files for name, files in homes.items() if len(files) > 1} == {}


def test_no_other_public_name_has_two_meanings() -> None:
    """Functions, constants and types that a file makes for others. A flow is named after its task."""
    homes: dict[str, set[str]] = defaultdict(set)
    for file in FILES:
        if room_of(file) in {"emulator", "examples"} or file.name == "__init__.py":
            continue
        for name in contents(file).made:
            homes[name].add(named(file))
    tasks = {declaration.method for declaration in tasks_by_name().values()}
    homes = {name: files for name, files in homes.items() if name not in tasks | VENDORS}
    assert {name: sorted(files) for name, files in homes.items() if len(files) > 1} == {}


def made_at_the_top(tree: ast.Module) -> Iterator[str]:
    """The names at the top of a file, without an underscore; type variables are nobody else's."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names = [node.name]
        elif isinstance(node, ast.Assign) and not ast.unparse(node.value).startswith(("TypeVar(", "ParamSpec(")):
            names = [ast.unparse(target) for target in node.targets]
        else:
            names = [ast.unparse(node.target)] if isinstance(node, ast.AnnAssign) else []
        yield from (name for name in names if not name.startswith("_"))


# classes


def classes(file: Path) -> dict[str, OwnClass]:
    return contents(file).classes


def own_class(node: ast.ClassDef) -> OwnClass:
    made = set()
    for part in node.body:
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
            made.add(part.name)
        elif isinstance(part, ast.AnnAssign):
            made.add(ast.unparse(part.target))
        elif isinstance(part, ast.Assign):
            made |= {ast.unparse(target) for target in part.targets}
    attributes = [
        part
        for part in ast.walk(node)
        if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id in {"self", "cls"}
    ]
    used = {part.attr for part in attributes if not part.attr.endswith("__")}
    state = {part.attr for part in attributes if isinstance(part.ctx, ast.Store)}
    bases = tuple(ast.unparse(base).partition("[")[0] for base in node.bases)
    return OwnClass(bases, frozenset({*filter(is_private, made | used), *state}), frozenset(used))


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def bases(file: Path, of: OwnClass) -> Iterator[tuple[Path, str]]:
    """The classes of the package that a class inherits from."""
    taken = {found.name: found.source for found in imports(file)}
    for name in of.bases:
        home = taken.get(name, file)
        if isinstance(home, Path) and name in classes(home):
            yield home, name


def own_names(file: Path, of: OwnClass) -> frozenset[str]:
    """What a class has for itself, and its bases for themselves."""
    return of.own.union(*(own_names(home, classes(home)[name]) for home, name in bases(file, of)))


def test_no_class_shares_the_state_of_another_files_class() -> None:
    """To have one is enough: a class that is cut over files must be read in all of them at once."""
    shared = {}
    for file in FILES:
        for name, own in classes(file).items():
            for home, base in bases(file, own):
                names = own.used & own_names(home, classes(home)[base])
                if home != file and names and base not in FIELDS_ARE_PUBLIC:
                    shared[f"{named(file)}: {name}({base})"] = sorted(names)
    assert shared == {}


# where each kind of fact lives


def test_what_contributing_names_is_there() -> None:
    """Each row of its table has files of the package, and what to look for in them."""
    page = (ROOT.parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = page.partition("## Where each kind of fact lives")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if "`" in line]
    assert len(rows) > 40
    for question, places, wanted in rows:
        found = [file for place in re.findall(r"`([^`]+)`", places) for file in ROOT.glob(place)]
        assert found, question
        text = "".join(file.read_text(encoding="utf-8") for file in found)
        for name in re.findall(r"`([^`]+)`", wanted):
            assert re.search(rf"\b{name.rpartition('.')[2]}\b", text), (question, name)


# files


def test_a_file_says_what_it_is_and_its_functions_are_short() -> None:
    assert [named(file) for file in FILES if not contents(file).documented] == []
    lengths = [(named(file), *length) for file in FILES for length in contents(file).lengths]
    assert [length for length in lengths if length[-1] > LONGEST_BODY] == []


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The lines from the first statement to the last, the docstring not counted."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_a_flow_neither_waits_nor_chooses() -> None:
    for file in (ROOT / "providers").glob("*.py"):
        assert not {found.source for found in imports(file)} & PURE, named(file)
        assert "open" not in contents(file).called, named(file)


# the tests

TESTS = Path(__file__).parent
OPEN = {"_exit", "_replace", "_asdict", "_fields", "_make"}
"""Names of Python's own that anyone may use, for all their underscore."""
BY_NAME = {"getattr", "setattr", "delattr", "hasattr"}


def test_a_test_reads_nothing_private() -> None:
    """What a test needs to see is public, or is not to be seen: else what it holds is how, and not what."""
    for file in TESTS.rglob("*.py"):
        names = names_in(ast.parse(file.read_text(encoding="utf-8")))
        assert [name for name in names if is_private(name) and name not in OPEN] == [], file


def test_no_two_test_files_have_one_name() -> None:
    """They are imported by their names alone, in one process."""
    names = Counter(file.name for file in TESTS.rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []


def names_in(tree: ast.AST) -> Iterator[str]:
    """What is read of other objects: attributes, what is imported of the package, and attributes by their names."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                pass
            case ast.Attribute(attr=name):
                yield name
            case ast.ImportFrom(module=str(source), names=names) if source.startswith("headwater"):
                yield from (part for alias in names for part in (*source.split("."), alias.name))
            case ast.Call(func=ast.Name(id=called) | ast.Attribute(attr=called), args=args) if called in BY_NAME:
                yield from (part for arg in args if isinstance(arg, ast.Constant) for part in str(arg.value).split("."))
            case ast.Subscript(value=ast.Call(func=ast.Name(id="vars")), slice=ast.Constant(value=str(name))):
                yield name


# what is imported


def loaded_by(statement: str) -> set[str]:
    script = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_headwater_loads_next_to_nothing() -> None:
    added = loaded_by("import headwater") - loaded_by("pass")
    assert {name for name in added if name.startswith("headwater")} == {"headwater"}
    assert not added & {"httpx", "PIL", "ssl", "msgspec", "anyio", "asyncio", "numpy"}


@pytest.mark.parametrize("name", ["InferenceClient", "AsyncInferenceClient"])
def test_a_client_loads_neither_httpx_nor_pillow_nor_an_event_loop(name: str) -> None:
    loaded = loaded_by(f"from headwater import {name}; {name}(base_url='http://127.0.0.1:9')")
    assert not loaded & {"httpx", "PIL", "numpy", "asyncio", "trio", "starlette", "uvicorn", "rich", "cyclopts"}


UNUSED_BY_A_CHAT = (
    "auth.environment auth.redaction client.create_namespace client.overloads endpoints engine.codings "
    "engine.download_hosts engine.failures engine.load engine.multipart engine.openings engine.stored_answer "
    "engine.stream engine.throttle media protocol.events providers.account_place providers.anthropic_chat "
    "providers.anthropic_messages providers.auto providers.model_ids providers.openai_responses "
    "providers.response_format responses.message schema.pydantic_schema tasks.chat_input telemetry"
)
"""What a chat at a URL would load if it were imported at the top of a file: rooms, and files."""


def test_a_first_chat_loads_what_it_uses() -> None:
    with emulator.running() as url:
        loaded = loaded_by(
            f"from headwater import InferenceClient; InferenceClient(base_url={url!r}, token='t')"
            ".chat_completion([{'role': 'user', 'content': 'hi'}], model='m')"
        )
    assert loaded >= {"headwater.providers.openai_chat", "headwater.transport.pool"}
    others = loaded - loaded_by("import anyio._backends._asyncio, httptools, msgspec")
    unwanted = "httpx PIL numpy trio certifi h2 http json email tempfile random anyio.to_thread"
    assert not others & {*unwanted.split()}
    assert not loaded & {f"headwater.{name}" for name in UNUSED_BY_A_CHAT.split()}
    assert ("headwater.transport.anyio_streams" in loaded) is not hasattr(select, "epoll")


def test_the_emulator_is_independent_of_the_library() -> None:
    """It would share the library's mistakes."""
    loaded = loaded_by("import headwater.emulator, headwater.emulator.faults")
    ours = {name for name in loaded if name.startswith("headwater") and "emulator" not in name}
    assert ours == {"headwater"}


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
    assert {"__version__", *declared()} == set(headwater.__all__)
    for name, home in declared().items():
        assert getattr(import_module(f"headwater.{home}"), name) is getattr(headwater, name)


def test_every_error_is_public() -> None:
    from headwater import errors

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert {kind.__name__ for kind in kinds} <= set(headwater.__all__)
    assert all(kind.__doc__ for kind in kinds)
