"""Calls as OpenTelemetry's spans and metrics, read from the SDK's exporters in memory."""

from __future__ import annotations

import inspect
import json
import logging
import threading
from collections.abc import Callable
from typing import Any, Literal

import anyio
import pytest
from opentelemetry import context, trace
from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv.attributes import error_attributes, http_attributes, server_attributes, url_attributes
from opentelemetry.trace import SpanKind, StatusCode
from support.drivers import Driver
from support.observed_calls import (
    FIRST,
    QUESTION,
    SECOND,
    acts,
    answer,
    cut,
    hanging,
    refusal,
    silent,
    stream,
    two,
)
from support.told import Told, attributes

from headwater import (
    AsyncInferenceClient,
    DecodeError,
    IncompleteStreamError,
    InferenceClient,
    InvalidParameterError,
    ServerError,
    tool,
)
from headwater.telemetry import ObserverEvent, OpenTelemetryObserver
from headwater.testing import ScriptedResponse

pytestmark = pytest.mark.anyio

URL = "http://127.0.0.1:9/v1"
NEWER = {
    "gen_ai.request.previous_response.id",
    "gen_ai.request.reasoning.level",
    "gen_ai.token.modality",
    "gen_ai.usage.cache_write.input_tokens",
}
"""Attributes that the conventions have since they moved, and that the package of constants has not.
https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/client-inference.md"""


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")
    monkeypatch.delenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", raising=False)


async def test_a_call_is_a_span_over_its_attempts(driver: Driver, told: Told) -> None:
    transport = acts(refusal(503), answer)
    async with driver.client(base_url=URL, observer=told.observer(), transport=transport) as client:
        await client.chat_completion(
            QUESTION,
            model="m",
            temperature=0,
            max_tokens=7,
            stop="x",
            seed=3,
            n=2,
            response_format={"type": "json_object"},
        )
    assert told.tree() == ["chat m", "  POST", "  POST"]
    call, refused, answered = told.spans
    assert [span.kind for span in told.spans] == [SpanKind.CLIENT] * 3
    assert attributes(call) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "url",
        "gen_ai.request.model": "m",
        "gen_ai.request.temperature": 0.0,
        "gen_ai.request.max_tokens": 7,
        "gen_ai.request.stop_sequences": ("x",),
        "gen_ai.request.seed": 3,
        "gen_ai.request.choice.count": 2,
        "gen_ai.output.type": "json",
        "gen_ai.response.id": "chat-1",
        "gen_ai.response.model": "m-0613",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 5,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.usage.cache_read.input_tokens": 2,
        "gen_ai.usage.reasoning.output_tokens": 1,
        "server.address": "127.0.0.1",
        "server.port": 9,
        "headwater.task": "chat-completion",
        "headwater.provider": "url",
        "headwater.outcome": "success",
    }
    assert call.status.status_code is StatusCode.UNSET
    assert [event.name for event in call.events] == ["headwater.wait"]
    assert attributes(refused)["http.response.status_code"] == 503
    assert attributes(refused)["error.type"] == "503"
    assert refused.status.status_code is StatusCode.ERROR
    assert attributes(answered)["http.response.status_code"] == 200
    assert attributes(answered)["http.request.resend_count"] == 1
    assert attributes(answered)["url.full"] == f"{URL}/chat/completions"


async def test_a_stream_lasts_until_it_is_read(driver: Driver, told: Told) -> None:
    client = driver.client(base_url=URL, observer=told.observer(), transport=acts(stream))
    async with client, client.chat_completion.stream(QUESTION) as run:
        await run.__anext__()
        assert told.spans == []
        await run.result()
    call, attempt = told.spans
    assert (call.end_time or 0) >= (attempt.end_time or 0) > 0
    assert attributes(call)["gen_ai.request.stream"] is True
    assert attributes(call)["gen_ai.response.time_to_first_chunk"] >= 0  # uvloop counts in milliseconds


