"""What an observer is told of calls: everything that happens, once, in order, whatever the loop."""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import Any

import anyio
import pytest
from support.drivers import Driver
from support.observed_calls import (
    FIRST,
    QUESTION,
    SECOND,
    Seen,
    acts,
    answer,
    cut,
    hanging,
    refusal,
    silent,
    stream,
    two,
)

from headwater import (
    AsyncInferenceClient,
    ClosedError,
    IncompleteStreamError,
    InferenceClient,
    InvalidParameterError,
    MissingCredentialError,
    RateLimitError,
    ServerError,
    tool,
)
from headwater.telemetry import (
    AttemptBegun,
    AttemptEnded,
    CallBegun,
    CallEnded,
    FailedOver,
    Observer,
    ObserverEvent,
    ToolBegun,
    ToolEnded,
    WaitBegun,
)
from headwater.testing import MemoryTransport, ScriptedResponse

pytestmark = pytest.mark.anyio

URL = "http://127.0.0.1:9/v1"


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")


def client_of(driver: Driver, seen: Any, transport: MemoryTransport, **more: Any) -> Any:
    if "provider" not in more:
        more["base_url"] = URL
    return driver.client(observer=seen, transport=transport, **more)


async def test_a_plain_call(driver: Driver) -> None:
    seen = Seen()
    async with client_of(driver, seen, acts(answer), model="m") as client:
        out = await client.chat_completion(QUESTION, temperature=0.5, extra_body={"top_k": 3})
    assert seen.words == ["begun chat-completion", "request 1 url", "answered 1", "success"]
    begun, asked, answered, ended = seen.events
    assert len({id(event.call) for event in seen.events}) == 1
    assert (begun.call.model, begun.call.streams, begun.call.parent) == ("m", False, None)
    assert begun.call.parameters == {"messages": QUESTION, "temperature": 0.5, "top_k": 3}
    assert (asked.method, asked.url) == ("POST", f"{URL}/chat/completions")
    assert (asked.origin, asked.hedged) == ("http://127.0.0.1:9", False)
    assert (answered.status, answered.request_id, answered.reads_on) == (200, "req-1", False)
    assert answered.attempt == out.facts.attempts[0]
    assert ended.facts == out.facts
    assert ended.result is out
    usage = ended.usage
    assert (usage.input, usage.output, usage.cached, usage.reasoning, usage.cache_write) == (5, 3, 2, 1, None)
    assert (ended.error, ended.events, ended.left_job) == (None, 0, None)


async def test_a_stream_and_how_many_events_it_had(driver: Driver) -> None:
    seen = Seen()
    async with client_of(driver, seen, acts(stream)) as client, client.chat_completion.stream(QUESTION) as run:
        assert seen.words == []  # nobody reads it yet
        chunks = [chunk async for chunk in run]
    assert len(chunks) == 3
    assert seen.words == ["begun chat-completion", "request 1 url", "answered 1", "first event", "success"]
    assert seen.of(AttemptEnded)[0].reads_on
    ended = seen.of(CallEnded)[0]
    assert ended.events == 3
    assert ended.result.choices[0].message.content == "Hello"


async def test_a_retry_and_why_it_is_waited_for(driver: Driver) -> None:
    seen = Seen()
    async with client_of(driver, seen, acts(refusal(503), refusal(429), answer)) as client:
        await client.chat_completion(QUESTION)
    assert seen.words == [
        "begun chat-completion",
        "request 1 url",
        "ServerError 1",
        "wait retry",
        "request 2 url",
        "RateLimitError 2",
        "wait retry",
        "request 3 url",
        "answered 3",
        "success",
    ]
    wait = seen.events[6]
    assert isinstance(wait.error, RateLimitError)
    assert wait.wait >= 0
    assert (wait.provider, seen.events[5].status) == ("url", 429)


async def test_a_cold_model(driver: Driver) -> None:
    def cold() -> ScriptedResponse:
        return ScriptedResponse.json({"error": "Model m is currently loading", "estimated_time": 20.0}, status=503)

    seen = Seen()
    async with client_of(driver, seen, acts(cold, answer)) as client:
        await client.chat_completion(QUESTION)
    assert "wait model loading" in seen.words


