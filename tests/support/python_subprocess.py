"""Runs a script in an interpreter of its own, as strict as the interpreter can be, and watches how it ends."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PATIENCE = 240.0
"""Seconds that a script may take; only a failing test waits that long."""
QUIET = """
import logging
logging.getLogger("asyncio").addFilter(lambda record: not record.msg.startswith("Executing"))
"""
"""Without asyncio's word, in its debug mode, that a machine was too busy to run it."""
START = """
import sys
from headwater import AsyncInferenceClient, InferenceClient
MESSAGES = [{"role": "user", "content": "hi"}]
URL = sys.argv[1] if len(sys.argv) > 1 else ""
"""


def command(script: str, *arguments: str, strict: bool = True) -> list[str]:
    options = ["-X", "dev", "-W", "error"] if strict else ["-X", "dev"]
    return [sys.executable, *options, "-c", QUIET + START + textwrap.dedent(script), *arguments]


def run(script: str, *arguments: str, strict: bool = True) -> subprocess.CompletedProcess[str]:
    """The script's end; what it wrote to stderr fails the test when it is strict."""
    done = subprocess.run(
        command(script, *arguments, strict=strict), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    if strict:
        assert (done.returncode, done.stderr) == (0, "")
    return done


@contextmanager
def running(script: str, *arguments: str, strict: bool = True) -> Iterator[subprocess.Popen[str]]:
    """The script, at work; it is killed if the test leaves it so."""
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command(script, *arguments, strict=strict), **pipes, text=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
