"""Chats in Anthropic's Messages: what is sent, what is refused by its name, what comes of an answer, and conversations
that begin in one dialect and go on in the other. Pure: flows are played by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.flow_player import call, play, reply
from support.message_events import CONTENT, EVERYTHING, TEXT, USAGE, Event, begin, delta, end, message, sse, start, stop

from headwater import (
    ChatCompletionOutputMessage,
    InvalidParameterError,
    MissingModelError,
    OverloadedError,
    UnsupportedParameterError,
)
from headwater.engine.retry import is_worth_another_provider
from headwater.protocol.flow import END
from headwater.protocol.framing import SSEFraming
from headwater.providers import flow_for, provider
from headwater.providers.anthropic_answer import ChatOfMessageFold, decode_message_chunk
from headwater.providers.anthropic_messages import decode_message_event
from headwater.providers.anthropic_request import BUDGETS, MAX_TOKENS
from headwater.tasks.message_fold import MessageFold

PNG = "iVBORw0KGgo="
USER: dict[str, Any] = {"role": "user", "content": "hi"}
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "weather", "description": "d", "parameters": {"type": "object", "properties": {}}},
}
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 3}}}
CLOSED: dict[str, Any] = {
    "type": "object",
    "properties": {"n": {"type": "integer", "description": "(maximum: 3)"}},
    "additionalProperties": False,
}


def sent(messages: list[Any] | None = None, model: str = "claude-opus-4-6", **given: Any) -> dict[str, Any]:
    """The body of the request for a chat with these parameters."""
    asked = call("chat-completion", "anthropic", model=model, parameters={"messages": messages or [USER], **given})
    body: dict[str, Any] = play(flow_for("anthropic", "chat-completion")(asked), reply(message())).body
    return body


def answered(answer: Any, *, stream: bool = False) -> Any:
    """What comes of an answer."""
    asked = call("chat-completion", "anthropic", model="m", stream=stream)
    return play(flow_for("anthropic", "chat-completion")(asked), answer)


def in_openai(messages: list[Any]) -> list[Any]:
    """The messages as they go to a provider of OpenAI's dialect."""
    asked = call("chat-completion", "openai", model="m", parameters={"messages": messages})
    whole = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": "stop"}]}
    found: list[Any] = play(flow_for("openai", "chat-completion")(asked), reply(whole)).body["messages"]
    return found


