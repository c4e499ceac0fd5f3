"""`kill -9` at random moments of a batch, which is then gone on with, again and again.

    python -m benchmarks.batch_kill [--records 20000] [--kills 50] [--concurrency 64] [--seed 1]

A moment is so many requests after the last kill as leave work for all others, and up to 20 ms; every fifth is so many
milliseconds after the start instead, while the files are still being read. It fails unless at the end every record has
one result, which is its own, and the input is what it was. How many requests were sent more than once is
counted by the server.
"""

import argparse
import hashlib
import random
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.batch_work import Server, check, command, events, write_requests


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch_kill")
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Server(wait=0.005) as server:
        return measure(Path(folder), server, options)


def measure(folder: Path, server: Server, options: argparse.Namespace) -> int:
    source, output = folder / "in.jsonl", folder / "out.jsonl"
    write_requests(source, options.records)
    digest = hashlib.sha256(source.read_bytes()).digest()
    chance = random.Random(options.seed)
    began = time.monotonic()
    torn = early = 0
    for number in range(options.kills):
        left = options.records - server.asked
        with command(source, output, server.url, str(options.concurrency)) as process:
            if number % 5 == 4:
                early += 1
                time.sleep(chance.uniform(0.1, 2.0))
            else:
                target = server.asked + chance.randint(1, max(1, 2 * left // (options.kills - number + 1)))
                while server.asked < target and process.poll() is None:
                    time.sleep(0.001)
                time.sleep(chance.uniform(0, 0.02))
            process.kill()
            torn += any(event["event"] == "started" and event["torn"] for event in events(process))
    ended = None
    with command(source, output, server.url, str(options.concurrency)) as process:
        for event in events(process):
            torn += event["event"] == "started" and event["torn"] > 0
            ended = event
        code = process.wait()
    wrong = check(output, options.records)
    if hashlib.sha256(source.read_bytes()).digest() != digest:
        wrong.append("the input was changed")
    again = server.asked - options.records
    print(f"{options.records} records, {options.kills} kills ({early} early), {time.monotonic() - began:.0f} s")
    print(f"torn last lines cut: {torn}; requests sent again: {again} ({again / max(1, options.kills):.1f} a kill,")
    print(f"at most {options.concurrency} each); last exit code {code}; last event: {ended}")
    print("wrong: " + ("; ".join(wrong[:10]) or "nothing"))
    return 1 if wrong or code or again > options.kills * options.concurrency else 0


if __name__ == "__main__":
    sys.exit(main())