async def test_a_cut_stream_finishes_with_an_error(driver: Driver, told: Told) -> None:
    async with driver.client(base_url=URL, observer=told.observer(), transport=acts(cut)) as client:
        with pytest.raises(IncompleteStreamError):
            await client.chat_completion.stream(QUESTION).result()
    call, attempt = told.spans
    assert attributes(call)["gen_ai.response.finish_reasons"] == ("error",)
    assert attributes(call)["error.type"] == attributes(attempt)["error.type"] == "IncompleteStreamError"
    assert call.status.status_code is attempt.status.status_code is StatusCode.ERROR


@pytest.mark.dealt
async def test_a_left_stream_is_no_error(driver: Driver, told: Told) -> None:
    client = driver.client(base_url=URL, observer=told.observer(), transport=acts(silent))
    async with client, client.chat_completion.stream(QUESTION) as run:
        await run.__anext__()
    call, attempt = told.spans
    assert attributes(call)["headwater.outcome"] == "left"
    assert call.status.status_code is attempt.status.status_code is StatusCode.UNSET


async def test_a_failover_and_a_hedge_are_in_one_trace(driver: Driver, told: Told) -> None:
    transport = acts(refusal(401), answer, hanging, answer)
    options = {"provider": two(), "observer": told.observer(), "transport": transport}
    async with driver.client(**options) as client:
        await client.chat_completion(QUESTION)
    assert told.tree() == ["chat m", "  POST", "  POST"]
    assert "headwater.failover" in [event.name for event in told.spans[0].events]
    assert attributes(told.spans[0])["headwater.provider"] == SECOND
    told.exporter.clear()
    async with driver.client(**options, hedge_after=0.01) as client:
        await client.chat_completion(QUESTION)
    assert told.tree() == ["chat m", "  POST", "  POST"]
    call, first, second = told.spans
    assert attributes(second)["headwater.hedged"] is True
    assert attributes(first)["headwater.cancelled"] is True
    assert "headwater.hedge" in [event.name for event in call.events]


async def test_the_current_span_is_the_parent_also_through_the_portal(driver: Driver, told: Told) -> None:
    tracer = told.tracers.get_tracer("a program")
    client = driver.client(base_url=URL, observer=told.observer(), transport=acts(answer), hedge_after=10)
    with tracer.start_as_current_span("program"):
        await client.chat_completion(QUESTION)
        async with client.chat_completion.stream(QUESTION) as run:
            await run.result()
    assert told.tree() == ["program", "  chat", "    POST", "  chat", "    POST"]


async def test_the_items_of_a_map_are_below_who_maps(driver: Driver, told: Told) -> None:
    tracer = told.tracers.get_tracer("a program")
    options: dict[str, Any] = {"base_url": URL, "observer": told.observer(), "transport": acts(answer)}

    def mapped() -> None:
        client = InferenceClient(**options)
        with tracer.start_as_current_span("program"), client.map(client.chat_completion, [QUESTION] * 3) as results:
            assert len(list(results)) == 3

    if driver.blocking:
        await anyio.to_thread.run_sync(mapped)
    else:
        client = AsyncInferenceClient(**options)
        with tracer.start_as_current_span("program"):
            async with client.map(client.chat_completion, [QUESTION] * 3) as results:
                assert len([result async for result in results]) == 3
    program, *others = told.spans
    calls = [span for span in others if span.name == "chat"]
    assert len(calls) == 3
    assert program.context is not None
    assert {span.parent.span_id if span.parent else None for span in calls} == {program.context.span_id}


