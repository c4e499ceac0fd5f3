"""How commands fail: an exit code that says whose fault it is, and one line on stderr, without a secret."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from headwater.emulator import faults

CHAT = ("chat", "hi", "--model", "m")


def assert_one_line(done: Any, code: int, *words: str) -> None:
    assert done.code == code, done
    assert done.err.startswith("headwater: ")
    assert done.err.count("\n") == 1
    for word in words:
        assert word in done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--tokne", "x"), ("--tokne",)),
        (("--token", "x"), ("--token",)),
        (("--max-tokens", "many"), ("--max-tokens", "many")),
        (("--max-tokens", "0"), ("max_tokens",)),
        (("--tools", "{"), ("--tools", "JSON")),
        (("--messages", "{}"), ("messages",)),
        (("--provider", "togther"), ("togther", "'together'")),
        (("--provider", "together"), ("TOGETHER_API_KEY",)),
        (("--base-url", "localhost:1"), ("base_url",)),
        (("--base-url", "http://127.0.0.1:1", "--provider", "together"), ("provider",)),
        (("--base-url", "http://127.0.0.1:1", "--key-env", "NOT_SET"), ("--key-env",)),
        (("--model",), ("--model",)),
        (("more", "words"), ("words",)),
    ],
)
def test_wrong_usage(headwater_command: Any, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    done = headwater_command(*CHAT, *arguments)
    assert_one_line(done, 2, *words)
    assert done.out == ""


@pytest.mark.parametrize("given", [b"", b" \n", b"\xff\xfe"])
def test_no_question(headwater_command: Any, server: Any, given: bytes) -> None:
    assert_one_line(headwater_command("chat", "--base-url", server, "--model", "m", given=given), 2, "standard input")


def test_an_empty_question(headwater_command: Any, server: Any) -> None:
    assert_one_line(headwater_command("chat", " ", "--base-url", server, "--model", "m"), 2, "empty")


def test_no_model(headwater_command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOGETHER_API_KEY", "key-of-a-test")
    done = headwater_command("chat", "hi", "--provider", "together")
    assert_one_line(done, 2, "model")
    assert "key-of-a-test" not in done.err


def test_an_unknown_command(headwater_command: Any) -> None:
    assert_one_line(headwater_command("chatt"), 2, "chatt", "chat")


def test_a_host_that_is_not_there(headwater_command: Any, broken: faults.FaultServer) -> None:
    assert_one_line(headwater_command(*CHAT, "--retries", "0", "--base-url", broken.refused_url), 1, "refused")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("s401", ("401",)),
        ("s500", ("500",)),
        ("s502_html", ("502",)),
        ("s200_html", ()),
        ("s200_empty", ()),
        ("reset_before_response", ()),
        ("garbage_head", ()),
    ],
)
def test_what_servers_do(
    headwater_command: Any, broken: faults.FaultServer, fault: str, words: tuple[str, ...]
) -> None:
    done = headwater_command(*CHAT, "--retries", "0", "--base-url", broken.at(fault))
    assert_one_line(done, 1, *words)
    assert done.out == ""


@pytest.mark.parametrize("fault", ["sse_reset", "sse_clean_end_early", "sse_error_object", "sse_bad_json"])
def test_a_stream_that_stops(headwater_command: Any, broken: faults.FaultServer, fault: str) -> None:
    done = headwater_command(*CHAT, "--base-url", broken.at(fault))
    assert done.out == "w0 w1 w2 \n"
    assert_one_line(done, 1)


def test_a_deadline(headwater_command: Any, broken: faults.FaultServer) -> None:
    url = broken.at("hang_before_headers")
    assert_one_line(headwater_command(*CHAT, "--timeout", "0.2", "--base-url", url), 1, "0.2 s")


def test_a_key_that_a_server_repeats_is_not_shown(
    headwater_command: Any, broken: faults.FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", "sk-very-secret-key")
    done = headwater_command(*CHAT, "--key-env", "A_KEY", "--base-url", broken.at("echo_token_error"))
    assert_one_line(done, 1, "401")
    assert "sk-very-secret-key" not in done.err


def test_the_line_of_a_hostile_server_is_one_line(headwater_command: Any, capsysbinary: Any) -> None:
    from headwater.cli.terminal import say

    say("a\x1b]0;title\x07b\nc\rd\x9b31me" + "x" * 5000)
    written = capsysbinary.readouterr().err.decode()
    assert written.startswith("headwater: ab cdexxx")
    assert written.count("\n") == 1
    assert len(written) < 1100


def test_without_the_extra(headwater_command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headwater.cli.find_spec", lambda name: None if name == "cyclopts" else name)
    done = headwater_command(*CHAT)
    assert_one_line(done, 2, 'pip install "headwater[cli]"')
    assert headwater_command("--version").code == 0


def test_a_full_disk(headwater_command: Any, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        done = headwater_command(*CHAT, "--base-url", server)
        monkeypatch.undo()
    assert_one_line(done, 1, "No space left")


def test_a_closed_output(headwater_command: Any, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    done = headwater_command(*CHAT, "--base-url", server)
    assert_one_line(done, 1, "closed")
