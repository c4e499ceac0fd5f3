"""The mutation session: do the tests of the policy, the redaction and the URLs notice when the code is wrong?

    python tests/mutation [--sample N] [--module retry ...] [--jobs 2]

Every wrong version is tested in a forked process by the few test files that concern it; nothing is written to the
tree. It is our own because the tools at hand leave decorated functions and constants alone, which is half of this code.
Fails below 85 % noticed.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.abc
import importlib.util
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

from mutation.mutants import Mutant, mutants

TESTS = Path(__file__).parent.parent
PACKAGE = TESTS.parent / "src" / "headwater"
TESTED_BY = {
    "engine.retry": ("test_retry_policy.py",),
    "responses.retry_after": ("test_refusal_table.py", "test_refusals.py"),
    "responses.classify": ("test_refusal_table.py", "test_refusals.py"),
    "responses.refusal": ("test_refusal_table.py", "test_refusals.py", "fuzz/test_fuzz_targets.py"),
    "responses.message": ("test_refusal_table.py", "test_refusals.py"),
    "auth.secret": ("test_redaction.py",),
    "protocol.url": ("test_wire_urls.py",),
    "media.image_headers": ("security/test_image_headers.py",),
    "providers.urls": ("providers/test_urls.py",),
}
ENOUGH = 0.85
ONE_LOOP = "not uvloop and not trio and not sync"
EXAMPLES = 30
"""Of each hypothesis test: a wrong version that needs more to be noticed counts as not noticed."""
PLAIN = "--assert=plain"
"""pytest would rewrite a package that has a plugin, and so load the right version in place of the wrong one."""
UNREWRITTEN = "ignore::pytest.PytestAssertRewriteWarning"
PRELOADED = ("anyio.pytest_plugin", "hypothesis.stateful", "httpx", "httptools", "msgspec", "psutil", "pytest", "trio")


class Case(NamedTuple):
    """One wrong version of a module."""

    module: str
    mutant: Mutant


class Wrong(SourceFileLoader):
    """Loads the wrong version in the module's place."""

    code: CodeType | None = None

    def get_code(self, fullname: str) -> CodeType | None:
        return self.code


class Finder(importlib.abc.MetaPathFinder):
    def __init__(self, case: Case) -> None:
        self._name = f"headwater.{case.module}"
        self._loader = Wrong(self._name, str(path_of(case.module)))
        self._loader.code = case.mutant.code

    def find_spec(self, name: str, path: Sequence[str] | None, target: object = None) -> ModuleSpec | None:
        if name != self._name:
            return None
        return importlib.util.spec_from_file_location(name, self._loader.path, loader=self._loader)


def path_of(module: str) -> Path:
    return PACKAGE.joinpath(*module.split(".")).with_suffix(".py")


def tested(module: str, case: Case | None) -> int:
    """Fork a process that runs the module's tests; its id. It exits with pytest's code."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        code = _run_tests(module, case)
    finally:
        os._exit(code)


def _run_tests(module: str, case: Case | None) -> int:
    import hypothesis
    import pytest

    with Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
    if case is not None:
        sys.meta_path.insert(0, Finder(case))
    hypothesis.settings.register_profile("few", max_examples=EXAMPLES, deadline=None, database=None)
    files = [str(TESTS / name) for name in TESTED_BY[module]]
    options = ["-x", "-q", "-k", ONE_LOOP, "--tb=no", PLAIN, f"--rootdir={TESTS.parent}", "-W", UNREWRITTEN]
    return pytest.main([*files, *options, "--hypothesis-profile=few"])


def seconds_of(module: str) -> float:
    """How long the module's tests take, which must pass."""
    began = time.monotonic()
    _, status = os.waitpid(tested(module, None), 0)
    if status:
        sys.exit(f"the tests of {module} fail without any change: {' '.join(TESTED_BY[module])}")
    return time.monotonic() - began


def verdicts(cases: Sequence[Case], limits: dict[str, float], jobs: int) -> Iterator[tuple[Case, str]]:
    """Each case and what became of it: noticed, hung (noticed too) or survived."""
    waiting = list(reversed(cases))
    running: dict[int, tuple[Case, float]] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            case = waiting.pop()
            running[tested(case.module, case)] = case, time.monotonic() + limits[case.module]
        time.sleep(0.01)
        for pid, (case, limit) in list(running.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del running[pid]
                yield case, "noticed" if status else "survived"
            elif time.monotonic() > limit:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                del running[pid]
                yield case, "hung"


def main() -> int:
    parser = argparse.ArgumentParser(prog="nox -s mutation --", description=__doc__)
    parser.add_argument("--sample", type=int, help="so many of all, chosen at random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--module", action="append", choices=TESTED_BY, help="only this one; may be repeated")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    for name in PRELOADED:
        importlib.import_module(name)
    assert "headwater" not in sys.modules
    modules = asked.module or list(TESTED_BY)
    cases = [Case(module, mutant) for module in modules for mutant in mutants(path_of(module))]
    if asked.sample is not None and asked.sample < len(cases):
        cases = sorted(
            random.Random(asked.seed).sample(cases, asked.sample), key=lambda case: modules.index(case.module)
        )
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = folder
        return report(cases, modules, asked.jobs)


def report(cases: Sequence[Case], modules: Sequence[str], jobs: int) -> int:
    limits = {module: 10 + 8 * seconds_of(module) for module in modules}
    counts = {module: [0, 0] for module in modules}
    for case, verdict in verdicts(cases, limits, jobs):
        counts[case.module][verdict != "survived"] += 1
        if verdict != "noticed":
            mutant = case.mutant
            print(f"{verdict}: {case.module}:{mutant.line}: {mutant.before}  ->  {mutant.after}", flush=True)
    for module, (survived, noticed) in counts.items():
        print(f"{module:<16} {noticed:>4} of {survived + noticed:>4} noticed")
    survived, noticed = (sum(column) for column in zip(*counts.values(), strict=True))
    share = noticed / max(1, survived + noticed)
    print(f"{'all':<16} {noticed:>4} of {survived + noticed:>4} noticed: {share:.1%}")
    return 0 if share >= ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main())
