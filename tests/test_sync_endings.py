"""How blocking programs end: Ctrl-C anywhere, what a signal handler raises, the interpreter's exit, forked children.

Each in an interpreter of its own: the call ends at once, its socket closes, the exception is the caller's, and nothing
of the library's is printed.
"""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.python_subprocess import PATIENCE, START, run, running

from headwater import ClosedError, HeadwaterError, InferenceClient
from headwater.blocking.portal import call
from headwater.emulator import faults

MESSAGES = [{"role": "user", "content": "hi"}]
SOON = 60.0
"""Seconds, generous: only a failing test waits that long."""


@pytest.fixture
def server() -> Iterator[faults.FaultServer]:
    with faults.running() as found:
        yield found


def base(server: faults.FaultServer, fault: str = "ok", **parameters: Any) -> str:
    return f"{server.at(fault, **parameters)}/v1"


def named(url: str) -> str:
    """The same by a name that has to be looked up."""
    return url.replace("127.0.0.1", "localhost")


# Ctrl-C that nobody catches

LEFT = {
    "a loop": "for chunk in client.chat_completion(MESSAGES, stream=True): print('at work', flush=True)",
    "a loop's body": """
        for chunk in client.chat_completion(MESSAGES, stream=True):
            print("at work", flush=True)
            import time
            for _ in range(5000): time.sleep(0.1)  # a signal that comes just before one sleep is felt before the next
        """,
    "a run": """
        with client.chat_completion.stream(MESSAGES) as run:
            for chunk in run: print("at work", flush=True)
        """,
    "a run that is a global": """
        run = client.chat_completion.stream(MESSAGES)
        for chunk in run: print("at work", flush=True)
        """,
    "a map": """
        with client.map(client.chat_completion.stream, [MESSAGES] * 9, concurrency=3, parameters={"model": "m"}) as m:
            print("at work", flush=True)
            for result in m: pass
        """,
}


@pytest.mark.parametrize("where", LEFT)
@pytest.mark.parametrize("by_name", [False, True])
def test_ctrl_c_is_the_programs_own_traceback(server: faults.FaultServer, where: str, by_name: bool) -> None:
    url = base(server, "sse_stall")
    usual = "import warnings\nwarnings.simplefilter('ignore', ResourceWarning)\n"  # it is Python's, without -X dev
    script = f"{usual}client = InferenceClient(base_url=URL)\n" + textwrap.dedent(LEFT[where])
    with running(script, named(url) if by_name else url, strict=False) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        assert server.wait_requests(1, SOON)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=SOON)
    assert process.returncode == -signal.SIGINT
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert errors.count("Traceback (most recent call last)") == 1
    assert not re.search("Warning|Exception ignored|Exception in|never", errors), errors
    assert server.wait_closed(1, SOON)


FIRST = """
import signal, threading, time, os
import headwater.blocking.portal, asyncio
client = InferenceClient(base_url=URL)
try:
    threading.Timer({seconds}, os.kill, (os.getpid(), signal.SIGINT)).start()
    while True:
        client.chat_completion(MESSAGES)
        break
    time.sleep(5)
except KeyboardInterrupt:
    print("interrupted", flush=True)
assert client.chat_completion(MESSAGES).choices
names = [thread.name for thread in threading.enumerate()]
assert names.count("headwater") == 1, names
"""


@pytest.mark.parametrize("seconds", [0.0, 0.0002, 0.001, 0.003, 0.01])
def test_ctrl_c_at_the_very_first_call(server: faults.FaultServer, seconds: float) -> None:
    done = run(FIRST.format(seconds=seconds), base(server), strict=False)
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr
    assert "Traceback" not in done.stderr


BESIDE_A_LOOP = """
import asyncio, signal
client = InferenceClient(base_url=URL)
async def main():
    print("at work", flush=True)
    client.chat_completion(MESSAGES)
try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted", flush=True)
    sys.stdin.readline()
"""


def test_ctrl_c_at_the_first_call_in_a_process_with_a_loop_of_its_own(server: faults.FaultServer) -> None:
    """asyncio takes the first for itself and lets a blocking call go on; its second one ends that."""
    with running(BESIDE_A_LOOP, base(server, "hang_before_headers"), strict=False) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        assert server.wait_requests(1, SOON)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted\n"
        assert server.wait_closed(1, SOON)
        _, errors = process.communicate("\n", timeout=SOON)
    assert (process.returncode, "Traceback" in errors) == (0, False), errors


