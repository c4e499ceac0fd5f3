"""Answers of a type in the Responses and in Messages: what is sent, the value, what is none, asking again, cuts."""

from __future__ import annotations

import json
import pickle
from typing import Any, Literal

import msgspec
import pytest
from support import message_events, response_events
from support.drivers import Driver

from headwater import (
    ConnectionLostError,
    IncompleteStreamError,
    InferenceClient,
    InvalidAnswerError,
    InvalidParameterError,
    ParsedMessage,
    ParsedModelResponse,
    RefusedAnswerError,
    Route,
    TruncatedAnswerError,
)
from headwater.testing import MemoryTransport, ScriptedResponse

pytestmark = [pytest.mark.anyio, pytest.mark.dealt]

EVENTS = "text/event-stream"
ASKED: list[dict[str, Any]] = [{"role": "user", "content": "an invoice"}]


class Invoice(msgspec.Struct):
    number: int
    state: Literal["open", "paid"] = "open"


VALUE = '{"number": 7, "state": "paid"}'
SCHEMA = {
    "type": "object",
    "properties": {"number": {"type": "integer"}, "state": {"type": "string", "enum": ["open", "paid"]}},
    "required": ["number", "state"],
    "additionalProperties": False,
}


class Responses:
    """How a test asks for a response of a type, and what the server says."""

    kind = ParsedModelResponse
    limit = "max_output_tokens"

    @staticmethod
    def said(text: str, status: str = "completed", **more: Any) -> dict[str, Any]:
        part = {"type": "output_text", "text": text, "annotations": []}
        found = {**response_events.MESSAGE, "content": [more.pop("part", part)]}
        usage = {"input_tokens": 5, "output_tokens": 3, "total_tokens": 8}
        output = more.pop("output", [found])
        return {**response_events.RESPONSE, "status": status, "output": output, "usage": usage, **more}

    @classmethod
    def events(cls, text: str) -> list[bytes]:
        pieces = [response_events.delta(text[at : at + 5]) for at in range(0, len(text), 5)]
        begun = response_events.event("response.created", response=response_events.RESPONSE)
        return [begun, *pieces, response_events.event("response.completed", response=cls.said(text))]

    @staticmethod
    def call(client: Any, wanted: Any, **more: Any) -> Any:
        return client.create_response("an invoice", text_format=wanted, **more)

    @staticmethod
    def stream(client: Any, wanted: Any, **more: Any) -> Any:
        return client.create_response.stream("an invoice", text_format=wanted, **more)

    @staticmethod
    def format_in(body: dict[str, Any]) -> Any:
        assert body["text"]["format"].pop("name") and body["text"]["format"].pop("strict") is True
        return body["text"]["format"]

    @staticmethod
    def history(body: dict[str, Any]) -> list[Any]:
        return list(body["input"])


STOPS = {"max_output_tokens": "max_tokens", "content_filter": "refusal", None: "end_turn"}


class Messages:
    """The same of messages."""

    kind = ParsedMessage
    limit = "max_tokens"

    @staticmethod
    def said(text: str, status: str = "completed", **more: Any) -> dict[str, Any]:
        details = more.get("incomplete_details") or {}
        block = more.get("block", {"type": "text", "text": text})
        return message_events.message(block, stop=more.get("stop", STOPS[details.get("reason")]))

    @classmethod
    def events(cls, text: str) -> list[bytes]:
        pieces = [message_events.delta(0, "text_delta", text=text[at : at + 5]) for at in range(0, len(text), 5)]
        begun = [message_events.start(), message_events.begin(0, type="text", text="")]
        return [message_events.sse(each) for each in (*begun, *pieces, message_events.stop(0), *message_events.end())]

    @staticmethod
    def call(client: Any, wanted: Any, **more: Any) -> Any:
        return client.create_message(ASKED, output_format=wanted, **{"max_tokens": 90, **more})

    @staticmethod
    def stream(client: Any, wanted: Any, **more: Any) -> Any:
        return client.create_message.stream(ASKED, output_format=wanted, **{"max_tokens": 90, **more})

    @staticmethod
    def format_in(body: dict[str, Any]) -> Any:
        return body["output_config"]["format"]

    @staticmethod
    def history(body: dict[str, Any]) -> list[Any]:
        return list(body["messages"])


DIALECTS = pytest.mark.parametrize("dialect", [Responses, Messages], ids=["responses", "messages"])
Dialect = Any


