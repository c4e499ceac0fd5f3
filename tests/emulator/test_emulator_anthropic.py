"""What the emulator's Anthropic refuses, as Anthropic does, and how its answers end; asked without a server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headwater.emulator.dialects import anthropic
from headwater.emulator.dialects.anthropic_checks import signed
from headwater.emulator.wire import DialectRequest, RefusedError, StreamAnswer, WholeAnswer

ASKED: list[dict[str, Any]] = [{"role": "user", "content": "how deep is it"}]
USE: dict[str, Any] = {"type": "tool_use", "id": "t1", "name": "f", "input": {}}
RESULT: dict[str, Any] = {"type": "tool_result", "tool_use_id": "t1", "content": "1"}
TOOL: dict[str, Any] = {"name": "f", "input_schema": {"type": "object"}}


def asked(version: str | None = "2023-06-01", **fields: Any) -> DialectRequest:
    body = {"model": "m", "max_tokens": 20, "messages": ASKED, **fields}
    body = {name: value for name, value in body.items() if value is not None}
    headers = {} if version is None else {"anthropic-version": version}
    return DialectRequest("POST", "/v1/messages", {}, headers, json.dumps(body).encode(), body, body.get("model", ""))


def answer(**fields: Any) -> dict[str, Any]:
    found = anthropic.create(asked(**fields))
    assert isinstance(found, WholeAnswer)
    body: dict[str, Any] = found.body
    return body


def turns(*contents: Any) -> list[dict[str, Any]]:
    """Messages of the user's and the assistant's in turn."""
    return [{"role": ("user", "assistant")[n % 2], "content": content} for n, content in enumerate(contents)]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"version": None}, "anthropic-version: header is required"),
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"messages": None}, "messages: Field required"),
        ({"messages": []}, "at least one message"),
        ({"seed": 1}, "seed: Extra inputs are not permitted"),
        ({"temperature": 1.5}, "temperature: range: 0..1"),
        ({"version": "2026-10-21", "temperature": 0.5}, "temperature: Extra inputs"),
        ({"stop_sequences": [" "]}, "non-whitespace"),
        ({"messages": turns("a", "b")[1:]}, "first message must use"),
        ({"messages": [{"role": "system", "content": "a"}]}, 'Unexpected role "system"'),
        ({"messages": turns([])}, "non-empty content"),
        ({"messages": turns([{"type": "text", "text": ""}])}, "text content blocks must be non-empty"),
        ({"messages": turns("a", "b ")}, "trailing whitespace"),
        ({"messages": turns([{"type": "image_url"}])}, "Input tag 'image_url'"),
        ({"messages": turns([{"type": "image", "source": {"type": "base64", "media_type": "image/png"}}])}, "base64"),
        ({"messages": turns("a", [USE], "b")}, "without `tool_result` blocks immediately after: t1"),
        ({"messages": turns("a", [USE])}, "without `tool_result`"),
        ({"messages": turns([RESULT])}, "unexpected `tool_use_id`"),
        ({"messages": turns("a", [USE], [{"type": "text", "text": "b"}, RESULT])}, "without `tool_result`"),
        ({"messages": turns("a", [USE, USE], [RESULT])}, "ids must be unique"),
        ({"messages": turns("a", [{**USE, "id": "a:0"}], [RESULT])}, "should match pattern"),
        ({"messages": turns("a", [{**USE, "input": "x"}], [RESULT])}, "valid dictionary"),
        (
            {"messages": turns("a", [{"type": "thinking", "thinking": "x", "signature": signed("y")}], "b")},
            "Invalid `signature` in `thinking` block",
        ),
        ({"messages": turns("a", [{"type": "thinking", "thinking": "x"}], "b")}, "signature: Field required"),
        (
            {
                "messages": turns("a", [USE], [RESULT]),
                "max_tokens": 2000,
                "thinking": {"type": "enabled", "budget_tokens": 1024},
            },
            "must start with a thinking block",
        ),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "must be greater than `thinking.budget_tokens`"),
        ({"thinking": {"type": "enabled", "budget_tokens": 10}}, "greater than or equal to 1024"),
        ({"tools": [{"name": "f"}]}, "input_schema.type: Field required"),
        ({"tools": [TOOL, TOOL]}, "must be unique"),
        ({"tool_choice": {"type": "auto"}}, "while providing tools"),
        ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "g"}}, "Tool 'g' not found"),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
            "must be explicitly set to false",
        ),
    ],
)
def test_what_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(RefusedError) as caught:
        anthropic.create(asked(**fields))
    refusal = caught.value.answer
    error = refusal.body["error"]
    assert refusal.status == 400 and error["type"] == "invalid_request_error" and said in error["message"]
    assert refusal.body["type"] == "error" and refusal.body["request_id"] == refusal.headers["request-id"]


def test_how_an_answer_ends() -> None:
    assert answer()["stop_reason"] == "end_turn"
    assert answer(max_tokens=2)["stop_reason"] == "max_tokens"
    stopped = answer(stop_sequences=["is"])
    assert stopped["stop_reason"] == "stop_sequence" and stopped["stop_sequence"] == "is"
    assert answer(model="stop-refusal")["stop_reason"] == "refusal"
    used = answer(tools=[TOOL], tool_choice={"type": "any"})
    assert used["stop_reason"] == "tool_use" and used["content"][0]["name"] == "f"
    call = used["content"]
    done = answer(
        messages=[*ASKED, {"role": "assistant", "content": call}, *turns([{**RESULT, "tool_use_id": call[0]["id"]}])]
    )
    assert done["stop_reason"] == "end_turn" and done["content"][0]["text"].startswith("1")


def test_a_stream_says_what_the_whole_answer_says() -> None:
    fields: dict[str, Any] = {
        "thinking": {"type": "adaptive"},
        "tools": [TOOL],
        "tool_choice": {"type": "auto"},
        "model": "redacted",
    }
    whole = answer(**fields)
    streamed = anthropic.create(asked(**fields, stream=True))
    assert isinstance(streamed, StreamAnswer)
    events = [json.loads(frame.partition(b"data: ")[2]) for frame in streamed.frames]
    kinds = [event["type"] for event in events]
    assert kinds[0] == "message_start" and kinds[-2:] == ["message_delta", "message_stop"]
    text = [event["delta"].get("text", "") for event in events if event["type"] == "content_block_delta"]
    assert "".join(text) == whole["content"][-1]["text"] and events[-2]["usage"]["output_tokens"] > 0
    assert [block["type"] for block in whole["content"]] == ["thinking", "redacted_thinking", "text"]