WITHIN_TRIO = """
import anyio
from headwater import emulator
async def main():
    with emulator.running() as url:
        print(InferenceClient(base_url=url).chat_completion(MESSAGES, model="m").choices[0].finish_reason)
anyio.run(main, backend="trio")
"""


def test_a_first_call_within_another_loops_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where threads inherit the context of who starts them, as in free-threaded Python, and by this from 3.14 on."""
    monkeypatch.setenv("PYTHON_THREAD_INHERIT_CONTEXT", "1")
    done = run(WITHIN_TRIO, strict=False)
    assert (done.returncode, done.stdout) == (0, "stop\n"), done.stderr


# what a signal handler raises

ALARM = """
import signal
class SoftLimit({base}): pass
def late(*_): raise SoftLimit
signal.signal(signal.SIGALRM, late)
client = InferenceClient(base_url=URL)
try:
    {body}
except SoftLimit:
    print("interrupted", flush=True)
    sys.stdin.readline()
{after}
"""
ALARMED = {
    "plain": ("client.chat_completion(MESSAGES)", ""),
    "started": ("client.chat_completion(MESSAGES, stream=True)", ""),
    "stream": (
        "run = client.chat_completion.stream(MESSAGES); list(run)",
        """
from headwater import ClosedError
for again in (lambda: list(run), run.result):  # what had come before may be handed over, and then no end
    try: again()
    except ClosedError as error: print("closed" if error.partial == run.partial else error.partial, flush=True)
""",
    ),
    "result": ("client.chat_completion.stream(MESSAGES).result()", ""),
    "map": (
        "with client.map(client.chat_completion, [MESSAGES], parameters={'model': 'm'}) as m: list(m)",
        "",
    ),
}


@pytest.mark.parametrize("kind", ["Exception", "BaseException", "TimeoutError"])
@pytest.mark.parametrize("how", ALARMED)
def test_what_a_signal_handler_raises_ends_the_call(server: faults.FaultServer, kind: str, how: str) -> None:
    body, after = ALARMED[how]
    fault = "sse_stall" if how == "stream" else "hang_before_headers"
    script = ALARM.format(base=kind, body=body, after=after)
    with running(script, base(server, fault), strict=False) as process:
        assert process.stdout is not None
        assert server.wait_requests(1, SOON)
        process.send_signal(signal.SIGALRM)
        assert process.stdout.readline() == "interrupted\n"
        assert server.wait_closed(1, SOON)  # while the process lives on
        said, errors = process.communicate("\n", timeout=SOON)
        assert (process.returncode, errors) == (0, "")
        assert said == ("closed\nclosed\n" if after else "")


# the interpreter's exit

EXITS = {
    "an open run": "run = client.chat_completion.stream(MESSAGES); next(run)",
    "atexit, registered before": """
        import atexit
        def last(): print(client.chat_completion(MESSAGES).choices[0].message.content and "answered", flush=True)
        atexit.register(last)
        client.chat_completion(MESSAGES)
        """,
    "atexit, without a call before": """
        import atexit
        atexit.register(lambda: print(client.chat_completion(MESSAGES).choices and "answered", flush=True))
        """,
    "atexit, closing": "import atexit; atexit.register(client.close); client.chat_completion(MESSAGES)",
    "atexit, closing a run": """
        import atexit
        run = client.chat_completion.stream(MESSAGES)
        next(run)
        atexit.register(run.close)
        """,
    "a global's finalizer closes": """
        class Holder:
            def __init__(self): self.client, self.run = client, client.chat_completion.stream(MESSAGES); next(self.run)
            def __del__(self, write=__import__("os").write):
                self.run.close()
                self.client.close()
                write(1, b"let go\\n")
        holder = Holder()
        holder.cycle = holder
        """,
    "a global's finalizer calls": """
        class Holder:
            def __init__(self): self.client, self.run = client, client.chat_completion.stream(MESSAGES); next(self.run)
            def __del__(self, write=__import__("os").write):
                for use in (lambda: self.client.chat_completion(MESSAGES), lambda: list(self.run), self.run.result):
                    try: use()
                    except Exception as error: write(1, type(error).__name__.encode() + b"\\n")
        holder = Holder()
        """,
    "threads that wait": """
        import threading, time
        begun = threading.Barrier(4)
        def read():
            run = client.chat_completion.stream(MESSAGES)
            next(run)
            begun.wait()
            list(run)
        for _ in range(3):
            threading.Thread(target=read, daemon=True).start()
        begun.wait()
        time.sleep(0.3)
        """,
}
SAYS = {
    "atexit, registered before": "answered\n",
    "atexit, without a call before": "answered\n",
    "a global's finalizer closes": "let go\n",
    "a global's finalizer calls": "ClosedError\n" * 3,
}


@pytest.mark.parametrize("what", EXITS)
@pytest.mark.parametrize("by_name", [False, True])
def test_the_interpreters_exit_is_quick_and_quiet(
    server: faults.FaultServer, what: str, by_name: bool, tmp_path: Path
) -> None:
    stalls = "threads" in what
    url = base(server, "sse_stall" if stalls else "ok")
    program = tmp_path / "program.py"  # as it comes: nothing else may hold on to its globals
    program.write_text(f"{START}client = InferenceClient(base_url=URL)\n" + textwrap.dedent(EXITS[what]))
    began = time.monotonic()
    command = [sys.executable, str(program), named(url) if by_name else url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert time.monotonic() - began < 25
    assert (done.returncode, done.stdout, done.stderr) == (0, SAYS.get(what, ""), "")


EARLY = """
import atexit
def last():
    client = InferenceClient(base_url=URL)
    print(client.chat_completion(MESSAGES).choices and "answered", flush=True)
    try:
        list(run)
    except HeadwaterError as error:
        print(type(error).__name__, flush=True)
    client.close()
