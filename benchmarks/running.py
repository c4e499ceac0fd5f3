"""The processes of a run: the load servers, and one for each client of each benchmark. Refuses to judge figures."""

import contextlib
import itertools
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import work

ROOT = Path(__file__).resolve().parent.parent
PORTS = 12  # a closed connection keeps its pair of ports for a minute


class Servers(NamedTuple):
    """The URLs of the two load servers, a new port each time, without end; `authority` signs the second's
    `identity`."""

    plain: Iterator[str]
    secure: Iterator[str]
    authority: Path
    identity: Path


@contextlib.contextmanager
def servers(core: int | None, folder: Path) -> Iterator[Servers]:
    """Run the load server, plain and over TLS; `folder` gets the certificates."""
    authority, identity = _certificates(folder)
    with load_server(core) as plain, load_server(core, "--tls", str(identity)) as secure:
        yield Servers(itertools.cycle(plain), itertools.cycle(secure), authority, identity)


def _certificates(folder: Path) -> tuple[Path, Path]:
    """The PEM files of a new authority, and of a key with the certificate for the server's address."""
    import trustme

    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "identity.pem")
    return folder / "authority.pem", folder / "identity.pem"


@contextlib.contextmanager
def load_server(core: int | None, *options: str) -> Iterator[list[str]]:
    """Run a load server; it ends with its standard input."""
    command = [sys.executable, "-m", "benchmarks.server", "--ports", str(PORTS), *_pinned(core), *options]
    pipe = subprocess.PIPE
    # A Ctrl-C at the terminal is for the run alone, which then ends its server.
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True, process_group=0) as server:
        assert server.stdout is not None
        try:
            urls = server.stdout.readline().split()
            if not urls:
                raise SystemExit("the load server did not start")
            yield urls
        finally:
            server.communicate(timeout=10)


def measured(bench: str, client: str, servers: Servers, core: int | None, size: str) -> dict[str, Any]:
    """One client in one benchmark, in a process of its own."""
    job = work.sized(bench, size)
    url = next(servers.secure if job.secure else servers.plain)
    command = [sys.executable, "-m", "benchmarks.worker", bench, client, url, "--size", size, *_pinned(core)]
    environment = _environment(servers.authority)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            out, err = process.communicate(timeout=job.limit)
        except subprocess.TimeoutExpired:
            reached = _streams_at(url) if job.kind == "open" else ""
            process.kill()
            return {"failed": f"no result within {job.limit:.0f} s{reached}"}
    lines = out.splitlines()
    if process.returncode or not lines:
        return {"failed": f"exit status {process.returncode}: {err[-500:]}"}
    row: dict[str, Any] = json.loads(lines[-1])
    return row


def _streams_at(url: str) -> str:
    with urllib.request.urlopen(url + "/stats") as answer:
        return f": {json.load(answer)['streams']:,} streams were open by then"


def _environment(authority: Path) -> dict[str, str]:
    """Without tokens, proxies and telemetry, which would change what a client does; with the servers' authority."""
    dropped = ("HF_", "OPENAI_", "HTTP_", "HTTPS_", "ALL_", "NO_", "HEADWATER_", "PYTHONWARNINGS", "SSL_CERT_")
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(dropped)}
    return kept | {"HF_HUB_DISABLE_TELEMETRY": "1", "SSL_CERT_FILE": str(authority)}


def _pinned(core: int | None) -> list[str]:
    return [] if core is None else ["--core", str(core)]


def merged(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What several processes of one client measured, as one row; the first failure if one failed."""
    for row in rows:
        if "cpu" not in row:
            return row
    whole = dict(rows[0])
    for row in rows[1:]:
        for name, value in row.items():
            if isinstance(value, list):
                whole[name] = whole[name] + value
            elif name == "memory":
                whole[name] = max(whole[name], value)
            elif name == "units":
                whole[name] += value
    return whole
