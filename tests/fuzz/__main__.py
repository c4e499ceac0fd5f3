"""The fuzzing session: every target in a process of its own, for its share of the time; new paths are kept meanwhile.

    python tests/fuzz [--seconds 60] [--target sse ...]

A crash prints its input as hex, for a seed in `targets`, and the session fails.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
LONGEST_INPUT = 4096
LONGEST_RUN = 10
"""Seconds for one input: whoever needs longer is stuck."""
MEMORY = 2048


def fuzz(name: str, options: list[str]) -> None:
    """Fuzz one target in this process, which ends with it."""
    import atheris

    with atheris.instrument_imports(include=["headwater"]):
        from fuzz.targets import TARGETS

    run = TARGETS[name].run

    def told(data: bytes) -> None:
        try:
            run(data)
        except Exception:
            print(f"{name} fails for bytes.fromhex({data.hex()!r})", flush=True)
            traceback.print_exc()
            raise

    atheris.Setup([sys.argv[0], *options], told)
    atheris.Fuzz()


def session(names: list[str], seconds: float) -> int:
    """Fuzz all targets, one after another; the number of those that failed."""
    from fuzz.targets import TARGETS

    share = max(1, round(seconds / len(names)))
    failed = 0
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            for number, seed in enumerate(TARGETS[name].seeds):
                (Path(folder) / f"seed{number}").write_bytes(seed)
            limits = [f"-max_total_time={share}", f"-timeout={LONGEST_RUN}", f"-rss_limit_mb={MEMORY}"]
            options = [*limits, f"-max_len={LONGEST_INPUT}", f"-artifact_prefix={folder}/", "-print_final_stats=1"]
            command = [sys.executable, str(HERE), "--in-process", name, "--", folder, *options]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        print(f"{name:<12} {figures(done.stderr)}", flush=True)
        if done.returncode:
            failed += 1
            print(done.stdout + done.stderr[-4000:])
    return failed


def figures(log: str) -> str:
    """What libFuzzer counted."""
    counts = dict(line.removeprefix("stat::").split(":", 1) for line in log.splitlines() if line.startswith("stat::"))
    runs, kept = (counts.get(name, "?").strip() for name in ("number_of_executed_units", "new_units_added"))
    return f"{runs:>9} inputs, {kept} new paths"


def main() -> int:
    from fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(prog="nox -s fuzz --", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="for all targets together")
    parser.add_argument("--target", action="append", choices=TARGETS, help="only this one; may be repeated")
    asked = parser.parse_args()
    failed = session(asked.target or list(TARGETS), asked.seconds)
    print(f"{failed} targets failed" if failed else "nothing but typed errors")
    return 1 if failed else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--in-process"]:
        fuzz(sys.argv[2], sys.argv[4:])
    else:
        sys.exit(main())
