"""The four clocks and the waits between tries, in virtual time: a minute here takes none.

trio's clock jumps to the next deadline whenever nothing runs, so every figure below is exact. That the clocks work on
every event loop and on real sockets is the fault matrix's to show.
"""

from __future__ import annotations

import email.utils
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
import pytest
from trio.testing import MockClock

from headwater import (
    AsyncInferenceClient,
    ConnectionLostError,
    HeadwaterError,
    IncompleteStreamError,
    InferenceTimeoutError,
    InvalidParameterError,
    ModelLoadingError,
    RateLimitError,
    ServerError,
    Timeout,
)
from headwater.engine.retry import Raise, Retries, Retry, RetryBudget, decide
from headwater.testing import EVENT_STREAM, FOREVER, MemoryTransport, ScriptedResponse, ScriptStep

MESSAGES = [{"role": "user", "content": "hi"}]
JSON = b'{"id":"1","choices":[{"index":0,"message":{"role":"assistant","content":"w"},"finish_reason":"stop"}]}'
WORD = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"w"},"finish_reason":null}]}\n\n'
END = b'data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
COMMENT = b": keep-alive\n\n"


def in_virtual_time(body: Callable[[], Awaitable[None]]) -> None:
    anyio.run(body, backend="trio", backend_options={"clock": MockClock(autojump_threshold=0)})


def client(transport: MemoryTransport, **options: Any) -> AsyncInferenceClient:
    return AsyncInferenceClient(base_url="http://127.0.0.1:9/v1", transport=transport, **options)


def stream(*steps: ScriptStep) -> ScriptedResponse:
    return ScriptedResponse(*steps, content_type=EVENT_STREAM)


def turns(piece: bytes, silence: float) -> list[ScriptStep]:
    """The two by turns, ten times."""
    return [step for _ in range(10) for step in (piece, silence)]


def refused(status: int, body: bytes = b'{"error":"no"}', headers: Mapping[str, str] | None = None) -> ScriptedResponse:
    return ScriptedResponse(body, status=status, headers=headers)


async def read(made: AsyncInferenceClient) -> str:
    """The text of a stream."""
    text = ""
    async with made.chat_completion.stream(MESSAGES) as run:
        async for chunk in run:
            text += chunk.choices[0].delta.content or ""
    return text


async def plain(made: AsyncInferenceClient) -> str:
    return (await made.chat_completion(MESSAGES)).choices[0].message.content or ""


async def fails(made: AsyncInferenceClient, ask: Any = read) -> tuple[HeadwaterError, float]:
    """The error, and the seconds until it came."""
    began = anyio.current_time()
    with pytest.raises(HeadwaterError) as caught:
        await ask(made)
    error = caught.value
    took = anyio.current_time() - began
    assert error.elapsed == pytest.approx(took)
    return error, took


# the clocks


@pytest.mark.parametrize(
    ("timeout", "answer", "phase", "after"),
    [
        (Timeout(total=7), stream(WORD, FOREVER), "total", 7),
        (Timeout(total=7), stream(*turns(WORD, 2.0)), "total", 7),
        (Timeout(total=7), ScriptedResponse(head=[FOREVER]), "total", 7),
        (Timeout(first_event=5), ScriptedResponse(head=[FOREVER]), "first_event", 5),
        (Timeout(first_event=5), stream(*turns(COMMENT, 1.0)), "first_event", 5),
        (Timeout(first_event=5), stream(*turns(b"d", 1.0)), "first_event", 5),
        (Timeout(first_event=5, idle=1), stream(3.0, COMMENT, FOREVER), "first_event", 5),
        (Timeout(idle=3), stream(WORD, 2.0, WORD, FOREVER), "idle", 5),
        (Timeout(idle=3), stream(WORD, *turns(COMMENT, 1.0)), "idle", 3),
        (Timeout(idle=3), stream(WORD, *turns(b"d", 1.0)), "idle", 3),
        (Timeout(), stream(WORD, FOREVER), "idle", 120),
        (None, stream(WORD, 100.0, WORD, FOREVER), "idle", 220),
        (9, stream(8.0, WORD, FOREVER), "total", 9),
        (2.5, ScriptedResponse(head=[FOREVER]), "total", 2.5),
    ],
)
def test_a_clock_fires_as_its_own_phase(timeout: Any, answer: ScriptedResponse, phase: str, after: float) -> None:
    async def body() -> None:
        transport = MemoryTransport.in_turn(answer)
        error, took = await fails(client(transport, timeout=timeout))
        assert isinstance(error, InferenceTimeoutError)
        assert isinstance(error, TimeoutError)
        assert error.phase == phase
        assert took == pytest.approx(after)
        assert phase in error.message
        assert f"{after:g}" in error.message or phase == "idle"
        assert transport.unfinished() == []
        if phase == "idle":
            assert error.partial.choices[0].message.content
            assert error.events_received

    in_virtual_time(body)