def test_where_it_goes_and_what_every_request_has() -> None:
    played = answered(reply(message()))
    request = played.request
    assert request.url == "https://base.example/v1/messages" and request.headers["anthropic-version"] == "2023-06-01"
    assert played.body == {
        "model": "m",
        "max_tokens": MAX_TOKENS,
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": False,
    }
    with pytest.raises(MissingModelError):
        play(flow_for("anthropic", "chat-completion")(call("chat-completion", "anthropic")))
    assert provider("anthropic").keys == ("ANTHROPIC_API_KEY",)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"max_tokens": 5}, {"max_tokens": 5}),
        ({"max_completion_tokens": 6, "max_tokens": 5}, {"max_tokens": 6}),
        ({"stop": "x"}, {"stop_sequences": ["x"]}),
        ({"stop": ["x", "y"]}, {"stop_sequences": ["x", "y"]}),
        ({"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "top_p": 0.9}),
        ({"user": "u"}, {"metadata": {"user_id": "u"}}),
        ({"safety_identifier": "s"}, {"metadata": {"user_id": "s"}}),
        ({"metadata": {"user_id": "m"}}, {"metadata": {"user_id": "m"}}),
        ({"service_tier": "default"}, {"service_tier": "standard_only"}),
        ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        ({"reasoning_effort": "high"}, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
        ({"reasoning_effort": "minimal"}, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}),
        ({"response_format": {"type": "text"}}, {}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}},
            {"output_config": {"format": {"type": "json_schema", "schema": CLOSED}}},
        ),
        (
            {
                "reasoning_effort": "low",
                "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
            },
            {
                "thinking": {"type": "adaptive"},
                "output_config": {"format": {"type": "json_schema", "schema": CLOSED}, "effort": "low"},
            },
        ),
        (
            {"tools": [TOOL]},
            {"tools": [{"name": "weather", "description": "d", "input_schema": {"type": "object", "properties": {}}}]},
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "t"}}], "tool_choice": "required"},
            {
                "tools": [{"name": "t", "input_schema": {"type": "object", "properties": {}}}],
                "tool_choice": {"type": "any"},
            },
        ),
        (
            {"tools": [{"type": "web_search_20250305", "name": "web_search"}], "tool_choice": "none"},
            {"tools": [{"type": "web_search_20250305", "name": "web_search"}], "tool_choice": {"type": "none"}},
        ),
        ({"n": 1, "frequency_penalty": 0, "logprobs": False, "modalities": ["text"], "logit_bias": {}}, {}),
        ({"stream_options": {"include_usage": True}, "store": False, "presence_penalty": 0.0}, {}),
    ],
)
def test_a_parameter_is_said_in_anthropics_words(given: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert sent(**given) == {
        "model": "claude-opus-4-6",
        "max_tokens": MAX_TOKENS,
        "messages": [USER],
        "stream": False,
        **wanted,
    }


@pytest.mark.parametrize(
    ("choice", "parallel", "wanted"),
    [
        ("auto", None, {"type": "auto"}),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        ("required", False, {"type": "any", "disable_parallel_tool_use": True}),
        ("none", False, {"type": "none"}),
        ("auto", True, {"type": "auto"}),
        ({"type": "function", "function": {"name": "weather"}}, None, {"type": "tool", "name": "weather"}),
        ({"function": {"name": "weather"}}, None, {"type": "tool", "name": "weather"}),
        ({"type": "any"}, None, {"type": "any"}),
    ],
)
def test_a_choice_of_tools_is_said(choice: Any, parallel: bool | None, wanted: dict[str, Any]) -> None:
    given = {"tools": [TOOL], "tool_choice": choice, "parallel_tool_calls": parallel}
    assert sent(**{name: value for name, value in given.items() if value is not None})["tool_choice"] == wanted


def test_a_strict_tool_has_a_schema_that_can_be_promised() -> None:
    function = {"name": "t", "strict": True, "parameters": {**SCHEMA, "required": ["n"]}}
    (tool,) = sent(tools=[{"type": "function", "function": function}])["tools"]
    assert tool == {"name": "t", "strict": True, "input_schema": {**CLOSED, "required": ["n"]}}


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"n": 2}, "n"),
        ({"logit_bias": {"1": 1}}, "logit_bias"),
        ({"seed": 1}, "seed"),
        ({"frequency_penalty": 1}, "frequency_penalty"),
        ({"presence_penalty": -1}, "presence_penalty"),
        ({"audio": {"voice": "a"}, "modalities": ["text", "audio"]}, "audio, modalities"),
        ({"prediction": {}}, "prediction"),
        ({"verbosity": "low"}, "verbosity"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"store": True}, "store"),
        ({"tool_prompt": "x"}, "tool_prompt"),
        ({"prompt_cache_key": "x"}, "prompt_cache_key"),
        ({"a_new_one": 1}, "a_new_one"),
        ({"temperature": 1.5}, "temperature over 1"),
        ({"metadata": {"team": "a"}}, "metadata.team"),
        ({"service_tier": "flex"}, "service_tier 'flex'"),
        ({"response_format": {"type": "json_object"}}, "response_format of type 'json_object'"),
        ({"tools": [{"type": "custom", "custom": {"name": "t"}}]}, r"tools\[0\] of type 'custom'"),
        ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice of type 'allowed_tools'"),
        ({"reasoning_effort": "low", "max_tokens": 1000, "model": "claude-3-7-sonnet"}, "reasoning_effort within 1000"),
        ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, r"messages\[0\] of the role 'function'"),
        ({"messages": [{**USER, "name": "Ann"}]}, r"messages\[0\].name"),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]},
            r"messages\[0\].content\[0\] of type 'input_audio'",
        ),
        ({"messages": [{"role": "assistant", "content": None, "audio": {"id": "a"}}]}, r"messages\[0\].audio"),
        (
            {"messages": [USER, {"role": "assistant", "content": None, "function_call": {"name": "f"}}]},
            r"messages\[1\].function_call",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]},
            r"messages\[0\].content\[0\].file without file_data",
        ),
    ],
)
def test_what_cannot_be_said_is_refused_by_its_name(given: dict[str, Any], named: str) -> None:
    """Before anything is sent; another provider of the list is worth a try."""
    with pytest.raises(UnsupportedParameterError, match=rf"Messages have no {named}") as caught:
        sent(**given)
    assert caught.value.__dict__["played"].requests == [] and is_worth_another_provider(caught.value)
    assert not is_worth_another_provider(InvalidParameterError("wrong for everybody"))


