"""Headwater against its peers, in one run.

    python -m benchmarks [--quick] [--check] [--only NAME] [--client NAME] [--out DIR]

What is measured
    stream_2000          one stream of 2,000 server-sent events into typed chunks, as fast as they come
    chat_serial          chat completions, one at a time
    chat_512             512 chat completions at once
    streams_1000         1,000 streams at once, a chunk every 20 ms in each
    sync_stream_2000     the blocking clients: one stream of 2,000 events
    sync_chat            the blocking clients: chat completions, one at a time
    embeddings_100x1024  100 embeddings of 1,024 floats to a numpy array, from JSON numbers
    embeddings_base64    the same from OpenAI's base64 form, for the clients that read it
    cancel_churn         1,000 open streams cancelled at random, 100 times; what is left; then 1,000 more
    import_time          an import in a fresh interpreter, over bare Python; and what it brings along

Who
    headwater on asyncio, uvloop and trio, and blocking; huggingface_hub and openai, async and blocking; httpx
    and aiohttp with msgspec, as written by hand; and `raw`, an asyncio protocol with llhttp and msgspec that
    does nothing else: the limit. (openai and huggingface_hub bring httpx2; `httpx` is httpx itself.)

How
    One server answers all of them from memory (`server.py`), in its own process on its own core. Each client
    of each benchmark has a fresh process on one other core, warms up, and repeats the same work; it compares
    the text of every chunk with what was sent, and fails if anything is missing, merged or out of order.
    The msgspec clients decode into headwater's own types. Limits on connections are lifted for all (not
    those on idle ones, where more would be slower), timeouts are long, and retries never happen.
    The figure is the process's CPU time per unit, all threads: the median of the rounds, and the best one.
    Wall time includes the server's; peak memory is the whole process's. A busy machine adds to CPU time, so
    the first line has its load: run this on an idle one.
    Paced streams: the ideal wall time of a round is 1 s (20 us a chunk). A client that needs longer is
    saturated and finds several chunks in each read, which flatters it.

    A table's last columns divide each client's CPU time by that of the limit and of headwater on each loop.

`--check` says for each of the project's claims whether it holds. `--quick` does fewer rounds, and shorter
paced streams, in which opening them weighs more: judge claims by a full run. `--only` and `--client` may be
repeated. `--out` gets the JSON and a picture per benchmark (which need matplotlib).
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import claims, figures, imports, machine, work
from benchmarks.clients import CLIENTS

IMPORTS = "import_time"
LIMIT = 240.0  # seconds for one client in one benchmark
ROOT = Path(__file__).resolve().parent.parent


@contextlib.contextmanager
def load_server(core: int | None) -> Iterator[str]:
    """Run the load server; it ends with its standard input."""
    command = [sys.executable, "-m", "benchmarks.server", *_pinned(core)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            url = server.stdout.readline().strip()
            if not url:
                raise SystemExit("the load server did not start")
            yield url
        finally:
            server.communicate(timeout=10)


def measured(bench: str, client: str, url: str, core: int | None, *, quick: bool) -> dict[str, Any]:
    """One client in one benchmark, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.worker", bench, client, url, *_pinned(core)]
    command += ["--quick"] if quick else []
    environment = _environment()
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"no result within {LIMIT:.0f} s"}
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        return {"failed": f"exit status {done.returncode}: {done.stderr[-500:]}"}
    row: dict[str, Any] = json.loads(lines[-1])
    return row


def _environment() -> dict[str, str]:
    """Without tokens, proxies and telemetry, which would change what a client does."""
    dropped = ("HF_", "OPENAI_", "HTTP_", "HTTPS_", "ALL_", "NO_", "HEADWATER_", "PYTHONWARNINGS")
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(dropped)}
    return kept | {"HF_HUB_DISABLE_TELEMETRY": "1"}


def _pinned(core: int | None) -> list[str]:
    return [] if core is None else ["--core", str(core)]


def run(bench: str, url: str, core: int | None, options: argparse.Namespace) -> figures.Rows:
    """All clients of one benchmark."""
    if bench == IMPORTS:
        return imports.measure(quick=options.quick)
    names = work.JOBS[bench].clients
    if options.client:
        blocking = "raw-sync" in names
        names = tuple(name for name in options.client if (CLIENTS[name].loop == "sync") == blocking)
    return {name: measured(bench, name, url, core, quick=options.quick) for name in names}


def facts_of(bench: str) -> tuple[str, str]:
    """A benchmark's title and unit."""
    if bench == IMPORTS:
        return "Import in a fresh interpreter, over bare Python", "import"
    return work.JOBS[bench].title, work.JOBS[bench].unit


def parsed() -> argparse.Namespace:
    """The command line."""
    benches = [*work.JOBS, IMPORTS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds, about two minutes")
    parser.add_argument("--check", action="store_true", help="say whether each of the project's claims holds")
    parser.add_argument("--only", action="append", choices=benches, metavar="NAME", help=", ".join(benches))
    parser.add_argument("--client", action="append", choices=CLIENTS, metavar="NAME", help=", ".join(CLIENTS))
    parser.add_argument("--out", type=Path, default=None, help="where the JSON and the pictures go")
    return parser.parse_args()


def main() -> int:
    """Run, print, write; the exit status is 1 when a client failed."""
    options = parsed()
    machine.raise_file_limit()
    client_core, server_core = machine.cores()
    versions = machine.description()
    print("  ".join(f"{name} {version}" for name, version in versions.items()), flush=True)
    results: dict[str, figures.Rows] = {}
    begun = time.monotonic()
    with load_server(server_core) as url:
        for bench in options.only or [*work.JOBS, IMPORTS]:
            print(f"{time.monotonic() - begun:5.0f} s  {bench}", file=sys.stderr, flush=True)
            results[bench] = run(bench, url, client_core, options)
    figures.add_medians(results)
    report(results, versions, options)
    return int(any("failed" in row for rows in results.values() for row in rows.values()))


def report(results: dict[str, figures.Rows], versions: dict[str, str], options: argparse.Namespace) -> None:
    """Print the tables and the claims; write the JSON and the pictures."""
    for bench, rows in results.items():
        title, unit = facts_of(bench)
        print("\n".join([figures.table(f"{bench}: {title}", unit, rows), *figures.notes(rows)]))
    if options.check:
        print("\nClaims\n" + claims.text(results))
    if options.out is None:
        return
    options.out.mkdir(parents=True, exist_ok=True)
    figures.write_json(options.out / "benchmarks.json", results, versions)
    for bench, rows in results.items():
        figures.draw(options.out / f"{bench}.png", *facts_of(bench), rows)
    print(f"\nwritten to {options.out}")


if __name__ == "__main__":
    sys.exit(main())
