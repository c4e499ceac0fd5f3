"""The transport without a network: what a caller's own test can say with it, and what it tells afterwards."""

from __future__ import annotations

import doctest
import json
from typing import Any

import pytest
from support.drivers import Driver

import headwater.testing
from headwater import ConnectError, ServerError, Timeout
from headwater.testing import EVENT_STREAM, FOREVER, MemoryTransport, ScriptedResponse, SentRequest

pytestmark = pytest.mark.anyio

MESSAGES = [{"role": "user", "content": "hi"}]
KEY = "key-0123456789abcdef"
ANSWER = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}]}


def chunk(text: str, finish_reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish_reason}]}


def made(driver: Driver, transport: MemoryTransport, **options: Any) -> Any:
    return driver.client(base_url="https://model.test/v1", api_key=KEY, transport=transport, **options)


def test_its_example_runs() -> None:
    failed, attempted = doctest.testmod(headwater.testing)
    assert attempted and not failed


async def test_a_whole_answer_and_what_was_sent(driver: Driver) -> None:
    transport = MemoryTransport.in_turn(ScriptedResponse.json(ANSWER, headers={"X-Request-ID": "seven"}))
    async with made(driver, transport) as client:
        answer = await client.chat_completion(MESSAGES, model="m")
    assert answer.choices[0].message.content == "hello"
    [request] = transport.requests
    assert (request.method, request.url) == ("POST", "https://model.test/v1/chat/completions")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert (request.json()["model"], request.json()["messages"]) == ("m", MESSAGES)
    assert KEY not in repr(request)
    assert transport.responses[0].whole
    assert transport.unfinished() == []


async def test_a_stream_of_events(driver: Driver) -> None:
    transport = MemoryTransport(lambda _: ScriptedResponse.events(chunk("a"), chunk("b", "stop")))
    async with made(driver, transport) as client, client.chat_completion.stream(MESSAGES) as run:
        texts = [event.choices[0].delta.content async for event in run if event.choices]
    assert texts == ["a", "b"]
    assert transport.requests[0].json()["stream"] is True


async def test_failures_are_retried_as_the_networks(driver: Driver) -> None:
    answers: list[ScriptedResponse | BaseException] = [
        ConnectError("refused"),
        ScriptedResponse.json({"error": "no"}, status=503),
        ScriptedResponse.json(ANSWER),
    ]
    transport = MemoryTransport.in_turn(*answers)
    async with made(driver, transport) as client:
        assert (await client.chat_completion(MESSAGES)).choices[0].message.content == "hello"
        assert len(transport.requests) == 3
        again = MemoryTransport(lambda _: ScriptedResponse.json({"error": "no"}, status=503))
    async with made(driver, again, retries=0) as client:
        with pytest.raises(ServerError):
            await client.chat_completion(MESSAGES)


async def test_a_silence_is_given_up_at_the_deadline(driver: Driver) -> None:
    silent = ScriptedResponse(f"data: {json.dumps(chunk('a'))}\n\n".encode(), FOREVER, content_type=EVENT_STREAM)
    transport = MemoryTransport.in_turn(silent)
    async with made(driver, transport, timeout=Timeout(idle=0.01)) as client:
        with pytest.raises(TimeoutError):
            async with client.chat_completion.stream(MESSAGES) as run:
                async for _ in run:
                    assert transport.unfinished() == [silent]
    assert transport.unfinished() == []
    assert silent.closed and not silent.whole


async def test_a_body_in_pieces_is_gathered(driver: Driver) -> None:
    transport = MemoryTransport(lambda _: ScriptedResponse.json([{"label": "a", "score": 1.0}]))
    async with driver.client(base_url="https://model.test", transport=transport) as client:
        await client.image_classification(b"\x89PNG\r\n\x1a\n" + bytes(100_000))
    assert len(transport.requests[0].body) >= 100_008


async def test_one_request_too_many_fails_the_test(driver: Driver) -> None:
    transport = MemoryTransport.in_turn(ScriptedResponse.json(ANSWER))
    async with made(driver, transport) as client:
        await client.chat_completion(MESSAGES)
        with pytest.raises(AssertionError, match="no response is left"):
            await client.chat_completion(MESSAGES)


def test_a_request_shows_no_header() -> None:
    request = SentRequest(method="GET", url="https://model.test/", headers={"authorization": KEY}, body=b"")
    assert repr(request) == "<SentRequest GET https://model.test/>"
    with pytest.raises(ValueError):
        request.json()
