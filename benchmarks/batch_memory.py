"""The resident memory of a long batch, from its first record to its last.

    python -m benchmarks.batch_memory [--records 1000000] [--concurrency 256] [--out DIR]

One process runs `headwater batch` against a server on loopback. Its memory is read four times a second, beside the
number of records that are on the disk; then the same command is given once more, which has only to read both files.
It fails where the memory grows by more than 30 MB from the first tenth of the records to the end, or is over 300 MB, or
where reading takes longer than 10 s a million. `--out` gets the curve as a PNG (which needs matplotlib).
"""

import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.batch_work import Server, check, command, events, write_requests

MB = 1e6
MOST = 300 * MB
GROWTH = 30 * MB
RESUME = 10.0


class Watched(threading.Thread):
    """Reads a process's memory; `done` is set by whoever reads its events."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._process = psutil.Process(pid)
        self.done = 0
        self.points: list[tuple[int, float]] = []

    def run(self) -> None:
        try:
            while True:
                self.points.append((self.done, float(self._process.memory_info().rss)))
                time.sleep(0.25)
        except psutil.Error:
            return


def watched(source: Path, output: Path, url: str, concurrency: str) -> tuple[Watched, float, dict[str, Any]]:
    """The command, its memory, the seconds until it had read both files, and its last event."""
    began = time.monotonic()
    ready, last = 0.0, {}
    with command(source, output, url, concurrency) as process:
        watcher = Watched(process.pid)
        watcher.start()
        for event in events(process):
            last = event
            if event["event"] == "started":
                ready = time.monotonic() - began
            watcher.done = event.get("done", watcher.done)
        process.wait()
    return watcher, ready, last


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch_memory")
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--concurrency", default="256")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Server() as server:
        source, output = Path(folder) / "in.jsonl", Path(folder) / "out.jsonl"
        write_requests(source, options.records)
        run, ready, last = watched(source, output, server.url, options.concurrency)
        again, ready_again, _ = watched(source, output, server.url, options.concurrency)
        wrong = check(output, options.records)
        size = output.stat().st_size
    early = max((rss for done, rss in run.points if done <= options.records / 10), default=0.0)
    most = max(rss for _, rss in run.points)
    most_again = max(rss for _, rss in again.points)
    print(f"{options.records} records, {size / MB:.0f} MB of results, {last['seconds']:.0f} s, {last['rate']:.0f}/s")
    print(f"ready after {ready:.1f} s; at most {early / MB:.0f} MB in the first tenth, {most / MB:.0f} MB in all")
    print(f"the same command again: {ready_again:.1f} s to read both files, at most {most_again / MB:.0f} MB")
    if most > MOST or most_again > MOST or most - early > GROWTH:
        wrong.append("the memory is over its limit")
    if ready_again > RESUME * max(1.0, options.records / 1e6):
        wrong.append("reading took too long")
    print("wrong: " + ("; ".join(wrong[:10]) or "nothing"))
    if options.out:
        draw(run.points, options)
    return 1 if wrong else 0


def draw(points: list[tuple[int, float]], options: argparse.Namespace) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4))
    axes.plot([done for done, _ in points], [rss / MB for _, rss in points], color="#1f6f8b")
    axes.set(xlabel="records on the disk", ylabel="resident memory, MB", ylim=(0, None), xlim=(0, options.records))
    axes.set_title(f"headwater batch, {options.concurrency} at once")
    axes.grid(alpha=0.3)
    figure.tight_layout()
    options.out.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out / "batch_memory.png", dpi=120)


if __name__ == "__main__":
    sys.exit(main())
