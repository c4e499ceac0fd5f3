"""Headwater against its peers, in one run.

    python -m benchmarks [--quick | --full] [--check] [--only NAME] [--client NAME] [--out DIR]

What is measured
    stream_2000          one stream of 2,000 server-sent events into typed chunks, as fast as they come
    chat_serial          chat completions, one at a time
    chat_512             512 chat completions at once
    streams_1000         1,000 streams at once, a chunk every 20 ms in each
    open_N               N streams open at once, a chunk every second in each: 100, 1,000, 4,000 and 10,000
    delay_N              how long a chunk of N streams takes from the server's write to the body of the user's loop:
                         1 (100 chunks a second), 100 (1,000), 1,000 and 10,000 streams (10,000 chunks a second)
    rate_N               the same with 1,000 streams, and N chunks a second in all: where a client no longer keeps up
    calls_N              a queue of chat completions, N at a time: 1, 8, 64 and 512; headwater by its `map` as well
    tls_NAME             the first four again, open_1000 and calls_512, over TLS
    threads_32           the same queue by 32 threads that share a blocking client, and by 32 tasks
    sync_stream_2000     the blocking clients: one stream of 2,000 events
    sync_chat            the blocking clients: chat completions, one at a time
    embeddings_100x1024  100 embeddings of 1,024 floats to a numpy array, from JSON numbers
    embeddings_base64    the same from OpenAI's base64 form, for the clients that read it
    pool_512             openai, anthropic, huggingface_hub and mcp, 512 requests at once, on httpx2's own transport and
                         on headwater's pool (`headwater.integrations.httpx2.PoolTransport`)
    cancel_churn         1,000 open streams cancelled at random, 100 times; what is left; then 1,000 more
    import_time          in a fresh interpreter, over bare Python: an import, and an import with a first chat, which is
                         what a user waits for; and what an import brings along

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
    Paced streams (streams_1000): the ideal wall time of a round is 1 s (20 us a chunk). A client that needs
    longer is saturated and finds several chunks in each read, which flatters it.
    Open streams (open_N): the server sends each its first event, and the others from when all are open. CPU
    per chunk counts everything from the first connection on, `open` what came after all were open; a stream's
    memory is what became resident above the idle client, the 20 texts that the benchmark keeps for comparison
    included. `read in` is at best 19 to 20 s: longer, the client was saturated. Who cannot open them all in
    time is reported with how many were.
    Delays (delay_N, rate_N): the server writes the time into each chunk, spread evenly over the streams, straight to
    the sockets, and ends them one after another when all is said; client and server have a core each and share a
    clock. `written/s` is what the server reached. A client whose p99 has passed 50 ms is not asked for the next rate.
    Queues (calls_N, threads_32): openai and huggingface_hub under an `asyncio.Semaphore`, the others by that
    many tasks. No input is taken after 6 s of a round, so that slow clients do fewer calls; not with `--full`.
    Over TLS all trust the same new authority, which SSL_CERT_FILE names, and resume no session: a warm-up
    leaves the connections open.

    Python calls (of what is done one at a time): how many Python functions are entered for a unit, coroutines that
    go on included. No noise moves that number, so that a regression is seen by it first.

    A table's last columns divide each client's CPU time by that of the limit and of headwater on each loop.

`--check` says for each of the project's claims whether it holds. `--quick` does fewer rounds, and shorter
paced streams, in which opening them weighs more: judge claims by a full run. `--full` gives every client the
100,000 calls of calls_512, which takes openai a quarter of an hour. `--only` (also: streams, delays, rates, map, tls,
sync) and `--client` may be repeated. `--out` gets the JSON, a picture per benchmark, and the curves of cost against
scale as PNG and SVG (which need matplotlib).
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from benchmarks import claims, curves, figures, imports, machine, running, work
from benchmarks.clients import CLIENTS

IMPORTS = "import_time"


def run(
    bench: str, servers: running.Servers, core: int | None, options: argparse.Namespace, late: dict[str, str]
) -> figures.Rows:
    """All clients of one benchmark, in turn and as often as it says. `late`: who did not keep up, and where."""
    if bench == IMPORTS:
        return imports.measure(f"{next(servers.plain)}/chat/v1", quick=options.size == "quick")
    job = work.sized(bench, options.size)
    found: dict[str, list[figures.Row]] = {
        name: [] for name in job.clients if not options.client or name in options.client
    }
    for _ in range(job.passes):
        for name, rows in found.items():
            if bench in work.RATES and name in late:
                rows.append({"skipped": late[name]})
            elif all("cpu" in row for row in rows):
                rows.append(running.measured(bench, name, servers, core, options.size))
            if bench in work.RATES and rows[-1].get("p99", [work.LATE])[0] >= work.LATE:
                late.setdefault(name, f"it no longer kept up at {bench}")
    return {name: running.merged(rows) for name, rows in found.items()}


def facts_of(bench: str) -> tuple[str, str]:
    """A benchmark's title and unit."""
    if bench == IMPORTS:
        return "Import in a fresh interpreter, over bare Python", "import"
    return work.JOBS[bench].title, work.JOBS[bench].unit