atexit.register(last)
import sys
sys.argv.append("")
from headwater import HeadwaterError, InferenceClient
MESSAGES = [{"role": "user", "content": "hi"}]
URL = sys.argv[1]
run = InferenceClient(base_url=URL).chat_completion.stream(MESSAGES)
next(run)
"""


@pytest.mark.parametrize("by_name", [False, True])
def test_a_handler_that_runs_after_ours(server: faults.FaultServer, by_name: bool) -> None:
    """It was registered before the library was imported; the shared loop has ended."""
    url = base(server)
    script = f"import subprocess\nprint(subprocess.run([sys.executable, '-c', {EARLY!r}, URL], timeout=40, check=True))"
    done = run(script, named(url) if by_name else url, strict=False)
    assert done.stdout.split()[:2] == ["answered", "ClosedError"], done.stderr
    assert done.stderr == ""


# processes

FORK = """
import os, signal, asyncio, anyio
client = AsyncInferenceClient(base_url=URL)
loop = asyncio.new_event_loop()
run = client.chat_completion.stream(MESSAGES)
first = loop.run_until_complete(anext(run))
child = os.fork()
if child == 0:
    signal.alarm(20)
    async def use():
        {child}
    try:
        anyio.run(use, backend="{backend}")
    except BaseException as error:
        os.write(2, repr(error).encode())
        os._exit(1)
    os._exit(0)
_, status = os.waitpid(child, 0)
assert status == 0, status
async def rest():
    return [chunk async for chunk in run]
assert len(loop.run_until_complete(rest())) == 10
assert loop.run_until_complete(run.result()).choices[0].message.content
async def more():
    return (await client.chat_completion(MESSAGES)).choices
assert loop.run_until_complete(more())
loop.run_until_complete(client.close())
loop.run_until_complete(loop.shutdown_asyncgens())
loop.close()
"""
CHILDREN = {
    "closes it": "await run.close()",
    "leaves its block": "async with run: pass",
    "drops it": "global run; del run; import gc; gc.collect()",
    "closes the client": "await client.close()",
    "calls": "assert (await client.chat_completion(MESSAGES)).choices; await client.close()",
    "reads it": """
        from headwater.errors import ForkedClientError
        for read in (run.__anext__, run.result, run.drain):
            try:
                await read()
            except ForkedClientError:
                continue
            assert False
        """,
}


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("what", CHILDREN)
def test_a_forked_childs_open_run_is_its_parents(server: faults.FaultServer, what: str, backend: str) -> None:
    body = textwrap.indent(textwrap.dedent(CHILDREN[what]).strip(), " " * 8).strip()
    done = run(FORK.format(child=body, backend=backend), base(server, pause=0.05), strict=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


FORK_IN_A_STEP = """
import os, threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # Python's own, since 3.12: there are threads
lock, inside = threading.Lock(), threading.Event()
def observe(_):  # in the loop's thread, as a module is imported there
    if not inside.is_set():
        with lock:
            inside.set()
            time.sleep(0.5)
