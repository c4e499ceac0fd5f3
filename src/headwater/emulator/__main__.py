"""``python -m headwater.emulator [--host H] [--port N] [--api-key K ...]``: the emulator until Ctrl-C.

With ``--cassette FILE [--cut N] [--how HOW]`` it is a server that answers from a recording."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from . import faults, running
from .fault_server.recorded import HOWS

SIGNAL_SECONDS = 0.25
"""How often Ctrl-C is looked for that came just before the wait began, and would be felt at its end only."""


@contextmanager
def serving(options: argparse.Namespace) -> Iterator[str]:
    """The server that was asked for, and its URL."""
    if options.cassette is None:
        with running(host=options.host, port=options.port, api_keys=options.api_key) as url:
            yield url
        return
    with faults.running(cassette=options.cassette, port=options.port) as server:
        yield server.at("recorded", **({} if options.cut is None else {"cut": options.cut, "how": options.how}))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m headwater.emulator", description="A local inference server.")
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=0, help="default: a free port")
    parser.add_argument("--api-key", action="append", metavar="KEY", help="accept this key only; may be repeated")
    parser.add_argument("--cassette", metavar="FILE", help="answer from this recording alone, on 127.0.0.1")
    parser.add_argument("--cut", type=int, metavar="N", help="end its answers before this byte of the body")
    parser.add_argument("--how", default="reset", choices=HOWS, help="how they end there (default: reset)")
    options = parser.parse_args()
    try:
        with serving(options) as url:
            sys.stdout.write(f"{url}\n")
            sys.stdout.flush()
            over = threading.Event()
            while not over.wait(SIGNAL_SECONDS):
                pass
    except KeyboardInterrupt:
        return 0
    except (ImportError, ValueError, OSError) as error:
        sys.stderr.write(f"headwater.emulator: {error}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