async def test_a_conversation_and_its_tools(driver: Driver, told: Told) -> None:
    call = {"id": "call-1", "type": "function", "function": {"name": "thread", "arguments": '{"text": "x"}'}}
    observer = told.observer(capture_content=True)

    @tool
    def thread(text: str) -> str:
        """Asks the model itself."""
        inner = InferenceClient(base_url=URL, observer=observer, transport=acts(answer))
        inner.chat_completion(QUESTION)
        return (trace.get_current_span().get_span_context().is_valid and "inside") or "outside"

    transport = acts(lambda: answer("", tool_calls=[call]), answer)
    async with driver.client(base_url=URL, observer=observer, transport=transport) as client:
        result = await client.converse(QUESTION, tools=[thread], model="m", stream=False).result()
    assert result.turns[0].returned[0].content == "inside"
    turn = ["  chat m", "    POST"]
    assert told.tree() == ["invoke_agent", *turn, "  execute_tool thread", "    chat", "      POST", *turn]
    executed = attributes(told.spans[3])
    assert executed == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "thread",
        "gen_ai.tool.type": "function",
        "gen_ai.tool.description": "Asks the model itself.",
        "gen_ai.tool.call.id": "call-1",
        "gen_ai.tool.call.arguments": '{"text":"x"}',
        "gen_ai.tool.call.result": "inside",
        "headwater.outcome": "returned",
    }
    assert attributes(told.spans[0])["gen_ai.usage.input_tokens"] == 10
    found = told.metrics()
    assert [point.sum for point in found["gen_ai.invoke_agent.inference_calls"]] == [2]
    assert [point.sum for point in found["gen_ai.invoke_agent.tool_calls"]] == [1]
    (point,) = found["gen_ai.execute_tool.duration"]
    assert dict(point.attributes) == {"gen_ai.tool.name": "thread", "gen_ai.tool.type": "function"}
    assert found["gen_ai.invoke_agent.duration"][0].count == 1


@pytest.mark.dealt
@pytest.mark.parametrize(
    ("variable", "argument", "is_told"),
    [
        (None, None, False),
        ("true", None, True),
        ("span_only", None, True),
        ("false", None, False),
        ("true", False, False),
        (None, True, True),
    ],
)
async def test_content_is_told_when_it_is_asked_for(
    driver: Driver,
    told: Told,
    monkeypatch: pytest.MonkeyPatch,
    variable: str | None,
    argument: bool | None,
    is_told: bool,
) -> None:
    if variable is not None:
        monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", variable)
    observer = told.observer(capture_content=argument)
    parts = [{"type": "text", "text": "what?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]
    async with driver.client(base_url=URL, observer=observer, transport=acts(answer)) as client:
        await client.chat_completion([{"role": "system", "content": "be brief"}, {"role": "user", "content": parts}])
    found = attributes(told.spans[0])
    assert ("Hello" in repr(found)) is is_told
    if not is_told:
        assert not {"gen_ai.input.messages", "gen_ai.output.messages"} & found.keys()
        return
    assert json.loads(found["gen_ai.input.messages"]) == [
        {"role": "system", "parts": [{"type": "text", "content": "be brief"}]},
        {"role": "user", "parts": [{"type": "text", "content": "what?"}, {"type": "image_url"}]},
    ]
    assert json.loads(found["gen_ai.output.messages"]) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "Hello"}]}
    ]


SAID = "words-of-the-model"


def odd_event(text: str) -> ScriptedResponse:
    return ScriptedResponse(f"data: {text}\n\n".encode(), content_type="text/event-stream")


QUOTING: dict[str, tuple[Callable[[], ScriptedResponse], bool, Any]] = {
    "a refusal": (lambda: answer("", refusal=SAID), False, int),
    "no value": (lambda: answer(SAID), False, int),
    "another value": (lambda: answer(f'"{SAID}"'), False, Literal["yes", "no"]),
    "half a body": (
        lambda: ScriptedResponse(f'{{"id": "{SAID}'.encode(), content_type="application/json"),
        False,
        None,
    ),
    "another body": (lambda: ScriptedResponse.json({"choices": SAID}), False, None),
    "no JSON": (lambda: ScriptedResponse(SAID.encode(), content_type="text/plain"), False, None),
    "an event": (lambda: odd_event(f'{{"choices": "{SAID}"'), True, None),
    "an event of words": (lambda: odd_event(SAID), True, None),
}


