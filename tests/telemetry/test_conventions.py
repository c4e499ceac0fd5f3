"""What is told, against what the conventions for generative AI have: names, types, levels and places.

https://github.com/open-telemetry/semantic-conventions-genai/tree/main/model/gen-ai (registry, spans, metrics,
token-metrics), and for the spans of requests https://opentelemetry.io/docs/specs/semconv/http/http-spans/
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import Histogram, Sum
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind
from support.drivers import Driver
from support.observed_calls import QUESTION, acts, answer, chunk, cut, refusal, silent
from support.told import Told, attributes

from headwater import IncompleteStreamError, Route, ServerError, tool
from headwater.testing import ScriptedResponse

pytestmark = [pytest.mark.anyio, pytest.mark.dealt]

URL = "http://127.0.0.1:9/v1"
TYPES: dict[str, type[Any]] = {
    "error.type": str,
    "gen_ai.conversation.id": str,
    "gen_ai.embeddings.dimension.count": int,
    "gen_ai.input.messages": str,
    "gen_ai.operation.name": str,
    "gen_ai.output.messages": str,
    "gen_ai.output.type": str,
    "gen_ai.prompt.name": str,
    "gen_ai.prompt.version": str,
    "gen_ai.provider.name": str,
    "gen_ai.request.choice.count": int,
    "gen_ai.request.encoding_formats": tuple,
    "gen_ai.request.frequency_penalty": float,
    "gen_ai.request.max_tokens": int,
    "gen_ai.request.model": str,
    "gen_ai.request.presence_penalty": float,
    "gen_ai.request.previous_response.id": str,
    "gen_ai.request.reasoning.level": str,
    "gen_ai.request.seed": int,
    "gen_ai.request.stop_sequences": tuple,
    "gen_ai.request.stream": bool,
    "gen_ai.request.temperature": float,
    "gen_ai.request.top_k": int,
    "gen_ai.request.top_p": float,
    "gen_ai.response.finish_reasons": tuple,
    "gen_ai.response.id": str,
    "gen_ai.response.model": str,
    "gen_ai.response.status": str,
    "gen_ai.response.time_to_first_chunk": float,
    "gen_ai.system_instructions": str,
    "gen_ai.token.modality": str,
    "gen_ai.tool.call.arguments": str,
    "gen_ai.tool.call.id": str,
    "gen_ai.tool.call.result": str,
    "gen_ai.tool.definitions": str,
    "gen_ai.tool.description": str,
    "gen_ai.tool.name": str,
    "gen_ai.tool.type": str,
    "gen_ai.usage.audio.input_tokens": int,
    "gen_ai.usage.audio.output_tokens": int,
    "gen_ai.usage.cache_read.input_tokens": int,
    "gen_ai.usage.cache_write.input_tokens": int,
    "gen_ai.usage.image.input_tokens": int,
    "gen_ai.usage.image.output_tokens": int,
    "gen_ai.usage.input_tokens": int,
    "gen_ai.usage.output_tokens": int,
    "gen_ai.usage.reasoning.output_tokens": int,
    "gen_ai.usage.text.input_tokens": int,
    "gen_ai.usage.text.output_tokens": int,
    "http.request.method": str,
    "http.request.resend_count": int,
    "http.response.status_code": int,
    "openai.api.type": str,
    "openai.request.service_tier": str,
    "openai.response.service_tier": str,
    "openai.response.system_fingerprint": str,
    "server.address": str,
    "server.port": int,
    "url.full": str,
}
"""Of what the attributes are; what the registry has as `any` is JSON on spans, whose SDKs know no structures."""

_WHERE = {"server.address": "recommended", "server.port": "if"}
_OPENAI = {
    "openai.api.type": "recommended",
    "openai.request.service_tier": "if",
    "openai.response.service_tier": "if",
    "openai.response.system_fingerprint": "recommended",
}
_ASKED = {
    "error.type": "if",
    "gen_ai.conversation.id": "if",
    "gen_ai.input.messages": "opt-in",
    "gen_ai.operation.name": "required",
    "gen_ai.output.messages": "opt-in",
    "gen_ai.output.type": "if",
    "gen_ai.request.choice.count": "if",
    "gen_ai.request.frequency_penalty": "recommended",
    "gen_ai.request.max_tokens": "recommended",
    "gen_ai.request.model": "if",
    "gen_ai.request.presence_penalty": "recommended",
    "gen_ai.request.seed": "if",
    "gen_ai.request.stop_sequences": "recommended",
    "gen_ai.request.temperature": "recommended",
    "gen_ai.request.top_p": "recommended",
    "gen_ai.response.finish_reasons": "recommended",
    "gen_ai.system_instructions": "opt-in",
    "gen_ai.tool.definitions": "opt-in",
    "gen_ai.usage.input_tokens": "recommended",
    "gen_ai.usage.output_tokens": "recommended",
}
SPANS: dict[str, dict[str, str]] = {
    "inference": {
        **_ASKED,
        **_WHERE,
        **_OPENAI,
        "gen_ai.prompt.name": "if",
        "gen_ai.prompt.version": "if",
        "gen_ai.provider.name": "required",
        "gen_ai.request.previous_response.id": "recommended",
        "gen_ai.request.reasoning.level": "recommended",
        "gen_ai.request.stream": "if",
        "gen_ai.request.top_k": "if",
        "gen_ai.response.id": "recommended",
        "gen_ai.response.model": "recommended",
        "gen_ai.response.time_to_first_chunk": "recommended",
        "gen_ai.usage.cache_read.input_tokens": "recommended",
        "gen_ai.usage.cache_write.input_tokens": "recommended",
        "gen_ai.usage.reasoning.output_tokens": "recommended",
        **{
            f"gen_ai.usage.{modality}.{way}_tokens": "recommended"
            for modality in ("text", "image", "audio")
            for way in ("input", "output")
        },
    },
    "embeddings": {
        **_WHERE,
        "error.type": "if",
        "gen_ai.embeddings.dimension.count": "recommended",
        "gen_ai.operation.name": "required",
        "gen_ai.provider.name": "required",
        "gen_ai.request.encoding_formats": "recommended",
        "gen_ai.request.model": "if",
        "gen_ai.response.model": "recommended",
        "gen_ai.usage.input_tokens": "recommended",
    },
    "fetch_response": {
        **_WHERE,
        "error.type": "if",
        "gen_ai.operation.name": "required",
        "gen_ai.output.messages": "opt-in",
        "gen_ai.provider.name": "required",
        "gen_ai.response.finish_reasons": "recommended",
        "gen_ai.response.id": "required",
        "gen_ai.response.model": "recommended",
        "gen_ai.response.status": "recommended",
        "openai.api.type": "recommended",
        "openai.response.service_tier": "if",
    },
    "invoke_agent": _ASKED,
    "execute_tool": {
        "error.type": "if",
        "gen_ai.operation.name": "required",
        "gen_ai.tool.call.arguments": "opt-in",
        "gen_ai.tool.call.id": "recommended",
        "gen_ai.tool.call.result": "opt-in",
        "gen_ai.tool.description": "recommended",
        "gen_ai.tool.name": "required",
        "gen_ai.tool.type": "recommended",
    },
    "request": {
        "error.type": "if",
        "http.request.method": "required",
        "http.request.resend_count": "recommended",
        "http.response.status_code": "if",
        "server.address": "required",
        "server.port": "required",
        "url.full": "required",
    },
}
"""What each kind of span may have, and how much it is wanted. Of a call's the conventions have besides what is known to
nobody here: `gen_ai.conversation.compacted`, `gen_ai.prompt.variable`, tokens of each modality that were cached; of a
conversation's the name and the description of an agent, and what data it has."""
KINDS = {"chat": "inference", "text_completion": "inference"} | {
    name: name for name in ("embeddings", "fetch_response", "invoke_agent", "execute_tool")
}

