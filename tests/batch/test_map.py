"""`client.map` on every event loop: what it reads, gives, keeps, and leaves behind."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import anyio
import pytest
from support.chat_transport import Chats, chat
from trio.testing import MockClock

from headwater import (
    AsyncInferenceClient,
    ChatCompletionOutput,
    ClosedError,
    InferenceTimeoutError,
    InvalidParameterError,
    InvalidRequestError,
    RateLimitError,
    ServerError,
    emulator,
)
from headwater.throttle import limiter

pytestmark = pytest.mark.anyio
MODEL = {"model": "m"}
SOON = 20.0
"""Seconds that something may take that should happen at once; only a failing test waits that long."""


def client_of(chats: Chats, **options: Any) -> AsyncInferenceClient:
    return AsyncInferenceClient(base_url="http://127.0.0.1:9/v1", transport=chats, **options)


async def until(condition: Any) -> None:
    with anyio.fail_after(SOON):
        while not condition():
            await anyio.sleep(0.001)


class Counted:
    """An endless iterable that counts what was read."""

    def __init__(self) -> None:
        self.read = 0

    def __iter__(self) -> Iterator[list[dict[str, str]]]:
        while True:
            self.read += 1
            yield chat(self.read - 1)


# what comes out


@pytest.mark.parametrize("ordered", [False, True])
async def test_one_result_for_each_input(ordered: bool) -> None:
    client = client_of(Chats())
    inputs = [chat(i) for i in range(200)]
    async with client.map(client.chat_completion, inputs, concurrency=7, ordered=ordered, parameters=MODEL) as results:
        found = [result async for result in results]
    assert sorted(r.index for r in found) == list(range(200))
    for r in found:
        assert r.input is inputs[r.index]
        answer = r.result()
        assert isinstance(answer, ChatCompletionOutput)
        assert answer.choices[0].message.content == str(r.index)
        assert r.error is None
        assert r.provider == "url"
        assert len(r.attempts) == 1
        assert r.usage.total_tokens == 3
        assert r.timings.total is not None
        assert r.started > 1e9
    if ordered:
        assert [r.index for r in found] == list(range(200))
    stats = results.stats
    assert (stats.done, stats.failed, stats.in_flight, stats.requests, stats.tokens) == (200, 0, 0, 200, 600)


async def test_results_come_as_they_are_done_and_in_order_when_asked() -> None:
    gate = anyio.Event()

    async def first_is_last(question: str) -> Any:
        if question == "0":
            await gate.wait()
        return 200, {}

    for ordered in (False, True):
        gate = anyio.Event()
        client = client_of(Chats(first_is_last))
        inputs = [chat(i) for i in range(10)]
        async with client.map(client.chat_completion, inputs, concurrency=3, ordered=ordered, parameters=MODEL) as run:
            if ordered:
                await until(lambda run=run: run.stats.done == 9)
                gate.set()
            found = []
            async for result in run:
                found.append(result.index)
                if len(found) == 9:
                    gate.set()
        assert found == (list(range(10)) if ordered else [*range(1, 10), 0])


async def test_inputs_are_arguments() -> None:
    client = client_of(Chats())
    inputs: list[Any] = [
        chat("positional"),
        {"messages": chat("by name"), "max_tokens": 3},
        {"messages": chat("wrong"), "no_such_parameter": 1},
        17,
    ]
    async with client.map(client.chat_completion, inputs, ordered=True, parameters=MODEL) as results:
        found = [r async for r in results]
    assert [r.value and r.value.choices[0].message.content for r in found] == ["positional", "by name", None, None]
    for r in found[2:]:
        assert isinstance(r.error, InvalidParameterError)
        assert r.attempts == ()
        with pytest.raises(InvalidParameterError):
            r.result()


async def test_each_item_is_looked_at_as_a_call_of_its_own_would_be() -> None:
    client = client_of(Chats())
    inputs: list[Any] = [
        [{"role": 7}],
        chat("first"),
        [{"role": 7, "content": "wrong"}],
        [{"role": "user", "content": ("an", "iterable")}],
        [],
        "no messages",
        chat("last"),
    ]
    async with client.map(client.chat_completion, inputs, concurrency=1, parameters=MODEL) as results:
        found = {r.index: r async for r in results}
    for index, item in enumerate(inputs):
        error, content = found[index].error, None
        try:
            content = (await client.chat_completion(item, model="m")).choices[0].message.content
        except InvalidParameterError as alone:
            assert (type(error), str(error)) == (type(alone), str(alone))
        else:
            assert error is None
            assert found[index].result().choices[0].message.content == content
    assert [found[i].error is None for i in (1, 6)] == [True, True]


async def test_what_is_set_at_the_client_meanwhile_holds_for_items_that_begin_later() -> None:
    class Models(Chats):
        async def send(self, outgoing: Any) -> Any:
            models.append(json.loads(bytes(outgoing.body))["model"])
            return await super().send(outgoing)

    async def second_sets(question: str) -> Any:
        if question == "1":
            client.model = "new"
        return 200, {}

    models: list[str] = []
    client = client_of(Models(second_sets), model="old")
    async with client.map(client.chat_completion, map(chat, range(4)), concurrency=1) as results:
        assert [r.error async for r in results] == [None] * 4
    assert models == ["old", "old", "new", "new"]


async def test_everything_that_can_be_called() -> None:
    with emulator.running() as url:
        client = AsyncInferenceClient(base_url=url)

        async def ask(question: Any) -> str | None:
            return (await client.chat_completion(question, model="m")).choices[0].message.content

        calls: list[Any] = [
            client.chat_completion,
            client.chat_completion.stream,
            client.chat.completions.create,
            partial(client.chat_completion, max_tokens=3),
        ]
        for call in calls:
            async with client.map(call, [chat("hi")] * 3, parameters=MODEL) as results:
                found = [r async for r in results]
            assert [type(r.value) for r in found] == [ChatCompletionOutput] * 3
            if call == calls[1]:
                assert all(r.timings.first_event is not None for r in found)
        async with client.map(ask, [chat("hi")] * 3) as results:
            assert all(isinstance(r.result(), str) for r in [r async for r in results])
        async with client.map(client.embeddings.create, [{"input": "a"}, {"input": "b"}], parameters=MODEL) as vectors:
            assert len([r.result().data async for r in vectors]) == 2
        await client.close()


# errors


async def test_one_failure_stops_nobody_else() -> None:
    async def third_is_wrong(question: str) -> Any:
        return (400 if question == "3" else 200), {}

    client = client_of(Chats(third_is_wrong))
    async with client.map(client.chat_completion, map(chat, range(10)), concurrency=2, parameters=MODEL) as results:
        found = {r.index: r async for r in results}
    assert isinstance(found[3].error, InvalidRequestError)
    assert [i for i, r in found.items() if r.error is not None] == [3]
    assert results.stats.failed == 1


@pytest.mark.parametrize("ordered", [False, True])
async def test_the_first_failure_ends_it_when_asked(ordered: bool) -> None:
    async def third_is_wrong(question: str) -> Any:
        if question == "3":
            return 400, {}
        if int(question) > 3:
            await anyio.sleep_forever()
        return 200, {}

    chats = Chats(third_is_wrong)
    client = client_of(chats)
    inputs = Counted()
    call = client.map(
        client.chat_completion, inputs, concurrency=4, on_error="raise", ordered=ordered, parameters=MODEL
    )
    found = []
    with pytest.raises(InvalidRequestError):
        async with call as results:
            async for r in results:
                found.append(r.index)
    assert found == [0, 1, 2]
    assert chats.open == 0
    assert inputs.read < 20


async def test_a_failure_of_the_inputs_comes_out_of_the_loop() -> None:
    def broken() -> Iterator[Any]:
        yield chat(0)
        raise RuntimeError("no more")

    async def broken_later() -> AsyncIterator[Any]:
        for item in broken():
            yield item

    for inputs in (broken(), broken_later()):
        client = client_of(Chats())
        async with client.map(client.chat_completion, inputs, parameters=MODEL) as results:
            with pytest.raises(RuntimeError, match="no more"):
                async for _ in results:
                    pass


@pytest.mark.parametrize(
    "wrong",
    [
        {"concurrency": 0},
        {"concurrency": True},
        {"concurrency": "many"},
        {"requests_per_minute": 0},
        {"tokens_per_minute": float("nan")},
        {"on_error": "ignore"},
        {"timeout": -1},
        {"inputs": 5},
        {"inputs": "text"},
        {"call": 5},
    ],
    ids=str,
)
async def test_wrong_arguments_are_refused_at_once(wrong: dict[str, Any]) -> None:
    client = client_of(Chats())
    arguments = {"call": client.chat_completion, "inputs": [], **wrong}
    with pytest.raises(InvalidParameterError):
        client.map(**arguments)


async def test_a_map_that_is_not_entered_or_was_left_has_no_results() -> None:
    client = client_of(Chats())
    results = client.map(client.chat_completion, [chat(0)], parameters=MODEL)
    with pytest.raises(ClosedError):
        await anext(results)
    async with results:
        pass
    with pytest.raises(ClosedError):
        await anext(results)


# what is read and kept


@pytest.mark.parametrize("ordered", [False, True])
async def test_inputs_are_read_as_fast_as_work_is_done(ordered: bool) -> None:
    client = client_of(Chats())
    inputs = Counted()
    async with client.map(client.chat_completion, inputs, concurrency=8, ordered=ordered, parameters=MODEL) as results:
        for count in range(1, 300):
            await anext(results)
            assert inputs.read - count <= (4 if ordered else 2) * 8 + 17


async def test_nobody_reads_ahead_of_slow_work() -> None:
    async def never(question: str) -> Any:
        await anyio.sleep_forever()

    chats = Chats(never)
    client = client_of(chats)
    inputs = Counted()
    async with client.map(client.chat_completion, inputs, concurrency=5, parameters=MODEL) as results:
        await until(lambda: chats.open == 5)
        for _ in range(50):
            await anyio.lowlevel.checkpoint()
        assert inputs.read == 5
        assert results.stats.in_flight == 5
    assert chats.cancelled == 5


async def test_memory_is_bounded_by_the_concurrency() -> None:
    """Of ten thousand inputs, few are alive at a time."""
    total = 10_000

    class Input(dict[str, Any]):
        pass

    alive: weakref.WeakSet[Input] = weakref.WeakSet()
    Input.__hash__ = object.__hash__  # type: ignore[assignment]

    def inputs() -> Iterator[Input]:
        for _ in range(total):
            item = Input(n=1)
            alive.add(item)
            yield item

    async def double(n: int) -> int:
        await anyio.lowlevel.checkpoint()
        return 2 * n

    client = client_of(Chats())
    most = count = 0
    async with client.map(double, inputs(), concurrency=20) as results:
        async for r in results:
            count += 1
            if count % 1000 == 0:
                del r
                most = max(most, len(alive))
    gc.collect()
    assert count == total
    assert most <= 2 * 20 + 18


async def test_an_async_iterable_that_waits_holds_nobody_up() -> None:
    more, ask = anyio.create_memory_object_stream[Any](0)
    client = client_of(Chats())
    async with ask, client.map(client.chat_completion, ask, concurrency=4, parameters=MODEL) as results:
        for i in range(5):
            await more.send(chat(i))
            assert (await anext(results)).index == i
        await more.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(results)


# how it is left


@pytest.mark.parametrize("how", ["break", "exception", "cancelled", "timeout"])
async def test_leaving_early_cancels_what_is_in_flight(how: str) -> None:
    async def first_alone(question: str) -> Any:
        if question != "0":
            await anyio.sleep_forever()
        return 200, {}

    chats = Chats(first_alone)
    client = client_of(chats)

    async def run(scope: anyio.CancelScope) -> None:
        async with client.map(client.chat_completion, Counted(), concurrency=6, parameters=MODEL) as results:
            async for _ in results:
                await until(lambda: chats.open == 6)
                if how == "break":
                    break
                if how == "exception":
                    raise KeyError("the caller's own")
                if how == "cancelled":
                    scope.cancel()
                else:
                    scope.deadline = anyio.current_time() + 0.01
                await anyio.sleep_forever()

    with anyio.CancelScope() as scope:
        if how == "exception":
            with pytest.raises(KeyError, match="own"):
                await run(scope)
        else:
            await run(scope)
    assert scope.cancelled_caught == (how in ("cancelled", "timeout"))
    assert (chats.open, chats.cancelled) == (0, 6)


async def test_the_far_side_sees_it() -> None:
    with emulator.running() as server:
        client = AsyncInferenceClient(base_url=server, headers={"x-emulator-gate": "never"})
        async with client.map(client.chat_completion, Counted(), concurrency=5, parameters=MODEL):
            await until(lambda: len(server.requests) == 5)
        await anyio.to_thread.run_sync(partial(server.disconnected, count=5))
        server.open_gate("never")
        await client.close()


async def test_draining_delivers_what_is_in_flight() -> None:
    gate = anyio.Event()

    async def wait(question: str) -> Any:
        await gate.wait()
        return 200, {}

    chats = Chats(wait)
    client = client_of(chats)
    inputs = Counted()
    async with client.map(client.chat_completion, inputs, concurrency=5, parameters=MODEL) as results:
        await until(lambda: chats.open == 5)
        results.stop_taking()
        gate.set()
        assert sorted([r.index async for r in results]) == [0, 1, 2, 3, 4]
    assert inputs.read == 5


# time


def in_virtual_time(body: Callable[[], Awaitable[None]]) -> None:
    """Where no machine is too busy for a limit."""
    anyio.run(body, backend="trio", backend_options={"clock": MockClock(autojump_threshold=0)})


def test_each_item_has_its_own_time_limit() -> None:
    async def slow(question: str) -> Any:
        if question == "slow":
            await anyio.sleep_forever()
        return 200, {}

    async def body() -> None:
        client = client_of(Chats(slow))
        chats = [chat("slow"), chat("quick")]
        async with client.map(client.chat_completion, chats, ordered=True, timeout=20, parameters=MODEL) as results:
            found = [r async for r in results]
        assert isinstance(found[0].error, InferenceTimeoutError)
        assert found[1].error is None

    in_virtual_time(body)


def test_waiting_for_ones_turn_is_not_on_the_items_clock() -> None:
    async def body() -> None:
        client = client_of(Chats())
        limits: Any = {"requests_per_minute": 6, "timeout": 30}
        async with client.map(client.chat_completion, map(chat, range(6)), parameters=MODEL, **limits) as results:
            began = anyio.current_time()
            found = [r async for r in results]
        assert all(r.error is None for r in found)
        assert anyio.current_time() - began >= 45

    in_virtual_time(body)


async def test_no_more_at_once_than_asked_for() -> None:
    chats = Chats()
    client = client_of(chats)
    async with client.map(client.chat_completion, map(chat, range(300)), concurrency=9, parameters=MODEL) as results:
        async for _ in results:
            pass
    assert chats.most == 9


@pytest.mark.parametrize("concurrency", [32, 64])
async def test_as_many_at_once_as_asked_for_though_each_is_quick(concurrency: int) -> None:
    """Calls that take four turns of the event loop: were one begun in each turn, half as many would be at once."""
    now = most = 0

    async def quick(_: int) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        for _turn in range(4):
            await anyio.lowlevel.checkpoint()
        now -= 1

    async with AsyncInferenceClient(api_key="k").map(quick, range(2 * concurrency), concurrency=concurrency) as results:
        assert len([result async for result in results]) == 2 * concurrency
    assert most == concurrency


async def test_an_input_that_fails_where_another_has_ended_ends_the_map() -> None:
    """The inputs fail in the middle, when each is begun in the place of one that is done; what is done comes out."""

    def inputs() -> Iterator[list[dict[str, str]]]:
        for number in range(40):
            yield chat(number)
        raise KeyError("the disk is gone")

    client, found = client_of(Chats()), 0
    with pytest.raises(KeyError, match="the disk"):
        async with client.map(client.chat_completion, inputs(), concurrency=4, parameters=MODEL) as results:
            async for _ in results:
                found += 1
    assert results.stats.in_flight == 0
    assert 30 < found <= 40


async def test_the_level_finds_a_hidden_limit() -> None:
    """Twelve at once; a refusal is tried again by the engine, and nothing is lost."""
    refused = 0

    async def limited(question: str) -> Any:
        nonlocal refused
        if chats.open > 12:
            refused += 1
            return 429, {}
        await anyio.sleep(0.005)
        return 200, {}

    chats = Chats(limited)
    client = client_of(chats)
    async with client.map(client.chat_completion, map(chat, range(1500)), parameters=MODEL) as results:
        found = [r async for r in results]
    assert len(found) == 1500
    assert not [r.error for r in found if r.error is not None]
    assert refused < 0.03 * 1500
    assert chats.most > 12
    assert results.stats.limit <= 14


async def test_a_refusal_that_names_a_wait_holds_all_back() -> None:
    """Refused alone: nothing else goes for as long as the provider says."""
    times: list[float] = []

    async def once(question: str) -> Any:
        times.append(anyio.current_time())
        return (429, {"retry-after-ms": "300"}) if len(times) == 1 else (200, {})

    chats = Chats(once)
    client = client_of(chats)
    async with client.map(client.chat_completion, map(chat, range(5)), concurrency=1, parameters=MODEL) as results:
        found = [r async for r in results]
    assert all(r.error is None for r in found)
    assert times[1] - times[0] >= 0.3


async def test_the_retry_policy_holds_inside_each_item() -> None:
    async def down(question: str) -> Any:
        return 500, {}

    chats = Chats(down)
    client = client_of(chats, retries=1)
    async with client.map(client.chat_completion, [chat(0)], parameters=MODEL) as results:
        (only,) = [r async for r in results]
    assert isinstance(only.error, ServerError)
    assert len(only.attempts) == len(chats.asked) == 2


async def test_an_item_outlasts_more_refusals_than_it_has_tries() -> None:
    """Refusals that hold all calls back cost none of an item's own tries; other failures do."""

    async def refusing(question: str) -> Any:
        return (429, {"retry-after-ms": "10"}) if len(chats.asked) <= 7 else (200, {})

    chats = Chats(refusing)
    client = client_of(chats, retries=2)
    async with client.map(client.chat_completion, [chat(0)], parameters=MODEL) as results:
        (only,) = [r async for r in results]
    assert only.error is None
    assert len(only.attempts) == 8


async def test_without_retries_a_refusal_is_the_items_error() -> None:
    async def refusing(question: str) -> Any:
        return 429, {"retry-after-ms": "10"}

    chats = Chats(refusing)
    client = client_of(chats, retries=0)
    async with client.map(client.chat_completion, [chat(0)], parameters=MODEL) as results:
        (only,) = [r async for r in results]
    assert isinstance(only.error, RateLimitError)
    assert len(chats.asked) == 1


@pytest.mark.parametrize("headers", [{"retry-after": "0.01"}, {}], ids=["told when", "silent"])
async def test_refused_for_ever_an_item_fails_at_last(monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]) -> None:
    """Refusals that hold all back are no tries of the item's own, until the provider is given up."""
    monkeypatch.setattr(limiter, "GIVE_UP_NEVER_WORKED_SECONDS", 0.2)

    async def down(question: str) -> Any:
        return 429, headers

    client = client_of(Chats(down))
    async with client.map(client.chat_completion, [chat(0)], parameters=MODEL) as results:
        (only,) = [r async for r in results]
    assert isinstance(only.error, RateLimitError)
    assert len(only.attempts) > 3