@pytest.mark.parametrize(
    ("model", "max_tokens", "wanted"),
    [
        ("claude-3-7-sonnet-20250219", None, (BUDGETS["medium"], MAX_TOKENS + BUDGETS["medium"])),
        ("claude-sonnet-4-20250514", 20_000, (BUDGETS["medium"], 20_000)),
        ("claude-opus-4-1", 4000, (2000, 4000)),
        ("claude-haiku-4-5-20251001", 1500, (1024, 1500)),
        ("anthropic/claude-sonnet-4.5", None, (BUDGETS["medium"], MAX_TOKENS + BUDGETS["medium"])),
        ("deepseek-reasoner", None, (BUDGETS["medium"], MAX_TOKENS + BUDGETS["medium"])),
        ("claude-opus-4-6", None, None),
        ("claude-sonnet-4-6-20260101", None, None),
        ("claude-opus-5", None, None),
        ("claude-latest", None, None),
    ],
)
def test_how_much_a_model_thinks_is_said_as_it_knows_it(
    model: str, max_tokens: int | None, wanted: tuple[int, int] | None
) -> None:
    limit: dict[str, Any] = {} if max_tokens is None else {"max_tokens": max_tokens}
    body = sent(model=model, reasoning_effort="medium", **limit)
    if wanted is None:
        assert body["thinking"] == {"type": "adaptive"} and body["output_config"] == {"effort": "medium"}
    else:
        assert body["thinking"] == {"type": "enabled", "budget_tokens": wanted[0]} and body["max_tokens"] == wanted[1]


def test_messages_of_every_kind() -> None:
    """Systems first, turns joined, images and documents, results of several tools in one turn, ids that Anthropic takes
    and that are unique, broken arguments, and no empty text."""
    calls = [
        {"id": "functions.f:0", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
        {"id": "", "type": "function", "function": {"name": "g", "arguments": ""}},
    ]
    again = [{"id": "functions.f:0", "type": "function", "function": {"name": "f", "arguments": '{"a": '}}]
    body = sent(
        [
            {"role": "system", "content": "one"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "see", "cache_control": {"type": "ephemeral"}},
                    {"type": "text", "text": ""},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
                    {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
                    {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0=", "filename": "a"}},
                    {"type": "file", "file": {"file_data": "data:text/plain,hello"}},
                    {"type": "document", "source": {"type": "file", "file_id": "f"}},
                ],
            },
            {"role": "assistant", "content": "", "tool_calls": calls},
            {"role": "tool", "tool_call_id": "functions.f:0", "content": "1"},
            {"role": "tool", "tool_call_id": "", "content": [{"type": "text", "text": "2"}], "name": "g"},
            {"role": "user", "content": "and?"},
            {"role": "developer", "content": [{"type": "text", "text": "two"}]},
            {"role": "assistant", "content": None, "tool_calls": again, "reasoning": "not Anthropic's"},
            {"role": "tool", "tool_call_id": "functions.f:0", "content": ""},
        ]
    )
    assert body["system"] == [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    first, uses, results, use, result = body["messages"]
    assert first["content"] == [
        {"type": "text", "text": "see", "cache_control": {"type": "ephemeral"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
            "title": "a",
        },
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hello"}},
        {"type": "document", "source": {"type": "file", "file_id": "f"}},
    ]
    assert uses == {
        "role": "assistant",
        "content": [
            {"type": "tool_use", "id": "functions_f_0", "name": "f", "input": {"a": 1}},
            {"type": "tool_use", "id": "call", "name": "g", "input": {}},
        ],
    }
    assert results == {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "functions_f_0", "content": "1"},
            {"type": "tool_result", "tool_use_id": "call", "content": "2"},
            {"type": "text", "text": "and?"},
        ],
    }
    assert use["content"] == [
        {"type": "tool_use", "id": "functions_f_0_2", "name": "f", "input": {"arguments": '{"a": '}}
    ]
    assert result["content"] == [{"type": "tool_result", "tool_use_id": "functions_f_0_2"}]


def test_what_a_message_has_of_anthropics_own() -> None:
    """A result that is an error, and marks for the cache beside a content."""
    mark = {"type": "ephemeral"}
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    said = sent(
        [
            {"role": "system", "content": "be", "cache_control": mark},
            {"role": "user", "content": "a", "cache_control": mark},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": "no", "is_error": True, "cache_control": mark},
        ]
    )
    assert said["system"] == [{"type": "text", "text": "be", "cache_control": mark}]
    first, _, last = said["messages"]
    assert first["content"] == [{"type": "text", "text": "a", "cache_control": mark}]
    result = {"type": "tool_result", "tool_use_id": "c", "content": "no", "is_error": True, "cache_control": mark}
    assert last["content"] == [result]


def test_an_answer_is_a_chats_whole_and_streamed() -> None:
    whole = answered(reply(message(*CONTENT, stop="tool_use", container={"id": "c"}))).result
    played = answered(reply(sse(*EVERYTHING), content_type="text/event-stream"), stream=True)
    choice = whole.choices[0]
    assert choice.message.content == "It is so" and choice.message.reasoning == "let me see"
    assert [
        (each.id, each.function.name, json.loads(each.function.arguments)) for each in choice.message.tool_calls
    ] == [
        ("toolu_1", "weather", {"city": "Köln"}),
        ("toolu_2", "time", {}),
    ]
    assert choice.finish_reason == "tool_calls" and choice["stop_reason"] == "tool_use"
    assert choice.message["content_blocks"] == CONTENT and whole["container"] == {"id": "c"}
    assert whole.usage.prompt_tokens == 18 and whole.usage.completion_tokens == 15 and whole.usage.total_tokens == 33
    assert whole.usage.prompt_tokens_details == {"cached_tokens": 5, "cache_creation_tokens": 3}
    streamed = played.result.to_dict()
    assert streamed == {name: value for name, value in whole.to_dict().items() if name != "container"} and played.ended
    deltas = [choice.delta for chunk in played.events for choice in chunk.choices]
    assert "".join(each.content or "" for each in deltas) == "It is so"
    assert "".join(each.reasoning or "" for each in deltas) == "let me see"
    pieces = [piece for each in deltas for piece in each.tool_calls or []]
    assert [(p.index, p.id, p.function.name) for p in pieces if p.id] == [
        (0, "toolu_1", "weather"),
        (1, "toolu_2", "time"),
    ]
    assert "".join(p.function.arguments for p in pieces if p.index == 0) == '{"city": "Köln"}'
    unsaid = [chunk["event"]["type"] for chunk in played.events if not chunk.choices]
    assert "weather_report" in unsaid and all(chunk.id == "msg_1" for chunk in played.events)
    assert played.events[-1].usage == played.result.usage and played.events[-1].choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("pause_turn", "pause_turn"),
        ("a_new_one", "a_new_one"),
    ],
)
def test_every_stop_is_a_finish_reason(reason: str, finish: str) -> None:
    text = message({"type": "text", "text": "a"}, stop=reason, stop_details={"explanation": "why"})
    whole = answered(reply(text)).result.choices[0]
    events = reply(sse(start(), *TEXT, *end(reason)), content_type="text/event-stream")
    streamed = answered(events, stream=True).result.choices[0]
    assert whole.finish_reason == streamed.finish_reason == finish
    assert whole["stop_reason"] == streamed["stop_reason"] == reason and whole.message.refusal == "why"


