"""Systems without the POSIX names: everything is imported and works, in an interpreter from which they were taken.

A simulation: what Windows does differently with the names that it has is not seen here.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from threading import Thread

import pytest
from packaging.requirements import Requirement

WITHOUT = """
import asyncio, importlib, json, os, pkgutil, select, selectors, signal, sys, types
import anyio, anyio.to_thread, httptools, msgspec, PIL.Image, ssl, tempfile
import anyio._backends._asyncio
for name in ("trio", "anyio._backends._trio", "starlette.applications", "uvicorn", "cyclopts", "rich.console",
        "rich.progress", "rich.live", "httpx", "httpx2", "numpy", "matplotlib.figure", "hypercorn", "mcp", "pytest"):
    try:
        importlib.import_module(name)
    except ImportError:
        pass
GONE = {
    os: "register_at_fork fork pread pwrite preadv pwritev fdatasync O_NOFOLLOW O_DIRECTORY O_NONBLOCK O_NOCTTY"
        " O_CLOEXEC getuid geteuid getgid getegid sched_getaffinity mkfifo fchmod fchown chown killpg getpgid setsid",
    select: "epoll poll EPOLLIN EPOLLOUT EPOLLET EPOLLRDHUP EPOLLHUP EPOLLERR EPOLLONESHOT POLLIN POLLOUT",
    signal: "SIGHUP SIGPIPE SIGQUIT SIGUSR1 SIGUSR2 SIGKILL SIGALRM SIGTSTP pthread_sigmask setitimer",
}
for module, names in GONE.items():
    for name in names.split():
        vars(module).pop(name, None)
for name in ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog"):
    sys.modules[name] = None

selectors.DefaultSelector = selectors.SelectSelector

def cannot(*_):
    raise NotImplementedError

asyncio.SelectorEventLoop.add_signal_handler = cannot
held = {}
def locking(descriptor, mode, size):
    there = os.fstat(descriptor)
    key = (there.st_ino, os.lseek(descriptor, 0, os.SEEK_CUR))
    owner = held.setdefault(key, descriptor)
    try:
        os.fstat(owner)
    except OSError:
        owner = held[key] = descriptor
    if owner != descriptor:
        raise PermissionError(13, "Permission denied")
sys.modules["msvcrt"] = types.SimpleNamespace(locking=locking, LK_NBLCK=2)
"""

IMPORTS = """
import headwater
missing = []
for found in pkgutil.walk_packages(headwater.__path__, "headwater."):
    if found.name.rpartition(".")[2] in ("__main__", "epoll", "asyncio_streams", "trio_streams"):
        continue  # run at once, or loaded where there is epoll alone
    try:
        importlib.import_module(found.name)
    except ModuleNotFoundError as error:
        if "extra" not in str(error) and "headwater[" not in str(error) and error.name in sys.modules:
            raise
        missing.append(found.name)
print(json.dumps(missing))
"""

WORKS = """
from pathlib import Path
from headwater import AsyncInferenceClient, InferenceClient, InvalidParameterError
from headwater.batch import JournalError, run_batch

folder, url = Path(sys.argv[1]), sys.argv[2]
MESSAGES = [{"role": "user", "content": "hi"}]

async def ask():
    async with AsyncInferenceClient(base_url=url) as client:
        return (await client.chat_completion(MESSAGES)).choices[0].message.content

assert anyio.run(ask) == "yes"
try:
    InferenceClient(http2=True)
except InvalidParameterError as error:
    assert "epoll" in str(error), error
else:
    raise AssertionError("HTTP/2 without epoll")
client = InferenceClient(base_url=url)
assert client.chat_completion(MESSAGES).choices[0].message.content == "yes"

source, output = folder / "in.jsonl", folder / "out.jsonl"
LINE = {"method": "POST", "url": "/v1/chat/completions", "body": {"messages": MESSAGES}}
source.write_text("".join(json.dumps({"custom_id": str(n), **LINE}) + "\\n" for n in range(9)))
from headwater.batch import run_batch_sync
from headwater.batch.file_lock import open_exclusive
from headwater.batch.stop_signals import stop_signals

async def batch():
    async with AsyncInferenceClient(base_url=url) as client:
        return await run_batch(client, source, output, catch_signals=True)

for _ in range(2):  # the second one finds everything done
    summary = anyio.run(batch)
    assert (summary.done, summary.failed, summary.left) == (9, 0, 0), (summary, output.read_text())

async def stopped():
    with stop_signals() as signals:
        os.kill(os.getpid(), signal.SIGINT)
        async for number in signals:
            return number

assert anyio.run(stopped) == signal.SIGINT and signal.getsignal(signal.SIGINT) is signal.default_int_handler
descriptor = open_exclusive(output)
try:
    run_batch_sync(client, source, output)
except JournalError as error:
    assert "another run" in str(error), error
else:
    raise AssertionError("two runs on one file")
os.close(descriptor)
client.close()
print("works")
"""


def run(script: str, *arguments: str) -> str:
    command = [sys.executable, "-c", WITHOUT + script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_systems_own_store_comes_with_it() -> None:
    """OpenSSL does not read the certificates of these systems: what does is installed there, and nowhere else."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
    needed = {each.name: each.marker for each in map(Requirement, project["dependencies"])}
    marker = needed["truststore"]
    assert marker is not None
    systems = ("darwin", "win32", "linux")
    assert [marker.evaluate({"sys_platform": system}) for system in systems] == [True, True, False]


def test_everything_is_imported() -> None:
    assert "headwater.batch.runner" not in json.loads(run(IMPORTS).splitlines()[-1])


def answering(listener: socket.socket) -> None:
    message = {"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "yes"}}]}
    body = json.dumps(message).encode()
    while True:
        try:
            peer, _ = listener.accept()
        except OSError:
            return
        Thread(target=answer, args=(peer, body), daemon=True).start()


def answer(peer: socket.socket, body: bytes) -> None:
    with peer:
        while peer.recv(65536):
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            peer.sendall(head.encode() + body)


def test_calls_and_batches_work(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=answering, args=(listener,), daemon=True).start()
        out = run(WORKS, str(tmp_path), f"http://127.0.0.1:{listener.getsockname()[1]}/v1")
        assert out.splitlines()[-1] == "works"
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("name", ["F_FULLFSYNC"])
def test_macos_is_told_to_mean_it(name: str, tmp_path: Path) -> None:
    script = f"""
        import fcntl, os
        asked = []
        own = fcntl.fcntl
        fcntl.{name} = 51
        fcntl.fcntl = lambda descriptor, what: asked.append(what)
        from headwater.batch import system_files
        with open({str(tmp_path / "x")!r}, "w") as file:
            system_files.sync(file.fileno())
            system_files.sync_data(file.fileno())
        assert asked == [51, 51]
    """
    import textwrap

    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], timeout=240, check=True)