async def test_a_failure(driver: Driver) -> None:
    seen = Seen()
    async with client_of(driver, seen, acts(refusal(500)), retries=0) as client:
        with pytest.raises(ServerError) as caught:
            await client.chat_completion(QUESTION)
    assert seen.words == ["begun chat-completion", "request 1 url", "ServerError 1", "error"]
    assert seen.of(CallEnded)[0].error is caught.value


async def test_a_call_that_is_never_sent(driver: Driver) -> None:
    seen = Seen()
    async with client_of(driver, seen, acts(answer), provider="groq", model_mapping={"m": "m"}) as client:
        with pytest.raises(MissingCredentialError):
            await client.chat_completion(QUESTION, model="m")
    assert seen.words == ["begun chat-completion", "error"]
    assert seen.events[0].call.providers == ("groq",)


async def test_a_stream_that_is_cut(driver: Driver) -> None:
    seen = Seen()
    async with client_of(driver, seen, acts(cut)) as client:
        with pytest.raises(IncompleteStreamError):
            async with client.chat_completion.stream(QUESTION) as run:
                await run.result()
    assert seen.words == ["begun chat-completion", "request 1 url", "answered 1", "first event", "error"]
    ended = seen.of(CallEnded)[0]
    assert ended.error.partial.choices[0].message.content == "Hel"
    assert ended.events == 1


async def test_a_stream_that_is_left(driver: Driver) -> None:
    seen = Seen()
    async with client_of(driver, seen, acts(silent)) as client:
        async with client.chat_completion.stream(QUESTION) as run:
            await run.__anext__()
        with pytest.raises(ClosedError):
            await run.__anext__()
        await run.close()
    assert seen.words == ["begun chat-completion", "request 1 url", "answered 1", "first event", "left"]


@pytest.mark.parametrize("streams", [False, True])
async def test_a_call_whose_task_is_cancelled(streams: bool) -> None:
    seen = Seen()
    async with AsyncInferenceClient(base_url=URL, observer=seen, transport=acts(hanging)) as client:

        async def ask() -> None:
            if streams:
                async with client.chat_completion.stream(QUESTION) as run:
                    await run.result()
            else:
                await client.chat_completion(QUESTION)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
    assert seen.words == ["begun chat-completion", "request 1 url", "given up 1", "cancelled"]


async def test_a_wait_that_is_cancelled_and_gone_on_with_is_told_once() -> None:
    seen, scope = Seen(), anyio.CancelScope()

    def cancel(event: ObserverEvent) -> None:
        if isinstance(event, WaitBegun):
            scope.cancel()

    observer: list[Observer] = [seen, cancel]
    client = AsyncInferenceClient(base_url=URL, observer=observer, transport=acts(refusal(429), stream))
    async with client.chat_completion.stream(QUESTION) as run:
        with scope:
            await run.__anext__()
        assert scope.cancelled_caught
        await run.result()
    once = ["request 1 url", "RateLimitError 1", "wait retry", "request 2 url", "answered 2"]
    assert seen.words == ["begun chat-completion", *once, "first event", "success"]


async def test_a_run_that_nobody_reads_is_nothing(driver: Driver) -> None:
    seen = Seen()
    async with client_of(driver, seen, acts(stream)) as client, client.chat_completion.stream(QUESTION):
        pass
    assert seen.words == []


async def test_a_run_that_is_dropped_was_left() -> None:
    seen = Seen()
    async with AsyncInferenceClient(base_url=URL, observer=seen, transport=acts(silent)) as client:
        run = client.chat_completion.stream(QUESTION)
        await run.__anext__()
        with pytest.warns(ResourceWarning):
            del run
            await anyio.lowlevel.checkpoint()
    assert seen.words[-1] == "left"


async def test_a_failover(driver: Driver) -> None:
    seen = Seen()
    async with client_of(driver, seen, acts(refusal(500), answer), provider=two(), retries=0) as client:
        await client.chat_completion(QUESTION)
    assert seen.words == [
        "begun chat-completion",
        f"request 1 {FIRST}",
        "ServerError 1",
        f"{FIRST} to {SECOND}",
        f"request 2 {SECOND}",
        "answered 2",
        "success",
    ]
    assert seen.events[0].call.providers == (FIRST, SECOND)
    assert isinstance(seen.of(FailedOver)[0].error, ServerError)


