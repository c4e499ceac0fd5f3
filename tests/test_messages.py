"""`client.messages` on every driver: plain and streamed, every event and every stop, errors in place of the rest, and a
stream that is cut anywhere."""

from __future__ import annotations

from typing import Any

import pytest
from support.drivers import Driver
from support.message_events import (
    ASKED,
    CONTENT,
    EVERYTHING,
    TEXT,
    Event,
    begin,
    delta,
    end,
    failed,
    message,
    sse,
    start,
)

from headwater import (
    AuthenticationError,
    ConnectionLostError,
    ContentBlock,
    HeadwaterError,
    IncompleteStreamError,
    InferenceTimeoutError,
    InvalidParameterError,
    InvalidRequestError,
    MalformedEventError,
    Message,
    NotFoundError,
    OverloadedError,
    PaymentRequiredError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    Timeout,
)
from headwater.testing import EVENT_STREAM, FOREVER, MemoryTransport, ScriptedResponse

pytestmark = pytest.mark.anyio

ALL = sse(*EVERYTHING)
ERRORS: dict[str, tuple[int, type[HeadwaterError]]] = {
    "invalid_request_error": (400, InvalidRequestError),
    "authentication_error": (401, AuthenticationError),
    "billing_error": (402, PaymentRequiredError),
    "permission_error": (403, PermissionDeniedError),
    "not_found_error": (404, NotFoundError),
    "request_too_large": (413, InvalidRequestError),
    "rate_limit_error": (429, RateLimitError),
    "api_error": (500, ServerError),
    "timeout_error": (504, ServerError),
    "overloaded_error": (529, OverloadedError),
}
"""https://platform.claude.com/docs/en/api/errors"""


def streamed(*steps: Any) -> ScriptedResponse:
    return ScriptedResponse(*steps, content_type=EVENT_STREAM)


def client_of(driver: Driver, transport: MemoryTransport, **more: Any) -> Any:
    return driver.client(base_url="http://127.0.0.1:1", model="claude", transport=transport, retries=0, **more)


async def test_every_event_comes_as_it_is_and_the_result_is_the_plain_answers(driver: Driver) -> None:
    """A server that says the end and keeps the connection is not waited for."""
    transport = MemoryTransport.in_turn(
        streamed(ALL, FOREVER), ScriptedResponse.json(message(*CONTENT, stop="tool_use"))
    )
    async with client_of(driver, transport) as client:
        async with client.create_message.stream(ASKED, max_tokens=9) as run:
            events = [event async for event in run]
            result = await run.result()
            assert run.outcome == "complete"
        plain = await client.create_message(ASKED, max_tokens=9)
    assert [(event.type, event.raw) for event in events] == [
        (name, {"type": name, **more}) for name, more in EVERYTHING
    ]
    assert [block.to_dict() for block in result.content] == CONTENT
    assert result.to_dict() == plain.to_dict() and result.text == "It is so"
    assert result.usage.output_tokens == 15 and result.usage.total_tokens == 33
    assert isinstance(result, Message) and all(isinstance(block, ContentBlock) for block in result.content)
    assert transport.unfinished() == []


@pytest.mark.dealt
@pytest.mark.parametrize(
    "reason",
    [
        "end_turn",
        "max_tokens",
        "stop_sequence",
        "tool_use",
        "pause_turn",
        "refusal",
        "model_context_window_exceeded",
        "a_new_one",
    ],
)
async def test_every_stop_is_told(driver: Driver, reason: str) -> None:
    transport = MemoryTransport.in_turn(
        streamed(sse(start(), *TEXT, *end(reason, "x"))),
        ScriptedResponse.json(message({"type": "text", "text": "a"}, stop=reason, stop_sequence="x")),
    )
    async with client_of(driver, transport) as client:
        run = await client.create_message(ASKED, max_tokens=9, stream=True)
        result, plain = await run.result(), await client.create_message(ASKED, max_tokens=9)
    assert (result.stop_reason, result.stop_sequence) == (plain.stop_reason, plain.stop_sequence) == (reason, "x")


async def test_a_stream_that_has_no_end_is_cut_whatever_it_has_said(driver: Driver) -> None:
    transport = MemoryTransport.in_turn(
        streamed(sse(*EVERYTHING[:-1])), streamed(sse(start(), *TEXT), b"data: [DONE]\n\n")
    )
    async with client_of(driver, transport) as client:
        for content in (CONTENT, [{"type": "text", "text": 'Grüße, \n\n"😀"'}]):
            run = client.create_message.stream(ASKED, max_tokens=9)
            with pytest.raises(IncompleteStreamError) as caught:
                await run.result()
            assert [block.to_dict() for block in caught.value.partial.content] == content
            assert run.outcome == "truncated"


