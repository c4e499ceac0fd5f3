"""`map` of the blocking client: the same, its inputs read in the caller's thread."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from support import python_subprocess
from support.chat_transport import Chats, chat

from headwater import (
    CallError,
    ChatCompletionOutput,
    InferenceClient,
    InvalidParameterError,
    InvalidRequestError,
    emulator,
)

MODEL = {"model": "m"}


def client_of(chats: Chats, **options: Any) -> InferenceClient:
    return InferenceClient(base_url="http://127.0.0.1:9/v1", transport=chats, **options)


@pytest.mark.parametrize("ordered", [False, True])
def test_one_result_for_each_input(ordered: bool) -> None:
    client = client_of(Chats())
    with client.map(
        client.chat_completion, map(chat, range(500)), concurrency=9, ordered=ordered, parameters=MODEL
    ) as results:
        found = [(r.index, r.result().choices[0].message.content) for r in results]
    assert sorted(found) == [(i, str(i)) for i in range(500)]
    if ordered:
        assert found == sorted(found)
    assert results.stats.done == 500


def test_streams_are_folded() -> None:
    with emulator.running() as url:
        client = InferenceClient(base_url=url)
        with client.map(client.chat_completion.stream, [chat("hi")] * 3, parameters=MODEL) as results:
            found = list(results)
        assert all(isinstance(r.value, ChatCompletionOutput) and r.timings.first_event for r in found)
        client.close()


def test_inputs_are_read_in_the_callers_thread_and_not_far_ahead() -> None:
    client = client_of(Chats())
    threads, read = set(), 0

    def inputs() -> Iterator[Any]:
        nonlocal read
        while True:
            threads.add(threading.get_ident())
            read += 1
            yield chat(read)

    with client.map(client.chat_completion, inputs(), concurrency=8, parameters=MODEL) as results:
        for count in range(1, 400):
            next(results)
            assert read - count <= 4 * 8 + 2 * 16
    assert threads == {threading.get_ident()}


def test_inputs_may_block_until_a_result_was_read() -> None:
    """Not for more than are in flight: they are read while the caller waits."""
    client = client_of(Chats())
    seen: list[int] = []

    def inputs() -> Iterator[Any]:
        for i in range(5):
            yield chat(i)
        assert seen

    with client.map(client.chat_completion, inputs(), concurrency=1, parameters=MODEL) as results:
        for r in results:
            seen.append(r.index)
    assert seen == [0, 1, 2, 3, 4]


def test_errors_come_out() -> None:
    async def wrong(question: str) -> Any:
        return (400 if question == "2" else 200), {}

    def broken() -> Iterator[Any]:
        yield chat(0)
        raise RuntimeError("no more")

    client = client_of(Chats(wrong))
    with (
        pytest.raises(InvalidRequestError),
        client.map(
            client.chat_completion, map(chat, range(5)), concurrency=1, on_error="raise", parameters=MODEL
        ) as results,
    ):
        list(results)
    found = []
    with (
        pytest.raises(RuntimeError, match="no more"),
        client.map(client.chat_completion, broken(), parameters=MODEL) as results,
    ):
        for r in results:
            found.append(r.index)
    assert found == [0]
    with pytest.raises(InvalidParameterError):
        client.map(len, [])


@pytest.mark.parametrize("how", ["break", "exception"])
def test_leaving_early_cancels_what_is_in_flight(how: str) -> None:
    async def first_alone(question: str) -> Any:
        if question != "0":
            await anyio.sleep_forever()
        return 200, {}

    chats = Chats(first_alone)
    client = client_of(chats)

    def run() -> None:
        with client.map(client.chat_completion, map(chat, range(50)), concurrency=6, parameters=MODEL) as results:
            for _ in results:
                if how == "break":
                    break
                raise KeyError("the caller's own")

    if how == "exception":
        with pytest.raises(KeyError):
            run()
    else:
        run()
    assert chats.open == 0
    assert chats.cancelled == len(chats.asked) - 1


def test_draining() -> None:
    client = client_of(Chats())
    with client.map(client.chat_completion, map(chat, range(10**6)), concurrency=4, parameters=MODEL) as results:
        next(results)
        results.stop_taking()
        rest = list(results)
    assert len(rest) < 100


def test_threads_have_maps_of_their_own_on_one_client() -> None:
    client = client_of(Chats())
    found: dict[int, int] = {}

    def run(number: int) -> None:
        with client.map(client.chat_completion, map(chat, range(100)), concurrency=5, parameters=MODEL) as results:
            found[number] = sum(int(r.result().choices[0].message.content or "") for r in results)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == dict.fromkeys(range(8), sum(range(100)))


def test_two_threads_do_not_read_one_map() -> None:
    async def never(question: str) -> Any:
        await anyio.sleep_forever()

    client = client_of(Chats(never))
    failures: list[BaseException] = []
    reading = threading.Event()

    def inputs() -> Iterator[Any]:
        yield chat(0)
        reading.set()
        done.wait(30)

    def read(results: Any) -> None:
        try:
            next(results)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test's thread sees it
            failures.append(error)

    done = threading.Event()
    with client.map(client.chat_completion, inputs(), concurrency=2, parameters=MODEL) as results:
        thread = threading.Thread(target=read, args=(results,))
        thread.start()
        assert reading.wait(30)
        with pytest.raises(CallError):
            next(results)
        results.stop_taking()
        done.set()
        thread.join(0.1)
    thread.join(30)
    assert not thread.is_alive()


CTRL_C = """
client = InferenceClient(base_url=URL, headers={"x-emulator-gate": "never"})
try:
    with client.map(client.chat_completion, [MESSAGES] * 100, concurrency=5, parameters={"model": "m"}) as results:
        for r in results:
            pass
except KeyboardInterrupt:
    print("interrupted", results.stats.in_flight)
"""


def test_ctrl_c_leaves_it() -> None:
    with emulator.running() as server, python_subprocess.running(CTRL_C, str(server)) as process:
        server.wait_for(lambda: len(server.requests) == 5, python_subprocess.PATIENCE)
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=python_subprocess.PATIENCE)
        assert (process.returncode, errors) == (0, "")
        assert said.split() == ["interrupted", "0"]
        server.disconnected(count=5)
        server.open_gate("never")