@pytest.mark.dealt
async def test_an_error_that_quotes_the_answer_is_told_without(
    driver: Driver, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "headwater")
    for name, (response, streams, kind) in QUOTING.items():
        transport = acts(response)
        options: dict[str, Any] = {} if kind is None else {"response_format": kind}
        async with driver.client(base_url=URL, observer=told.observer(), transport=transport, retries=0) as client:
            with pytest.raises(DecodeError) as caught:
                if streams:
                    await client.chat_completion.stream(QUESTION, **options).result()
                else:
                    await client.chat_completion(QUESTION, **options)
        assert SAID in str(caught.value) or kind is int, name
        assert told.spans[0].status.status_code is StatusCode.ERROR, name
    assert SAID not in "".join(span.to_json() for span in told.spans)
    assert SAID not in caplog.text and caplog.text.count(": error (") == len(QUOTING)


async def test_the_context_goes_to_listed_origins_alone(driver: Driver, told: Told) -> None:
    transport = acts(refusal(401), answer)
    observer = told.observer(propagate_to=[f"{SECOND}/gateway"])
    async with driver.client(provider=two(), observer=observer, transport=transport) as client:
        await client.chat_completion(QUESTION)
    first, second = transport.requests
    assert (first.url.startswith(FIRST), second.url.startswith(SECOND)) == (True, True)
    assert "traceparent" not in first.headers
    sent = told.spans[2].context
    assert sent is not None
    assert second.headers["traceparent"].startswith(f"00-{sent.trace_id:032x}-{sent.span_id:016x}-")


async def test_metrics(driver: Driver, told: Told) -> None:
    transport = acts(answer, refusal(500), stream)
    async with driver.client(base_url=URL, observer=told.observer(), transport=transport, retries=0) as client:
        await client.chat_completion(QUESTION, model="m")
        with pytest.raises(ServerError):
            await client.chat_completion(QUESTION, model="m")
        async with client.chat_completion.stream(QUESTION, model="m") as run:
            await run.result()
    found = told.metrics()
    assert set(found) == {
        "gen_ai.client.inference.duration",
        "gen_ai.client.inference.time_to_first_chunk",
        "gen_ai.client.inference.time_per_output_chunk",
        "gen_ai.client.inference.usage.input_tokens",
        "gen_ai.client.inference.usage.output_tokens",
        "gen_ai.client.inference.usage.cache_read.input_tokens",
        "gen_ai.client.inference.usage.cache_write.input_tokens",
        "gen_ai.client.inference.usage.reasoning.output_tokens",
        "gen_ai.client.inference.operation.input_tokens",
        "gen_ai.client.inference.operation.output_tokens",
    }
    durations = found["gen_ai.client.inference.duration"]
    assert sorted(str(point.attributes.get("error.type")) for point in durations) == ["500", "None", "None"]
    doubling = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
    assert {point.explicit_bounds for point in durations} == {doubling}
    point, unsaid = found["gen_ai.client.inference.usage.input_tokens"]
    assert (point.value, unsaid.value) == (5, 0)  # of the two that told no tokens
    assert dict(point.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "url",
        "gen_ai.request.model": "m",
        "gen_ai.response.model": "m-0613",
        "gen_ai.token.modality": "unknown",
        "server.address": "127.0.0.1",
        "server.port": 9,
    }


