"""What somebody else's code raises inside a read: never an end of what is read, and never another's exception."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from support.drivers import Driver

from headwater import ProtocolError, tool
from headwater.testing import MemoryTransport, ScriptedResponse, SentRequest

pytestmark = [pytest.mark.anyio, pytest.mark.dealt]

ASKED = [{"role": "user", "content": "Hi"}]
CALL = {"id": "c", "type": "function", "function": {"name": "double", "arguments": '{"number": 1}'}}
Raise = Callable[[], None]


class Alarm(BaseException):
    """What a worker's time limit raises, for one."""


class Broken(ScriptedResponse):
    """A body whose reading raises."""

    def __init__(self, fails: Raise) -> None:
        super().__init__(content_type="text/event-stream")
        self._fails = fails

    async def receive(self) -> bytes:
        self._fails()
        raise ProtocolError("it has raised nothing")


def chunk(finish_reason: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


def answer(_: SentRequest) -> ScriptedResponse:
    text = json.dumps([{"number": number} for number in range(3)])
    return ScriptedResponse.events(chunk(content=text), chunk("stop"))


def call(_: SentRequest) -> ScriptedResponse:
    return ScriptedResponse.events(chunk(tool_calls=[{"index": 0, **CALL}]), chunk("tool_calls"))


@tool
def double(number: int) -> int:
    """Double a number."""
    return 2 * number


def a_transport(client: Any, fails: Raise) -> Any:
    return client(lambda _: Broken(fails)).chat_completion.stream(ASKED)


def a_hedged_transport(client: Any, fails: Raise) -> Any:
    return client(lambda _: Broken(fails), hedge_after=10).chat_completion.stream(ASKED)


def who_allows_a_tool(client: Any, fails: Raise) -> Any:
    return client(call).converse(ASKED, tools=[double], approve=lambda _: fails())


def a_types_own_check(client: Any, fails: Raise) -> Any:
    class Row(msgspec.Struct):
        number: int

        def __post_init__(self) -> None:
            if self.number == 1:
                fails()

    return client(answer).chat_completion.items(ASKED, of=Row)


PLACES = [a_transport, a_hedged_transport, who_allows_a_tool, a_types_own_check]


@pytest.mark.parametrize("kind", [StopIteration, StopAsyncIteration, Alarm])
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
async def test_it_ends_no_loop_quietly_and_comes_out(driver: Driver, place: Any, kind: type[BaseException]) -> None:
    def fails() -> None:
        raise kind("odd")

    def client(respond: Any, **options: Any) -> Any:
        return driver.client(base_url="https://model.test/v1", transport=MemoryTransport(respond), **options)

    run = place(client, fails)
    expected = Alarm if kind is Alarm else RuntimeError
    with pytest.raises(expected) as raised:
        async for _ in run:
            pass
    assert raised.value.args == ("odd",) if kind is Alarm else type(raised.value.__cause__) is kind
    await run.close()


async def test_an_observers_failure_writes_no_answer_into_the_log(
    driver: Driver, caplog: pytest.LogCaptureFixture
) -> None:
    def observer(event: object) -> None:
        raise RuntimeError("odd")

    said = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "privy"}, "finish_reason": "stop"}]}
    transport = MemoryTransport.in_turn(ScriptedResponse.json(said))
    with caplog.at_level(logging.ERROR, "headwater"):
        async with driver.client(base_url="https://model.test/v1", transport=transport, observer=observer) as client:
            await client.chat_completion(ASKED)
    assert "odd" in caplog.text and "privy" not in caplog.text
