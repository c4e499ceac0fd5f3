"""A wrong chat call says what is wrong with it before anything is sent."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from headwater.errors import InvalidParameterError
from headwater.tasks.chat import chat_completion, wire_messages
from headwater.tasks.chat_input import (
    ChatCompletionInputFunctionDefinition,
    ChatCompletionInputMessage,
    ChatCompletionInputResponseFormatJSONObject,
    ChatCompletionInputTool,
)
from headwater.tasks.chat_types import ChatCompletionOutputMessage, ChatCompletionOutputToolCall

USER = {"role": "user", "content": "Hi"}


@pytest.mark.parametrize(
    ("args", "kwargs", "said"),
    [
        ((), {}, "chat_completion: 'messages' is required"),
        (("Hi",), {}, "messages must be a list like [{'role': 'user', 'content': '...'}], not str"),
        ((USER,), {}, "messages must be a list like [{'role': 'user', 'content': '...'}], not dict"),
        (([],), {}, "messages is empty; it must have at least one"),
        (([USER, "Hi"],), {}, "messages[1] must be a dict like {'role': 'user', 'content': '...'}, not str"),
        (([{"content": "Hi"}],), {}, "messages[0] has no 'role'"),
        (([{"role": 1}],), {}, "messages[0] has no 'role'"),
        (([{"role": "user", "content": b"Hi"}],), {}, "messages[0].content of type bytes"),
        (([USER],), {"temprature": 1}, "no parameter 'temprature'; did you mean 'temperature'?"),
        (([USER],), {"quux": 1}, "no parameter 'quux'; pass it in extra_body={...}"),
        (([USER],), {"max_tokens": "5"}, "max_tokens: "),
        (([USER],), {"temperature": True}, "temperature: "),
        (([USER],), {"frequency_penalty": "-3"}, "frequency_penalty: "),
        (([USER],), {"n": 1.5}, "n: "),
        (([USER],), {"parallel": True}, "no parameter 'parallel'; pass it in extra_body={...}"),
        (([USER],), {"logit_bias": "x"}, "logit_bias: expected"),
        (
            ([USER],),
            {"response_format": print},
            "response_format must be a dict like {'type': 'json_object'}, or a type, not",
        ),
        (([USER],), {"stream_options": True}, "stream_options must be a dict, not bool"),
        (([USER],), {"tool_choice": 1}, "tool_choice must be 'auto', 'none', 'required' or a dict, not int"),
        (([USER],), {"tools": {"type": "function"}}, "tools must be a list of dicts"),
        (([USER],), {"tools": [print]}, "tools must be a list of dicts"),
        (([USER], "model"), {}, "takes 1 positional arguments (messages), 2 were given"),
        (([USER],), {"messages": [USER]}, "messages was given twice"),
    ],
)
def test_what_is_said(args: tuple[Any, ...], kwargs: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidParameterError) as raised:
        chat_completion.bind(args, kwargs)
    assert said in raised.value.message


@pytest.mark.parametrize(
    "given",
    [
        *({"max_tokens": number} for number in (-1, 0, 10**7)),
        *({"n": number} for number in (0, 200)),
        *({"temperature": number} for number in (-1.0, 0, 2.5)),
        *({"top_p": number} for number in (0, 1.5)),
        *({"top_logprobs": number} for number in (-1, 40)),
        *({"frequency_penalty": number} for number in (-3, 5.0)),
        {"presence_penalty": 2.5},
        {"max_completion_tokens": -1},
        {"seed": -1},
    ],
    ids=str,
)
def test_a_bound_of_one_vendors_is_for_it_to_refuse(given: dict[str, Any]) -> None:
    assert chat_completion.bind(([USER],), given) == {"messages": [USER], **given}


def test_what_was_given_comes_back_and_nothing_else() -> None:
    parts = [{"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}]
    given = {
        "messages": [USER, {"role": "user", "content": parts}, ChatCompletionInputMessage("user", "Hi")],
        "tools": [ChatCompletionInputTool(ChatCompletionInputFunctionDefinition("f"), "function")],
        "response_format": ChatCompletionInputResponseFormatJSONObject("json_object"),
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "logit_bias": {50256: -100},
        "stop": "END",
        "temperature": 0,
        "reasoning_effort": "low",
        "max_completion_tokens": 9,
        "parallel_tool_calls": False,
        "modalities": ["text", "audio"],
        "audio": {"voice": "alloy", "format": "wav"},
        "prediction": {"type": "content", "content": "x"},
        "verbosity": "low",
        "web_search_options": {},
        "prompt_cache_key": "k",
        "safety_identifier": "s",
    }
    assert chat_completion.bind((), {**given, "n": None, "seed": None}) == given


def test_the_schema_says_what_messages_are() -> None:
    schema = chat_completion.json_schema
    parameters = schema["$defs"]["chat_completion_parameters"]
    assert parameters["required"] == ["messages"]
    assert parameters["properties"]["messages"] == {
        "type": "array",
        "items": {"type": "object"},
        "minItems": 1,
    }
    assert json.loads(json.dumps(schema)) == schema


def test_messages_are_sent_without_nulls() -> None:
    call = ChatCompletionOutputToolCall(id="a")
    call.function.name = "f"
    said = ChatCompletionOutputMessage(reasoning="Hm", reasoning_content="Hm", tool_calls=[call])
    assert wire_messages([USER, ChatCompletionInputMessage("user", "Hi"), said]) == [
        USER,
        USER,
        {
            "role": "assistant",
            "reasoning": "Hm",
            "reasoning_content": "Hm",
            "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}],
        },
    ]
    assert said.reasoning == "Hm"
    assert msgspec.json.encode(wire_messages([USER])) == b'[{"role":"user","content":"Hi"}]'
