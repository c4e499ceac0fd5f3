"""Chats whose turns a test writes, and calls of tools without an answer."""

from __future__ import annotations

from typing import Any

import pytest
from support.emulator_client import CHAT, asking, events, unary

from headwater import emulator

CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
USER = {"role": "user", "content": "hi"}
CALLED = {"role": "assistant", "tool_calls": [CALL]}
ANSWERED = {"role": "tool", "tool_call_id": "a", "content": "x"}
TWO = {"role": "assistant", "tool_calls": [CALL, {**CALL, "id": "b"}]}


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ([USER, CALLED, ANSWERED], None),
        ([USER, TWO, ANSWERED, {**ANSWERED, "tool_call_id": "b"}, USER], None),
        ([USER, TWO, {**ANSWERED, "tool_call_id": "b"}, ANSWERED], None),
        ([USER, CALLED], "did not have response messages: a"),
        ([USER, CALLED, USER], "did not have response messages: a"),
        ([USER, TWO, ANSWERED, USER], "did not have response messages: b"),
        ([USER, TWO, USER, ANSWERED], "did not have response messages: a, b"),
        ([USER, ANSWERED], "must be a response to a preceeding message"),
        ([USER, CALLED, ANSWERED, ANSWERED], "must be a response to a preceeding message"),
        ([USER, {"role": "assistant", "tool_calls": [CALL, CALL]}, ANSWERED], "Duplicate value"),
        ([USER, {"role": "assistant", "tool_calls": [{"type": "function"}]}], "tool_calls[0].id"),
    ],
)
def test_calls_without_an_answer_are_refused(headwater_emulator: str, messages: Any, complaint: str | None) -> None:
    answer = unary(headwater_emulator, CHAT, {"model": "m", "messages": messages})
    assert answer.status_code == (200 if complaint is None else 400)
    assert complaint is None or complaint in answer.json()["error"]["message"]


def test_a_script_is_said_turn_by_turn() -> None:
    with emulator.running() as url:
        url.script("actor", {"content": "Wait.", "tool_calls": [("f", {"a": 1}), {"name": "g"}]}, "Done.")
        body = asking(model="actor")
        first = unary(url, CHAT, body).json()["choices"][0]
        assert unary(url, CHAT, body).json()["choices"][0] == first
        calls = [(call["function"]["name"], call["function"]["arguments"]) for call in first["message"]["tool_calls"]]
        assert (first["message"]["content"], calls) == ("Wait.", [("f", '{"a": 1}'), ("g", "{}")])
        assert first["finish_reason"] == "tool_calls"
        one = unary(url, CHAT, {**body, "parallel_tool_calls": False}).json()["choices"][0]["message"]
        assert len(one["tool_calls"]) == 1
        told = [{"role": "tool", "tool_call_id": call["id"], "content": "x"} for call in first["message"]["tool_calls"]]
        body["messages"] += [first["message"], *told]
        assert unary(url, CHAT, body).json()["choices"][0]["message"]["content"] == "Done."
        streamed = events(unary(url, CHAT, {**body, "stream": True}).text)
        text = "".join(event["choices"][0]["delta"].get("content") or "" for event in streamed[:-1])
        assert text == "Done."
        body["messages"] += [{"role": "assistant", "content": "Done."}, {"role": "user", "content": "again"}]
        assert "again" in unary(url, CHAT, body).json()["choices"][0]["message"]["content"]
        url.forget()
        assert unary(url, CHAT, asking(model="actor")).json()["choices"][0]["finish_reason"] == "stop"
        with pytest.raises(ValueError, match="a turn is"):
            url.script("actor", 7)
        with pytest.raises(ValueError, match="a call is"):
            url.script("actor", [(7, {})])
