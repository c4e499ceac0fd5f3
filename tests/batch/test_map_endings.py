"""What an item's function, an input or a transport may raise beside errors: no map hangs, ends or loses an item in
silence."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio
from support.chat_transport import Chats, chat

from headwater import AsyncInferenceClient, HeadwaterError, InferenceClient
from headwater.batch import run_batch

pytestmark = pytest.mark.anyio
MODEL = {"model": "m"}
URL = "http://127.0.0.1:9/v1"
SOON = 30.0
"""Seconds that something may take that should happen at once; only a failing test waits that long."""


class OddError(BaseException):
    """No `Exception`."""


async def cancelled_elsewhere() -> None:
    """What awaiting somebody's cancelled task raises."""
    if anyio.get_cancelled_exc_class() is not trio.Cancelled:
        other = asyncio.ensure_future(asyncio.sleep(50))
        await asyncio.sleep(0)
        other.cancel()
        await other
    kept: list[BaseException] = []
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled as error:
            kept.append(error)
            raise
    raise kept[0]


async def read(results: Any) -> list[Any]:
    with anyio.fail_after(SOON):
        return [result async for result in results]


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("concurrency", [1, 3, 64])
async def test_an_item_that_is_cancelled_elsewhere_has_failed(ordered: bool, concurrency: int) -> None:
    async def function(number: int) -> int:
        await anyio.lowlevel.checkpoint()
        if number % 5 == 2:
            await cancelled_elsewhere()
        return number

    client = AsyncInferenceClient(base_url=URL)
    async with client.map(function, range(40), ordered=ordered, concurrency=concurrency) as results:
        found = {result.index: result for result in await read(results)}
    assert sorted(found) == list(range(40))
    for number, result in found.items():
        if number % 5 == 2:
            assert isinstance(result.error, HeadwaterError)
            with pytest.raises(HeadwaterError, match="cancelled"):
                result.result()
        else:
            assert result.result() == number
    assert (results.stats.failed, results.stats.in_flight) == (8, 0)


async def test_the_first_of_them_ends_it_when_asked() -> None:
    async def function(number: int) -> int:
        if number == 3:
            await cancelled_elsewhere()
        return number

    client = AsyncInferenceClient(base_url=URL)
    with pytest.raises(HeadwaterError, match="cancelled"):
        async with client.map(function, range(40), on_error="raise", concurrency=1) as results:
            await read(results)


async def test_a_cancellation_of_asyncios_is_an_items_own_on_any_loop() -> None:
    """On trio it is nobody's: a future of another thread's loop may bring it."""

    async def function(number: int) -> int:
        if number == 1:
            raise asyncio.CancelledError
        return number

    async with AsyncInferenceClient(base_url=URL).map(function, range(3), ordered=True) as results:
        found = await read(results)
    assert [type(result.error) for result in found] == [type(None), HeadwaterError, type(None)]


async def test_a_transport_whose_answer_is_cancelled_elsewhere() -> None:
    async def third(question: str) -> Any:
        if question == "3":
            await cancelled_elsewhere()
        return 200, {}

    client = AsyncInferenceClient(base_url=URL, transport=Chats(third))
    async with client.map(client.chat_completion, map(chat, range(9)), concurrency=2, parameters=MODEL) as results:
        found = {result.index: result for result in await read(results)}
    assert sorted(found) == list(range(9))
    assert [index for index, result in found.items() if result.error] == [3]
    assert isinstance(found[3].error, HeadwaterError)


async def test_a_record_of_a_batch_that_is_cancelled_elsewhere(tmp_path: Path) -> None:
    async def third(question: str) -> Any:
        if question == "3":
            await cancelled_elsewhere()
        return 200, {}

    lines = tmp_path / "in.jsonl"
    record = {"task": "chat-completion"}
    lines.write_text("".join(json.dumps({**record, "custom_id": str(i), "inputs": str(i)}) + "\n" for i in range(9)))
    client = AsyncInferenceClient(base_url=URL, transport=Chats(third))
    with anyio.fail_after(SOON):
        summary = await run_batch(client, lines, tmp_path / "out.jsonl", model="m", concurrency=2)
    assert (summary.done, summary.failed, summary.left) == (8, 1, 0)


# what is no failure of one item


def ends(error: BaseException) -> Callable[[int], Any]:
    async def function(number: int) -> int:
        await anyio.lowlevel.checkpoint()
        if number == 5:
            raise error
        return number

    return function


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), OddError("odd")], ids=repr)
@pytest.mark.parametrize("concurrency", [1, 4])
async def test_what_ends_a_worker_comes_out(error: BaseException, concurrency: int) -> None:
    client = AsyncInferenceClient(base_url=URL)
    with pytest.raises(type(error)):
        async with client.map(ends(error), range(40), concurrency=concurrency) as results:
            await read(results)


async def test_a_generators_exit_ends_a_map_with_an_error() -> None:
    client = AsyncInferenceClient(base_url=URL)
    with pytest.raises(RuntimeError, match="GeneratorExit"):
        async with client.map(ends(GeneratorExit()), range(40), concurrency=2) as results:
            await read(results)


@pytest.mark.parametrize("error", [StopIteration(), StopAsyncIteration()], ids=repr)
async def test_an_items_own_stop_is_its_failure(error: Exception) -> None:
    client = AsyncInferenceClient(base_url=URL)
    async with client.map(ends(error), range(9), concurrency=2) as results:
        found = await read(results)
    assert [result.index for result in found if result.error] == [5]
    assert len(found) == 9