@pytest.mark.dealt
@pytest.mark.parametrize("kind", ERRORS)
async def test_each_error_has_its_class_by_status_and_inside_a_stream(driver: Driver, kind: str) -> None:
    status, wanted = ERRORS[kind]
    body = {"type": "error", "error": {"type": kind, "message": "no"}, "request_id": "req_1"}
    transport = MemoryTransport.in_turn(
        ScriptedResponse.json(body, status=status, headers={"retry-after": "3", "request-id": "req_1"}),
        streamed(sse(start(), *TEXT[:2], failed(kind))),
        ScriptedResponse.json(body),
    )
    async with client_of(driver, transport) as client:
        for call in (1, 2, 3):
            run = client.create_message.stream(ASKED, max_tokens=9)
            with pytest.raises(wanted) as caught:
                await (run.result() if call < 3 else client.create_message(ASKED, max_tokens=9))
            error: Any = caught.value
            assert error.code == kind and error.server_message == "no" and error.status == status
            assert error.retryable == (status in {429, 500, 504, 529})
            if call == 1:
                assert error.request_id == "req_1" and error.retry_after == (3.0 if error.retryable else None)
            if call == 2:
                assert error.partial.content[0].text == "Grüße"


async def test_a_call_that_is_refused_for_a_moment_is_made_again(driver: Driver) -> None:
    busy = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    transport = MemoryTransport.in_turn(
        ScriptedResponse.json(busy, status=529, headers={"retry-after": "0"}),
        ScriptedResponse.json(busy, status=429, headers={"retry-after-ms": "1"}),
        ScriptedResponse.json(message({"type": "text", "text": "a"})),
    )
    async with driver.client(base_url="http://127.0.0.1:1", model="m", transport=transport) as client:
        found = await client.create_message(ASKED, max_tokens=9)
    assert [attempt.status for attempt in found.facts.attempts] == [529, 429, None]


async def test_a_stream_that_is_left_is_given_up_and_one_that_falls_silent_fails(driver: Driver) -> None:
    first = sse(start(), *TEXT[:2])
    transport = MemoryTransport.in_turn(streamed(first, FOREVER), streamed(first, FOREVER))
    async with client_of(driver, transport, timeout=Timeout(idle=0.05)) as client:
        async with client.create_message.stream(ASKED, max_tokens=9) as run:
            async for event in run:
                if event.type == "content_block_delta":
                    break
        assert run.outcome == "cancelled" and run.partial.text == "Grüße"
        with pytest.raises(InferenceTimeoutError) as caught:
            await client.create_message.stream(ASKED, max_tokens=9).result()
        assert caught.value.phase == "idle" and caught.value.partial.text == "Grüße"
    assert transport.unfinished() == []


async def test_what_is_sent_and_what_goes_back_unchanged(driver: Driver) -> None:
    answers = [ScriptedResponse.json(message(*CONTENT)), streamed(ALL)]
    more = [ScriptedResponse.json(message()), ScriptedResponse.json({"input_tokens": 7})]
    transport = MemoryTransport.in_turn(*answers, *more)
    async with client_of(driver, transport, api_key="key-of-a-test") as client:
        plain = await client.create_message(ASKED, max_tokens=9, system="be", betas=["a-1", "b-2"], top_k=3)
        result = await client.create_message.stream(ASKED, max_tokens=9).result()
        back = [*ASKED, plain, {"role": "user", "content": "go"}, {"role": "assistant", "content": result.content}]
        await client.create_message(
            [*back, *ASKED], max_tokens=9, anthropic_version="2099-01-01", tools=[{"name": "t"}]
        )
        count = await client.count_message_tokens([*back, *ASKED], betas=["a-1"])
    first, _, third, fourth = transport.requests
    assert first.url == "http://127.0.0.1:1/v1/messages" and count.input_tokens == 7
    assert first.json() == {
        "model": "claude",
        "messages": ASKED,
        "max_tokens": 9,
        "system": "be",
        "top_k": 3,
        "stream": False,
    }
    assert first.headers["anthropic-beta"] == "a-1,b-2" and first.headers["anthropic-version"] == "2023-06-01"
    assert first.headers["x-api-key"] == "key-of-a-test" and first.headers["authorization"] == "Bearer key-of-a-test"
    assert third.headers["anthropic-version"] == "2099-01-01" and "anthropic-beta" not in third.headers
    assert [sent["content"] for sent in third.json()["messages"] if sent["role"] == "assistant"] == [CONTENT, CONTENT]
    assert fourth.url.endswith("/v1/messages/count_tokens") and fourth.json()["messages"] == third.json()["messages"]
    assert "max_tokens" not in fourth.json() and fourth.headers["anthropic-beta"] == "a-1"