def client_of(driver: Driver, transport: MemoryTransport, **more: Any) -> Any:
    given = {"base_url": "http://127.0.0.1:9/v1", "model": "m", "retries": 0, **more}
    return driver.client(transport=transport, **given)


def streamed(*pieces: Any) -> ScriptedResponse:
    return ScriptedResponse(*pieces, content_type=EVENTS)


@DIALECTS
async def test_a_value_whole_and_streamed(driver: Driver, dialect: Dialect) -> None:
    answers = [ScriptedResponse.json(dialect.said(VALUE)), streamed(*dialect.events(VALUE))]
    transport = MemoryTransport.in_turn(*answers)
    async with client_of(driver, transport) as client:
        whole = await dialect.call(client, Invoice)
        async with dialect.stream(client, Invoice) as run:
            seen = []
            async for _ in run:
                seen.append(run.partial.parsed if run.partial is not None else None)
            result = await run.result()
    assert type(whole) is type(result) is dialect.kind
    assert whole.parsed == result.parsed == Invoice(7, "paid")
    assert (whole.output_parsed if dialect is Responses else whole.parsed_output) == whole.parsed
    assert Invoice(7, "open") in seen and seen[-1] == whole.parsed
    assert pickle.loads(pickle.dumps(whole)).parsed == whole.parsed
    for request in transport.requests:
        assert dialect.format_in(request.json()) == {"type": "json_schema", "schema": SCHEMA}


@DIALECTS
async def test_what_stands_beside_the_type(driver: Driver, dialect: Dialect) -> None:
    """A list of them, in the object that servers want; what else goes in the same member; a form that is no type."""
    beside = {"text": {"verbosity": "low"}} if dialect is Responses else {"output_config": {"effort": "low"}}
    answers = [dialect.said('{"value": [{"number": 1}]}'), dialect.said(VALUE)]
    transport = MemoryTransport.in_turn(*map(ScriptedResponse.json, answers))
    async with client_of(driver, transport) as client:
        assert (await dialect.call(client, list[Invoice], **beside)).parsed == [Invoice(1)]
        plain = await dialect.call(client, {"type": "json_schema", "name": "n", "strict": True, "schema": {}})
    assert not hasattr(plain, "parsed") and plain.raw == answers[1]
    first, second = (request.json() for request in transport.requests)
    assert {**first, **{name: {**first[name], **value} for name, value in beside.items()}} == first
    assert dialect.format_in(first)["schema"]["properties"]["value"]["type"] == "array"
    form = second["text" if dialect is Responses else "output_config"]["format"]
    assert form == {"type": "json_schema", "name": "n", "strict": True, "schema": {}}