class Stopping:
    """Inputs of both kinds, the third of which raises this."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.given = 0

    def give(self) -> int:
        if self.given == 3:
            raise self.error
        self.given += 1
        return self.given


class Plain(Stopping):
    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        return self.give()


class Awaited(Stopping):
    def __aiter__(self) -> AsyncIterator[int]:
        return self

    async def __anext__(self) -> int:
        await anyio.lowlevel.checkpoint()
        return self.give()


class Unawaited(Stopping):
    """One whose `__anext__` is no coroutine function, so that nobody turns its StopIteration into an error."""

    def __aiter__(self) -> Any:
        return self

    def __anext__(self) -> Any:
        value = self.give()

        async def given() -> int:
            return value

        return given()


async def echo(number: int) -> int:
    return number


@pytest.mark.parametrize(
    "inputs",
    [
        Plain(StopAsyncIteration()),
        Plain(GeneratorExit()),
        Awaited(StopIteration()),
        Awaited(GeneratorExit()),
        Unawaited(StopIteration()),
        Unawaited(GeneratorExit()),
    ],
    ids=lambda inputs: f"{type(inputs).__name__} {type(inputs.error).__name__}",
)
@pytest.mark.parametrize("ordered", [False, True])
async def test_inputs_that_stop_wrongly_are_an_error(inputs: Stopping, ordered: bool) -> None:
    inputs.given = 0
    client = AsyncInferenceClient(base_url=URL)
    with pytest.raises(RuntimeError):
        async with client.map(echo, inputs, ordered=ordered, concurrency=2) as results:  # type: ignore[arg-type]
            await read(results)


async def test_async_inputs_that_are_cancelled_elsewhere_are_an_error() -> None:
    async def inputs() -> AsyncIterator[int]:
        yield 0
        yield 1
        await cancelled_elsewhere()
        yield 2

    client = AsyncInferenceClient(base_url=URL)
    with pytest.raises(HeadwaterError, match="cancelled"):
        async with client.map(echo, inputs(), concurrency=2) as results:
            await read(results)


@pytest.mark.parametrize("error", [SystemExit(3), OddError()], ids=repr)
@pytest.mark.parametrize("kind", [Plain, Awaited])
async def test_inputs_that_end_the_program_come_out(kind: Any, error: BaseException) -> None:
    client = AsyncInferenceClient(base_url=URL)
    with pytest.raises(type(error)):
        async with client.map(echo, kind(error), concurrency=2) as results:
            await read(results)


async def test_leaving_is_still_leaving() -> None:
    """The map's own cancellation makes no failures."""
    began = 0

    async def function(number: int) -> None:
        nonlocal began
        began += 1
        await anyio.sleep_forever()

    client = AsyncInferenceClient(base_url=URL)

    async def use() -> None:
        async with results:
            await anext(results)

    results = client.map(function, range(9), concurrency=3)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(use)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert (began, results.stats.done, results.stats.in_flight) == (3, 0, 0)


# readers


@pytest.mark.parametrize("readers", [2, 5])
async def test_several_readers_share_the_results(readers: int) -> None:
    async def function(number: int) -> int:
        await anyio.sleep(0.001)
        return number

    client = AsyncInferenceClient(base_url=URL)
    found: list[int] = []

    async def take(results: Any) -> None:
        async for result in results:
            found.append(result.index)

    with anyio.fail_after(SOON):
        async with client.map(function, range(50), concurrency=3) as results, anyio.create_task_group() as group:
            for _ in range(readers):
                group.start_soon(take, results)
    assert sorted(found) == list(range(50))


# blocking


def test_blocking_inputs_that_stop_wrongly_are_an_error() -> None:
    client = InferenceClient(base_url=URL, transport=Chats())
    inputs = map(chat, Plain(StopAsyncIteration()))
    with client.map(client.chat_completion, inputs, parameters=MODEL) as results:
        found = []
        with pytest.raises(RuntimeError):
            for result in results:
                found.append(result.index)
        assert found == [0, 1, 2]
        with pytest.raises(RuntimeError):  # and again
            next(results)


def test_blocking_inputs_that_are_interrupted_are_no_end() -> None:
    client = InferenceClient(base_url=URL, transport=Chats())

    def inputs() -> Iterator[Any]:
        yield chat(0)
        yield chat(1)
        raise KeyboardInterrupt

    with client.map(client.chat_completion, inputs(), concurrency=1, parameters=MODEL) as results:
        found = []
        with pytest.raises(KeyboardInterrupt):
            for result in results:
                found.append(result.index)
        with pytest.raises(HeadwaterError, match="interrupted"):
            for result in results:
                found.append(result.index)
        assert found == [0, 1]


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), OddError()], ids=repr)
def test_what_a_transport_raises_ends_no_loop(error: BaseException) -> None:
    async def third(question: str) -> Any:
        if question == "3":
            raise error
        return 200, {}

    client = InferenceClient(base_url=URL, transport=Chats(third))
    with pytest.raises(type(error)):
        client.chat_completion(chat(3), model="m")
    assert client.chat_completion(chat(4), model="m").choices[0].message.content == "4"
    with (
        pytest.raises(type(error)),
        client.map(client.chat_completion, map(chat, range(9)), concurrency=1, parameters=MODEL) as results,
    ):
        list(results)


def test_a_blocking_call_that_is_cancelled_elsewhere_fails() -> None:
    async def third(question: str) -> Any:
        if question == "3":
            await cancelled_elsewhere()
        return 200, {}

    client = InferenceClient(base_url=URL, transport=Chats(third))
    with pytest.raises(HeadwaterError, match="cancelled"):
        client.chat_completion(chat(3), model="m")
    with client.map(client.chat_completion, map(chat, range(9)), concurrency=2, parameters=MODEL) as results:
        found = {result.index: result for result in results}
    assert sorted(found) == list(range(9))
    assert [index for index, result in found.items() if result.error] == [3]