@pytest.mark.parametrize("timeout", [None, Timeout(), Timeout(connect=1, idle=1)])
def test_a_first_event_is_waited_for_by_default(timeout: Any) -> None:
    """A model may be loading for an hour."""

    async def body() -> None:
        assert await read(client(MemoryTransport.in_turn(stream(3600.0, WORD, END)), timeout=timeout)) == "w"
        assert (
            await plain(client(MemoryTransport.in_turn(ScriptedResponse(JSON, head=[3600.0])), timeout=timeout)) == "w"
        )

    in_virtual_time(body)


def test_the_connection_has_a_limit_of_its_own() -> None:
    seen = []

    async def body() -> None:
        for timeout in (None, Timeout(connect=3), Timeout(connect=None), 30):
            transport = MemoryTransport.in_turn(stream(WORD, END))
            await read(client(transport, timeout=timeout))
            seen.append(transport.requests[0].connect_timeout)

    in_virtual_time(body)
    assert seen == [10.0, 3, None, 10.0]


@pytest.mark.parametrize("timeout", [Timeout(), Timeout(first_event=1, idle=1)])
def test_a_slow_consumer_is_no_stalled_server(timeout: Timeout) -> None:
    """Clocks run only while the network is waited for."""

    async def body() -> None:
        made = client(MemoryTransport.in_turn(stream(WORD, 0.5, WORD, 0.5, WORD, END)), timeout=timeout)
        async with made.chat_completion.stream(MESSAGES) as run:
            async for _ in run:
                await anyio.sleep(600)
            assert (await run.result()).choices[0].message.content == "www"

    in_virtual_time(body)


def test_total_counts_a_consumers_time_too() -> None:
    """It is the whole call's; what was read already is still handed over."""

    async def body() -> None:
        made = client(MemoryTransport.in_turn(stream(WORD + WORD, 0.5, WORD, END)), timeout=5)
        async with made.chat_completion.stream(MESSAGES) as run:
            await anext(run)
            await anyio.sleep(10)
            await anext(run)
            with pytest.raises(InferenceTimeoutError) as caught:
                await anext(run)
            assert caught.value.phase == "total"

    in_virtual_time(body)


def test_the_deadline_can_be_set_for_a_call() -> None:
    async def body() -> None:
        made = client(MemoryTransport.in_turn(ScriptedResponse(head=[FOREVER])), timeout=1000)
        error, took = await fails(made.with_options(timeout=Timeout(total=2)), plain)
        assert isinstance(error, InferenceTimeoutError)
        assert took == pytest.approx(2)

    in_virtual_time(body)


@pytest.mark.parametrize("wrong", [0, -1, math.nan, "5", True, Timeout])
def test_a_limit_is_a_number_of_seconds(wrong: Any) -> None:
    with pytest.raises(InvalidParameterError, match="total"):
        AsyncInferenceClient(timeout=wrong)


def test_an_error_body_is_read_for_two_seconds() -> None:
    async def body() -> None:
        answer = ScriptedResponse(b"it broke", FOREVER, status=400, content_type="text/plain")
        error, took = await fails(client(MemoryTransport.in_turn(answer)))
        assert "it broke" in error.message
        assert took == pytest.approx(2)
        assert answer.closed

    in_virtual_time(body)