WRONG: dict[str, tuple[Any, type[InvalidAnswerError]]] = {
    "no value": ({"text": '{"number": "x"}'}, InvalidAnswerError),
    "cut": (
        {"text": '{"number": 7', "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
        TruncatedAnswerError,
    ),
    "filtered": (
        {"text": VALUE, "status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
        RefusedAnswerError,
    ),
}


@DIALECTS
@pytest.mark.parametrize("name", WRONG)
async def test_what_is_no_value_is_an_error(driver: Driver, dialect: Dialect, name: str) -> None:
    said, kind = WRONG[name]
    transport = MemoryTransport.in_turn(ScriptedResponse.json(dialect.said(**said)))
    async with client_of(driver, transport) as client:
        with pytest.raises(InvalidAnswerError) as caught:
            await dialect.call(client, Invoice)
    assert type(caught.value) is kind and caught.value.text == said["text"]
    assert type(caught.value.partial) is dialect.kind and caught.value.usage is not None


async def test_a_refusal_in_the_responses(driver: Driver) -> None:
    refused = Responses.said("", part={"type": "refusal", "refusal": "I will not."})
    async with client_of(driver, MemoryTransport.in_turn(ScriptedResponse.json(refused))) as client:
        with pytest.raises(RefusedAnswerError, match="I will not"):
            await Responses.call(client, Invoice)


@DIALECTS
async def test_a_call_of_a_tool_has_no_value(driver: Driver, dialect: Dialect) -> None:
    call = {"type": "function_call", "id": "f", "call_id": "c", "name": "add", "arguments": "{}"}
    use = {"type": "tool_use", "id": "c", "name": "add", "input": {}}
    transport = MemoryTransport.in_turn(
        ScriptedResponse.json(dialect.said("", output=[call], block=use, stop="tool_use"))
    )
    async with client_of(driver, transport) as client:
        assert (await dialect.call(client, Invoice)).parsed is None


@DIALECTS
@pytest.mark.parametrize("stream", [False, True])
async def test_asking_again(driver: Driver, dialect: Dialect, stream: bool) -> None:
    texts = ['{"number": "x"}', VALUE]
    whole = [ScriptedResponse.json(dialect.said(text)) for text in texts]
    answers = [streamed(*dialect.events(text)) for text in texts] if stream else whole
    transport = MemoryTransport.in_turn(*answers)
    given = {"on_invalid": "ask again", "max_tries": 2, "token_budget": 400, dialect.limit: 90}
    async with client_of(driver, transport) as client:
        if stream:
            answer = await dialect.stream(client, Invoice, **given).result()
        else:
            answer = await dialect.call(client, Invoice, **given)
    assert answer.parsed == Invoice(7, "paid") and [each.text for each in answer.tries] == texts[:1]
    assert answer.total_usage.total_tokens == 2 * answer.usage.total_tokens
    asked, said, reason = dialect.history(transport.requests[1].json())
    assert asked == ASKED[0] and said["role"] == "assistant" and "number" in reason["content"]
    assert transport.requests[1].json()[dialect.limit] == 90 and not {"on_invalid", "max_tries"} & asked.keys()


@DIALECTS
async def test_a_cut_has_the_value_so_far(driver: Driver, dialect: Dialect) -> None:
    pieces = dialect.events(VALUE)
    transport = MemoryTransport.in_turn(streamed(*pieces[:5], ConnectionLostError("the connection was lost")))
    async with client_of(driver, transport) as client:
        with pytest.raises(IncompleteStreamError) as caught:
            await dialect.stream(client, Invoice).result()
    assert caught.value.partial.parsed == Invoice(7)


async def test_a_response_in_the_background(driver: Driver) -> None:
    """One that is not over has no value; a stream that is cut goes on, and is of the type all the same."""
    *_, done = Responses.events(VALUE)
    begun = response_events.event("response.created", response=response_events.RESPONSE, sequence_number=0)
    first = response_events.delta(VALUE[:5], sequence_number=1)
    transport = MemoryTransport.in_turn(
        ScriptedResponse.json({**response_events.RESPONSE, "status": "queued"}),
        streamed(begun, first, ConnectionLostError("the connection was lost")),
        streamed(done),
    )
    async with client_of(driver, transport, retries=1) as client:
        queued = await Responses.call(client, Invoice, background=True)
        answer = await Responses.stream(client, Invoice, background=True).result()
    assert queued.status == "queued" and queued.output_parsed is None
    assert type(answer) is ParsedModelResponse and answer.output_parsed == Invoice(7, "paid")


@pytest.mark.parametrize("name", ["text_format", "output_format"])
def test_what_is_no_type(name: str) -> None:
    with InferenceClient(base_url="http://127.0.0.1:9", transport=MemoryTransport.in_turn()) as client:
        ask = client.responses.parse if name == "text_format" else client.messages.parse
        given: dict[str, Any] = {"input": "x"} if name == "text_format" else {"messages": ASKED, "max_tokens": 9}
        for wrong in ({name: 3}, {"on_invalid": "repair"}):
            with pytest.raises(InvalidParameterError, match=name):
                ask(**given, **wrong)


@pytest.mark.parametrize(
    ("provider", "ask", "names"),
    [("xai", "responses", {"number", "state"}), ("anthropic", "messages", {"number", "state"})],
)
def test_each_vendors_own_rules(provider: str, ask: str, names: set[str]) -> None:
    dialect: Dialect = Responses if ask == "responses" else Messages
    transport = MemoryTransport.in_turn(ScriptedResponse.json(dialect.said(VALUE)))
    route = Route(provider, model="m", api_key="key-of-a-test")
    with InferenceClient(provider=[route], transport=transport) as client:
        given: dict[str, Any] = {"text_format": Invoice} if ask == "responses" else {"output_format": Invoice}
        if ask == "responses":
            assert client.responses.parse("x", **given).output_parsed == Invoice(7, "paid")
        else:
            assert client.messages.parse(max_tokens=9, messages=ASKED, **given).parsed_output == Invoice(7, "paid")
    form = json.loads(transport.requests[0].body)
    assert set(dialect.format_in(form)["schema"]["properties"]) == names
