"""The sync client where blocking code is: threads, Ctrl-C, fork, a running event loop, the interpreter's end.

And the async client across event loops. What one interpreter cannot do twice runs in an interpreter of its own.
"""

from __future__ import annotations

import random
import select
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import anyio
import pytest
from support.drivers import LOOPS
from support.python_subprocess import run, running

from headwater import AsyncInferenceClient, CallError, DecodeError, InferenceClient
from headwater.blocking.portal import call
from headwater.emulator import faults
from headwater.testing import EVENT_STREAM, MemoryTransport, ScriptedResponse

MESSAGES = [{"role": "user", "content": "hi"}]
SOON = 60.0
"""Seconds, generous: only a failing test waits that long."""


@pytest.fixture
def server() -> Iterator[faults.FaultServer]:
    with faults.running() as found:
        yield found


def base(server: faults.FaultServer, fault: str = "ok", **parameters: Any) -> str:
    return f"{server.at(fault, **parameters)}/v1"


def text_of(chunks: Any) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


# a client's own life


def test_a_stream_is_an_iterator(server: faults.FaultServer) -> None:
    with InferenceClient(base_url=base(server)) as client:
        chunks = client.chat_completion(MESSAGES, stream=True)
        assert iter(chunks) is chunks
        assert text_of(chunks) == faults.TEXT
        assert list(chunks) == []
        assert chunks.result().choices[0].message.content == faults.TEXT
        partial = chunks.partial
        assert partial is not None
        assert partial.choices[0].message.content == faults.TEXT


def test_a_run_has_its_facts(server: faults.FaultServer) -> None:
    with InferenceClient(base_url=base(server)) as client, client.chat_completion.stream(MESSAGES, model="m") as run_:
        assert text_of(run_) == faults.TEXT
        assert (run_.provider, run_.model, run_.outcome) == ("url", "m", "complete")
        assert run_.request_id.startswith("fault-")
        assert run_.headers["content-type"] == "text/event-stream"
        assert len(run_.attempts) == 1
        assert run_.bytes > 1000
        assert 0 <= run_.timings.answered <= run_.timings.first_event <= run_.timings.total
        assert run_.facts.request_id == run_.request_id
        with pytest.raises(AttributeError, match="nonsense"):
            run_.nonsense  # noqa: B018


def test_the_first_failure_comes_from_the_call_itself(server: faults.FaultServer) -> None:
    with InferenceClient(base_url=base(server, "s401")) as client:
        with pytest.raises(Exception, match="401"):
            client.chat_completion(MESSAGES, stream=True)
        lazy = client.chat_completion.stream(MESSAGES)
        with pytest.raises(Exception, match="401"):
            next(lazy)


def test_events_that_are_there_come_in_one_hop(monkeypatch: pytest.MonkeyPatch) -> None:
    hops = []

    def counted(function: Any, *args: Any, **more: Any) -> Any:
        hops.append(function)
        return call(function, *args, **more)

    monkeypatch.setattr("headwater.blocking.portal.call", counted)
    body = b"".join(b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"w"}}]}\n\n' for _ in range(500))
    body += b'data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    transport = MemoryTransport(lambda _: ScriptedResponse(body + b"data: [DONE]\n\n", content_type=EVENT_STREAM))
    with InferenceClient(base_url="http://127.0.0.1:9/v1", transport=transport) as client:
        chunks = client.chat_completion.stream(MESSAGES)
        assert text_of(chunks) == "w" * 500
    assert len(hops) <= 5


def test_a_client_works_again_after_it_was_closed(server: faults.FaultServer) -> None:
    client = InferenceClient(base_url=base(server))
    for _ in range(3):
        assert client.chat_completion(MESSAGES).choices[0].message.content == faults.TEXT
        client.close()
        client.close()