@pytest.mark.parametrize("ask", [read, plain])
@pytest.mark.parametrize("limits", [{"first_event": 1.0}, {"total": 1.0}])
def test_an_error_body_that_does_not_end_is_still_that_error(ask: Any, limits: Any) -> None:
    async def body() -> None:
        answer = ScriptedResponse(b"it broke", FOREVER, status=500, content_type="text/plain")
        error, took = await fails(client(MemoryTransport.in_turn(answer), timeout=Timeout(**limits)), ask)
        assert took == pytest.approx(1)
        assert isinstance(error, (ServerError, InferenceTimeoutError))
        if "first_event" in limits:
            assert isinstance(error, ServerError)

    in_virtual_time(body)


def test_a_body_left_open_after_its_end_marker_does_not_hold_up() -> None:
    async def body() -> None:
        began = anyio.current_time()
        assert await read(client(MemoryTransport.in_turn(stream(WORD, END, FOREVER)))) == "w"
        assert anyio.current_time() - began < 1

    in_virtual_time(body)


# the waits between tries


def seconds_of_wait(*answers: Any, timeout: Any = None) -> float:
    """How long a call takes whose last answer is right at once."""
    took = []

    async def body() -> None:
        transport = MemoryTransport.in_turn(*answers, stream(WORD, END))
        began = anyio.current_time()
        assert await read(client(transport, timeout=timeout)) == "w"
        took.append(anyio.current_time() - began)
        assert len(transport.requests) == len(answers) + 1

    in_virtual_time(body)
    return took[0]


@pytest.mark.parametrize(
    ("headers", "asked"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "2500"}, 2.5),
        ({"retry-after": "60"}, 60),
        ({"ratelimit": '"default";r=0;t=9'}, 9),
        ({"x-ratelimit-reset-requests": "4s"}, 4),
    ],
)
def test_a_wait_that_is_asked_for_is_kept(headers: dict[str, str], asked: float) -> None:
    took = seconds_of_wait(refused(429, headers=headers))
    assert asked <= took <= asked + max(0.1 * asked, 0.5)


def test_a_date_is_waited_for() -> None:
    date = email.utils.formatdate(math.ceil(time.time() + 20), usegmt=True)
    assert 15 <= seconds_of_wait(refused(429, headers={"retry-after": date})) <= 23.5


def test_a_loading_model_is_waited_for_as_long_as_it_takes() -> None:
    """Beyond the number of retries: 10 times 20 seconds."""
    loading = [refused(503, b'{"error":"Model m is currently loading","estimated_time":20.0}') for _ in range(10)]
    assert 200 <= seconds_of_wait(*loading) <= 221


def test_a_loading_model_is_waited_for_within_the_deadline() -> None:
    async def body() -> None:
        transport = MemoryTransport(lambda _: refused(503, b'{"error":"currently loading","estimated_time":20.0}'))
        error, took = await fails(client(transport, timeout=50))
        assert isinstance(error, ModelLoadingError)
        assert error.retry_after == 20
        assert 40 <= took < 50
        assert len(transport.requests) == len(error.attempts) == 3

    in_virtual_time(body)


@pytest.mark.parametrize(
    ("headers", "timeout"),
    [
        ({"retry-after": "61"}, None),
        ({"retry-after": "86400"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": "20"}, 10),
        ({"retry-after": "20"}, Timeout(first_event=10)),
    ],
)
def test_a_wait_that_is_too_long_is_not_begun(headers: dict[str, str], timeout: Any) -> None:
    async def body() -> None:
        transport = MemoryTransport.in_turn(
            refused(429, headers=headers), refused(429, headers=headers), refused(429, headers=headers)
        )
        error, took = await fails(client(transport, timeout=timeout))
        assert isinstance(error, RateLimitError)
        if headers["retry-after"] != "1e9":
            assert error.retry_after == float(headers["retry-after"])
            assert took == 0
            assert len(transport.requests) == 1
        else:  # no number of seconds by the standard: as if nothing had been said
            assert took <= 1.5

    in_virtual_time(body)


@pytest.mark.parametrize("garbage", ["nan", "inf", "-5", "soon", "1,5", "٣", ""])
def test_garbage_is_not_slept(garbage: str) -> None:
    assert (
        seconds_of_wait(refused(429, headers={"retry-after": garbage}), refused(429, headers={"retry-after": garbage}))
        <= 1.5
    )


def test_without_a_hint_the_backoff_doubles_and_is_random() -> None:
    lost = ConnectionLostError("reset")
    waits = {seconds_of_wait(lost, lost) for _ in range(10)}
    assert all(0 <= wait <= 1.5 for wait in waits)
    assert len(waits) > 1


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422, 501])
def test_what_cannot_pass_is_not_tried_again(status: int) -> None:
    async def body() -> None:
        transport = MemoryTransport.in_turn(refused(status))
        error, took = await fails(client(transport))
        assert took == 0
        assert len(error.attempts) == len(transport.requests) == 1
        assert not error.retryable

    in_virtual_time(body)


