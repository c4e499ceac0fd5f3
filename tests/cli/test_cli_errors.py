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
        (("--max-tokens", "-1.5"), ("--max-tokens", "-1.5")),
        (("--top-p", "most"), ("--top-p",)),
        (("--tools", "{"), ("--tools", "JSON")),
        (("--messages", "{}"), ("messages",)),
        (("--provider", "togther"), ("togther", "'together'")),
        (("--provider", "together"), ("TOGETHER_API_KEY",)),
        (("--base-url", "localhost:1"), ("--base-url",)),
        (("--base-url", "http://127.0.0.1:1", "--provider", "together"), ("provider",)),
        (("--base-url", "http://127.0.0.1:1", "--key-env", "NOT_SET"), ("--key-env",)),
        (("--model",), ("--model",)),
        (("--api-key", "x"), ("--api-key", "--key-env")),
        (("--token=x",), ("--token", "--key-env")),
        (("--timeout", "-1"), ("--timeout must",)),
        (("--retries", "-1"), ("--retries must",)),
        (("--retries", "1.5"), ("--retries takes a whole number",)),
        (("--temperature", "warm"), ("--temperature takes a number",)),
        (("--model-mapping", "x"), ("--model-mapping takes MODEL=ID",)),
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


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("chatt", "chat"),
        ("--hlep", "--help"),
        ("provider", "providers"),
        ("foo", None),
        ("--zz", None),
        ("xyzzy", None),
    ],
)
def test_an_unknown_command(headwater_command: Any, word: str, meant: str | None) -> None:
    done = headwater_command(word)
    assert_one_line(done, 2, word)
    assert ("did you mean" in done.err) == (meant is not None)
    assert meant is None or f"did you mean {meant}?" in done.err


@pytest.mark.parametrize(("word", "meant"), [("--modle", "--model"), ("--zzz", None), ("--colour", None)])
def test_only_near_options_are_proposed(headwater_command: Any, word: str, meant: str | None) -> None:
    done = headwater_command(*CHAT[:2], word, "x")
    assert_one_line(done, 2, word)
    assert ("did you mean" in done.err) == (meant is not None)
    assert meant is None or f"did you mean {meant}?" in done.err


def test_only_near_providers_are_proposed(headwater_command: Any) -> None:
    assert "did you mean" not in headwater_command(*CHAT, "--provider", "xx").err


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("chat_completion: max_tokens: expected `int` >= 1", "--max-tokens: expected a whole number >= 1"),
        ("x needs a model for chat: pass model=...", "x needs a model for chat: pass --model"),
        ("no parameter 'zz'; pass it in extra_body={...}", "no parameter 'zz'; pass it in --extra-body"),
        ("a server's URL goes into base_url=", "a server's URL goes into --base-url"),
        ("pass model_mapping={'a/b': 'the id'}", "pass --model-mapping 'a/b=the id'"),
        ("use https, or allow_insecure=True", "use https, or --allow-insecure"),
        ("a loopback address; input_policy=InputPolicy(allow_private=True) lets it be", None),
        ("requests_per_minute must be a number above 0, or None", "--requests-per-minute must be a number above 0"),
        ("it failed then, and retry_failed sends it", "it failed then, and --retry-failed sends it"),
        ("there is no file 'base_url.png' in /tmp/base_url", "there is no file 'base_url.png' in /tmp/base_url"),
        ("model: expected a text", "--model: expected a text"),
        (
            'give prices={"m": Price(input=..., output=...)}, or prices="provider", or Budget(..., unknown="free"); so',
            "give --prices 'm=IN,OUT', or --prices provider; so",
        ),
        ("the model is too large: a prompt must be short", "the model is too large: a prompt must be short"),
    ],
)
def test_the_command_speaks_its_own_words(said: str, shown: str | None) -> None:
    from headwater.cli.error_text import in_command_words
    from headwater.errors import CallError

    assert in_command_words(CallError(said)) == (shown or "a loopback address; --allow-private lets it be")


def test_no_key_is_told_in_the_commands_words(headwater_command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "TOGETHER_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_TOKEN_PATH", "/nowhere")
    for provider in ("together", "openai", "auto"):
        done = headwater_command(*CHAT, "--provider", provider)
        assert_one_line(done, 2, "--key-env")
        assert "api_key=" not in done.err
        assert "token=" not in done.err


def test_the_servers_words_stay(headwater_command: Any, broken: faults.FaultServer) -> None:
    from headwater.cli.error_text import of_class

    assert of_class("InvalidRequestError", "max_tokens: too many") == "max_tokens: too many"
    assert of_class("InvalidParameterError", "max_tokens: too many") == "--max-tokens: too many"
    assert of_class("os", "max_tokens: too many") == "max_tokens: too many"
    line = "the line has a field 'max_tokenz'; did you mean 'max_tokens'?"
    assert of_class("InvalidParameterError", line) == line


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