def test_making_clients_starts_nothing() -> None:
    before = set(threading.enumerate())
    clients = [InferenceClient(base_url="http://127.0.0.1:9") for _ in range(100)]
    clients += [InferenceClient(model=f"m{i}") for i in range(100)]
    assert set(threading.enumerate()) <= before
    assert len(clients) == 200


# threads and loops


def test_a_hundred_threads(server: faults.FaultServer) -> None:
    with InferenceClient(base_url=base(server)) as client:

        def use(i: int) -> str:
            if i % 2:
                with client.chat_completion.stream(MESSAGES) as run_:
                    return text_of(run_)
            return client.chat_completion(MESSAGES).choices[0].message.content or ""

        with ThreadPoolExecutor(100) as threads:
            assert set(threads.map(use, range(300))) == {faults.TEXT}


def test_a_run_may_be_left_by_another_thread(server: faults.FaultServer) -> None:
    """The reader is set free too."""
    with InferenceClient(base_url=base(server, "sse_stall")) as client:
        run_ = client.chat_completion.stream(MESSAGES)
        for _ in range(3):
            next(run_)
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(next, run_, "ended")
            time.sleep(0.1)  # in which it begins to wait; it ends as well where it has not begun
            run_.close()
            outcome = waiting.exception(SOON) or waiting.result()
            assert outcome == "ended" or isinstance(outcome, Exception)
        assert server.wait_closed(1, SOON)


def test_inside_a_running_event_loop(server: faults.FaultServer) -> None:
    """It blocks that loop, as any blocking call does; it does not lock up."""

    async def notebook() -> str:
        with InferenceClient(base_url=base(server)) as client:
            chunks = client.chat_completion(MESSAGES, stream=True)
            return text_of(chunks) + (client.chat_completion(MESSAGES).choices[0].message.content or "")

    for backend, options in LOOPS.values():
        assert anyio.run(notebook, backend=backend, backend_options=options) == faults.TEXT * 2


def test_a_call_has_its_callers_context() -> None:
    mine: ContextVar[str] = ContextVar("mine", default="nobody's")
    seen = list[str]()

    def answer(_: Any) -> ScriptedResponse:
        seen.append(mine.get())
        return ScriptedResponse(b"[]")

    client = InferenceClient(base_url="http://127.0.0.1:9/v1", transport=MemoryTransport(answer))
    for name in ("one", "two"):
        mine.set(name)
        with pytest.raises(DecodeError):
            client.chat_completion(MESSAGES)
    assert seen == ["one", "two"]


def test_its_own_loop_is_refused(server: faults.FaultServer) -> None:
    """There, waiting would be for ever."""
    client = InferenceClient(base_url=base(server))

    async def inside() -> None:
        with pytest.raises(CallError, match="AsyncInferenceClient"):
            client.chat_completion(MESSAGES)

    call(inside)


def test_an_async_client_across_event_loops(server: faults.FaultServer) -> None:
    """One after another, with what the loops before have left in its pool."""
    client = AsyncInferenceClient(base_url=base(server))

    async def use() -> str:
        async with client.chat_completion.stream(MESSAGES) as run_:
            text = "".join([chunk.choices[0].delta.content or "" async for chunk in run_])
        return text + ((await client.chat_completion(MESSAGES)).choices[0].message.content or "")

    for _ in range(2):
        for backend, options in LOOPS.values():
            assert anyio.run(use, backend=backend, backend_options=options) == faults.TEXT * 2


# Ctrl-C

INTERRUPTED = """
try:
    {body}
except KeyboardInterrupt:
    print("interrupted", flush=True)
    sys.stdin.read()
    client.close()
"""
BODIES = {
    "plain": "client.chat_completion(MESSAGES)",
    "stream": "for chunk in client.chat_completion(MESSAGES, stream=True): print(chunk.id, flush=True)",
    "run": "with client.chat_completion.stream(MESSAGES) as r: r.result()",
}


