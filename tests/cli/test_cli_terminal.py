"""What a screen gets: no sequence of the model's, dimmed thoughts, Markdown where it was asked for."""

from __future__ import annotations

import io
import itertools
import json
import signal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.cli_subprocess import SECONDS, on_terminal, shown
from support.stream_server import saying

from headwater.cli.terminal import Aside, ControlFilter, clean, say
from headwater.emulator import faults
from headwater.providers import PROVIDERS

CHAT = ("chat", "?", "--model", "m", "--base-url")
HOSTILE = (
    "a\x1b[31mred\x1b[0m \x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x07 \x1b]52;c;aGk=\x07b \x9b2Jc"
    " \u202edrawkcab\u2066\tt\x08\x00\r\nend\x7f\x1bc"
)
CLEAN = "ared link b c drawkcab\tt\nend"


def test_control_sequences_do_not_reach_a_screen() -> None:
    deltas = [{"content": HOSTILE[at : at + 3]} for at in range(0, len(HOSTILE), 3)]
    with saying(*deltas) as url:
        assert shown(*CHAT, url) == (0, CLEAN + "\n")


def test_raw_lets_them_through() -> None:
    with saying({"content": HOSTILE}) as url:
        assert shown(*CHAT, url, "--raw") == (0, HOSTILE + "\n")


def test_json_on_a_screen_is_clean_too(server: Any) -> None:
    arguments = ("chat", "\x9b31mred\u202e", "--model", "m", "--base-url", server, "--json")
    code, screen = shown(*arguments)
    assert code == 0
    assert json.loads(screen)["choices"][0]["message"]["content"].startswith("red red")
    assert "\n  " in screen


class Screen(io.StringIO):
    """A terminal that does not say how wide it is."""

    def isatty(self) -> bool:
        return True


def test_what_is_said_fits_a_terminal_and_a_command_stays_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    screen, pipe = Screen(), io.StringIO()
    command = f"headwater batch in.jsonl -o out.jsonl --base-url http://127.0.0.1/{'v' * 60}/v1 --retry-failed"
    said = f"3 records failed, {'which is many, ' * 6}so send them again with: {command}"
    for stream in (screen, pipe):
        monkeypatch.setattr("sys.stderr", stream)
        say(said)
    assert pipe.getvalue() == f"headwater: {said}\n"
    *lines, last = screen.getvalue().splitlines()
    assert last == f"  {command}" and all(len(line) <= 80 for line in lines)
    assert " ".join(screen.getvalue().split()) == pipe.getvalue().rstrip()


def test_what_is_said_goes_nowhere_else_where_stderr_is_closed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr", None)
    say("no answer")
    thoughts = Aside()
    thoughts.write("hm")
    thoughts.end()
    assert capsys.readouterr().out == ""


def test_thoughts_are_dimmed() -> None:
    with saying({"reasoning": "hm\x1b[1m"}, {"reasoning": "m"}, {"content": "42"}) as url:
        assert shown(*CHAT, url) == (0, "\x1b[2mhmm\n\x1b[0m\n42\n")
        assert shown(*CHAT, url, NO_COLOR="1") == (0, "hmm\n42\n")


def test_a_stopped_stream_leaves_the_screen_as_it_was(broken: faults.FaultServer) -> None:
    code, screen = shown(*CHAT, broken.at("sse_reset"))
    assert code == 1
    words, message, *more = screen.splitlines()
    assert words == "w0 w1 w2 " and message.startswith("headwater: ") and screen.endswith("\n")
    assert all(line.startswith("  ") for line in more) and all(len(line) <= 100 for line in (message, *more))


def test_ctrl_c_on_a_screen(broken: faults.FaultServer) -> None:
    with on_terminal(*CHAT, broken.at("sse_stall"), "--markdown") as terminal:
        terminal.read(until=b"w0")
        terminal.process.send_signal(signal.SIGINT)
        screen = terminal.read().decode()
        assert terminal.process.wait(SECONDS) == 130
    assert "Traceback" not in screen
    assert screen.rfind("\x1b[?25h") > screen.rfind("\x1b[?25l")


def test_markdown_is_shown_as_such() -> None:
    with saying(
        {"content": "# Title\n\nSome **bo"}, {"content": "ld** [link](http://a.example/)\x1b]52;c;aGk=\x07"}
    ) as url:
        code, screen = shown(*CHAT, url, "--markdown")
        plain = shown(*CHAT, url)
    assert code == 0
    assert "\x1b[1mbold\x1b[0m" in screen
    assert "**bold**" not in screen
    assert "http://a.example/" in screen
    assert "\x1b]" not in screen
    assert plain == (0, "# Title\n\nSome **bold** [link](http://a.example/)\n")


def test_markdown_is_for_screens_alone(headwater_command: Any) -> None:
    with saying({"content": "**bold**"}) as url:
        assert headwater_command(*CHAT, url, "--markdown").out == "**bold**\n"


def test_tables_on_a_screen() -> None:
    code, screen = shown("providers")
    assert code == 0
    assert "together" in screen and "TOGETHER_API_KEY" in screen
    assert "\t" not in screen
    assert all(len(clean(line)) <= 100 for line in screen.splitlines())


@pytest.mark.parametrize("arguments", [("providers",), ("tasks",), ("providers", "hf-inference"), ("--help",)])
def test_tables_fit_eighty_columns(arguments: tuple[str, ...]) -> None:
    code, screen = shown(*arguments, COLUMNS="80")
    lines = [clean(line).rstrip() for line in screen.splitlines()]
    assert code == 0
    assert max(map(len, lines)) <= 80
    if arguments == ("providers",):  # each on a line of its own, whole
        for row in PROVIDERS.values():
            assert any(line.split()[: 1 + bool(row.keys)] == [row.name, *row.keys[:1]] for line in lines), row.name


@example("\x9b\x1b2P", [1, 2, 3])
@given(st.text(alphabet="a[]m;8\x1b\x07\x9b\x9c\\P52 \n\u202e"), st.lists(st.integers(0, 40)))
def test_pieces_are_cleaned_as_the_whole(text: str, cuts: list[int]) -> None:
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    cleaning = ControlFilter()
    pieces = [cleaning.add(text[start:end]) for start, end in itertools.pairwise(places)]
    whole = "".join(pieces) + cleaning.end()
    assert not set(whole) & set("\x1b\x07\x9b\x9c\u202e")
    assert whole == clean(text)


@pytest.mark.parametrize("start", ["\x1b]52;c;", "\x1bP", "\x9d8;;"])
def test_a_sequence_without_end_hides_nothing_for_ever(start: str) -> None:
    cleaning = ControlFilter()
    text = "".join(cleaning.add(piece) for piece in [start, *(["word "] * 2000)]) + cleaning.end()
    assert text.count("word ") == 2000
    cleaning = ControlFilter()
    assert "after" in cleaning.add(start + "x\nafter")
