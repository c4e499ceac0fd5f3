"""A conversation's messages as items of the Responses, and back: tools, pictures, refusals, and what has no place."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater import InferenceClient, InvalidParameterError, Route, chat_messages, emulator, response_input
from headwater.tasks.model_response import ModelResponse

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}}
FILE = {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0=", "filename": "a.pdf"}}
SOUND = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}


def called(id_: str, arguments: str = "{}", content: str | None = None) -> dict[str, Any]:
    call = {"id": id_, "type": "function", "function": {"name": "f", "arguments": arguments}}
    return {"role": "assistant", "content": content, "tool_calls": [call]}


CONVERSATION: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "look"}, PICTURE, FILE, SOUND]},
    called("c1", '{"a": 1}', "I look."),
    {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "seen"}, PICTURE]},
    {"role": "assistant", "content": "It is so."},
    {"role": "user", "content": "why"},
    {"role": "assistant", "content": None, "refusal": "No."},
    {"role": "developer", "content": "Say."},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c2", "type": "custom", "custom": {"name": "g", "input": "x"}}],
    },
    {"role": "tool", "tool_call_id": "c2", "content": "done"},
]


def test_a_conversation_there_and_back() -> None:
    items = response_input(CONVERSATION)
    assert [item.get("type", item.get("role")) for item in items] == [
        *("system", "user", "assistant", "function_call", "function_call_output", "assistant", "user", "assistant"),
        *("developer", "custom_tool_call", "custom_tool_call_output"),
    ]
    assert items[1]["content"] == [
        {"type": "input_text", "text": "look"},
        {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"},
        {"type": "input_file", **FILE["file"]},  # type: ignore[dict-item]
        SOUND,
    ]
    assert items[3] == {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a": 1}'}
    assert chat_messages(items) == CONVERSATION


def test_an_output_as_messages() -> None:
    output: Any = [
        {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "e"},
        {"type": "function_call", "id": "i", "call_id": "c", "name": "f", "arguments": "{}", "status": "completed"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a", "annotations": []}]},
        {"type": "function_call", "call_id": "d", "name": "f", "arguments": "{}"},
    ]
    (message,) = chat_messages(ModelResponse(output=output).output)
    assert message["content"] == "a" and [call["id"] for call in message["tool_calls"]] == ["c", "d"]
    assert chat_messages("hi") == [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    ("make", "value", "said"),
    [
        (response_input, [{"role": "user", "content": "a", "name": "bob"}], r"messages\[0\].name"),
        (response_input, [{"role": "function", "content": "a"}], "'function'"),
        (response_input, [{"role": "user", "content": [{"type": "hologram"}]}], r"content\[0\] of the type 'hologram'"),
        (response_input, [{"role": "assistant", "content": None, "audio": {"id": "a"}}], "audio"),
        (chat_messages, [{"type": "web_search_call", "id": "w"}], r"items\[0\] of the type 'web_search_call'"),
        (chat_messages, [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}], "input_image"),
        (chat_messages, [{"type": "item_reference", "id": "m"}], "item_reference"),
    ],
)
def test_what_has_no_place_is_refused_by_name(make: Any, value: Any, said: str) -> None:
    with pytest.raises(InvalidParameterError, match=said):
        make(value)


def turn_of(said: tuple[str, str | None, list[str]]) -> list[dict[str, Any]]:
    """A question, what the model says and calls, and what the calls bring."""
    asked, answer, results = said
    calls = [called(f"c{number}")["tool_calls"][0] for number, _ in enumerate(results)]
    spoken = {"role": "assistant", "content": answer or None, **({"tool_calls": calls} if calls else {})}
    return [
        {"role": "user", "content": asked},
        *([spoken] if answer or calls else []),
        *({"role": "tool", "tool_call_id": f"c{number}", "content": text} for number, text in enumerate(results)),
    ]


TEXTS = st.text(max_size=8)
TURNS = st.lists(st.tuples(TEXTS, st.none() | TEXTS, st.lists(TEXTS, max_size=3)).map(turn_of), max_size=4)


@given(TURNS)
def test_any_conversation_there_and_back(turns: list[list[dict[str, Any]]]) -> None:
    messages = [message for turn in turns for message in turn]
    assert chat_messages(response_input(messages)) == messages


DIALECTS = ("chat", "responses", "messages")
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {"name": "weather_now", "parameters": CITY}


def test_a_conversation_goes_on_from_each_dialect_in_each() -> None:
    """With a picture, a tool and its result, at an emulator that is as strict as the vendors."""
    asked = {"role": "user", "content": [{"type": "text", "text": "the weather"}, PICTURE]}
    openai = Route("openai", model="gpt", api_key="key-of-a-test-1")
    anthropic = Route("anthropic", model="claude-opus-4-6", api_key="key-of-a-test-2")
    with (
        emulator.running() as url,
        InferenceClient(provider=[openai], transport=emulator.rewriting(str(url))) as one,
        InferenceClient(provider=[anthropic], transport=emulator.rewriting(str(url))) as other,
    ):
        for pair in product(DIALECTS, DIALECTS):
            messages: list[Any] = []
            for dialect in pair:
                client = other if dialect == "messages" else one
                messages += [asked, *turn(client, dialect, [*messages, asked])]
                calls = messages[-1]["tool_calls"]
                messages += [{"role": "tool", "tool_call_id": call["id"], "content": "rain"} for call in calls]
                messages += turn(client, dialect, messages)
                assert "rain" in messages[-1]["content"] and not messages[-1].get("tool_calls")


def turn(client: InferenceClient, dialect: str, messages: list[Any]) -> list[dict[str, Any]]:
    """What the model says next, as messages of a chat."""
    if dialect == "responses":
        tool = {"type": "function", **TOOL}
        return chat_messages(client.responses.create(response_input(messages), tools=[tool]).output)
    answer = client.chat_completion(messages, tools=[{"type": "function", "function": TOOL}], reasoning_effort="low")
    return [answer.choices[0].message.to_dict()]