client = InferenceClient(base_url=URL, observer=observe)
caller = threading.Thread(target=client.chat_completion, args=(MESSAGES,))
caller.start()
inside.wait()
child = os.fork()
if child == 0:
    os._exit(0 if lock.acquire(timeout=5) and client.chat_completion(MESSAGES).choices else 1)
assert os.waitpid(child, 0)[1] == 0
caller.join()
assert client.chat_completion(MESSAGES).choices
"""


def test_a_process_forks_between_two_steps_of_the_loop(server: faults.FaultServer) -> None:
    """A lock that a step holds, a module's that is being imported, would be held in the child for ever."""
    done = run(FORK_IN_A_STEP, base(server), strict=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(server: faults.FaultServer, method: str, tmp_path: Any) -> None:
    script = tmp_path / "program.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import multiprocessing, sys
            from headwater import InferenceClient
            client = InferenceClient(base_url={base(server)!r})
            def ask(_):
                return client.chat_completion([{{"role": "user", "content": "hi"}}]).choices[0].message.content
            if __name__ == "__main__":
                first = ask(0)
                with multiprocessing.get_context({method!r}).Pool(2) as pool:
                    assert pool.map_async(ask, range(4)).get(40) == [first] * 4
                assert ask(0) == first
            """
        )
    )
    done = run(
        f"import subprocess\nsys.exit(subprocess.run([sys.executable, {str(script)!r}], timeout=50).returncode)",
        strict=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


# whatever ends the work releases who waits for it


def test_a_task_that_ends_before_its_first_line_releases_its_caller() -> None:
    """Cancelled by others in the very turn in which it was made, as the end of an event loop does it."""

    async def cancel_all() -> None:
        import asyncio

        loop, made = asyncio.get_running_loop(), list[Any]()
        create = loop.create_task

        def cancelled_at_once(*args: Any, **more: Any) -> Any:
            task = create(*args, **more)
            made.append(task.cancel())
            return task

        loop.create_task = cancelled_at_once  # type: ignore[method-assign]
        loop.call_later(0.5, lambda: setattr(loop, "create_task", create))

    call(cancel_all)
    client = InferenceClient(base_url="http://127.0.0.1:9/v1")
    results: list[BaseException] = []

    def ask() -> None:
        try:
            client.chat_completion(MESSAGES)
        except BaseException as error:  # noqa: BLE001 - looked at below
            results.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(SOON)
    assert not thread.is_alive()
    assert isinstance(results[0], HeadwaterError)
    time.sleep(0.6)


DEAD = """
import asyncio, threading
from headwater import HeadwaterError
from headwater.blocking.portal import call
client = InferenceClient(base_url=URL)
found = []
def ask():
    try:
        client.chat_completion(MESSAGES)
    except HeadwaterError as error:
        found.append(error)
threads = [threading.Thread(target=ask) for _ in range(3)]
for thread in threads: thread.start()
sys.stdin.readline()
async def stop():
    asyncio.get_running_loop().stop()
try:
    call(stop)
except HeadwaterError:
    pass
for thread in threads: thread.join(20)
headwaters = [thread for thread in threading.enumerate() if thread.name == "headwater"]
for thread in headwaters: thread.join(20)
assert len(found) == 3, found
assert InferenceClient(base_url=URL.replace("hang_before_headers", "ok")).chat_completion(MESSAGES).choices
"""


def test_a_loop_that_dies_releases_everybody_and_another_one_begins(server: faults.FaultServer) -> None:
    with running(DEAD, base(server, "hang_before_headers"), strict=False) as process:
        assert server.wait_requests(3, SOON)
        _, errors = process.communicate("\n", timeout=SOON * 2)
    assert process.returncode == 0, errors


def test_a_client_that_was_never_used_is_closed() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        InferenceClient(base_url=f"http://127.0.0.1:{nobody.getsockname()[1]}/v1").close()
    assert issubclass(ClosedError, HeadwaterError)