async def test_a_breaker_opens_is_probed_and_closes(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headwater.engine.failover.FIRST_OPEN_SECONDS", 0.05)
    monkeypatch.setattr("headwater.engine.failover.STAY_SECONDS", -1.0)
    seen = Seen()
    fails = [refusal(500), answer] * 3
    async with client_of(driver, seen, acts(*fails, answer), provider=two(), retries=0) as client:
        for _ in range(3):
            await client.chat_completion(QUESTION)
        assert seen.words.count(f"{FIRST} open") == 1
        await anyio.sleep(0.06)
        await client.chat_completion(QUESTION)
    assert [word for word in seen.words if word.startswith(FIRST) and " to " not in word] == [
        f"{FIRST} open",
        f"{FIRST} half-open",
        f"{FIRST} closed",
    ]


@pytest.mark.parametrize("streams", [False, True])
async def test_a_hedge_is_one_call(driver: Driver, streams: bool) -> None:
    seen = Seen()
    transport = acts(hanging, stream if streams else answer)
    async with client_of(driver, seen, transport, provider=two(), hedge_after=0.01) as client:
        if streams:
            async with client.chat_completion.stream(QUESTION) as run:
                await run.result()
        else:
            await client.chat_completion(QUESTION)
    assert sorted(seen.words) == sorted(
        [
            "begun chat-completion",
            f"request 1 {FIRST}",
            f"hedged at {SECOND}",
            f"request 2 {SECOND}",
            "answered 2",
            "given up 1",
            *(["first event"] if streams else []),
            "success",
        ]
    )
    assert seen.words[-1] == "success"
    assert [begun.hedged for begun in seen.of(AttemptBegun)] == [False, True]
    assert seen.of(CallEnded)[0].facts.hedged


async def test_a_hedge_that_both_lose(driver: Driver) -> None:
    seen = Seen()

    def late() -> ScriptedResponse:
        return ScriptedResponse(b"{}", status=500, head=[0.1])

    async with client_of(driver, seen, acts(late, refusal(500)), hedge_after=0.01, retries=0) as client:
        with pytest.raises(ServerError):
            await client.chat_completion(QUESTION)
    assert seen.words.count("error") == 1
    assert seen.words[-1] == "error"
    assert len(seen.of(AttemptEnded)) == 2


async def test_a_hedge_that_is_left(driver: Driver) -> None:
    seen = Seen()
    transport = acts(hanging)
    async with client_of(driver, seen, transport, hedge_after=0.01, timeout=0.1) as client:
        with pytest.raises(Exception, match="within"):
            await client.chat_completion(QUESTION)
    assert seen.words[-1] == "error"
    assert len(seen.of(AttemptEnded)) == len(seen.of(AttemptBegun))


async def test_each_item_of_a_map(driver: Driver) -> None:
    seen = Seen()

    def mapped(client: InferenceClient) -> list[Any]:
        with client.map(client.chat_completion, [QUESTION] * 3) as results:
            return list(results)

    async with client_of(driver, seen, acts(refusal(429), answer)) as client:
        if driver.blocking:
            await anyio.to_thread.run_sync(mapped, client.client)
        else:
            async with client.map(client.chat_completion, [QUESTION] * 3, concurrency=1) as results:
                assert [result.error async for result in results] == [None] * 3
    assert len({id(event.call) for event in seen.of(CallBegun)}) == 3
    assert seen.words.count("success") == 3
    assert "wait retry" in seen.words


async def test_a_map_that_holds_back_after_a_refusal(anyio_backend: object) -> None:
    seen = Seen()
    client = AsyncInferenceClient(base_url=URL, observer=seen, transport=acts(refusal(429), answer))
    async with client.map(client.chat_completion, [QUESTION] * 2, concurrency=1) as results:
        assert [result.error async for result in results] == [None] * 2
    assert "wait throttle" in seen.words


def raises(event: ObserverEvent) -> None:
    raise RuntimeError(f"of {type(event).__name__}")


async def test_an_observer_that_raises_breaks_no_call(driver: Driver, caplog: pytest.LogCaptureFixture) -> None:
    seen = Seen()
    transport = acts(refusal(500), hanging, answer)
    async with client_of(driver, [raises, seen], transport, provider=two(), hedge_after=0.02, retries=1) as client:
        out = await client.chat_completion(QUESTION)
    assert out.choices[0].message.content == "Hello"
    assert seen.words[-1] == "success"
    failed = [record for record in caplog.records if record.name == "headwater"]
    assert len(failed) == len(seen.words)
    assert {record.levelno for record in failed} == {logging.ERROR}
    assert "raises failed at CallBegun" in failed[0].getMessage()


@pytest.mark.dealt
async def test_a_cancellation_from_elsewhere_is_an_error_of_the_observers(
    driver: Driver, caplog: pytest.LogCaptureFixture
) -> None:
    def cancelled(event: ObserverEvent) -> None:
        raise asyncio.CancelledError

    seen = Seen()
    async with client_of(driver, [cancelled, seen], acts(answer)) as client:
        await client.chat_completion(QUESTION)
    assert seen.words[-1] == "success"
    assert len(caplog.records) == len(seen.words)


async def test_an_observer_that_ends_the_program_ends_it_once_all_are_told() -> None:
    def leaves(event: ObserverEvent) -> None:
        if isinstance(event, CallEnded):
            raise SystemExit(3)

    seen = Seen()
    client = AsyncInferenceClient(base_url=URL, observer=[leaves, seen], transport=acts(answer))
    with pytest.raises(SystemExit):
        await client.chat_completion(QUESTION)
    assert seen.words[-1] == "success"


async def test_what_an_observer_adds_goes_with_the_request(driver: Driver) -> None:
    def add(event: ObserverEvent) -> None:
        if isinstance(event, AttemptBegun):
            event.headers["traceparent"] = f"{event.number}"

    transport = acts(refusal(500), answer)
    async with client_of(driver, add, transport) as client:
        await client.chat_completion(QUESTION)
        await client.with_options(observer=None).chat_completion(QUESTION)
    assert [request.headers.get("traceparent") for request in transport.requests] == ["1", "2", None]


@pytest.mark.dealt
@pytest.mark.parametrize("header", [{"a\nb": "c"}, {"x": "a\r\nb"}, {"host": "elsewhere"}])
async def test_a_header_that_cannot_be_sent_is_not(driver: Driver, header: dict[str, str]) -> None:
    def add(event: ObserverEvent) -> None:
        if isinstance(event, AttemptBegun):
            event.headers.update(header)

    transport = acts(answer)
    async with client_of(driver, add, transport) as client:
        await client.chat_completion(QUESTION)
    assert not transport.requests[0].headers.keys() & header.keys()


async def test_no_secret_is_told(driver: Driver, caplog: pytest.LogCaptureFixture) -> None:
    key = "sk-0123456789abcdefghijklmnop"
    caplog.set_level(logging.DEBUG, "headwater")
    seen = Seen()

    def echo() -> ScriptedResponse:
        return ScriptedResponse.json({"error": {"message": f"bad key {key}"}}, status=500)

    async with client_of(driver, seen, acts(echo), api_key=key) as client:
        with pytest.raises(ServerError):
            await client.chat_completion(QUESTION, extra_query={"api_key": "another-secret-0123456789"})
    told = repr([{name: getattr(event, name) for name in event.__struct_fields__} for event in seen.events])
    told += "".join(record.getMessage() for record in caplog.records)
    assert key not in told
    assert "another-secret" not in told
    assert "ServerError" in told


async def observes_later(event: ObserverEvent) -> None:
    """What nobody would await."""


class ObservesLater:
    async def __call__(self, event: ObserverEvent) -> None:
        """What nobody would await."""


WRONG: list[Any] = ["print", 3, [print, None], Seen, lambda: None, lambda one, two: None]
WRONG += [observes_later, ObservesLater(), functools.partial(observes_later)]


@pytest.mark.parametrize("wrong", WRONG)
def test_an_observer_is_a_callable_that_takes_an_event_at_once(wrong: Any) -> None:
    with pytest.raises(InvalidParameterError, match="observer"):
        InferenceClient(base_url=URL, observer=wrong)


class Recorded(list[ObserverEvent]):
    """A list that keeps what it is told."""

    __call__ = list.append


async def test_a_list_that_can_be_called_is_an_observer(driver: Driver) -> None:
    seen, other = Recorded(), Recorded()
    for given in (seen, [seen, other]):
        async with driver.client(base_url=URL, transport=acts(answer), observer=given) as client:
            await client.chat_completion(QUESTION)
    assert len(seen) == 2 * len(other) > 0


def test_with_options_keeps_what_is_known_of_providers() -> None:
    client = InferenceClient(base_url=URL, observer=print)
    assert client.observer is print
    other = client.with_options(observer=[print, repr])
    assert other.observer == [print, repr]
    client.observer = None
    assert client.observer is None


def calls(*names: str) -> ScriptedResponse:
    """An answer that calls these tools."""
    made = [
        {"id": f"call-{number}", "type": "function", "function": {"name": name, "arguments": '{"text": "x"}'}}
        for number, name in enumerate(names)
    ]
    return answer("", tool_calls=made)


async def test_a_conversation_its_turns_and_its_tools(driver: Driver) -> None:
    seen = Seen()

    @tool
    def thread(text: str) -> str:
        """In a thread of its own, where it asks the model itself."""
        inner = InferenceClient(base_url=URL, observer=seen, transport=acts(answer))
        return inner.chat_completion(QUESTION).choices[0].message.content or ""

    @tool
    async def fails(text: str) -> str:
        raise ValueError("no")

    transport = acts(lambda: calls("thread", "fails", "unknown"), answer)
    async with client_of(driver, seen, transport) as client:
        run = client.converse(QUESTION, tools=[thread, fails], stream=False, tools_at_once=1)
        await run.result()
    one_call = ["begun chat-completion", "request 1 url", "answered 1", "success"]
    tools = [["tool thread", *one_call, "tool thread returned"], ["tool fails", "tool fails failed"]]
    tools = tools if seen.words[5] == "tool thread" else tools[::-1]  # trio begins tasks in any order
    assert seen.words == ["conversation", *one_call, *tools[0], *tools[1], *one_call, "conversation answered"]
    conversation = seen.events[0].conversation
    first, inner, last = (begun.call for begun in seen.of(CallBegun))
    (threads,) = (begun.tool for begun in seen.of(ToolBegun) if begun.tool.name == "thread")
    assert conversation.tools == ("thread", "fails")
    assert first.parent is last.parent is threads.parent is conversation
    assert inner.parent is threads
    assert (threads.id, threads.turn, threads.arguments) == ("call-0", 1, {"text": "x"})
    ends = {ended.tool.name: ended for ended in seen.of(ToolEnded)}
    assert ends["thread"].content == "Hello"
    assert isinstance(ends["fails"].error, ValueError)
    ended = seen.events[-1]
    assert (ended.usage.input, ended.usage.output, ended.turns) == (10, 6, 2)


async def test_a_conversation_that_is_left_while_a_tool_runs() -> None:
    seen = Seen()

    @tool
    async def waits(text: str) -> str:
        run_scope.cancel()
        await anyio.sleep_forever()
        return ""

    client = AsyncInferenceClient(base_url=URL, observer=seen, transport=acts(lambda: calls("waits")))
    with anyio.CancelScope() as run_scope:
        await client.converse(QUESTION, tools=[waits], stream=False).result()
    assert seen.words[-3:] == ["tool waits", "tool waits cancelled", "conversation cancelled"]


async def test_a_conversation_whose_call_fails(driver: Driver) -> None:
    seen = Seen()
    async with client_of(driver, seen, acts(refusal(500)), retries=0) as client:
        with pytest.raises(ServerError):
            await client.converse(QUESTION, tools=[]).result()
    failed = ["begun chat-completion", "request 1 url", "ServerError 1", "error"]
    assert seen.words == ["conversation", *failed, "conversation error"]