@pytest.mark.parametrize(
    ("fault", "body"),
    [
        ("hang_before_headers", "plain"),
        ("hang_before_headers", "run"),
        ("sse_stall", "stream"),
        ("sse_forever", "stream"),
        ("sse_forever", "run"),
    ],
)
def test_ctrl_c_comes_out_at_once_and_closes(server: faults.FaultServer, fault: str, body: str) -> None:
    script = "client = InferenceClient(base_url=URL)\n" + INTERRUPTED.format(body=BODIES[body])
    with running(script, base(server, fault), strict=False) as process:
        assert process.stdout is not None
        assert server.wait_requests(1, SOON)
        if body == "stream":
            process.stdout.readline()
        else:
            time.sleep(0.1)  # so that it is more likely to wait than to send; either must do
        process.send_signal(signal.SIGINT)
        while (line := process.stdout.readline()) not in {"interrupted\n", ""}:
            pass
        assert line == "interrupted\n"
        assert server.wait_closed(1, SOON)  # while the process lives on
        assert server.connections[0].closed_by == "client"
        _, errors = process.communicate("", timeout=SOON)
        assert process.returncode == 0
        assert "Traceback" not in errors


RANDOM = """
client = InferenceClient(base_url=URL)
ask = lambda: client.chat_completion(MESSAGES).choices[0].message.content
first = ask()
for _ in range(20):
    try:
        print("at work", flush=True)
        while True:
            for chunk in client.chat_completion(MESSAGES, stream=True): pass
            ask()
            with client.chat_completion.stream(MESSAGES) as run: next(run)
            InferenceClient(base_url=URL).chat_completion(MESSAGES)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    assert ask() == first
client.close()
"""


def test_ctrl_c_at_random_moments(server: faults.FaultServer) -> None:
    """Twenty times: it comes out as itself, and the client works on."""
    rand = random.Random(5)
    with running(RANDOM, base(server, pause=0.002), strict=False) as process:
        assert process.stdout is not None
        for _ in range(20):
            assert process.stdout.readline() == "at work\n"
            time.sleep(rand.random() * 0.2)
            process.send_signal(signal.SIGINT)
            while not select.select([process.stdout], [], [], 10)[0]:
                process.send_signal(signal.SIGINT)  # Python drops one that meets a finalizer, and says so
            assert process.stdout.readline() == "interrupted\n"
        _, errors = process.communicate(timeout=SOON)
        errors = errors.partition("Exception ignored")[0]
        assert process.returncode == 0
        assert "Traceback" not in errors


@pytest.mark.parametrize("fault", ["hang_before_headers", "sse_forever"])
def test_a_second_ctrl_c_ends_it_too(server: faults.FaultServer, fault: str) -> None:
    """Whatever the first is doing; the process ends by the signal's exception, not by itself."""
    script = f"""
    client = InferenceClient(base_url=URL)
    print("at work", flush=True)
    {BODIES["run"]}
    """
    for pause in (0.0, 0.01):
        with running(script, base(server, fault, id=pause), strict=False) as process:
            assert server.wait_requests(1, SOON)
            process.send_signal(signal.SIGINT)
            time.sleep(pause)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=SOON)
            assert process.returncode != 0


# the interpreter's end


@pytest.mark.parametrize("held", ["run", "chunks", "nothing"])
def test_the_interpreter_ends_with_an_open_stream(server: faults.FaultServer, held: str) -> None:
    script = f"""
    client = InferenceClient(base_url=URL)
    run = client.chat_completion.stream(MESSAGES)
    chunk = next(run)
    {"del run" if held == "nothing" else ""}
    print("done", flush=True)
    """
    with running(script, base(server, "sse_forever"), strict=False) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        _, errors = process.communicate(timeout=SOON)
        assert process.returncode == 0
        assert "Traceback" not in errors
    assert server.wait_closed(1, SOON)


