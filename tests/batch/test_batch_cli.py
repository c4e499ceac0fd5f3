"""`headwater batch` as it is seen: what it prints, where, and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.batch_server import Server, check_complete, results, serving, write_requests
from support.cli_subprocess import SECONDS, command_line, environment, on_terminal, shown, started

from headwater import emulator
from headwater.batch.progress import Count
from headwater.cli import batch_display, main


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


class Done(NamedTuple):
    code: int
    out: str
    err: str


Ran = Callable[..., Done]


@pytest.fixture
def ran(capsys: pytest.CaptureFixture[str]) -> Ran:
    """The command in this process."""

    def run(*words: str) -> Done:
        code = main(words)
        return Done(code, *capsys.readouterr())

    return run


def arguments(server: Server, folder: Path, *more: str) -> list[str]:
    paths = [str(folder / "in.jsonl"), "-o", str(folder / "out.jsonl")]
    words = ["batch", *paths, "--base-url", server.url, "--retries", "0", *more]
    return words if "--concurrency" in more else [*words, "--concurrency", "4"]


def test_piped_it_says_a_few_lines_on_stderr(ran: Ran, server: Server, tmp_path: Path) -> None:
    write_requests(tmp_path / "in.jsonl", range(12))
    done = ran(*arguments(server, tmp_path, "--prices", "1e3,1e3"))
    assert (done.code, done.out) == (0, "")
    first, last = done.err.splitlines()
    assert first.endswith("12 records in " + str(tmp_path / "in.jsonl"))
    assert "12 of 12 records done, 0 failed, 0 left" in last
    assert "120 tokens in, 240 out; spend 0.3600" in last
    check_complete(tmp_path / "out.jsonl", 12)


def test_as_json_it_is_one_object_a_line(ran: Ran, server: Server, tmp_path: Path) -> None:
    write_requests(tmp_path / "in.jsonl", range(12))
    server.poison = {"q3"}
    done = ran(*arguments(server, tmp_path, "--json"))
    assert done.code == 3
    events = [json.loads(line) for line in done.out.splitlines()]
    assert [event["event"] for event in events if event["event"] != "progress"] == ["started", "error", "finished"]
    error = next(event for event in events if event["event"] == "error")
    assert (error["line"], error["custom_id"], error["error"]) == (4, "id-3", "InvalidRequestError")
    assert (events[-1]["done"], events[-1]["failed"], events[-1]["errors"]) == (11, 1, {"InvalidRequestError": 1})
    assert "send them again with: headwater batch" in done.err


def test_the_commands_that_it_proposes_do_what_is_left(ran: Ran, server: Server, tmp_path: Path) -> None:
    write_requests(tmp_path / "in.jsonl", range(6))
    server.poison = {"q3"}
    done = ran(*arguments(server, tmp_path, "--ordered", "--prices", "m=1,2", "--prices", "3,4"))
    assert done.code == 3
    proposed = done.err.splitlines()[-1].partition("send them again with: headwater ")[2].split()
    assert proposed[-1] == "--retry-failed"
    assert "\x1b" not in done.err  # the server put a colour into its refusal
    server.poison.clear()
    assert ran(*proposed).code == 0
    check_complete(tmp_path / "out.jsonl", 6)
    assert [line["headwater"]["index"] for line in results(tmp_path / "out.jsonl")] == list(range(6))


def test_on_a_terminal_it_draws_how_far_it_is(server: Server, tmp_path: Path) -> None:
    write_requests(tmp_path / "in.jsonl", range(40))
    server.hold()
    with on_terminal(*arguments(server, tmp_path, "--prices", "1,1")) as terminal:
        seen = terminal.read(until=b"4 under way (limit 4)").decode()
        assert "0 of 40 records" in seen
        server.go_on()
        seen = terminal.read().decode()
        assert terminal.process.wait(SECONDS) == 0
    assert "40 of 40 records done, 0 failed, 0 left" in seen
    assert seen.rfind("\x1b[?25h") > seen.rfind("\x1b[?25l")  # the cursor is shown again


def test_on_a_terminal_ctrl_c_drains_and_a_second_one_ends(server: Server, tmp_path: Path) -> None:
    write_requests(tmp_path / "in.jsonl", range(40))
    server.hold()
    with on_terminal(*arguments(server, tmp_path)) as terminal:
        terminal.read(until=b"4 under way (limit 4)")
        terminal.process.send_signal(signal.SIGINT)
        terminal.read(until=b"Ctrl-C again ends it now")
        terminal.process.send_signal(signal.SIGINT)
        seen = terminal.read().decode()
        assert terminal.process.wait(SECONDS) == 130
    assert "stopped at once: 0 of 40 records done, 0 failed, 40 left" in seen
    assert "Traceback" not in seen


def test_a_pause_that_the_server_wants_is_told_in_place_of_an_end() -> None:
    count = Count(None)
    count.total = 10
    count.start()
    count.done = 5
    assert "about " in batch_display.event_text(count.now(1, 2))
    told = batch_display.event_text(count.now(1, 2, 12.3))
    assert "1 under way (limit 2); waiting for the server, 12 s more" in told
    assert "about " not in told


def test_a_dumb_terminal_gets_lines(server: Server, tmp_path: Path) -> None:
    write_requests(tmp_path / "in.jsonl", range(3))
    code, seen = shown(*arguments(server, tmp_path), TERM="dumb")
    assert code == 0
    assert "\x1b" not in seen
    assert "3 of 3 records done" in seen


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--concurrency", "0"], '--concurrency takes a number or "auto"'),
        (["--concurrency", "many"], '--concurrency takes a number or "auto"'),
        (["--prices", "cheap"], "prices are IN,OUT"),
        (["--no-such-option"], "no-such-option"),
    ],
)
def test_wrong_usage_sends_nothing(ran: Ran, server: Server, tmp_path: Path, more: list[str], words: str) -> None:
    write_requests(tmp_path / "in.jsonl", range(3))
    done = ran(*arguments(server, tmp_path, *more))
    assert done.code == 2
    assert words in done.err
    assert not (tmp_path / "out.jsonl").exists()
    assert not server.asked


def test_an_output_that_is_no_file_is_refused(ran: Ran, server: Server, tmp_path: Path) -> None:
    write_requests(tmp_path / "in.jsonl", range(1))
    for output, words in {"-": "must be a file", "/dev/stdout": "is no file", str(tmp_path): "a directory"}.items():
        done = ran("batch", str(tmp_path / "in.jsonl"), "-o", output, "--base-url", server.url)
        assert done.code in (1, 2)
        assert words in done.err
    assert server.asked.total() == 0


@pytest.mark.parametrize("source", ["-", "/dev/stdin"])
def test_standard_input_is_read_to_its_end(server: Server, tmp_path: Path, source: str) -> None:
    write_requests(tmp_path / "in.jsonl", range(20))
    lines = (tmp_path / "in.jsonl").read_bytes()
    output = tmp_path / "out.jsonl"
    server.poison = {"q3"}
    for code in (3, 3) if source == "-" else (3,):  # the second has nothing to do
        done = subprocess.run(
            command_line("batch", source, "-o", str(output), "--base-url", server.url),
            env=environment(),
            input=lines,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == code
        assert b"20 records in /dev/stdin" in done.stderr
        assert f"again with: ... | headwater batch - -o {output}".encode() in done.stderr
    assert server.asked.total() == 20


def test_standard_input_that_is_empty_is_refused(server: Server, tmp_path: Path) -> None:
    nothing = subprocess.run(
        command_line("batch", "-", "-o", str(tmp_path / "other"), "--base-url", server.url),
        env=environment(),
        input=b"",
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    assert nothing.returncode == 2
    assert b"ended without giving anything" in nothing.stderr


def test_ctrl_c_ends_the_waiting_for_an_input(server: Server, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "in.jsonl")
    with started(*arguments(server, tmp_path)) as process:
        while not (tmp_path / "out.jsonl").exists():
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert process.stderr.read() == b"headwater: stopped while the files were read; nothing was sent\n"
        assert process.wait(SECONDS) == 130
    assert not (tmp_path / "out.jsonl").exists()


def test_damage_and_changes_are_refused_by_place(ran: Ran, server: Server, tmp_path: Path) -> None:
    write_requests(tmp_path / "in.jsonl", range(5))
    assert ran(*arguments(server, tmp_path, "--ordered")).code == 0
    output = tmp_path / "out.jsonl"
    content = output.read_bytes()
    start = content.index(b"\n") + 1
    output.write_bytes(content[: start + 50] + b"#" + content[start + 51 :])
    done = ran(*arguments(server, tmp_path))
    assert done.code == 1
    assert f"{output} is damaged: the record at byte {start} is not as it was written" in done.err
    output.write_bytes(content)
    write_requests(tmp_path / "in.jsonl", range(1, 6))
    done = ran(*arguments(server, tmp_path))
    assert done.code == 2
    assert "in.jsonl: line 1 is not what it was" in done.err
    assert output.read_bytes() == content


def test_a_file_that_may_not_grow_ends_the_run_and_the_next_one_goes_on(
    ran: Ran, server: Server, tmp_path: Path
) -> None:
    resource = pytest.importorskip("resource")
    write_requests(tmp_path / "in.jsonl", range(40))

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (9000, resource.RLIM_INFINITY))

    limit = subprocess.run(
        command_line(*arguments(server, tmp_path, "--json")),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        preexec_fn=limited,
        check=False,
    )
    assert limit.returncode == 1
    assert f"headwater: {tmp_path / 'out.jsonl'} cannot be written: File too large" in limit.stderr
    assert "once it can be written, go on with: headwater batch" in limit.stderr
    events = [json.loads(line) for line in limit.stdout.splitlines()]
    assert "finished" not in {event["event"] for event in events}
    had = len(results(tmp_path / "out.jsonl"))
    assert 0 < had < 40
    assert ran(*arguments(server, tmp_path)).code == 0
    check_complete(tmp_path / "out.jsonl", 40)
    assert server.asked.total() <= 40 + 2 * 4


def test_a_reader_that_goes_away_ends_it_quietly(server: Server, tmp_path: Path) -> None:
    write_requests(tmp_path / "in.jsonl", range(40))
    server.hold()
    with started(*arguments(server, tmp_path, "--json")) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert b'"started"' in process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(SECONDS) == 141


def test_every_form_of_line_against_the_emulator(ran: Ran, tmp_path: Path) -> None:
    def openai(path: str, **body: Any) -> dict[str, Any]:
        return {"method": "POST", "url": f"/v1/{path}", "body": body}

    messages = [{"role": "user", "content": "the river"}]
    lines = [
        openai("chat/completions", model="m", messages=messages, max_completion_tokens=2),
        openai("chat/completions", model="m", messages=messages, stream=True),
        openai("embeddings", model="e5", input=["a", "b"]),
        openai("completions", model="m", prompt=["a b", "c"], max_tokens=3),
        openai("images/generations", model="m", prompt="a boat", size="64x64"),
        openai("audio/speech", model="tts", input="a boat", voice="x"),
        {"task": "text-to-image", "inputs": "a boat", "parameters": {"width": 64, "height": 64}, "model": "m"},
        {"task": "chat-completion", "inputs": "the river"},
    ]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with emulator.running() as url:
        words = [str(tmp_path / "in.jsonl"), "-o", str(tmp_path / "out.jsonl"), "--ordered"]
        done = ran(
            "batch", *words, "--base-url", f"{url}/v1", "--model", "words-4", "--media-folder", str(tmp_path / "m")
        )
    assert done.code == 0, done.err
    bodies = [line["response"]["body"] for line in results(tmp_path / "out.jsonl")]
    assert bodies[0]["choices"][0]["message"]["content"] == "the river"
    assert bodies[0]["usage"]["completion_tokens"] == 2
    assert bodies[1]["usage"]["completion_tokens"] == 16
    assert [row["index"] for row in bodies[2]["data"]] == [0, 1]
    assert [choice["text"] for choice in bodies[3]["choices"]] == ["a b a", "c c c"]
    names = [bodies[4]["data"][0]["path"], bodies[5]["path"], bodies[6]["path"]]
    for name, suffix in zip(names, [".png", ".wav", ".png"], strict=True):
        assert re.fullmatch(r"m/0000000\d-[0-9a-f]{8}" + re.escape(suffix), name)
        assert (tmp_path / name).stat().st_size > 100
    assert bodies[7]["choices"][0]["message"]["content"] == "the river the river"
    streamed = [line["headwater"]["first_event"] is not None for line in results(tmp_path / "out.jsonl")]
    assert streamed == [False, True, *[False] * 6]


def test_untrusted_lines_name_no_file_of_this_machine(ran: Ran, server: Server, tmp_path: Path) -> None:
    (tmp_path / "secret.wav").write_bytes(b"RIFF\0\0\0\0WAVEfmt ")
    line = {"url": "/v1/audio/transcriptions", "body": {"file": str(tmp_path / "secret.wav"), "model": "m"}}
    (tmp_path / "in.jsonl").write_text(json.dumps(line))
    done = ran(*arguments(server, tmp_path, "--untrusted"))
    assert done.code == 3
    assert "is not read as a path" in done.err
    assert results(tmp_path / "out.jsonl")[0]["headwater"]["input_tokens"] is None
    assert server.asked.total() == 0
