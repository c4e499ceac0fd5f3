"""``python -m headwater.emulator [--host H] [--port N] [--api-key K ...]``: the emulator until Ctrl-C."""

from __future__ import annotations

import argparse
import sys
import threading

from . import running


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m headwater.emulator", description="A local inference server.")
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=0, help="default: a free port")
    parser.add_argument("--api-key", action="append", metavar="KEY", help="accept this key only; may be repeated")
    options = parser.parse_args()
    try:
        with running(host=options.host, port=options.port, api_keys=options.api_key) as url:
            sys.stdout.write(f"{url}\n")
            sys.stdout.flush()
            threading.Event().wait()
    except KeyboardInterrupt:
        return 0
    except (ImportError, ValueError, OSError) as error:
        sys.stderr.write(f"headwater.emulator: {error}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
