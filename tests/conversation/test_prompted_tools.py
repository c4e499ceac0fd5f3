"""Tools for servers that have none: what a model is told, and how its text is read."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from support.drivers import Driver

from headwater import ChatCompletionOutputMessage, InvalidAnswerError, Tool, tool
from headwater.conversation import prompted
from headwater.conversation.turn_schema import answer_of_text, turn_form
from headwater.emulator.server import Emulator


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool
def now() -> str:
    """Tell the time."""
    return "noon"


TOOLS: dict[str, Tool[..., Any]] = {"add": add, "now": now}
ALLOWED = {
    "type": "allowed_tools",
    "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "add"}}]},
}
CALL = '{"name": "add", "arguments": {"a": 1, "b": 2}}'
SUM = ("add", {"a": 1, "b": 2})
READ: dict[str, tuple[str, list[Any]]] = {
    "as it was told to": (f'{{"tool_calls": [{CALL}]}}', [SUM]),
    "two calls": (f'{{"tool_calls": [{CALL}, {{"name": "now", "arguments": {{}}}}]}}', [SUM, ("now", {})]),
    "in a fence, behind words": (f'I shall add.\n```json\n{{"tool_calls": [{CALL}]}}\n```', [SUM]),
    "Hermes's": (f"<tool_call>\n{CALL}\n</tool_call>\n<tool_call>{CALL}</tool_call>", [SUM, SUM]),
    "Hermes's, not closed": (f"<tool_call>{CALL}", [SUM]),
    "Mistral's": (f"[TOOL_CALLS] [{CALL}]", [SUM]),
    "Llama's": ('<|python_tag|>{"name": "add", "parameters": {"a": 1, "b": 2}}', [SUM]),
    "in an object, as servers want it that know no choice at the root": (
        f'{{"value": {{"tool_calls": [{CALL}]}}}}',
        [SUM],
    ),
    "a list": (f"[{CALL}]", [SUM]),
    "OpenAI's own": (f'{{"type": "function", "function": {CALL}}}', [SUM]),
    "arguments as text": ('{"name": "add", "arguments": "{\\"a\\": 1, \\"b\\": 2}"}', [SUM]),
    "an unknown tool, where calls are meant": ('{"tool_calls": [{"name": "x", "arguments": {}}]}', [("x", {})]),
}
SAID = {
    '{"answer": "It is 3."}': "It is 3.",
    "It is 3.": "It is 3.",
    '{"answer": {"sum": 3}}': '{"sum": 3}',
    '{"value": {"answer": "It is 3."}}': "It is 3.",
    '{"tool_calls": [], "answer": "It is 3."}': "It is 3.",
    '{"name": "x", "arguments": {}}': '{"name": "x", "arguments": {}}',
    "{[{": "{[{",
    "{" * 2000: "{" * 2000,
    "": "",
}


@pytest.mark.parametrize(("text", "calls"), READ.values(), ids=READ)
def test_calls_are_read_from_a_text(text: str, calls: list[Any]) -> None:
    message = answer_of_text(ChatCompletionOutputMessage(content=text), TOOLS)
    assert [(c.function.name, json.loads(c.function.arguments)) for c in message.tool_calls or ()] == calls
    assert message.content is None


@pytest.mark.parametrize(("text", "said"), SAID.items())
def test_a_text_without_a_call_is_the_answer(text: str, said: str) -> None:
    message = answer_of_text(ChatCompletionOutputMessage(content=text), TOOLS)
    assert (message.tool_calls, message.content) == (None, said)


@pytest.mark.parametrize("system", ["", "Be brief."])
def test_a_conversation_is_put_into_words(system: str) -> None:
    made = {"id": "a", "type": "function", "function": {"name": "add", "arguments": '{"a":1,"b":2}'}}
    other = {**made, "id": "b", "function": {"name": "now", "arguments": "{}"}}
    messages: list[dict[str, Any]] = [
        *([{"role": "system", "content": system}] if system else []),
        {"role": "user", "content": "1 + 2?"},
        {"role": "assistant", "tool_calls": [made, other]},
        {"role": "tool", "tool_call_id": "a", "content": "3"},
        {"role": "tool", "tool_call_id": "b", "content": "noon"},
    ]
    told = prompted.messages_in_words(messages, TOOLS, prompted.Wishes())
    assert [message["role"] for message in told] == ["system", "user", "assistant", "user"]
    assert told[0]["content"].startswith(system)
    assert "Add two numbers." in told[0]["content"]
    assert prompted.read_text(told[2]["content"], TOOLS).calls
    assert told[3]["content"] == "add returned:\n3\n\nnow returned:\nnoon"
    assert all(message.keys() == {"role", "content"} for message in told)


@pytest.mark.parametrize(
    ("choice", "is_first", "may"),
    [
        ("auto", True, {"tool_calls", "answer"}),
        ("required", True, {"tool_calls"}),
        ("required", False, {"tool_calls", "answer"}),
        ("none", True, {"answer"}),
        ({"type": "function", "function": {"name": "add"}}, True, {"tool_calls"}),
        ({"function": {"name": "add"}}, True, {"tool_calls"}),
        (ALLOWED, True, {"tool_calls", "answer"}),
    ],
)
def test_the_schema_allows_what_is_asked_for(choice: Any, is_first: bool, may: set[str]) -> None:
    wishes = prompted.wishes_of(choice, None, is_first=is_first)
    form, _ = turn_form(TOOLS, None, wishes, "constrained")
    assert form is not None
    schema = form.schema
    assert {name for each in schema.get("anyOf", [schema]) for name in each["properties"]} == may
    said = str(prompted.messages_in_words([], TOOLS, wishes)[0]["content"])
    assert {name for name in ("tool_calls", "answer") if f'{{"{name}":' in said} == may


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["prompted", "constrained"])
async def test_a_server_without_tools_calls_them(driver: Driver, headwater_emulator: Emulator, mode: str) -> None:
    headwater_emulator.script("no-tools", f'{{"tool_calls": [{CALL}]}}', '{"answer": "It is 3."}')
    asked = [{"role": "user", "content": "1 + 2?"}]
    async with driver.client(base_url=f"{headwater_emulator}/v1") as client:
        result = await client.converse(asked, tools=[add, now], model="no-tools", tool_mode=mode).result()
    assert result.text == "It is 3."
    assert result.turns[0].returned[0].value == 3
    assert [message["role"] for message in result.transcript] == ["user", "assistant", "tool", "assistant"]
    sent = headwater_emulator.requests[-1].json
    assert ("tools" in sent, "response_format" in sent) == (False, mode == "constrained")


class Leg(msgspec.Struct):
    to: str
    miles: int


class Trip(msgspec.Struct):
    legs: list[Leg]
    answer: str = ""


@tool
def price(legs: list[Leg], several: bool = False) -> int:
    """Price some legs."""
    return sum(leg.miles for leg in legs)


LEGS = [{"to": "Rome", "miles": 3}]
PRICED = json.dumps({"tool_calls": [{"name": "price", "arguments": {"legs": LEGS}}]})
TRIP = Trip([Leg("Rome", 3)])


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["prompted", "constrained"])
@pytest.mark.parametrize("stream", [True, False])
async def test_the_answer_is_a_value_of_a_type(
    driver: Driver, headwater_emulator: Emulator, mode: str, stream: bool
) -> None:
    options: dict[str, Any] = {"tools": [price, now], "model": "typed", "tool_mode": mode, "stream": stream}
    asked = [{"role": "user", "content": "To Rome!"}]
    headwater_emulator.script("typed", PRICED, '{"answer": {"legs": 3}}', json.dumps({"answer": {"legs": LEGS}}))
    before = len(headwater_emulator.requests)
    async with driver.client(base_url=f"{headwater_emulator}/v1") as client:
        run = client.converse(asked, response_format=Trip, on_invalid="ask again", **options)
        async with run:
            parts = [run.partial.parsed async for _ in run]
            result = await run.result()
        headwater_emulator.script("typed", PRICED, '{"answer": {"legs": 3}}')
        with pytest.raises(InvalidAnswerError) as caught:
            await client.converse(asked, response_format=Trip, **options).result()
    assert (result.parsed, result.turns[0].returned[0].value) == (TRIP, 3)
    assert [message["role"] for message in result.transcript] == ["user", "assistant", "tool", "assistant"]
    assert json.loads(result.text) == {"legs": LEGS}
    assert not stream or any(part is not None and part != TRIP for part in parts)
    assert (caught.value.path, caught.value.partial.transcript[-1]["role"]) == ("$.legs", "tool")
    sent = [request.json for request in headwater_emulator.requests[before:]]
    assert [message["role"] for message in sent[2]["messages"][-2:]] == ["assistant", "user"]
    assert all(("response_format" in each) == (mode == "constrained") for each in sent)
    assert "Trip" in sent[0]["messages"][0]["content"]
    assert "$defs" not in json.dumps(sent[0].get("response_format"))


FINALS = {
    "as it was told to": json.dumps({"answer": {"legs": LEGS}}),
    "in an object": json.dumps({"value": {"answer": {"legs": LEGS}}}),
    "by itself": json.dumps({"legs": LEGS}),
    "by itself, with a member of that name": json.dumps({"legs": LEGS, "answer": ""}),
    "behind words": f"Here you are: {json.dumps({'answer': {'legs': LEGS}})}",
}


@pytest.mark.parametrize("text", FINALS.values(), ids=FINALS)
def test_a_typed_answer_is_read_however_it_is_written(text: str) -> None:
    form, _ = turn_form(TOOLS, Trip, prompted.Wishes(), "prompted")
    reader: Any = form
    assert reader.decode(text).value == TRIP
    so_far = reader.partial()
    for end in range(len(text)):
        so_far.read(text[:end])
    assert so_far.read(text) == (None if text.startswith("Here") else TRIP)
    assert so_far.read(f'{{"tool_calls": [{CALL}') is None


def test_a_format_of_the_callers_own_is_told_and_demanded() -> None:
    schema = {
        "type": "object",
        "properties": {"sum": {"$ref": "#/definitions/N"}},
        "definitions": {"N": {"type": "number"}},
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "sum", "schema": schema}}
    form, told = turn_form({"price": price}, wanted, prompted.Wishes(several=False), "constrained")
    assert form is not None
    assert told == schema
    answer = form.schema["anyOf"][1]["properties"]["answer"]
    assert answer == {"type": "object", "properties": {"sum": {"$ref": "#/$defs/N"}}}
    assert form.schema["$defs"].keys() == {"Leg", "N"}
    assert form.schema["anyOf"][0]["properties"]["tool_calls"]["maxItems"] == 1


def test_what_a_tools_schema_defines_keeps_its_meaning_among_others() -> None:
    first = Tool(
        print, name="a", parameters={"properties": {"x": {"$ref": "#/$defs/X"}}, "$defs": {"X": {"type": "string"}}}
    )
    other = Tool(
        print, name="b", parameters={"properties": {"x": {"$ref": "#/$defs/X"}}, "$defs": {"X": {"type": "null"}}}
    )
    tree = Tool(print, name="c", parameters={"type": "object", "properties": {"inner": {"$ref": "#"}}})
    form, _ = turn_form({"a": first, "b": other, "c": tree}, None, prompted.Wishes(), "constrained")
    assert form is not None
    calls = form.schema["anyOf"][0]["properties"]["tool_calls"]["items"]["anyOf"]
    pointed = [each["properties"]["arguments"] for each in calls]
    assert [each.get("properties", {}).get("x") for each in pointed] == [
        {"$ref": "#/$defs/X"},
        {"$ref": "#/$defs/X_2"},
        None,
    ]
    assert form.schema["$defs"][pointed[2]["$ref"].removeprefix("#/$defs/")]["properties"]["inner"] == pointed[2]