@pytest.mark.dealt
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "'max_tokens' is required"),
        ({"max_tokens": 9, "tool_choice": "auto"}, "tool_choice must be a dict"),
        ({"max_tokens": 9, "thinking": True}, "thinking must be a dict"),
        ({"max_tokens": 9, "system": 3}, "system must be a text or a list"),
        ({"max_tokens": 9, "stop": "x"}, "no parameter 'stop'"),
        ({"max_tokens": 9, "messages": []}, "messages is empty"),
        ({"max_tokens": 9, "messages": [{"content": "x"}]}, r"messages\[0\] has no 'role'"),
        ({"max_tokens": 9, "messages": [{"role": "user"}]}, r"messages\[0\].content of type NoneType"),
    ],
)
async def test_what_is_wrong_is_said_before_anything_is_sent(driver: Driver, given: Any, said: str) -> None:
    transport = MemoryTransport.in_turn()
    async with client_of(driver, transport) as client:
        with pytest.raises(InvalidParameterError, match=said):
            await client.create_message(**{"messages": ASKED, **given})
    assert transport.requests == []


@pytest.mark.dealt
@pytest.mark.parametrize(
    ("events", "path"),
    [
        ([begin(0, type="text", text="a"), ("content_block_delta", {"index": 0, "delta": [1]})], "a"),
        ([begin(0, type="text", text="a"), ("content_block_start", {"index": 1, "content_block": "x"})], "a"),
    ],
)
async def test_an_event_that_cannot_be_read_is_an_error(driver: Driver, events: list[Event], path: str) -> None:
    transport = MemoryTransport.in_turn(streamed(sse(start(), *events, *end())))
    async with client_of(driver, transport) as client:
        with pytest.raises(MalformedEventError) as caught:
            await client.create_message.stream(ASKED, max_tokens=9).result()
    assert caught.value.partial.text == path


async def test_odd_events_are_read_as_far_as_they_can_be(driver: Driver) -> None:
    """Blocks without a beginning, indexes that are texts, half characters, a broken tool's JSON, a whole message in
    place of a stream, and a stream in place of a whole message."""
    odd = sse(
        ("content_block_delta", {"index": "0", "delta": {"type": "text_delta", "text": "a"}}),
        delta(1, "input_json_delta", partial_json='{"a": '),
        *end("max_tokens"),
    )
    halves = b"".join(
        b'event: content_block_delta\ndata: {"type": "content_block_delta", "index": 0, "delta": '
        b'{"type": "text_delta", "text": "%b"}}\n\n' % half
        for half in (b"\\ud83d", b"\\ude00")
    )
    text = message({"type": "text", "text": "whole"})
    transport = MemoryTransport.in_turn(
        streamed(odd),
        streamed(sse(start(), begin(0, type="text", text="")) + halves + sse(*end())),
        ScriptedResponse.json(text),
        streamed(ALL),
    )
    async with client_of(driver, transport) as client:
        first = await client.create_message.stream(ASKED, max_tokens=9).result()
        assert [block.to_dict() for block in first.content] == [
            {"type": "text", "text": "a"},
            {"type": "tool_use", "input": '{"a":'},
        ]
        run = client.create_message.stream(ASKED, max_tokens=9)
        async with run:
            shown = [event.delta.text async for event in run if event.type == "content_block_delta"]
            assert (await run.result()).text == "😀" and "".join(shown) == "😀"
        assert (await client.create_message.stream(ASKED, max_tokens=9).result()).text == "whole"
        assert [block.to_dict() for block in (await client.create_message(ASKED, max_tokens=9)).content] == CONTENT


@pytest.mark.dealt
@pytest.mark.parametrize("ending", ["eof", "lost"])
@pytest.mark.parametrize("at", range(1, len(ALL), 97))
async def test_a_cut_is_an_error_with_what_came_or_nothing_was_lost(driver: Driver, at: int, ending: str) -> None:
    steps = [ALL[:at], *([ConnectionLostError("lost")] if ending == "lost" else [])]
    async with client_of(driver, MemoryTransport.in_turn(streamed(*steps))) as client:
        run = client.create_message.stream(ASKED, max_tokens=9)
        with pytest.raises(IncompleteStreamError) as caught:
            await run.result()
    assert caught.value.partial is None or "It is so".startswith(caught.value.partial.text)