def parsed() -> argparse.Namespace:
    """The command line."""
    benches = [*work.JOBS, IMPORTS, *work.GROUPS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").split("\n", 1)[0])
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--quick", action="store_const", dest="size", const="quick", help="fewer and shorter rounds")
    sizes.add_argument("--full", action="store_const", dest="size", const="full", help="100,000 calls through map")
    parser.add_argument("--check", action="store_true", help="say whether each of the project's claims holds")
    parser.add_argument("--only", action="append", choices=benches, metavar="NAME", help=", ".join(benches))
    parser.add_argument("--client", action="append", choices=CLIENTS, metavar="NAME", help=", ".join(CLIENTS))
    parser.add_argument("--out", type=Path, default=None, help="where the JSON and the pictures go")
    parser.set_defaults(size="usual")
    return parser.parse_args()


def measured(
    chosen: Iterable[str], servers: running.Servers, core: int | None, options: argparse.Namespace
) -> Iterator[tuple[str, figures.Rows]]:
    """Each benchmark with its rows, as it is done and printed."""
    late: dict[str, str] = {}
    begun = time.monotonic()
    for bench in dict.fromkeys(chosen):
        print(f"{time.monotonic() - begun:5.0f} s  {bench}", file=sys.stderr, flush=True)
        rows = run(bench, servers, core, options, late)
        figures.add_medians(rows)
        title, unit = facts_of(bench)
        print("\n".join([figures.table(f"{bench}: {title}", unit, rows), *figures.notes(rows)]), flush=True)
        yield bench, rows


def main() -> int:
    """Run, print, write; the exit status is 1 when a client failed."""
    options = parsed()
    machine.raise_file_limit()
    client_core, server_core = machine.cores()
    versions = machine.description()
    print("  ".join(f"{name} {version}" for name, version in versions.items()), flush=True)
    results: dict[str, figures.Rows] = {}
    chosen = chain.from_iterable(work.GROUPS.get(name, (name,)) for name in options.only or [*work.JOBS, IMPORTS])
    with tempfile.TemporaryDirectory() as folder, running.servers(server_core, Path(folder)) as servers:
        try:
            for bench, rows in measured(chosen, servers, client_core, options):
                results[bench] = rows
        except KeyboardInterrupt:
            print("\nBroken off: this is what was finished.")
    report(results, versions, options)
    return int(any(at_fault(bench, name, row) for bench, rows in results.items() for name, row in rows.items()))


def at_fault(bench: str, client: str, row: figures.Row) -> bool:
    """Whether a client failed that must not: a peer may not get as far as the largest crowds in time."""
    peer = not client.startswith(("raw", "headwater"))
    return "failed" in row and not (peer and bench in {*work.GROUPS["streams"], *work.DELAYS, *work.RATES})


def report(results: dict[str, figures.Rows], versions: dict[str, str], options: argparse.Namespace) -> None:
    """Print the claims; write the JSON and the pictures."""
    if options.check:
        print("\nClaims\n" + claims.text(results))
    if options.out is None:
        return
    options.out.mkdir(parents=True, exist_ok=True)
    figures.write_json(options.out / "benchmarks.json", results, versions)
    for bench, rows in results.items():
        figures.draw(options.out / f"{bench}.png", *facts_of(bench), rows)
    curves.draw_all(options.out, results)
    print(f"\nwritten to {options.out}")


if __name__ == "__main__":
    sys.exit(main())