@pytest.mark.dealt
@pytest.mark.parametrize("names", ["old", "both"])
async def test_old_names_by_a_switch(driver: Driver, told: Told, names: Any) -> None:
    async with driver.client(
        base_url=URL, observer=told.observer(names=names), transport=acts(answer, stream)
    ) as client:
        await client.chat_completion(QUESTION)
        await client.chat_completion.stream(QUESTION).result()
    assert attributes(told.spans[0])["gen_ai.system"] == "url"
    assert attributes(told.spans[0])["gen_ai.usage.prompt_tokens"] == 5
    found = told.metrics()
    old = {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"}
    old |= {"gen_ai.client.operation.time_to_first_chunk", "gen_ai.client.operation.time_per_output_chunk"}
    assert old <= set(found)
    assert any(name.startswith("gen_ai.client.inference") for name in found) is (names == "both")
    kinds = {point.attributes["gen_ai.token.type"]: point.sum for point in found["gen_ai.client.token.usage"]}
    assert kinds == {"input": 5, "output": 3}


@pytest.mark.dealt
async def test_embeddings_and_media_have_their_names(driver: Driver, told: Told) -> None:
    def vectors() -> ScriptedResponse:
        data = [{"index": 0, "object": "embedding", "embedding": [0.5]}]
        usage = {"prompt_tokens": 4, "total_tokens": 4}
        return ScriptedResponse.json({"object": "list", "data": data, "model": "e", "usage": usage})

    async with driver.client(base_url=URL, observer=told.observer(), transport=acts(vectors)) as client:
        await client.create_embedding("text", model="e", dimensions=1)
    call = told.spans[0]
    assert call.name == "embeddings e"
    assert attributes(call)["gen_ai.embeddings.dimension.count"] == 1
    found = told.metrics()
    assert set(found) == {"gen_ai.client.embeddings.duration", "gen_ai.client.embeddings.operation.input_tokens"}


@pytest.mark.dealt
@pytest.mark.parametrize("keeps", [True, False])
async def test_a_sampler_is_told_where_a_call_goes(driver: Driver, told: Told, keeps: bool) -> None:
    asked: list[dict[str, Any]] = []

    class Asked(Sampler):
        def should_sample(self, *given: Any, **named: Any) -> SamplingResult:
            of_span = named.get("attributes") or given[4]
            asked.append(dict(of_span))
            return SamplingResult(Decision.RECORD_AND_SAMPLE if keeps else Decision.DROP, of_span)

        def get_description(self) -> str:
            return "asked"

    tracers = TracerProvider(sampler=Asked())
    tracers.add_span_processor(SimpleSpanProcessor(told.exporter))
    observer = OpenTelemetryObserver(
        tracer_provider=tracers, meter_provider=told.meters, propagate_to=[SECOND], capture_content=True
    )
    transport = acts(refusal(401), answer)
    async with driver.client(provider=two(), observer=observer, transport=transport) as client:
        await client.chat_completion(QUESTION)
    assert asked[0] == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "url",
        "gen_ai.request.model": "m",
        "server.address": "127.0.0.1",
        "server.port": 1,
    }
    assert told.tree() == (["chat m", "  POST", "  POST"] if keeps else [])
    assert len(asked) == (3 if keeps else 1)
    flags = transport.requests[1].headers["traceparent"].rpartition("-")[2]
    assert int(flags, 16) & 1 == keeps
    if keeps:
        call = told.spans[0]
        assert attributes(call)["server.address"] == "127.0.0.2"  # where it was answered
        assert (call.start_time or 0) <= (told.spans[1].start_time or 0)
    assert "gen_ai.client.inference.duration" in told.metrics()
    tracers.shutdown()


@pytest.mark.dealt
async def test_points_of_two_observers_of_one_provider_are_added_up(driver: Driver, told: Told) -> None:
    for number in (1, 2):
        async with driver.client(base_url=URL, observer=told.observer(), transport=acts(answer)) as client:
            for _ in range(number):
                await client.chat_completion(QUESTION, model="m")
    for _ in range(2):
        found = told.metrics()
        assert [point.value for point in found["gen_ai.client.inference.usage.input_tokens"]] == [15]
        assert [point.count for point in found["gen_ai.client.inference.operation.input_tokens"]] == [3]


@pytest.mark.dealt
async def test_what_asks_no_model_is_no_inference(driver: Driver, told: Told) -> None:
    found = {"id": "resp_1", "status": "completed", "model": "m", "output": [], "usage": {"input_tokens": 5}}
    transport = acts(lambda: ScriptedResponse.json(found))
    async with driver.client(base_url=URL, observer=told.observer(), transport=transport) as client:
        await client.responses.retrieve("resp_1")
    (call, _) = told.spans
    assert call.name == "fetch_response"
    assert "gen_ai.usage.input_tokens" not in attributes(call)
    assert set(told.metrics()) == {"gen_ai.client.operation.duration"}


IMAGE = {"type": "image", "source": {"type": "url", "url": "https://pictures.test/1.png"}}
CALL = {"type": "tool_call", "id": "call-1", "name": "f", "arguments": {"a": 1}}
CALLED = {"type": "function_call", "call_id": "call-1", "name": "f", "arguments": '{"a": 1}'}


