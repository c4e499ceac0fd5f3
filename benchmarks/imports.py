"""What an import costs in a fresh interpreter, over bare Python, and what a user waits for: the import and a first
chat with a server on this machine; and what an import must not load.

Refuses to run anything else in those interpreters.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from typing import Any

BARE = "bare python"
STATEMENTS = {
    BARE: "pass",
    "headwater": "import headwater",
    "headwater.InferenceClient": "from headwater import InferenceClient",
    "httpx alone": "import httpx",
    "huggingface_hub": "import huggingface_hub.inference._client",
    "openai": "import openai",
}
MESSAGES = '[{"role": "user", "content": "hi"}]'
FIRST_CHATS = {
    "headwater, first chat": f"""
from headwater import InferenceClient
InferenceClient(base_url=URL, api_key="bench").chat_completion({MESSAGES}, model="bench")
""",
    "httpx alone, first chat": f"""
import httpx
body = {{"model": "bench", "messages": {MESSAGES}}}
httpx.post(URL + "/chat/completions", json=body, headers={{"authorization": "Bearer bench"}}).raise_for_status().json()
""",
    "huggingface_hub, first chat": f"""
from huggingface_hub import InferenceClient
InferenceClient(base_url=URL, api_key="bench").chat_completion({MESSAGES}, model="bench")
""",
    "openai, first chat": f"""
from openai import OpenAI
OpenAI(base_url=URL, api_key="bench").chat.completions.create(messages={MESSAGES}, model="bench")
""",
}
"""What comes of an import and one chat, as programs; `URL` is the server's."""
UNWANTED = ("httpx", "PIL", "ssl")


def measure(url: str, *, quick: bool) -> dict[str, dict[str, Any]]:
    """Rows like those of the other benchmarks, in seconds per import; a missing library is skipped. `url`: a server's
    that answers chats."""
    rows: dict[str, dict[str, Any]] = {}
    statements = STATEMENTS | {name: f"URL = {url!r}{program}" for name, program in FIRST_CHATS.items()}
    for name, statement in statements.items():
        failure = _failure(statement)
        rows[name] = {"skipped": failure} if failure else {"cpu": [], "wall": []}
    present = [name for name, row in rows.items() if "cpu" in row]
    for _ in range(3 if quick else 15):
        for name in present:  # in turn, so that a disturbance hits all of them
            cpu, wall = _timed(statements[name])
            rows[name]["cpu"].append(cpu)
            rows[name]["wall"].append(wall)
    _over_bare(rows)
    for name in ("headwater", "headwater.InferenceClient"):
        if "cpu" in rows[name]:
            rows[name]["unwanted"] = _unwanted(STATEMENTS[name])
    return rows


def _over_bare(rows: dict[str, dict[str, Any]]) -> None:
    for kind in ("cpu", "wall"):
        bare = statistics.median(rows[BARE][kind])
        for name, row in rows.items():
            if name != BARE and kind in row:
                row[kind] = [max(0.0, seconds - bare) for seconds in row[kind]]


def _failure(statement: str) -> str | None:
    """Also writes the bytecode, so that no measured run compiles."""
    done = subprocess.run(
        [sys.executable, "-c", statement], env=_written(), capture_output=True, text=True, check=False
    )
    return done.stderr.strip().splitlines()[-1] if done.returncode else None


def _written() -> dict[str, str]:
    """The environment, in which bytecode is kept, as it is where a package was installed."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _timed(statement: str) -> tuple[float, float]:
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", statement], env=_written())
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - begun


def _unwanted(statement: str) -> list[str]:
    asked = f"{statement}\nimport sys, json; print(json.dumps([n for n in {UNWANTED!r} if n in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    found: list[str] = json.loads(done.stdout)
    return found