def test_the_interpreter_ends_with_calls_under_way(server: faults.FaultServer) -> None:
    script = """
    import threading
    client = InferenceClient(base_url=URL)
    for _ in range(5):
        threading.Thread(target=lambda: client.chat_completion(MESSAGES), daemon=True).start()
    sys.stdin.readline()
    """
    with running(script, base(server, "hang_before_headers"), strict=False) as process:
        assert server.wait_requests(5, SOON)
        process.communicate("\n", timeout=SOON)
        assert process.returncode == 0


# not closed

ASYNC = """
import anyio
client = AsyncInferenceClient(base_url=URL)
async def main():
    out = await client.chat_completion(MESSAGES)
    async with client.chat_completion.stream(MESSAGES) as run:
        async for chunk in run: pass
    stream = await client.chat_completion(MESSAGES, stream=True)
    assert len([chunk async for chunk in stream]) == 11
anyio.run(main, backend={backend!r}, backend_options={options!r})
"""
SYNC = """
client = InferenceClient(base_url=URL)
client.chat_completion(MESSAGES)
with client.chat_completion.stream(MESSAGES) as run:
    for chunk in run: pass
assert len(list(client.chat_completion(MESSAGES, stream=True))) == 11
"""


@pytest.mark.parametrize("loop", [*LOOPS, "sync"])
@pytest.mark.parametrize("more", ["", "del client\nimport gc; gc.collect()\n"])
def test_a_client_need_not_be_closed(server: faults.FaultServer, loop: str, more: str) -> None:
    backend, options = LOOPS.get(loop, ("", {}))
    simple = {name: value for name, value in options.items() if isinstance(value, bool)}
    script = SYNC if loop == "sync" else ASYNC.format(backend=backend, options=simple)
    run(script + more, base(server))


# fork

FORK = """
import os, signal
client = InferenceClient(base_url=URL)
def ask():
    return client.chat_completion(MESSAGES).choices[0].message.content
first = ask()
{before}
child = os.fork()
if child == 0:
    signal.alarm(20)
    try:
        {child}
    except BaseException as error:
        os.write(2, repr(error).encode())
        os._exit(1)
    os._exit(0)
_, status = os.waitpid(child, 0)
assert status == 0, status
{after}
assert ask() == first
client.close()
"""
FORKS = {
    "a client that was used": ("", "assert ask() == first", ""),
    "a child that ends by itself": ("", "ask(); sys.stdout.flush(); os._exit(0)", ""),
    "a stream that is open": (
        "run = client.chat_completion.stream(MESSAGES); chunk = next(run)",
        "assert ask() == first",
        "assert sum(1 for _ in run) == 10",
    ),
    "a child of a child": (
        "",
        "ask(); inner = os.fork(); inner or (ask(), os._exit(0)); assert os.waitpid(inner, 0)[1] == 0",
        "",
    ),
}


@pytest.mark.parametrize("name", FORKS)
def test_after_a_fork(server: faults.FaultServer, name: str) -> None:
    before, child, after = FORKS[name]
    done = run(FORK.format(before=before, child=child, after=after), base(server), strict=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_a_parents_stream_does_not_hang_its_child(server: faults.FaultServer) -> None:
    """It may not work there, but it ends, and the parent reads on."""
    script = FORK.format(
        before="run = client.chat_completion.stream(MESSAGES); chunk = next(run)",
        child="""
        with run:
            try:
                list(run)
            except Exception as error:
                os.write(1, type(error).__name__.encode())
        """,
        after="assert sum(1 for _ in run) == 10",
    )
    done = run(script, base(server, pause=0.2), strict=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "ForkedClientError"


def test_multiprocessing_by_fork(server: faults.FaultServer) -> None:
    script = """
    import multiprocessing
    client = InferenceClient(base_url=URL)
    def ask(_):
        return client.chat_completion(MESSAGES).choices[0].message.content
    first = ask(0)
    with multiprocessing.get_context("fork").Pool(3) as pool:
        assert pool.map_async(ask, range(9)).get(20) == [first] * 9
    assert ask(0) == first
    """
    done = run(script, base(server), strict=False)
    assert done.returncode == 0, done.stderr