def test_total_holds_over_retries_and_their_waits() -> None:
    async def body() -> None:
        answers = [ScriptedResponse(b"x", status=500, head=[3.0]) for _ in range(9)]
        error, took = await fails(client(MemoryTransport.in_turn(*answers), timeout=10, retries=8))
        assert took <= 10
        assert isinstance(error, (ServerError, InferenceTimeoutError))
        assert 2 <= len(error.attempts) <= 4
        assert [a.number for a in error.attempts] == list(range(1, len(error.attempts) + 1))
        assert error.attempts[0].status == 500

    in_virtual_time(body)


def test_nothing_is_tried_again_after_the_first_event() -> None:
    async def body() -> None:
        transport = MemoryTransport.in_turn(stream(WORD, ConnectionLostError("reset")))
        error, _ = await fails(client(transport, retries=5))
        assert isinstance(error, IncompleteStreamError)
        assert len(transport.requests) == 1

    in_virtual_time(body)


# the policy alone


def error_with(kind: type[HeadwaterError], **facts: Any) -> HeadwaterError:
    error = kind("x")
    error.__dict__.update(facts)
    return error


POLICY = Retries()


def test_the_backoff_doubles_up_to_its_cap() -> None:
    policy = Retries(most=20)
    waits = [
        decide(error_with(ConnectionLostError), tries, math.inf, policy, resend=True, rand=1.0)
        for tries in (1, 2, 3, 4, 5, 6, 12)
    ]
    assert waits == [Retry(0.5), Retry(1.0), Retry(2.0), Retry(4.0), Retry(8.0), Retry(8.0), Retry(8.0)]


@pytest.mark.parametrize(
    ("error", "tries", "left", "resend"),
    [
        (error_with(ConnectionLostError), 3, math.inf, True),
        (error_with(ConnectionLostError), 1, math.inf, False),
        (error_with(ServerError, retryable=False), 1, math.inf, True),
        (error_with(InferenceTimeoutError), 1, math.inf, True),
        (error_with(RateLimitError, retry_after=5.0), 1, 5.0, True),
        (error_with(RateLimitError, retry_after=60.1), 1, math.inf, True),
    ],
)
def test_when_it_gives_up(error: HeadwaterError, tries: int, left: float, resend: bool) -> None:
    assert isinstance(decide(error, tries, left, POLICY, resend=resend, rand=0.5), Raise)


def test_a_job_that_never_went_out_may_be_sent_again() -> None:
    error = error_with(ConnectionLostError, sent=False)
    assert isinstance(decide(error, 1, math.inf, POLICY, resend=False, rand=0.5), Retry)


def test_the_quota_stops_a_storm() -> None:
    """500 calls to a dead server: the retries are at most a hundred, not a thousand."""

    async def body() -> None:
        transport = MemoryTransport(lambda _: refused(500))
        made = client(transport)
        for _ in range(500):
            await fails(made)
        assert len(transport.requests) <= 500 + RetryBudget.FULL // RetryBudget.COST

    in_virtual_time(body)


def test_the_quota_comes_back_with_calls_that_work() -> None:
    quota = RetryBudget()
    while quota.take(error_with(ServerError)):
        pass
    assert quota.tokens == 0
    for _ in range(RetryBudget.FULL * 2):
        quota.succeed()
    assert quota.tokens == RetryBudget.FULL