_OF_CALL = {
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "gen_ai.response.model",
    "server.address",
    "server.port",
}
_USAGE = ("counter", "{token}", _OF_CALL | {"gen_ai.token.modality"})
METRICS: dict[str, tuple[str, str, set[str]]] = {
    "gen_ai.client.inference.duration": ("histogram", "s", _OF_CALL | {"error.type"}),
    "gen_ai.client.inference.time_to_first_chunk": ("histogram", "s", _OF_CALL),
    "gen_ai.client.inference.time_per_output_chunk": ("histogram", "s", _OF_CALL),
    "gen_ai.client.inference.usage.input_tokens": _USAGE,
    "gen_ai.client.inference.usage.output_tokens": _USAGE,
    "gen_ai.client.inference.usage.cache_read.input_tokens": _USAGE,
    "gen_ai.client.inference.usage.cache_write.input_tokens": _USAGE,
    "gen_ai.client.inference.usage.reasoning.output_tokens": _USAGE,
    "gen_ai.client.inference.operation.input_tokens": ("histogram", "{token}", _OF_CALL | {"error.type"}),
    "gen_ai.client.inference.operation.output_tokens": ("histogram", "{token}", _OF_CALL | {"error.type"}),
    "gen_ai.client.embeddings.duration": ("histogram", "s", _OF_CALL | {"error.type"}),
    "gen_ai.client.embeddings.operation.input_tokens": ("histogram", "{token}", _OF_CALL | {"error.type"}),
    "gen_ai.client.operation.duration": ("histogram", "s", _OF_CALL | {"error.type"}),
    "gen_ai.invoke_agent.duration": ("histogram", "s", {"error.type", "gen_ai.request.model"}),
    "gen_ai.invoke_agent.inference_calls": ("histogram", "{inference_call}", set()),
    "gen_ai.invoke_agent.tool_calls": ("histogram", "{tool_call}", set()),
    "gen_ai.execute_tool.duration": ("histogram", "s", {"error.type", "gen_ai.tool.name", "gen_ai.tool.type"}),
}
"""Metrics: the instrument, the unit, and what its points may have. All are recommended."""

