"""Tools for servers that have none: what a model is told, and how its text is read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.drivers import Driver

from headwater import ChatCompletionOutputMessage, Tool, tool
from headwater.conversation import prompted
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
    "a list": (f"[{CALL}]", [SUM]),
    "OpenAI's own": (f'{{"type": "function", "function": {CALL}}}', [SUM]),
    "arguments as text": ('{"name": "add", "arguments": "{\\"a\\": 1, \\"b\\": 2}"}', [SUM]),
    "an unknown tool, where calls are meant": ('{"tool_calls": [{"name": "x", "arguments": {}}]}', [("x", {})]),
}
SAID = {
    '{"answer": "It is 3."}': "It is 3.",
    "It is 3.": "It is 3.",
    '{"answer": {"sum": 3}}': '{"sum": 3}',
    '{"name": "x", "arguments": {}}': '{"name": "x", "arguments": {}}',
    "{[{": "{[{",
    "{" * 2000: "{" * 2000,
    "": "",
}


@pytest.mark.parametrize(("text", "calls"), READ.values(), ids=READ)
def test_calls_are_read_from_a_text(text: str, calls: list[Any]) -> None:
    message = prompted.read(ChatCompletionOutputMessage(content=text), TOOLS)
    assert [(c.function.name, json.loads(c.function.arguments)) for c in message.tool_calls or ()] == calls
    assert message.content is None


@pytest.mark.parametrize(("text", "said"), SAID.items())
def test_a_text_without_a_call_is_the_answer(text: str, said: str) -> None:
    message = prompted.read(ChatCompletionOutputMessage(content=text), TOOLS)
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
    told = prompted.messages_in_words(messages, TOOLS)
    assert [message["role"] for message in told] == ["system", "user", "assistant", "user"]
    assert told[0]["content"].startswith(system)
    assert "Add two numbers." in told[0]["content"]
    assert prompted.read(ChatCompletionOutputMessage(content=told[2]["content"]), TOOLS).tool_calls
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
    ],
)
def test_the_schema_allows_what_is_asked_for(choice: Any, is_first: bool, may: set[str]) -> None:
    form = prompted.response_format(TOOLS, choice, is_first=is_first)
    schema = form["json_schema"]["schema"]
    found = {name for each in schema.get("anyOf", [schema]) for name in each["properties"]}
    assert found == may


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