@pytest.mark.dealt
async def test_what_messages_say(driver: Driver, told: Told) -> None:
    said = [
        {"type": "thinking", "thinking": "hm", "signature": "x"},
        {"type": "text", "text": "yes"},
        {"type": "tool_use", "id": "call-1", "name": "f", "input": {"a": 1}},
    ]
    body: dict[str, Any] = {"id": "msg_1", "type": "message", "role": "assistant", "model": "c", "content": said}
    body |= {"stop_reason": "tool_use", "usage": {"input_tokens": 5, "output_tokens": 3, "cache_read_input_tokens": 2}}
    observer = told.observer(capture_content=True)
    transport = acts(lambda: ScriptedResponse.json(body))
    answered = {"type": "tool_result", "tool_use_id": "call-1", "content": "3"}
    asked: list[Any] = [{"role": "user", "content": ["what?", IMAGE]}, {"role": "assistant", "content": said}]
    asked[0]["content"][0] = {"type": "text", "text": "what?"}
    async with driver.client(base_url=URL, observer=observer, transport=transport) as client:
        messages = [*asked, {"role": "user", "content": [answered]}]
        await client.create_message(messages, model="c", max_tokens=9, system="be brief", top_k=4)
    call = told.spans[0]
    found = attributes(call)
    parts = [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "yes"}, CALL]
    assert call.name == "chat c"
    assert json.loads(found["gen_ai.system_instructions"]) == [{"type": "text", "content": "be brief"}]
    assert json.loads(found["gen_ai.input.messages"]) == [
        {
            "role": "user",
            "parts": [
                {"type": "text", "content": "what?"},
                {"type": "uri", "modality": "image", "uri": "https://pictures.test/1.png"},
            ],
        },
        {"role": "assistant", "parts": parts},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call-1", "response": "3"}]},
    ]
    assert json.loads(found["gen_ai.output.messages"]) == [{"role": "assistant", "parts": parts}]
    assert found["gen_ai.response.finish_reasons"] == ("tool_use",)
    assert (found["gen_ai.request.max_tokens"], found["gen_ai.request.top_k"]) == (9, 4)
    assert (found["gen_ai.usage.input_tokens"], found["gen_ai.usage.cache_read.input_tokens"]) == (7, 2)


