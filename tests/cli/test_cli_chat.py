"""`headwater chat` into a pipe: where the question comes from, what goes out, and what is asked."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import pytest
from support.stream_server import saying

from headwater.cli import main

CHAT = ("chat", "--model", "m", "--base-url")


def test_the_answer_is_streamed_to_stdout(headwater_command: Any, server: Any) -> None:
    server.forget()
    done = headwater_command(*CHAT, server, "Say hello")
    assert done == (0, " ".join(["Say hello"] * 8) + "\n", "")
    assert server.requests[-1].json["stream"] is True
    assert server.requests[-1].json["messages"] == [{"role": "user", "content": "Say hello"}]


def test_no_stream_prints_the_same(headwater_command: Any, server: Any) -> None:
    streamed = headwater_command(*CHAT, server, "Say hello")
    assert headwater_command(*CHAT, server, "Say hello", "--no-stream") == streamed
    assert not server.requests[-1].json.get("stream")


@pytest.mark.parametrize("arguments", [(), ("-",)])
def test_the_question_is_read_from_stdin(headwater_command: Any, server: Any, arguments: tuple[str, ...]) -> None:
    done = headwater_command(*CHAT, server, *arguments, given="ein Bär\n".encode())
    assert done.code == 0
    assert server.requests[-1].json["messages"] == [{"role": "user", "content": "ein Bär"}]


def test_stdin_is_left_alone_where_a_question_is_given(headwater_command: Any, server: Any) -> None:
    headwater_command(*CHAT, server, "mine", given=b"not this")
    assert server.requests[-1].json["messages"] == [{"role": "user", "content": "mine"}]


def test_the_whole_result_as_json(headwater_command: Any, server: Any) -> None:
    done = headwater_command(*CHAT, server, "hi", "--json", "--max-tokens", "2")
    result = json.loads(done.out)
    assert result["choices"][0]["message"]["content"] == "hi hi"
    assert result["choices"][0]["finish_reason"] == "length"
    assert result["usage"]["completion_tokens"] == 2
    assert done.out.count("\n") == 1


def test_parameters_are_sent_in_their_types(headwater_command: Any, server: Any) -> None:
    done = headwater_command(
        *CHAT, server, "hi", "--system", "Be brief.", "--max-tokens", "3", "--temperature", "0", "--stop", "a",
        "--stop", "[b]", "--no-parallel-tool-calls", "--tool-choice", "auto", "--seed=-1",
        "--tools", '[{"type": "function", "function": {"name": "f"}}]', "--extra-body", '{"min_p": 0.1}',
        "--metadata", '{"a": "1"}', "--reasoning-effort", "low",
    )  # fmt: skip
    assert done.code == 0, done.err
    sent = server.requests[-1].json
    assert sent.pop("messages") == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hi"},
    ]
    assert sent == {
        "model": "m",
        "stream": True,
        "max_tokens": 3,
        "temperature": 0.0,
        "stop": ["a", "[b]"],
        "parallel_tool_calls": False,
        "tool_choice": "auto",
        "seed": -1,
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "min_p": 0.1,
        "metadata": {"a": "1"},
        "reasoning_effort": "low",
    }


def test_messages_are_a_conversation_to_go_on_with(headwater_command: Any, server: Any) -> None:
    before = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]
    headwater_command(*CHAT, server, "three", "--messages", json.dumps(before))
    assert server.requests[-1].json["messages"] == [*before, {"role": "user", "content": "three"}]
    headwater_command(*CHAT, server, "--messages", json.dumps(before[:1]))
    assert server.requests[-1].json["messages"] == before[:1]


def test_several_answers_follow_each_other(headwater_command: Any, server: Any) -> None:
    done = headwater_command(*CHAT, server, "hi", "--n", "2", "--max-tokens", "1")
    assert done.out == "hi\n\nhi\n"


def test_a_cut_answer_is_said_to_be_one(headwater_command: Any, server: Any) -> None:
    done = headwater_command(*CHAT, server, "hi", "--max-tokens", "2")
    assert (done.code, done.out) == (0, "hi hi\n")
    assert done.err == "headwater: the answer was cut at the most tokens that it may have (--max-tokens)\n"


def test_thoughts_go_to_stderr(headwater_command: Any) -> None:
    with saying({"reasoning": "let me "}, {"reasoning_content": "see"}, {"content": "42"}) as url:
        assert headwater_command(*CHAT, url, "?") == (0, "42\n", "let me see\n")


def test_calls_of_tools_are_json_lines(headwater_command: Any) -> None:
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x":'}}
    rest = {"index": 0, "function": {"arguments": "1}"}}
    with saying({"tool_calls": [call]}, {"tool_calls": [rest]}, finish="tool_calls") as url:
        done = headwater_command(*CHAT, url, "?")
    assert json.loads(done.out)["function"] == {"name": "f", "arguments": '{"x":1}', "description": None}


def test_tools_come_on_a_line_of_their_own(headwater_command: Any) -> None:
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    with saying({"content": "Calling."}, {"tool_calls": [call]}, finish="tool_calls") as url:
        text, tool, end = headwater_command(*CHAT, url, "?").out.split("\n")
    assert (text, json.loads(tool)["id"], end) == ("Calling.", "c1", "")


def test_what_is_piped_goes_as_it_came(headwater_command: Any) -> None:
    text = "\x1b[31mred\x1b[0m \x1b]52;c;aGk=\x07 \u202edrawkcab\r\n"
    with saying({"content": text}) as url:
        assert headwater_command(*CHAT, url, "?").out == text


def test_half_of_a_letter_ends_no_answer(headwater_command: Any) -> None:
    with saying({"content": "a\ud83d"}, {"content": "b"}) as url:
        done = headwater_command(*CHAT, url, "?")
    assert done.code == 0
    assert done.out.startswith("a")
    assert done.out.rstrip().endswith("b")


def test_letters_that_the_output_cannot_show_end_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    with saying({"content": "caf\xe9"}) as url:
        assert main([*CHAT, url, "?"]) == 0
    assert out.buffer.getvalue() == b"caf?\n"


def test_a_key_is_taken_from_the_variable_that_is_named(
    headwater_command: Any, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SERVERS_KEY", "sk-test-1")
    assert headwater_command(*CHAT, server, "hi", "--key-env", "MY_SERVERS_KEY").code == 0
    assert "authorization" in {name.lower() for name in server.requests[-1].headers}
    assert headwater_command(*CHAT, server, "hi").code == 0
    assert "authorization" not in {name.lower() for name in server.requests[-1].headers}
    monkeypatch.setenv("MY_SERVERS_KEY", "")  # a server that wants none
    assert headwater_command(*CHAT, server, "hi", "--key-env", "MY_SERVERS_KEY").code == 0
    assert "authorization" not in {name.lower() for name in server.requests[-1].headers}