EVERYTHING: dict[str, Any] = {
    "temperature": 1,
    "top_p": 1,
    "max_tokens": 5,
    "stop": ["a"],
    "seed": 1,
    "n": 2,
    "frequency_penalty": 0.5,
    "presence_penalty": 1,
    "response_format": {"type": "json_object"},
}
DETAILS = {
    "prompt_tokens_details": {"cached_tokens": 1, "text_tokens": 2, "image_tokens": 3, "audio_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 1, "text_tokens": 2, "image_tokens": 3, "audio_tokens": 4},
}
USAGE = {"prompt_tokens": 10, "completion_tokens": 9, "total_tokens": 19}
CALLED = {"id": "call-1", "type": "function", "function": {"name": "add_one", "arguments": '{"number": 1}'}}
SPECIFIED: Any = {"type": "function", "function": {"name": "add_one", "description": "", "parameters": {}}}


def said(**body: Any) -> Callable[[], ScriptedResponse]:
    return lambda: ScriptedResponse.json(body)


def choice(**more: Any) -> Callable[[], ScriptedResponse]:
    message = {"role": "assistant", "content": "Hello"}
    of = {"id": "chat-1", "model": "m-0613", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    return said(**of, **more)


RESPONSE: dict[str, Any] = {"id": "resp_1", "object": "response", "status": "completed", "model": "m-0613"}
RESPONSE |= {"output": [], "service_tier": "default", "usage": {"input_tokens": 5, "output_tokens": 3}}
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "c",
    "stop_reason": "end_turn",
}
MESSAGE |= {"content": [], "usage": {"input_tokens": 5, "output_tokens": 3, "cache_creation_input_tokens": 2}}
VECTORS: dict[str, Any] = {
    "data": [{"index": 0, "embedding": [0.5]}],
    "model": "e-1",
    "usage": {"prompt_tokens": 4, "total_tokens": 4},
}


def streamed() -> ScriptedResponse:
    return ScriptedResponse.events(
        *({**of, "model": "m-0613"} for of in (chunk("Hel"), chunk("lo"), chunk("", "stop")))
    )


@tool
def add_one(number: int) -> int:
    """Adds one."""
    if number > 1:
        raise ValueError("too large")
    return number + 1


async def calls(driver: Driver, told: Told) -> None:
    """One of each kind, with all that can be asked and answered."""
    observer = told.observer(capture_content=True)

    def client(*acts_in_turn: Callable[[], Any], **more: Any) -> Any:
        return driver.client(observer=observer, transport=acts(*acts_in_turn), **more)

    there = {"provider": "openai", "token": "sk-Zx81mQv0e7"}
    async with client(
        refusal(503), choice(usage=USAGE | DETAILS, system_fingerprint="f", service_tier="x"), **there
    ) as of:
        await of.chat_completion(
            QUESTION, model="m", tools=[SPECIFIED], reasoning_effort="low", service_tier="flex", **EVERYTHING
        )
    async with client(said(**RESPONSE), **there) as of:
        prompt: Any = {"id": "pmpt_1", "version": "2"}
        more: Any = {"previous_response_id": "resp_0", "conversation": "conv_1", "prompt": prompt}
        await of.responses.create(model="m", input="Hi", instructions="be brief", **more)
        await of.responses.retrieve("resp_1")
    async with client(streamed, cut, refusal(500), base_url=URL, retries=0) as of:
        await of.chat_completion.stream(QUESTION, model="m").result()
        with pytest.raises(IncompleteStreamError):
            await of.chat_completion.stream(QUESTION, model="m").result()
        with pytest.raises(ServerError):
            await of.chat_completion(QUESTION, model="m")
    async with client(said(**MESSAGE), base_url=URL) as of:
        await of.create_message(QUESTION, model="c", max_tokens=9, system="be brief", top_k=4)
    async with client(said(**VECTORS), refusal(500), base_url=URL, retries=0) as of:
        await of.create_embedding("text", model="e", dimensions=1, encoding_format="float")
        with pytest.raises(ServerError):
            await of.create_embedding("text", model="e")
        with pytest.raises(ServerError):
            await of.responses.retrieve("resp_1")
    wrong = {**CALLED, "id": "call-2", "function": {"name": "add_one", "arguments": '{"number": 2}'}}
    called = answer("", tool_calls=[CALLED, wrong])
    async with client(lambda: called, answer, refusal(500), base_url=URL, retries=0) as of:
        of_one = {name: value for name, value in EVERYTHING.items() if name != "n"}
        await of.converse(QUESTION, tools=[add_one], model="m", stream=False, **of_one).result()
        with pytest.raises(ServerError):
            await of.converse(QUESTION, tools=[add_one], model="m", stream=False).result()


def kind_of(span: ReadableSpan) -> str:
    return "request" if span.name in ("POST", "GET") else KINDS[attributes(span)["gen_ai.operation.name"]]


def is_of(value: Any, kind: type[Any]) -> bool:
    return type(value) is kind and (kind is not tuple or all(isinstance(each, str) for each in value))


async def test_attributes_are_the_conventions_own_and_none_is_left_out(driver: Driver, told: Told) -> None:
    await calls(driver, told)
    seen: dict[str, set[str]] = {kind: set() for kind in SPANS}
    for span in told.spans:
        kind, found = kind_of(span), attributes(span)
        own = {name for name in found if not name.startswith("headwater.")}
        assert own <= SPANS[kind].keys(), span.name
        assert [name for name in own if not is_of(found[name], TYPES[name])] == []
        required = {name for name, level in SPANS[kind].items() if level == "required"}
        if not (kind == "fetch_response" and "error.type" in found):  # what was refused has no id
            assert required <= own, span.name
        if found.get("gen_ai.provider.name") != "openai":
            assert not any(name.startswith("openai.") for name in own)
        if "server.address" in own:
            assert "server.port" in own
        is_internal = kind in ("invoke_agent", "execute_tool")
        assert span.kind is (SpanKind.INTERNAL if is_internal else SpanKind.CLIENT)
        seen[kind] |= own
    unknown = {"invoke_agent": {"gen_ai.conversation.id", "gen_ai.request.choice.count", "gen_ai.system_instructions"}}
    assert {kind: SPANS[kind].keys() - names - unknown.get(kind, set()) for kind, names in seen.items()} == {
        kind: set() for kind in SPANS
    }


async def test_span_names(driver: Driver, told: Told) -> None:
    await calls(driver, told)
    for span in told.spans:
        found = attributes(span)
        operation, model = found.get("gen_ai.operation.name"), found.get("gen_ai.request.model")
        if kind_of(span) in ("inference", "embeddings"):
            assert span.name == f"{operation} {model}"
        elif kind_of(span) == "execute_tool":
            assert span.name == "execute_tool add_one"
        else:
            assert span.name in ("POST", "GET", "invoke_agent", "fetch_response")


async def test_metrics_are_the_conventions_own(driver: Driver, told: Told) -> None:
    await calls(driver, told)
    data = told.reader.get_metrics_data()
    assert data is not None
    (resource,) = data.resource_metrics
    (scope,) = resource.scope_metrics
    found = {metric.name: metric for metric in scope.metrics}
    assert found.keys() == METRICS.keys()
    for name, metric in found.items():
        instrument, unit, places = METRICS[name]
        assert isinstance(metric.data, Histogram if instrument == "histogram" else Sum), name
        assert metric.unit == unit
        told_of = {attribute for point in metric.data.data_points for attribute in point.attributes or ()}
        assert told_of <= places, name
        unknown = {"gen_ai.request.model"} if name == "gen_ai.client.operation.duration" else set()
        assert places - told_of <= {"error.type"} | unknown, name
        values = [(key, value) for point in metric.data.data_points for key, value in (point.attributes or {}).items()]
        assert [pair for pair in values if not is_of(pair[1], TYPES[pair[0]])] == []


async def test_content_is_told_by_nobody_who_was_not_asked(driver: Driver, told: Told) -> None:
    async with driver.client(base_url=URL, observer=told.observer(), transport=acts(answer)) as client:
        await client.converse(QUESTION, tools=[add_one], model="m", stream=False).result()
    for span in told.spans:
        levels = SPANS[kind_of(span)]
        assert [name for name in attributes(span) if levels.get(name) == "opt-in"] == []


async def test_tokens_are_counted_by_modality(driver: Driver, told: Told) -> None:
    usage = {"prompt_tokens": 12, "completion_tokens": 9, "total_tokens": 21} | DETAILS
    async with driver.client(base_url=URL, observer=told.observer(), transport=acts(choice(usage=usage))) as client:
        await client.chat_completion(QUESTION, model="m")
        await client.chat_completion(QUESTION, model="m")
    found = told.metrics()

    def counted(name: str) -> dict[Any, int]:
        points = found[f"gen_ai.client.inference.usage.{name}"]
        return {point.attributes["gen_ai.token.modality"]: point.value for point in points}

    assert counted("input_tokens") == {"unknown": 6, "text": 4, "image": 6, "audio": 8}
    assert counted("output_tokens") == {"unknown": 0, "text": 4, "image": 6, "audio": 8}
    assert counted("cache_read.input_tokens") == {"unknown": 2}


async def test_the_tokens_of_each_call_may_be_left_out(driver: Driver, told: Told) -> None:
    observer = told.observer(token_histograms=False)
    async with driver.client(base_url=URL, observer=observer, transport=acts(answer)) as client:
        await client.chat_completion(QUESTION, model="m")
    found = told.metrics()
    assert not any(name.startswith("gen_ai.client.inference.operation.") for name in found)
    assert [point.value for point in found["gen_ai.client.inference.usage.output_tokens"]] == [3]


@pytest.mark.parametrize("how", ["cut", "left"])
async def test_a_reason_that_did_not_come_is_an_error(driver: Driver, told: Told, how: str) -> None:
    client = driver.client(base_url=URL, observer=told.observer(), transport=acts(cut if how == "cut" else silent))
    async with client, client.chat_completion.stream(QUESTION) as run:
        await run.__anext__()
        if how == "cut":
            with pytest.raises(IncompleteStreamError):
                await run.result()
    assert attributes(told.spans[0])["gen_ai.response.finish_reasons"] == ("error",)


@pytest.mark.parametrize(
    ("status", "details", "reason"),
    [
        ("completed", None, "stop"),
        ("incomplete", {"reason": "max_output_tokens"}, "length"),
        ("incomplete", {"reason": "content_filter"}, "content_filter"),
        ("cancelled", None, "error"),
        ("in_progress", None, None),
    ],
)
async def test_what_became_of_a_response(
    driver: Driver, told: Told, status: str, details: Any, reason: str | None
) -> None:
    body = {**RESPONSE, "status": status, "incomplete_details": details}
    async with driver.client(base_url=URL, observer=told.observer(), transport=acts(said(**body))) as client:
        await client.responses.retrieve("resp_1")
    found = attributes(told.spans[0])
    assert told.spans[0].name == "fetch_response"
    assert found["gen_ai.response.status"] == status
    assert found.get("gen_ai.response.finish_reasons") == (None if reason is None else (reason,))


async def test_what_is_no_sampling_is_not_told_as_such(driver: Driver, told: Told) -> None:
    labels = [{"label": "a", "score": 1.0}]
    async with driver.client(
        base_url="http://127.0.0.1:9", observer=told.observer(), transport=acts(lambda: ScriptedResponse.json(labels))
    ) as client:
        await client.text_classification("text", top_k=1)
    assert "gen_ai.request.top_k" not in attributes(told.spans[0])


async def test_the_server_that_answered_a_hedge_is_told(driver: Driver, told: Told) -> None:
    async with driver.client(
        provider=[Route(base_url="http://127.0.0.1:1", model="m"), Route(base_url="http://127.0.0.2:2", model="m")],
        observer=told.observer(),
        transport=acts(refusal(401), answer),
    ) as client:
        await client.chat_completion(QUESTION)
    found = attributes(told.spans[0])
    assert (found["headwater.provider"], found["server.address"], found["server.port"]) == (
        "http://127.0.0.2:2",
        "127.0.0.2",
        2,
    )


async def test_a_stream_tells_its_form(driver: Driver, told: Told) -> None:
    body: Any = [chunk("1"), chunk("", "stop")]
    transport = acts(lambda: ScriptedResponse.events(*body))
    async with driver.client(base_url=URL, observer=told.observer(capture_content=True), transport=transport) as client:
        await client.chat_completion.stream(QUESTION, response_format={"type": "text"}).result()
    found = attributes(told.spans[0])
    assert found["gen_ai.output.type"] == "text"
    assert json.loads(found["gen_ai.output.messages"]) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "1"}]}
    ]