def test_an_error_inside_a_stream_is_the_chats() -> None:
    error = ("error", {"error": {"type": "overloaded_error", "message": "no"}})
    with pytest.raises(OverloadedError):
        answered(reply(sse(start(), *TEXT[:2], error), content_type="text/event-stream"), stream=True)


BACK = [
    pytest.param(CONTENT, id="everything"),
    pytest.param([{"type": "text", "text": "a"}, CONTENT[5]], id="plain"),
    pytest.param([CONTENT[0], CONTENT[5]], id="thinking and a tool"),
    pytest.param([CONTENT[5], {"type": "text", "text": "a"}], id="another order"),
]


@pytest.mark.parametrize("content", BACK)
def test_an_answer_goes_back_unchanged(content: list[dict[str, Any]]) -> None:
    """As it is, as a dict, and out of a file."""
    answer = answered(reply(message(*content))).result.choices[0].message
    for back in (answer, answer.to_dict(), answer.model_dump(exclude_none=True), json.loads(answer.to_json())):
        body = sent([USER, back, *results_of(answer), {"role": "user", "content": "so?"}])
        assert body["messages"][1] == {"role": "assistant", "content": content}


def results_of(answer: ChatCompletionOutputMessage) -> list[dict[str, Any]]:
    return [{"role": "tool", "tool_call_id": each.id, "content": "1"} for each in answer.tool_calls or []]


def test_an_answer_that_was_changed_goes_back_as_it_was_changed() -> None:
    """With the thinking that is its own still."""
    answer = answered(reply(message(*CONTENT))).result.choices[0].message
    answer.content = "It is otherwise"
    answer.tool_calls = None
    assert sent([USER, answer, USER])["messages"][1]["content"] == [
        *CONTENT[:2],
        {"type": "text", "text": "It is otherwise"},
    ]


