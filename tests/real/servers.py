"""Starts real servers as processes of their own on loopback, waits until they answer, and ends them.

Only the standard library is used. A server's packages come from a folder of their own, put first on its
import path, so servers whose dependencies conflict run side by side. It refuses to leave a process behind:
the server ends when the `with` block ends, and when this process dies in any way.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

SERVE = Path(__file__).with_name("serve.py")
READY_SECONDS = 120.0  # a bound for a busy machine: each is ready in one to four seconds on a free one
POLL_SECONDS = 0.05


class NotReadyError(Exception):
    """A server ended, or did not answer in time; says what it printed last."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(packages: Path) -> dict[str, str]:
    """This environment, with `packages` first on the import path, and one thread for OpenMP."""
    paths = [str(packages), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "OMP_NUM_THREADS": "1"}


def answers(url: str) -> bool:
    """Whether a GET gets any answer below 500: llama.cpp answers 503 while it loads its model."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        with error:
            return error.code < 500
    except OSError:
        return False


def wait_until_ready(process: subprocess.Popen[bytes], url: str, log: IO[bytes]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not answers(url):
        if process.poll() is not None:
            raise NotReadyError(f"the server ended with status {process.returncode}:\n{last_lines(log)}")
        if time.monotonic() > deadline:
            raise NotReadyError(f"the server did not answer in {READY_SECONDS:.0f} s:\n{last_lines(log)}")
        time.sleep(POLL_SECONDS)


def last_lines(log: IO[bytes], count: int = 20) -> str:
    log.seek(0)
    return "\n".join(log.read().decode(errors="replace").splitlines()[-count:])


def end(process: subprocess.Popen[bytes]) -> None:
    """Close the server's standard input, on which it ends by itself; kill it if it does not."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def running(name: str, packages: Path) -> Iterator[str]:
    """Run the server `name` from the folder `packages`; yields its URL when it is ready.

    Raises `NotReadyError` with the server's last lines when it does not come up.
    """
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, str(SERVE), name, str(port)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment(packages),
            cwd=folder,
        )
        try:
            wait_until_ready(process, f"http://127.0.0.1:{port}/health", log)
            yield f"http://127.0.0.1:{port}"
        finally:
            end(process)