@pytest.mark.dealt
async def test_what_responses_say(driver: Driver, told: Told) -> None:
    said = [
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "yes"}]},
        CALLED,
    ]
    body: dict[str, Any] = {
        "id": "resp_1",
        "object": "response",
        "status": "incomplete",
        "model": "m-1",
        "output": said,
    }
    body |= {"incomplete_details": {"reason": "max_output_tokens"}, "usage": {"input_tokens": 5, "output_tokens": 3}}
    observer = told.observer(capture_content=True)
    transport = acts(lambda: ScriptedResponse.json(body))
    given: list[Any] = [
        {"role": "user", "content": "what?"},
        CALLED,
        {"type": "function_call_output", "call_id": "call-1", "output": "3"},
    ]
    async with driver.client(base_url=URL, observer=observer, transport=transport) as client:
        await client.responses.create(
            model="m", input=given, instructions="be brief", previous_response_id="resp_0", reasoning={"effort": "low"}
        )
    call = told.spans[0]
    found = attributes(call)
    parts = [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "yes"}, CALL]
    assert call.name == "chat m"
    assert json.loads(found["gen_ai.system_instructions"]) == [{"type": "text", "content": "be brief"}]
    assert json.loads(found["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "what?"}]},
        {"role": "assistant", "parts": [CALL]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call-1", "response": "3"}]},
    ]
    assert json.loads(found["gen_ai.output.messages"]) == [{"role": "assistant", "parts": parts}]
    assert found["gen_ai.response.finish_reasons"] == ("length",)
    assert found["gen_ai.request.previous_response.id"] == "resp_0"
    assert found["gen_ai.request.reasoning.level"] == "low"


@pytest.mark.dealt
async def test_every_name_is_the_conventions_own(driver: Driver, told: Told) -> None:
    observer = told.observer(capture_content=True, names="both")
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}

    @tool
    def f() -> str:
        return ""

    transport = acts(refusal(503), lambda: answer("", tool_calls=[call]), answer)
    async with driver.client(base_url=URL, observer=observer, transport=transport) as client:
        options = {"temperature": 1, "reasoning_effort": "low", "top_p": 1, "max_tokens": 5, "stop": ["a"], "seed": 1}
        await client.converse(QUESTION, tools=[f], stream=False, **options).result()
    modules = gen_ai_attributes, error_attributes, http_attributes, server_attributes, url_attributes
    known = {value for module in modules for _, value in inspect.getmembers(module) if isinstance(value, str)} | NEWER
    used = {name for span in told.spans for name in span.attributes or ()}
    used |= {name for points in told.metrics().values() for point in points for name in point.attributes or ()}
    assert {name for name in used if not name.startswith("headwater.")} <= known
    assert len(used) > 25


@pytest.mark.dealt
@pytest.mark.parametrize(
    ("key", "chats", "vectors"),
    [
        ("suppress_instrumentation", [], []),
        ("opentelemetry.genai.client.inference.context", [], ["embeddings m", "  POST"]),
        ("opentelemetry.genai.client.embedding.context", ["chat", "  POST"], []),
    ],
)
async def test_what_others_suppress_or_tell_of_themselves_is_not_told(
    driver: Driver, told: Told, key: str, chats: list[str], vectors: list[str]
) -> None:
    """A framework that tells of a model's call says so in the context, and would else be counted twice."""

    def found() -> ScriptedResponse:
        return ScriptedResponse.json({"data": [{"index": 0, "embedding": [1.0]}]})

    around = trace.set_span_in_context(trace.NonRecordingSpan(trace.SpanContext(7, 8, False, trace.TraceFlags(1))))
    transport, observer = acts(answer, found), told.observer(propagate_to=[URL])
    token = context.attach(context.set_value(key, object(), around))
    try:
        async with driver.client(base_url=URL, observer=observer, transport=transport) as client:
            await client.chat_completion(QUESTION)
            await client.embeddings.create(input="a", model="m")
    finally:
        context.detach(token)
    assert told.tree() == [*chats, *vectors]
    traces = [request.headers.get("traceparent", "").split("-")[1:2] for request in transport.requests]
    assert traces == ([[f"{7:032x}"]] * 2 if chats or vectors else [[], []])
    points = told.metrics() if chats or vectors else {}
    assert ("gen_ai.client.inference.duration" in points) is bool(chats)
    assert ("gen_ai.client.embeddings.duration" in points) is bool(vectors)


@pytest.mark.parametrize("wrong", [{"names": "new"}, {"propagate_to": "http://a"}, {"propagate_to": ["ftp://a"]}])
def test_wrong_arguments(wrong: Any) -> None:
    with pytest.raises(InvalidParameterError):
        OpenTelemetryObserver(**wrong)


def test_threads_whose_calls_end_together_have_one_instrument_of_each_name(told: Told) -> None:
    made: list[str] = []
    twice = threading.Event()

    class Meters(MeterProvider):
        def get_meter(self, *args: Any, **more: Any) -> Meter:
            meter = super().get_meter(*args, **more)
            create = meter.create_histogram

            def create_histogram(name: str, *rest: Any, **other: Any) -> Any:
                if name in made:
                    twice.set()
                made.append(name)
                twice.wait(0.05)  # for another thread to make it too, were it let
                return create(name, *rest, **other)

            meter.create_histogram = create_histogram  # type: ignore[method-assign]
            return meter

    def tell(events: list[ObserverEvent]) -> None:
        start.wait()
        for event in events:
            observer(event)

    calls: list[list[ObserverEvent]] = [[] for _ in range(8)]
    for each in calls:
        with InferenceClient(base_url=URL, observer=each.append, transport=acts(answer)) as client:
            client.chat_completion(QUESTION)
    observer = OpenTelemetryObserver(tracer_provider=told.tracers, meter_provider=Meters())
    start = threading.Barrier(len(calls))
    threads = [threading.Thread(target=tell, args=(each,)) for each in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == len(set(made)) > 0