def test_thinking_blocks_under_the_name_that_others_give_them_go_back() -> None:
    theirs = {"role": "assistant", "content": "a", "thinking_blocks": CONTENT[:1]}
    assert sent([USER, theirs, USER])["messages"][1]["content"] == [CONTENT[0], {"type": "text", "text": "a"}]


def test_what_is_anthropics_goes_to_nobody_else() -> None:
    answer = answered(reply(message(*CONTENT[:6]))).result.choices[0].message
    for message_ in (answer, answer.to_dict(), json.loads(answer.to_json())):
        _, found, *_ = in_openai([USER, message_, *results_of(answer)])
        assert {name: value for name, value in found.items() if value is not None} == {
            "role": "assistant",
            "content": "It is so",
            "tool_calls": found["tool_calls"],
        }
        assert found["tool_calls"][0]["id"] == "toolu_1"


def test_a_budget_for_thinking_is_left_out_where_the_turn_that_goes_on_began_without_a_thought() -> None:
    """Another provider's, whose tools are answered: Anthropic refuses to think there."""
    theirs = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    asked = [USER, {"role": "assistant", "content": None, "tool_calls": [theirs]}]
    asked += [{"role": "tool", "tool_call_id": "c", "content": "1"}]
    given = {"model": "claude-sonnet-4-5", "reasoning_effort": "low"}
    assert "thinking" not in sent(asked, **given)
    assert "thinking" in sent([*asked, {"role": "assistant", "content": "a"}, USER], **given)
    own = answered(reply(message(CONTENT[0], CONTENT[5]))).result.choices[0].message
    assert "thinking" in sent([USER, own, *results_of(own)], **given)


CUTS: list[tuple[Any, Any, list[Event]]] = [
    (decode_message_event, MessageFold, EVERYTHING),
    (decode_message_chunk, ChatOfMessageFold, EVERYTHING),
    (decode_message_chunk, ChatOfMessageFold, [start(), *TEXT, begin(1, type="text", text="x"), stop(1), *end()]),
]


@pytest.mark.parametrize(("decode", "make", "events"), CUTS)
def test_a_stream_that_is_cut_at_any_byte_is_not_whole_and_loses_nothing_that_came(
    decode: Any, make: Any, events: list[Event]
) -> None:
    body = sse(*events)
    last = body.index(b'{"type": "message_stop"}')
    said: dict[int, list[str]] = {}
    for at in range(len(body) + 1):
        framing = SSEFraming()
        frames = framing.feed(body[:at]) + framing.finish()
        is_whole = at >= last + len(b'{"type": "message_stop"}')
        if len(frames) in said and not is_whole:
            continue
        fold, marked = make(), False
        for event in map(decode, frames):
            marked = marked or event is END
            if event is not None and not marked:
                fold.add(event)
        assert fold.complete(marked=marked) == is_whole, at
        said[len(frames)] = parts_of(fold.result())
    whole = said[len(events)]
    for each in said.values():
        assert all(part.startswith(some) for some, part in zip(each, whole, strict=False)) and len(each) <= len(whole)


def parts_of(result: Any) -> list[str]:
    """Texts that a cut may only shorten."""
    if hasattr(result, "choices"):
        made = result.choices[0].message
        return [made.reasoning or "", made.content or ""]
    return [block.thinking or block.text or "" for block in result.content]


def test_counts_are_those_so_far_and_not_added_up() -> None:
    events = [
        start(),
        ("message_delta", {"delta": {}, "usage": {"output_tokens": 5}}),
        ("message_delta", {"delta": {"stop_reason": "end_turn"}, "usage": {"input_tokens": 11, "output_tokens": 9}}),
        ("message_stop", {}),
    ]
    made = answered(reply(sse(*events), content_type="text/event-stream"), stream=True).result.usage
    cached = USAGE["cache_creation_input_tokens"] + USAGE["cache_read_input_tokens"]
    assert (made.prompt_tokens, made.completion_tokens) == (11 + cached, 9)


def test_a_delta_for_a_block_that_has_not_begun_makes_one() -> None:
    fold = MessageFold()
    framing = SSEFraming()
    for frame in framing.feed(
        sse(delta(0, "thinking_delta", thinking="a"), delta(0, "signature_delta", signature="s"))
    ):
        event: Any = decode_message_event(frame)
        fold.add(event)
    assert [block.to_dict() for block in fold.result().content] == [
        {"type": "thinking", "thinking": "a", "signature": "s"}
    ]
